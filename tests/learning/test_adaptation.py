import copy
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.adaptation.adaptation import AdaptationOptions, adapt
from napari_xrf.learning.adaptation.figures import (
    FigureChange,
    compare,
    find_gain,
    map_likelihood,
    partners,
    run,
    scores,
)
from napari_xrf.learning.adaptation.recordings import (
    record_otherwise,
    recording_shares,
    sample_map,
    stretch,
    thin,
)
from napari_xrf.learning.alignment import (
    DomainClassifier,
    coral,
    disagreement,
    frechet_distance,
    mean_entropy,
    reverse_gradient,
)
from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.sources.source import LabelledSpectra, SourceSpec
from napari_xrf.learning.training import train
from napari_xrf.learning.training_recipes import TrainingOptions, TrainingRecipe
from napari_xrf.learning.weights import load_model
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortions import Distortions, draw_values
from pure_spectra import AXIS, MATERIALS, pure_spectra

RNG = np.random.default_rng
QUICK = AdaptationOptions(steps=10, batch_size=32, pool=256, held_out=200, pixels=300)
SHARE = {"Si": (1, 0, 0), "Ca": (0, 1, 0), "S": (0, 0, 0.4), "Fe": (0, 0, 0.6)}


def spectra_of(kind, doses, generator, distortions=None):
    """Poisson spectra (N, E) of the three materials."""
    pure = pure_spectra()
    shapes = pure.spectra / pure.spectra.sum(axis=1, keepdims=True)
    expected = shapes[kind] * np.asarray(doses)[:, None]
    if distortions is not None:
        expected = distort(expected, AXIS, draw_values(distortions, len(kind), generator), pure.fwhm)
    return generator.poisson(expected).astype(np.uint16)


@dataclass(frozen=True)
class Materials:
    """Spectra of three materials; as a source of minerals or of elements."""

    task: str = "minerals"
    axis: EnergyAxis = AXIS
    counts_range: tuple[float, float] = (100.0, 1000.0)

    @property
    def names(self):
        return tuple(SHARE) if self.task == "elements" else tuple(each.name for each in MATERIALS)

    @property
    def classes(self):
        named = enumerate(self.names, start=2)
        return tuple(LabelClass(number, name) for number, name in named) if self.task == "minerals" else ()

    def draw(self, size, generator):
        kind = generator.integers(3, size=size)
        counts = spectra_of(kind, np.exp(generator.uniform(*np.log(self.counts_range), size)), generator)
        share = np.array(list(SHARE.values()), dtype=np.float32).T[kind] * 0.8
        elements = {"presence": (share > 0).astype(np.float32), "share": share}
        targets = elements if self.task == "elements" else {"label": kind.astype(np.int64)}
        return LabelledSpectra(counts.astype(np.float32), targets)


def recipe(task):
    networks = {
        "minerals": ("mineral-cnn", {"widths": [4, 8], "hidden": 16, "squeeze": 4}),
        "elements": ("maxrf-cnn", {"width": 4}),
    }
    architecture, network = networks[task]
    options = TrainingOptions(
        epochs=2, steps_per_epoch=25, batch_size=64, learning_rate=5e-3, validation_size=200, average=0.9
    )
    return TrainingRecipe("materials", architecture, SourceSpec("none"), network=network, options=options)


@pytest.fixture(scope="module")
def model():
    return train(recipe("minerals"), source=Materials())


@pytest.fixture(scope="module")
def rock():
    """A map of two of the materials, recorded at another gain, and its truth."""
    truth = np.repeat([0, 2], 200).reshape(20, 20)
    wrong = Distortions(gain=(0.03, 0.03), width_factor=(1.5, 1.5))
    counts = spectra_of(truth.ravel(), np.full(400, 400.0), RNG(3), wrong)
    return SpectralCube(counts.reshape(20, 20, -1), AXIS, "rock"), truth


def accuracy(model, cube, truth):
    made = predict(model, cube)
    known = made.probability.max(axis=2) > made.unknown
    return ((made.probability.argmax(axis=2) == truth) & known).mean()


# The whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["coral", "adversarial"])
def test_adaptation_helps_the_map_and_keeps_what_was_known(model, rock, method):
    cube, truth = rock
    steps = []
    state = {name: value.clone() for name, value in model.network.state_dict().items()}
    options = replace(QUICK, steps=60, method=method, statistics="map")
    result = adapt(model, cube, source=Materials(), options=options, on_step=steps.append)
    assert result.kept
    assert [each.number for each in steps] == list(range(1, 61))
    # Which of a few doubtful pixels turn is a matter of rounding, other with other threads.
    assert accuracy(result.model, cube, truth) >= accuracy(model, cube, truth) - 0.01
    assert result.figures["accuracy"].after >= 0.98
    if method == "coral":
        assert result.after.distance < result.before.distance
    assert result.pixels == 300
    # The original is left as it was.
    assert all((value == state[name]).all() for name, value in model.network.state_dict().items())


