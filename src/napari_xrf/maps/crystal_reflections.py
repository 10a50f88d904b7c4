"""Peaks of diffraction in grains of a map: crystals reflect the tube's continuum into the detector (Bragg).

A crystal that happens to lie so that nλ = 2 d sin θ sends a narrow band of the continuum to the detector: a
peak at any energy, in one grain and not in the next of the same mineral. It is no element, and a second
detector, which looks from elsewhere, does not see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.colors import spread_color
from napari_xrf.core.constants import ELECTRON_REST_KEV
from napari_xrf.core.cores import in_threads
from napari_xrf.core.counts import Counts, indices_of
from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.parameters import parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, cube_of, find_elements
from napari_xrf.maps.pixels.windows import EnergyWindow, window_sums
from napari_xrf.maps.spectra.candidates import Candidate, candidates, columns_of, ordered_families
from napari_xrf.maps.spectra.setting import Setting

_STEP = 0.5  # of the resolution, between the energies that are looked at
_HALF_WIDTH = 0.85  # of the resolution: convergent beams broaden reflections
_BANDS = (1.3, 2.1)  # of the resolution: where the counts under a peak are told from, on both sides
_LOWEST_KEV, _HIGHEST_KEV = 2.0, 15.0  # beyond it reflections are weak and run together
_HIGHEST_PART = 0.7  # of the tube's voltage: little shines above
_OFF_LINES = 0.9  # of the resolution, from lines that the map shows
_SHOWN_PART = 0.2  # of a window's counts, that the map's elements make: its other lines tell weaker ones
_STRONG_PART = 0.02  # of all counts: whose escape peaks and sums of pulses are seen
_ESCAPE_KEV = 1.74  # Si Kα
_STANDS_OUT = 5.0  # standard errors of a pixel with its eight neighbours
_FEWEST_COUNTS = 12.0  # net, of these
_LEAST_PIXELS = 4  # of a grain
_CONTINUUM_ERROR = 0.05  # of the counts under a peak, as told from both sides
_ROUNDS = 3
_SAME_GRAIN = 0.5  # part of the smaller of two places that both share
_SURE = 3.0  # standard errors
_NEAR = 0.35  # of the resolution: an element's line may be the peak
_LESS, _MORE = 0.5, 1.8  # times what another line of an element is expected to be
_OVERLAPPING = 0.3  # part of a peak that lines beside it hold: together they may be it (Th Mα and Mβ)
_LEAST_SHARE = 0.005  # of a family, of a line that may be a peak
_BELIEVED = 0.9  # probability of an element of the map that needs no proof in a grain
_SAME_PEAK = 0.7  # of the resolution
# Of what another detector would count of a line: what its angle changes, errors that tell, what is none
_DIFFERENT, _KNOWN, _ODD = 0.15, 0.3, 0.6
_LEAST_LINE = 0.05  # of a family: a line that tells whether it is there
_KEPT_BYTES = 256 * 2**20


@parameters
class ReflectionOptions:
    """What becomes of reflections before minerals and phases are looked for.

    Attributes
    ----------
    keep_reflections
        Peaks of diffraction in single grains stay in the map; else those that surely are no element's go.
    """

    keep_reflections: bool = False


COLUMNS = (
    "grain", "pixels", "energy_kev", "net_counts", "standard_error", "sure", "may_be", "other_detector",
)  # fmt: skip


@dataclass(frozen=True)
class Reflection:
    """A peak in one grain that no element explains."""

    grain: int  # its number in the map of grains
    energy_kev: float
    net_counts: float  # of all pixels of the grain
    standard_error: float
    # Elements with a line there whose other lines would be too weak to be seen in this grain
    may_be: tuple[str, ...] = ()
    # What a second detector counts there over what it would count of a line; None where none was compared
    other_detector: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether no element may be meant, or another detector sees far less or more than of a line."""
        return not self.may_be or (self.other_detector is not None and abs(self.other_detector - 1) > _ODD)


