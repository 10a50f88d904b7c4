"""Energies at which nothing was recorded are told: elements there would be missed without a word."""

import numpy as np
import pytest

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.front_door import find_elements
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument


def basalt(dead: tuple[float, float] | None = None, counts: float = 2e5) -> SpectralCube:
    spectrum, _ = simulate_spectrum("Si4Al2Ca2Fe2O16", load_instrument("m4-tornado"), counts=counts)
    drawn = np.random.default_rng(3).poisson(spectrum.counts)
    if dead is not None:
        energies = spectrum.energy.energies
        drawn[(energies > dead[0]) & (energies < dead[1])] = 0
    return SpectralCube(drawn[None, None], spectrum.energy, "basalt")


def test_a_window_without_counts_is_told():
    (told,) = calibrate_map(basalt((1.6, 2.6))).blind_windows
    assert "1.6" in told
    assert "2.6" in told
    with pytest.warns(UserWarning, match="nothing is recorded from 1.6"):
        find_elements(basalt((1.6, 2.6)))


@pytest.mark.parametrize("counts", [2e5, 2e3, 60])
def test_whole_spectra_are_not_blind_however_few_their_counts(counts):
    assert calibrate_map(basalt(counts=counts)).blind_windows == ()


def test_a_gap_narrower_than_a_peak_and_an_early_end_are_no_window():
    assert calibrate_map(basalt((4.5, 4.6))).blind_windows == ()
    assert calibrate_map(basalt((12.0, 99.0))).blind_windows == ()
