from __future__ import annotations

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.evaluation.speed import measure_speed, peak_memory
from untrained_models import untrained_model


def test_a_large_array_shows_in_the_peak() -> None:
    with peak_memory() as memory:
        held = np.ones(20_000_000)
        assert held[-1] == 1
    assert memory.peak_bytes > 100_000_000


def test_speed_counts_pixels_per_second() -> None:
    model = untrained_model("line-mlp", network={"hidden": 16})
    counts = np.random.default_rng(0).poisson(2, size=(6, 7, 300)).astype(np.uint16)
    row = measure_speed(model, SpectralCube(counts, EnergyAxis(0.0, 0.1, 300)))
    assert row["pixels"] == 42
    assert row["seconds"] > 0
    assert row["spectra per second"] == 42 / row["seconds"]