@dataclass(frozen=True, eq=False)
class Reflections:
    """The reflections of a map.

    Attributes
    ----------
    peaks
        By grain, and by energy in each.
    grains
        (Y, X) uint32: the grain that reflects, 0 where none does; the largest is 1.
    counts
        (Y, X) float32 net counts of all reflections of a pixel's grain.
    reason
        What was looked for and where, in a sentence.
    """

    peaks: tuple[Reflection, ...]
    grains: NDArray[np.uint32]
    counts: NDArray[np.float32]
    reason: str
    windows: tuple[EnergyWindow, ...] = ()  # of the peaks
    pixel_size: tuple[float, float] | None = None
    source: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a map without its sure reflections is told with, a sentence each; none where it shows none."""
        sure, unsure = ([p for p in self.peaks if p.is_sure is each] for each in (True, False))
        told = []
        if sure:
            pixels = int(np.isin(self.grains, [peak.grain for peak in sure]).sum())
            energies = ", ".join(f"{peak.energy_kev:.2f}" for peak in sure)
            told.append(
                f"taken out of {_counted(pixels, 'pixel')}: {_counted(len(sure), 'reflection')} of single"
                f" grains ({energies} keV), which no element explains"
            )
        if unsure:
            energies = ", ".join(f"{p.energy_kev:.2f} keV ({'/'.join(p.may_be)})" for p in unsure)
            told.append(f"reflections of single grains, or elements, are left in: {energies}")
        return tuple(told)

    def taken_out_of(self, cube: SpectralCube) -> SpectralCube:
        """Return the map without its sure reflections: counts there are as those on both sides of a peak.

        ``cube``: the map that they were found in, itself where there are none. It is read when asked for.
        What was done stands among the warnings of its provenance.
        """
        sure: dict[int, list[EnergyWindow]] = {}
        for peak, window in zip(self.peaks, self.windows, strict=True):
            if peak.is_sure:
                sure.setdefault(peak.grain, []).append(window)
        if not sure:
            return cube
        note = self.notes[0]
        warnings = (*cube.provenance.warnings, f"{note[0].upper()}{note[1:]}.")
        counts = _WithoutPeaks(cube.counts, self.grains, sure)
        return replace(cube, counts=counts, provenance=replace(cube.provenance, warnings=warnings))

    @property
    def label_map(self) -> LabelMap:
        """The grains as classes that are named by the energies of their peaks; other pixels are none."""
        classes = []
        for grain in sorted({peak.grain for peak in self.peaks}):
            energies = ", ".join(f"{peak.energy_kev:.2f}" for peak in self.peaks if peak.grain == grain)
            classes.append(LabelClass(grain, f"{grain}: {energies} keV", "", spread_color(grain - 1)))
        return LabelMap(self.grains, tuple(classes), None, self.pixel_size, self.source)

    def __repr__(self) -> str:
        return f"<Reflections: {self.reason}>"


def find_reflections(
    measured: Measured, *, beside: Measured | None = None, progress: Progress = ignore_progress
) -> Reflections:
    """Find the peaks that single grains show and no element explains.

    At each energy off the lines of the map's elements the counts of a pixel and its neighbours are compared
    with those on both sides. Where at least four pixels together show a peak, their sum is asked whether it
    is an element's line: then the other lines of its family are there.

    ``beside``: the map of another detector of the same shape; a line is as strong there as all else is, a
    reflection is not. Raises InvalidInput where it does not fit the map.
    """
    known = calibrate_map(measured, progress=progress)
    if beside is None:
        return known.once("reflections", lambda: _found(known, None, progress))
    other = calibrate_map(beside, progress=progress)
    if other.cube.map_shape != known.cube.map_shape:
        raise InvalidInput(
            f"the other detector's map is {other.cube.map_shape}, this one {known.cube.map_shape}",
            "Give two detectors of one map",
        )
    return _found(known, other, progress)


def _found(known: CalibratedMap, other: CalibratedMap | None, progress: Progress) -> Reflections:
    """Return the reflections of a map, compared with another detector's where there is one."""
    cube, setting = known.cube, known.setting
    if setting.kind not in ("tube", None) or cube.is_one_spectrum or not known.holds_counts:
        why = "only grains of a map, under a tube, reflect a continuum into the detector"
        return _none(cube, f"no reflections were looked for: {why}")
    lines, mains = _lines(known, progress)
    windows = _windows(known, lines, mains)
    looked_at = sum(window is not None for window in windows)
    places = _peaks(known, windows, progress) if looked_at else []
    grains, of_grain = _grains(places, cube.map_shape)
    spectra = sum_classes(cube, grains, progress)
    others = None if other is None else sum_classes(other.cube, grains, progress)
    pool, peaks = candidates(setting) if of_grain else (), []
    elements = find_elements(known)
    held = frozenset(one.element for one in elements if one.probability > _BELIEVED)
    shown = frozenset(one.element for one in elements)
    main_kev = [line for line, _ in mains]
    for grain, energies in sorted(of_grain.items()):
        spectrum = spectra[grain].astype(np.float64)
        for energy in _apart(energies, setting):
            found = _judged(grain, energy, spectrum, setting, pool, held, shown)
            if found is not None and _is_ghost(found.energy_kev, spectrum, main_kev, setting):
                continue
            if found is not None and other is not None and others is not None:
                found = _compared(found, spectrum, setting, others[grain].astype(np.float64), other.setting)
            if found is not None:
                peaks.append(found)
    return _numbered(peaks, grains, known, looked_at, progress)


