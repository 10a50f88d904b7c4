import itertools

import numpy as np
import pytest

from napari_xrf.core.colors import spread_color
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.reference.minerals import (
    Mineral,
    load_library,
    merge_libraries,
    minerals_of_set,
    phases_by_name,
    select_minerals,
)
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.reference.tables import read_table, select, shipped


@pytest.fixture(scope="module")
def library():
    return load_library()


def test_shipped_library_is_broad(library):
    assert len(library) >= 100
    names = {mineral.name for mineral in library}
    assert {
        "quartz", "opal", "calcite", "zircon", "K-feldspar", "plagioclase", "spodumene", "petalite",
        "lepidolite",
        "hematite", "magnetite", "goethite", "gold", "silver", "copper", "graphite", "galena", "sphalerite",
        "monazite", "xenotime", "halite", "epoxy resin", "soda-lime glass",
    } <= names  # fmt: skip


def test_every_mineral_is_complete(library):
    for mineral in library:
        assert mineral.group, mineral.name
        assert mineral.source, mineral.name
        for material in mineral.compositions():
            assert material.density == mineral.density


def test_densities_agree_with_what_atoms_allow(library):
    # Nothing heavy is light: mean atomic number and density rise together, within a wide band.
    import xraylib

    for mineral in library:
        fractions = mineral.compositions()[0].mass_fractions
        mean = sum(part * xraylib.SymbolToAtomicNumber(element) for element, part in fractions.items())
        assert 0.09 * mean < mineral.density < 0.4 * mean + 1.5, mineral.name


def test_colors_can_be_told_apart(library):
    from skimage.color import rgb2lab

    colors = np.array([[int(each.color[at : at + 2], 16) / 255 for at in (1, 3, 5)] for each in library])
    lab = rgb2lab(colors[None])[0]
    names = [each.name for each in library]
    apart = {pair: float(np.linalg.norm(lab[pair[0]] - lab[pair[1]])) for pair in
             itertools.combinations(range(len(names)), 2)}  # fmt: skip
    # A difference of 2 to 3 is just visible.
    assert {(names[a], names[b]): size for (a, b), size in apart.items() if size <= 5} == {}


def test_ranges_hold_the_usual_substitutions(library):
    sphalerite, zircon, feldspar = select_minerals(library, ["sphalerite", "zircon", "K-feldspar"])
    assert max(each.mass_fractions.get("Fe", 0) for each in sphalerite.compositions()) > 0.1
    assert all(each.mass_fractions["Hf"] > 0 for each in zircon.compositions())
    assert max(each.mass_fractions.get("Rb", 0) for each in feldspar.compositions()) > 0.005


def test_select_ignores_case_and_keeps_order(library):
    assert [each.name for each in select_minerals(library, ["Zircon", " QUARTZ", "zircon"])] == [
        "zircon",
        "quartz",
    ]


def test_select_suggests_close_names(library):
    with pytest.raises(InvalidInput, match="quartz"):
        select_minerals(library, ["quarz"])
    with pytest.raises(InvalidInput):
        select_minerals(library, [" "])


