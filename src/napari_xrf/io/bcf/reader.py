"""Bruker hypermaps (.bcf): M4 Tornado, M6 Jetstream, Esprit on electron microscopes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io.bcf.bytes import inflated
from napari_xrf.io.bcf.container import Container, open_container
from napari_xrf.io.bcf.header import DetectorHeader, parse_header
from napari_xrf.io.detector_sum import DetectorSum, differences
from napari_xrf.io.stray_detectors import differing

if TYPE_CHECKING:
    from napari_xrf.core.energy_axis import EnergyAxis
    from napari_xrf.io.bcf.counts import BcfCounts
    from napari_xrf.io.bcf.index import PixelIndex

LAYOUT = "Bruker BCF"

_FOLDER = "EDSDatabase"
_HEADER_LIMIT = 2**30  # a header of 10 GPixel of mosaic is no header
_ROUNDING = 1e-3  # of all counts: instruments count the sum apart
_MANY = 10**5  # counts: of fewer, every difference is told
_AT_ONCE = 32 * 2**20  # bytes of dense counts below which unpacking all is quicker than indexing


def read_bcf(
    path: str | Path,
    *,
    detector: int | Literal["sum"] = "sum",
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SpectralCube:
    """Open a Bruker map.

    The container, the header and every packed spectrum are checked and summed in one pass; the counts of
    large maps stay packed and are unpacked where they are asked for
    (:class:`~napari_xrf.io.bcf.counts.BcfCounts`), small maps come as an array, exact in the narrowest
    unsigned type that holds them. ``detector`` is an index from 0, or ``"sum"``.

    Raises FileError when the file is missing, foreign, cut short or damaged, InvalidInput when there is no
    such detector.
    """
    path = Path(path)
    budget = budget_of(memory_budget)
    container = open_container(path, _FOLDER)
    numbers = _spectrum_numbers(container)
    chosen = _chosen(numbers, detector)
    stored = inflated(container.file(f"{_FOLDER}/HeaderData"), _HEADER_LIMIT)
    header = parse_header(stored.read(0, stored.size).tobytes(), path, numbers)
    detectors = [header.detectors[number] for number in chosen]

    from napari_xrf.io.bcf.index import index_pixels

    indices = tuple(
        index_pixels(
            inflated(container.file(f"{_FOLDER}/SpectrumData{number}"), budget // 4, progress), path, progress
        )
        for number in chosen
    )
    shapes = {index.shape for index in indices} | ({header.map_shape} if header.map_shape else set())
    if len(shapes) > 1:
        raise FileError(path, f"is damaged: its parts are maps of different sizes {sorted(shapes)}")
    counts, energy, warnings = _joined(path, indices, detectors, budget, progress)
    dense = int(np.prod(counts.shape, dtype=object)) * counts.dtype.itemsize
    return SpectralCube(
        counts=counts.load(budget, progress) if dense <= min(_AT_ONCE, budget // 4) else counts,
        energy=energy,
        name=header.name,
        pixel_size=header.pixel_size,
        live_time=header.pixel_times,
        excitation=detectors[0].excitation,
        elements=header.elements,
        images=header.images,
        provenance=Provenance(
            str(path),
            LAYOUT,
            tuple(one.name for one in detectors),
            tuple(dict.fromkeys((*header.warnings, *warnings))),
        ),
    )


def _joined(
    path: Path,
    indices: tuple[PixelIndex, ...],
    detectors: list[DetectorHeader],
    budget: int,
    progress: Progress,
) -> tuple[BcfCounts | DetectorSum, EnergyAxis, list[str]]:
    """Return the sum of all detectors, as packed where their axes are alike, its axis, and warnings."""
    from napari_xrf.io.bcf.counts import BcfCounts

    axes = [one.energy for one in detectors]
    sums = [np.resize(np.append(one.sum_spectrum, np.zeros(one.energy.size)), one.energy.size)
            for one in detectors if one.sum_spectrum is not None]  # fmt: skip
    strays = differing([one.name for one in detectors], sums, axes) if len(sums) == len(axes) else ()
    longest = max(axis.size for axis in axes)
    # Half a channel is less than a detector's own drift: such detectors are summed as they are.
    ends = np.array([[axis.offset, axis.energy(longest - 1)] for axis in axes])
    alike = float(np.ptp(ends, axis=0).max()) <= 0.5 * axes[0].width
    groups = [indices] if alike else [(index,) for index in indices]
    told = [detectors] if alike else [[one] for one in detectors]
    parts: list[BcfCounts] = []
    warnings: list[str] = []
    for some, group in zip(told, groups, strict=True):
        part = BcfCounts(path, group, longest if alike else some[0].energy.size, budget, progress)
        parts.append(part)
        warnings += [*_differences(some, part.survey.total), *part.warnings]
    counts: BcfCounts | DetectorSum = parts[0]
    energy = replace(axes[0], size=longest)
    if not alike:
        counts = DetectorSum(tuple(parts), tuple(axes))
        energy = counts.axis
        warnings += differences([one.name for one in detectors], parts, axes)
    return counts, energy, [*warnings, *strays]


def _spectrum_numbers(container: Container) -> list[int]:
    matches = (re.fullmatch(rf"{_FOLDER}/SpectrumData(\d+)", name) for name in container.files)
    numbers = sorted(int(match[1]) for match in matches if match)
    if not numbers:
        raise FileError(container.path, "is a Bruker file, but holds no map", "Open the map, not a report")
    return numbers


def _chosen(numbers: list[int], detector: int | Literal["sum"]) -> list[int]:
    if detector == "sum":
        return numbers
    if isinstance(detector, str) or not 0 <= detector < len(numbers):
        known = (
            "one detector, 0" if len(numbers) == 1 else f"{len(numbers)} detectors, 0 to {len(numbers) - 1}"
        )
        raise InvalidInput(f"there is no detector {detector!r}", f"The file has {known}; or take 'sum'")
    return [numbers[detector]]


def _differences(detectors: list[DetectorHeader], total: NDArray[np.uint64]) -> list[str]:
    """Compare the header's sum spectra with the sum of the pixels."""
    if any(one.sum_spectrum is None for one in detectors):
        return ["The file has no sum spectrum of its own to check the pixels against."]
    said = np.zeros_like(total)
    for one in detectors:
        if one.sum_spectrum is not None:
            said[: one.sum_spectrum.size] += one.sum_spectrum
    wrong = int(np.count_nonzero(said != total))
    if not wrong:
        return []
    theirs, ours = int(said.sum()), int(total.sum())
    if theirs == ours:
        return [f"The file's own sum spectrum differs from the sum of its pixels in {wrong} channels."]
    # Within the sum's own error, and small as those of instruments: a damaged byte moves more of a small map.
    if ours >= _MANY and abs(theirs - ours) <= min(ours**0.5, _ROUNDING * ours):
        return []
    share = f" ({100 * (theirs - ours) / ours:+.2g} %)" if ours else ""
    return [
        f"The file's own sum spectrum holds {theirs} counts{share}, its pixels {ours}; the pixels are used."
    ]