def reflection_rows(found: Reflections) -> list[dict[str, Any]]:
    """Return one row of :data:`COLUMNS` per peak; elements that it may be are joined: ``Ni;Ho``."""
    pixels = np.bincount(found.grains.ravel())
    return [
        {
            "grain": peak.grain,
            "pixels": int(pixels[peak.grain]),
            "energy_kev": round(peak.energy_kev, 4),
            "net_counts": round(peak.net_counts, 1),
            "standard_error": round(peak.standard_error, 1),
            "sure": peak.is_sure,
            "may_be": ";".join(peak.may_be),
            "other_detector": "" if peak.other_detector is None else round(peak.other_detector, 3),
        }
        for peak in found.peaks
    ]


def without_reflections(
    measured: Measured, found: Reflections | None = None, *, progress: Progress = ignore_progress
) -> SpectralCube:
    """Return a map whose reflections are gone (:meth:`Reflections.taken_out_of`).

    Peaks that may be an element's stay. ``found``: what :func:`find_reflections` found in this map, where it
    is known.
    """
    return (found or find_reflections(measured, progress=progress)).taken_out_of(cube_of(measured))


def calibrated_without(
    known: CalibratedMap, progress: Progress = ignore_progress
) -> tuple[CalibratedMap, Reflections]:
    """Return a calibrated map without its sure reflections, itself where there are none, and all found.

    It is calibrated anew, unless a plan did: the peaks misled the axis and the resolution, too.
    """
    found = find_reflections(known, progress=progress)
    cube = found.taken_out_of(known.cube)
    if cube is known.cube:
        return known, found
    return known.once("without reflections", lambda: known.of_cube(cube, progress)), found


class _WithoutPeaks:
    """Counts of a map without some peaks, read when asked for.

    ``counts``: (Y, X, E) those of the map. ``grains``: (Y, X) of which grain each pixel is. ``windows``: the
    peaks of each.
    """

    def __init__(
        self, counts: Counts, grains: NDArray[np.uint32], windows: dict[int, list[EnergyWindow]]
    ) -> None:
        self._counts, self._grains, self._windows = counts, grains, windows
        self.shape, self.dtype, self.ndim = counts.shape, counts.dtype, 3

    def __getitem__(self, key: Any, /) -> Any:
        (y, pick_y), (x, pick_x), (e, pick_e) = indices_of(key, self.shape)
        rows, columns, channels = (np.asarray(part, dtype=np.intp) for part in (y, x, e))
        if not np.isin(self._grains[rows], list(self._windows)).any():
            return self._counts[key]
        band = slice(int(rows.min()), int(rows.max()) + 1)
        counts = np.array(self._counts[band])
        for grain, windows in self._windows.items():
            own = self._grains[band] == grain
            spectra = counts[own]
            for window in windows if own.any() else ():
                wide = window.peak.stop - window.peak.start
                under = np.repeat(_under(window, spectra.astype(np.float64))[:, None] / wide, wide, axis=1)
                spectra[:, window.peak] = under if counts.dtype.kind == "f" else _whole(under)
            counts[own] = spectra
        chosen = counts[np.ix_(rows - band.start, columns, channels)]
        return chosen[..., pick_e][:, pick_x][pick_y]


