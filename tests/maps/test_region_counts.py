"""Net counts of regions."""

import csv

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.quantification.region_counts import count_regions, write_region_counts
from two_phase_maps import two_phase_cube


def test_each_region_has_its_own_counts_and_they_add_up(tmp_path):
    cube, iron = two_phase_cube()
    rows = count_regions(cube, {"iron": iron, "rest": ~iron, "all": np.ones_like(iron)}, ["Fe", "Ca"])
    inside, outside, whole = (row.families["Fe K"] for row in rows)
    assert inside.counts > 20 * max(outside.counts, 1)
    assert inside.counts + outside.counts == pytest.approx(whole.counts, rel=0.05)
    assert [row.pixels for row in rows] == [int(iron.sum()), int((~iron).sum()), iron.size]
    write_region_counts(tmp_path / "regions.csv", rows)
    with (tmp_path / "regions.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [row["region"] for row in table] == ["iron", "rest", "all"]
    assert float(table[0]["Fe K counts"]) == pytest.approx(inside.counts, rel=1e-5)
    assert float(table[0]["Ca K limit"]) > 0


def test_what_does_not_stand_out_has_a_limit_of_three_of_its_errors():
    cube, iron = two_phase_cube()
    asked = ["Fe", "Ca", "Mn", "Co", "Ni", "K", "Sc", "Ti", "Rb", "Si", "Sr", "Y", "Pb"]
    (row,) = count_regions(cube, {"all": np.ones_like(iron)}, asked)
    faint = [net for net in row.families.values() if net.counts < 3 * net.error]
    assert len(faint) > 5
    assert all(net.limit >= 3 * net.error for net in faint)
    strong = row.families["Fe K"]
    assert strong.limit < 0.1 * strong.counts


def test_nothing_to_count_says_so():
    cube, _ = two_phase_cube()
    with pytest.raises(InvalidInput, match="no region"):
        count_regions(cube, {})
