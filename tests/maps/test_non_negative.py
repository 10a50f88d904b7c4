import numpy as np
import pytest

from napari_xrf.maps.spectra.non_negative import fit_bounded


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
