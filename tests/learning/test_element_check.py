"""Elements that a network names are held against what the sum spectrum needs."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.prediction import element_check
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.element_check import checked_presence
from napari_xrf.learning.weights import load_model
from napari_xrf.maps.calibrated_map import calibrate_map
from pure_spectra import peaks

NAMES = ("C", "Ca", "V", "Fe", "Cu", "Rh")


def plate(shape=(1, 1), **stated):
    """Calcium carbonate and iron under a tube."""
    axis = EnergyAxis(0.0, 0.02, 1024)
    expected = 1e5 * peaks((3.69, 3.69, 3.69, 3.69, 4.01, 6.40, 6.40, 6.40, 7.06), axis=axis) + 20
    counts = np.random.default_rng(4).poisson(expected, (*shape, axis.size)).astype(np.uint32)
    return SpectralCube(counts, axis, excitation=Excitation("tube", 30.0, "Rh", **stated))


@pytest.fixture(scope="module")
def known():
    return calibrate_map(plate())


def checked(known, *chances):
    """Return what is left of the chances of the elements in each pixel, and notes."""
    said = np.array(chances, dtype=np.float32)
    pixels = np.broadcast_to(said, (*known.cube.map_shape, len(NAMES))).copy()
    return checked_presence(pixels, NAMES, said >= 0.5, known)


def test_what_the_spectrum_is_explained_without_is_doubted_and_told(known):
    left, notes = checked(known, 0.9, 0.9, 0.8, 0.9, 0.3, 0.9)
    assert (left[0, 0] >= 0.5).tolist() == [True, True, False, True, False, False]
    assert "V, Rh" in notes[0]
    assert "Cu" not in notes[0]  # nobody named it
    assert left[0, 0, 0] == np.float32(0.9)  # carbon has no line in the fitted energies


def test_what_stands_clear_is_added_to_one_spectrum_only(known):
    left, notes = checked(known, 0, 0.9, 0, 0.1, 0, 0)
    assert left[0, 0, NAMES.index("Fe")] > 0.9
    assert notes[-1].endswith(": Fe")
    left, notes = checked(calibrate_map(plate((2, 2))), 0, 0.9, 0, 0.1, 0, 0)
    assert not notes
    assert (left[..., NAMES.index("Fe")] == np.float32(0.1)).all()


def test_what_the_fit_is_hardly_sure_of_is_added_where_it_is_significant(known, monkeypatch):
    """Zirconium of a basalt glass, at 20 standard errors, is a sixth of what lies at its place."""
    (iron,) = (one for one in known.elements if one.element == "Fe")
    for significance, added in ((20.0, True), (5.0, False)):
        evidence = replace(iron.evidence, significance=significance, contrast=0.17)
        seen = replace(iron, probability=0.65, evidence=evidence)
        monkeypatch.setattr(element_check, "find_elements", lambda *_, found=seen, **__: (found,))
        left, _ = checked(known, 0, 0, 0, 0.04, 0, 0)
        assert (left[0, 0, NAMES.index("Fe")] == np.float32(0.65)) == added


def test_nothing_is_checked_on_a_doubtful_axis_or_a_gas_detector(known):
    named = (0.9, 0.9, 0.8, 0.9, 0.3, 0.9)
    doubtful = replace(known, calibration=replace(known.calibration, doubtful=True))
    wide = replace(known.detector, noise_fwhm_ev=1200.0)
    coarse = replace(known, calibration=replace(known.calibration, detector=wide))
    for each in (doubtful, coarse):
        left, notes = checked(each, *named)
        assert np.array_equal(left[0, 0], np.array(named, dtype=np.float32))
        assert not notes


def test_what_a_fit_finds_on_a_gas_detector_is_told_and_not_believed(known, monkeypatch):
    """Chalk below a painting is background to networks for such cameras, which said nothing of it."""
    wide = replace(known.detector, noise_fwhm_ev=1200.0)
    camera = replace(known, calibration=replace(known.calibration, detector=wide, doubtful=True))
    seen = tuple(one for one in known.elements if one.element == "Fe")
    monkeypatch.setattr(element_check, "find_elements", lambda *_, **__: seen)
    for chance, told in ((0.1, ["Fe"]), (0.9, [])):
        left, notes = checked(camera, 0, 0.9, 0, chance, 0, 0)
        assert left[0, 0, NAMES.index("Fe")] == np.float32(chance)
        assert [note.rpartition(": ")[2] for note in notes] == told


def test_evidence_is_the_same_however_it_is_come_by(known):
    anew = pickle.loads(pickle.dumps(replace(known)))
    assert {one.element for one in anew.evidence} == {one.element for one in known.evidence} >= {"Ca", "Fe"}


def test_predictions_are_checked(known):
    model = load_model("element-mlp")
    before, after = (predict(model, known, check=check).probability[0, 0] for check in (False, True))
    needed = {one.element for one in known.evidence}
    for name in ("V", "Rh", "U"):
        place = model.description.names.index(name)
        assert name not in needed
        odds = 0.05 * before[place] / (1 - before[place])
        assert after[place] == pytest.approx(odds / (1 + odds), rel=1e-3, abs=1e-9)
