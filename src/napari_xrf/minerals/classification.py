"""From a map of spectra to a map of minerals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LEAST_PROBABILITY, LabelMap, number_by_area
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.minerals.class_spectra import ClassSpectrum, class_spectra
from napari_xrf.minerals.goodness import MisfitThreshold, estimate_tolerance, misfit_threshold
from napari_xrf.minerals.likelihood import Likelihood, model_error
from napari_xrf.minerals.search import search_minerals
from napari_xrf.minerals.separability import confusion, inseparable_groups
from napari_xrf.minerals.templates import expect_templates
from napari_xrf.reference.minerals import Mineral, mineral_class

UNKNOWN_LEVEL = 1e-3
CANDIDATES = 6  # classes that are fitted in full; the rest are beaten in the scan
PIXELS_AT_ONCE = 2048
_ROUNDS_OF_SHARES = 20


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
    cube, instrument = search.measured.cube, search.measured.instrument
    templates = expect_templates(search.minerals, instrument, search.bins, progress)
    if templates.size == 0:
        raise InvalidInput("none of the minerals would show in this map", "Name others, or check the kV")
    tolerance = options.tolerance
    if tolerance is None:
        tolerance = estimate_tolerance(cube, templates, progress)
    errors = model_error(search.bins, tolerance)
    confused = confusion(templates, search.counts_per_pixel, errors, progress)
    groups = inseparable_groups(confused)
    templates, class_of = templates.by_class(groups)
    likelihood = Likelihood.of(templates, class_of, errors)
    threshold = misfit_threshold(likelihood, options.unknown_level, search.most_counts, progress)
    held, evidence = _collect_evidence(cube, likelihood, threshold, progress)
    winner, probability = evidence.decide(len(groups))
    pixels = np.arange(winner.size)
    misfit = np.full(cube.map_shape, np.nan, dtype=np.float32)
    misfit[held] = evidence.misfit[pixels, winner]
    unexplained = misfit[held] > threshold.at(evidence.counts)
    undecided = probability < LEAST_PROBABILITY
    chosen = np.where(unexplained | undecided, -1, evidence.classes[pixels, winner])
    named = [tuple(search.minerals[index] for index in group) for group in groups]
    # A pixel is unknown because good pixels hardly ever misfit so, or because no class is probable.
    certain = np.where(
        unexplained, 1 - options.unknown_level, np.where(undecided, 1 - probability, probability)
    )
    classes = [mineral_class(group) for group in named]
    label_map, order = number_by_area(held, chosen, certain, classes, cube.pixel_size, cube.name)
    members = {label: np.flatnonzero(class_of == index) for label, index in enumerate(order, 2)}
    return Classification(
        label_map=label_map,
        groups=tuple(tuple(each.name for each in group) for group in named if len(group) > 1),
        minerals=tuple(mineral.name for mineral in search.minerals),
        spectra=class_spectra(cube, label_map, templates, members, progress),
        misfit=misfit,
        counts_per_pixel=search.counts_per_pixel,
        energy_range=(float(search.bins.energies[0]), float(search.bins.energies[-1])),
        method="likelihood",
        notes=(
            *search.notes,
            f"expected spectra are taken to be off by {tolerance:.0%} per bin, more below 2 keV",
            *_remarks(unexplained, undecided, search.minerals, groups),
        ),
    )


@dataclass(frozen=True, eq=False)
class PixelEvidence:
    """What n pixels say about their K best classes.

    Attributes
    ----------
    counts
        (n,) counts in the bins.
    classes
        (n, K) class of each candidate.
    evidence
        (n, K) log-likelihood up to a constant per pixel.
    misfit
        (n, K) deviance less its expectation, in standard deviations.
    """

    counts: NDArray[np.float64]
    classes: NDArray[np.intp]
    evidence: NDArray[np.float32]
    misfit: NDArray[np.float32]

    def decide(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the index 0..K-1 of each pixel's most probable candidate, and its probability.

        ``number`` classes start as equally frequent; their shares in the map are then estimated from all
        pixels (expectation maximisation), so that a class that no pixel needs does not win at few counts.
        """
        shares = np.full(number, 1 / max(number, 1))
        likelihood = np.exp(self.evidence.astype(np.float64) - self.evidence.max(axis=1, keepdims=True))
        for _ in range(_ROUNDS_OF_SHARES):
            probability = likelihood * shares[self.classes]
            probability /= probability.sum(axis=1, keepdims=True)
            totals = np.bincount(self.classes.ravel(), probability.ravel(), minlength=number)
            # One pixel's worth over all classes keeps every class possible.
            shares = (totals + 1 / number) / (totals.sum() + 1)
        winner = probability.argmax(axis=1)
        return winner, probability[np.arange(winner.size), winner]


