from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_xrf.core import scratch
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import members_of
from napari_xrf.core.progress import ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.prediction.answer_sets import AnswerClasses
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.grains import look_at_grains, named_by_grains, said_of_mixtures
from napari_xrf.learning.prediction.name_check import (
    ELECTRON_GRAIN_WEIGHTS,
    GRAIN_WEIGHTS,
    lines_beneath,
    weighed,
)
from napari_xrf.learning.prediction.network_method import check_method, classify_by, with_checked_names
from napari_xrf.learning.prediction.unlearnt import shared_with_unlearnt
from napari_xrf.learning.prediction.views import label_map_of
from napari_xrf.learning.weights import load_model, models_giving
from napari_xrf.minerals.classification import ClassificationOptions
from napari_xrf.minerals.likelihood.templates import expect_templates
from napari_xrf.minerals.likelihood.traces import Expected, line_families
from napari_xrf.minerals.mixing.mixtures import Mixtures
from napari_xrf.minerals.search import search_minerals
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals

QUARTZ = select_minerals(load_library(), ("quartz",))


def test_methods_that_can_do_what_is_asked():
    check_method("likelihood", QUARTZ, ClassificationOptions(tolerance=0.2))
    for name in models_giving("minerals"):
        check_method(name, None, ClassificationOptions())


@pytest.mark.parametrize(
    ("method", "minerals", "options", "message"),
    [
        ("guess", None, {}, "no method"),
        ("likelihood", (), {}, "no mineral"),
        ("mineral-cnn", None, {"tolerance": 0.2}, "takes no tolerance"),
        ("maxrf-cnn", None, {}, "not minerals"),
    ],
)
def test_methods_that_cannot_are_refused(method, minerals, options, message):
    with pytest.raises(InvalidInput, match=message):
        check_method(method, minerals, ClassificationOptions(**options))


@pytest.mark.parametrize("metal", ["Ti", "Cu"])
def test_a_network_of_few_classes_does_not_take_metals_for_them(metal):
    """Of measured plates, oxides and glasses it was wrong in 11 of 26, mostly with more than 0.9."""
    spectrum, _ = simulate_spectrum(metal, "m4", counts=1e5)
    counts = np.rint(spectrum.counts)[None, None].astype(np.uint32)
    cube = SpectralCube(counts, spectrum.energy, excitation=excitation_of(load_instrument("m4")))
    said = label_map_of(predict(load_model("mineral-cnn"), cube))
    assert said.classes[-1].name != "unknown"
    assert float(said.confidence.min()) > 0.9
    found = classify_by("mineral-cnn", cube)
    assert [entry.name for entry in found.label_map.classes] == ["unknown"]
    assert any("was doubted: one element shows" in note for note in found.notes)


def test_a_network_looks_for_those_listed_minerals_that_it_knows():
    """One name that it lacked made it refuse the whole list."""
    spectrum, _ = simulate_spectrum("SiO2", "m4", counts=1e5)
    counts = np.rint(spectrum.counts)[None, None].astype(np.uint32)
    cube = SpectralCube(counts, spectrum.energy, excitation=excitation_of(load_instrument("m4")))
    listed = select_minerals(load_library(), ("quartz", "halite", "omphacite"))
    found = classify_by("mineral-mlp", cube, listed)
    assert found.minerals == ("quartz", "halite")
    assert any("does not know omphacite" in note for note in found.doubts)
    with pytest.raises(InvalidInput, match="knows none of omphacite"):
        check_method("mineral-mlp", listed[-1:], ClassificationOptions())


def test_weak_lines_beneath_strong_ones_say_nothing_of_a_name():
    """Rb L lies 46 eV below Si K: feldspars with rubidium were unknown where Si K was not quite known."""
    instrument, library = load_instrument("m4"), select_minerals(load_library(), ("K-feldspar",))
    spectrum, _ = simulate_spectrum("KAlSi3O8", instrument, counts=1e5)
    counts = np.rint(spectrum.counts)[None, None].astype(np.uint32)
    known = SpectralCube(counts, spectrum.energy, excitation=excitation_of(instrument))
    search = search_minerals(known, library)
    templates = expect_templates(library, search.measured.instrument, search.bins)
    expected = Expected.of(templates, line_families(search.measured.instrument, search.bins))
    rows = np.arange(len(templates.owner))
    hidden = dict(zip(expected.families.names, lines_beneath(expected, rows), strict=True))
    assert hidden["Rb L"]
    assert not any(hidden[name] for name in ("Si K", "Al K", "K K", "Rb K"))


