"""Bruker maps against RosettaSciIO: time and memory of each way to read a large .bcf, in its own process.

Run alone on a quiet machine: ``python benchmarks/bcf_reading.py [--packing zero-run] [--file MAP.bcf]``.
CPU seconds are printed beside the wall clock, for machines that are not quiet.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

BUDGET = 500 * 10**6


def main() -> None:
    arguments = parse_arguments()
    if arguments.job:
        print(json.dumps(JOBS[arguments.job](arguments.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or str(Path(folder) / "map.bcf")
        if not arguments.file:
            from bruker_files import write_large_bcf

            write_large_bcf(Path(path), packing=arguments.packing, counts_per_pixel=arguments.counts)
        print(f"{Path(path).stat().st_size / 1e6:.0f} MB, {arguments.packing}")
        run_in_process("first_pixel", path)  # fills the compiler's and the system's caches
        for job in JOBS:
            results = run_in_process(job, path)
            print(f"\n{job}")
            for name, value in results.items():
                print(f"  {name:42s} {value:10.4g}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", help="a map to read instead of a synthetic one")
    parser.add_argument("--packing", default="12bit", choices=["12bit", "16bit", "zero-run"])
    parser.add_argument("--counts", type=float, default=268, help="counts per pixel of the synthetic map")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_in_process(job: str, path: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--job", job, "--file", path]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def median_ms(work: Callable[[int], Any], times: int) -> float:
    return 1000 * float(np.median([timed(lambda: work(number))[1] for number in range(times)]))  # noqa: B023


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rosettasciio(path: str) -> dict[str, float]:
    from rsciio.bruker import file_reader

    (signal,), wall, cpu = timed(lambda: file_reader(path, select_type="spectrum_image"))
    counts = signal["data"]
    return {
        "whole cube, eager, s": wall,
        "  of the processor, s": cpu,
        "peak memory, MB": peak_mb(),
        "bytes per count": counts.dtype.itemsize,
    }


def first_pixel(path: str) -> dict[str, float]:
    from napari_xrf.io.bcf.reader import read_bcf

    cube, wall, cpu = timed(lambda: read_bcf(path))
    _, pixel, _ = timed(lambda: cube.counts[7, 9])
    return {
        "open, s": wall,
        "  of the processor, s": cpu,
        "open and first pixel, s": wall + pixel,
        "peak memory, MB": peak_mb(),
    }


def questions(counts: Any) -> dict[str, float]:
    """Ask for pixels, regions and energy slices of loaded or packed counts."""
    height, width, channels = counts.shape
    generator = np.random.default_rng(0)

    def pixel(number: int) -> Any:
        return counts[int(generator.integers(height)), int(generator.integers(width))]

    side = min(71, height, width)
    block = np.zeros((height, width), dtype=bool)
    block[(height - side) // 2 :, (width - side) // 2 :][:side, :side] = True
    scattered = np.zeros(height * width, dtype=bool)
    scattered[generator.choice(height * width, min(5000, height * width), replace=False)] = True

    def region(mask: np.ndarray) -> Any:
        if hasattr(counts, "sum_region"):
            return counts.sum_region(mask)
        return sum(counts[row][mask[row]].sum(axis=0, dtype=np.uint64) for row in np.flatnonzero(mask.any(1)))

    return {
        "any pixel, ms": median_ms(pixel, 50),
        "region of 5 000 pixels, block, ms": median_ms(lambda number: region(block), 7),
        "region of 5 000 pixels, scattered, ms": median_ms(
            lambda number: region(scattered.reshape(height, width)), 7
        ),
        "energy slice, ms": median_ms(
            lambda number: np.ascontiguousarray(counts[:, :, (number * 397) % channels]), 11
        ),
    }


def packed(path: str, budget: int | None = None) -> dict[str, float]:
    from napari_xrf.io.bcf.reader import read_bcf

    def whole() -> Any:
        cube = read_bcf(path, memory_budget=budget)
        cube.counts.sum_channels(slice(0, 1))
        return cube

    cube, wall, cpu = timed(whole)
    results = {"whole cube, packed and by channel, s": wall, "  of the processor, s": cpu}
    return {**results, **questions(cube.counts), "peak memory, MB": peak_mb()}


def under_budget(path: str) -> dict[str, float]:
    return packed(path, BUDGET)


def dense(path: str) -> dict[str, float]:
    from napari_xrf.io.bcf.reader import read_bcf

    cube, wall, cpu = timed(lambda: read_bcf(path).load())
    results = {"whole cube, dense, s": wall, "  of the processor, s": cpu, "peak memory, MB": peak_mb()}
    return {**results, **questions(cube.counts), "bytes per count": cube.counts.dtype.itemsize}


JOBS: dict[str, Callable[[str], dict[str, float]]] = {
    "rosettasciio": rosettasciio,
    "first_pixel": first_pixel,
    "packed": packed,
    "under_budget": under_budget,
    "dense": dense,
}


if __name__ == "__main__":
    main()