def _none(cube: SpectralCube, reason: str) -> Reflections:
    shape = cube.map_shape
    nothing = np.zeros(shape, np.uint32), np.zeros(shape, np.float32)
    return Reflections((), *nothing, reason, (), cube.pixel_size, cube.name)


def _windows(
    known: CalibratedMap, lines: NDArray[np.float64], mains: Sequence[tuple[float, float]]
) -> tuple[EnergyWindow | None, ...]:
    """Return a window at each energy, half a resolution apart; None where the map shows lines."""
    setting = known.setting
    fwhm = setting.detector.fwhm
    least = _STRONG_PART * known.sum_spectrum.sum()
    ghosts = _ghosts([line for line, net in mains if net > least])
    energy, most = max(setting.low, _LOWEST_KEV), _highest(setting)
    windows: list[EnergyWindow | None] = []
    tube = _tube_ranges(setting)
    while energy < most:
        width = float(fwhm(energy))
        window = _window(energy, setting)
        counts = float(known.sum_spectrum[window.peak].sum())
        of_lines = abs(_expected(window, lines))
        shown = of_lines > _SHOWN_PART * counts
        shown |= any(abs(energy - ghost) < _OFF_LINES * width for ghost in ghosts)
        shown |= any(low - 2 * width < energy < high + width for low, high in tube)
        windows.append(None if shown else window)
        energy += _STEP * width
    return tuple(windows)


def _ghosts(strong: Sequence[float]) -> list[float]:
    """Return keV of escape peaks and sums of pulses of strong lines."""
    sums = [one + other for place, one in enumerate(strong) for other in strong[place:]]
    return [line - _ESCAPE_KEV for line in strong] + sums


def _is_ghost(energy: float, spectrum: NDArray[np.float64], mains: Sequence[float], setting: Setting) -> bool:
    """Tell whether a peak lies where lines strong in its grain, be they weak in the map, have ghosts."""
    least = _STRONG_PART * float(spectrum.sum())
    strong = [line for line in mains if _net(_window(line, setting), spectrum)[0] > least]
    near = _OFF_LINES * float(setting.detector.fwhm(energy))
    return any(abs(energy - ghost) < near for ghost in _ghosts(strong))


def _lines(known: CalibratedMap, progress: Progress) -> tuple[NDArray[np.float64], list[tuple[float, float]]]:
    """Return what a map's elements shine in all (E,), and of each keV of its main line and its net counts."""
    total, mains = np.zeros(known.sum_spectrum.size), []
    for one in find_elements(known, progress=progress):
        columns = columns_of(one.families, known.setting)
        total += one.net_counts * columns.sum(axis=0)
        mains.append((float(known.setting.energy.energies[columns[0].argmax()]), one.net_counts))
    return total, mains


def _tube_ranges(setting: Setting) -> list[tuple[float, float]]:
    """Return ranges in keV where scattered lines of the anode lie: with twice the loss of energy, or none."""
    if setting.anode is None:
        return []
    ranges, energies = [], setting.energy.energies
    for family in ordered_families(setting.anode, setting):
        (column,) = columns_of((family,), setting)
        for place in np.flatnonzero(column > _LEAST_LINE * column.max()):
            least = energies[place] / (1 + 4 * energies[place] / ELECTRON_REST_KEV)
            ranges.append((float(least), float(energies[place])))
    return ranges


def _window(energy: float, setting: Setting) -> EnergyWindow:
    """Return the window of a peak and the bands on both sides."""
    width, axis = float(setting.detector.fwhm(energy)), setting.energy
    near, far = (reach * width for reach in _BANDS)
    peak = axis.window(energy - _HALF_WIDTH * width, energy + _HALF_WIDTH * width)
    bands = axis.window(energy - far, energy - near), axis.window(energy + near, energy + far)
    return EnergyWindow(f"{energy:.2f} keV", peak, *bands, 1.0)


