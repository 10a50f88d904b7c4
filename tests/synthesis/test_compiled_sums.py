"""Loops just compiled round as those from the disk do: one seed gives the same counts the first time, too."""

import os
import subprocess
import sys

import pytest

DRAWN = """
import hashlib
import numpy as np
from napari_xrf.maps.pixels.fit_kernels import project
from napari_xrf.minerals.mixing.unmixing import unmix
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortions import Distortions, draw_values
from napari_xrf.synthesis.layers import synthesize_layers

instrument = load_instrument("m4-tornado")
ranges = Distortions(gain=(-.003, .003), width_factor=(1.0, 1.3), tail=(0.0, 0.04), shelf=(0.0, 0.01))
spectra = np.random.default_rng(1).random((8, instrument.energy.size), dtype=np.float32)
values = draw_values(ranges, len(spectra), np.random.default_rng(2))
made = distort(spectra, instrument.energy, values, instrument.detector.fwhm)
layers = synthesize_layers(300, generator=np.random.default_rng(3)).spectra
ends = spectra[:, :200].copy()
counts = np.random.default_rng(4).poisson(layers[:40, :8] @ ends).astype(np.float32)
candidates = np.tile(np.arange(6, dtype=np.int32), (40, 1))
unmixed = unmix(counts, ends, np.arange(8, dtype=np.int32) // 2, candidates)
fitted = np.zeros((40, 8), dtype=np.float32)
project(counts.astype(np.uint16), ends.T.copy(), fitted)
for each in (made, layers, *unmixed, fitted):
    print(hashlib.sha256(each.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_seed_gives_the_same_before_and_after_loops_are_kept(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", DRAWN], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(set(first.split())) == 6
