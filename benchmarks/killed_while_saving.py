"""Programs that are killed while they save: what was there stays, and the next one leaves nothing behind.

``python -m benchmarks.killed_while_saving [--kills 100]``, on POSIX systems; ends with 1 when one was lost.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save is not None:
        save(arguments.save)
    draw = np.random.default_rng(0)
    lost = unfinished = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.h5"
        io.write(path, cube())
        whole = io.read(path).sum_spectrum().sum()
        for _ in range(arguments.kills):
            command = [sys.executable, "-m", "benchmarks.killed_while_saving", "--save", str(path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as saving:
                assert saving.stdout is not None
                saving.stdout.readline()
                time.sleep(float(draw.uniform(0, 0.4)))
                saving.send_signal(signal.SIGKILL)
            unfinished += len(list(Path(folder).iterdir())) > 1
            try:
                lost += io.read(path).sum_spectrum().sum() != whole
            except XrfError:
                lost += 1
        save_once = (
            "from napari_xrf.io.atomic_write import write_text; write_text(__import__('sys').argv[1], '')"
        )
        subprocess.run([sys.executable, "-c", save_once, str(Path(folder) / "next.txt")], check=True)
        left = sorted(found.name for found in Path(folder).iterdir())
    print(
        f"{arguments.kills} kills, {unfinished} while a file was unfinished: {lost} lost; left then: {left}"
    )
    return 1 if lost or left != ["map.h5", "next.txt"] else 0


def save(path: Path) -> None:
    """Save the same map until killed."""
    whole = cube()
    print("ready", flush=True)
    while True:
        io.write(path, whole)


def cube() -> SpectralCube:
    counts = np.random.default_rng(0).integers(0, 1000, (60, 60, 1024)).astype(np.uint16)
    return SpectralCube(counts, EnergyAxis(0.0, 0.01, 1024))


if __name__ == "__main__":
    raise SystemExit(main())
