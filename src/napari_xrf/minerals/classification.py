"""From a map of spectra to a map of minerals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelMap, number_by_area
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.minerals.binned_map import merged_bins
from napari_xrf.minerals.class_spectra import ClassSpectrum, class_spectra
from napari_xrf.minerals.mineral_phases import find_mineral_phases
from napari_xrf.minerals.scan import TOLERANCE
from napari_xrf.minerals.search import search_minerals
from napari_xrf.minerals.templates import EnergyBins
from napari_xrf.reference.minerals import Mineral, mineral_class

UNKNOWN_LEVEL = 1e-3
_MISFIT_LIMIT = 8.0  # standard deviations, at that level


@dataclass(frozen=True, eq=False)
class ClassificationOptions:
    """How to classify; see :func:`classify_minerals` for the meaning of each.

    Raises
    ------
    InvalidInput
        For an unknown element, or a level or tolerance that cannot be.
    """

    library: tuple[Mineral, ...] | None = None
    ignored: tuple[str, ...] = ()
    unknown_level: float = UNKNOWN_LEVEL
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for element in self.ignored:
            atomic_number(element)
        if not 0 < self.unknown_level <= 0.5:
            raise InvalidInput(f"the unknown level must be above 0 and at most 0.5, not {self.unknown_level}")
        if self.tolerance is not None and not 0.01 <= self.tolerance <= 1:
            raise InvalidInput(f"the tolerance must be between 0.01 and 1, not {self.tolerance}")


@dataclass(frozen=True, eq=False)
class Classification:
    """A mineral map and how it came about.

    Attributes
    ----------
    label_map
        1 is "unknown", the classes that occur follow from 2 on by falling area.
    groups
        Names of the minerals that cannot be told apart in this map, one tuple per group of two or more;
        also groups that no pixel belongs to.
    minerals
        Names of all minerals that were looked for.
    spectra
        Mean measured spectrum of each class that occurs, with what its minerals explain of it.
    misfit
        (Y, X) how far each pixel's spectrum is from its best mineral: deviance less its expectation, in
        standard deviations; NaN where nothing was measured, and everywhere when a network decided.
    counts_per_pixel
        Median of the measured pixels, in the energies that were used.
    energy_range
        (low, high) keV that were used.
    method
        ``"likelihood"``, or the name of the network.
    notes
        What the user should know, one sentence each: calibration, range, minerals left out.
    abundances
        What each pixel holds of the classes; None when a network decided.
    """

    label_map: LabelMap
    groups: tuple[tuple[str, ...], ...]
    minerals: tuple[str, ...]
    spectra: tuple[ClassSpectrum, ...]
    misfit: NDArray[np.float32]
    counts_per_pixel: float
    energy_range: tuple[float, float]
    method: str
    notes: tuple[str, ...]
    abundances: Abundances | None = None

    def abundances_of(self, label_map: LabelMap) -> Abundances | None:
        """Return the abundances, or None where a label map was cleaned up or edited: it has none."""
        same = label_map.labels.shape == self.label_map.labels.shape and np.array_equal(
            label_map.labels, self.label_map.labels
        )
        return self.abundances if same else None


def classify_minerals(
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    *,
    library: Sequence[Mineral] | None = None,
    ignored: Sequence[str] = (),
    unknown_level: float = UNKNOWN_LEVEL,
    tolerance: float | None = None,
    progress: Progress = ignore_progress,
) -> Classification:
    """Find the mineral of each pixel: the one under which its counts are most likely.

    Scale and continuum are free, see ``docs/minerals.md``; networks are another method, see
    :func:`~napari_xrf.learning.network_method.classify_by`.

    Parameters
    ----------
    measured
        The map.
    minerals
        What to look for. None: all minerals of the library whose visible elements are all found in the
        map.
    library
        Where an automatic choice is made from: the shipped library by default.
    ignored
        Symbols of elements whose lines come from elsewhere, such as a holder; these energies are left out.
        Argon, of the air, always is unless the file says vacuum.
    unknown_level
        Share of pixels of known minerals that may be called unknown by mistake, above 0 to 0.5.
    tolerance
        Relative standard deviation of the expected spectra per bin of half a detector's resolution, 0.01 to
        1; it counts at high energies and grows towards low ones. None: the smallest of a few values under
        which two thirds of the map fit some mineral.
    progress
        Told often; raise Cancelled in it to stop.

    Raises
    ------
    InvalidInput
        For a level or tolerance that cannot be, a map without counts, or when no mineral is left.
    """
    if minerals is not None and not minerals:
        raise InvalidInput("there is no mineral to look for", "Name at least one")
    given = None if library is None else tuple(library)
    options = ClassificationOptions(given, tuple(ignored), unknown_level, tolerance)
    search = search_minerals(measured, minerals, options.library, options.ignored, progress)
    chosen_tolerance = TOLERANCE if options.tolerance is None else options.tolerance
    pixels = int(np.prod(search.measured.cube.map_shape))
    search = replace(search, bins=merged_bins(search.bins, search.measured.sum_spectrum, pixels))
    counts, held = collect_counts(search.measured.cube, search.bins, progress)
    phases = find_mineral_phases(counts, held, search, options.library, chosen_tolerance, progress)
    areas, probability, misfit = phases.areas.copy(), phases.probability, phases.misfit
    limit = _MISFIT_LIMIT * ndtri(1 - options.unknown_level) / ndtri(1 - UNKNOWN_LEVEL)
    unexplained = misfit > limit
    areas[unexplained] = 0
    winner = areas.argmax(axis=1)
    undecided = ~unexplained & ~phases.decided
    named = [tuple(search.minerals[index] for index in members) for members in phases.members]
    unknown = np.array([not members for members in named])
    chosen = np.where(unexplained | undecided | unknown[winner], -1, winner)
    certain = np.where(
        unexplained, 1 - options.unknown_level, np.where(undecided, 1 - probability, probability)
    )
    kept = np.flatnonzero(~unknown)
    place = np.full(len(named), -1)
    place[kept] = np.arange(kept.size)
    cube = search.measured.cube
    classes = [mineral_class(named[index]) for index in kept]
    label_map, order = number_by_area(
        held, np.where(chosen >= 0, place[chosen], -1), certain, classes, cube.pixel_size, cube.name
    )
    templates = phases.templates
    members = {
        label: np.flatnonzero(np.isin(templates.owner, phases.members[kept[index]]))
        for label, index in enumerate(order, 2)
    }
    shown = np.full(cube.map_shape, np.nan, dtype=np.float32)
    shown[held] = misfit
    return Classification(
        label_map=label_map,
        groups=tuple(
            tuple(search.minerals[index].name for index in group) for group in phases.groups if len(group) > 1
        ),
        minerals=tuple(mineral.name for mineral in search.minerals),
        spectra=class_spectra(cube, label_map, templates, members, progress),
        misfit=shown,
        counts_per_pixel=search.counts_per_pixel,
        energy_range=(float(search.bins.energies[0]), float(search.bins.energies[-1])),
        method="likelihood",
        notes=(
            *search.notes,
            *phases.notes,
            f"{int(unexplained.sum())} pixels fit no mineral; {int(undecided.sum())} more cannot be decided",
        ),
        abundances=_abundances(label_map, held, areas, kept[list(order)]),
    )


def collect_counts(
    cube: SpectralCube, bins: EnergyBins, progress: Progress = ignore_progress
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the counts of measured pixels in bins, (n, B) in row order, and which these are, (Y, X)."""
    from napari_xrf.minerals.binning import binned_counts

    rows, columns, channels = cube.shape
    held = np.zeros((rows, columns), dtype=bool)
    parts = []
    for band, block in cube.blocks():
        spectra = np.asarray(block).reshape(-1, channels)
        flags = spectra.any(axis=1)
        held[band] = flags.reshape(-1, columns)
        parts.append(binned_counts(spectra, bins)[flags])
        progress(band.stop, rows, "comparing pixels with minerals")
    return np.concatenate(parts), held


def _abundances(
    label_map: LabelMap, held: NDArray[np.bool_], areas: NDArray[np.float32], order: NDArray[np.intp]
) -> Abundances:
    """Return what pixels hold of the classes of a label map; what none of them explains is unknown."""
    inside = areas[:, order]
    whole = np.zeros((*held.shape, order.size + 1), dtype=np.float32)
    whole[held, 0] = np.clip(1 - inside.sum(axis=1), 0, 1)
    whole[held, 1:] = inside
    return Abundances(whole, label_map.classes, label_map.pixel_size, label_map.source)
