"""What ends of mixing are called."""

from dataclasses import replace

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.minerals.likelihood.sensitivity import (
    KNOTS_KEV,
    Lessons,
    learn_from,
    soft_sensitivity,
    spreads_beforehand,
)
from napari_xrf.minerals.likelihood.templates import EnergyBins, Templates
from napari_xrf.minerals.likelihood.traces import Expected, Families
from napari_xrf.minerals.mineral_phases import name_phases
from napari_xrf.minerals.mixing.ends import End
from napari_xrf.minerals.naming.beside_others import without_odd_ones
from napari_xrf.minerals.naming.compared import EndName
from napari_xrf.minerals.naming.comparison_of_ends import EndComparison, have_same_lines
from napari_xrf.minerals.naming.names import Candidates, agreed_names, compare_ends, is_rock, name_ends
from napari_xrf.physics.source import TubeSource
from napari_xrf.reference.minerals import load_library, select_minerals

BINS = EnergyBins(EnergyAxis(1.0, 0.05, 240), np.arange(240), np.arange(240) + 1)


def seen(scatter, first):
    """A spectrum of three lines, the first one that strong, on flat scatter, (240,) of sum 1."""
    lines = np.exp(-0.5 * ((BINS.energies[:, None] - [1.6, 2.3, 3.2]) / 0.1) ** 2) @ [first, 1.0, 0.2]
    return (1 - scatter) * lines / lines.sum(), np.full(BINS.size, scatter / BINS.size)


def expected(*spectra):
    """What is expected of as many minerals, equally bright."""
    lines, continuum = (np.array(part) for part in zip(*spectra, strict=True))
    names = ["olivine", "serpentine", "orthopyroxene", "talc"]
    names += [each.name for each in load_library() if each.name not in names]
    names = names[: len(spectra)]
    minerals = select_minerals(load_library(), names)
    bright = np.full(len(names), 1e4)
    templates = Templates(lines, continuum, np.arange(len(names)), minerals, BINS, bright)
    shape = np.exp(-0.5 * ((BINS.energies - 3.7) / 0.1) ** 2)
    families = Families(("Ca K",), ("Ca",), shape[None] / shape.sum(), np.array([1e3]))
    return Expected(templates, families, np.zeros((len(names), 1)))


def known_before(*families):
    """The sensitivity of a map with a tube before anything of it is known."""
    return soft_sensitivity(spreads_beforehand(TubeSource("Rh", 50.0), families))


def named(known, spectrum, *, chosen=True, temper=0.7):
    number = len(known.templates.minerals)
    every = tuple(range(number))
    candidates = Candidates(
        number, [every], np.zeros(number), np.ones(number, dtype=bool), 30.0, temper, chosen
    )
    (name,) = name_ends([End(0, 100, 1e5 * spectrum)], [EndComparison(known)], candidates)
    return name


def test_a_mineral_does_not_win_for_scattering_little():
    # Olivine was serpentine in an ultramafic rock, whose scatter, and its errors, are smaller.
    known = expected(seen(0.15, 1.0), seen(0.1, 0.85))
    ripple = 1 + 0.03 * (-1.0) ** np.arange(BINS.size)  # as models differ from measurements
    assert named(known, sum(seen(0.15, 0.98)) * ripple).best == 0


def test_alike_minerals_of_a_library_share_a_name_and_a_chosen_list_tells_more():
    known = expected(seen(0.15, 1.0), seen(0.15, 0.935), seen(0.15, 0.5), seen(0.15, 0.2))
    spectrum = sum(seen(0.15, 0.99))
    alone, given = named(known, spectrum, chosen=False, temper=0.25), named(known, spectrum)
    assert alone.minerals == (0, 1)
    assert given.minerals == (0,)


