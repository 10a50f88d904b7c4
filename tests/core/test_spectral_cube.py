import dask.array
import numpy as np
import pytest

from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube

AXIS = EnergyAxis(-0.1, 0.1, 30)


@pytest.fixture(params=["numpy", "dask"])
def cube(request):
    counts = np.random.default_rng(3).poisson(2.0, (6, 5, 30)).astype(np.uint16)
    return SpectralCube(
        counts if request.param == "numpy" else dask.array.from_array(counts, (2, 5, 30)), AXIS
    )


def test_sums_agree_whatever_holds_the_counts(cube):
    dense = np.asarray(cube.counts)
    mask = np.zeros((6, 5), bool)
    mask[1:4, 2] = mask[5, 0] = True
    assert np.array_equal(cube.sum_spectrum(), dense.sum(axis=(0, 1)))
    assert np.array_equal(cube.max_spectrum(), dense.max(axis=(0, 1)))
    assert np.array_equal(cube.region_spectrum(mask), dense[mask].sum(axis=0))
    assert np.array_equal(cube.window_map(0.2, 0.6), dense[:, :, 3:8].sum(axis=2))
    assert np.array_equal(cube.spectrum_at(2, 3), dense[2, 3])
    assert np.array_equal(np.concatenate([block for _, block in cube.blocks(300)]), dense)


@pytest.mark.parametrize("budget", [1, 10**9])
def test_loading_keeps_every_count_in_memory_or_on_disk(cube, budget):
    loaded = cube.load(memory_budget=budget)
    assert loaded.is_loaded
    assert np.array_equal(loaded.counts, np.asarray(cube.counts))
    assert isinstance(loaded.counts, np.ndarray) == (
        budget != 1 or (cube.is_loaded and isinstance(cube.counts, np.ndarray))
    )


def test_a_region_without_pixels_is_empty_and_a_wrong_mask_is_refused(cube):
    assert cube.region_spectrum(np.zeros((6, 5), bool)).sum() == 0
    with pytest.raises(InvalidInput, match="mask"):
        cube.region_spectrum(np.ones((5, 6), bool))


def test_cancel_passes_through(cube):
    def cancel(done, total, what):
        raise Cancelled

    with pytest.raises(Cancelled):
        cube.max_spectrum(cancel)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": np.zeros((6, 30))},
        {"counts": np.zeros((6, 5, 29))},
        {"live_time": np.zeros((5, 6))},
        {"pixel_size": (0.0, 1.0)},
        {"pixel_size": (np.nan, 1.0)},
    ],
)
def test_refuses_shapes_that_do_not_fit(change):
    with pytest.raises(InvalidInput):
        SpectralCube(**({"counts": np.zeros((6, 5, 30)), "energy": AXIS} | change))


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_classes_are_summed_with_fractions_of_counts(kind: str) -> None:
    counts = (0.25 if kind == "f4" else 3) * np.ones((3, 4, 8))
    labels = np.array([[0, 1, 1, 2], [2, 2, 2, 2], [0, 0, 0, 0]])
    sums = sum_classes(SpectralCube(counts.astype(kind), EnergyAxis(0.0, 0.1, 8)), labels)
    assert sorted(sums) == [1, 2]
    assert np.array_equal(sums[1], 2 * counts[0, 0])
    assert np.array_equal(sums[2], 5 * counts[0, 0])
