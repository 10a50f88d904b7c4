"""Pixels that share counts are found, and teach once."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import zoom

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.independent_pixels import independent_pixels
from napari_xrf.minerals.likelihood.templates import EnergyBins
from napari_xrf.minerals.mixing.ends import learn_ends

BINS, PHASES = 60, 4


def binned_map(counts: NDArray[np.floating]) -> BinnedMap:
    axis = EnergyAxis(0.0, 0.1, BINS)
    bins = np.arange(BINS)
    return BinnedMap(SpectralCube(np.ascontiguousarray(counts), axis), EnergyBins(axis, bins, bins + 1))


def scene(grain: int, counts: float, size: int = 48) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return counts (Y, X, B) of square grains, and the phase of each pixel."""
    rng = np.random.default_rng(grain)
    shapes = rng.dirichlet(np.full(BINS, 0.5), PHASES)
    grains = -(-size // grain)
    phases = rng.integers(PHASES, size=(grains, grains)).repeat(grain, 0).repeat(grain, 1)[:size, :size]
    return rng.poisson(counts * shapes[phases]).astype(np.float32), phases


@pytest.mark.parametrize("counts", [100, 1_000, 10_000])
@pytest.mark.parametrize("grain", [1, 2, 12])
def test_counted_pixels_are_independent_whatever_they_hold(grain: int, counts: float) -> None:
    found = independent_pixels(binned_map(scene(grain, counts)[0]))
    assert found.steps == (1, 1)
    assert not found.notes
    assert found.binned.held(slice(0, 48)).all()


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        (lambda counts: counts.repeat(2, 0).repeat(2, 1), (2, 2), (2, 2)),
        (lambda counts: counts.repeat(3, 1), (1, 3), (1, 3)),
        (lambda counts: zoom(counts, (2, 2, 1), order=1), (2, 2), (4, 4)),
        (lambda counts: zoom(counts, (1.5, 1.5, 1), order=1), (2, 2), (4, 4)),
        (lambda counts: zoom(counts, (3, 3, 1), order=3).clip(0), (3, 3), (6, 6)),
        (lambda counts: np.round(zoom(counts, (1, 2, 1), order=1)), (1, 2), (1, 4)),
    ],
    ids=["each twice", "columns thrice", "linear", "by one half", "cubic", "rounded"],
)
def test_a_resampled_map_is_told_and_taught_from_pixels_apart(change, least, most) -> None:  # type: ignore[no-untyped-def]
    found = independent_pixels(binned_map(change(scene(12, 1_000)[0])))
    assert np.all(np.array(found.steps) >= least)
    assert np.all(np.array(found.steps) <= most)
    assert "differ less than counts" in found.notes[0]


def test_what_no_counting_made_is_told_too() -> None:
    found = independent_pixels(binned_map(0.01 * scene(12, 1_000)[0]))
    assert found.steps == (1, 1)
    assert "these are no counts" in found.notes[0]


@pytest.mark.parametrize("copies", [(2, 2, 1), (1, 3, 1)])
def test_a_map_beside_itself_has_the_ends_of_one(copies: tuple[int, int, int]) -> None:
    counts, phases = scene(12, 1_000)
    alone, _ = learn_ends(binned_map(counts), phases)
    tiled = binned_map(np.tile(counts, copies))
    found = independent_pixels(tiled)
    assert "repeat them" in found.notes[0]
    held = found.binned.held(slice(0, tiled.shape[0]))
    assert held.sum() == phases.size
    ends, places = learn_ends(found.binned, np.where(held, np.tile(phases, copies[:2]), -1))
    assert len(ends) == len(alone) == PHASES
    # What was learnt of the first is known of its copies.
    whole = found.spread(places, tiled.shape)
    assert np.array_equal(whole, np.tile(whole[:48, :48], copies[:2]))


def test_an_enlarged_map_has_the_ends_of_the_map() -> None:
    counts, phases = scene(12, 1_000)
    wide, named = counts.repeat(3, 0).repeat(3, 1), phases.repeat(3, 0).repeat(3, 1)
    fooled, _ = learn_ends(binned_map(wide), named)
    found = independent_pixels(binned_map(wide))
    ends, places = learn_ends(found.binned, named[::3, ::3])
    assert len(ends) == PHASES < len(fooled)
    assert found.spread(places, wide.shape[:2]).shape == named.shape