def _under(window: EnergyWindow, spectra: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the counts under a peak, as the bands on both sides tell, of spectra (…, E)."""
    low, high = window.background_factors()
    return np.asarray(
        low * spectra[..., window.below].sum(axis=-1) + high * spectra[..., window.above].sum(axis=-1)
    )


def _expected(window: EnergyWindow, column: NDArray[np.float64]) -> float:
    """Return what a window takes for net counts of expected ones (E,); beside a line it is below 0."""
    return float(column[window.peak].sum() - _under(window, column))


def _net(window: EnergyWindow, spectrum: NDArray[np.float64]) -> tuple[float, float]:
    """Return the net counts of a peak in a spectrum (E,), and their standard error."""
    sums = np.array([spectrum[part].sum() for part in (window.peak, window.below, window.above)])
    net, variance = map(float, window.net(sums))
    return net, math.sqrt(max(variance + (_CONTINUUM_ERROR * (sums[0] - net)) ** 2, 1.0))


def _least_under(window: EnergyWindow, spectrum: NDArray[np.float64]) -> float:
    """Return the least that may lie under a peak: lines beside it raise what both sides tell."""
    channels = window.peak.stop - window.peak.start
    around = spectrum[max(window.below.start - channels, 0) : window.above.stop + channels]
    return float(np.convolve(around, np.ones(channels), mode="valid").min())


def _peaks(
    known: CalibratedMap, windows: Sequence[EnergyWindow | None], progress: Progress
) -> list[tuple[NDArray[np.intp], float]]:
    """Return where pixels together show a peak: their places (flat) and about its energy in keV."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    hot, excess = _hot_pixels(known.cube, windows, progress)
    if not len(hot):
        return []
    pairs = cKDTree(hot).query_pairs(1.0, p=np.inf, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(hot), len(hot)))
    number, together = connected_components(graph, directed=False)
    order = np.argsort(together, kind="stable")
    places = []
    for own in np.split(order, np.cumsum(np.bincount(together, minlength=number))[:-1]):
        # The sum of nine pixels reaches over a grain's edge, where it is about half as much as inside.
        inside = own[excess[own] > 0.5 * np.quantile(excess[own], 0.8)]
        pixels = np.unique(hot[inside, 1] * known.cube.shape[1] + hot[inside, 2])
        strongest = windows[hot[own[excess[own].argmax()], 0]]
        if pixels.size >= _LEAST_PIXELS and strongest is not None:
            places.append((pixels, float(known.energy.energies[strongest.peak].mean())))
    return places


