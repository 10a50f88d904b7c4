from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.minerals import load_library, select_minerals
from napari_xrf.synthesis.map_twin import make_twin
from striped_rocks import FORMULAS, striped_map

LISTED = select_minerals(load_library(), FORMULAS)


@pytest.fixture(scope="module")
def rock():
    return striped_map()


def twin_of(rock, seed=1, **options):
    known, labels = rock
    return make_twin(known, labels, load_library(), generator=np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def twin(rock):
    return twin_of(rock, listed=LISTED)


def test_a_twin_has_the_minerals_counts_and_instrument_of_its_map(rock, twin):
    known, _ = rock
    assert twin.cube.shape == known.cube.shape
    assert twin.cube.excitation == known.cube.excitation
    energies = known.energy.positive
    ratio = (
        np.asarray(twin.cube.counts)[..., energies].sum() / np.asarray(known.cube.counts)[..., energies].sum()
    )
    assert ratio == pytest.approx(1, abs=0.05)
    share = dict(zip(twin.names, twin.fractions.mean(axis=(0, 1)), strict=True))
    for name, part in zip(FORMULAS, (1 / 2, 1 / 3, 1 / 6), strict=True):
        assert share[name] == pytest.approx(part, abs=0.08)
    assert 0.2 < twin.pure.mean() < 0.95  # boundaries are mixtures


def test_its_strangers_are_listed_nowhere(rock, twin):
    assert twin.strangers
    assert not twin.strangers & set(FORMULAS)
    strange = np.array([name in twin.strangers for name in twin.names])
    assert 0.01 < twin.fractions[..., strange].sum(axis=2).mean() < 0.12
    # Where nobody lists any, they are none of the library.
    names = {mineral.name for mineral in load_library()}
    assert not twin_of(rock).strangers & names


def test_the_same_generator_makes_the_same_twin(rock, twin):
    again, other = twin_of(rock, listed=LISTED), twin_of(rock, 2, listed=LISTED)
    np.testing.assert_array_equal(again.cube.counts, twin.cube.counts)
    assert not np.array_equal(other.cube.counts, twin.cube.counts)
    assert other.cube.energy != twin.cube.energy  # what a file states is wrong by other parts of a channel


def test_a_class_of_several_names_is_one_of_them_in_each_grain(rock):
    known, labels = rock
    classes = tuple(
        replace(entry, name="calcite / aragonite / dolomite") if entry.name == "calcite" else entry
        for entry in labels.classes
    )
    made = [twin_of((known, replace(labels, classes=classes)), seed, listed=LISTED) for seed in range(2)]
    drawn = {name for twin in made for name in twin.names}
    assert len(drawn & {"calcite", "aragonite", "dolomite"}) > 1


def test_a_twin_departs_from_the_model_as_its_map_does():
    def soft_lost(energies):
        return np.where(energies < 2.6, 0.25, 1.0)

    plain, dim = striped_map(), striped_map(curve=soft_lost)
    soft = []
    for rock in (plain, dim):
        cube = twin_of(rock, listed=LISTED).cube
        counts, energies = np.asarray(cube.counts).sum(axis=(0, 1)), cube.energy.energies
        soft.append(counts[(energies > 1.6) & (energies < 1.9)].sum() / counts[energies > 3.5].sum())
    assert soft[1] < 0.5 * soft[0]


def test_what_has_no_twin(rock):
    known, labels = rock
    few = replace(labels, labels=np.where(np.arange(24) < 4, labels.labels, 0).astype(np.uint8))
    with pytest.raises(InvalidInput, match="too small"):
        twin_of((known, few))
    nameless = replace(
        labels, classes=tuple(replace(each, name=f"region {each.label}") for each in labels.classes)
    )
    with pytest.raises(InvalidInput, match="no class"):
        twin_of((known, nameless))
