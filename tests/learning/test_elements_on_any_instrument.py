"""Spectra on random instruments, what a network is told of them, and what is said of its answers."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.conditions import CONDITIONS, conditions_of, recorded
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.element_mapping import map_elements_by
from napari_xrf.learning.registry import build_network
from napari_xrf.learning.sources.instrument_bank import AXIS, forget_banks
from napari_xrf.learning.sources.instruments import make
from napari_xrf.learning.training import describe
from napari_xrf.learning.training_recipes import training_recipe
from tiny_models import tiny_model

TUBE = Excitation("tube", 50.0, "Rh", takeoff_deg=45.0, fwhm_mn_ka_ev=140.0, atmosphere="vacuum")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield make(instruments=1, samples=3, seed=3)


@pytest.fixture(scope="module")
def untrained(source):
    description = describe(training_recipe("element-mlp"), source, 0)
    return Model(description, build_network(description))


def test_labels_are_of_peaks_that_stand_out(source):
    drawn = source.draw(96, np.random.default_rng(1))
    again = source.draw(96, np.random.default_rng(1))
    assert np.array_equal(drawn.counts, again.counts)
    presence, net = drawn.targets["presence"], drawn.targets["net_counts"]
    assert presence[net == 0].max() < 0.01
    assert presence[net > 0].max() > 0.99
    assert (net[presence > 0.5] > 3).all()  # fewer counts stand out of nothing
    assert not drawn.counts[~recorded(drawn.conditions, AXIS)].any()
    told = drawn.conditions[:, CONDITIONS.index("energy known")]
    assert 0 < told.mean() < 1


def test_banks_are_kept_and_made_again_where_they_are_damaged(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = make(instruments=1, samples=2, seed=5).banks[0]
    (kept,) = (tmp_path / "napari-xrf").rglob("*.npz")
    for damage in (None, b"nothing", b""):
        if damage is not None:
            kept.write_bytes(damage)
        again = make(instruments=1, samples=2, seed=5).banks[0]
        assert np.array_equal(first.lines, again.lines)


def test_only_banks_that_are_drawn_from_are_made(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = []
    source = make(instruments=50, samples=2, seed=5, progress=lambda *report: told.append(report[:2]))
    source.draw(64, np.random.default_rng(1))
    assert not source.complete
    assert len(list((tmp_path / "napari-xrf").rglob("*.npz"))) == 2
    assert told == [(1, 50), (2, 50)]
    few = make(instruments=1, samples=2, seed=5)
    few.draw(32, np.random.default_rng(1))
    assert few.complete


def test_what_is_kept_is_bounded_and_can_be_removed(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for number, name in enumerate(("banks-1", "minerals-1", "mine-1")):
        (tmp_path / "napari-xrf" / name).mkdir(parents=True)
        (tmp_path / "napari-xrf" / name / "0.npz").write_bytes(bytes(100))
        os.utime(tmp_path / "napari-xrf" / name, (number, number))
    assert forget_banks(150) == 100
    assert {path.name for path in (tmp_path / "napari-xrf").iterdir()} == {"minerals-1", "mine-1"}
    assert forget_banks(but="minerals-1") == 0
    assert forget_banks() == 100
    assert {path.name for path in (tmp_path / "napari-xrf").iterdir()} == {"mine-1"}


def test_what_a_file_does_not_say_is_nothing():
    axis = EnergyAxis(0.02, 0.02, 1000)
    nothing, all_of_it = conditions_of(Excitation(), axis), conditions_of(TUBE, axis)
    assert nothing[: CONDITIONS.index("axis from")].any() == np.False_
    assert set(np.array(CONDITIONS)[all_of_it == 1]) >= {"tube", "anode Rh", "vacuum", "energy known"}
    wrong = conditions_of(replace(TUBE, energy_kev=-3.0, anode="nonsense"), axis)
    assert wrong[CONDITIONS.index("energy known")] == 0


def test_the_network_takes_axes_that_end_early_and_heeds_the_instrument(untrained):
    counts = np.random.default_rng(2).poisson(20, (1, 3, 1000)).astype(np.uint16)
    cube = SpectralCube(counts, EnergyAxis(0.005, 0.01, 1000), excitation=TUBE)
    said = predict(untrained, cube, calibrate=False).probability
    unsaid = predict(untrained, replace(cube, excitation=Excitation()), calibrate=False).probability
    assert said.shape == (1, 3, len(untrained.description.names))
    assert not np.allclose(said, unsaid, atol=1e-4)
    with pytest.raises(InvalidInput, match="does not know"):
        replace(untrained.description, conditions=("the weather",))


def test_only_what_speaks_against_the_answer_is_a_warning(tmp_path):
    model = str(tiny_model("elements", tmp_path))
    counts = np.random.default_rng(3).poisson(5, (2, 2, 100)).astype(np.uint16)
    # Soft counts would speak of electrons, for which the model is not.
    cube = SpectralCube(counts * (np.arange(100) >= 20).astype(np.uint16), EnergyAxis(0.05, 0.1, 100))
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        map_elements_by(model, cube, ("Fe",))
        map_elements_by(model, cube, ("Fe",), tell=told.append)
    assert any("axis" in note for note in told)
    few = replace(cube, counts=np.minimum(counts, 1) * (np.arange(100) < 3).astype(np.uint16))
    with pytest.warns(UserWarning, match="fewer"):
        map_elements_by(model, few, ("Fe",))
