"""What the commands of all sets share: options, and the file that is written."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.io.own.cube_files import write_cube


def command_line(description: str, size: int) -> argparse.ArgumentParser:
    """Return a parser with the options that every set has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", type=_positive, default=size, metavar="N", help="spectra (%(default)s)")
    parser.add_argument(
        "--seed", type=_natural, default=0, metavar="S", help="the same one gives the same set (%(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.h5")
    return parser


def save_set(
    path: Path,
    counts: NDArray[Any],
    energy: EnergyAxis,
    name: str,
    truth: Mapping[str, Any],
    *,
    elements: tuple[str, ...] = (),
    excitation: Excitation | None = None,
) -> None:
    """Write N spectra (N, E) as a map of N rows and one column, with their truth."""
    cube = SpectralCube(
        counts[:, np.newaxis, :],
        energy,
        name=name,
        elements=elements,
        excitation=excitation or Excitation(),
        provenance=Provenance(layout="synthetic"),
    )
    write_cube(path, cube, truth=truth)


def smallest_counts(counts: NDArray[np.int64]) -> NDArray[np.unsignedinteger[Any]]:
    """Return counts in 16 bits where they fit."""
    return counts.astype(np.uint16 if counts.max(initial=0) < 2**16 else np.uint32)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return value


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("it must not be negative")
    return value
