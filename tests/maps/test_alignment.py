"""Pictures on maps by points."""

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.alignment import align_points, resample, transformed

TURNED = np.array([[0.8, -0.3, 5.0], [0.3, 0.8, -2.0], [0.0, 0.0, 1.0]])
SHEARED = np.array([[0.8, -0.1, 5.0], [0.3, 1.7, -2.0], [0.0, 0.0, 1.0]])
PLACES = np.array([[3.0, 4.0], [90.0, 10.0], [20.0, 70.0], [60.0, 55.0], [85.0, 90.0]])


@pytest.mark.parametrize(("count", "matrix"), [(2, TURNED), (3, SHEARED), (5, SHEARED)])
def test_points_tell_how_a_picture_lies(count, matrix):
    found = align_points(PLACES[:count], transformed(matrix, PLACES[:count]))
    assert np.allclose(found.matrix, matrix)
    assert np.isnan(found.missed).all() if count < 4 else np.allclose(found.missed, 0)


def test_a_wrong_pair_is_missed_most():
    target = transformed(TURNED, PLACES)
    target[1] += (9.0, 0.0)
    assert np.argmax(align_points(PLACES, target).missed) == 1


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (PLACES[:1], "fewer than two"),
        (np.array([[1, 1], [2, 2], [3, 3]]), "on a line"),
        (np.array([[1, 1], [1, 1]]), "on one place"),
    ],
)
def test_points_that_tell_nothing_are_refused(points, says):
    with pytest.raises(InvalidInput, match=says):
        align_points(points, points)


def test_a_fine_picture_is_averaged_at_the_pixels_of_a_map():
    noise = np.random.default_rng(0).normal(10.0, 1.0, (100, 80))
    noise[:, 40:] += 20.0
    picture = np.stack([noise, 2 * noise, 3 * noise], axis=2)
    from_map = np.array([[10.0, 0.0, 4.5], [0.0, 10.0, 4.5], [0.0, 0.0, 1.0]])
    values = resample(picture, from_map, (10, 9))
    assert values.shape == (10, 9, 3)
    assert np.isnan(values[:, 8]).all()  # beyond the picture
    assert np.allclose(values[:, 1, 0], 10, atol=0.6)
    assert np.allclose(values[:, 6, 2], 90, atol=2)
