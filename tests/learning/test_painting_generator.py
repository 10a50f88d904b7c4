import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.cli import main
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.reference.tables import select
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.color_similarity import color_similarity
from napari_xrf.synthesis.painting import PaintingParameters, synthesize_painting
from napari_xrf.synthesis.pigments import PigmentSpectra, expect_pigments, paint_layer, rgb
from pure_spectra import AXIS, peaks

torch = pytest.importorskip("torch")

from napari_xrf.learning.painting.colors import linear_from_srgb, mixed_lab  # noqa: E402
from napari_xrf.learning.painting.generator import (  # noqa: E402
    PaintingGenerator,
    band_shares,
    color_distance,
    drop_traces,
    load_painting_generator,
    save_painting_generator,
    shipped_weights,
)
from napari_xrf.learning.painting.network import (  # noqa: E402
    Options,
    PaintingNetwork,
    match_color,
)
from napari_xrf.learning.painting.paints import (  # noqa: E402
    absorption_over_scattering,
    draw_paints,
    expect_paints,
    hold_out_pairs,
    mix_colors,
    mixed_layer,
    srgb,
)
from napari_xrf.learning.painting.training import (  # noqa: E402
    PaintingTraining,
    light_instrument,
    painting_options,
    train_painting_generator,
)

RNG = np.random.default_rng
NAMES = (
    "lead white",
    "vermilion",
    "azurite",
    "lead-tin yellow I",
    "malachite",
    "umber",
    "carbon black",
    "gold leaf",
)
SMALL = Options(width=8, layers=1, heads=2, noise=3, bands=24, emission_width=8)
QUICK = PaintingTraining(
    paints=12, supports=(("m4-tornado", "chalk", "wood"),), recipes=60, batch_size=8, emission_steps=3,
    recipe_steps=6, warm_up=0.5, held_out=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return select(load_pigments(), NAMES, "pigment")


@pytest.fixture(scope="module")
def light():
    return light_instrument(load_instrument("m4-tornado"))


@pytest.fixture(scope="module")
def palette(table, light):
    return expect_pigments(table, light)


@pytest.fixture(scope="module")
def shipped():
    return load_painting_generator()


def untrained(seed=0):
    torch.manual_seed(seed)
    return PaintingGenerator(PaintingNetwork(SMALL).eval())


# Paints


shares = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda each: sum(each) > 0.01)
four = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(shares, four)
def test_a_mixture_is_neither_lighter_nor_darker_than_its_pigments(parts, colors):
    masses = np.array(parts) / sum(parts)
    mixed = linear_from_srgb(mix_colors(masses[None], colors) / 255)[0]
    used = np.clip(linear_from_srgb(np.array(colors) / 255), 0.01, 0.98)[masses > 0]
    assert (mixed >= used.min(axis=0) - 1e-9).all()
    assert (mixed <= used.max(axis=0) + 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(0, 255)] * 3))
def test_srgb_goes_there_and_back(color):
    assert srgb(linear_from_srgb(np.array(color) / 255)) == pytest.approx(np.array(color), abs=1e-6)


def test_a_little_black_darkens_white_more_than_a_little_white_lightens_black():
    colors = np.array([(245, 245, 240), (30, 30, 30)], dtype=float)
    gray = mix_colors([[0.95, 0.05], [0.05, 0.95]], colors)
    assert colors[0, 0] - gray[0, 0] > 3 * (gray[1, 0] - colors[1, 0])


def test_paints_hold_one_to_three_pigments_and_leaf_stays_alone(table):
    absorption = absorption_over_scattering([rgb(each.color) for each in table])
    leaf = np.array([each.pigment_volume == 1 for each in table])
    masses = draw_paints(500, absorption, RNG(1), alone=leaf)
    numbers = (masses > 0).sum(axis=1)
    assert set(numbers) == {1, 2, 3}
    assert masses.sum(axis=1) == pytest.approx(1)
    assert numbers[masses[:, leaf].any(axis=1)].tolist() == [1] * int(masses[:, leaf].astype(bool).sum())
    assert masses[:, leaf].any()
    np.testing.assert_array_equal(masses, draw_paints(500, absorption, RNG(1), alone=leaf))


def test_held_out_pairs_meet_in_test_paints_only():
    absorption = absorption_over_scattering(RNG(0).uniform(0, 255, (10, 3)))
    kept = hold_out_pairs(10, 0.2, RNG(3))
    assert (kept == kept.T).all()
    assert not kept.diagonal().any()

    def meets(masses):
        used = (masses > 0).astype(int)
        return ((used @ kept) * used).any(axis=1)

    assert not meets(draw_paints(200, absorption, RNG(1), held_out=kept, pairs="seen")).any()
    assert meets(draw_paints(200, absorption, RNG(1), held_out=kept, pairs="held-out")).all()
    with pytest.raises(InvalidInput, match="held out"):
        draw_paints(1, absorption, RNG(1), pairs="held-out")
    every, leaf = ~np.eye(10, dtype=bool), np.arange(10) > 0
    assert ((draw_paints(50, absorption, RNG(1), held_out=every, pairs="seen") > 0).sum(axis=1) == 1).all()
    with pytest.raises(InvalidInput, match="cannot be mixed"):
        draw_paints(1, absorption, RNG(1), alone=leaf, held_out=every, pairs="held-out")


