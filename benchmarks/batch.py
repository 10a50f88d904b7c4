"""Batches and shards: what fails, what goes on after a kill, how quick two processes are, and the same bytes.

Run on a quiet machine: ``python -m benchmarks.batch [FOLDER] [--parts damaged shards killed speed]``; all
four take less than three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.synthesis.pegmatite import synthesize_pegmatite

MAPS, SHAPE, COUNTS = 50, (10, 10), 2000.0
DAMAGED = (7, 31)
TIMED = 20


def napari_xrf(*words: object) -> list[str]:
    return [sys.executable, "-m", "napari_xrf", *map(str, words)]


def run(*words: object) -> tuple[int, Any]:
    done = subprocess.run(
        napari_xrf(*words, "--json", "--quiet"), capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout or "null")


def make_maps(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(MAPS):
        rock = synthesize_pegmatite(
            shape=SHAPE, counts_per_pixel=COUNTS, generator=np.random.default_rng(number)
        )
        write_cube(folder / f"m{number:02}.h5", rock.cube)
    for number in DAMAGED:
        path = folder / f"m{number:02}.h5"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_damaged(maps: Path, out: Path) -> None:
    code, told = run("batch", "maps", maps, "-o", out, "--option", "method=window")
    names = ", ".join(Path(each["file"]).name for each in told["failed"])
    print(
        f"{told['files']} maps, {len(DAMAGED)} damaged: {told['done']} done, failed {names}; exit code {code}"
    )


def killed(maps: Path, out: Path) -> None:
    batch = subprocess.Popen(napari_xrf("batch", "maps", maps, "-o", out), stderr=subprocess.DEVNULL)
    manifest = out / "manifest.jsonl"
    while not manifest.exists() or len(manifest.read_text().splitlines()) < MAPS // 5:
        time.sleep(0.2)
    batch.send_signal(signal.SIGKILL)
    batch.wait()
    before = manifest.read_text()
    _, told = run("batch", "maps", maps, "-o", out)
    ended = sum('"done"' in line for line in before.splitlines())
    again = len(manifest.read_text().splitlines()) - len(before.splitlines()) - told["files"] + ended
    print(f"killed after {ended} were done: {told['done_before']} of them kept, {max(again, 0)} done twice")


def speed(maps: Path, out: Path) -> None:
    """Time one process against two, by the clock and by what a quiet machine would take.

    What the batch's own process does is serial; what its workers do, their start too, is shared by them.
    """
    sound = [path for path in sorted(maps.iterdir()) if int(path.stem[1:]) not in DAMAGED][:TIMED]
    walls, quiet = [], []
    for jobs in (1, 2):
        words = ["batch", "maps", *sound, "-o", out / str(jobs), "--jobs", jobs, "--quiet"]
        began = time.perf_counter()
        timed = [sys.executable, "-c", _TIMED_MAIN, *map(str, words)]
        told = subprocess.run(timed, capture_output=True, text=True, check=True).stderr.splitlines()[-1]
        walls.append(time.perf_counter() - began)
        own, workers = map(float, told.split())
        quiet.append(own + workers / jobs)
        print(
            f"{len(sound)} maps, {jobs} processes: {walls[-1]:.1f} s; processor: {own:.1f} s of the batch, "
            f"{workers:.1f} s of its workers"
        )
    print(
        f"two are {walls[0] / walls[1]:.2f} times as quick as one, on a quiet machine "
        f"{quiet[0] / quiet[1]:.2f} times"
    )


_TIMED_MAIN = """
import resource, sys
from napari_xrf.cli import main
code = main(sys.argv[1:])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(*(each.ru_utime + each.ru_stime for each in used), file=sys.stderr)
sys.exit(code)
"""


def shards(maps: Path, out: Path) -> None:
    plan, parts = out / "plan.npz", out / "parts"
    run("maps", maps / "m00.h5", "-o", out / "whole")
    run("maps", maps / "m00.h5", "--make-plan", plan)
    for number in range(1, 5):
        run("maps", maps / "m00.h5", "--plan", plan, "--shard", f"{number}/4", "-o", parts)
    run("merge", parts)
    names = ("maps.ome.tif", "maps.h5", "maps.csv")
    same = all((parts / name).read_bytes() == (out / "whole" / name).read_bytes() for name in names)
    print(f"4 shards merged are the whole, byte for byte: {same}")


PARTS = {"damaged": with_damaged, "shards": shards, "killed": killed, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        maps = folder / "maps"
        if not maps.is_dir():
            make_maps(maps)
        for name in arguments.parts:
            PARTS[name](maps, folder / name)


if __name__ == "__main__":
    main()
