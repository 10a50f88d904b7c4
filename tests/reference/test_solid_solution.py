import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.solid_solution import (
    MOST_COMPOSITIONS,
    Substitution,
    atom_amounts,
    parse_substitutions,
    span,
    substitute,
)


def atoms_of(material):
    import xraylib

    return {
        element: part / xraylib.AtomicWeight(xraylib.SymbolToAtomicNumber(element))
        for element, part in material.mass_fractions.items()
    }


def test_simple_exchange_moves_the_share_of_atoms():
    material = substitute("ZnS", parse_substitutions("Zn:Fe=0..0.25"), [0.25])
    atoms = atoms_of(material)
    assert atoms["Fe"] / (atoms["Fe"] + atoms["Zn"]) == pytest.approx(0.25)
    assert atoms["S"] == pytest.approx(atoms["Fe"] + atoms["Zn"])


def test_coupled_exchange_reaches_the_other_end_member():
    anorthite = substitute("NaAlSi3O8", parse_substitutions("NaSi:CaAl=0..1"), [1.0])
    assert dict(anorthite.mass_fractions) == pytest.approx(mass_fractions("CaAl2Si2O8"))


def test_exchange_with_vacancies():
    pyrrhotite = substitute("FeS", parse_substitutions("Fe:=0..0.125"), [0.125])
    assert dict(pyrrhotite.mass_fractions) == pytest.approx(mass_fractions("Fe7S8"))


def test_two_for_one():
    material = substitute("Na2O", parse_substitutions("Na2:Ca=0..1"), [1.0])
    assert dict(material.mass_fractions) == pytest.approx(mass_fractions("CaO"))


@pytest.mark.parametrize(
    "text",
    ["Zn", "Zn:Fe", "Zn:Fe=0.1", "Zn:Fe=a..b", "zn:Fe=0..1", "Xx:Fe=0..1", "Zn:Fe=0.5..0.2", "Zn:Fe=0..2"],
)
def test_bad_text_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_substitutions(text)


def test_element_that_is_not_there_is_refused():
    with pytest.raises(InvalidInput, match="no Fe"):
        substitute("ZnS", parse_substitutions("Fe:Zn=0..1"), [0.5])


def test_more_than_there_is_is_refused():
    with pytest.raises(InvalidInput, match="too little Si"):
        substitute("NaAlSiO4", parse_substitutions("NaSi2:CaAl2=0..1"), [1.0])


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_any_share_gives_a_material_that_conserves_the_site(share, low, high):
    low, high = sorted((low, high))
    ranges = (Substitution({"Mg": 1.0}, {"Fe": 1.0}, low, high),)
    atoms = atoms_of(substitute("Mg2SiO4", ranges, [share]))
    assert (atoms.get("Mg", 0) + atoms.get("Fe", 0)) / atoms["Si"] == pytest.approx(2, rel=1e-6)


def test_span_holds_the_ends_and_stays_small():
    one = parse_substitutions("Zn:Fe=0.1..0.3")
    assert {0.1, 0.3} <= {round(shares[0], 9) for shares in span(one)}
    many = parse_substitutions("Cu:Fe=0..0.5;Cu:Zn=0..0.2;Cu:Ag=0..0.2;Sb:As=0..1;S:Se=0..0.3")
    assert len(span(many)) <= MOST_COMPOSITIONS + 1
    assert len(set(span(many))) == len(span(many))


def test_text_round_trip():
    for text in ("NaSi:CaAl=0.1..0.9", "Fe:=0..0.125", "Mg3:Al2=0..1"):
        assert str(Substitution.from_text(text)) == text
        assert Substitution.from_text(str(Substitution.from_text(text))) == Substitution.from_text(text)


def test_atom_amounts_are_in_proportion():
    amounts = atom_amounts("CaSO4·2H2O")
    assert amounts["O"] / amounts["Ca"] == pytest.approx(6)
    assert amounts["H"] / amounts["S"] == pytest.approx(4)
