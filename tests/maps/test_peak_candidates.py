"""What a clicked peak may be: its siblings decide."""

import numpy as np
import pytest

from measured import measured_file
from napari_xrf import io
from napari_xrf.core.emission_lines import family_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.maps.identification.peak_candidates import (
    PeakCandidate,
    Sibling,
    detector_artefacts,
    rank_lines,
)
from napari_xrf.maps.spectra.background import typical_fwhm

AXIS = EnergyAxis(-0.1, 0.01, 2048)


def spectrum_of(families, counts=50_000):
    expected = np.full(AXIS.size, 4.0)
    for family in families:
        for energy, share in zip(*family_lines(*family.split(), 40.0), strict=True):
            sigma = float(typical_fwhm(energy)) / 2.355
            expected += (
                share
                * counts
                * AXIS.width
                / sigma
                / 2.507
                * np.exp(-0.5 * ((AXIS.energies - energy) / sigma) ** 2)
            )
    return np.random.default_rng(0).poisson(expected)


@pytest.mark.parametrize(
    ("families", "energy", "name"),
    [
        (("Fe K",), 6.41, "Fe Kα1"),
        (("Fe K",), 7.05, "Fe Kβ1"),
        (("Pb L",), 10.55, "Pb Lα1"),  # as As Kα, but for Lβ
        (("As K",), 10.54, "As Kα1"),
        (("Ba L",), 4.47, "Ba Lα1"),  # as Ti Kα
        (("Ti K",), 4.51, "Ti Kα1"),
    ],
)
def test_siblings_tell_lines_of_one_energy_apart(families, energy, name):
    best, *_ = rank_lines(energy, spectrum_of(families), AXIS)
    assert best.name == name
    assert "seen" in best.evidence
    assert "missing" not in best.evidence


def test_a_peak_of_the_scattered_beam_is_offered_as_such():
    compton = spectrum_of(()) + np.rint(2000 * np.exp(-0.5 * ((AXIS.energies - 16.02) / 0.15) ** 2))
    seen = ((15.9, 17.2),)
    assert rank_lines(16.02, compton, AXIS)[0].family
    best, *_ = rank_lines(16.02, compton, AXIS, scattered=seen)
    assert (best.name, best.family) == ("scattered beam", "")
    assert not best.is_unlikely
    # A line whose siblings are there stays the likelier.
    assert rank_lines(16.62, spectrum_of(("Nb K",)), AXIS, scattered=seen)[0].name == "Nb Kα1"


def test_what_lacks_its_siblings_says_so():
    found = rank_lines(10.54, spectrum_of(("As K",)), AXIS)
    lead = next(each for each in found if each.family == "Pb L")
    assert "Lβ1 missing" in lead.evidence


def test_escape_and_pile_up_are_offered():
    spectrum = spectrum_of(("Ca K",), 500_000)
    for energy, counts in ((3.69 - 1.74, 3000), (2 * 3.69, 3000)):
        spectrum[AXIS.channel(energy) - 4 : AXIS.channel(energy) + 5] += counts // 9
    escape, pile_up = (rank_lines(energy, spectrum, AXIS) for energy in (1.95, 7.38))
    assert any(each.name.startswith("escape of the peak at 3.69") for each in escape)
    assert any(each.name.startswith("pile-up of 3.69 + 3.69") for each in pile_up)


@pytest.mark.parametrize(
    ("name", "energy", "expected"),
    [
        ("standards/Till-1_soil_Horiba_Rh50kV.txt", 14.1, "Sr Kα1"),
        ("standards/Till-1_soil_Horiba_Rh50kV.txt", 4.5, "Ti Kα1"),
        ("standards/Zr_metal_microXRF_Rh50kV.msa", 17.6, "Zr Kβ1"),
    ],
)
def test_peaks_of_measured_spectra(name, energy, expected):
    cube = io.read(measured_file(name))
    best, *_ = rank_lines(energy, cube.sum_spectrum(), cube.energy, highest_kev=50.0)
    assert best.name == expected


def test_escape_and_pile_up_of_the_strongest_peaks_are_placed():
    placed = dict(detector_artefacts(spectrum_of(["Fe K"]), AXIS))
    (escape,) = [at for name, at in placed.items() if name == "escape 6.40"]
    assert escape == pytest.approx(6.40 - 1.74, abs=0.02)
    (double,) = [at for name, at in placed.items() if name == "6.40 + 6.40"]
    assert double == pytest.approx(12.80, abs=0.03)


def test_a_soft_sibling_far_below_what_is_expected_is_not_called_seen():
    soft = Sibling("Mβ", 1.0, expected=0.11, measured=0.01, error=0.001)
    candidate = PeakCandidate("Hf Mα1", "Hf M", 1.7, (soft,), 0.0)
    assert candidate.evidence == "Mβ weak (1%, expected 11%)"
    assert not candidate.is_unlikely  # the sample may keep it
