"""Maps made ready for analysis by a chain of steps: recalibrated, binned, cropped, normalised and so on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import AuxiliaryImage, SpectralCube
from napari_xrf.io.calibration import parse_axis
from napari_xrf.io.formats import with_energy
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, cube_of
from napari_xrf.maps.crystal_reflections import without_reflections
from napari_xrf.maps.spectra.peaks import find_peaks

SIZED = ("bin-space", "bin-energy", "crop-edges")
PLAIN = ("recalibrate", "empty-dead", "without-reflections", "equal-times")
NAMED = ("energy", "equal-intensity")
CALIBRATING = ("recalibrate", "without-reflections")  # these want a map that is calibrated already
_EXAMPLES = {"energy": "energy:0:0.01", "equal-intensity": "equal-intensity:/entry/i0"}
LARGEST = 64
_DEAD_PART, _DEAD_SIGMAS = 0.05, 6.0  # of the median counts of its neighbours; and beyond their scatter


@dataclass(frozen=True)
class PreparationStep:
    """One step.

    Raises InvalidInput for another kind, or a size that makes no sense.
    """

    # "energy": the axis that its user tells. "recalibrate": the axis that the map's own peaks tell.
    # "bin-space": squares of pixels become one; what is left at the lower and right edge goes. "bin-energy":
    # channels become one. "crop-edges": so many pixels go on all sides. "empty-dead": pixels that count next
    # to nothing beside their neighbours lose what they have, so that they are not measured.
    # "without-reflections": peaks of diffraction in single grains, which no element explains, go.
    # "equal-times": counts as if all pixels had the mean live time; they are no whole numbers, and their
    # noise is another, then. "equal-intensity": the same with the beam's intensity (I0), or any other map of
    # the map's file.
    kind: str
    size: int = 0  # pixels or channels, for the kinds in SIZED
    # For the kinds in NAMED: what list_monitors calls the intensity, or the energy axis, "OFFSET:WIDTH" in
    # keV.
    name: str = ""

    def __post_init__(self) -> None:
        check_name("step of preparation", self.kind, PLAIN + SIZED + NAMED)
        if self.kind in NAMED and not self.name:
            raise InvalidInput(f"{self.kind} does not say which", f"Write {_EXAMPLES[self.kind]}")
        if self.kind == "energy":
            parse_axis(self.name)
        least = 1 if self.kind == "crop-edges" else 2
        if self.kind in SIZED and not least <= self.size <= LARGEST:
            raise InvalidInput(f"{self.kind} takes {least} to {LARGEST}, not {self.size}")

    def __str__(self) -> str:
        told = self.name or str(self.size or "")
        return f"{self.kind}:{told}" if told else self.kind


@dataclass(frozen=True)
class PeakResidual:
    """A family, keV of its main line, and eV by which its peak is seen above that."""

    family: str
    energy: float
    above_ev: float


def parse_preparation(text: str) -> tuple[PreparationStep, ...]:
    """Return steps, ``"recalibrate,bin-space:2"``; raise InvalidInput where they cannot be read."""
    steps = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([a-z-]+)(?::(?:(\d+)|(/.+|[^/]*:.*)))?", word)
        if found is None:
            raise InvalidInput(f"{word!r} is no step of preparation", "Write bin-space:2")
        steps.append(PreparationStep(found[1], int(found[2] or 0), found[3] or ""))
    return tuple(steps)


def place_of_first_pixel(steps: Sequence[PreparationStep]) -> float:
    """Return where the middle of a prepared map's first pixel lies, in rows and columns of the map before."""
    place, size = 0.0, 1
    for step in steps:
        if step.kind == "crop-edges":
            place += size * step.size
        elif step.kind == "bin-space":
            place += 0.5 * size * (step.size - 1)
            size *= step.size
    return place