def test_what_the_spectrum_prefers_shares_the_name_of_what_is_more_usual():
    """Spodumene and beryl were albite at 0.9: lithium and beryllium show no line, and are rare."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.9), seen(0.15, 0.3))
    rarity = np.array([0.0, 60.0, 0.0])
    candidates = Candidates(3, [(0, 1, 2)], rarity, rarity == 0, 12.0, 0.4)
    ends = [End(0, 100, 1e5 * sum(seen(0.15, first)), 0.0005) for first in (1.0, 0.3, 0.9)]
    names = name_ends(ends, [EndComparison(known)] * 3, candidates)
    assert (names[2].minerals, names[2].best) == ((0, 1), 0)
    assert names[1].minerals == (2,)


def test_what_lies_in_no_grain_is_a_mixture_only_where_no_single_mineral_explains_it():
    """A rare mineral and a mixture of common ones that look alike: clays for spodumene in a pegmatite."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.1), seen(0.15, 4.0), seen(0.15, 0.5))
    rarity = np.array([0.0, 0.0, 0.0, 24.0])
    candidates = Candidates(4, [(0,), (1,), (2,), (3,)], rarity, rarity == 0, 12.0, 0.25)
    firsts = (0.5, 1.0, 0.1, 4.0)
    ends = [End(min(place, 3), 100, 1e5 * sum(seen(0.15, first))) for place, first in enumerate(firsts)]
    names = name_ends(ends, [EndComparison(known)] * 4, candidates, blend=True)
    assert [name.best for name in names] == [3, 0, 1, 2]
    # Without grains the mixture of common minerals comes first.
    (fine,) = name_ends(ends[:1], [EndComparison(known)], candidates, blend=True)
    assert fine.minerals != (3,)
    # Nor do grains finer than the pixels make all of them alike.
    even = [End(0, 100, ends[0].counts, variation) for variation in (0.0005, 0.02)]
    one, other = (name_ends([end], [EndComparison(known)], candidates, blend=True)[0] for end in even)
    assert one.minerals == (3,)
    assert len(other.parts) == len(fine.parts) > 1


def test_minerals_that_differ_by_less_than_models_do_share_a_name_whatever_a_spectrum_prefers():
    """Calcite and fluorite, of which a tube shows calcium and scatter: it was fluorite at 0.95."""
    known = expected(seen(0.15, 1.0), seen(0.12, 1.0), seen(0.15, 0.5))
    assert EndComparison(known).apart(0, 1) < 6 < EndComparison(known).apart(0, 2)
    ripple = 1 + 0.05 * (-1.0) ** np.arange(BINS.size)
    for scatter in (0.05, 0.15, 0.5):
        name = named(known, sum(seen(scatter, 1.0)) * ripple)
        assert name.minerals == (0, 1), scatter
        assert name.probability > 0.9


def test_a_trace_does_not_keep_a_mineral_from_being_compared():
    """Kyanite's half a per cent of iron is a tenth of its counts: minerals of iron stood before it."""
    trace = np.exp(-0.5 * ((BINS.energies - 3.7) / 0.1) ** 2)
    trace /= trace.sum()

    def with_trace(share, scatter, first):
        lines, continuum = seen(scatter, first)
        return (1 - share) * lines + share * trace, (1 - share) * continuum

    true = seen(0.5, 1.0)
    others = [with_trace(0.08, 0.5, first) for first in np.linspace(1.15, 1.6, 30)]
    known = expected(true, *others)
    candidates = Candidates(31, [(1,)], np.zeros(31), np.zeros(31, dtype=bool), 30.0, 0.7, True)
    measured = sum(with_trace(0.08, 0.5, 1.0))
    (name,) = name_ends([End(0, 100, 1e5 * measured)], [EndComparison(known)], candidates)
    assert name.best == 0


def test_a_mixture_that_is_the_same_in_all_pixels_is_doubted():
    """Alite of a clinker is, by its lines, calcite with quartz: at 1.00."""
    known = expected(seen(0.15, 4.0), seen(0.15, 0.1))
    candidates = Candidates(2, [(0,)], np.zeros(2), np.ones(2, dtype=bool), 12.0, 0.25)
    mixed = [part * sum(seen(0.15, 4.0)) + (1 - part) * sum(seen(0.15, 0.1)) for part in (0.7, 0.4)]

    def probabilities(variation):
        ends = [End(0, 100, 1e5 * each, variation) for each in mixed]
        names = name_ends(ends, [EndComparison(known)] * 2, candidates, blend=True)
        assert all(len(name.parts) == 2 for name in names)
        return [name.probability for name in names]

    assert min(probabilities(0.01)) > 0.9
    assert max(probabilities(0.0005)) < 0.5