def test_grains_that_two_classes_may_be_are_answered_by_both():
    """Pyrrhotite's grains were pyrite at 0.92, by the name that was likelier by a little."""
    names = ("quartz", "halite", "pyrite", "sphalerite")
    seen = np.repeat([(0.97, 0, 0, 0, 0.03), (0, 0.97, 0, 0, 0.03), (0, 0, 0.97, 0, 0.03)], 50, axis=0)
    model = load_model("mineral-mlp").description
    chosen = tuple(next(each for each in model.classes if each.name == name) for name in names)
    classes = AnswerClasses.of(replace(model, names=names, classes=chosen), seen, 0.95)
    sets = np.array([(1, 0, 0, 0), (0, 0, 1, 0), (1, 1, 0, 0)], dtype=bool)
    wider, kinds = classes.with_sets(sets)
    assert [wider.description.names[kind] for kind in kinds] == ["quartz", "pyrite", "quartz / halite"]
    np.testing.assert_allclose(wider.of_answers(seen)[:, :4], classes.of_answers(seen)[:, :4])
    assert not wider.of_answers(seen)[:, 4].any()
    # A pixel that may be of the one or of both is of both, unless it is sure.
    found = Mixtures(
        np.array([[0.6, 0, 0, 0, 0.4, 0]] * 2, dtype=np.float32),
        *(np.array(each, dtype=np.float32) for each in ([0, 0], [0.5, 4.0], [1, 1])),
    )
    held = [frozenset(members_of(name)) for name in (*wider.description.names, "unknown")]
    within = np.array([[one < other for other in held] for one in held])
    unsure, sure = said_of_mixtures(found, within, 0.95)
    assert unsure[4] == pytest.approx(1.0)
    assert sure[0] > 0.999


@pytest.mark.parametrize("preset", ["m4", "sem-eds"])
def test_a_network_of_all_minerals_knows_tubes_and_electrons(preset):
    instrument = load_instrument(preset)
    # The last is the glass K309: epidote to the network, but for its barium.
    samples = ("SiO2", "FeS2", "CaCO3", "NaCl", "Ni0.5Cr0.5", "Si0.666Al0.294Ca0.267Fe0.188Ba0.098O2.42")
    spectra = [simulate_spectrum(formula, instrument, counts=3e4)[0] for formula in samples]
    counts = np.random.default_rng(1).poisson([each.counts for each in spectra]).astype(np.uint32)
    cube = SpectralCube(counts[None], spectra[0].energy, excitation=excitation_of(instrument))
    found = classify_by("mineral-mlp", cube).label_map
    # The window asks the network by itself, and gets the same names.
    model = load_model("mineral-mlp")
    alone = predict(model, cube, outputs=("minerals",))
    np.testing.assert_array_equal(label_map_of(with_checked_names(model, alone, cube)).labels, found.labels)
    names = {entry.label: members_of(entry.name) for entry in found.classes}
    said = [names[label] for label in found.labels[0].tolist()]
    for members, name in zip(
        said, ("quartz", "pyrite", "calcite", "halite", "unknown", "unknown"), strict=True
    ):
        assert name in members
    given = classify_by(
        "mineral-mlp", cube, (*QUARTZ, *select_minerals(load_library(), ("halite",)))
    ).label_map
    names = {entry.label: entry.name for entry in given.classes}
    assert [names[label] for label in given.labels[0].tolist()] == [
        "quartz", "unknown", "unknown", "halite", "unknown", "unknown",
    ]  # fmt: skip


def test_what_a_network_says_lies_on_disk_where_memory_is_small(monkeypatch):
    spectra = [
        simulate_spectrum(formula, "m4", counts=1e4)[0] for formula in ("SiO2", "TiO2", "TiO2", "TiO2")
    ]
    counts = np.array([np.rint(each.counts) for each in spectra], dtype=np.uint32)
    files = []
    made = scratch.ScratchFile.__init__

    def noted(self, size):
        files.append(size)
        made(self, size)

    monkeypatch.setattr(scratch.ScratchFile, "__init__", noted)
    wanted = (*QUARTZ, *select_minerals(load_library(), ("rutile",)))
    # The second map holds one element: what looks like its metal is shared out.
    for shown in (counts, counts[1:]):
        cube = SpectralCube(shown[None], spectra[0].energy, excitation=excitation_of(load_instrument("m4")))
        whole = classify_by("mineral-mlp", cube, wanted).label_map
        assert not files
        small = classify_by("mineral-mlp", cube, wanted, memory_budget=1).label_map
        assert len(files) >= 3
        files.clear()
        np.testing.assert_array_equal(small.labels, whole.labels)
        np.testing.assert_array_equal(small.confidence, whole.confidence)