def prepare_map(
    measured: Measured, steps: str | Sequence[PreparationStep], *, progress: Progress = ignore_progress
) -> SpectralCube:
    """Return a map with steps done in their order; the one given stays as it is.

    Raises InvalidInput when a step cannot be read, does not fit the map (no pixel would be left), or needs
    times that the map does not hold.
    """
    chosen = parse_preparation(steps) if isinstance(steps, str) else tuple(steps)
    known = measured if isinstance(measured, CalibratedMap) else None
    cube = cube_of(measured)
    for done, step in enumerate(chosen):
        progress(done, len(chosen), str(step))
        if step.kind in CALIBRATING:
            same = known is not None and known.cube is cube
            found = known if same and known else calibrate_map(cube, progress=progress)
            plain = step.kind == "recalibrate"
            cube = found.on_refined_axis if plain else without_reflections(found, progress=progress)
        elif step.kind in SIZED:
            cube = {"bin-space": _bin_space, "bin-energy": _bin_energy, "crop-edges": _crop}[step.kind](
                cube, step.size
            )
        elif step.kind == "energy":
            cube = with_energy(cube, parse_axis(step.name))
        elif step.kind == "equal-intensity":
            cube = _divided(cube, _intensity_of(cube, step.name), step.name)[0]
        else:
            cube = _empty_dead(cube) if step.kind == "empty-dead" else _equal_times(cube)
    progress(len(chosen), len(chosen), "prepared")
    return cube


def peak_residuals(known: CalibratedMap) -> tuple[PeakResidual, ...]:
    """Return how far the peaks of a map's elements lie from their lines on its refined axis, by energy."""
    peaks = find_peaks(known.sum_spectrum, known.energy, significance=5.0)
    found = []
    for family in (family for one in known.elements for family in one.families):
        line = main_line(*split_family(family))
        if line is None or not peaks:
            continue
        above = min((peak.energy - line.energy for peak in peaks), key=abs)
        if abs(above) < 0.5 * float(known.detector.fwhm(line.energy)):
            found.append(PeakResidual(family, line.energy, 1000 * above))
    return tuple(sorted(found, key=lambda each: each.energy))


