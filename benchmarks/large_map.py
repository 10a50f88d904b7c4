"""A large map of three phases with Poisson counts, written row by row, to measure memory on.

``python -m benchmarks.large_map OUT.h5 [--shape 600:800] [--counts 1500]``: 4096 channels, 40 s of processor.
Then ``/usr/bin/time -f %M napari-xrf maps OUT.h5 --memory 200MB -o maps``, and so on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

CHANNELS = 4096
ENERGIES = 0.01 * np.arange(CHANNELS)
# Lines in keV with their shares, and the scattered lines of a tube with a rhodium anode.
PHASES = (
    ((6.404, 5.0), (7.058, 0.7), (3.69, 1.0), (1.74, 0.5), (20.2, 0.5), (19.3, 0.5)),
    ((3.69, 5.0), (4.01, 0.6), (6.4, 0.4), (20.2, 0.5)),
    ((1.74, 2.0), (3.31, 3.0), (3.59, 0.4), (8.63, 1.0), (9.57, 0.2), (20.2, 0.5)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--shape", default="600:800", metavar="Y:X")
    parser.add_argument("--counts", type=int, default=1500, help="of each pixel")
    arguments = parser.parse_args()
    rows, columns = map(int, arguments.shape.split(":"))
    write_large_map(arguments.output, (rows, columns), arguments.counts)


def write_large_map(path: Path, shape: tuple[int, int], counts: int) -> None:
    """Write a map as NXdata, each pixel of so many counts."""
    generator, (rows, columns) = np.random.default_rng(1), shape
    spectra = [np.cumsum(spectrum(lines)) for lines in PHASES]
    with h5py.File(path, "w") as file:
        file.create_group("map").attrs.update({"NX_class": "NXentry", "default": "data"})
        group = file.create_group("map/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]})
        stored = {"chunks": (1, min(columns, 100), CHANNELS), "compression": "gzip", "compression_opts": 1}
        target = group.create_dataset("counts", (rows, columns, CHANNELS), "u2", **stored)
        for name, values, units in (
            ("energy", ENERGIES, "keV"),
            ("y", 10.0 * np.arange(rows), "um"),
            ("x", 10.0 * np.arange(columns), "um"),
        ):
            group.create_dataset(name, data=values).attrs["units"] = units
        for y in range(rows):
            phase = (np.arange(columns) * 3 // columns + y * 3 // rows) % 3
            row = np.zeros((columns, CHANNELS), np.uint16)
            for number, running in enumerate(spectra):
                inside = np.flatnonzero(phase == number)
                drawn = np.searchsorted(running, generator.random(inside.size * counts))
                flat = np.repeat(np.arange(inside.size), counts) * CHANNELS + np.minimum(drawn, CHANNELS - 1)
                row[inside] = np.bincount(flat, minlength=inside.size * CHANNELS).reshape(-1, CHANNELS)
            target[y] = row


def spectrum(lines: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Return the probability of each channel: Gaussian lines on a broad hump."""
    total = 0.0015 * np.exp(-(((ENERGIES - 15) / 8) ** 2))
    for energy, share in lines:
        sigma = 0.055 + 0.002 * energy
        total = total + share * np.exp(-0.5 * ((ENERGIES - energy) / sigma) ** 2) / sigma / 250
    return np.asarray(total / total.sum())


if __name__ == "__main__":
    main()
