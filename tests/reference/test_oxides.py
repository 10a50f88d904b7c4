import pytest

from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.oxides import oxygen_in_doubt, oxygen_per_mass


@pytest.mark.parametrize(
    ("formula", "part"),
    [("BaSO4", 0.0), ("K2SO4", 0.0), ("FeS2", 1.0), ("PbSO4", 1.0), ("KS2", 0.75), ("S", 1.0)],
)
def test_sulphur_is_in_doubt_where_a_sulphide_may_be_or_no_sulphate_can(formula, part):
    fractions = mass_fractions(formula)
    found = oxygen_in_doubt(fractions)
    assert found.get("S", 0.0) == pytest.approx(0.5 * part * fractions["S"] * oxygen_per_mass("S"))
    assert "S" not in oxygen_in_doubt(fractions, {"S": -2})


def test_rare_valences_are_less_likely_than_common_ones():
    iron, chromium = (oxygen_in_doubt({e: 1.0})[e] / oxygen_per_mass(e) for e in ("Fe", "Cr"))
    assert iron == pytest.approx(0.5 * (3 - 2) / 2)
    assert chromium == pytest.approx(0.3 * (6 - 3) / 3)
