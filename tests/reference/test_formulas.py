import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.minerals import load_library

UNITS = ["SiO2", "CaSO4", "CaCl2", "Fe2O3", "Mg(OH)2", "Ca3(PO4)2", "KAl(SO4)2", "Mg1.8Fe0.2SiO4"]


@pytest.mark.parametrize(
    ("formula", "element", "fraction"),
    [
        ("SiO2", "Si", 0.4674),
        ("CaCO3", "Ca", 0.4004),
        ("CaSO4·2H2O", "Ca", 0.2328),
        ("(Zn0.9Fe0.1)S", "Fe", 0.0579),
        ("Fe₂O₃", "Fe", 0.6994),
    ],
)
def test_weight_fractions(formula, element, fraction):
    assert mass_fractions(formula)[element] == pytest.approx(fraction, abs=2e-4)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CaSO4.2H2O", "CaSO4·2H2O"),
        ("CaSO4 . 2 H2O", "CaSO4·2H2O"),
        ("CaSO4•2H2O", "CaSO4·2H2O"),
        ("CaSO4∙2H2O", "CaSO4·2H2O"),
        ("CaSO4*2H2O", "CaSO4·2H2O"),
        ("CaSO4⋅2H2O", "CaSO4·2H2O"),
        ("CaSO4・2H2O", "CaSO4·2H2O"),
        ("Fe(II)Fe(III)2O4", "Fe3O4"),
        ("CaSO4.0.5H2O", "CaSO4·0.5H2O"),
        ("KAl(SO4)2.12H2O", "KAl(SO4)2·12H2O"),
        ("Al2O3.2SiO2.2H2O", "Al2Si2O5(OH)4"),
        ("3CaO.Al2O3", "Ca3Al2O6"),
        ("2PbCO3.Pb(OH)2", "Pb3C2O6(OH)2"),
        ("Mg1.8Fe0.2SiO4.2H2O", "Mg1.8Fe0.2SiO4·2H2O"),
        ("KAl2[AlSi3O10](OH)2", "KAl3Si3O10(OH)2"),
        ("{[Fe]2O}3", "Fe6O3"),
        ("Fe2+Fe3+2O4", "Fe3O4"),
        ("Ca²⁺CO₃²⁻", "CaCO3"),
        ("Ca^2+(CO3)^{2-}", "CaCO3"),
        ("Fe(2+)Fe^{3+}2O4", "Fe3O4"),
        ("CaCO32-", "CaCO3"),
        ("Na+", "Na"),
        ("Ca CO3", "CaCO3"),
    ],
)
def test_reads_what_people_write(written, meant):
    assert mass_fractions(written) == pytest.approx(mass_fractions(meant))


@pytest.mark.parametrize(
    ("formula", "ratio"),
    [
        ("MgO0.9", 0.9),
        ("UO2.1", 2.1),
        ("YBa2Cu3O6.9", 6.9),
        ("Ca5O3.2(OH)0.8", 4.0 / 5),
        ("Si3.67O10(OH)2", 12 / 3.67),
    ],
)
def test_decimal_points_stay_decimal_points(formula, ratio):
    fractions = mass_fractions(formula)
    metal = next(element for element in ("Mg", "U", "Y", "Ca", "Si") if element in fractions)
    weights = {"Mg": 24.312, "U": 238.03, "Y": 88.905, "Ca": 40.08, "Si": 28.086}
    assert fractions["O"] / 15.999 / (fractions[metal] / weights[metal]) == pytest.approx(ratio, rel=1e-3)


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ("", "empty"),
        ("SiO2·", "holds no element"),
        ("2", "holds no element"),
        ("Xx2", "no element 'Xx'"),
        ("FE2O3", "no element 'E'"),
        ("Si(O2", r"'\(' is not closed"),
        ("SiO2]", "'\\]' closes no bracket"),
        ("(SiO2]", "'\\]' closes no bracket"),
        ("()", "nothing in"),
        ("quartz", "small letter"),
        ("Si02", "'02' begins with a zero. Write the letter O"),
        ("Si-1", "count or a charge"),
        ("NH4+", "count or a charge"),
        ("Fe2O3 + SiO2", "mixture"),
        ("CaSO4·nH2O", "number 'n' is open"),
        ("SiO2 0.5H2O", "side by side"),
        ("(Mg,Fe)2SiO4", r"shares open. Write them: \(Mg0.5Fe0.5\)2SiO4"),
        ("Na1.5H2O", "decimal point or add a unit"),
        ("CaCO3.2MgCO3", "decimal point or add a unit"),
        ("Fe.95O", "decimal point or add a unit"),
        ("Si0", "indices are 0"),
        ("Fe?", "'\\?' has no meaning"),
    ],
)
def test_says_what_is_wrong_with_a_formula(formula, cause):
    with pytest.raises(InvalidInput, match="formula") as caught:
        mass_fractions(formula)
    assert caught.match(cause)


@given(st.sampled_from(UNITS), st.integers(1, 20), st.sampled_from("·•∙⋅*. "))
def test_hydrates_read_alike_with_every_dot(unit, water, dot):
    separator = " . " if dot == " " else dot
    assert mass_fractions(f"{unit}{separator}{water}H2O") == mass_fractions(f"{unit}·{water}H2O")


@given(st.floats(0.01, 0.99).map(lambda share: round(share, 2)))
def test_shares_below_one_are_decimals(share):
    fractions = mass_fractions(f"(Mg{1 - share:.2f}Fe{share:.2f})2SiO4")
    magnesium, iron = fractions["Mg"] / 24.312, fractions["Fe"] / 55.847
    assert iron / (iron + magnesium) == pytest.approx(share, abs=1e-3)


@given(st.text("CaOH2.4()[]·+-,S ", max_size=12))
def test_any_text_is_read_or_refused_with_a_reason(text):
    try:
        fractions = mass_fractions(text)
    except InvalidInput:
        return
    assert sum(fractions.values()) == pytest.approx(1)


def test_the_library_stands_in_readable_formulas():
    for mineral in load_library():
        assert mass_fractions(mineral.formula)
