"""How quick a model is on this machine, and how much memory it needs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

import psutil

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction import predict

_SAMPLED_EVERY = 0.01


@dataclass(frozen=True)
class Speed:
    """One run of a model on a map.

    Attributes
    ----------
    pixels
        Of the map.
    seconds, processor_seconds
        By the clock, and of all cores together.
    peak_bytes
        Most memory during the run above that before it.
    """

    pixels: int
    seconds: float
    processor_seconds: float
    peak_bytes: int

    def as_row(self) -> dict[str, float]:
        """Return the figures in readable units."""
        return {
            "pixels": float(self.pixels),
            "seconds": self.seconds,
            "processor seconds": self.processor_seconds,
            "spectra per second": self.pixels / max(self.seconds, 1e-9),
            "peak MB": self.peak_bytes / 1e6,
        }


def measure_speed(
    model: Model, cube: SpectralCube, *, device: str = "auto", progress: Progress = ignore_progress
) -> Speed:
    """Run a model on a map with its default outputs, calibration aside, and measure it."""
    pixels = cube.map_shape[0] * cube.map_shape[1]
    with PeakMemory() as memory:
        wall, processor = time.perf_counter(), time.process_time()
        predict(model, cube, calibrate=False, device=device, progress=progress)
        seconds, used = time.perf_counter() - wall, time.process_time() - processor
    return Speed(pixels, seconds, used, memory.peak_bytes)


class PeakMemory:
    """Samples the memory of this process between ``with`` and its end.

    Attributes
    ----------
    peak_bytes
        Most of it above that at the start.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._process = psutil.Process()
        self._start = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._start = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLED_EVERY):
            self._look()

    def _look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss - self._start)
