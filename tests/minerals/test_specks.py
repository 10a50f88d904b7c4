from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.minerals.test_mixtures import SHAPES, binned_map, fine_grains

from napari_xrf.core.progress import ignore_progress
from napari_xrf.minerals.likelihood.traces import Families
from napari_xrf.minerals.mineral_phases import _NamedEnds, _Namer
from napari_xrf.minerals.mixing.ends import End
from napari_xrf.minerals.mixing.mixtures import Mixing
from napari_xrf.minerals.mixing.specks import with_specks
from napari_xrf.minerals.naming.compared import EndName

# Two lines: arsenic's lies where the first phase shines, too.
LINES = np.exp(-0.5 * ((np.arange(40) - np.array([[12.0], [31.0]])) / 1.2) ** 2)
FAMILIES = Families(
    ("As K", "Mn K"), ("As", "Mn"), LINES / LINES.sum(axis=1, keepdims=True), np.array([1.0, 1.0])
)


def with_a_speck(excess, side=40, counts=40, seed=3):
    """A map of two halves with a grain of four pixels across, which is the left one with a line more."""
    areas = np.zeros((side, side, 3))
    areas[:, : side // 2, 0] = 1
    areas[:, side // 2 :, 1] = 1
    areas[18:22, 8:12] = (0, 0, 1)
    areas = gaussian_filter(areas, (0.8, 0.8, 0))
    stranger = SHAPES[0] + excess * SHAPES[0].sum() * FAMILIES.shapes[0]
    mean = counts * areas @ np.array([SHAPES[0], SHAPES[1], stranger])
    binned = binned_map(np.random.default_rng(seed).poisson(mean))
    places = np.full((side, side), -1, dtype=np.int16)
    places[:, :7], places[:, side // 2 + 3 :] = 0, 1
    seen = binned.counts(slice(0, side))
    ends = [
        End(each, int((places == each).sum()), seen[places == each].sum(axis=0, dtype=float))
        for each in (0, 1)
    ]
    return binned, ends, places, areas


def specks_of(binned, ends, places, percent=50.0, held=0.0):
    lines = np.full((2, 2), held), np.full((2, 2), percent)
    return with_specks(binned, ends, places, FAMILIES, lines)


def test_a_speck_that_shows_a_line_more_is_an_end_of_its_own():
    binned, ends, places, areas = with_a_speck(0.15)
    found, lying = specks_of(binned, ends, places)
    assert len(found) == 3
    assert found[2].speck
    assert found[2].shows == {"As"}
    assert (areas[lying == 2, 2] > 0.3).all()
    assert (lying == 2).sum() > 3
    excess = found[2].mean / found[2].mean.sum() - ends[0].mean / ends[0].mean.sum()
    assert int(excess.argmax()) == 12


def test_pixels_of_a_speck_are_it_rather_than_what_it_resembles():
    binned, ends, places, areas = with_a_speck(0.15)
    held = []
    for known, lying in ((tuple(ends), places), specks_of(binned, ends, places)):
        parts, every = np.eye(len(known), dtype=np.float32), np.ones(len(known))
        mixing = Mixing.learned(binned, known, parts, lying, every.astype(np.float32), every > 0)
        held.append(mixing.unmix(binned, slice(0, 40)).areas.reshape(40, 40, -1)[areas[..., 2] > 0.7])
    assert (held[0][:, 0] > 0.9).all()
    assert (held[1].argmax(axis=1) == 2).mean() > 0.8


@pytest.mark.parametrize(
    "how", [{"excess": 0.0}, {"excess": 0.15, "percent": 5.0}, {"excess": 0.15, "held": 0.5}]
)
def test_chance_traces_and_compositions_are_no_specks(how):
    """Without a line, with one of a per cent, and with more of what the phase holds anyway."""
    binned, ends, places, _ = with_a_speck(how.pop("excess"))
    found, lying = specks_of(binned, ends, places, **how)
    assert len(found) == 2
    assert not any(end.shows for end in found)
    np.testing.assert_array_equal(lying, places)


def test_an_end_shows_what_larger_ones_lack_unless_it_is_uneven():
    binned, ends, places, _ = with_a_speck(0.0)
    counts = 3e4 * (SHAPES[0] / SHAPES[0].sum() + 0.15 * FAMILIES.shapes[0])
    for variation, shows in ((0.001, {"As"}), (0.05, set())):
        small = End(0, 5, counts, variation=variation)
        lines = np.zeros((3, 2)), np.full((3, 2), 50.0)
        found, _ = with_specks(binned, [*ends, small], places, FAMILIES, lines)
        assert found[2].shows == shows


class _Named(_Namer):
    """Whatever ends are purified, or those that are not, has no name."""

    purified_has_names = True

    def _with_specks(self, ends, places, progress, *, mixed=False):
        purified = bool(np.isnan(ends[0].variation))
        known = purified == self.purified_has_names
        name = EndName((0,), 0.9, 1.0, 0, -1, 0.0, 0) if known else EndName((), 1.0, 1.0, -1, 0, 0.0)
        return _NamedEnds(tuple(ends), (name,) * len(ends), None, places)


class _NamedAsTheyAre(_Named):
    purified_has_names = False


def test_ends_of_fine_grains_are_purified_unless_only_ends_as_they_are_have_names():
    """A third of a laterite without a list was unknown: its purer ends had no names."""
    binned, areas = fine_grains(width=2)
    winner = areas.argmax(axis=2).astype(np.int16)
    purer, plain = (
        kind(binned, None, None, None).name_grains(winner, ignore_progress)
        for kind in (_Named, _NamedAsTheyAre)
    )
    assert purer.ends[0].explained
    assert purer.undecided == plain.undecided == 0
    assert not plain.ends[0].explained
    assert "100% of the pixels would have no name" in plain.notes[-1]


class _AsExpected:
    """A sensitivity that changes nothing."""

    @staticmethod
    def adjust(expected):
        return expected


class _AllNamed(_Namer):
    def name(self, ends, places):
        return _NamedEnds(tuple(ends), (EndName((0,), 0.9, 1.0, 0, -1, 0.0, 0),) * len(ends), None, places)


def test_specks_are_looked_for_where_ends_are_purified_too(monkeypatch):
    """More counts made ends uneven beyond chance: purified, pyromorphite and jordanite were lead ores."""
    generator = np.random.default_rng(4)
    zones = generator.integers(0, 3, (18, 18)).repeat(2, axis=0).repeat(2, axis=1)
    areas = np.stack([(zones == each).astype(float) for each in range(3)], axis=-1)
    areas = np.dstack([areas, np.zeros(zones.shape)])
    areas[16:19, 16:19] = (0, 0, 0, 1)
    areas = gaussian_filter(areas, (0.9, 0.9, 0))
    stranger = SHAPES[0] + 0.5 * SHAPES[0].sum() * FAMILIES.shapes[0]
    binned = binned_map(generator.poisson(100 * areas @ np.array([*SHAPES, stranger])))
    winner = areas[..., :3].argmax(axis=2).astype(np.int16)
    winner[areas[..., 3] > 0.3] = 0

    def lines(spectra, expected):
        return np.zeros((len(spectra), 2)), np.full((len(spectra), 2), 50.0)

    monkeypatch.setattr("napari_xrf.minerals.mineral_phases.lines_of_ends", lines)
    known = SimpleNamespace(families=FAMILIES)
    found = _AllNamed(binned, known, None, _AsExpected()).name_grains(winner, ignore_progress)
    assert found.ends[0].explained
    shown = [place for place, end in enumerate(found.ends) if end.shows == {"As"}]
    held = areas[..., 3]
    assert (held[np.isin(found.places, shown)] > 0.2).all()
    assert np.isin(found.places, shown)[held > 0.7].all()
