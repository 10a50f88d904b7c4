"""Why a pixel or a class has its mineral: measured, the two nearest candidates, the lines that decide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.maps.quantification.net_counts import region_of
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.likelihood.templates import expect_templates
from napari_xrf.minerals.phases.nearest import Nearest, nearest_minerals
from napari_xrf.minerals.search import search_minerals
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.reference.minerals import Mineral, load_library, select_minerals

_DECIDING = 5  # lines that are told
_LEAST_SHARE = 0.02  # of all that decides
_REACH = 0.9  # FWHM to either side of a line


@dataclass(frozen=True)
class DecidingLine:
    """A line family that speaks for one candidate and against the other."""

    family: str  # "Fe K"
    energy: float  # keV, of its main line
    # measured, best, second: counts within the line, and those that either candidate explains
    measured: float
    best: float
    second: float
    # By how much the second's chi-square is larger there; negative where the line speaks for the second
    weight: float


@dataclass(frozen=True, eq=False)
class MineralEvidence:
    """Why something has its mineral."""

    name: str  # of the class or pixel
    energies: NDArray[np.float64]  # (B,) keV
    measured: NDArray[np.float64]  # (B,) counts
    # best, second: its own mineral, or the nearest where it has none; and the nearest other. None without a
    # candidate.
    best: Nearest
    second: Nearest | None
    lines: tuple[DecidingLine, ...]  # what decides between them, the weightiest first

    @property
    def residual(self) -> NDArray[np.float64]:
        """Measured less the best candidate's counts, in standard deviations of counting."""
        return np.asarray((self.measured - self.best.expected) / np.sqrt(np.maximum(self.measured, 1)))

    def __repr__(self) -> str:
        return f"<MineralEvidence: {self}>"

    def __str__(self) -> str:
        told = f"{self.name}: nearest is {self.best.name}, off by {self.best.misfit:.0%} of the counts"
        if self.second is None:
            return told
        told += f"; then {self.second.name}, {self.second.misfit:.0%}"
        lines = [
            f"{line.family} ({line.measured:,.0f} counts; expected {line.best:,.0f} or {line.second:,.0f})"
            for line in self.lines
        ]
        return told + (f"; decided by {', '.join(lines)}" if lines else "; no line decides")


def explain_mineral(
    measured: Measured,
    classification: Classification,
    where: str | tuple[int, int],
    *,
    library: Sequence[Mineral] | None = None,
    progress: Progress = ignore_progress,
) -> MineralEvidence:
    """Tell why a class or a pixel has its mineral, as :func:`napari_xrf.explain_mineral` does.

    ``library``: that of the classification, where it was not the shipped one.
    """
    mask, name, class_name = _place(classification, where)
    minerals = _minerals_of(classification.minerals, library)
    if not minerals:
        raise InvalidInput("no mineral was looked for in this map", "Map minerals first")
    keep = classification.reflections is None
    search = search_minerals(measured, minerals, library, progress=progress, keep_reflections=keep)
    part = region_of(search.measured, mask, name)
    templates = expect_templates(minerals, search.measured.instrument, search.bins, progress)
    counts = search.bins.sum(part.sum_spectrum)
    ranked = nearest_minerals(counts, templates, len(minerals))
    if not ranked:
        raise InvalidInput("none of the minerals would show in this map", "Name others")
    own = set(members_of(class_name))
    best = next((each for each in ranked if own & {mineral.name for mineral in each.minerals}), ranked[0])
    second = next((each for each in ranked if each is not best), None)
    bins = search.bins
    lines = () if second is None else _deciding(counts, bins.energies, best, second, search.measured.detector)
    return MineralEvidence(name, bins.energies, counts, best, second, lines)


def draw_evidence(evidence: MineralEvidence) -> bytes:
    """Return a PNG: the spectrum with both candidates and the deciding lines, and the residual below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ground = max(float(evidence.measured.max()) * 1e-4, 0.1)
    upper.fill_between(evidence.energies, ground, np.maximum(evidence.measured, ground), color="#bbb")
    drawn = [(evidence.best, "#0072b2"), *([] if evidence.second is None else [(evidence.second, "#d55e00")])]
    for candidate, color in drawn:
        label = f"{candidate.name} (off by {candidate.misfit:.0%})"
        upper.plot(evidence.energies, np.maximum(candidate.expected, ground), color, lw=1, label=label)
    for line in evidence.lines:
        upper.axvline(line.energy, color="#888", lw=0.6, ls=":")
        upper.annotate(line.family, (line.energy, 1.01), xycoords=("data", "axes fraction"), ha="center")
    upper.set(yscale="log", ylabel="counts per bin", ylim=(ground, None))
    upper.legend(fontsize=8)
    lower.plot(evidence.energies, evidence.residual, "#0072b2", lw=0.8)
    lower.axhline(0, color="#888", lw=0.6)
    lower.set(xlabel="keV", ylabel="residual, σ")
    figure.suptitle(evidence.name, y=1.06, fontsize=10)
    target = BytesIO()
    figure.savefig(target, format="png", dpi=110, bbox_inches="tight")
    return target.getvalue()


def _place(
    classification: Classification, where: str | tuple[int, int]
) -> tuple[NDArray[np.bool_], str, str]:
    """Return the mask, its name, and the name of its class."""
    labels = classification.label_map
    if isinstance(where, str):
        try:
            mask = labels[where]
        except KeyError:
            listed = ", ".join(entry.name for entry in labels.classes)
            raise InvalidInput(f"no class is called {where!r}", f"There are {listed}") from None
        if not mask.any():
            raise InvalidInput(f"no pixel belongs to {where!r}")
        return mask, where, where
    row, column = where
    rows, columns = labels.labels.shape
    if not (0 <= row < rows and 0 <= column < columns):
        raise InvalidInput(f"pixel {row}, {column} lies outside a map of {rows} × {columns}")
    mask = np.zeros(labels.labels.shape, bool)
    mask[row, column] = True
    names = {entry.label: entry.name for entry in labels.classes}
    name = names.get(int(labels.labels[row, column]), "not measured")
    return mask, f"pixel {row}, {column} ({name})", name


def _minerals_of(names: Iterable[str], library: Sequence[Mineral] | None) -> tuple[Mineral, ...]:
    known = {mineral.name: mineral for mineral in (load_library() if library is None else library)}
    return tuple(known[name] if name in known else select_minerals((), [name])[0] for name in names)


def _deciding(
    counts: NDArray[np.float64],
    energies: NDArray[np.float64],
    best: Nearest,
    second: Nearest,
    detector: Detector,
) -> tuple[DecidingLine, ...]:
    variance = best.variance
    gain = ((counts - second.expected) ** 2 - (counts - best.expected) ** 2) / variance
    materials = [m for each in (*best.minerals, *second.minerals) for m in each.compositions()]
    elements = {element for material in materials for element in material.mass_fractions}
    found = []
    for element in sorted(elements):
        for shell in "KLM":
            line = main_line(element, shell)
            if line is None or not energies[0] <= line.energy <= energies[-1]:
                continue
            near = np.abs(energies - line.energy) < _REACH * float(detector.fwhm(line.energy))
            if near.any():
                parts = (float(each[near].sum()) for each in (counts, best.expected, second.expected, gain))
                found.append(DecidingLine(f"{element} {shell}", line.energy, *parts))
    least = _LEAST_SHARE * float(np.abs(gain).sum())
    telling = sorted((each for each in found if abs(each.weight) > least), key=lambda each: -abs(each.weight))
    return tuple(telling[:_DECIDING])
