import numpy as np
import pytest

from napari_xrf.core.emission_lines import (
    edge_energy,
    emission_lines,
    family_lines,
    main_line,
    parse_elements,
    split_family,
)
from napari_xrf.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("element", "shell", "name", "energy"),
    [
        ("Fe", "K", "Kα1", 6.404),
        ("Cu", "K", "Kα1", 8.048),
        ("Pb", "L", "Lα1", 10.552),
        ("Pb", "M", "Mα1", 2.346),
    ],
)
def test_main_lines_stand_where_the_tables_say(element, shell, name, energy):
    line = main_line(element, shell)
    assert line.siegbahn == name
    assert line.energy == pytest.approx(energy, abs=0.002)


@pytest.mark.parametrize("element", ["Na", "Fe", "Ag", "Ba", "Pb", "U"])
def test_rates_of_a_subshell_sum_to_one(element):
    # xraylib has no energy for the faintest outer transitions of light elements: under 1 % is missing.
    total: dict[str, float] = {}
    for line in emission_lines(element):
        total[line.subshell] = total.get(line.subshell, 0) + line.rate
    for subshell in {"K", "L3"} & total.keys():
        assert total[subshell] == pytest.approx(1, abs=8e-3)


def test_no_transition_stands_twice():
    names = [line.transition for line in emission_lines("Pb")]
    assert len(names) == len(set(names))


def test_shares_of_a_family_follow_the_excitation():
    energies, shares = family_lines("Fe", "K", 20.0)
    assert shares.sum() == pytest.approx(1)
    assert np.all(np.diff(energies) <= 0)
    beta = shares[energies > 6.8].sum() / shares[energies < 6.8].sum()
    assert beta == pytest.approx(0.134, abs=0.01)
    # Between the L3 and L1 edges of lead only the L3 lines can be excited.
    energies, _ = family_lines("Pb", "L", 14.0)
    assert energies.max() < edge_energy("Pb", "L3")
    assert family_lines("Fe", "K", 7.0)[0].size == 0


@pytest.mark.parametrize("family", ["Fe", "Fe N", "Xx K", "", "K", "Fe K L"])
def test_refuses_what_is_no_family(family):
    with pytest.raises(InvalidInput):
        split_family(family)


@pytest.mark.parametrize("text", ["Fe, Ca; Pb L", "fe,ca;pb l", " FE ca , pb L;;fe"])
def test_lists_of_elements_are_read_in_any_case(text):
    assert parse_elements(text) == ("Fe", "Ca", "Pb L")


def test_words_that_are_no_element_are_named():
    with pytest.raises(InvalidInput, match="xx"):
        parse_elements("Fe, xx")
