import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.spectra.families import family_columns, subshell_columns
from napari_xrf.maps.spectra.scatter import compton_lines, scatter_columns
from napari_xrf.physics.detector.detector import respond
from napari_xrf.physics.instrument import load_instrument

AXIS = EnergyAxis(0.0, 0.01, 1200)
DETECTOR = load_instrument("m4-tornado").detector


@pytest.mark.parametrize(
    ("family", "loose_kev"), [("Sn L", (4.05, 4.6)), ("Pb M", (1.7, 2.0))], ids=["Lγ", "Mζ"]
)
def test_the_least_known_lines_are_parts_of_their_subshells(family, loose_kev):
    parts, loosest = subshell_columns(family, DETECTOR, AXIS, 50.0)
    assert np.allclose(parts.sum(axis=0), family_columns((family,), DETECTOR, AXIS, 50.0)[0], atol=1e-9)
    assert (loosest <= parts + 1e-12).all()
    band = AXIS.window(*loose_kev)
    assert loosest[:, band].sum() > 0.6 * parts[:, band].sum() > 0
    assert loosest.sum() < 0.3


@pytest.mark.parametrize("degrees", [60.0, 145.0])
def test_compton_photons_on_an_even_grid_look_as_all_their_energies(degrees):
    column = scatter_columns("monochromatic", 10.2, None, degrees, DETECTOR, AXIS)["beam Compton"]
    every = respond(DETECTOR, AXIS, *compton_lines(np.array([10.2]), np.ones(1), degrees))[1:]
    assert column[1:] == pytest.approx(every / every.sum(), abs=2e-5 * column.max())
