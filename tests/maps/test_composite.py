"""Maps as one picture, maps computed from maps, and maps against each other."""

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.composite import COLORS, compose, compute_map
from napari_xrf.maps.joint_histogram import correlations, joint_histogram, pixels_inside

IRON, CALCIUM = np.array([[0.0, 4.0], [8.0, np.nan]]), np.array([[2.0, 0.0], [8.0, 1.0]])
MAPS = {"Fe K": IRON, "Ca K": CALCIUM, "Pb L": IRON, "Pb M": IRON}


def test_any_name_can_be_written_in_an_expression():
    maps = {"BSE (rock 1)": MAPS["Fe K"], "6.3 – 6.5 keV (rock 1)": MAPS["Ca K"]}
    assert np.allclose(compute_map("BSE_rock_1 - _6_3_6_5_keV_rock_1", maps), IRON - CALCIUM, equal_nan=True)
    with pytest.raises(InvalidInput, match="BSE_rock_1, _6_3_6_5_keV_rock_1"):
        compute_map("Fe", maps)


def test_colours_add_up_within_their_limits():
    picture = compose([IRON, CALCIUM], [COLORS["red"], COLORS["green"]], [(0, 8), (0, 4)])
    assert picture[1, 0].tolist() == [1, 1, 0]  # yellow, the brighter one clipped
    assert picture[0, 1] == pytest.approx([0.5, 0, 0])
    assert picture[1, 1] == pytest.approx([0, 0.25, 0])  # what is not known is dark
    with pytest.raises(InvalidInput, match="different shapes"):
        compose([IRON, CALCIUM[:1]], ["#ff0000", "#00ff00"], [(0, 1), (0, 1)])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Fe / (Fe + Ca)", [[0, 1], [0.5, np.nan]]),
        ("2 * Fe_K - Ca", [[-2, 8], [8, np.nan]]),
        ("sqrt(Ca_K)", [[np.sqrt(2), 0], [np.sqrt(8), 1]]),
        ("Fe / Ca", [[0, np.nan], [1, np.nan]]),
    ],
)
def test_maps_are_computed(expression, expected):
    assert np.allclose(compute_map(expression, MAPS), expected, equal_nan=True)


def test_a_computed_map_takes_no_elements_name():
    maps = MAPS | {"Fe / (Fe + Ca)": IRON}
    assert np.allclose(compute_map("Fe - Ca", maps), compute_map("Fe - Ca", MAPS), equal_nan=True)


@pytest.mark.parametrize(
    "expression", ["Fe +", "Pb", "Zn", "1 + 2", "__import__('os')", "Fe.data", "[Fe]", "sqrt(Fe, Ca)", ""]
)
def test_what_cannot_be_computed_says_so(expression):
    with pytest.raises(InvalidInput):
        compute_map(expression, MAPS)


def test_a_loop_holds_the_pixels_of_its_phase():
    generator = np.random.default_rng(0)
    phase = generator.random((60, 50)) < 0.3
    first = np.where(phase, 100, 20) + generator.normal(0, 3, phase.shape)
    second = np.where(phase, 10, 60) + generator.normal(0, 3, phase.shape)
    first[0, 0] = np.nan
    histogram = joint_histogram(first, second)
    assert histogram.pixels.sum() >= 0.99 * (phase.size - 1)
    inside = pixels_inside(first, second, [(80, -10), (120, -10), (120, 30), (80, 30)])
    phase[0, 0] = False
    assert np.array_equal(inside, phase)
    matrix = correlations([first, second, np.ones_like(first)])
    assert matrix[0, 1] < -0.95
    assert np.isnan(matrix[0, 2])
