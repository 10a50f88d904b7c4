import numpy as np
import pytest

import napari_xrf as nx
from napari_xrf.cli import main
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map, find_elements

AXIS = EnergyAxis(-0.2, 0.01, 4096)
ALPHA = {"Si": (1.74, 120.0), "Ca": (3.69, 300.0), "Fe": (6.404, 400.0), "Cu": (8.046, 100.0)}
BETA = {"Ca": (4.013, 39.0), "Fe": (7.058, 60.0), "Cu": (8.905, 13.5)}


def map_of(*peaks, total, fwhm=0.15):
    """Gaussians of one width over a flat continuum, as scripts make them."""
    sigma = fwhm / 2.3548
    mean = 0.3 + sum(size * np.exp(-0.5 * ((AXIS.energies - at) / sigma) ** 2) for at, size in peaks)
    counts = np.random.default_rng(0).poisson(total * mean / mean.sum())
    return SpectralCube(counts[None, None], AXIS, "made")


@pytest.mark.parametrize("total", [1e4, 1e6, 1e8])
def test_lines_of_one_width_are_those_of_their_elements(total):
    known = calibrate_map(map_of(*ALPHA.values(), *BETA.values(), total=total))
    found = {one.element: one for one in find_elements(known)}
    assert set(found) == set(ALPHA)
    assert all(one.probability > 0.9 for one in found.values())
    assert known.unnamed_peaks == ()


@pytest.mark.parametrize("total", [1e4, 1e5, 1e6])
def test_a_large_peak_that_lacks_its_other_lines_is_told(total):
    known = calibrate_map(map_of(*ALPHA.values(), BETA["Fe"], total=total))
    named = {one.element for one in find_elements(known)}
    told = {element for peak in known.unnamed_peaks for element in peak.elements}
    assert {"Ca", "Si"} <= named | told
    assert not told & named


def test_such_a_peak_is_a_warning_in_python_and_of_the_command_line(tmp_path, capsys):
    made = map_of(*ALPHA.values(), BETA["Fe"], total=1e6)
    with pytest.warns(UserWarning, match=r"3\.\d+ keV with \d+ % of the counts .* may be Ca"):
        nx.find_elements(made)
    nx.write(tmp_path / "made.h5", made)
    assert main(["elements", str(tmp_path / "made.h5")]) == 0
    assert "it may be Ca" in capsys.readouterr().err


@pytest.mark.parametrize("formula", ["SiO2", "CaCO3", "Fe2O3", "(Zn0.9Fe0.1)S"])
def test_what_a_tube_scatters_is_not_told(formula):
    made = nx.simulate(formula, counts=1e6)
    counts = np.random.default_rng(1).poisson(made.counts)
    known = calibrate_map(SpectralCube(counts[None, None], made.energy, excitation=made.excitation))
    assert find_elements(known)
    assert known.unnamed_peaks == ()


@pytest.mark.parametrize(
    ("element", "lines"),
    [("Mo", ((17.44, 180.0), (19.61, 30.0))), ("W", ((8.39, 120.0), (9.68, 90.0), (11.28, 14.0)))],
)
def test_lines_that_may_be_of_the_sample_or_of_a_tube_that_nobody_stated_are_told(element, lines):
    known = calibrate_map(map_of(ALPHA["Ca"], BETA["Ca"], ALPHA["Fe"], BETA["Fe"], *lines, total=3e5))
    named = {one.element for one in find_elements(known)}
    told = {each for peak in known.unnamed_peaks if peak.anode for each in peak.elements}
    assert element in named | told
    assert known.setting.anode not in named
