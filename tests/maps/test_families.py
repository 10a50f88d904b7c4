import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.spectra.families import family_columns, subshell_columns
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