def test_a_mixed_layer_of_one_pigment_is_that_pigments_layer(table):
    assert mixed_layer(table, [0, 1, 0, 0, 0, 0, 0, 0]) == paint_layer(table[1])
    layer = mixed_layer(table[:2], [0.5, 0.5])
    assert layer.thickness_um == pytest.approx(32, abs=2)  # between 40 and 25 µm, by volume
    ratio = layer.material.mass_fractions["Pb"] / layer.material.mass_fractions["Hg"]
    assert ratio == pytest.approx(0.801 / 0.862, rel=0.01)  # Pb in lead white over Hg in vermilion, by weight
    with pytest.raises(InvalidInput, match="do not mix"):
        mixed_layer(table, [1.0])


def test_a_spectrum_between_two_pigments_shows_both(table, light):
    masses = np.array(
        [[1, 0, 0, 0, 0, 0, 0, 0], [0.5, 0, 0.5, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]], dtype=float
    )
    spectra = expect_paints(table, masses, light)
    copper = spectra[:, light.energy.window(7.9, 8.2)].sum(axis=1) / spectra.sum(axis=1)
    lead = spectra[:, light.energy.window(10.4, 10.7)].sum(axis=1) / spectra.sum(axis=1)
    assert copper[0] < copper[1] < copper[2]
    assert lead[0] > lead[1] > lead[2]


# Network and generator


def test_other_noises_are_tried_where_one_makes_no_paint_of_the_colour(shipped, palette):
    colors = mix_colors(draw_paints(40, absorption_over_scattering(palette.colors), RNG(5)), palette.colors)
    single = shipped.mix(colors, palette, shipped.draw_noise(RNG(6), len(palette.names)))
    first = color_distance(single.masses, palette, colors)
    weights = shipped(colors, palette, RNG(6))
    assert weights.sum(axis=1) == pytest.approx(1)
    # What was good stays; of the others some change.
    changed = np.abs(weights - single.weights).max(axis=1) > 1e-6
    assert not changed[first < 2.9].any()
    assert (first > 3).sum() == 0 or changed[first > 3].mean() > 0.2
    assert first.max() > 3, "the test asks for hard colours"
    np.testing.assert_array_equal(weights, shipped(colors, palette, RNG(6)))


def test_colour_in_torch_is_that_of_skimage_and_of_the_paints(palette):
    from skimage.color import rgb2lab

    masses = RNG(0).dirichlet(np.ones(len(NAMES)), 20)
    expected = rgb2lab(mix_colors(masses, palette.colors) / 255)
    colors = torch.from_numpy(palette.colors / 255).expand(20, -1, -1)
    assert mixed_lab(torch.from_numpy(masses), colors).numpy() == pytest.approx(expected, abs=0.05)


def test_shares_are_matched_to_a_colour_that_their_pigments_reach(palette):
    masses = np.array([[0.7, 0, 0.3, 0, 0, 0, 0, 0], [0.3, 0.2, 0, 0.5, 0, 0, 0, 0]])
    wanted = mix_colors(masses, palette.colors)
    start = np.where(masses > 0, 1.0, 0.0)
    logs = torch.from_numpy(start / start.sum(axis=1, keepdims=True)).log()
    colors = torch.from_numpy(palette.colors / 255).expand(2, -1, -1)
    found = match_color(logs, colors, torch.from_numpy(wanted / 255), steps=20).exp().numpy()
    assert found == pytest.approx(masses, abs=0.01)


def test_traces_are_dropped_but_never_the_largest_share():
    shares = torch.tensor([[0.5, 0.49, 0.01], [0.9, 0.05, 0.05]]).log()
    assert drop_traces(shares).exp().numpy() == pytest.approx(
        np.array([[0.505, 0.495, 0], [0.9, 0.05, 0.05]]), abs=1e-3
    )
    even = torch.full((1, 100), 0.01).log()
    assert drop_traces(even).exp().sum().item() == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_bands_are_shares_on_any_axis(seed):
    counts = RNG(seed).uniform(0, 1, (2, 4096))
    fine, coarse = EnergyAxis(0.0, 0.01, 4096), EnergyAxis(0.015, 0.04, 1024)
    shares = band_shares(counts, fine, 48)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares >= 0).all()
    assert band_shares(fine.rebin(counts, coarse), coarse, 48) == pytest.approx(shares, abs=5e-3)
    assert not band_shares(np.zeros((1, 4096)), fine, 48).any()