def test_an_even_end_that_a_mixture_explains_far_better_than_its_name_is_of_no_list():
    """Florencite, whose aluminium monazite lacks, was monazite at 0.97."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.01))
    candidates = Candidates(2, [(0,)], np.zeros(2), np.ones(2, dtype=bool), 12.0, 0.25)
    even, uneven = 0.0005, 0.02

    def name_of(other, variation):
        mixed = (1 - other) * sum(seen(0.15, 1.0)) + other * sum(seen(0.15, 0.01))
        end = End(0, 100, 1e5 * mixed, variation)
        return name_ends([end], [EndComparison(known)], candidates, blend=True)[0]

    assert name_of(0.0, even).minerals == (0,)
    stranger = name_of(0.25, even)
    assert (stranger.minerals, stranger.parts) == ((), ())
    rare = replace(candidates, blending=np.array([False, True]))
    assert rare.with_grains([End(0, 9, np.ones(3), even)], [stranger]).blending[0]
    assert len(name_of(0.25, uneven).parts) == 2


def test_each_further_part_of_the_mixture_that_makes_a_name_doubtful_has_to_be_worth_it():
    """A kimberlite's pyrope was unknown: four minerals out of a hundred explained it better by 41."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.01))

    def told(other, step):
        mixed = (1 - other) * sum(seen(0.15, 1.0)) + other * sum(seen(0.15, 0.01))
        ends, judges = [End(0, 100, 1e5 * mixed, 0.0005)], [EndComparison(known)]
        candidates = Candidates(2, [(0,)], np.zeros(2), np.ones(2, dtype=bool), step, 0.25)
        (table,) = compare_ends(ends, judges, candidates, blend=True)
        better = table.scores[table.points == 0].min() - table.blends[0].score / table.scale
        return better, name_ends(ends, judges, candidates, blend=True)[0].minerals

    least = max(40.0, 0.25 * BINS.size)
    other = next(share for share in np.linspace(0.02, 0.4, 200) if told(share, 0.0)[0] > least + 2)
    assert told(other, 0.0)[1] == ()
    assert told(other, 12.0)[1] == (0,)


def test_mixtures_may_hold_what_even_ends_are_be_it_rare():
    """Gibbsite beside kaolinite was topaz where the two meet: gibbsite is no common mineral."""
    candidates = Candidates(3, [(0, 1, 2)], np.zeros(3), np.array([True, False, False]), 12.0, 0.25)
    ends = [End(0, 100, np.ones(3), variation) for variation in (0.0005, 0.02)]
    names = [EndName((place,), 0.9, 1.0, 0, -1, 0.0, place) for place in (1, 2)]
    assert candidates.with_grains(ends, names).blending.tolist() == [True, True, False]
    assert candidates.blending.tolist() == [True, False, False]


def test_what_sets_apart_the_minerals_that_an_end_may_be_teaches_no_sensitivity():
    """Albite that passed for montmorillonite taught that the map shows a fifth too much silicon."""
    lines = [seen(0.15, first)[0] for first in (1.0, 1.3)]
    known = expected(*((each, seen(0.15, 1.0)[1]) for each in lines))
    shape = np.exp(-0.5 * ((BINS.energies - 1.6) / 0.1) ** 2)
    parts = np.array([[each[np.abs(BINS.energies - 1.6) < 0.3].sum()] for each in lines])
    known = replace(known, families=replace(known.families, shapes=shape[None] / shape.sum()), parts=parts)
    mean = known.templates.lines[1] + known.templates.continuum[1]
    told = [
        learn_from(
            known, np.array([0]), mean[None], np.array([1e5]), known_before("Si K"), [np.array(others, int)]
        ).conclude()[0].families[0]
        for others in ([], [1])
    ]  # fmt: skip
    assert told[0] > 3 * abs(told[1])


def test_mixtures_of_what_the_map_has_no_grains_of_are_doubtful():
    """Where grains are: aegirine was quartz with hematite, phlogopite clinochlore with K-feldspar."""
    lines = np.exp(-0.5 * ((BINS.energies[:, None] - [1.6, 2.3, 3.2]) / 0.1) ** 2)
    shown = [lines @ amounts for amounts in ([1, 0.1, 0.1], [0.1, 1, 0.1], [0.1, 0.1, 1], [1, 1, 1])]
    known = expected(*((0.85 * each / each.sum(), np.full(BINS.size, 0.15 / BINS.size)) for each in shown))
    spectra = known.templates.lines + known.templates.continuum
    candidates = Candidates(4, [(0, 1, 2, 3)], np.zeros(4), np.ones(4, dtype=bool), 30.0, 0.4)
    probable = []
    for kinds in ((0, 1, 2), (0, 1, 3)):
        ends = [End(0, 300, 1e5 * spectra[kind]) for kind in kinds]
        ends.append(End(0, 9, 7e4 * spectra[0] + 3e4 * spectra[2]))
        mixed = name_ends(ends, [EndComparison(known)] * 4, candidates, blend=True)[-1]
        assert [members for members, _ in mixed.parts] == [(0,), (2,)]
        probable.append(mixed.probability)
    assert probable[0] > 0.9 > 0.7 > probable[1]


