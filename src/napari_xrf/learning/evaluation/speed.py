"""How quick a model is on this machine, and how much memory it needs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict

_SAMPLED_EVERY = 0.01


@dataclass
class PeakMemory:
    """Most memory of this process above that at the start, bytes."""

    peak_bytes: int = 0


def measure_speed(model: Model, cube: SpectralCube, *, device: str = "auto") -> dict[str, float]:
    """Run a model on a map with its default outputs, calibration aside.

    Returns
    -------
    Pixels, seconds by the clock and of all cores together, spectra per second, and the most memory during
    the run above that before it, MB.
    """
    pixels = cube.map_shape[0] * cube.map_shape[1]
    with peak_memory() as memory:
        wall, processor = time.perf_counter(), time.process_time()
        predict(model, cube, calibrate=False, device=device)
        seconds, used = time.perf_counter() - wall, time.process_time() - processor
    return {
        "pixels": float(pixels),
        "seconds": seconds,
        "processor seconds": used,
        "spectra per second": pixels / max(seconds, 1e-9),
        "peak MB": memory.peak_bytes / 1e6,
    }


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Sample the memory of this process until the end of the block."""
    process, memory, done = psutil.Process(), PeakMemory(), threading.Event()
    start = process.memory_info().rss

    def sample() -> None:
        while True:
            memory.peak_bytes = max(memory.peak_bytes, process.memory_info().rss - start)
            if done.wait(_SAMPLED_EVERY):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()
        memory.peak_bytes = max(memory.peak_bytes, process.memory_info().rss - start)
