"""A code of emission lines, edited: elements turned down and up, and what no code can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.prediction.decoding import decode
from napari_xrf.learning.weights import load_model
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument
from verbs import answer, run


@pytest.fixture(scope="module")
def model():
    return load_model("line-autoencoder")


@pytest.fixture(scope="module")
def cube():
    """Hematite with calcite, in two pixels."""
    spectrum, _ = simulate_spectrum("Fe2Ca4C4O15", load_instrument("m4"), counts=20000)
    counts = np.random.default_rng(1).poisson(spectrum.counts, (1, 2, spectrum.energy.size))
    return SpectralCube(counts.astype(np.uint16), spectrum.energy, "rock")


def window(cube, low, high) -> float:
    return float(cube.window_map(low, high).sum())


def test_an_unchanged_code_keeps_counts_and_explains_them(model, cube):
    result = decode(model, cube, calibrate=False)
    assert result.explained > 0.8
    np.testing.assert_allclose(result.cube.counts.sum(), cube.counts.sum(), rtol=0.02)
    assert {"Fe", "Ca"} <= set(list(result.code)[:5])


def test_elements_are_turned_down_and_up(model, cube):
    plain = decode(model, cube, calibrate=False).cube
    without, more = (
        decode(model, cube, factors={"Fe": factor}, calibrate=False).cube for factor in (0.0, 2.0)
    )
    iron, calcium = (6.25, 6.55), (3.55, 3.85)
    assert window(without, *iron) < 0.3 * window(plain, *iron)
    assert window(more, *iron) > 1.5 * window(plain, *iron)
    assert window(more, *calcium) == pytest.approx(window(plain, *calcium), rel=0.02)


def test_what_is_added_shows_at_its_lines(model, cube):
    plain = decode(model, cube, calibrate=False).cube
    copper = decode(model, cube, added={"Cu": 0.1}, calibrate=False).cube
    gained = window(copper, 7.6, 9.2) - window(plain, 7.6, 9.2)
    assert gained == pytest.approx(0.1 * cube.counts.sum(), rel=0.5)


def test_what_changes_nothing_and_a_foreign_instrument_are_told(model, cube):
    assert decode(model, cube, factors={"Fe": 0.5, "Pb": 1.0}, calibrate=False).notes == ()
    (note,) = decode(model, cube, factors={"Fe": 0.5, "Pb": 0.0}, calibrate=False).notes
    assert "holds no Pb," in note
    electrons = replace(cube, excitation=Excitation("electron", 20.0))
    assert "X-ray tubes" in decode(model, electrons, calibrate=False).notes[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"factors": {"Xx": 1}}, "no unit 'Xx'"), ({"factors": {"Fe": -1}}, "at least 0"),
     ({"added": {"Fe": float("nan")}}, "at least 0")],
)  # fmt: skip
def test_changes_that_make_no_sense(model, cube, changes, said):
    with pytest.raises(InvalidInput, match=said):
        decode(model, cube, calibrate=False, **changes)


def test_a_code_without_names_cannot_be_edited(cube):
    with pytest.raises(InvalidInput, match="no names to edit"):
        decode(load_model("pca"), cube, calibrate=False)


def test_the_verb(tmp_path, capsys, cube):
    io.write(tmp_path / "rock.h5", cube)
    files = (tmp_path / "rock.h5", "-o", tmp_path / "out.h5", "--no-calibrate")
    said = answer(capsys, "decode", "line-autoencoder", *files, "--factors", "Fe=0,Ca=2", "--add", "Cu=0.05")
    assert said["explained"] > 0.8
    assert io.read(tmp_path / "out.h5").map_shape == (1, 2)
    with pytest.raises(SystemExit):
        run(capsys, "decode", "line-autoencoder", *files, "--factors", "Fe")