def test_sensitivity_of_a_family_stays_what_a_yield_may_be_wrong_by():
    size = len(KNOTS_KEV) + 2
    rights = np.zeros((1, size))
    rights[0, -1] = -1e4
    told, _ = Lessons(
        known_before("Si K", "K K"),
        np.zeros((1, size, size)),
        rights,
    ).conclude()
    assert told.families[-1] == -0.12


def test_groups_of_a_few_common_minerals_make_a_rock():
    # Quartz of a sulphide ore was unknown and every name doubtful: its sulphides are named in pairs.
    common = np.array([0.0, 8.0, 24.0, 0.0, 0.0])
    candidates = Candidates(5, [], common, common == 0, 12.0, 0.4, False)
    names = [EndName(members, 0.9, 1.0, 0, -1, 0.0) for members in ((0, 1), (2,), (3, 4))]
    assert is_rock(names, candidates)
    assert not is_rock(names[:2], candidates)
    assert not is_rock([EndName((0, 1, 3, 4), 0.9, 1.0, 0, -1, 0.0)], candidates)


def test_a_rare_mineral_shares_a_name_only_where_the_spectrum_prefers_it_clearly():
    """Iron oxides of any rock were metal, too, which explained them better by half a unit."""
    known = expected(*(seen(0.15, first) for first in (1.0, 1.001, 1.2, 0.1, 5.0)))
    rarity = np.array([0.0, 24.0, 24.0, 0.0, 0.0])
    candidates = Candidates(5, [(0,), (3,), (4,)], rarity, rarity == 0, 12.0, 0.4)

    def members(*first):
        ends = [End(place, 100, 1e5 * sum(seen(0.15, each))) for place, each in enumerate((*first, 0.1, 5.0))]
        return name_ends(ends, [EndComparison(known)] * 3, candidates)[0].minerals

    assert members(1.001) == (0,)
    assert 2 in members(1.2)


def test_what_is_surely_in_a_map_tells_of_what_kind_it_is():
    """Copper of a slag was a carbonate: only rarity parts them."""
    rarity = np.array([8.0, 8.0, 8.0, 8.0, 24.0, 0.0, 24.0])
    sets = (frozenset({0, 1, 4}), frozenset({1, 2}), frozenset({3}))
    candidates = Candidates(7, [], rarity, rarity == 0, 12.0, 0.4, sets=sets)
    names = [EndName((each,), 0.9, 1.0, 0, -1, 0.0) for each in (0, 1, 1, 5)]
    told = candidates.in_context(names).rarity
    assert round(told[0], 1) == 8
    assert 8.5 < told[4] < 9.5  # rare elsewhere, at home here
    assert 10 < told[3] < 11
    assert told[2] > 9.5
    assert (told[5:] == rarity[5:]).all()
    more = candidates.in_context([*names, EndName((4,), 0.9, 1.0, 0, -1, 0.0)]).rarity
    assert more[3] > told[3]
    unsure = [replace(name, probability=0.7) for name in names]
    assert candidates.in_context(unsure) is candidates
    assert candidates.in_context(names[3:]) is candidates


def test_names_that_endorse_a_wrong_sensitivity_are_found_out_by_all_ends_together():
    """A slag's fayalite was olivine, its akermanite diopside: soft lines are stronger than expected."""
    shape = np.exp(-0.5 * ((BINS.energies[:, None] - [1.6, 2.2, 6.4]) / 0.1) ** 2)
    amounts = [[1.0, 0, 1], [1.5, 0, 1], [0, 1, 0.5], [0, 1, 0]]
    spectra = [shape @ each / (shape @ each).sum() for each in amounts]
    known = expected(*((0.9 * each, np.full(BINS.size, 0.1 / BINS.size)) for each in spectra))
    before = known_before("Ca K")
    seen_as = soft_sensitivity(before.spreads, 0.4).adjust(known).templates
    ends = [End(0, 300, 1e5 * (seen_as.lines + seen_as.continuum)[kind]) for kind in (0, 2, 0, 2)]
    candidates = Candidates(4, [(0, 1, 2, 3)], np.array([8.0, 0, 0, 0]), np.ones(4, dtype=bool), 30.0, 0.4)
    names, told = name_phases(ends, known, candidates, before)
    assert [name.best for name in names] == [0, 2, 0, 2]
    assert told.knots[2] - told.knots[7] > 0.2