def _hot_pixels(
    cube: SpectralCube, windows: Sequence[EnergyWindow | None], progress: Progress
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return window, row and column (n, 3) where a peak stands out, more than beside, and its net counts."""
    kept = [place for place, window in enumerate(windows) if window is not None]
    looked_at = tuple(window for window in windows if window is not None)
    rows, columns = cube.map_shape
    # Filled band by band, read window by window.
    sums = scratch_array((rows, columns, 3 * len(kept)), np.float32, _KEPT_BYTES, 1)

    def of_block(one: tuple[slice, NDArray[np.generic]]) -> tuple[slice, NDArray[np.float64]]:
        found = window_sums(one[1], looked_at)
        low, high = np.array([window.background_factors() for window in looked_at]).T[..., None, None]
        under = low * found[:, 1] + high * found[:, 2]
        variance = low**2 * found[:, 1] + high**2 * found[:, 2]
        return one[0], np.moveaxis(np.concatenate([found[:, 0], under, variance]), 0, 2)

    for band, found in in_threads(of_block, cube.blocks()):
        sums[band] = found
        progress(band.stop, rows, "looking for reflections")
    nothing = np.zeros(cube.map_shape), np.zeros(cube.map_shape)
    hot: list[NDArray[np.intp]] = []
    excess: list[NDArray[np.float64]] = []
    of = {place: own for own, place in enumerate(kept)}

    def standing_out(place: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if place not in of:
            return nothing
        own = [of[place] + part * len(kept) for part in range(3)]
        return _standing_out(np.moveaxis(np.asarray(sums[:, :, own], dtype=np.float64), 2, 0))

    before, here = nothing, standing_out(0)
    for place in range(len(windows)):
        after = standing_out(place + 1)
        (net, score), stands_out = here, here[1] > _STANDS_OUT
        stands_out &= (net > _FEWEST_COUNTS) & (score >= before[1]) & (score > after[1])
        down, right = np.nonzero(stands_out)
        hot.append(np.column_stack([np.full(down.size, place), down, right]))
        excess.append(net[stands_out])
        before, here = here, after
    return np.concatenate(hot), np.concatenate(excess)


def _standing_out(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what pixels and their neighbours count more than usual, and that over its standard error.

    ``sums``: (3, Y, X) counts of the peak, those expected under it, and the variance of these.
    """
    from scipy.ndimage import uniform_filter

    peak, under, variance = (9 * uniform_filter(part, 3, mode="constant") for part in sums)
    # The continuum is bent alike in most pixels.
    ratio, usual = 1.0, under > 0
    for _ in range(_ROUNDS):
        ratio = float(peak[usual].sum() / max(under[usual].sum(), 1.0))
        error = np.sqrt(ratio * under + ratio**2 * variance + (_CONTINUUM_ERROR * ratio * under) ** 2 + 1)
        usual = (under > 0) & (np.abs(peak - ratio * under) < _SURE * error)
        if not usual.any():
            break
    return peak - ratio * under, (peak - ratio * under) / error


def _grains(
    places: Sequence[tuple[NDArray[np.intp], float]], shape: tuple[int, int]
) -> tuple[NDArray[np.uint32], dict[int, list[float]]]:
    """Return which grain (Y, X) pixels are of, and the energies of each: what the same pixels reflect."""
    grains: list[tuple[set[int], list[float]]] = []
    for pixels, energy in sorted(places, key=lambda place: -place[0].size):
        own = set(pixels.tolist())
        for held, energies in grains:
            if len(own & held) > _SAME_GRAIN * len(own):
                held |= own
                energies.append(energy)
                break
        else:
            grains.append((own, [energy]))
    numbers = np.zeros(shape, np.uint32)
    for number, (held, _) in enumerate(grains, 1):
        numbers.flat[sorted(held)] = number
    present = set(np.unique(numbers).tolist())
    return numbers, {n: energies for n, (_, energies) in enumerate(grains, 1) if n in present}


def _apart(energies: Sequence[float], setting: Setting) -> list[float]:
    """Return energies of which none is another's peak once more."""
    kept: list[float] = []
    for energy in sorted(energies):
        if not kept or energy - kept[-1] > _SAME_PEAK * float(setting.detector.fwhm(energy)):
            kept.append(energy)
    return kept


def _judged(
    grain: int,
    energy: float,
    spectrum: NDArray[np.float64],
    setting: Setting,
    pool: Sequence[Candidate],
    held: frozenset[str],
    shown: frozenset[str],
) -> Reflection | None:
    """Return the reflection that a grain's sum (E,) shows near an energy, or None where it is a line.

    ``held``: elements that are surely in the map. ``shown``: all that are found in it.
    """
    for _ in range(_ROUNDS):
        window = _window(energy, setting)
        rest = spectrum[window.peak] - _under(window, spectrum) / (window.peak.stop - window.peak.start)
        energy = float(np.average(setting.energy.energies[window.peak], weights=np.maximum(rest, 0) + 1e-9))
    window = _window(energy, setting)
    net, error = _net(window, spectrum)
    if net < _STANDS_OUT * error:
        return None
    may_be = []
    for element in pool:
        for family, column in zip(element.families, element.columns, strict=True):
            told = _told_by_line(window, energy, net, column, spectrum, setting)
            if told or (told is None and element.element in held):
                return None
            first = told is None and family == element.families[0]
            if first or (element.element in shown and _overlaps(window, net, column, spectrum, setting)):
                may_be.append(element.element)
    return Reflection(grain, energy, net, error, tuple(dict.fromkeys(may_be)))


def _told_by_line(
    window: EnergyWindow,
    energy: float,
    net: float,
    column: NDArray[np.float64],
    spectrum: NDArray[np.float64],
    setting: Setting,
) -> bool | None:
    """Whether a family's other lines tell that a peak is one of it; None where they would be too weak."""
    energies = setting.energy.energies
    width = float(setting.detector.fwhm(energy))
    share = _expected(window, column)
    near = column[setting.energy.window(energy - _NEAR * width, energy + _NEAR * width)]
    if share < _LEAST_SHARE * column.sum() or near.max(initial=0) < 0.9 * column[window.peak].max():
        return False
    rest = np.where(np.abs(energies - energy) > 1.2 * width, column, 0.0)
    seen = False
    while rest.max() > _LEAST_LINE * column.max():
        place = float(energies[rest.argmax()])
        other = _window(place, setting)
        expected = net / share * _expected(other, column)
        found, error = _net(other, spectrum)
        most = float(spectrum[other.peak].sum()) - _least_under(other, spectrum)
        if expected > _SURE * error and most < _LESS * expected - _SURE * error:
            return False
        # Far more than that is another element's line, which tells nothing.
        seen |= max(_SURE * error, _LESS * expected) < found < _MORE * expected + _SURE * error
        rest[np.abs(energies - place) < 1.2 * width] = 0
    return True if seen else None


def _overlaps(
    window: EnergyWindow,
    net: float,
    column: NDArray[np.float64],
    spectrum: NDArray[np.float64],
    setting: Setting,
) -> bool:
    """Whether lines on both sides of a peak, as strong as the family's strongest tells, make much of it."""
    strongest = _window(float(setting.energy.energies[column.argmax()]), setting)
    of_line = _expected(strongest, column)
    amplitude = max(_net(strongest, spectrum)[0], 0.0) / of_line if of_line > 0 else 0.0
    return amplitude * _expected(window, column) > _OVERLAPPING * net


def _compared(
    found: Reflection,
    spectrum: NDArray[np.float64],
    setting: Setting,
    other: NDArray[np.float64],
    other_setting: Setting,
) -> Reflection | None:
    """Return a reflection with what another detector counts there over what it would of a line.

    None where it counts as much: it is a line.
    """
    own, beside = (each.energy.window(each.low, _highest(each)) for each in (setting, other_setting))
    net, error = _net(_window(found.energy_kev, other_setting), other)
    rest = float(spectrum[own].sum()) - found.net_counts, float(other[beside].sum()) - net
    of_line = found.net_counts * rest[1] / max(rest[0], 1.0)
    if error < _KNOWN * of_line and abs(net - of_line) < _SURE * error + _DIFFERENT * of_line:
        return None
    return replace(found, other_detector=net / max(of_line, 1.0))


def _numbered(
    peaks: Sequence[Reflection],
    grains: NDArray[np.uint32],
    known: CalibratedMap,
    steps: int,
    progress: Progress,
) -> Reflections:
    """Return the reflections of a map, its grains numbered by size, and what each pixel counts of them."""
    cube, setting = known.cube, known.setting
    sizes = {grain: int((grains == grain).sum()) for grain in {peak.grain for peak in peaks}}
    order = sorted(sizes, key=lambda grain: (-sizes[grain], grain))
    number_of = np.zeros(int(grains.max(initial=0)) + 1, np.uint32)
    number_of[order] = np.arange(1, len(order) + 1)
    numbered = number_of[grains]
    renumbered = [replace(peak, grain=int(number_of[peak.grain])) for peak in peaks]
    renumbered.sort(key=lambda peak: (peak.grain, peak.energy_kev))
    windows = tuple(_window(peak.energy_kev, setting) for peak in renumbered)
    counts = np.zeros(cube.map_shape, np.float32)
    for band, block in cube.blocks() if renumbered else ():
        for each, window in zip(renumbered, windows, strict=True):
            own = numbered[band] == each.grain
            if own.any():
                spectra = block[own].astype(np.float64)
                counts[band][own] += spectra[:, window.peak].sum(axis=1) - _under(window, spectra)
        progress(band.stop, cube.shape[0], "mapping reflections")
    held = f"{_counted(len(renumbered), 'peak')} in {_counted(len(order), 'grain')}"
    reason = (
        f"no element surely explains {held}, looked for at {steps} energies"
        f" from {_LOWEST_KEV:g} to {_highest(setting):.1f} keV, off strong and scattered lines"
    )
    return Reflections(tuple(renumbered), numbered, counts, reason, windows, cube.pixel_size, cube.name)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _highest(setting: Setting) -> float:
    return min(_HIGHEST_PART * setting.highest_kev, setting.high, _HIGHEST_KEV)


def _whole(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return whole numbers (n, C) near values, of about their sums: what is cut of one goes to the next."""
    running = np.floor(np.cumsum(values, axis=1) + 0.5)
    return np.diff(running, axis=1, prepend=0.0)
