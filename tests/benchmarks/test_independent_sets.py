"""The sets of benchmarks/independent: other code than the simulator's, the same names, plausible spectra."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_xrf import read
from napari_xrf.io.own.cube_files import read_truth
from napari_xrf.learning.sources.sets import read_set
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals
from napari_xrf.synthesis.layers import synthesize_layers
from napari_xrf.synthesis.line_basis import BASIS_ELEMENTS, line_basis
from napari_xrf.synthesis.mixtures import MIXTURE_ELEMENTS, MixtureParameters, synthesize_mixtures

ROOT = Path(__file__).parents[2]


def module(name):
    pytest.importorskip("fisx")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module(f"benchmarks.independent.{name}")


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.independent.{name}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_sets_import_no_simulator():
    code = (
        "import sys, benchmarks.independent.layers_set, benchmarks.independent.gem_set,"
        " benchmarks.independent.minerals_set, benchmarks.independent.rock_maps;"
        "print([name for name in sys.modules"
        " if name.startswith(('napari_xrf.synthesis', 'napari_xrf.physics'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def layers():
    return module("layers_set").make_set(40, 3)


def test_lines_are_those_of_the_basis():
    independent = module("layers_set")
    assert independent.ELEMENTS == BASIS_ELEMENTS
    assert [f"{element} {name}" for element, name, _ in independent.lines()] == [
        line.label for line in line_basis()
    ]


def test_layers_truth_has_the_names_of_the_recipe(layers):
    recipe = synthesize_layers(2, generator=np.random.default_rng(0)).truth_entries()
    assert set(layers) == set(recipe)
    assert layers["spectra"].shape == (40, 300)
    assert layers["spectra"].max(axis=1) == pytest.approx(1)
    assert not (layers["visible"] & ~layers["present"]).any()
    number = (layers["fractions"] > 0).sum(axis=1)
    assert number.min() >= 3
    assert number.max() <= 12
    assert layers["fractions"].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_layers_show_the_elements_they_hold():
    made = module("layers_set").make_set(300, 5)
    iron = made["fractions"][:, BASIS_ELEMENTS.index("Fe")]
    window = made["spectra"][:, 62:67].sum(axis=1) / made["spectra"].sum(axis=1)
    assert np.corrcoef(iron, window)[0, 1] > 0.5


def test_the_same_seed_gives_the_same_layers(layers):
    again, other = (module("layers_set").make_set(40, seed) for seed in (3, 4))
    assert (again["spectra"] == layers["spectra"]).all()
    assert (other["spectra"] != layers["spectra"]).any()


def test_bins_that_the_package_leaves_empty_are_filled_in_the_described_set():
    independent = module("layers_set")
    empty = independent.make_set(60, 1)["spectra"][:, 58].mean()
    filled = independent.make_set(60, 1, as_described=True)["spectra"][:, 58].mean()
    assert empty < 0.5 * filled


def test_the_published_package_is_asked_for_where_it_is_missing(tmp_path):
    if importlib.util.find_spec("multiel_spectra"):
        pytest.skip("it is installed")
    done = run("layers_set", "--size", 5, "--published", "-o", tmp_path / "set.h5")
    assert done.returncode == 1
    assert "published generator" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def gem():
    independent = module("gem_set")
    return independent.make_set(60, 2, independent.Draws())


def test_gem_truth_has_the_names_of_the_recipe(gem):
    counts, truth = gem
    recipe = synthesize_mixtures(2, load_instrument("gem"), generator=np.random.default_rng(0))
    assert set(truth) == {*recipe.truth_entries(), "elements", "recordings"}
    assert tuple(truth["elements"]) == MIXTURE_ELEMENTS
    assert counts.shape == (60, 300)
    assert ((truth["present"].sum(axis=1) >= 1) & (truth["present"].sum(axis=1) <= 4)).all()


def test_a_fit_that_knows_how_gem_spectra_were_recorded_finds_their_counts(tmp_path):
    path = tmp_path / "gem.h5"
    done = run("gem_set", "--size", 80, "--seed", 2, "-o", path)
    assert done.returncode == 0, done.stderr
    module("gem_set")
    truth = read_truth(path)
    found = importlib.import_module("benchmarks.gem_attainable").attainable_counts(read_set(path), truth)
    net = truth["net_counts"].reshape(80, -1)
    assert (found >= 0).all()
    error = found.sum(axis=1) - net.sum(axis=1)
    assert np.abs(error / np.sqrt(net.sum(axis=1) + 100)).mean() < 3
    assert 1 - ((found - net) ** 2).sum() / ((net - net.mean(axis=0)) ** 2).sum() > 0.95


def test_gem_draws_from_the_ranges_of_the_recipe():
    draws, recipe = module("gem_set").Draws(), MixtureParameters()
    for name in ("elements", "present", "substrates", "substrate_share", "counts", "escape"):
        assert getattr(draws, name) == getattr(recipe, name)
    for name in ("offset_ev", "gain", "width_factor", "tail", "tail_width_ev", "continuum_end_kev"):
        assert getattr(draws, name) == getattr(recipe.distortions, name)
    assert draws.continuum == recipe.distortions.continuum_level


def test_gem_counts_are_those_of_the_truth_where_nothing_else_is_there():
    independent = module("gem_set")
    draws = independent.Draws(
        **independent.UNDISTORTED,
        substrates=("none",),
        counts=(20_000.0, 20_000.0),
        elements=("Fe", "Cu"),
        present=(1, 2),
    )
    counts, truth = independent.make_set(20, 1, draws)
    assert counts.sum(axis=1) == pytest.approx(truth["net_counts"].sum(axis=1), rel=0.04)
    energies = load_instrument("gem").energy.energies
    alone = truth["present"].sum(axis=1) == 1
    expected = np.where(truth["present"][:, 0], 6.4, 8.05)
    # Kβ lifts the mean, escape peaks lower it.
    assert np.abs((counts @ energies / counts.sum(axis=1) - expected)[alone]).max() < 0.5


@pytest.fixture(scope="module")
def minerals():
    independent = module("minerals_set")
    chosen = independent.seen_minerals(["quartz", "calcite", "olivine", "graphite"])
    draws = independent.Draws(counts=(2000.0, 2000.0), mixed_share=0.5)
    return chosen, *independent.make_set(chosen, 60, 4, draws)


def test_minerals_without_a_visible_element_are_left_out(minerals):
    assert [mineral.name for mineral in minerals[0]] == ["quartz", "calcite", "olivine"]
    assert minerals[2]["parameters"]["minerals"] == ["quartz", "calcite", "olivine"]


def test_minerals_truth_has_the_names_of_the_recipe(minerals):
    _, counts, truth = minerals
    assert counts.shape == (60, load_instrument("m4-tornado").energy.size)
    assert truth["abundances"].sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (truth["abundances"].argmax(axis=1) == truth["main_mineral"]).all()
    assert 0.2 < ((truth["abundances"] > 0).sum(axis=1) == 2).mean() < 0.8
    assert set(truth) == {"main_mineral", "abundances", "parameters"}


def test_minerals_show_their_elements(minerals):
    _, counts, truth = minerals
    energies = load_instrument("m4-tornado").energy.energies
    for number, (low, high) in enumerate(((1.6, 1.9), (3.5, 4.2), (6.1, 6.7))):  # Si, Ca, Fe
        share = counts[:, (energies > low) & (energies < high)].sum(axis=1) / counts.sum(axis=1)
        pure = truth["abundances"].max(axis=1) > 0.7
        inside = truth["main_mineral"] == number
        others = (truth["abundances"][:, number] == 0) & pure
        assert share[inside & pure].mean() > 2 * share[others].mean()


@pytest.mark.parametrize(
    ("name", "arguments", "channels"),
    [
        ("layers_set", [], 300),
        ("gem_set", ["--ideal"], 300),
        ("minerals_set", ["--minerals", "quartz,calcite", "--counts", "100:1000", "--ideal"], 4096),
    ],
)
def test_commands_write_files_that_read_opens(tmp_path, name, arguments, channels):
    path = tmp_path / "set.h5"
    done = run(name, "--size", 4, "--seed", 7, *arguments, "-o", path)
    assert done.returncode == 0, done.stderr
    assert read(path).shape == (4, 1, channels)
    assert read_truth(path)["parameters"]["seed"] == "7"


def test_wrong_arguments_are_named(tmp_path):
    unknown = run("minerals_set", "--minerals", "quarz", "-o", tmp_path / "set.h5")
    assert "Did you mean quartz" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert run("gem_set", "--size", 0, "-o", tmp_path / "set.h5").returncode == 2
    assert run("minerals_set", "--counts", "9:3", "-o", tmp_path / "set.h5").returncode == 2


@pytest.fixture(scope="module")
def rock_maps():
    return module("rock_maps")


def small_rock(rock_maps, **changes):
    draws = rock_maps.Draws(2000.0, 24, 6.0, compositions=1, secondary=False, **changes)
    return rock_maps.make_rock("sulphide", 3, draws)


def test_a_rock_is_the_same_for_the_same_seed_and_its_truth_adds_up(rock_maps):
    made, again = small_rock(rock_maps), small_rock(rock_maps)
    counts = np.asarray(made.cube.counts)
    assert (counts == np.asarray(again.cube.counts)).all()
    assert counts.shape == (24, 24, 4096)
    assert counts.sum(axis=2).mean() == pytest.approx(2000, rel=0.01)
    assert made.fractions.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert (made.fractions.max(axis=2)[made.pure] >= rock_maps.PURE).all()
    assert 0.1 < made.pure.mean() < 0.9
    assert sum(made.bulk.values()) == pytest.approx(1)
    assert set(made.strangers) <= set(made.names)
    assert not set(made.strangers) & set(made.listed)


def test_a_wrong_axis_moves_the_peaks_of_a_rock(rock_maps):
    exact, moved = (
        np.asarray(small_rock(rock_maps, gain=gain, offset_ev=offset).cube.counts).sum(axis=(0, 1))
        for gain, offset in ((0.0, 0.0), (0.01, 15.0))
    )
    energies = load_instrument("m4-tornado").energy.energies
    iron = [energies[np.where(abs(energies - 6.45) < 0.15, each, 0).argmax()] for each in (exact, moved)]
    assert iron[1] - iron[0] == pytest.approx(0.064 + 0.015, abs=0.02)


def test_a_surface_that_turns_from_the_detector_loses_its_soft_lines(rock_maps):
    preset = module("presets").read_preset("m4-tornado")
    weights = {"Al": 0.3, "Fe": 0.3, "O": 0.4}
    soft_to_hard = []
    for angles in ((50.0, 50.0), (65.0, 30.0)):
        (photons,) = rock_maps.photons_of(preset, 4.0, [weights], angles, True)
        soft_to_hard.append(photons[210:270].sum() / photons[710:760].sum())  # Al K and Fe K
    assert soft_to_hard[1] < 0.95 * soft_to_hard[0]


@pytest.mark.parametrize("place", range(20))
def test_rocks_list_what_the_library_holds(rock_maps, place):
    phases, absent = rock_maps._phases(rock_maps.rock_names()[place])
    names = [phase.mineral.name for phase in phases if not phase.stranger]
    assert not set(names) & set(absent)
    select_minerals(load_library(), [*names, *absent])
    for phase in phases:
        assert not set(phase.alike) - {*names, *absent}


def test_the_rand_index_is_one_for_the_same_parts_and_none_by_chance():
    index = module("rock_maps") and importlib.import_module("benchmarks.phases_of_rocks").rand_index
    labels = np.repeat([0, 1, 2], 40)
    assert index(labels, (labels + 1) % 3) == pytest.approx(1)
    assert abs(index(labels, np.random.default_rng(1).integers(3, size=120))) < 0.05


def test_mineral_maps_of_rocks_are_scored(rock_maps):
    from napari_xrf.core.label_map import LabelClass, LabelMap

    made = small_rock(rock_maps)
    scored = importlib.import_module("benchmarks.mineral_rocks").score
    main = made.fractions.argmax(axis=2)
    strange = np.array([name in made.strangers for name in made.names])
    classes = [LabelClass(1, "unknown"), *(LabelClass(k + 2, name) for k, name in enumerate(made.names))]
    labels = np.where(strange[main], 1, main + 2).astype(np.uint8)
    perfect = scored(made, LabelMap(labels, tuple(classes)), auto=False)
    assert (perfect.pure, perfect.strict, perfect.all, perfect.lost) == (1, 1, 1, 0)
    assert perfect.calibration == pytest.approx(0)
    assert perfect.modes < 1  # pixels are whole, areas are not
    nothing = scored(made, LabelMap(np.ones_like(labels), tuple(classes)), auto=False)
    assert (nothing.pure, nothing.lost, nothing.unknown) == (0, 1, 1)