def test_user_library_needs_three_columns(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "\ufeffName,Formula,Density\n# mine\nbröggerite,(U0.9Th0.1)O2,10.0\n\nxx,CaCO3,2.7\n",
        encoding="utf-8",
    )
    own = load_library(path)
    assert [each.name for each in own] == ["bröggerite", "xx"]
    assert own[0].color == spread_color(0) != own[1].color
    merged = merge_libraries(load_library(), [*own, Mineral("QUARTZ", "SiO2", 2.66)])
    assert len(merged) == len(load_library()) + 2
    assert select_minerals(merged, ["quartz"])[0].density == 2.66


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("name,formula\nquartz,SiO2\n", "density"),
        ("name,formula,density\n", "no mineral"),
        ("name,formula,density\nquartz,Si02,2.65\n", "line 2, column formula"),
        ("name,formula,density\nquartz,SiO2,2.65\nb,,1\n", "line 3, column formula"),
        ("name,formula,density\nquartz,SiO2,heavy\n", "line 2, column density"),
        ("name,formula,density\nquartz,SiO2,-1\n", "line 2, column density"),
        ("name,formula,density\nquartz,SiO2,nan\n", "line 2, column density"),
        ("name,formula,density\nquartz,SiO2\n", "line 2, column density"),
        ("name,formula,density\n,SiO2,2.6\n", "line 2, column name"),
        ("name,formula,density\nquartz,SiO2,2.6\nQuartz,SiO2,2.6\n", "line 3, column name"),
        ("name,formula,density,color\nquartz,SiO2,2.6,red\n", "line 2, column color"),
        ("name,formula,density,substitutions\na,ZnS,4,Zn=Fe\n", "line 2, column substitutions"),
        ("name,formula,density,substitutions\na,ZnS,4,Fe:Zn=0..1\n", "line 2, column substitutions"),
        ("name,formula,density\nquartz,SiO2,2.6,extra\n", "line 2: 4 values"),
    ],
)  # fmt: skip
def test_errors_name_line_and_column(tmp_path, text, told):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=told):
        load_library(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(FileError):
        load_library(tmp_path / "none.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(FileError, match="UTF-8"):
        load_library(path)


def test_mineral_checks_itself():
    with pytest.raises(InvalidInput):
        Mineral("x", "SiO2", 0)
    with pytest.raises(InvalidInput):
        Mineral("x", "SiO2", 2.6, color="red")
    with pytest.raises(InvalidInput):
        Mineral(" ", "SiO2", 2.6)
    with pytest.raises(InvalidInput):
        Mineral("x", "nonsense", 2.6)


@pytest.mark.parametrize("name", ["unknown", "quartz, blue", "quartz+opal", "quartz / opal"])
def test_names_that_mean_something_else_are_refused(name):
    with pytest.raises(InvalidInput, match=r"name|called"):
        Mineral(name, "SiO2", 2.65)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Orthoclase", "K-feldspar"), ("microcline", "K-feldspar"), ("k feldspar", "K-feldspar"),
        ("forsterite", "olivine"), ("fayalite", "fayalite"), ("enstatite", "orthopyroxene"),
        ("labradorite", "plagioclase"), ("troilite", "pyrrhotite"), ("vermilion", "cinnabar"),
        ("alabaster", "gypsum"), ("lodestone", "magnetite"), ("Hübnerite", "hubnerite"),
        ("bastnäsite", "bastnasite"), ("rutile", "rutile"), ("lapis lazuli", "ultramarine"),
        ("lead white", "lead white"), ("hydrocerussite", "lead white"), ("azurite", "azurite"),
        ("chlorite", "clinochlore chamosite"), ("apatite", "fluorapatite chlorapatite"),
        ("tourmaline", "schorl dravite elbaite"), ("wolframite", "ferberite hubnerite"),
        ("C3S", "alite"), ("melilite", "gehlenite akermanite"), ("åkermanite", "akermanite"),
        ("clinopyroxene", "diopside hedenbergite augite pigeonite"),
        ("scapolite", "marialite meionite"), ("wad", "pyrolusite birnessite"),
        ("bone black", "hydroxylapatite"),
        ("zeolite", "analcime natrolite heulandite stilbite laumontite chabazite"),
        ("lithopone", "barite sphalerite"), ("yellow ochre", "quartz kaolinite goethite"),
        ("Thénard's blue", "cobalt blue"), ("calamine", "smithsonite hemimorphite"),
    ],
)  # fmt: skip
def test_what_people_type_is_found(library, typed, meant):
    assert [each.name for each in select_minerals(library, [typed])] in ([meant], meant.split())


def test_synonyms_stand_for_what_is_there(library):
    others = (*load_pigments(), *load_library(shipped("minerals_by_name.csv")))
    names = {each.name for each in (*library, *others)}
    known = {each.name.casefold() for each in library}
    for line, row in read_table(shipped("synonyms.csv"), ("name", "synonyms")):
        assert row["name"] in names, line
        # Painters call pigments by minerals' names; a mineral of that name is found first.
        for synonym in row["synonyms"].split(";") if row["name"].casefold() in known else ():
            assert synonym.strip().casefold() not in known, (line, synonym)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("minium", ["red lead"]), ("cinnabar", ["vermilion"]), ("calcite", ["chalk"]),
        ("lapis", ["ultramarine"]),
        ("lead-tin yellow", ["lead-tin yellow I", "lead-tin yellow II"]), ("gold", ["gold leaf"]),
        ("chrome green", ["chrome yellow", "Prussian blue"]), ("ivory black", ["bone black"]),
    ],
)  # fmt: skip
def test_what_painters_type_is_found(library, typed, meant):
    assert sorted(each.name for each in select(load_pigments(), [typed], "pigment")) == sorted(meant)


def test_a_mineral_keeps_the_name_that_painters_use(library):
    for name in ("cinnabar", "calcite", "hematite", "graphite", "barite"):
        assert [each.name for each in select_minerals(library, [name])] == [name]


def test_synonyms_are_suggested_and_add_no_candidate(library):
    with pytest.raises(InvalidInput, match="Did you mean K-feldspar"):
        select_minerals(library, ["orthoclas"])
    assert "ultramarine" not in {each.name for each in library}
    assert len(select_minerals(library, ["feldspar", "albite", "orthoclase"])) == 4


def test_sets_hold_minerals_by_their_own_names(library):
    sets = [row["name"] for _, row in read_table(shipped("mineral_sets.csv"))]
    assert {"granite", "pegmatite", "sulfide", "cement", "meteorite", "pigments"} <= set(sets)
    for name in sets:
        listed = minerals_of_set(name)
        assert tuple(each.name for each in select_minerals(library, listed)) == listed
    with pytest.raises(InvalidInput, match="Use granite, pegmatite"):
        minerals_of_set("granit")


def test_minerals_found_by_name_are_no_candidates(library):
    rare = load_library(shipped("minerals_by_name.csv"))
    assert not {each.name for each in rare} & {each.name for each in library}
    assert select_minerals(library, [each.name for each in rare]) == rare
    assert all(each.source and each.group for each in rare)
    # Without a list only what a kind of sample holds is one: neither jordanite nor a pigment.
    assert {"alite", "taenite"} < {each.name for each in phases_by_name()} < {each.name for each in rare}
    assert not {"jordanite", "Han blue", "zinc"} & {each.name for each in phases_by_name()}