def _bin_space(cube: SpectralCube, size: int) -> SpectralCube:
    rows, columns = (length // size for length in cube.map_shape)
    if not rows or not columns:
        raise InvalidInput(f"squares of {size} pixels do not fit a map of {cube.map_shape}", "Bin less")
    bins = np.empty((rows, columns, cube.shape[2]), dtype=_wider(cube, size * size))
    for row in range(rows):  # the map may be larger than memory
        band = np.asarray(cube.counts[row * size : (row + 1) * size])[:, : columns * size]
        bins[row] = band.reshape(size, columns, size, -1).sum(axis=(0, 2), dtype=bins.dtype)
    times = None if cube.live_time is None else _sums(cube.live_time, rows, columns, size)
    larger = None if cube.pixel_size is None else (cube.pixel_size[0] * size, cube.pixel_size[1] * size)
    images = _images_from(cube, 0.5 * (size - 1))
    return replace(cube, counts=bins, pixel_size=larger, live_time=times, images=images)


def _bin_energy(cube: SpectralCube, size: int) -> SpectralCube:
    channels = cube.shape[2] // size
    if channels < 2:
        raise InvalidInput(f"bins of {size} channels leave no spectrum of {cube.shape[2]}", "Bin less")
    bins = np.empty((*cube.map_shape, channels), dtype=_wider(cube, size))
    for row in range(len(bins)):
        line = np.asarray(cube.counts[row])[:, : channels * size]
        bins[row] = line.reshape(-1, channels, size).sum(axis=2, dtype=bins.dtype)
    axis = cube.energy
    wider = EnergyAxis(axis.offset + 0.5 * (size - 1) * axis.width, axis.width * size, channels)
    return replace(cube, counts=bins, energy=wider)


def _crop(cube: SpectralCube, size: int) -> SpectralCube:
    if min(cube.map_shape) <= 2 * size:
        raise InvalidInput(f"without {size} pixels on all sides nothing of {cube.map_shape} is left")
    inside = (slice(size, cube.map_shape[0] - size), slice(size, cube.map_shape[1] - size))
    images = _images_from(cube, size)
    times = None if cube.live_time is None else cube.live_time[inside]
    return replace(cube, counts=np.asarray(cube.counts[inside]), live_time=times, images=images)


def _empty_dead(cube: SpectralCube) -> SpectralCube:
    from scipy.ndimage import median_filter

    counts = np.array(cube.counts[:, :, :])
    totals = counts.sum(axis=2, dtype=np.float64)
    usual = median_filter(totals, size=5, mode="nearest")
    dead = (totals < _DEAD_PART * usual) & (totals < usual - _DEAD_SIGMAS * np.sqrt(usual))
    counts[dead] = 0
    return replace(cube, counts=counts)


def _equal_times(cube: SpectralCube) -> SpectralCube:
    times = cube.live_time
    if times is None:
        raise InvalidInput(f"the map {cube.name!r} holds no live times", "Leave equal-times out")
    made, mean = _divided(cube, times, "live time")
    return replace(made, live_time=np.where(_positive(times), mean, 0.0))


def dosed_by_intensity(cube: SpectralCube, name: str) -> SpectralCube:
    """Return a map whose dose is the beam's intensity (I0) in each pixel, in place of its live time.

    Totals and masses per area then compare with standards of the same monitor, whatever its unit. Raises
    InvalidInput when the map's file has none of this name, or none for each of its pixels.
    """
    return replace(cube, live_time=np.clip(_intensity_of(cube, name), 0.0, None))


def _intensity_of(cube: SpectralCube, name: str) -> NDArray[np.float64]:
    from napari_xrf import io

    path = cube.provenance.path
    if not path:
        raise InvalidInput(f"the map {cube.name!r} comes from no file", "Leave its intensity out")
    intensity = io.read_monitor(path, name)
    if intensity.shape != cube.map_shape:
        raise InvalidInput(
            f"{name} has {intensity.shape} pixels, the map {cube.map_shape}",
            "Use intensities before cropping and binning",
        )
    return intensity


def _divided(cube: SpectralCube, by: NDArray[np.floating], what: str) -> tuple[SpectralCube, float]:
    """Return a map whose counts are as if a quantity (Y, X) were its mean everywhere, and the mean."""
    measured = _positive(by)
    if not measured.any():
        raise InvalidInput(f"the {what} of {cube.name!r} is zero everywhere", "Leave this step out")
    mean = float(by[measured].mean())
    factors = np.where(measured, mean / np.where(measured, by, 1.0), 0.0).astype(np.float32)
    counts = np.asarray(cube.counts[:, :, :], dtype=np.float32) * factors[:, :, None]
    lost = int((~measured).sum())
    notes = (f"{lost} pixels have no {what} and were emptied.",) if lost else ()
    warnings = (*cube.provenance.warnings, *notes)
    return replace(cube, counts=counts, provenance=replace(cube.provenance, warnings=warnings)), mean


def _positive(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.isfinite(values) & (values > 0)


def _images_from(cube: SpectralCube, pixels: float) -> tuple[AuxiliaryImage, ...]:
    """Return a map's images where its first pixel's centre moves by so many pixels, down and right."""
    dy, dx = (pixels * size for size in cube.pixel_size or (1.0, 1.0))
    return tuple(replace(each, origin=(each.origin[0] - dy, each.origin[1] - dx)) for each in cube.images)


def _sums(times: NDArray[Any], rows: int, columns: int, size: int) -> NDArray[np.float64]:
    inside = np.asarray(times, dtype=np.float64)[: rows * size, : columns * size]
    return np.asarray(inside.reshape(rows, size, columns, size).sum(axis=(1, 3)))


def _wider(cube: SpectralCube, parts: int) -> Any:
    """Return a type that holds sums of so many counts."""
    kind = np.dtype(cube.counts.dtype)
    if kind.kind == "f":
        return kind
    highest = int(np.iinfo(kind).max) * parts
    return np.uint32 if highest < 2**32 else np.uint64
