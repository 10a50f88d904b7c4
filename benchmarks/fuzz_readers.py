"""Damaged files of every format, read in a process of their own: deaths, hangs, foreign errors, wrong totals.

``python -m benchmarks.fuzz_readers [--inputs 10000] [--minutes 60] [--seed 0] [--first 0]``. Ends with 1 when
anything was found; the files that did it are then in ``build/fuzz``. ``--first`` goes on where a run ended.
"""

from __future__ import annotations

import argparse
import hashlib
import queue
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LONGEST = 10.0  # seconds for an input
MEMORY = 4 * 2**30
KEPT = Path("build/fuzz")


def main() -> int:
    arguments = parse_arguments()
    if arguments.work is not None:
        return work(arguments)
    KEPT.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    slowest, number, end = 0.0, arguments.first, time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        while number < arguments.inputs and time.monotonic() < end:
            number, seconds = watch(arguments, Path(folder), number, end, found)
            slowest = max(slowest, seconds)
    kinds = ("read", "refused", "repeated", "death", "hang", "wrong")
    told = ", ".join(f"{found[name]} {name}" for name in kinds)
    print(f"up to input {number}, slowest {slowest:.1f} s: {told}")
    return 1 if found["death"] + found["hang"] + found["wrong"] else 0


def watch(
    arguments: argparse.Namespace, folder: Path, first: int, end: float, found: Counter[str]
) -> tuple[int, float]:
    """Run a worker from an input on until it ends, dies or hangs; return the next input and the slowest."""
    command = [sys.executable, "-m", "benchmarks.fuzz_readers", "--work", str(folder), "--first", str(first),
               "--inputs", str(arguments.inputs), "--seed", str(arguments.seed)]  # fmt: skip
    slowest, number, name = 0.0, first, ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_collect, args=(worker, lines), daemon=True).start()
        while time.monotonic() < end:
            try:
                line = lines.get(timeout=LONGEST if name else 300)
            except queue.Empty:
                found["hang"] += 1
                _keep(folder, name, number, "hang")
                worker.kill()
                return number + 1, slowest
            if line is None:
                break
            kind, _, rest = line.strip().partition(" ")
            if kind == "begin":
                at, _, name = rest.partition(" ")
                number = int(at)
            elif kind == "seconds":
                slowest, name = max(slowest, float(rest)), ""
            else:
                found[kind] += 1
                if kind == "wrong":
                    print(number, name, rest, flush=True)
                    _keep(folder, name, number, "wrong")
        worker.kill() if time.monotonic() >= end else None
        if worker.wait() and time.monotonic() < end:
            found["death"] += 1
            print(number, name, f"died: {worker.returncode}", flush=True)
            _keep(folder, name, number, "death")
            return number + 1, slowest
    return number + 1, slowest


def work(arguments: argparse.Namespace) -> int:
    """Read inputs, telling of each; the same number is always the same input."""
    from mutated_files import SEEDS, check, damaged, read_total

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    names, folder = list(SEEDS), Path(arguments.work)
    whole: dict[str, tuple[bytes, float | None]] = {}
    seen: set[bytes] = set()
    for number in range(arguments.first, arguments.inputs):
        name = names[number % len(names)]
        seed, place = SEEDS[name], folder / name.replace(".", "-")
        path = place / name
        target = path.with_suffix(seed.damaged) if seed.damaged else path
        if name not in whole:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            seed.write(path)
            whole[name] = target.read_bytes(), read_total(path)
        content, cut = damaged(whole[name][0], random.Random(f"{arguments.seed} {number}"), whole[name][0])
        if (digest := hashlib.sha256(name.encode() + content).digest()) in seen:
            print("repeated", flush=True)
            continue
        seen.add(digest)
        target.write_bytes(content)
        print(f"begin {number} {name}", flush=True)
        begun = time.monotonic()
        try:
            print("read" if check(path, seed, whole[name][1], cut) else "refused", flush=True)
        except Exception as error:  # noqa: BLE001 - what must not be: it is told
            print(f"wrong {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
        print(f"seconds {time.monotonic() - begun:.3f}", flush=True)
    return 0


def _collect(worker: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        lines.put(line)
    lines.put(None)


def _keep(folder: Path, name: str, number: int, what: str) -> None:
    for file in (folder / name.replace(".", "-")).glob(f"{Path(name).stem}.*"):
        shutil.copy(file, KEPT / f"{what}-{number}-{file.name}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
