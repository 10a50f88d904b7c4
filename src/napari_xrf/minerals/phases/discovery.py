"""Phases of a map without a library: what spectra its pixels are made of, and what each of them is.

Phases are found in the counts alone (:mod:`.ends`); pixels are one of them or mixtures
(:mod:`.mixtures`). What is then told of each, its elements, weight percent and nearest minerals, does
not change the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.colors import spread_color
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_LABEL, UNKNOWN_NAME, LabelClass, LabelMap, number_by_area
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, find_elements
from napari_xrf.maps.quantification.net_counts import region_of
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.weight_percent import quantify
from napari_xrf.minerals.class_spectra import ClassSpectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.likelihood.binned_map import BinnedMap, merged_bins
from napari_xrf.minerals.likelihood.templates import expect_templates
from napari_xrf.minerals.phases.ends import LEAST_PIXELS, find_ends
from napari_xrf.minerals.phases.mixtures import (
    Parts,
    confidence,
    misfitting,
    near_ends,
    refined,
    sure_pixels,
    unmix,
)
from napari_xrf.minerals.phases.nearest import Nearest, nearest_minerals
from napari_xrf.minerals.search import MineralSearch, search_minerals
from napari_xrf.reference.minerals import Mineral

MOST_PHASES = 60
METHOD = "phases"
FAR = 0.3  # misfit from which a nearest mineral is none
_PRESENT = 0.5  # probability from which an element is told
_SAME = 3.0  # times what a phase may vary: an end that explains no pixel even so is none
_PURE = 0.9  # share of a pixel from which it shows its phase's spectrum


@dataclass(frozen=True, eq=False)
class Phase:
    """A phase of a map.

    Attributes
    ----------
    label, name
        Its class in the label map.
    pixels
        How many pixels hold more of it than of any other.
    pure_pixels
        How many of them its spectrum is the mean of: those that hold hardly anything else, or all.
    spectrum
        (E,) counts per pixel and channel.
    elements
        Found in this spectrum, by falling net counts.
    quantities
        Weight percent of these; None where there are none.
    nearest
        Minerals of the library, the nearest first.
    """

    label: int
    name: str
    pixels: int
    pure_pixels: int
    spectrum: NDArray[np.float64]
    elements: tuple[str, ...]
    quantities: Quantities | None
    nearest: tuple[Nearest, ...]

    def __repr__(self) -> str:
        return f"<Phase {self.told}; {self.pixels} pixels>"

    @property
    def told(self) -> str:
        """What it is, in a line."""
        elements = ", ".join(self.elements) or "no element found"
        near = "; ".join(f"{one.name} (off by {one.misfit:.0%} of the counts)" for one in self.near[:2])
        return f"{self.name}: {elements}; nearest: {near or 'no mineral of the library'}"

    @property
    def near(self) -> tuple[Nearest, ...]:
        """Those that are near at all."""
        return tuple(one for one in self.nearest if one.misfit < FAR)


@dataclass(frozen=True, eq=False)
class Phases:
    """The phases of a map and how they came about.

    Attributes
    ----------
    classification
        Label map, abundances, mean spectra, misfit and notes, as of minerals.
    phases
        Those that occur, by falling area.
    energy
        Of the phases' spectra.
    reason
        Why there are so many.
    """

    classification: Classification
    phases: tuple[Phase, ...]
    energy: EnergyAxis
    reason: str

    def __repr__(self) -> str:
        return repr(self.classification).replace("Classification by phases", f"{len(self.phases)} Phases", 1)

    def _repr_html_(self) -> str:
        return self.classification._repr_html_()

    @property
    def label_map(self) -> LabelMap:
        """Which phase each pixel holds most of; 1 is "unknown"."""
        return self.classification.label_map


def find_phases(
    measured: Measured,
    count: int | None = None,
    *,
    library: Sequence[Mineral] | None = None,
    ignored: Sequence[str] = (),
    keep_reflections: bool = False,
    progress: Progress = ignore_progress,
) -> Phases:
    """Find the phases of a map in its counts alone; parameters and errors as :func:`napari_xrf.find_phases`.

    ``library``: minerals among which the nearest are looked for; the shipped ones by default.
    """
    if count is not None and not 1 <= count <= MOST_PHASES:
        raise InvalidInput(f"there can be 1 to {MOST_PHASES} phases, not {count}")
    search = search_minerals(measured, None, library, ignored, progress, keep_reflections=keep_reflections)
    known = search.measured
    bins = merged_bins(search.bins, known.sum_spectrum, int(np.prod(known.cube.map_shape)))
    binned = BinnedMap(known.on_refined_axis, bins)
    found = find_ends(binned, count, progress)
    ends = refined(binned, found.spectra, sure_pixels(binned, found.spectra, progress=progress))
    if count is None:
        ends = _that_occur(binned, ends)
    parts = unmix(binned, ends, near_ends(sure_pixels(binned, ends), len(ends)), progress)
    totals = _totals(binned)
    order = _by_area(parts, totals)
    parts, ends = Parts(parts.areas[..., order], parts.deviance), ends[order]
    label_map = _label_map(known, parts, totals, ends, bins.size)
    shares = parts.areas / np.maximum(parts.areas.sum(axis=2, keepdims=True), 1e-12)
    phases = _described(search, label_map, shares, progress)
    reason = found.reason(len(phases), count)
    classification = Classification(
        label_map=label_map,
        groups=(),
        minerals=(),
        spectra=_mean_spectra(search, label_map, phases),
        misfit=np.where(totals > 0, parts.deviance, np.nan).astype(np.float32),
        counts_per_pixel=search.counts_per_pixel,
        energy_range=(float(bins.energies[0]), float(bins.energies[-1])),
        method=METHOD,
        notes=(*_notes(search), reason, *(phase.told for phase in phases)),
        abundances=_abundances(label_map, shares),
        reflections=search.reflections,
    )
    return Phases(classification, phases, known.energy, reason)


def _that_occur(binned: BinnedMap, ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends that at least a few pixels are by themselves, and no corners of grains."""
    sure = sure_pixels(binned, ends, _SAME)
    occur = np.bincount(sure[sure >= 0], minlength=len(ends)) >= LEAST_PIXELS
    return ends[occur] if occur.any() else ends


