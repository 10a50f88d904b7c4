"""Detectors that do not measure what the others do are told of, and those that do are not."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from bruker_files import write_bcf
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.io.stray_detectors import differing

AXIS = EnergyAxis(0.0, 0.01, 1024)


def rates() -> np.ndarray:
    channels = np.arange(1024)
    found = 3 * np.exp(-channels / 300)
    for place, height in ((174, 20.0), (369, 60.0), (640, 200.0), (706, 30.0)):
        found += height * np.exp(-0.5 * ((channels - place) / 6) ** 2)
    return found


def four(seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    absorbed = np.exp(-0.8 * (100 / (np.arange(1024) + 30)) ** 3)  # one looks through more air
    return [draw.poisson(rates() * share * (absorbed if share == 0.6 else 1)) for share in (1, 0.9, 0.6, 1.2)]


@pytest.mark.parametrize("seed", range(3))
def test_detectors_that_agree_are_not_named(seed):
    assert differing("abcd", four(seed), [AXIS] * 4) == ()


@pytest.mark.parametrize("shift", [-12, 3, 25])
def test_shifted_dead_and_noisy_ones_are(shift):
    sums = four()
    sums[1] = np.roll(sums[1], shift)
    (told,) = differing("abcd", sums, [AXIS] * 4)
    assert "detector b" in told
    assert f"{10 * shift:+d} eV" in told
    # A calibration of its own puts its peaks where the others' are.
    own = EnergyAxis(-0.01 * shift, 0.01, 1024)
    assert differing("abcd", sums, [AXIS, own, AXIS, AXIS]) == ()
    sums[1] = np.zeros(1024)
    sums[3][:40] += 20_000
    told = differing("abcd", sums, [AXIS] * 4)
    assert [sentence.split("detector ")[-1][0] for sentence in map(str.lower, told)] == ["b", "d"]
    assert "dead" in told[0]
    assert "unlike" in told[1]


def test_readers_tell(tmp_path):
    maps = np.stack([np.random.default_rng(at).poisson(rates() / 12, (3, 4, 1024)) for at in range(3)])
    maps[1] = np.roll(maps[1], 20, axis=-1)
    maps[2] = 0
    write_bcf(tmp_path / "m.bcf", maps.astype(int), energy=AXIS)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["entry/instrument/detector/data"] = maps.reshape(3, 12, 1024).swapaxes(0, 1)
    for name in ("m.bcf", "m.h5"):
        cube = io.read(tmp_path / name)
        told = " ".join(cube.provenance.warnings)
        assert "is dead" in told
        assert "+200 eV" in told
        assert int(cube.counts.sum()) == maps.sum()
