import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.labels.modal_table import modal_table
from napari_xrf.minerals.likelihood.binned_map import BinnedMap
from napari_xrf.minerals.likelihood.shares import learn_prior
from napari_xrf.minerals.likelihood.templates import EnergyBins
from napari_xrf.minerals.mixing.ends import End, belief_in_ends, learn_ends, may_be_mixtures
from napari_xrf.minerals.mixing.mixtures import Mixing, Peers
from napari_xrf.minerals.mixing.purification import purify_ends
from napari_xrf.minerals.mixing.unmixing import unmix

SHAPES = np.random.default_rng(1).gamma(0.4, size=(3, 40)) * 30 + 1


def binned_map(counts):
    axis, bins = EnergyAxis(0.0, 0.1, 40), np.arange(40)
    return BinnedMap(SpectralCube(counts, axis), EnergyBins(axis, bins, bins + 1))


def halves(side=24, seed=2):
    """A map of two halves, with a stranger in the left one, and its areas (Y, X, 3)."""
    areas = np.zeros((side, side, 3))
    areas[:, : side // 2, 0] = 1
    areas[:, side // 2 :, 1] = 1
    areas[8:14, 2:8] = (0, 0, 1)
    areas[:, side // 2] = (0.6, 0.4, 0)
    counts = np.random.default_rng(seed).poisson(areas @ SHAPES)
    return binned_map(counts), areas


def test_amounts_of_a_mixture_are_found():
    truth = np.array([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]])
    counts = (50 * truth @ SHAPES).astype(np.float32)
    candidates = np.array([[0, 1, 2], [2, 0, -1]], dtype=np.int32)
    amounts, deviance, lead = unmix(
        counts, (50 * SHAPES).astype(np.float32), np.arange(3, dtype=np.int32), candidates
    )
    assert amounts[0] == pytest.approx([0.7, 0.3, 0], abs=0.02)
    assert amounts[1] == pytest.approx([1, 0, 0], abs=0.02)
    assert deviance.max() < 2
    assert lead.min() > 2


def test_an_end_that_two_others_nearly_are_together_leads_by_little_where_pixels_may_be_mixtures():
    between = (SHAPES[0] + SHAPES[1]) / 2
    between[10:15] *= 1.15
    ends = 2 * np.array([SHAPES[0], SHAPES[1], between], dtype=np.float32)
    kinds, candidates = np.arange(3, dtype=np.int32), np.array([[2, 0, 1]], dtype=np.int32)
    found = [unmix(ends[2:], ends, kinds, candidates, free=free) for free in (1.0, 0.1)]
    assert [amounts[0].tolist() for amounts, _, _ in found] == [pytest.approx([1, 0, 0], abs=0.01)] * 2
    leads = [float(lead[0]) for _, _, lead in found]
    beside_one = float(unmix(ends[2:], ends, kinds, candidates[:, :2].copy())[2][0])
    assert 0.5 < leads[0] < 2 < 5 < leads[1]
    assert beside_one > 5


def fine_grains(seed=4, width=3):
    """A map of three phases in grains as wide as the beam: places (Y, X) of the main ones, and areas."""
    generator = np.random.default_rng(seed)
    zones = generator.integers(0, 3, (36 // width, 36 // width)).repeat(width, axis=0).repeat(width, axis=1)
    areas = np.stack([gaussian_filter((zones == each).astype(float), 0.9) for each in range(3)], axis=-1)
    counts = generator.poisson(20 * areas @ SHAPES)
    return binned_map(counts), areas


def ends_of(binned, areas, share):
    """The means of pixels that hold at least a share of one phase, as if they lay inside its grains."""
    counts, places = binned.counts(slice(0, len(areas))), np.full(areas.shape[:2], -1, dtype=np.int16)
    for phase in range(areas.shape[-1]):
        places[areas[..., phase] > share] = phase
    ends = [
        End(phase, int((places == phase).sum()), counts[places == phase].sum(axis=0, dtype=float))
        for phase in range(areas.shape[-1])
    ]
    return ends, places


def departure(end, shape):
    return float(np.abs(end.counts / end.counts.sum() - shape / shape.sum()).sum())


def test_ends_of_grains_as_wide_as_the_beam_are_purified():
    binned, areas = fine_grains()
    ends, places = ends_of(binned, areas, 0.6)
    purer, lying, *_ = purify_ends(binned, ends, places)
    assert len(purer) == 3
    for end in purer:
        assert departure(end, SHAPES[end.column]) < 0.3 * departure(ends[end.column], SHAPES[end.column])
        # A mean of so many pixels of mixtures is not known as well as that of as many pure ones.
        assert 1 <= end.size < 0.5 * areas[..., end.column].sum()
    main = np.array([end.column for end in purer])[lying[lying >= 0]]
    assert (main == areas.argmax(axis=2)[lying >= 0]).mean() > 0.97
    assert (lying >= 0).mean() > 0.8


def test_the_fewer_pixels_are_of_one_phase_the_less_are_its_names_believed():
    believed = []
    for width in (1, 2, 4):
        binned, areas = fine_grains(width=width)
        _, _, belief, note = purify_ends(binned, *ends_of(binned, areas, 0.5))
        believed.append(belief)
        assert "nearly one phase" in note
    assert 0.5 < believed[0] < believed[1] < believed[2] == 1


def test_two_uneven_ends_are_left_as_they_are_and_doubted():
    winner = np.zeros((10, 10), dtype=int)
    places = np.full((10, 10), -1, dtype=np.int16)
    places[:2] = 0
    ends = [End(each, 10, SHAPES[each], variation=0.05) for each in range(3)]
    assert may_be_mixtures(ends, places, winner)
    assert not may_be_mixtures(ends[:2], places, winner)
    assert belief_in_ends(ends[:2], places, winner)[0] < 1


def test_what_other_ends_explain_is_no_end():
    binned, areas = fine_grains()
    ends, places = ends_of(binned, areas, 0.6)
    counts = binned.counts(slice(0, len(areas)))
    between = (areas[..., 0] > 0.35) & (areas[..., 1] > 0.35)
    places[between] = 3
    mixed = End(7, int(between.sum()), counts[between].sum(axis=0, dtype=float))
    purer, lying, *_ = purify_ends(binned, [*ends, mixed], places)
    assert sorted(end.column for end in purer) == [0, 1, 2]
    assert lying.max() == 2


def test_a_phase_of_its_own_between_two_others_stays_one():
    # Brighter in five bins than any mixture of the two is.
    own = (SHAPES[0] + SHAPES[1]) / 2
    own[10:15] *= 1.5
    generator = np.random.default_rng(4)
    binned, areas = fine_grains()
    counts = generator.poisson(20 * areas @ np.array([SHAPES[0], SHAPES[1], own]))
    binned = binned_map(counts)
    purer, *_ = purify_ends(binned, *ends_of(binned, areas, 0.6))
    assert sorted(end.column for end in purer) == [0, 1, 2]


def test_amounts_of_ends_that_are_alike_are_the_most_probable_ones():
    # Zones of one mineral: steps of expectation maximisation end far from the top.
    ends = np.array([SHAPES[0], SHAPES[0] * np.linspace(0.8, 1.2, 40), SHAPES[1], SHAPES[2]])
    ends[3, :30] = 1e-6  # whoever holds only this one expects next to nothing in most bins
    truth = np.random.default_rng(5).dirichlet([1, 1, 1, 1], 50)
    counts = np.random.default_rng(6).poisson(300 * truth @ ends).astype(np.float32)
    candidates = np.tile(np.arange(4, dtype=np.int32), (50, 1))
    spectra = (300 * ends).astype(np.float32)
    amounts, _, _ = unmix(counts, spectra, np.arange(4, dtype=np.int32), candidates)
    rise = (counts / (amounts @ spectra) - 1) @ spectra.T  # of the log-likelihood
    assert np.abs(rise[amounts > 0]).max() < 10
    assert np.abs(amounts - truth).mean() < 0.02


def test_a_pixel_without_counts_holds_nothing():
    spectra, candidates = SHAPES.astype(np.float32), np.array([[0, 1, 2]], dtype=np.int32)
    amounts, deviance, _ = unmix(
        np.zeros((1, 40), np.float32), spectra, np.arange(3, dtype=np.int32), candidates
    )
    assert not amounts.any()
    assert deviance[0] == pytest.approx(0, abs=1e-3)


def test_a_pixel_without_candidates_holds_nothing():
    spectra, none = SHAPES.astype(np.float32), np.full((1, 2), -1, dtype=np.int32)
    amounts, _, _ = unmix(spectra[:1], spectra, np.arange(3, dtype=np.int32), none)
    assert not amounts.any()


def test_a_stranger_within_a_class_is_an_end_of_its_own_and_pixels_hold_what_they_are_made_of():
    binned, areas = halves()
    seeming = np.where(areas[..., 1] > 0.5, 1, 0)  # the stranger passes for the left half
    ends, places = learn_ends(binned, seeming)
    means = np.array([end.mean for end in ends])
    found = [int(((SHAPES - mean) ** 2).sum(axis=1).argmin()) for mean in means]
    assert set(found) == {0, 1, 2}
    assert set(np.unique(places)) == set(range(-1, len(ends)))
    assert (places[8:14, 2:8] >= 0).sum() > 5
    mixing = Mixing.learned(
        binned,
        ends,
        np.eye(3, dtype=np.float32)[found],
        places,
        np.ones(len(found), np.float32),
        np.ones(len(found), bool),
    )
    mixed = mixing.unmix(binned, slice(0, 24))
    assert np.abs(mixed.areas - areas.reshape(-1, 3)).mean() < 0.03
    assert mixed.misfit.max() < 8


def test_many_small_parts_of_a_class_leave_one_after_another():
    blocks, side = 14, 6
    lines = 200 * 0.9 ** np.arange(blocks)  # each has one of its own
    shapes = np.full((blocks, 40), 20.0) + np.pad(np.diag(lines), ((0, 0), (0, 40 - blocks)))
    areas = np.repeat(np.repeat(np.eye(blocks).reshape(2, 7, blocks), side, axis=0), side, axis=1)
    binned = binned_map(np.random.default_rng(11).poisson(areas @ shapes))
    _, places = learn_ends(binned, np.zeros(areas.shape[:2], dtype=int))
    inside = places.reshape(2, side, 7, side)[:, 2:4, :, 2:4]
    assert all(np.unique(inside[row, :, column]).size == 1 for row in range(2) for column in range(7))
    assert np.unique(inside).size == blocks


def test_pixels_of_a_phase_vary_as_counts_do_and_those_of_fine_grains_more():
    parts = np.full((24, 24), 0.6)
    parts[:, 12:] += 0.1 * np.random.default_rng(4).standard_normal((24, 12))
    mean = 20 * (parts[..., None] * SHAPES[0] + (1 - parts[..., None]) * SHAPES[1]).clip(0)
    binned = binned_map(np.random.default_rng(3).poisson(mean))
    ends, _ = learn_ends(binned, np.repeat([[0, 1]], 12, axis=1).repeat(24, axis=0))
    even, varied = ([end.variation for end in ends if end.column == column] for column in (0, 1))
    assert np.abs(even).max() < 0.002
    assert np.mean(varied) > 0.005


@pytest.mark.parametrize(("spread", "mixed"), [(0.15, True), (0.0, False)])
def test_an_uneven_end_between_larger_ones_is_a_mixture_and_an_even_one_a_phase(spread, mixed):
    """Pixels between spodumene, beryl and quartz were albite: an end of 32 pixels, more than a boundary."""
    share = (0.6 + spread * np.random.default_rng(4).standard_normal((24, 8))).clip(0, 1)[..., None]
    mean = np.tile(SHAPES[0], (24, 36, 1))
    mean[:, 14:28] = SHAPES[1]
    mean[:, 28:] = share * SHAPES[0] + (1 - share) * SHAPES[1]
    binned = binned_map(np.random.default_rng(3).poisson(10 * mean))
    ends, _ = learn_ends(binned, np.repeat([0, 1, 2], (14, 14, 8))[None].repeat(24, axis=0))
    (between,) = (end for end in ends if end.column == 2)
    assert bool(between.held) == mixed
    if mixed:
        held = {ends[place].column: area for place, area in between.held}
        assert held == pytest.approx({0: 0.6, 1: 0.4}, abs=0.05)


def test_an_end_of_many_counts_that_varies_beyond_chance_is_a_boundary_though_it_varies_little():
    """Twenty pixels between magnetite and riebeckite, of 14 000 counts each, were fayalite at 1.00."""
    share = (0.6 + 0.05 * np.random.default_rng(4).standard_normal((24, 8))).clip(0, 1)[..., None]
    mean = np.tile(SHAPES[0], (24, 36, 1))
    mean[:, 14:28] = SHAPES[1]
    mean[:, 28:] = share * SHAPES[0] + (1 - share) * SHAPES[1]
    columns = np.repeat([0, 1, 2], (14, 14, 8))[None].repeat(24, axis=0)
    for dose, mixed in ((0.3, False), (10, True)):
        ends, _ = learn_ends(binned_map(np.random.default_rng(3).poisson(dose * mean)), columns)
        (between,) = (end for end in ends if end.column == 2)
        assert 0.003 < between.variation < 0.01
        assert bool(between.held) == mixed


def test_ends_without_a_name_may_be_different_things():
    """Of five phases without names two were tried: galena beside hematite was not among them."""
    shapes = np.random.default_rng(7).gamma(0.4, size=(4, 40)) * 30 + 1
    # Two of them are as likely alone as half of the first and half of the last together.
    half = (shapes[0] + shapes[3]) / 2
    shapes[1:3] = half * (1 + 0.3 * np.random.default_rng(8).uniform(-1, 1, (2, 40)))
    counts = np.random.default_rng(9).poisson(100 * np.tile(shapes[0], (24, 24, 1)))
    counts[3:6, 3:6] = np.random.default_rng(9).poisson(100 * np.tile(half, (3, 3, 1)))
    places = np.zeros((24, 24), dtype=np.int16)
    places[2:7, 2:7] = -1
    binned = binned_map(counts)
    ends = [End(place, 100, 100 * 100 * shape) for place, shape in enumerate(shapes)]
    named = np.array([True, False, False, False])
    parts = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)
    held = Mixing.learned(binned, ends, parts, places, np.ones(4, np.float32), named).unmix(
        binned, slice(0, 24)
    )
    inside = held.areas.reshape(24, 24, 2)[3:6, 3:6]
    assert inside == pytest.approx(0.5, abs=0.1)
    assert held.misfit.reshape(24, 24)[3:6, 3:6].max() < 5


def test_a_boundary_that_looks_like_a_phase_from_elsewhere_is_one_of_what_lies_around():
    side, middle = 30, 10
    spectra = np.array([*SHAPES[:2], 0.5 * SHAPES[:2].sum(axis=0)])
    areas = np.zeros((side, side, 3))
    areas[:, :middle, 0] = 1
    areas[:, middle:, 1] = 1
    areas[:, middle] = (0.5, 0.5, 0)
    areas[10:20, 20:] = (0, 0, 1)
    binned = binned_map(np.random.default_rng(8).poisson(areas @ spectra))
    places = np.where(areas.max(axis=2) == 1, areas.argmax(axis=2), -1).astype(np.int16)
    ends = [End(column, 100, 100 * spectrum) for column, spectrum in enumerate(spectra)]
    mixing = Mixing.learned(
        binned, ends, np.eye(3, dtype=np.float32), places, np.ones(3, np.float32), np.ones(3, bool)
    )
    found = mixing.unmix(binned, slice(0, side)).areas.reshape(areas.shape)
    assert (found[:, middle].argmax(axis=1) < 2).all()
    assert (found[11:19, 21:].argmax(axis=2) == 2).all()


def test_what_most_pixels_of_some_counts_lack_is_not_usual():
    """Between quartz and magnetite most pixels are boundaries; tried with aegirine, all were as bad."""
    random = np.random.default_rng(3)
    totals = np.arange(1200.0)
    values = random.normal(100, 5, 1200)
    boundaries = (totals > 410) & (totals < 500)
    values[boundaries] = random.normal(1000, 300, boundaries.sum())
    misfit = Peers.of(values, totals).misfit(values, totals)
    assert np.quantile(misfit[boundaries], 0.05) > 10
    assert np.abs(misfit[~boundaries]).max() < 6


def test_neighbours_count_where_there_are_grains_only():
    scores = np.full((400, 2), 6.0, dtype=np.float32)
    held = np.ones((20, 20), dtype=bool)
    grains = (np.arange(400) % 20) // 10
    shuffled = np.random.default_rng(0).permutation(grains)
    for truth, low, high in ((grains, 0.6, 1), (shuffled, 0, 0.4)):
        own = scores.copy()
        own[np.arange(400), truth] = 0
        prior = learn_prior(lambda margin, own=own: [(own, held, np.ones(400, bool))], 2)
        probability = prior.probability(own, held)
        assert low <= prior.coherences[-1] <= high
        assert np.mean(probability.argmax(axis=1) == truth) > 0.99


def test_percentages_come_from_abundances():
    classes = (LabelClass(1, "unknown"), LabelClass(2, "a", density=2.0), LabelClass(3, "b", density=4.0))
    labels = LabelMap(np.array([[2, 2]], dtype=np.uint8), classes)
    values = np.array([[[0, 0.75, 0.25], [0, 0.75, 0.25]]], dtype=np.float32)
    rows = modal_table(labels, Abundances(values, classes))
    assert [row.area_percent for row in rows] == pytest.approx([0, 75, 25])
    assert rows[2].weight_percent == pytest.approx(40)
    assert [row.pixels for row in rows] == [0, 2, 0]


def test_few_counts_tell_little():
    dim = np.zeros((1, 3, 40), dtype=np.float32)
    dim[0, 0, 5] = 1
    dim[0, 1, 5] = 3
    dim[0, 2] = 20 * SHAPES[0]
    ends = [End(place, 3, 90 * shape) for place, shape in enumerate(SHAPES)]
    binned = binned_map(dim)
    mixing = Mixing.learned(
        binned,
        ends,
        np.eye(3, dtype=np.float32),
        np.array([[0, 1, 2]], dtype=np.int16),
        np.ones(3, np.float32),
        np.ones(3, bool),
    )
    lead = mixing.unmix(binned, slice(0, 1)).lead
    assert lead[0] < lead[1] < lead[2]
    assert lead[0] < 0.7
    assert lead[2] > 1.5
