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
import zarr

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube

NAMES = ("map.h5", "map.zarr")


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
        for path in (Path(folder) / name for name in NAMES):
            io.write(path, cube())
        whole = total(Path(folder))
        for number in range(arguments.kills):
            path = Path(folder) / NAMES[number % len(NAMES)]
            command = [sys.executable, "-m", "benchmarks.killed_while_saving", "--save", str(path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as saving:
                assert saving.stdout is not None
                saving.stdout.readline()
                end = time.monotonic() + 5
                while time.monotonic() < end and not hidden(folder):
                    time.sleep(0.0005)
                time.sleep(float(draw.uniform(0, 0.1)))
                saving.send_signal(signal.SIGKILL)
            unfinished += bool(hidden(folder))
            save_once = (
                "from napari_xrf.io.atomic_write import write_text; write_text(__import__('sys').argv[1], '')"
            )
            subprocess.run([sys.executable, "-c", save_once, str(Path(folder) / "next.txt")], check=True)
            lost += total(Path(folder)) != whole
        left = sorted(found.name for found in Path(folder).iterdir())
    print(
        f"{arguments.kills} kills, {unfinished} while a file was unfinished: {lost} lost; left then: {left}"
    )
    return 1 if lost or left != sorted([*NAMES, "next.txt"]) else 0


def hidden(folder: str) -> list[str]:
    """Return the names of what is being written, or was when its program was killed."""
    return [path.name for path in Path(folder).iterdir() if path.name.startswith(".")]


def total(folder: Path) -> tuple[int, ...]:
    """Return the counts of each map; −1 for one that is lost."""
    found = []
    for name in NAMES:
        try:
            if name.endswith(".zarr"):
                found.append(int(zarr.open(str(folder / name), mode="r")["0"][:].sum(dtype=np.uint64)))
            else:
                found.append(int(io.read(folder / name).sum_spectrum().sum()))
        except (XrfError, KeyError, ValueError, OSError):
            found.append(-1)
    return tuple(found)


def save(path: Path) -> None:
    """Save the same map until killed."""
    whole = cube()
    io.write(path, whole)
    print("ready", flush=True)
    while True:
        io.write(path, whole)


def cube() -> SpectralCube:
    counts = np.random.default_rng(0).integers(0, 1000, (60, 60, 1024)).astype(np.uint16)
    return SpectralCube(counts, EnergyAxis(0.0, 0.01, 1024))


if __name__ == "__main__":
    raise SystemExit(main())
