"""Time and memory of models on a large map, each in a process of its own.

Run alone on a quiet machine; processor seconds are given beside the clock's for machines that are not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.evaluation.speed import measure_speed
from napari_xrf.learning.weights import load_model
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_minerals

_TILE = 50
_COUNTS = 2000.0


def speed_table(names: Sequence[str], models: Sequence[str] | None, side: int) -> FigureTable:
    """Return the speed of models on a map of side × side pixels of 4096 channels."""
    rows = {}
    for name, model in zip(names, models or names, strict=True):
        command = [sys.executable, "-m", "benchmarks.networks_speed", model, "--side", str(side)]
        rows[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return FigureTable(f"Inference on {side} × {side} × 4096, above the memory of the map", rows)


def large_map(side: int) -> SpectralCube:
    """Return a map in memory: a rock of 50 × 50 pixels, 2000 counts each, laid side by side."""
    rock = make_minerals(
        None, seed=1, parameters=MapParameters(shape=(_TILE, _TILE), counts_per_pixel=_COUNTS)
    )
    tile = np.asarray(rock.cube.counts[:, :, :])
    times = -(-side // _TILE)
    counts: Any = np.tile(tile, (times, times, 1))[:side, :side]
    return SpectralCube(
        np.ascontiguousarray(counts), rock.cube.energy, excitation=rock.cube.excitation, name="large map"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--side", type=int, default=500)
    options = parser.parse_args()
    model = load_model(options.model)
    cube = large_map(options.side)
    # Compiling and the first use of a library are no part of the work on a map.
    measure_speed(model, large_map(8))
    print(json.dumps(measure_speed(model, cube)))


if __name__ == "__main__":
    main()
