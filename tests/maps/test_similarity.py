import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance
from skimage.metrics import structural_similarity as skimage_similarity

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps import similarity
from napari_xrf.maps.similarity import (
    compare_histograms,
    flatten_cube,
    multiscale_similarity,
    structural_similarity,
)

HISTOGRAMS = st.lists(st.floats(0, 1e3), min_size=4, max_size=4).filter(lambda values: sum(values) > 1e-3)


@settings(max_examples=50, deadline=None)
@given(first=HISTOGRAMS, second=HISTOGRAMS)
def test_measures_agree_with_scipy_and_keep_their_bounds(first, second):
    found = compare_histograms(first, second)
    u, v = np.array(first) / sum(first), np.array(second) / sum(second)
    assert found["cosine"] == pytest.approx(distance.cosine(u, v), abs=1e-7)
    assert found["jensen-shannon"] == pytest.approx(np.nan_to_num(distance.jensenshannon(u, v)), abs=1e-6)
    assert found["chebyshev"] == pytest.approx(distance.chebyshev(u, v), abs=1e-9)
    assert found["bray-curtis"] == pytest.approx(distance.braycurtis(u, v), abs=1e-9)
    assert -1e-9 <= found["chi-square"] <= 2 + 1e-9
    assert found["chi-square"] <= 4 * found["jensen-shannon"] ** 2 + 1e-9
    assert 0 <= found["bhattacharyya"] <= 1 + 1e-9


def test_equal_and_disjoint_spectra():
    equal = compare_histograms([1, 2, 3], [10, 20, 30])
    apart = compare_histograms([1, 0], [0, 5])
    assert equal.pop("bhattacharyya") == pytest.approx(1)
    assert np.allclose(list(equal.values()), 0, atol=1e-7)
    assert apart["chi-square"] == 2
    assert apart["bray-curtis"] == 1
    assert apart["jensen-shannon"] == pytest.approx(np.sqrt(np.log(2)))
    assert apart["bhattacharyya"] == 0
    assert compare_histograms([1, 2, 4], [3, 1, 1])["correlation"] == pytest.approx(
        distance.correlation([1 / 7, 2 / 7, 4 / 7], [0.6, 0.2, 0.2])
    )


@pytest.mark.parametrize("bad", [([1, 2], [1, 2, 3]), ([0, 0], [1, 1]), ([-1, 2], [1, 1]), ([[1]], [[1]])])
def test_what_cannot_be_compared(bad):
    with pytest.raises(InvalidInput):
        compare_histograms(*bad)


def images(shape=(200, 180)):
    rng = np.random.default_rng(0)
    first = rng.random(shape)
    return first, np.clip(first + rng.normal(0, 0.2, shape), 0, 1)


def test_similarity_agrees_with_scikit_image():
    first, second = images()
    expected = skimage_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert structural_similarity(first, second) == pytest.approx(expected, abs=1e-6)
    assert structural_similarity(first, first) == pytest.approx(1)


def test_similarity_is_the_same_in_bands(monkeypatch):
    first, second = images()
    whole = structural_similarity(first, second)
    monkeypatch.setattr(similarity, "_BAND_VALUES", 180 * 7)
    assert structural_similarity(first, second) == pytest.approx(whole, rel=1e-9)


def test_multiscale_similarity_falls_with_noise():
    first, second = images()
    worse = np.random.default_rng(5).random(first.shape)
    assert multiscale_similarity(first, first) == pytest.approx(1)
    assert 1 > multiscale_similarity(first, second) > multiscale_similarity(first, worse) >= 0


def test_flattened_cube():
    flat = flatten_cube(np.array([[[0, 1]], [[3, 1000]]]))
    assert flat.shape == (2, 2)
    assert np.allclose(flat[0], [0, np.tanh(np.log(2))])


def test_images_that_do_not_fit():
    with pytest.raises(InvalidInput, match="cannot be compared"):
        structural_similarity(np.zeros((20, 20)), np.zeros((20, 21)))
    with pytest.raises(InvalidInput, match="too small"):
        multiscale_similarity(np.zeros((100, 100)), np.zeros((100, 100)))