def test_weights_are_shares_and_do_not_depend_on_the_order_of_the_palette(palette):
    generator, colors = untrained(), RNG(0).uniform(0, 255, (5, 3))
    noise = generator.draw_noise(RNG(1), len(NAMES), 5)
    made = generator.mix(colors, palette, noise)
    assert made.weights.sum(axis=1) == pytest.approx(1)
    assert made.masses.sum(axis=1) == pytest.approx(1)
    assert ((made.weights > 0) == (made.masses > 0)).all()
    turned = np.arange(len(NAMES))[::-1]
    other = PigmentSpectra(
        tuple(palette.names[each] for each in turned), palette.colors[turned], palette.spectra[turned],
        palette.energy, tuple(palette.families[each] for each in turned),
    )  # fmt: skip
    assert generator.mix(colors, other, noise[:, turned]).weights[:, turned] == pytest.approx(
        made.weights, abs=1e-4
    )


def test_wrong_colours_and_noise_are_told(palette):
    generator = untrained()
    with pytest.raises(InvalidInput, match="colours"):
        generator.mix([1, 2, 3], palette, np.zeros((8, 3)))
    with pytest.raises(InvalidInput, match="noise"):
        generator.mix([[1, 2, 3]], palette, np.zeros((8, 4)))


def test_weights_files_come_back_and_others_are_refused(palette, tmp_path):
    generator = replace(untrained(), training={"seed": 7})
    path = save_painting_generator(tmp_path / "mine.safetensors", generator)
    again = load_painting_generator(path)
    assert again.training == {"seed": 7}
    colors = [[100, 120, 180]]
    np.testing.assert_array_equal(again(colors, palette, RNG(2)), generator(colors, palette, RNG(2)))
    with pytest.raises(InvalidInput, match=r"\.pt"):
        save_painting_generator(tmp_path / "mine.pt", generator)
    with pytest.raises(FileError, match="no such file"):
        load_painting_generator(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    whole = path.read_bytes()
    for content in (whole[:500], whole.replace(b"training", b"trailing")):
        broken.write_bytes(content)
        with pytest.raises(FileError, match="cannot be read"):
            load_painting_generator(broken)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(FileError, match="no painting generator"):
        load_painting_generator(tmp_path / "other.safetensors")


def test_training_is_the_same_for_a_seed_and_changes_the_weights(table, palette):
    reports = []
    first, second = (
        train_painting_generator(QUICK, SMALL, seed=3, pigments=table, on_step=reports.append)
        for _ in range(2)
    )
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    assert {each.phase for each in reports} == {"emission", "recipe"}
    last = reports[-1]
    assert last.number == last.total == 6
    assert last.losses["discriminator"] > 0  # it has joined in
    other = train_painting_generator(QUICK, SMALL, seed=4, pigments=table)
    colors = [[100, 120, 180]]
    assert (first(colors, palette, RNG(0)) != other(colors, palette, RNG(0))).any()


def test_training_can_be_cancelled(table):
    class Stop(Exception):
        pass

    def progress(done, total, what):
        if "colour" in what:
            raise Stop

    with pytest.raises(Stop):
        train_painting_generator(QUICK, SMALL, pigments=table, progress=progress)


def test_options_of_the_training_are_sorted_and_checked():
    training, network = painting_options({"recipe_steps": 5, "width": 16})
    assert (training.recipe_steps, network.width) == (5, 16)
    with pytest.raises(InvalidInput, match="no option 'colour'"):
        painting_options({"colour": 5})
    with pytest.raises(InvalidInput, match="recipe steps"):
        painting_options({"recipe_steps": 0})
    with pytest.raises(InvalidInput, match="recipe steps"):
        painting_options({"recipe_steps": "many"})
    with pytest.raises(InvalidInput, match="supports"):
        painting_options({"supports": [["m4-tornado"]]})


# What is shipped


def test_the_shipped_generator_is_small_and_not_taken_for_a_model_of_spectra(shipped):
    from napari_xrf.learning.weights import shipped_models

    assert shipped_weights().stat().st_size < 2e6
    assert "painting-generator" not in shipped_models()
    assert shipped.training["seed"] == 0


def test_the_shipped_generator_makes_the_colour_with_few_pigments(shipped, table, palette):
    masses = draw_paints(60, absorption_over_scattering(palette.colors), RNG(77))
    colors = mix_colors(masses, palette.colors)
    made = shipped.mix(colors, palette, shipped.draw_noise(RNG(1), len(NAMES), 60))
    away = 100 * (1 - np.diag(color_similarity(mix_colors(made.masses, palette.colors), colors)))
    assert np.median(away) < 3
    assert 1 <= (made.masses > 0).sum(axis=1).mean() < 4


def test_other_noise_gives_other_paints_of_one_colour(shipped):
    table = load_pigments()
    spectra = RNG(0).uniform(0.5, 1, (len(table), 200))
    everything = PigmentSpectra(
        tuple(each.name for each in table), np.array([rgb(each.color) for each in table], dtype=float),
        spectra, EnergyAxis(0.5, 0.2, 200),
    )  # fmt: skip
    noise = shipped.draw_noise(RNG(3), len(table), 40)
    masses = shipped.mix(np.tile([120.0, 130.0, 160.0], (40, 1)), everything, noise).masses
    assert len({tuple(row > 0) for row in masses}) > 3


# Paintings


def picture():
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:8], image[8:, :8], image[8:, 8:] = (205, 120, 110), (90, 130, 175), (240, 236, 225)
    return image


