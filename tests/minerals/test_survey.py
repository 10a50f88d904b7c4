import re
from dataclasses import replace

import numpy as np
import pytest

import napari_xrf as nx
from mineral_cubes import mineral_cube
from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.quantification.quantities import Quantities, Quantity
from napari_xrf.minerals.labels.modal_table import ModalRow
from napari_xrf.minerals.report.bulk import bulk_composition
from napari_xrf.reference.minerals import load_library
from verbs import answer, run


@pytest.fixture(scope="module")
def rock(tmp_path_factory):
    """A map of quartz and pyrite, in a file."""
    listed = [each for each in load_library() if each.name in ("quartz", "pyrite")]
    cube, truth = mineral_cube(listed, 2000, shape=(20, 20), seed=5)
    order = np.argsort(truth, axis=None, kind="stable")  # two halves, so that a majority keeps them
    cube = replace(cube, counts=cube.counts.reshape(400, -1)[order].reshape(cube.counts.shape))
    path = tmp_path_factory.mktemp("rock") / "rock.h5"
    nx.write(path, cube)
    return path


def test_report_does_the_whole_job(capsys, rock, tmp_path):
    chosen = ("--minerals", "quartz,pyrite", "--clean", "majority:3")
    data = answer(capsys, "report", rock, "-o", tmp_path / "out", *chosen)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {
        "report.html", "elements.csv", "maps.ome.tif", "maps.h5", "maps.csv", "quantities.csv", "labels.tif",
        "labels.h5", "classes.csv", "map.png", "grains.csv", "association.csv", "bulk.csv", "phases",
        "abundances.h5", "check.json", "check.png",
    }  # fmt: skip
    alone = {path.name for path in (tmp_path / "out" / "phases").iterdir()}
    assert alone >= {"labels.tif", "classes.csv", "abundances.h5", "phases.csv", "phase_spectra.csv"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for told in ("quartz", "pyrite", "majority:3", "napari-xrf report", "Phases without a library", "Fe K"):
        assert told in page
    assert data["minerals"]["quartz"] == pytest.approx(0.5, abs=0.1)


def test_what_fails_is_told_and_the_rest_goes_on(rock, tmp_path):
    from napari_xrf.minerals.report.files import write_survey
    from napari_xrf.minerals.report.survey import survey_map

    def fail(*_, **__):
        raise InvalidInput("none of the minerals would show in this map")

    survey = survey_map(nx.read(rock).load(), fail, phases=False)
    assert survey.classification is None
    assert survey.maps is not None
    assert "minerals: none of the minerals would show" in survey.unknown[0]
    files = write_survey(tmp_path / "out", survey)
    assert "none of the minerals would show" in files[-1].read_text(encoding="utf-8")


def row(name, formula, percent, density):
    return ModalRow(1, name, formula, "#000000", 5, None, percent, percent * density, None, 1.0, 0.0)


def test_a_group_may_be_any_of_its_members():
    """What is called K-feldspar or glass may hold as little potassium as glass does."""
    (potassium,) = (
        each
        for each in bulk_composition([row("K-feldspar / glass", "KAlSi3O8 / SiO2", 100, 1)])
        if each.element == "K"
    )
    assert potassium.modes_percent == pytest.approx(potassium.modes_error / 1.01, rel=0.02)


def test_where_no_mineral_is_named_nothing_disagrees():
    quantities = Quantities("a map", (Quantity("Cu", 0.9, 0.01, 0.01, 0.001, "Cu K", 1e5, 0.9),), "none")
    rows = [ModalRow(1, "unknown", "", "#808080", 9, None, 100.0, None, 1.0)]
    assert [each.note for each in bulk_composition(rows, quantities)] == [""]
    assert bulk_composition([row("quartz", "SiO2", 100, 1)], quantities)[-1].note


def test_bulk_is_modes_times_formulas():
    rows = bulk_composition([row("quartz", "SiO2", 50, 1), row("pyrite", "FeS2", 50, 1)])
    percent = {each.element: each.modes_percent for each in rows}
    assert sum(percent.values()) == pytest.approx(100)
    assert percent["Si"] == pytest.approx(50 * 28.085 / 60.083, rel=1e-3)
    assert percent["Fe"] == pytest.approx(50 * 55.845 / 119.97, rel=1e-3)
    silicon = next(each for each in rows if each.element == "Si")
    assert silicon.modes_error == pytest.approx(percent["Si"] / 50)
    assert bulk_composition([]) == ()


def test_a_map_without_counts_is_refused_and_one_pixel_is_enough(capsys, rock, tmp_path):
    cube = nx.read(rock).load()
    nx.write(tmp_path / "zero.h5", replace(cube, counts=cube.counts * 0))
    nx.write(tmp_path / "one.h5", replace(cube, counts=cube.counts[:1, :1]))
    out = tmp_path / "out"
    for verb in ("minerals", "report"):
        code, _, err = run(capsys, verb, tmp_path / "zero.h5", "-o", out)
        assert (code, "holds no counts" in err) == (1, True)
        assert not (out / "report.html").exists()
    data = answer(capsys, "report", tmp_path / "one.h5", "-o", out, "--minerals", "quartz,pyrite")
    assert sum(data["minerals"].values()) == pytest.approx(1)
    page = (out / "report.html").read_text(encoding="utf-8")
    for of_maps in ("Element maps", "Grains", "touches", "mineral map", "Phases", "Confidence"):
        assert f">{of_maps}" not in page
        assert f'"{of_maps}"' not in page
    assert "Spectrum and what explains it" in page
    code, _, err = run(capsys, "report", rock, "-o", out, "--minerals", "")
    assert (code, "no mineral is named" in err) == (1, True)
