"""Minerals from element maps alone: of counts, of weight percent, of too few elements."""

import numpy as np
import pytest

import napari_xrf as nx
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.minerals.from_element_maps import classify_element_maps
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals

NAMES = ("quartz", "calcite", "pyrite", "sphalerite")
FAMILIES = ("Si K", "S K", "Ca K", "Fe K", "Zn K")


def maps_of(unit="counts", families=FAMILIES, total=2000.0):
    """Return maps of four stripes, one mineral each, and one pixel of Si and Zn that nothing here makes."""
    vectors = []
    for mineral in select_minerals(load_library(), NAMES):
        material = mineral.compositions()[0]
        if unit == "counts":
            found = expect_spectrum(material, load_instrument("m4")).families
            vector = np.array([found.get(family, 0.0) for family in families])
            vector *= total / max(vector.sum(), 1e-9)
        else:
            vector = np.array([100 * material.mass_fractions.get(each.split()[0], 0.0) for each in families])
        vectors.append(vector)
    generator = np.random.default_rng(1)
    counts = np.repeat(np.array(vectors), 4, axis=0)[np.newaxis].repeat(6, axis=0)
    counts = (
        generator.poisson(counts) if unit == "counts" else counts * generator.normal(1, 0.03, counts.shape)
    )
    counts[5, 15] = 0
    counts[5, 14] = np.eye(len(families))[-1] * 60 + np.eye(len(families))[0] * 60
    counts = np.moveaxis(counts, -1, 0).astype(np.float32)
    return ElementMaps(families, counts, np.full_like(counts, np.nan), "fit", (5.0, 5.0), "stripes", unit)


@pytest.mark.parametrize("unit", ["counts", "weight %"])
def test_stripes_are_named_and_strangers_are_not(unit):
    found = classify_element_maps(maps_of(unit), select_minerals(load_library(), NAMES))
    labels = found.label_map
    for place, name in enumerate(NAMES):
        assert labels[name][:5, 4 * place : 4 * place + 4].all()
    assert labels.labels[5, 15] == 0  # nothing was measured
    assert labels.labels[5, 14] == 1
    assert found.method == "element maps"


def test_what_the_maps_cannot_part_is_one_class():
    maps = maps_of(families=("Si K", "Ca K", "Fe K"))
    found = classify_element_maps(maps, select_minerals(load_library(), ["calcite", "fluorite", "quartz"]))
    assert ("calcite", "fluorite") in found.groups


def test_minerals_with_elements_that_were_not_mapped_are_not_offered():
    found = classify_element_maps(maps_of(families=("Si K", "Ca K")), library=load_library()[:60])
    assert "quartz" in found.minerals
    assert "albite" not in found.minerals


def test_maps_of_films_are_refused():
    with pytest.raises(InvalidInput, match="thin films"):
        classify_element_maps(maps_of("µg/cm²"), select_minerals(load_library(), NAMES))


def test_maps_that_show_nothing_are_refused():
    with pytest.raises(InvalidInput, match="no mineral would show"):
        classify_element_maps(maps_of(families=("Si K",)), select_minerals(load_library(), ["galena"]))


def test_the_door_and_the_verb_take_files_of_element_maps(tmp_path, capsys):
    from verbs import answer

    nx.write(tmp_path / "maps.h5", maps_of())
    found = nx.map_minerals(tmp_path / "maps.h5", list(NAMES))
    assert found.label_map["pyrite"].sum() >= 20
    rows = answer(
        capsys, "minerals", tmp_path / "maps.h5", "--minerals", ",".join(NAMES), "-o", tmp_path / "out"
    )["classes"]
    assert {row["name"] for row in rows} >= set(NAMES)
    assert (tmp_path / "out" / "labels.tif").exists()
