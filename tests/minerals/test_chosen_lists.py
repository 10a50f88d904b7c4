"""What a list of minerals that somebody chose is believed, where it lacks a part of the map."""

import numpy as np
import pytest

from napari_xrf.minerals.mixing.ends import End
from napari_xrf.minerals.naming.chosen_lists import beside_a_list
from napari_xrf.minerals.naming.compared import EndName
from napari_xrf.reference.minerals import load_library, select_minerals

# The first two are looked for; of the others muscovite is common.
MINERALS = select_minerals(load_library(), ["illite", "halite", "muscovite", "nepheline", "quartz"])
RARITY = np.array([0.0, 0.0, 0.0, 8.0, 0.0])
ILLITE = EndName((0,), 0.96, 0.5, 0, 2, -3.0, 0, unlisted=(2, 3))
HALITE = EndName((1,), 0.98, 0.5, 1, 2, -90.0, 1)
UNKNOWN = EndName((), 1.0, 3.0, -1, 4, 80.0)


def ends(*sizes: int) -> list[End]:
    return [End(0, size, np.ones(4)) for size in sizes]


def test_a_list_that_lacks_accessories_is_believed():
    names, doubts, notes = beside_a_list([ILLITE, HALITE, UNKNOWN], ends(60, 30, 10), MINERALS, RARITY)
    assert [name.probability for name in names] == [0.96, 0.98, 1.0]
    assert not doubts
    assert notes == ("not told from what is not looked for: illite (muscovite, nepheline)",)


def test_a_list_of_something_else_is_told_and_not_obeyed():
    names, doubts, notes = beside_a_list([UNKNOWN, ILLITE, HALITE], ends(50, 30, 20), MINERALS, RARITY)
    assert "50% of the map is none of the minerals looked for" in doubts[0]
    assert notes[0].startswith("not told")
    # Muscovite is half as probable as what was asked for, nepheline rare; halite is like nothing else.
    assert names[1].probability == pytest.approx(0.96 * 2 / (3 + np.exp(-4)))
    assert [names[2].probability, names[0].probability] == [0.98, 1.0]


def test_belief_falls_steadily_with_what_a_list_lacks():
    told = [
        beside_a_list([ILLITE, UNKNOWN], ends(100 - lacked, lacked), MINERALS, RARITY)[0][0].probability
        for lacked in (15, 20, 25, 30, 40)
    ]
    assert told == sorted(told, reverse=True)
    assert told[0] == ILLITE.probability
    assert told[-2] == told[-1]