def test_every_guess_of_the_sensitivity_may_say_that_an_end_is_a_mixture():
    """Only the first might: calcite with feldspar was alite to the others, and so half believed."""
    shape = np.exp(-0.5 * ((BINS.energies[:, None] - [6.0, 7.5, 9.0]) / 0.1) ** 2)
    spectra = [shape @ each / (shape @ each).sum() for each in ([1, 0, 0.5], [0, 1, 0.5], [1, 1, 0.3])]
    known = expected(*((0.9 * each, np.full(BINS.size, 0.1 / BINS.size)) for each in spectra))
    whole = known.templates.lines + known.templates.continuum
    ends = [End(0, 100, 1e5 * (part * whole[0] + (1 - part) * whole[1])) for part in (0.7, 0.6, 1.0)]
    candidates = Candidates(3, [(0, 1, 2)], np.array([0, 0, 24.0]), np.array([True, True, False]), 12.0, 0.4)
    before = soft_sensitivity(known_before("Ca K").spreads, 0.1)  # hard lines do not tell which is right
    names, _ = name_phases(ends, known, candidates, before)
    assert [[members for members, _ in name.parts] for name in names] == [[(0,), (1,)], [(0,), (1,)], []]
    assert min(name.probability for name in names) > 0.9


def test_guesses_that_agree_make_a_name_sure_and_others_share_it():
    one, other = EndName((1,), 0.9, 1.0, 0, -1, 0.0, 1), EndName((2,), 0.9, 1.0, 0, -1, 0.0, 2)
    unknown, mixed = (
        EndName((), 1.0, 1.0, -1, -1, 0.0),
        EndName((), 0.8, 1.0, -1, -1, 0.0, -1, (((1,), 1.0),)),
    )
    guesses = [(0.7, (one, one, one, unknown, mixed)), (0.3, (one, other, unknown, one, other))]
    names = agreed_names(guesses, 0.4)
    assert [name.minerals for name in names] == [(1,), (1, 2), (1,), (), ()]
    assert [round(name.probability, 2) for name in names] == [0.9, 0.9, 0.63, 1.0, 0.56]


def test_what_one_guess_cannot_name_is_what_another_explains_far_better():
    unknown, plain = (
        EndName((), 1.0, 1.0, -1, -1, 0.0),
        EndName((1,), 0.9, 1.0, 0, -1, 0.0, 1, unlikely=-20.0),
    )
    (name,) = agreed_names([(0.8, (unknown,)), (0.2, (plain,))], 0.4)
    assert name.minerals == (1,)
    assert 0.8 < name.probability < 0.9
    (name,) = agreed_names([(0.8, (unknown,)), (0.2, (replace(plain, unlikely=-2.0),))], 0.4)
    assert name.minerals == ()


def compared_where_a_line_is_not_known(unsure, *firsts):
    """Minerals of a first line that strong, of which a map shows nobody knows how much."""
    known = expected(*(seen(0.15, first) for first in firsts))
    near = np.abs(BINS.energies - 1.6)
    shape = np.exp(-0.5 * (near / 0.1) ** 2)
    families = replace(known.families, shapes=shape[None] / shape.sum())
    known = replace(known, families=families, parts=known.templates.lines @ (near < 0.3)[:, None])
    covariance = np.diag([1e-4] * len(KNOTS_KEV) + [unsure**2])
    return EndComparison(known, covariance)


def ends_that_show(*firsts, variation=0.0005):
    ripple = 1 + 0.04 * (-1.0) ** np.arange(BINS.size)  # as models differ from measurements
    return [End(0, 300, 1e5 * ripple * sum(seen(0.15, first)), variation) for first in firsts]


