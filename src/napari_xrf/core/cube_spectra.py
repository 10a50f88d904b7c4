"""Spectra of a cube that a window asks for many times a second."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.counts import SumsRegions
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube, sum_pixels

TILE = 10  # pixels; sums of 10 × 10 pixels make regions four to twelve times quicker at 1 % of the memory


@dataclass(frozen=True, eq=False)
class CubeSpectra:
    """Sum and maximum of a cube, and sums of its tiles."""

    cube: SpectralCube
    total: NDArray[np.uint64]  # (E,) sum of all pixels
    # (E,) largest count of any pixel; None while the file is still packed
    highest: NDArray[np.uint64] | None = None
    # (Y / 10, X / 10, E) sums of square tiles, rounded up; None while the file is still packed
    tiles: NDArray[np.unsignedinteger] | None = None

    def of_region(self, mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return the summed spectrum, (E,), of the pixels where ``mask`` (Y, X) is true."""
        if self.tiles is None or not self.cube.is_loaded:
            return self.cube.region_spectrum(mask)
        whole = _whole_tiles(mask)
        total = self.tiles[whole].sum(axis=0, dtype=np.uint64)
        rest = (
            mask & ~np.repeat(np.repeat(whole, TILE, axis=0), TILE, axis=1)[: mask.shape[0], : mask.shape[1]]
        )
        for row in np.flatnonzero(rest.any(axis=1)):
            total += np.asarray(self.cube.counts[row])[rest[row]].sum(axis=0, dtype=np.uint64)
        return total


def summarize(cube: SpectralCube, progress: Progress = ignore_progress) -> CubeSpectra:
    """Return sum, maximum and tile sums of a cube in one pass; only the sum of one that is still packed."""
    if not cube.is_loaded and isinstance(cube.counts, SumsRegions):
        return CubeSpectra(cube, cube.sum_spectrum(progress))
    rows, columns, channels = cube.shape
    highest = np.zeros(channels, dtype=np.uint64)
    wide = np.uint64 if cube.counts.dtype.itemsize >= 4 else np.uint32
    tiles = np.zeros((-(-rows // TILE), -(-columns // TILE), channels), dtype=wide)
    starts = np.arange(0, columns, TILE)
    for index in range(tiles.shape[0]):
        progress(index, tiles.shape[0], "summing spectra")
        block = np.asarray(cube.counts[index * TILE : (index + 1) * TILE])
        tiles[index] = np.add.reduceat(block.sum(axis=0, dtype=wide), starts, axis=0)
        np.maximum(highest, block.max(axis=(0, 1)), out=highest)
    progress(tiles.shape[0], tiles.shape[0], "summing spectra")
    return CubeSpectra(cube, tiles.sum(axis=(0, 1), dtype=np.uint64), highest, tiles)


def sum_classes(
    cube: SpectralCube, labels: NDArray[np.integer], progress: Progress = ignore_progress
) -> dict[int, NDArray[Any]]:
    """Return label → summed spectrum (E,) of its pixels, of all labels (Y, X) above 0, in one pass.

    They are uint64, or float64 of a map with fractions of counts. Raises InvalidInput when the labels have
    another shape than the map.
    """
    if labels.shape != cube.map_shape:
        raise InvalidInput(f"labels of {labels.shape} do not fit a map of {cube.map_shape}")
    totals: dict[int, NDArray[Any]] = {}

    def rows() -> Iterator[tuple[NDArray[np.generic], NDArray[np.integer]]]:
        for row in range(cube.shape[0]):
            progress(row, cube.shape[0], "summing classes")
            if (labels[row] > 0).any():
                yield np.asarray(cube.counts[row]), labels[row]

    def sums(row: tuple[NDArray[np.generic], NDArray[np.integer]]) -> dict[int, NDArray[Any]]:
        counts, own = row
        found = np.unique(own[own > 0]).tolist()
        return {label: sum_pixels(counts, own == label) for label in found}

    for one in in_threads(sums, rows()):
        for label, total in one.items():
            wide = total.astype(np.float64 if total.dtype.kind == "f" else np.uint64)
            totals[label] = totals[label] + wide if label in totals else wide
    return totals


def _whole_tiles(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tiles all of whose pixels are in the mask, (Y / 10, X / 10)."""
    rows, columns = mask.shape
    whole = np.logical_and.reduceat(mask, np.arange(0, rows, TILE), axis=0)
    return np.asarray(np.logical_and.reduceat(whole, np.arange(0, columns, TILE), axis=1))