def test_the_same_seed_gives_the_same_model(model, rock):
    first, same, other = (
        adapt(model, rock[0], source=Materials(), options=QUICK, seed=seed) for seed in (1, 1, 2)
    )
    weights = [each.model.network.state_dict() for each in (first, same, other)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert any((weights[0][name] != weights[2][name]).any() for name in weights[0])
    assert first.as_json() == same.as_json()


def test_what_harms_is_not_kept(model, rock, tmp_path):
    harmful = replace(QUICK, steps=20, learning_rate=0.1, entropy=10.0, tolerance=0.0)
    result = adapt(model, rock[0], tmp_path, source=Materials(), options=harmful)
    assert not result.kept
    assert result.figures["accuracy"].after < result.figures["accuracy"].before
    assert "the original weights are kept" in result.notes[0]
    kept = load_model(tmp_path / "model.safetensors").network.state_dict()
    assert all((kept[name] == value).all() for name, value in model.network.state_dict().items())
    assert json.loads((tmp_path / "adaptation.json").read_text())["kept"] is False


def test_names_that_lump_a_map_together_explain_it_worse(model):
    spectra = spectra_of(np.arange(200) // 2 % 3, np.full(200, 400.0), RNG(5)).astype(np.float32)
    lumping = replace(model, network=copy.deepcopy(model.network))
    for parameter in lumping.network.parameters():
        parameter.data.zero_()
    apart, together = (
        map_likelihood(each, spectra, torch.device("cpu"))["likelihood"] for each in (model, lumping)
    )
    assert apart.shape == (200,)
    assert compare({"likelihood": apart}, {"likelihood": together})["likelihood"].is_worse(2.0)
    cut = replace(model, description=replace(model.description, task="spectra", outputs=("code",)))
    assert map_likelihood(cut, spectra, torch.device("cpu")) == {}


def test_an_adapted_model_tells_its_story(model, rock, tmp_path):
    gentle = replace(QUICK, learning_rate=1e-7, tolerance=10.0)
    result = adapt(model, rock[0], tmp_path, source=Materials(), options=gentle)
    assert result.kept
    described = load_model(tmp_path / "model.safetensors").description
    assert described.training["adaptation"]["map"]["before"]["distance"] == result.before.distance
    assert described.names == model.description.names


def test_elements_are_adapted_too(rock):
    source = Materials("elements")
    trained = train(recipe("elements"), source=source)
    result = adapt(trained, rock[0], source=source, options=replace(QUICK, tolerance=10.0))
    assert set(result.figures) == {"f1", "share_error"}
    assert 0 <= result.before.entropy <= 1


def test_cancelling_leaves_nothing_behind(model, rock, tmp_path):
    def stop(done, total, what):
        if what == "adapting" and done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        adapt(model, rock[0], tmp_path / "new", source=Materials(), options=QUICK, progress=stop)
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_adapted_is_named(model, rock):
    cube = rock[0]
    with pytest.raises(InvalidInput, match="no source 'none'"):
        adapt(model, cube, options=QUICK)
    with pytest.raises(InvalidInput, match="does not say what it was trained on"):
        adapt(model.with_description(replace(model.description, training={})), cube, options=QUICK)
    with pytest.raises(InvalidInput, match="not those of materials"):
        adapt(model, cube, source=Materials("elements"), options=QUICK)
    features = replace(model.description, task="spectra", names=(), classes=())
    with pytest.raises(InvalidInput, match="decides nothing"):
        adapt(model.with_description(features), cube, options=QUICK)
    with pytest.raises(InvalidInput, match=r"0 of the 400 pixels have 50 counts"):
        adapt(model, replace(cube, counts=np.zeros_like(cube.counts)), source=Materials(), options=QUICK)
    with pytest.raises(InvalidInput, match="no method 'magic'"):
        AdaptationOptions(method="magic")


# The map's spectra ----------------------------------------------------------------------------------------


def test_a_map_is_sampled_on_the_model_s_axis(model, rock):
    cube, _ = rock
    coarse = replace(model.description, axis=EnergyAxis(0.0, 0.1, 100))
    spectra = sample_map(cube, coarse, most=120, seed=0)
    assert spectra.shape == (120, 100)
    assert (spectra == sample_map(cube, coarse, most=120, seed=0)).all()
    assert (spectra != sample_map(cube, coarse, most=120, seed=1)).any()
    everything = sample_map(cube, model.description, most=1000, seed=0)
    totals = cube.counts.reshape(400, -1).sum(axis=1)
    assert np.sort(everything.sum(axis=1)) == pytest.approx(np.sort(totals))


def test_dark_pixels_are_no_part_of_a_sample(model, rock):
    cube, _ = rock
    counts = cube.counts.copy()
    counts[5:] = 0
    assert len(sample_map(replace(cube, counts=counts), model.description, most=50, seed=0)) == 50


# Other recordings -----------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.05, 0.05), st.floats(-0.1, 0.1), st.floats(0, 0.4), st.integers(0, 1000))
def test_another_recording_moves_and_widens_a_peak(gain, offset, noise, seed):
    lowest, shares = recording_shares(AXIS, offset, gain, noise)
    assert shares.sum(axis=1) == pytest.approx(np.ones(AXIS.size))
    channel = 100 + seed % 800
    targets = AXIS.energy(lowest[channel] + np.arange(shares.shape[1]))
    mean = targets @ shares[channel]
    assert mean == pytest.approx(AXIS.energy(channel) * (1 + gain) + offset, abs=0.002)
    added = (targets - mean) ** 2 @ shares[channel] - (noise / FWHM_PER_SIGMA) ** 2
    # Borders of channels add nothing where they fit, and most where counts are halved between two.
    assert -0.02 * noise**2 <= added <= 0.3 * AXIS.width**2


def test_recorded_counts_stay_whole_and_poisson():
    counts = RNG(1).poisson(5, size=(3000, 64)).astype(np.float32)
    axis = EnergyAxis(0.0, 0.02, 64)
    moved = record_otherwise(counts, axis, AdaptationOptions(offset_ev=0, gain=0, broadening_ev=100), RNG(2))
    assert (moved == np.rint(moved)).all()
    inside = moved[:, 16:48]
    assert inside.mean() == pytest.approx(5, abs=0.1)
    assert inside.var(axis=0).mean() == pytest.approx(5, abs=0.2)
    assert abs(np.corrcoef(inside[:, 10], inside[:, 11])[0, 1]) < 0.06


def test_spectra_of_another_scale_are_spread_as_expectations():
    spectra = np.zeros((4, 200), dtype=np.float32)
    spectra[:, 100] = 0.5
    moved = record_otherwise(
        spectra, EnergyAxis(0.0, 0.02, 200), AdaptationOptions(broadening_ev=120), RNG(3)
    )
    assert moved.sum(axis=1) == pytest.approx(np.full(4, 0.5))
    assert moved.max() < 0.5


def test_thinning_reaches_the_dose_and_adds_nothing():
    counts = RNG(4).poisson(20, size=(200, 50)).astype(np.float32)
    thinned = thin(counts, np.full(200, 300.0), RNG(5))
    assert thinned.sum(axis=1).mean() == pytest.approx(300, rel=0.03)
    assert (thinned <= counts).all()
    assert (thin(counts, np.full(200, 1e9), RNG(5)) == counts).all()


# Distances and losses -------------------------------------------------------------------------------------


def features(size, shift=0.0, scale=1.0, seed=0, width=6):
    return torch.from_numpy(RNG(seed).normal(shift, scale, size=(size, width)))


def test_distances_are_nothing_between_equals_and_grow_with_the_shift():
    one = features(4000)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert float(coral(one, one)) == pytest.approx(0, abs=1e-9)
    # For Gaussians of equal spread it is the squared shift over the variance.
    assert frechet_distance(one, features(4000, 2.0, seed=1)) == pytest.approx(4, rel=0.1)
    assert frechet_distance(one, features(4000, 0.0, 3.0, seed=1)) == pytest.approx(4, rel=0.1)
    assert float(coral(one, features(4000, 1.0, seed=1))) > 0.9


def test_the_distance_of_moments_does_not_depend_on_a_feature_s_scale():
    one, other = features(500), features(500, 0.5, 1.5, seed=1)
    scale = torch.tensor([1e-2, 1, 10, 1e2, 1, 1])
    assert float(coral(one * scale, other * scale)) == pytest.approx(float(coral(one, other)), rel=1e-2)


def test_the_gradient_is_reversed():
    value = torch.ones(3, requires_grad=True)
    (reverse_gradient(value, 0.5) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert value.grad.tolist() == [-0.5, -1.0, -1.5]


def test_a_classifier_of_origin_pushes_features_together():
    torch.manual_seed(0)
    judge, fixed = DomainClassifier(4), features(400, width=4).float()
    shift = torch.nn.Parameter(torch.tensor([2.0, 0.0, 0.0, 0.0]))
    groups = [{"params": judge.parameters(), "lr": 1e-2}, {"params": [shift], "lr": 2e-2}]
    optimizer = torch.optim.Adam(groups)
    for _ in range(150):
        optimizer.zero_grad()
        judge.loss(fixed, fixed + shift, 1.0).backward()
        optimizer.step()
    assert float(shift.detach().norm()) < 1.2


def test_entropy_and_disagreement():
    unsure, sure = {"minerals": torch.zeros(5, 4)}, {"minerals": 50 * torch.eye(4)[:, :4]}
    assert float(mean_entropy(unsure)) == pytest.approx(1)
    assert float(mean_entropy(sure)) == pytest.approx(0, abs=1e-6)
    assert float(mean_entropy({"presence": torch.zeros(5, 3)})) == pytest.approx(1)
    for name in ("minerals", "presence"):
        one, other = {name: torch.randn(6, 4)}, {name: torch.randn(6, 4)}
        assert float(disagreement(one, one)) == pytest.approx(0, abs=1e-6)
        assert float(disagreement(one, other)) > 0


def test_partners_hold_what_the_map_holds():
    labels = torch.eye(4)[RNG(0).integers(4, size=400)]
    predicted = torch.eye(4)[[0, 2, 2, 3]] * 0.9 + 0.02
    chosen = partners(predicted, labels, RNG(1))
    assert labels[chosen].argmax(dim=1).tolist() == [0, 2, 2, 3]
    drawn = {int(partners(predicted, labels, RNG(seed))[0]) for seed in range(20)}
    assert len(drawn) > 5


def test_scores_of_each_task():
    minerals = ModelDescription("m", "mineral-cnn", "minerals", ("a", "b"), AXIS, ("minerals",))
    logits = torch.tensor([[3.0, 0, 0], [0, 0, 3.0], [0, 3.0, 0]])
    found = scores(minerals, {"minerals": logits}, {"label": np.array([0, 2, 0])})
    assert found["accuracy"].tolist() == [1, 1, 0]
    calibration = ProbabilityCalibration(1.0, (0.5, 0.9))
    elements = ModelDescription("e", "vit", "elements", ("a", "b"), AXIS, (), calibration=calibration)
    outputs = {
        "presence": torch.tensor([[5.0, 1.0], [-5.0, -5.0]]),
        "intensity": torch.tensor([[0.5, 0], [0, 0]]),
    }
    truth = {"presence": np.array([[1, 1], [0, 0]]), "share": np.array([[0.4, 0.1], [0, 0]])}
    found = scores(elements, outputs, truth)
    assert found["f1"] == pytest.approx([2 / 3, 1])
    assert found["share_error"] == pytest.approx([-0.2, 0])


def test_a_figure_is_worse_beyond_its_error_only():
    change = compare({"accuracy": np.array([1.0, 1, 0, 1])}, {"accuracy": np.array([1.0, 0, 1, 1])})[
        "accuracy"
    ]
    assert change.before == change.after == 0.75
    assert not change.is_worse(0.0)
    assert FigureChange(0.9, 0.89, 0.02).is_worse(0.4)
    assert not FigureChange(0.9, 0.89, 0.02).is_worse(1.0)


# The gain of the map --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.03, -0.02, 0.0])
def test_the_gain_of_a_map_is_found(model, gain):
    kind = np.repeat([0, 2, 1, 0], 50)
    counts = spectra_of(kind, np.full(200, 800.0), RNG(4), Distortions(gain=(gain, gain)))
    found = find_gain(model, counts.astype(np.float32), torch.device("cpu"), reach=0.05)
    back = stretch(counts, AXIS, 1 / (1 + found) - 1, RNG(5)) if found else counts
    ideal = spectra_of(kind, np.full(200, 800.0), RNG(4))

    def right(spectra):
        return (run(model, spectra, torch.device("cpu"))["minerals"].argmax(dim=1).numpy() == kind).mean()

    assert right(np.asarray(back, dtype=np.float32)) >= right(ideal.astype(np.float32)) - 0.02
    if not gain:
        assert found == 0


def test_stretching_back_restores_the_energies():
    counts = np.zeros((50, AXIS.size), dtype=np.uint16)
    counts[:, AXIS.size // 2] = 1000
    there = stretch(counts, AXIS, 0.03, RNG(7))
    back = stretch(there, AXIS, 1 / 1.03 - 1, RNG(8))
    mean, moved, restored = (each.sum(axis=0) @ AXIS.energies / each.sum() for each in (counts, there, back))
    assert moved / mean == pytest.approx(1.03, abs=0.003)
    assert restored == pytest.approx(mean, rel=0.002)
    assert (back == np.rint(back)).all()


def test_a_found_gain_is_told(model, rock, tmp_path):
    result = adapt(model, rock[0], tmp_path, source=Materials(), options=QUICK)
    assert json.loads((tmp_path / "adaptation.json").read_text())["gain"] == pytest.approx(result.gain)
    assert any("% off" in note for note in result.notes) == bool(result.gain)
    without = adapt(model, rock[0], source=Materials(), options=replace(QUICK, search_gain=0.0))
    assert without.gain == 0
    assert not any("% off" in note for note in without.notes)