def test_ends_of_one_map_are_told_apart_by_each_other_where_a_line_is_not_known_alone():
    """Spodumene of a pegmatite shared its name with albite: how much sodium a tube shows nobody knew."""
    comparison = compared_where_a_line_is_not_known(0.6, 1.0, 0.7, 0.1)
    shown = 0.85, 0.85 * 0.7
    candidates = Candidates(3, [(0, 1, 2)], np.zeros(3), np.ones(3, dtype=bool), 12.0, 0.4)

    def names_of(kinds, variation=0.0005):
        ends = ends_that_show(*(shown[kind] for kind in kinds), variation=variation)
        names = name_ends(ends, [comparison] * len(ends), candidates, veto=True)
        return [name.minerals for name in names]

    assert names_of((0,)) == names_of((1,)) == [(0, 1)]
    assert names_of((0, 1)) == [(0,), (1,)]
    # What varies from pixel to pixel is a mixture, and tells nothing.
    assert names_of((0, 1), 0.02) == [(0, 1), (0, 1)]
    # Two that are alike stay what either may be.
    assert names_of((1, 1)) == [(0, 1), (0, 1)]


def test_an_unlisted_mineral_that_goes_better_with_the_other_ends_is_none_of_the_list():
    """Ankerite among dolomite, which alone was listed, was dolomite at 0.96 where the list was given."""
    comparison = compared_where_a_line_is_not_known(0.15, 1.0, 0.5)
    candidates = Candidates(1, [(0,)], np.zeros(1), np.ones(1, dtype=bool), 30.0, 0.7, True)

    def names_of(*firsts):
        ends = ends_that_show(*firsts)
        return name_ends(ends, [comparison] * len(ends), candidates, veto=True)

    (alone,) = names_of(0.5)
    *others, stranger = names_of(1.0, 1.0, 0.5)
    assert [name.minerals for name in (alone, *others)] == [(0,)] * 3
    assert (stranger.minerals, stranger.resembles) == ((), 1)


def test_names_of_ends_that_are_far_from_most_of_that_name_are_doubted():
    """Monticellite was diopside at 1.00, beside three grains of diopside with half its calcium."""
    comparison = compared_where_a_line_is_not_known(1.0, 1.0, 0.1)
    candidates = Candidates(2, [(0, 1)], np.zeros(2), np.ones(2, dtype=bool), 30.0, 0.7, True)

    def are_believed(*firsts, explained=False):
        *ends, last = ends_that_show(*firsts)
        ends.append(replace(last, explained=explained))
        names = name_ends(ends, [comparison] * len(ends), candidates, veto=True)
        return [name.probability > 0.5 for name in names]

    assert are_believed(2.0) == [True]
    assert are_believed(1.0, 1.0, 2.0) == [True, True, False]
    # What most of the pixels are is not what is odd,
    assert are_believed(1.0, 2.0, 2.0) == [False, True, True]
    # of two kinds as large nobody knows which is odd (serpentine, pale and dark, was unknown),
    assert are_believed(1.0, 2.0) == [True, True]
    # nor what holds a little of other ends: dim quartz beside magnetite.
    assert are_believed(1.0, 1.0, 2.0, explained=True) == [True, True, True]


def test_what_is_like_a_nameless_end_that_is_far_from_a_mineral_is_not_it_either():
    """One end of monticellite was nameless, the other diopside at 0.96: nine deviations from it, not ten."""
    comparison = compared_where_a_line_is_not_known(1.0, 1.0, 0.1)
    candidates = Candidates(2, [(0, 1)], np.zeros(2), np.ones(2, dtype=bool), 30.0, 0.7, True)
    named = EndName((0,), 0.9, 1.0, 0, -1, 0.0, 0)
    nameless = EndName((), 1.0, 1.0, -1, 1, 0.0)

    def are_believed(*firsts, last=nameless):
        ends = ends_that_show(*firsts)
        tables = compare_ends(ends, [comparison] * len(ends), candidates, blend=False)
        names = without_odd_ones((*[named] * (len(ends) - 1), last), ends, tables)
        return [name.probability > 0.5 for name in names]

    assert are_believed(1.0, 1.75, 1.9) == [True, False, True]
    assert are_believed(1.0, 1.75, 1.9, last=named) == [True, True, False]
    assert are_believed(1.0, 1.75, 1.0) == [True, True, True]


def test_what_only_scatter_parts_is_not_told_by_others():
    """Silicon carbide among silica: of their scatter, which is all that parts them, least is known."""
    known = expected(seen(0.3, 1.0), seen(0.1, 1.0), seen(0.15, 0.1))
    kinds = (seen(0.1, 1.0), seen(0.15, 0.1))
    ends = [End(0, 300, 1e5 * sum(kind), 0.0005) for kind in kinds]
    candidates = Candidates(3, [(0, 1, 2)], np.array([0.0, 24.0, 0.0]), np.ones(3, dtype=bool), 12.0, 0.4)
    names = name_ends(ends, [EndComparison(known)] * 2, candidates, veto=True)
    assert names[0].minerals == (0, 1)


