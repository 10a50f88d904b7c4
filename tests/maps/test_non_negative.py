import numpy as np
import pytest

from napari_xrf.maps.spectra.non_negative import fit_bounded, solve_bounded
from napari_xrf.minerals.naming.bounded_subsets import solve_subset


@pytest.mark.parametrize("seed", range(3))
def test_columns_that_are_many_and_alike_are_fitted_as_well_as_can_be(seed):
    # Exchanging all wrong signs at once never ends here; it gave a million times the least sum of squares.
    generator = np.random.default_rng(seed)
    places = np.linspace(0, 1, 40)
    columns = np.exp(-0.5 * ((places - np.linspace(0, 1, 150)[:, None]) / 0.15) ** 2).T
    values = columns[:, [30, 70]].sum(axis=1) + generator.normal(0, 0.05, 40)
    amounts = fit_bounded(columns, values)
    gain = columns.T @ (values - columns @ amounts)
    assert (amounts >= 0).all()
    assert gain.max() < 1e-8
    assert np.abs(gain[amounts > 0]).max() < 1e-8


def test_some_of_many_columns_are_fitted_as_by_themselves():
    generator = np.random.default_rng(4)
    columns = generator.gamma(0.3, size=(40, 1)) + 0.3 * generator.gamma(0.3, size=(40, 60))
    normal = columns.T @ columns + 1e-10 * np.eye(60)
    onto = columns.T @ (columns[:, [3, 30]] @ [1.0, 2.0] + generator.normal(0, 0.3, 40))
    for size in (0, 1, 2, 10, 60):
        rows = np.sort(generator.choice(60, size, replace=False))
        amounts, value = solve_subset(normal, onto, rows)
        inside = normal[np.ix_(rows, rows)]
        wanted = solve_bounded(inside, onto[rows])
        assert amounts == pytest.approx(wanted, abs=1e-6)
        assert value == pytest.approx(wanted @ inside @ wanted - 2 * wanted @ onto[rows])
