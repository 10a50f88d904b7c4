"""Recipes that a user changes: what changes, what stays, and what does not go together."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.learning.recipe_variants import (
    read_settings,
    settings_text,
    with_distortions,
    with_instrument,
    with_minerals,
    with_preprocessing,
    with_regions,
)
from napari_xrf.learning.registry import ARCHITECTURES
from napari_xrf.learning.training_recipes import _load_recipes, training_recipe

MINERALS = training_recipe("mineral-cnn")
GEM = training_recipe("lt-vit")
LINES = training_recipe("line-mlp")


def map_file(folder, channels):
    axis = EnergyAxis(0.0, 0.02, channels)
    path = folder / f"map-{channels}.h5"
    write_cube(path, SpectralCube(np.zeros((2, 2, channels), np.uint8), axis))
    return path


def test_words_change_their_part_of_the_preprocessing():
    changed = with_preprocessing(LINES, ("baseline", "log"))
    assert (changed.preprocessing.baseline, changed.preprocessing.transform) == (True, "log")
    assert changed.preprocessing.scale == LINES.preprocessing.scale
    assert with_preprocessing(changed, ("raw",)).preprocessing.baseline is False
    assert (changed.source, changed.network, changed.options) == (LINES.source, LINES.network, LINES.options)


@pytest.mark.parametrize("words", [("smooth",), ("sum", "max"), ("raw", "baseline")])
def test_words_that_cannot_be_are_refused(words):
    with pytest.raises(InvalidInput, match=words[0]):
        with_preprocessing(LINES, words)


def test_spectra_of_other_instruments_and_minerals():
    assert with_instrument(GEM, ("gem", "synchrotron")).source.options["instruments"] == [
        "gem",
        "synchrotron",
    ]
    assert with_instrument(MINERALS, ("sem-eds",)).source.options["instrument"] == "sem-eds"
    assert with_minerals(MINERALS, ("Quartz", "calcite")).source.options["minerals"] == ["quartz", "calcite"]
    assert with_distortions(MINERALS, "none").source.options["distortions"] is None
    assert with_distortions(MINERALS, "typical") == MINERALS


def test_own_minerals_join(tmp_path):
    library = tmp_path / "mine.csv"
    library.write_text("name,formula,density\nmy jadeite,NaAlSi2O6,3.3\n", encoding="utf-8")
    options = with_minerals(MINERALS, ("my jadeite", "quartz"), library).source.options
    assert options["library"] == str(library)
    with pytest.raises(InvalidInput, match="my jadeite"):
        with_minerals(MINERALS, ("my jadeite", "quartz"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: with_instrument(LINES, ("gem",)), "line-mlp"),
        (lambda: with_instrument(MINERALS, ("m4-tornado", "gem")), "one instrument"),
        (lambda: with_instrument(GEM, ("abacus",)), "abacus"),
        (lambda: with_minerals(GEM, ("quartz", "calcite")), "lt-vit"),
        (lambda: with_minerals(MINERALS, ("quartz",)), "two"),
        (lambda: with_distortions(LINES, "none"), "line-mlp"),
        (lambda: with_distortions(GEM, "wild"), "wild"),
        (lambda: with_regions(LINES, "map.h5", "labels.tif"), "line-mlp"),
        (lambda: with_regions(MINERALS, "map.h5", "labels.tif", mix=0.0), "share"),
    ],
)
def test_what_does_not_go_together_is_refused(change, named):
    with pytest.raises(InvalidInput, match=named):
        change()


def test_regions_alone_and_among_synthetic_spectra(tmp_path):
    cube = map_file(tmp_path, 1024)
    alone = with_regions(MINERALS, cube, tmp_path / "labels.tif", seed=4)
    assert alone.source.kind == "regions"
    assert alone.source.options["axis"] == MINERALS.source.options["axis"]
    assert alone.source.options["seed"] == 4
    mixed = with_regions(MINERALS, cube, tmp_path / "labels.tif", mix=0.25)
    assert mixed.source.kind == "shares"
    assert mixed.source.options["share"] == 0.25
    assert mixed.source.options["second"]["options"] == dict(MINERALS.source.options)
    json.dumps(asdict(mixed.source))  # what weights files state


def test_regions_of_a_narrow_map_bring_their_own_axis(tmp_path):
    narrow = with_regions(MINERALS, map_file(tmp_path, 300), tmp_path / "labels.tif")
    assert narrow.source.options["axis"] is None


def test_a_map_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileError, match=r"none\.h5"):
        with_regions(MINERALS, tmp_path / "none.h5", tmp_path / "labels.tif")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.one_of(
            st.integers(-1000, 1000),
            st.booleans(),
            st.floats(0, 10),
            st.sampled_from(["relu", "gelu"]),
            st.lists(st.integers(1, 99), min_size=1, max_size=4),
        ),
        max_size=4,
    )
)
def test_settings_are_read_as_they_are_written(settings):
    assert read_settings(settings_text(settings).split()) == settings


def test_settings_as_people_write_them():
    assert read_settings(["hidden=900", "widths=16,32", "activation=relu", "residual=true"]) == {
        "hidden": 900,
        "widths": [16, 32],
        "activation": "relu",
        "residual": True,
    }
    with pytest.raises(InvalidInput, match="'hidden' sets nothing"):
        read_settings(["hidden"])


def test_a_network_without_a_table_learns_as_others_of_its_task(monkeypatch):
    new = replace(ARCHITECTURES["vit"], name="new-vit", summary="another transformer")
    monkeypatch.setitem(ARCHITECTURES, new.name, new)
    recipes = _load_recipes()
    recipe, first = recipes["new-vit"], training_recipe("maxrf-cnn-gem")
    assert (recipe.architecture, recipe.task, recipe.network) == ("new-vit", "elements", {})
    assert (recipe.source, recipe.preprocessing) == (first.source, first.preprocessing)
    assert recipe.summary == "another transformer"
    assert list(recipes)[-1] == "new-vit"