def _totals(binned: BinnedMap) -> NDArray[np.float32]:
    totals = np.zeros(binned.shape, np.float32)
    for band, counts in binned.bands("summing counts"):
        totals[band] = counts.sum(axis=2)
    return totals


def _by_area(parts: Parts, totals: NDArray[np.float32]) -> NDArray[np.intp]:
    main = parts.areas.argmax(axis=2)[totals > 0]
    return np.argsort(-np.bincount(main, minlength=parts.areas.shape[2]), kind="stable")


def _label_map(
    known: CalibratedMap, parts: Parts, totals: NDArray[np.float32], ends: NDArray[np.float64], bins: int
) -> LabelMap:
    held = totals > 0
    strange = misfitting(parts.deviance, totals, bins)[held]
    certain = confidence(parts.areas, totals, ends)[held]
    chosen = np.where(strange, -1, parts.areas.argmax(axis=2)[held])
    classes = [LabelClass(1, f"phase {k + 1}", color=spread_color(k)) for k in range(len(ends))]
    cube = known.cube
    label_map, _ = number_by_area(held, chosen, certain, classes, cube.pixel_size, cube.name)
    return label_map


def _abundances(label_map: LabelMap, shares: NDArray[np.float32]) -> Abundances:
    """Return what pixels hold of the classes of a label map; pixels that nothing explains are unknown."""
    kept = [int(entry.name.split()[1]) - 1 for entry in label_map.classes if entry.label != UNKNOWN_LABEL]
    whole = np.zeros((*shares.shape[:2], len(kept) + 1), dtype=np.float32)
    whole[..., 1:] = shares[..., kept]
    unknown = label_map.labels == UNKNOWN_LABEL
    whole[unknown, 1:] = 0
    whole[unknown, 0] = 1
    whole /= np.maximum(whole.sum(axis=2, keepdims=True), 1e-12)
    return Abundances(whole, label_map.classes, label_map.pixel_size, label_map.source)


def _described(
    search: MineralSearch, label_map: LabelMap, shares: NDArray[np.float32], progress: Progress
) -> tuple[Phase, ...]:
    templates = expect_templates(search.minerals, search.measured.instrument, search.bins, progress)
    listed = [entry for entry in label_map.classes if entry.name.startswith("phase ")]
    phases = []
    for done, entry in enumerate(listed):
        progress(done, len(listed), "finding out what phases are")
        own = label_map.labels == entry.label
        pure = own & (shares[..., int(entry.name.split()[1]) - 1] >= _PURE)
        shown = pure if pure.sum() >= LEAST_PIXELS else own
        part = region_of(search.measured, shown, entry.name)
        elements = tuple(
            one.element
            for one in sorted(find_elements(part), key=lambda one: -one.net_counts)
            if one.probability >= _PRESENT
        )
        counts = search.bins.sum(part.sum_spectrum)
        phases.append(
            Phase(
                entry.label,
                entry.name,
                int(own.sum()),
                int(shown.sum()),
                part.sum_spectrum / shown.sum(),
                elements,
                _quantities(part, elements),
                nearest_minerals(counts, templates) if templates.size and counts.any() else (),
            )
        )
    progress(len(listed), len(listed), "finding out what phases are")
    return tuple(phases)


def _quantities(part: CalibratedMap, elements: tuple[str, ...]) -> Quantities | None:
    try:
        return quantify(part, elements)[0] if elements else None
    except InvalidInput:  # none of them can be quantified with this excitation
        return None


def _mean_spectra(
    search: MineralSearch, label_map: LabelMap, phases: Sequence[Phase]
) -> tuple[ClassSpectrum, ...]:
    bins = search.bins
    drawn = [
        ClassSpectrum(phase.label, phase.name, phase.pure_pixels, bins.axis, phase.spectrum, bins)
        for phase in phases
    ]
    unknown = label_map.labels == UNKNOWN_LABEL
    if unknown.any():
        pixels = int(unknown.sum())
        mean = search.measured.cube.region_spectrum(unknown) / pixels
        drawn.insert(0, ClassSpectrum(UNKNOWN_LABEL, UNKNOWN_NAME, pixels, bins.axis, mean, bins))
    return tuple(drawn)


def _notes(search: MineralSearch) -> tuple[str, ...]:
    """Return what is said of calibration and energies; the library decides nothing here."""
    return tuple(note for note in search.notes if not note.startswith("looked for"))