def test_what_is_more_usual_and_has_the_same_lines_is_compared_however_far_it_is():
    """Sand was silicon carbide at 0.93: by its scatter quartz was not among the twenty nearest."""
    spectra = [seen(0.45, 1.0), seen(0.1, 1.0), *(seen(0.1, 0.97 - 0.01 * step) for step in range(24))]
    spectra += [seen(0.2, 0.1), seen(0.2, 5.0)]
    known = expected(*spectra)
    rarity = np.full(len(spectra), 24.0)
    rarity[[0, -2, -1]] = 0
    ends = [End(place, 100, 1e5 * sum(spectra[at])) for place, at in enumerate((1, -2, -1))]
    classes = [(1,), (26,), (27,)]
    candidates = Candidates(len(spectra), classes, rarity, rarity == 0, 12.0, 0.4)
    names = name_ends(ends, [EndComparison(known)] * 3, candidates)
    assert names[0].best == 1
    assert 0 in names[0].minerals


def test_what_is_more_usual_and_has_nearly_the_same_lines_is_compared_too():
    """Sand was borosilicate glass at 0.92: with a little sodium it has not quite the lines of quartz."""
    spectra = [seen(0.45, 1.32), seen(0.1, 1.0), *(seen(0.1, 0.97 - 0.01 * step) for step in range(24))]
    known = expected(*spectra)
    assert not have_same_lines([0, 1], known)
    ends = [End(0, 100, 1e5 * sum(spectra[1]))]
    for others, is_compared in ((24.0, True), (0.0, False)):
        rarity = np.full(len(spectra), others)
        rarity[0] = 0
        candidates = Candidates(len(spectra), [(1,)], rarity, rarity == 0, 12.0, 0.4)
        (table,) = compare_ends(ends, [EndComparison(known)], candidates, blend=False)
        assert (0 in table.points) == is_compared


def test_a_glass_whose_pixels_vary_may_be_what_it_crystallises_to():
    """The groundmass of a dacite was rhyolitic glass at 0.98; quartz and feldspars explain as much."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.2), seen(0.15, 5.0))

    def believed(first, variation):
        minerals = select_minerals(load_library(), [first, "quartz", "K-feldspar"])
        one = replace(known, templates=replace(known.templates, minerals=minerals))
        candidates = Candidates(3, [(0,)], np.zeros(3), np.ones(3, dtype=bool), 12.0, 0.4)
        end = End(0, 100, 1e5 * sum(seen(0.15, 1.0)), variation)
        (name,) = name_ends([end], [EndComparison(one)], candidates, blend=True)
        assert name.minerals == (0,)
        return name.probability

    assert believed("rhyolitic glass", 0.001) > 0.8 > 0.7 > believed("rhyolitic glass", 0.006) > 0.5
    assert believed("albite", 0.006) > 0.8


def test_what_shows_no_line_has_the_lines_of_what_shows_none():
    dark = np.zeros(BINS.size)
    resins = [(dark, np.full(BINS.size, 1 / BINS.size)), (dark, np.linspace(0, 2, BINS.size) / BINS.size)]
    known = expected(*resins, seen(0.1, 1.0))
    assert have_same_lines([0, 1], known)
    assert not have_same_lines([0, 2], known)


def test_an_end_that_surely_shows_an_element_is_no_mineral_without_it():
    """Jordanite was galena, and pyromorphite cerussite, at 0.9 and more: arsenic lies under lead."""
    known = expected(seen(0.15, 1.0), seen(0.15, 0.7))
    known = replace(known, parts=np.array([[0.0], [0.01]]))
    candidates = Candidates(2, [(0, 1)], np.zeros(2), np.ones(2, dtype=bool), 30.0, 0.7, True)

    def name_of(first, *shows):
        (end,) = ends_that_show(first)
        end = replace(end, shows=frozenset(shows))
        return name_ends([end], [EndComparison(known)], candidates, veto=True)[0].minerals

    assert name_of(1.0) == (0,)
    assert name_of(0.7) == name_of(0.7, "Ca") == name_of(0.7, "As", "Ca") == (1,)
    assert name_of(1.0, "Ca") == name_of(0.7, "As") == ()
