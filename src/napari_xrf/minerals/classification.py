"""From a map of spectra to a map of minerals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.cores import in_threads, one_thread_of
from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.display import html_of, size_text
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap, number_by_area
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.maps.crystal_reflections import Reflections
from napari_xrf.minerals.class_spectra import ClassSpectrum, mean_spectra
from napari_xrf.minerals.likelihood.binned_map import BinnedMap, merged_bins
from napari_xrf.minerals.likelihood.scan import TOLERANCE
from napari_xrf.minerals.likelihood.templates import EnergyBins, Templates
from napari_xrf.minerals.method_choice import MethodChoice
from napari_xrf.minerals.mineral_phases import MineralPhases, PixelPhases, learn_mineral_phases
from napari_xrf.minerals.mixing.mixtures import MOST_MISFIT
from napari_xrf.minerals.search import search_minerals
from napari_xrf.reference.minerals import Mineral, mineral_class

UNKNOWN_LEVEL = 1e-3
MARGIN = 2  # rows around those that are mapped: a pixel's neighbours have neighbours
_NOT_MEASURED = -2
_LEAST_PART = 0.005  # of the map's area, of a class without a pixel of its own
_MOST_TOLD = 3  # classes that pixels which cannot be decided are most like
_LEAST_HELD = 0.02  # of the area of a class's pixels, of what explains their spectrum


@dataclass(frozen=True, eq=False)
class ClassificationOptions:
    """How to find the mineral of each pixel.

    Raises InvalidInput for an unknown element, or a level or tolerance that cannot be.
    """

    # Where an automatic choice is made from: the shipped library by default.
    library: tuple[Mineral, ...] | None = None
    # Symbols of elements whose lines come from elsewhere, such as a holder; these energies are left out.
    # Argon, of the air, always is unless the file says vacuum.
    ignored: tuple[str, ...] = ()
    # Share of pixels of known minerals that may be called unknown by mistake, above 0 to 0.5.
    unknown_level: float = UNKNOWN_LEVEL
    # Relative standard deviation of the expected spectra per bin of half a detector's resolution, 0.01 to 1;
    # it counts at high energies and grows towards low ones. None: 0.03.
    tolerance: float | None = None
    # Whether peaks of diffraction in single grains stay; else those that surely are no element's go.
    keep_reflections: bool = False

    def __post_init__(self) -> None:
        for element in self.ignored:
            atomic_number(element)
        if not 0 < self.unknown_level <= 0.5:
            raise InvalidInput(f"the unknown level must be above 0 and at most 0.5, not {self.unknown_level}")
        if self.tolerance is not None and not 0.01 <= self.tolerance <= 1:
            raise InvalidInput(f"the tolerance must be between 0.01 and 1, not {self.tolerance}")

    @property
    def of_the_map(self) -> "ClassificationOptions":
        """Those options that every method takes: what is done to the map before."""
        return ClassificationOptions(keep_reflections=self.keep_reflections)

    def of_the_likelihood(self) -> Iterator[str]:
        """Yield the names of the options that are set and that no other method takes."""
        common = self.of_the_map
        for each in fields(self):
            if getattr(self, each.name) != getattr(common, each.name):
                yield each.name


AS_USUAL = ClassificationOptions()


@dataclass(frozen=True, eq=False)
class Classification:
    """A mineral map and how it came about."""

    label_map: LabelMap  # 1 is "unknown", the classes that occur follow from 2 on by falling area
    # Names of the minerals that cannot be told apart in this map, one tuple per group of two or more; also
    # groups that no pixel belongs to.
    groups: tuple[tuple[str, ...], ...]
    minerals: tuple[str, ...]  # names of all minerals that were looked for
    # Mean measured spectrum of each class that occurs, with what its minerals explain of it.
    spectra: tuple[ClassSpectrum, ...]
    # (Y, X) how far each pixel's spectrum is from its best mineral: deviance less its expectation, in
    # standard deviations; NaN where nothing was measured, and everywhere when a network decided.
    misfit: NDArray[np.float32]
    counts_per_pixel: float  # median of the measured pixels, in the energies that were used
    energy_range: tuple[float, float]  # (low, high) keV that were used
    method: str  # "likelihood", or the name of the network
    # What the user should know, one sentence each: calibration, range, minerals left out.
    notes: tuple[str, ...]
    abundances: Abundances | None = None  # what each pixel holds of the classes; None when a network decided
    # Why this method was taken, where several were compared on twins of the map.
    choice: MethodChoice | None = None
    # (Y, X) which of the unknown pixels could be one of several minerals, where the others fit none; None
    # when a network decided.
    undecided: NDArray[np.bool_] | None = None
    # The notes that say why nothing here is to be trusted: a network trained for other excitation, a list of
    # minerals that most of the map is none of.
    doubts: tuple[str, ...] = ()
    # Of single grains: the sure ones were taken out. None where they were to stay, or were not looked for.
    reflections: Reflections | None = None

    def __repr__(self) -> str:
        shares = (self.abundances or self.label_map).shares()
        told = ", ".join(
            f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda one: -one[1])
        )
        size = size_text(self.label_map.labels.shape, self.label_map.pixel_size)
        return f"<Classification by {self.method}: {told or 'nothing measured'} of the area; {size}>"

    def _repr_html_(self) -> str:
        return html_of(f"{self!r} {' '.join(self.notes)}", ("classes", self.label_map.picture()))

    def abundances_of(self, label_map: LabelMap) -> Abundances | None:
        """Return the abundances, or None where a label map was cleaned up or edited: it has none."""
        return self.abundances if np.array_equal(label_map.labels, self.label_map.labels) else None


class Classify(Protocol):
    """What every method is called by, :func:`classify_minerals` and those that are chosen by name."""

    def __call__(
        self,
        measured: Measured,
        minerals: Sequence[Mineral] | None,
        options: ClassificationOptions,
        *,
        progress: Progress,
    ) -> Classification:
        """Find the mineral of each pixel."""


def classify_minerals(
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    progress: Progress = ignore_progress,
) -> Classification:
    """Find the mineral of each pixel: the one under which its counts are most likely.

    Scale and continuum are free, see ``docs/minerals.md``; networks are another method, see
    :func:`~napari_xrf.learning.prediction.network_method.classify_by`.

    Raises InvalidInput for a map without counts, or when no mineral is left.

    ``measured``: the map. ``minerals``: what to look for. None: all minerals of the library whose visible
    elements are all found in the map. ``options``: how.
    """
    plan, binned = plan_minerals(measured, minerals, options, progress=progress)
    return plan.outline.conclude(plan.map(binned, progress=progress))


@dataclass(frozen=True, eq=False)
class MineralRows:
    """What was found in some rows of a map."""

    # (rows, X) the phase of each pixel, −1 for unknown, −2 where nothing was measured
    chosen: NDArray[np.int16]
    # confidence, misfit: (rows, X) how probable that is, and how far the spectrum is from what is expected
    confidence: NDArray[np.float32]
    misfit: NDArray[np.float32]
    areas: NDArray[np.float32]  # (rows, X, K) parts of the phases
    sums: NDArray[Any]  # (1 + K, E) counts of the unknown pixels and of those of each phase
    unexplained: int  # how many pixels fit no mineral
    undecided: NDArray[np.bool_]  # (rows, X) which more cannot be decided


def joined_rows(parts: Sequence[MineralRows]) -> MineralRows:
    """Return what was found in all rows."""
    if len(parts) == 1:
        return parts[0]
    return MineralRows(
        np.concatenate([part.chosen for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.misfit for part in parts]),
        np.concatenate([part.areas for part in parts]),
        np.sum([part.sums for part in parts], axis=0),
        sum(part.unexplained for part in parts),
        np.concatenate([part.undecided for part in parts]),
    )


@dataclass(frozen=True, eq=False)
class MineralOutline:
    """What a mineral map is told of, beside its pixels."""

    minerals: tuple[Mineral, ...]  # what was looked for
    # K tuples: the places of the minerals that each phase may be; an empty one is unknown
    phases: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...]  # minerals that the map does not tell apart
    templates: Templates  # expected spectra of the minerals as the map shows them
    counts_per_pixel: float  # median of the measured pixels, in the energies used
    notes: tuple[str, ...]  # one sentence each
    # name, pixel_size: of the map
    name: str
    pixel_size: tuple[float, float] | None
    doubts: tuple[str, ...] = ()  # those of the notes that speak against the list
    reflections: Reflections | None = None  # as in MineralSearch

    def conclude(self, rows: MineralRows) -> Classification:
        """Return the mineral map of all rows: classes by falling area, with their spectra."""
        named = [tuple(self.minerals[index] for index in members) for members in self.phases]
        kept = np.array([place for place, members in enumerate(named) if members], dtype=np.intp)
        place = np.full(len(named) + 2, -1)  # the last two: of nothing measured, and of unknown
        place[kept] = np.arange(kept.size)
        held = rows.chosen > _NOT_MEASURED
        classes = [mineral_class(named[index]) for index in kept]
        # Parts of mixtures that are the largest nowhere are part of the rock all the same.
        areas = rows.areas[held][:, kept].mean(axis=0) if held.any() else np.zeros(kept.size)
        parts = [index for index in np.argsort(-areas).tolist() if areas[index] > _LEAST_PART]
        label_map, order = number_by_area(
            held, place[rows.chosen[held]], rows.confidence[held], classes, self.pixel_size, self.name, parts
        )
        phases = {label: int(kept[index]) for label, index in enumerate(order, 2)}
        members = {label: self._held_by(rows, phase) for label, phase in phases.items()}
        sums = {1: rows.sums[0], **{label: rows.sums[1 + phase] for label, phase in phases.items()}}
        energies = self.templates.bins.energies
        return Classification(
            label_map=label_map,
            groups=tuple(
                tuple(self.minerals[index].name for index in group) for group in self.groups if len(group) > 1
            ),
            minerals=tuple(mineral.name for mineral in self.minerals),
            spectra=mean_spectra(sums, label_map, self.templates, members),
            misfit=rows.misfit,
            counts_per_pixel=self.counts_per_pixel,
            energy_range=(float(energies[0]), float(energies[-1])),
            method="likelihood",
            notes=(
                *self.notes,
                f"{rows.unexplained} pixels fit no mineral; {rows.undecided.sum()} more cannot be decided"
                + self._most_like(rows, classes, kept),
            ),
            abundances=_abundances(label_map, rows.areas, list(phases.values())),
            undecided=rows.undecided,
            doubts=self.doubts,
            reflections=self.reflections,
        )

    @staticmethod
    def _most_like(rows: MineralRows, classes: Sequence[LabelClass], kept: NDArray[np.intp]) -> str:
        """Return what the pixels that cannot be decided are most like."""
        areas = rows.areas[rows.chosen == -1]
        guessed = areas[areas.sum(axis=1) > 0].argmax(axis=1)
        pixels = np.bincount(guessed, minlength=areas.shape[1])[kept]
        most = [place for place in np.argsort(-pixels)[:_MOST_TOLD].tolist() if pixels[place]]
        named = ", ".join(f"{classes[place].name} ({pixels[place]})" for place in most)
        return f", most like {named}" if named else ""

    def _held_by(self, rows: MineralRows, phase: int) -> NDArray[np.intp]:
        """Return the templates of the minerals that the pixels of a phase are made of."""
        own = rows.chosen == phase
        areas = rows.areas[own].mean(axis=0) if own.any() else np.zeros(len(self.phases))
        held = {phase, *np.flatnonzero(areas > _LEAST_HELD).tolist()}
        members = [index for place in held for index in self.phases[place]]
        return np.flatnonzero(np.isin(self.templates.owner, members))


@dataclass(frozen=True, eq=False)
class MineralPlan:
    """What the pixels of a map share when their minerals are looked for: rows can be mapped anywhere."""

    bins: EnergyBins  # energies that are compared
    found: MineralPhases  # the phases of the map
    limit: float  # misfit above which nothing explains a pixel
    unknown_level: float  # as asked for
    outline: MineralOutline  # what else is told of the map

    def rows_of(self, cube: SpectralCube, rows: slice, memory_budget: int | None = None) -> BinnedMap:
        """Return some rows of the whole map and those around them, in bins; no others are read."""
        wide = slice(max(rows.start - MARGIN, 0), min(rows.stop + MARGIN, cube.shape[0]))
        if self.outline.reflections is not None:
            cube = self.outline.reflections.taken_out_of(cube)
        return BinnedMap(cube.band(wide).load(memory_budget), self.bins, wide.start)

    def map(
        self, binned: BinnedMap, rows: slice | None = None, progress: Progress = ignore_progress
    ) -> MineralRows:
        """Return what rows of the map hold, by default all of them.

        Rows that begin at a multiple of
        :func:`~napari_xrf.minerals.likelihood.binned_map.rows_at_once` give the same bits as the whole map.
        """
        first, cube = binned.first_row, binned.cube
        rows = slice(first, first + cube.shape[0]) if rows is None else rows
        shape = (rows.stop - rows.start, cube.shape[1])
        number = len(self.outline.phases)
        nameless = np.array([not members for members in self.outline.phases])
        result = MineralRows(
            np.full(shape, _NOT_MEASURED, dtype=np.int16),
            np.zeros(shape, dtype=np.float32),
            np.full(shape, np.nan, dtype=np.float32),
            np.zeros((*shape, number), dtype=np.float32),
            np.zeros((1 + number, cube.shape[2]), np.float64 if cube.counts.dtype.kind == "f" else np.uint64),
            0,
            np.zeros(shape, dtype=bool),
        )
        unexplained = 0
        binned.held(rows)  # read once, before threads look at it

        def held_by(band: slice) -> tuple[slice, PixelPhases]:
            return band, self.found.of_rows(binned, band)

        with one_thread_of("blas"):
            wide = binned.wide_bands(0, "comparing pixels with minerals", progress, rows)
            for band, found in in_threads(held_by, (band for band, _, _ in wide)):
                held, at = binned.held(band), slice(band.start - rows.start, band.stop - rows.start)
                wrong = found.misfit > self.limit
                guessed = ~wrong & ~found.decided
                winner = np.where(wrong[:, None], 0, found.areas).argmax(axis=1)
                result.chosen[at][held] = np.where(wrong | guessed | nameless[winner], -1, winner)
                result.confidence[at][held] = np.where(
                    wrong, 1 - self.unknown_level, np.where(guessed, 1 - found.probability, found.probability)
                )
                result.misfit[at][held] = found.misfit
                result.areas[at][held] = np.where(wrong[:, None], 0, found.areas)
                unexplained += int(wrong.sum())
                result.undecided[at][held] = guessed
        labels = (result.chosen - _NOT_MEASURED).astype(np.uint16)
        own = cube.band(slice(rows.start - first, rows.stop - first))
        for label, total in sum_classes(own, labels, progress).items():
            result.sums[label - 1] += total
        return replace(result, unexplained=unexplained)


def plan_minerals(
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    progress: Progress = ignore_progress,
) -> tuple[MineralPlan, BinnedMap]:
    """Learn from a whole map what its minerals are found with, and return the map in bins beside it.

    Parameters and errors are those of :func:`classify_minerals`.
    """
    if minerals is not None and not minerals:
        raise InvalidInput("there is no mineral to look for", "Name at least one")
    search = search_minerals(
        measured,
        minerals,
        options.library,
        options.ignored,
        progress,
        keep_reflections=options.keep_reflections,
    )
    known = search.measured
    chosen_tolerance = TOLERANCE if options.tolerance is None else options.tolerance
    pixels = int(np.prod(known.cube.map_shape))
    search = replace(search, bins=merged_bins(search.bins, known.sum_spectrum, pixels))
    binned = BinnedMap(known.cube, search.bins)
    found = learn_mineral_phases(binned, search, options.library, chosen_tolerance, progress)
    outline = MineralOutline(
        search.minerals,
        found.members,
        found.groups,
        found.templates,
        search.counts_per_pixel,
        (*search.notes, *found.notes),
        known.cube.name,
        known.cube.pixel_size,
        found.doubts,
        search.reflections,
    )
    limit = MOST_MISFIT * float(ndtri(1 - options.unknown_level) / ndtri(1 - UNKNOWN_LEVEL))
    return MineralPlan(search.bins, found, limit, options.unknown_level, outline), binned


def _abundances(label_map: LabelMap, areas: NDArray[np.float32], order: Sequence[int]) -> Abundances:
    """Return what pixels hold of the classes of a label map; what none of them explains is unknown."""
    whole = np.zeros((*areas.shape[:2], len(order) + 1), dtype=np.float32)
    for place, phase in enumerate(order, 1):
        whole[..., place] = areas[..., phase]
    rest = 1 - whole[..., 1:].sum(axis=2)
    whole[..., 0] = np.where(label_map.labels > 0, np.clip(rest, 0, 1), 0)
    return Abundances(whole, label_map.classes, label_map.pixel_size, label_map.source)
