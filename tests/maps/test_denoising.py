"""Denoising by a map's own components: counts kept, truth nearer, rare pixels told of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.denoising import STRANGE, LowRankCounts, denoise_map
from verbs import answer

AXIS = EnergyAxis(0.0, 0.02, 300)


def peaks(*energies: float) -> np.ndarray:
    line = sum(np.exp(-0.5 * ((AXIS.energies - energy) / 0.06) ** 2) for energy in energies)
    return (line + 0.02) / (line + 0.02).sum()


@pytest.fixture(scope="module")
def expected():
    """Two phases in halves, and one pixel of a third."""
    truth = np.empty((20, 30, AXIS.size))
    truth[:, :15], truth[:, 15:] = 80 * peaks(1.7, 3.7), 120 * peaks(1.7, 4.5)
    truth[4, 4] = 4000 * peaks(2.6)
    return truth


def measured(expected, seed=1) -> SpectralCube:
    return SpectralCube(np.random.default_rng(seed).poisson(expected).astype(np.uint16), AXIS, "rock")


def test_it_is_nearer_to_the_truth_and_keeps_each_pixels_counts(expected):
    cube = measured(expected)
    result = denoise_map(cube)
    dense = np.asarray(result.cube.counts[:])
    common = np.ones((20, 30), dtype=bool)
    common[4, 4] = False
    before = ((cube.counts - expected) ** 2)[common].sum()
    assert ((dense - expected) ** 2)[common].sum() < before / 20
    np.testing.assert_allclose(dense.sum(axis=2), cube.counts.sum(axis=2), rtol=1e-4)
    assert dense.min() >= 0
    np.testing.assert_allclose(result.cube.sum_spectrum().sum(), cube.sum_spectrum().sum(), rtol=1e-4)


def test_noise_alone_leaves_one_component():
    flat = np.broadcast_to(50 * peaks(1.7), (20, 20, AXIS.size))
    result = denoise_map(measured(flat))
    assert result.components == 1
    assert any("alike" in note for note in result.notes)


def test_a_pixel_that_the_components_lack_is_told_of(expected):
    weak = expected.copy()
    weak[4, 4] = 30 * peaks(2.6)  # too few counts for a component of its own
    result = denoise_map(measured(weak))
    assert result.misfit[4, 4] > STRANGE
    assert np.count_nonzero(result.misfit > STRANGE) < 6
    assert any("rare grains" in text for text in result.cube.provenance.warnings)


def test_the_same_seed_gives_the_same_map(expected):
    cube = measured(expected)
    one, two = (denoise_map(cube, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.cube.counts[:], two.cube.counts[:])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_slices_are_those_of_the_whole(data):
    generator = np.random.default_rng(0)
    low = LowRankCounts(
        generator.random((5, 6, 3), dtype=np.float32),
        generator.normal(size=(3, 7)).astype(np.float32),
        generator.random((5, 6), dtype=np.float32),
    )
    index = st.one_of(st.integers(0, 4), st.slices(5), st.lists(st.integers(0, 4), min_size=1, max_size=1))
    key = tuple(data.draw(index) for _ in range(data.draw(st.integers(1, 3))))
    whole = low[:]
    picked = whole
    for axis in range(len(key) - 1, -1, -1):
        picked = picked[(slice(None),) * axis + (key[axis],)]
    np.testing.assert_allclose(low[key], picked, rtol=1e-5, atol=1e-5)


def test_too_little_to_learn_from():
    with pytest.raises(InvalidInput, match="needs a map"):
        denoise_map(SpectralCube(np.ones((1, 1, 300), dtype=np.uint16), AXIS))
    with pytest.raises(InvalidInput, match="needs a map"):
        denoise_map(SpectralCube(np.zeros((20, 20, 300), dtype=np.uint16), AXIS))


def test_the_verb(tmp_path, capsys, expected):
    io.write(tmp_path / "map.h5", measured(expected))
    said = answer(capsys, "denoise", tmp_path / "map.h5", "-o", tmp_path / "clean.h5")
    assert said["components"] >= 2
    back = io.read(tmp_path / "clean.h5")
    assert back.images[0].name == "misfit of the denoising"
    np.testing.assert_allclose(back.sum_spectrum().sum(), measured(expected).counts.sum(), rtol=0.01)


def test_fractions_of_counts_are_summed_as_such():
    cube = SpectralCube(np.full((3, 4, 300), 0.4, dtype=np.float32), AXIS)
    np.testing.assert_allclose(cube.sum_spectrum(), 4.8, rtol=1e-6)
    np.testing.assert_allclose(cube.window_map(1.0, 1.2), 0.4 * 10, rtol=0.11)
    np.testing.assert_allclose(cube.max_spectrum(), 0.4, rtol=1e-6)
    np.testing.assert_allclose(cube.spectrum_at(0, 0), 0.4, rtol=1e-6)
