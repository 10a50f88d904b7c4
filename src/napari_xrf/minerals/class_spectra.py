"""Mean spectra of the classes of a map, beside what their minerals explain of them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.emission_lines import main_line
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood.templates import FLOOR, Templates

_STEPS = 300
_DECADES = 4  # that a chart shows
_ROOM = 0.025  # of a chart's width, for a symbol


@dataclass(frozen=True, eq=False)
class ClassSpectrum:
    """The mean spectrum of a class."""

    # label, name: the class
    label: int
    name: str
    pixels: int  # how many pixels were averaged
    energies: NDArray[np.float64]  # (B,) keV, centres of the bins
    measured: NDArray[np.float64]  # (B,) counts per pixel and keV
    # (B,) the same for the mixture of the class's compositions that fits best; None for "unknown"
    expected: NDArray[np.float64] | None


def class_spectra(
    cube: SpectralCube,
    label_map: LabelMap,
    templates: Templates,
    compositions: Mapping[int, NDArray[np.intp]],
    progress: Progress = ignore_progress,
) -> tuple[ClassSpectrum, ...]:
    """Return the mean spectrum of each class that has pixels.

    Parameters
    ----------
    cube, label_map
        The map and its classes.
    templates
        Expected spectra.
    compositions
        Label → indices of the templates of its minerals; none for "unknown".
    """
    return mean_spectra(sum_classes(cube, label_map.labels, progress), label_map, templates, compositions)


def mean_spectra(
    sums: Mapping[int, NDArray[np.uint64]],
    label_map: LabelMap,
    templates: Templates,
    compositions: Mapping[int, NDArray[np.intp]],
) -> tuple[ClassSpectrum, ...]:
    """Return the mean spectrum of each class that has pixels, of the sums (E,) of labels."""
    bins = templates.bins
    spectra = []
    for entry in label_map.classes:
        pixels = int((label_map.labels == entry.label).sum())
        if pixels == 0:
            continue
        counts = bins.sum(sums[entry.label].astype(np.float64))
        members = compositions.get(entry.label)
        expected = None if members is None else _explained(counts, templates, members) / pixels / bins.widths
        spectra.append(
            ClassSpectrum(
                entry.label, entry.name, pixels, bins.energies, counts / pixels / bins.widths, expected
            )
        )
    return tuple(spectra)


def _explained(
    counts: NDArray[np.float64], templates: Templates, members: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the non-negative mixture, (B,), of compositions and their mean continuum nearest to counts.

    Poisson maximum likelihood by expectation maximisation.
    """
    columns = np.vstack([templates.lines[members], templates.continuum[members].mean(axis=0)])
    columns = columns[columns.sum(axis=1) > 1e-9]
    sums = columns.sum(axis=1)
    level = FLOOR * counts.sum() / counts.size
    amounts = counts.sum() / columns.shape[0] / sums
    for _ in range(_STEPS):
        amounts *= (columns @ (counts / np.maximum(amounts @ columns + level, 1e-12))) / sums
    return np.asarray(amounts @ columns + level)


def draw_spectrum(spectrum: ClassSpectrum, elements: Iterable[str], color: str) -> str:
    """Return an SVG element: measured counts filled, expected ones as a line, logarithmic.

    ``spectrum``: the mean spectrum. ``elements``: symbols whose main lines are marked. ``color``: of the
    filled area, ``"#rrggbb"``.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = _shown(spectrum)
    energies, measured = spectrum.energies[shown], spectrum.measured[shown]
    low, high = float(energies[0]), max(float(energies[-1]), float(energies[0]) + 1e-3)
    top = 10.0 ** math.ceil(math.log10(max(float(measured.max()), 1e-9)))
    ground = top / 10**_DECADES
    target = StringIO()
    no_date = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    look = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": str(spectrum.label)}
    with rc_context(look):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.6, 2.6), layout="constrained")
        axes = figure.subplots()
        outline = np.pad(np.maximum(measured, ground), 1, constant_values=ground)
        axes.fill(np.pad(energies, 1, mode="edge"), outline, color=color, alpha=0.55)
        if spectrum.expected is not None:
            fitted = np.maximum(spectrum.expected[shown], ground)
            axes.plot(energies, fitted, color="#111", linewidth=1.0, gid=f"expected-{spectrum.label}")
        axes.set(xlim=(low, high), ylim=(ground, top), yscale="log")
        axes.set(xlabel="keV", ylabel="counts per pixel and keV")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(color="#ddd", linewidth=0.7)
        for at, element in _marks(elements, low, high):
            axes.text(at, 1.02, element, transform=axes.get_xaxis_transform(), ha="center", weight="bold")
        figure.savefig(target, format="svg", metadata=no_date)
    drawn = target.getvalue()
    return drawn[drawn.index("<svg") :].strip()


def _shown(spectrum: ClassSpectrum) -> slice:
    """Up to where the spectrum holds anything to see."""
    seen = np.flatnonzero(spectrum.measured > spectrum.measured.max() * 10 ** (1 - _DECADES))
    return slice(0, int(seen[-1]) + 2 if seen.size else spectrum.measured.size)


def _marks(elements: Iterable[str], low: float, high: float) -> list[tuple[float, str]]:
    """Return the main lines to mark, each only where there is room."""
    lines = [(main_line(element, shell), element) for element in sorted(set(elements)) for shell in "LK"]
    at = {element: line.energy for line, element in lines if line is not None and low <= line.energy <= high}
    kept: list[tuple[float, str]] = []
    for element, energy in sorted(at.items(), key=lambda item: (item[1], item[0])):
        if not kept or energy - kept[-1][0] >= _ROOM * (high - low):
            kept.append((energy, element))
    return kept