def _collect_evidence(
    cube: SpectralCube, likelihood: Likelihood, threshold: MisfitThreshold, progress: Progress
) -> tuple[NDArray[np.bool_], PixelEvidence]:
    """Return which pixels hold counts, (Y, X), and their evidence in row order."""
    from napari_xrf.minerals.likelihood_kernels import binned_counts

    rows, columns, channels = cube.shape
    measured = np.zeros((rows, columns), dtype=bool)
    parts: list[PixelEvidence] = []
    for band, block in cube.blocks():
        spectra = np.asarray(block).reshape(-1, channels)
        flags = measured[band].reshape(-1)
        for start in range(0, spectra.shape[0], PIXELS_AT_ONCE):
            few = spectra[start : start + PIXELS_AT_ONCE]
            held = few.any(axis=1)
            flags[start : start + PIXELS_AT_ONCE] = held
            counts = binned_counts(few, likelihood.templates.bins)[held]
            if counts.shape[0]:
                parts.append(_evidence_of(counts, likelihood, threshold))
            progress(band.start * columns + start, rows * columns, "comparing pixels with minerals")
    progress(rows * columns, rows * columns, "comparing pixels with minerals")
    names = [entry.name for entry in fields(PixelEvidence)]
    return measured, PixelEvidence(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def _evidence_of(
    counts: NDArray[np.float32], likelihood: Likelihood, threshold: MisfitThreshold
) -> PixelEvidence:
    """Return the evidence of pixels with counts (n, B).

    A pixel whose best class misfits with two compositions is fitted again with all of the class.
    """
    first, second = likelihood.best(counts, CANDIDATES)
    evidence, misfit = likelihood.fit(counts, first, second)
    totals = counts.sum(axis=1, dtype=np.float64)
    classes = likelihood.class_of[first]
    rank = evidence.argmax(axis=1)
    pixels = np.arange(rank.size)
    badly = misfit[pixels, rank] > threshold.at(totals)
    best = classes[pixels, rank]
    for which in np.unique(best[badly]):
        again = np.flatnonzero(badly & (best == which))
        if np.count_nonzero(likelihood.class_of == which) < 3:
            continue
        fuller, closer = likelihood.fit_class(counts[again], int(which))
        better = fuller > evidence[again, rank[again]]
        again, fuller, closer = again[better], fuller[better], closer[better]
        evidence[again, rank[again]] = fuller
        misfit[again, rank[again]] = closer
    return PixelEvidence(totals, classes, evidence, misfit)


def _remarks(
    unexplained: NDArray[np.bool_],
    undecided: NDArray[np.bool_],
    minerals: Sequence[Mineral],
    groups: Sequence[tuple[int, ...]],
) -> tuple[str, ...]:
    shown = {index for group in groups for index in group}
    hidden = [mineral.name for index, mineral in enumerate(minerals) if index not in shown]
    remarks = [
        f"{int(unexplained.sum())} pixels fit no mineral; "
        f"{int((undecided & ~unexplained).sum())} more cannot be decided"
    ]
    if hidden:
        remarks.append(f"nothing of {', '.join(hidden)} would show in this map")
    return tuple(remarks)
