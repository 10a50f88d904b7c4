"""Time of reading and writing HDF5 maps against plain h5py, as ratios in one run; run alone.

python benchmarks/hdf5_files.py [ROWS COLUMNS CHANNELS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube

Row = tuple[str, float, float]


def seconds(job: Callable[[], Any], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - start)
    return best


def realistic_counts(shape: tuple[int, int, int]) -> np.ndarray:
    generator = np.random.default_rng(1)
    channels = np.arange(shape[2])
    rate = 0.02 + 2 * np.exp(-(((channels - 0.15 * shape[2]) / (0.07 * shape[2])) ** 2))
    counts = np.empty(shape, dtype=np.uint16)
    for row in counts:
        row[:] = generator.poisson(rate, row.shape)
    return counts


def writing(folder: Path, counts: np.ndarray) -> Row:
    cube = SpectralCube(counts, EnergyAxis(0.0, 0.01, counts.shape[2]))
    chunks = tuple(np.minimum(counts.shape, (16, 16, 512)).tolist())

    def plain() -> None:
        with h5py.File(folder / "plain.h5", "w") as file:
            file.create_dataset(
                "x", data=counts, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
            )

    return "write a compressed map", seconds(lambda: io.write(folder / "ours.h5", cube), 1), seconds(plain, 1)


def reading(folder: Path, counts: np.ndarray) -> list[Row]:
    ours = folder / "ours.h5"
    lazy = io.read(ours, memory_budget=1)
    y, x = (size // 3 for size in counts.shape[:2])
    region = (slice(y, y + 70), slice(x, x + 70))
    mask = np.zeros(counts.shape[:2], dtype=bool)
    mask[region] = True

    def plain(key: Any) -> Any:
        with h5py.File(ours) as file:
            return file["map/data/counts"][key]

    return [
        ("read all into memory", seconds(lambda: io.read(ours)), seconds(lambda: plain(()))),
        ("one pixel", seconds(lambda: lazy.counts[y, x]), seconds(lambda: plain((y, x)))),
        (
            "sum of 70 × 70 pixels",
            seconds(lambda: lazy.region_spectrum(mask)),
            seconds(lambda: plain(region).sum(axis=(0, 1), dtype=np.uint64)),
        ),
        (
            "one channel of all pixels",
            seconds(lambda: lazy.counts[:, :, 99]),
            seconds(lambda: plain((..., 99))),
        ),
    ]


def channel_first(folder: Path, counts: np.ndarray) -> list[Row]:
    """Read a map stored as one compressed image per channel, as MAPS does."""
    path = folder / "maps.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "MAPS/mca_arr", data=np.moveaxis(counts, 2, 0), chunks=(1, *counts.shape[:2]), compression="lzf"
        )
        file["MAPS/energy"] = 0.01 * np.arange(counts.shape[2])

    def plain() -> np.ndarray:
        with h5py.File(path) as file:
            return np.ascontiguousarray(np.moveaxis(file["MAPS/mca_arr"][()], 0, -1))

    lazy = io.read(path, memory_budget=1)
    whole = np.ones(counts.shape[:2], dtype=bool)
    return [
        ("channel-first: read all", seconds(lambda: io.read(path)), seconds(plain)),
        (
            "channel-first: sum spectrum, not in memory",
            seconds(lambda: lazy.region_spectrum(whole)),
            seconds(lambda: plain().sum(axis=(0, 1), dtype=np.uint64)),
        ),
    ]


def main() -> None:
    shape = tuple(int(size) for size in sys.argv[1:4]) or (200, 250, 2048)
    counts = realistic_counts((shape[0], shape[1], shape[2]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [writing(folder, counts), *reading(folder, counts), *channel_first(folder, counts)]
    print(f"{shape[0]} × {shape[1]} × {shape[2]} uint16, {counts.nbytes / 1e6:.0f} MB")
    print(f"{'job':<44}{'ours, s':>10}{'h5py, s':>10}{'ratio':>8}")
    for job, ours, plain in rows:
        print(f"{job:<44}{ours:>10.3f}{plain:>10.3f}{ours / plain:>8.2f}")


if __name__ == "__main__":
    main()
