"""The verb quantify as a script calls it."""

import csv
import json
import math

import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.cli.quantification import _as_text
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument
from verbs import answer, run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantify")
    instrument = load_instrument("m4-tornado")
    parts = [simulate_spectrum(formula, instrument, counts=2e5)[0].counts for formula in ("CaSiO3", "FeS2")]
    drawn = np.random.default_rng(0).poisson(np.array(parts)[:, None].repeat(3, axis=1)).astype(np.uint32)
    cube = SpectralCube(drawn, instrument.energy, "two", excitation=excitation_of(instrument))
    io.write(folder / "two.h5", cube)
    classes = (LabelClass(1, "wollastonite"), LabelClass(2, "pyrite"))
    io.write(folder / "labels.tif", LabelMap(np.array([[1] * 3, [2] * 3], dtype=np.uint8), classes))
    (folder / "truth.csv").write_text("element,weight_percent\nCa,34.5\nSi,24.18\nO,41.32\n")
    assert isinstance(cube.energy, EnergyAxis)
    return folder


def test_regions_of_labels_and_files(capsys, files, tmp_path):
    rows = answer(
        capsys,
        *("quantify", files / "two.h5", "--elements", "Si,S,Ca,Fe", "--regions", files / "labels.tif"),
        *("--pixels", "-o", tmp_path),
    )
    columns = (
        "region element weight_percent standard_error detection_limit oxide oxide_percent family net_counts"
    )
    assert {*columns.split()} <= rows[0].keys()
    found = {(row["region"], row["element"]): row for row in rows}
    assert found["wollastonite", "Ca"]["weight_percent"] == pytest.approx(34.5, rel=0.05)
    assert found["wollastonite", "Ca"]["oxide"] == "CaO"
    with (tmp_path / "quantities.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == len(rows)
    maps = io.read_element_maps(tmp_path / "weight_percent.h5")
    assert maps["Ca"][0].mean() == pytest.approx(34.5, rel=0.05)
    assert maps.families == io.read_element_maps(tmp_path / "weight_percent.ome.tif").families


def test_a_standard_and_a_region(capsys, files):
    rows = answer(
        capsys,
        *("quantify", files / "two.h5", "--elements", "Si,Ca", "--roi", "0:1,:", "--oxides"),
        *("--standard", f"{files / 'two.h5'}={files / 'truth.csv'}"),
    )
    assert {row["region"] for row in rows} == {"0:1,:"}
    assert sum(row["weight_percent"] for row in rows) == pytest.approx(100)


def test_an_instrument_is_kept_for_every_verb(capsys, files, tmp_path):
    kept = tmp_path / "mine.toml"
    row = (files / "two.h5", "--elements", "Si,Ca", "--roi", "0:1,:", "--oxides")
    standard = f"{files / 'two.h5'}={files / 'truth.csv'}"
    first = answer(capsys, "quantify", *row, "--standard", standard, "--save-instrument", kept)
    again = answer(capsys, "quantify", *row, "--instrument", kept, "-o", tmp_path)
    assert [one["weight_percent"] for one in again] == pytest.approx(
        [one["weight_percent"] for one in first], rel=1e-3
    )
    checked = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert {one["family"] for one in checked} == {"Si K", "Ca K"}
    assert (tmp_path / "check.png").stat().st_size > 1000
    info = answer(capsys, "info", files / "two.h5", "--instrument", kept)
    assert info["excitation"]["instrument"] == "mine"
    assert set(
        answer(capsys, "simulate", "CaSiO3", "--instrument", kept, "-o", tmp_path / "s.csv")["families"]
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pixels"], "Add -o DIR"),
        (["--elements", "Xx"], "Xx"),
        (["--valence", "Fe=three"], "Write Fe=3"),
        (["--standard", "nothing"], "SPECTRUM=TRUTH.csv"),
        (["--save-instrument", "mine.toml"], "Add --standard"),
        (["--roi", "0:9,0:9"], "outside the map"),
        (["--instrument", "no-such"], "no-such"),
        (["--oxides", "--oxygen", "none"], "--oxides"),
    ],
)
def test_mistakes_are_one_line(capsys, files, options, says):
    code, out, err = run(capsys, "quantify", files / "two.h5", *options, "--quiet")
    assert code == 1
    assert not out
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_film_is_told_with_its_mass_per_area():
    known = dict.fromkeys(("weight_percent", "standard_error", "detection_limit", "oxide_percent"), 1.0)
    row = known | {"region": "film", "element": "Fe", "oxide": "FeO", "family": "Fe K"}
    assert "µg/cm²" in _as_text([row | {"ug_per_cm2": 12.5}])
    assert "12.5" in _as_text([row | {"ug_per_cm2": 12.5}])
    assert "µg" not in _as_text([row | {"ug_per_cm2": math.nan}])