def test_a_painting_takes_its_weights_from_the_generator(shipped, palette):
    few = ClusterParameters(start=3, spread=1)
    parameters = PaintingParameters(weighting="learned", clusters=few)
    made, again, fixed = (
        synthesize_painting(picture(), palette, generator=RNG(5), parameters=each, weighting=shipped)
        for each in (parameters, parameters, replace(parameters, weighting="fixed"))
    )
    np.testing.assert_array_equal(made.cube.counts, again.cube.counts)
    assert made.weights.sum(axis=1) == pytest.approx(1)
    assert (made.weights > 0).sum() < (fixed.weights > 0).sum()
    assert made.parameters["weighting"] == "learned"
    np.testing.assert_array_equal(made.clusters.labels, fixed.clusters.labels)
    with pytest.raises(InvalidInput, match="painting generator"):
        synthesize_painting(picture(), palette, generator=RNG(5), parameters=parameters)


def test_measured_spectra_can_be_weighted_too(shipped):
    measured = PigmentSpectra(
        ("red", "white"), np.array([(200, 40, 40), (250, 250, 245)], dtype=float),
        np.stack([peaks([2.3, 10.0]), peaks([10.5, 12.6])]), AXIS,
    )  # fmt: skip
    weights = shipped([[200, 40, 40], [250, 250, 245], [225, 120, 115]], measured, RNG(0))
    assert weights[0, 0] > 0.9
    assert weights[1, 1] > 0.9
    assert 0 < weights[2, 0] < 1


def test_the_command_line_weights_by_the_generator(capsys, tmp_path):
    from PIL import Image

    image, out = tmp_path / "picture.png", tmp_path / "out.h5"
    Image.fromarray(picture()).save(image)
    call = [
        "synthesize",
        "painting",
        str(image),
        "--pigments",
        "lead white,vermilion,azurite",
        "-o",
        str(out),
    ]
    assert main([*call, "--weighting", "learned", "--clusters-start", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == "painting"
    import h5py

    with h5py.File(out) as file:
        assert "learned" in str(file["/"].visititems(lambda _, each: _stored_weighting(each)))
    assert main([*call, "--generator", str(tmp_path / "none.safetensors")]) != 0
    assert "fixed weighting" in capsys.readouterr().err
    assert main([*call, "--weighting", "learned", "--generator", str(tmp_path / "none.safetensors")]) != 0
    assert "none.safetensors" in capsys.readouterr().err


def _stored_weighting(entry):
    import h5py

    if isinstance(entry, h5py.Dataset) and entry.name.endswith("parameters"):
        return json.loads(entry.asstr()[()])["weighting"]
    return None


def test_the_command_line_trains_a_generator(capsys, tmp_path):
    sets = {
        "paints": 10, "recipes": 20, "batch_size": 4, "emission_steps": 1, "recipe_steps": 2, "width": 8,
        "layers": 1, "heads": 1, "supports": '[["m4-tornado","chalk","wood"]]',
    }  # fmt: skip
    call = ["train", "painting-generator", "-o", str(tmp_path / "made")]
    chosen = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
    assert main([*call, *chosen, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [name.rsplit("/", 1)[1] for name in files] == [
        "model.safetensors",
        "metrics.json",
        "model-card.md",
    ]
    assert load_painting_generator(files[0]).training["options"]["recipe_steps"] == 2
    before = (tmp_path / "made" / "model.safetensors").stat().st_mtime_ns
    assert main([*call, *chosen, "--resume"]) == 0
    assert "already trained" in capsys.readouterr().out
    assert (tmp_path / "made" / "model.safetensors").stat().st_mtime_ns == before
    assert main([*call, "--epochs", "3"]) != 0
    assert "--epochs" in capsys.readouterr().err


def test_synthesis_needs_no_torch():
    code = "import sys, napari_xrf.synthesis.recipes, napari_xrf.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
