import pytest

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.reference.minerals import load_library
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.reference.tables import density_of, read_table, select

SPINEL = ("myspinel", "MgAl2O4", 3.6)
QUARTZ = ("A", "SiO2", 2.65)


def written(folder, content):
    path = folder / "own.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\ufeffname,formula,density\nmyspinel,MgAl2O4,3.6\n", SPINEL),
        ("name;formula;density\nmyspinel;MgAl2O4;3.6\n", SPINEL),
        ("name;formula;density\nmyspinel;MgAl2O4;3,6\n", SPINEL),
        ("sep=;\r\nname;formula;density\r\nmyspinel;MgAl2O4;3.6\r\n", SPINEL),
        ("sep=\t\nname\tformula\tdensity\nmyspinel\tMgAl2O4\t3.6\n", SPINEL),
        ("name\tformula\tdensity\nmyspinel\tMgAl2O4\t3.6\n", SPINEL),
        ("name|formula|density\nmyspinel|MgAl2O4|3.6\n", SPINEL),
        ("# mine, all; of | them\nNAME;FORMULA;DENSITY\nmyspinel;MgAl2O4;3,6\n", SPINEL),
        ("name,formula,density\rA,SiO2,2.65\r", QUARTZ),
        ("name,formula,density\nA,SiO2,2.65\n".encode("utf-16"), QUARTZ),
        ("name,formula,density\nA,SiO2,2.65,,\n", QUARTZ),
        ("name,formula,density,,\nA,SiO2,2.65,,\n", QUARTZ),
        ('name,formula,density\nA,SiO2,"2,65"\n', QUARTZ),
        ("name,formula,density\nA,SiO2,2.65 g/cm³\n", QUARTZ),
        ("Mineral,Formula,Density (g/cm3)\nA,SiO2,2.65\n", QUARTZ),
        ("name,formula,density g/cm³\nA,SiO2,2.65\n", QUARTZ),
        ("name,formula,density [kg/m3]\nA,SiO2,2650\n", QUARTZ),
        ("name,,formula,density,locality\nA,x,SiO2,2.65,Alps\n", QUARTZ),
        ("name;formula;density\nSchörl;NaFe3Al6Si6B3O31H4;3,2\n".encode("cp1252"),
         ("Schörl", "NaFe3Al6Si6B3O31H4", 3.2)),
        ("name,formula,density\nGyps,CaSO4·2H2O,2.3\n".encode("cp1252"), ("Gyps", "CaSO4·2H2O", 2.3)),
        ("name,formula,density\ngypsum2,CaSO4.2H2O,2.32\n", ("gypsum2", "CaSO4.2H2O", 2.32)),
    ],
)  # fmt: skip
def test_own_minerals_as_programs_write_them(tmp_path, content, expected):
    (mineral,) = load_library(written(tmp_path, content))
    assert (mineral.name, mineral.formula, pytest.approx(mineral.density)) == expected


def test_a_full_stop_before_water_parts_the_formula(tmp_path):
    own = load_library(written(tmp_path, "name,formula,density\na,CaSO4.2H2O,2.3\nb,CaSO4·2H2O,2.3\n"))
    assert own[0].composition(()).mass_fractions == own[1].composition(()).mass_fractions


def test_a_colour_may_be_spelt_in_british(tmp_path):
    (mineral,) = load_library(written(tmp_path, "name,formula,density,Colour\nA,SiO2,2.65,#FF0000\n"))
    assert mineral.color == "#ff0000"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,formula,density,density\nA,SiO2,2.65,5\n", "line 1: the column 'density' stands twice"),
        ("name,formula,density\nA,SiO2,2650\n", r"line 2, column density: .*2650.*density \(kg/m3\)"),
        ("name,formula,density\nA,SiO2,\n", "line 2, column density: the density is empty"),
        ("name,formula,density\nA,SiO2,2.65 stones\n", "line 2, column density: .*unknown unit"),
        ('name,formula,density\nA,SiO2,"1,234.5"\n', "line 2, column density: .*no number"),
        ("name,formula,density\nA,SiO2,2,65\n", "line 2: 4 values for 3 columns.*quotes"),
        ("sep=;\nname;formula;density\nA;Si02;2.65\n", "line 3, column formula"),
        ("A,SiO2,2.65\n", "line 1: there is no column 'name' among A, SiO2, 2.65"),
        ("name,formula,density,color\nA,SiO2,2.65,red\n", "line 2, column color: .*#ff0000"),
        ("name,formula,density\nUnknown,CaO,3\n", "line 2, column name: .*Rename"),
        ('name,formula,density\n"quartz, blue",SiO2,2.65\n', "line 2, column name: .*hyphen"),
        ("name,formula,density\nquartz+opal,SiO2,2.65\n", "line 2, column name: .*hyphen"),
        ("name,formula,density\nquartz / opal,SiO2,2.65\n", "line 2, column name: .*hyphen"),
        (b"PK\x03\x04\x14\x00\x06\x00", "workbook.*Save it as CSV"),
        (b"name,formula,density\nA\x00,SiO2,2.65\n", "not a CSV file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(tmp_path, content, told):
    with pytest.raises(FileError, match=told):
        load_library(written(tmp_path, content))


def test_pigments_are_read_in_the_same_way(tmp_path):
    content = "sep=;\nName;Formula;Colour;Density (kg/m3);thickness_um\nMein Weiß;ZnO;#FFFFFF;5610;12,5\n"
    (pigment,) = load_pigments(written(tmp_path, content.encode("cp1252")))
    assert pigment.name == "Mein Weiß"
    assert pigment.material.density == pytest.approx(5.61)
    assert pigment.thickness_um == 12.5
    wrong = "name,formula,color,density\nwhite,ZnO,#ffffff,5610\n"
    with pytest.raises(FileError, match="line 2: no solid"):
        load_pigments(written(tmp_path, wrong))


def test_values_hold_the_delimiters_of_others(tmp_path):
    path = written(tmp_path, 'name,source\nA,"x; y; z"\nB,b|c\n')
    assert [row for _, row in read_table(path)] == [
        {"name": "A", "source": "x; y; z"},
        {"name": "B", "source": "b|c"},
    ]


@pytest.mark.parametrize(
    "text", ["2.65", "2,65", "2.65 g/cm3", "2.65 g cm⁻³", "2650 kg/m³", "2.65 g·cm-3", "2.65g/cc"]
)
def test_densities_in_their_units(text):
    assert density_of(text) == pytest.approx(2.65)


def test_a_name_comes_before_a_synonym():
    class Entry:
        def __init__(self, name):
            self.name = name

    own = [Entry("K-feldspar"), Entry("orthoclase"), Entry("A-1"), Entry("A1")]
    assert [each.name for each in select(own, ["Orthoclase", "a1", "A-1"], "mineral")] == [
        "orthoclase",
        "A1",
        "A-1",
    ]
    assert [each.name for each in select(own, ["microcline"], "mineral")] == ["K-feldspar"]
    with pytest.raises(InvalidInput, match="no mineral 'lepidolite'"):
        select(own, ["lepidolite"], "mineral")
