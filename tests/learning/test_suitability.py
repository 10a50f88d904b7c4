"""Models that were trained for other instruments say so, and a coarse detector gets the model made for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.network_method import classify_by
from napari_xrf.learning.prediction.suitability import default_element_model, unsuited, unsuited_to
from napari_xrf.learning.weights import load_model, read_description
from napari_xrf.physics.excitation import excitation_of, instrument_of
from napari_xrf.physics.instrument import load_instrument
from simulated_maps import simulate_map


@pytest.mark.parametrize(
    ("model", "instrument", "said"),
    [
        ("mineral-cnn", "m4-tornado", ""), ("mineral-cnn", "pixl", ""),
        ("mineral-cnn", "sem-eds", "electrons"),
        ("mineral-cnn", "gem", "resolution"), ("lt-vit", "gem", ""), ("lt-vit", "m4-tornado", "resolution"),
        ("maxrf-cnn", "synchrotron", ""), ("element-mlp", "sem-eds", ""), ("element-mlp", "synchrotron", ""),
        ("element-mlp", "gem", "resolution"), ("mineral-mlp", "sem-eds", ""),
        ("mineral-mlp", "gem", "resolution"), ("line-mlp", "sem-eds", "electrons"),
        ("line-mlp", "m4-tornado", ""),
    ],
)  # fmt: skip
def test_what_a_model_was_trained_for(model, instrument, said):
    found = " ".join(unsuited(read_description(model), load_instrument(instrument)))
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("model", "beam", "said"),
    [
        ("maxrf-cnn", Excitation("monochromatic", 10.0), "beams at 18 keV"),  # named Ge above its beam
        ("maxrf-cnn", Excitation("monochromatic", 17.0), ""),
        ("mineral-cnn", Excitation("tube", 28.0, "Rh"), "tubes of Rh at 50 kV"),
        ("mineral-cnn", Excitation("tube", 50.0, "W"), "excited by tubes of W at 50 kV"),
        ("mineral-cnn", Excitation("tube", None, "Rh"), ""),
        ("mineral-cnn", Excitation("tube", 40.0), ""),
        ("mineral-mlp", Excitation("tube", 28.0, "W"), ""),
        ("line-mlp", Excitation("tube", 28.0, "W"), ""),
    ],
)
def test_a_file_that_states_another_beam_is_told(model, beam, said):
    cube = SpectralCube(np.ones((1, 1, 1024), dtype=np.uint16), EnergyAxis(0.0, 0.02, 1024), excitation=beam)
    found = " ".join(unsuited_to(read_description(model), cube))
    assert said in found
    assert bool(found) == bool(said)


def test_a_prediction_says_it_first():
    counts = np.random.default_rng(1).poisson(3, (2, 2, 1024)).astype(np.uint16)
    cube = SpectralCube(counts, EnergyAxis(0.0, 0.02, 1024), "m", excitation=Excitation("electron", 20.0))
    model = load_model("mineral-cnn")
    assert "do not trust" in predict(model, cube, calibrate=False).notes[0]
    silent = replace(cube, excitation=Excitation())
    assert not any("trust" in note for note in predict(model, silent, calibrate=False).notes)
    assert not unsuited_to(model.description, silent)  # a guess is not held against it


def test_peaks_tell_of_the_resolution_where_a_file_says_nothing():
    """A camera's model answered *nothing found* on a plate of zirconium under a silicon drift detector."""
    measured = simulate_map((2, 2), 50_000, np.random.default_rng(0)).cube
    unsaid = replace(measured, excitation=Excitation())
    assert "resolution" in " ".join(predict(load_model("lt-vit"), unsaid).doubts)
    assert "trained" not in " ".join(predict(load_model("element-mlp"), unsaid).doubts)


@pytest.mark.parametrize(("soft", "told"), [(True, True), (False, False)])
def test_soft_counts_tell_of_electrons_where_a_file_says_nothing(soft, told):
    """A network of tubes answered without a word on a SEM's plate whose file names no excitation."""
    axis = EnergyAxis(0.0, 0.02, 1000)
    shape = 200 * np.exp(-0.5 * ((axis.energies - 9.886) / 0.07) ** 2) + (6.0 if soft else 0.1)
    shape[axis.energies < (0.2 if soft else 0.9)] = 0
    counts = np.random.default_rng(2).poisson(100 * shape).astype(np.uint32)[None, None]
    cube = SpectralCube(counts, axis, name="plate")
    notes = predict(load_model("mineral-cnn"), cube).doubts
    assert any("soft counts" in note and "electrons" in note for note in notes) == told
    notes = classify_by("mineral-cnn", cube).notes
    assert ("soft counts" in notes[0]) == told
    stated = replace(cube, excitation=Excitation("tube", 40.0, anode="Rh"))
    assert not any("electrons" in note for note in predict(load_model("mineral-cnn"), stated).doubts)


def test_a_camera_is_taken_for_one_by_its_name_or_its_resolution():
    gem = excitation_of(load_instrument("gem"))
    cube = SpectralCube(np.ones((1, 1, 300), dtype=np.uint16), EnergyAxis(0.05, 0.1, 300), excitation=gem)
    for excitation in (gem, replace(gem, instrument="my camera"), replace(gem, instrument=None)):
        instrument = instrument_of(replace(cube, excitation=excitation))
        assert instrument.detector.kind == "gem"
        assert default_element_model(instrument) == "lt-vit"
    assert default_element_model(load_instrument("m4")) == "element-mlp"