def seen_by(preset, formulas=("SiO2", "FeS2", "CaCO3")):
    """Blocks of three minerals (quartz, pyrite and calcite), seen by a wide beam."""
    instrument = load_instrument(preset)
    spectra = [simulate_spectrum(formula, instrument, counts=1500)[0] for formula in formulas]
    place = np.add.outer(np.arange(24) // 8, np.arange(24) // 8) % 3
    seen = np.stack([gaussian_filter((place == each).astype(float), 0.9) for each in range(3)], axis=2)
    counts = np.random.default_rng(5).poisson(seen @ [each.counts for each in spectra]).astype(np.uint32)
    cube = SpectralCube(counts, spectra[0].energy, excitation=excitation_of(instrument))
    return cube, place, seen.max(axis=2)


@pytest.fixture(scope="module")
def rock():
    return seen_by("m4")


def test_pixels_between_grains_are_mixtures_of_what_lies_in_these(rock):
    cube, place, largest = rock
    names = ("quartz", "pyrite", "calcite")
    listed = select_minerals(load_library(), (*names, "wollastonite", "ankerite", "hedenbergite"))
    found = classify_by("mineral-mlp", cube, listed).label_map
    said = {entry.label: members_of(entry.name) for entry in found.classes}
    right = np.array(
        [[names[one] in said[label] for one, label in zip(*rows, strict=True)]
         for rows in zip(place.tolist(), found.labels.tolist(), strict=True)]
    )  # fmt: skip
    assert right[largest > 0.95].all()
    # Six names make each commoner than all the network knows do; without that calcite was sure by 0.948.
    assert found.confidence[(place == 2) & (largest > 0.95)].mean() > 0.965
    between = (largest > 0.6) & (largest < 0.9)
    assert right[between].mean() > 0.85
    # Where the halves are about equal, nobody knows.
    assert found.confidence[largest < 0.55].mean() < found.confidence[largest > 0.95].mean() - 0.1


@pytest.mark.parametrize(("preset", "weights"), [("m4", GRAIN_WEIGHTS), ("sem-eds", ELECTRON_GRAIN_WEIGHTS)])
def test_grains_are_weighed_as_their_excitation_asks(preset, weights):
    cube, _, _ = seen_by(preset)
    model, search = load_model("mineral-mlp"), search_minerals(cube, load_library())
    said = predict(model, search.measured, outputs=("minerals",), calibrate=False)
    grains = look_at_grains(model, said, label_map_of(said), search, ignore_progress)
    assert grains.weights == weights


@pytest.mark.parametrize("preset", ["m4", "sem-eds"])
def test_grains_of_a_listed_mineral_that_the_network_never_learnt_are_named_by_their_lines(preset):
    """An eclogite's omphacite was unknown, or what looks like it."""
    cube, place, largest = seen_by(preset, ("SiO2", "FeS2", "Ca0.6Na0.4Mg0.6Al0.4Si2O6"))
    listed = select_minerals(load_library(), ("quartz", "pyrite", "omphacite", "calcite"))
    found = classify_by("mineral-mlp", cube, listed)
    names = {entry.label: members_of(entry.name) for entry in found.label_map.classes}
    inside = (place == 2) & (largest > 0.95)
    assert np.mean(["omphacite" in names[label] for label in found.label_map.labels[inside].tolist()]) > 0.9
    assert "omphacite" in found.minerals
    (alone,) = (each for each in found.label_map.classes if "omphacite" in members_of(each.name))
    assert alone.density == pytest.approx(3.34)
    assert any("their lines alone name them" in note for note in found.doubts)


def test_pixels_without_neighbours_of_their_kind_are_named_by_themselves(rock):
    cube, place, _ = rock
    mixed = np.random.default_rng(6).permutation(place.size)
    shuffled = np.asarray(cube.counts).reshape(-1, cube.shape[2])[mixed].reshape(cube.shape)
    model, known = load_model("mineral-mlp"), replace(cube, counts=shuffled)
    search = search_minerals(known, load_library())
    said = predict(model, search.measured, outputs=("minerals",), calibrate=False)
    assert named_by_grains(model, said, search, lambda each: each) is None


def test_lines_speak_for_the_name_that_has_them_and_little_for_a_stranger():
    answers = np.array([[0.6, 0.3, 0.1], [0.9, 0.0, 0.1]], dtype=np.float32)
    told = weighed(answers, np.array([[30.0, 1.0], [30.0, 30.0]]))
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-5)
    assert told[0, 1] > 0.7
    assert told[1, 2] > 0.99  # a name that lines rule out, and no other: it is a stranger


def test_the_lines_tell_what_a_network_takes_for_its_neighbour():
    """Skarn's diopside was hedenbergite at 0.99: the network prefers it, and its lines fit less well."""
    answers = np.array([[0.95, 0.045, 0.005]], dtype=np.float32)
    (told,) = weighed(answers, np.array([[6.7, 2.9]]))
    assert told.argmax() == 1
    assert told.max() < 0.7
    (as_well,) = weighed(answers, np.array([[1.0, 1.0]]))
    assert as_well[0] > 0.9


def test_misfits_of_lines_say_less_under_electrons():
    """The same misfit of lines says less there, since what is expected of them is nearer to the truth."""
    answers, squares = np.array([[0.9, 0.02, 0.08]], dtype=np.float32), np.array([[9.0, 9.0]])
    tube, electrons = (weighed(answers, squares, each)[0] for each in (GRAIN_WEIGHTS, ELECTRON_GRAIN_WEIGHTS))
    assert tube.argmax() == 2
    assert electrons[0] > 0.2
    assert electrons[1] < 0.1 * electrons[0]


def test_what_nobody_asked_for_may_be_what_a_network_never_learnt():
    """It says of akermanite that it is the nearest that it knows, and hardly ever that it is a stranger."""
    asked = np.array([True, False])
    said = np.array([[0.6, 0.3, 0.0, 0.1], [1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    shared = shared_with_unlearnt(said, asked)
    np.testing.assert_allclose(shared, [[0.6, 0.15, 0.2, 0.05], [1.0, 0.0, 0.0, 0.0]], rtol=1e-5)
