"""The Generate synthetic data dock: its forms without a window, and what a user does in one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from qtpy.QtWidgets import QLabel

import napari_xrf
from docks import finish
from napari_xrf import io
from napari_xrf.cli import main
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.parameters import parameter_fields
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.plugin.forms.parameter_form import hint_of, judge, label_of, texts_of, unit_of, value_from
from napari_xrf.plugin.layers.cubes import CUBE_KEY, TRUTH_KEY
from napari_xrf.plugin.layers.synthesis import MOST_SHARES, synthetic_layers, truth_layers
from napari_xrf.plugin.writers import write_images
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.layers import LayersParameters
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.mixtures import MixtureParameters, augmentation
from napari_xrf.synthesis.painting import PaintingParameters
from napari_xrf.synthesis.recipes import make_layers, make_minerals, make_mixtures, make_painting
from napari_xrf.synthesis.textures import Texture

INSTANCES = (
    MapParameters(),
    Texture(),
    typical_distortions(),
    augmentation(),
    LayersParameters(),
    MixtureParameters(),
    PaintingParameters(),
    ClusterParameters(),
)
NOT_FORMED = ("distortions", "clusters")


def formed_fields(instance):
    return {field.name: field for field in parameter_fields(type(instance), skip=NOT_FORMED)}


@pytest.fixture
def picture(tmp_path):
    pixels = np.zeros((10, 12, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:8], pixels[:, 8:] = (200, 40, 30), (40, 60, 150), (240, 235, 220)
    path = tmp_path / "painting.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_defaults_survive_their_texts(instance):
    values = {}
    for name, field in formed_fields(instance).items():
        value = getattr(instance, name)
        off = value is None or field.kind is bool
        values[name] = value if off else value_from(field, texts_of(field, value))
    assert judge(instance, values).value == instance


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_every_field_has_a_tooltip_without_marks(instance):
    for field in formed_fields(instance).values():
        assert len(hint_of(field)) > 5, field.name
        assert "`" not in hint_of(field)
        assert label_of(field)[0].isupper()


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
@settings(max_examples=50, deadline=None)
def test_numbers_survive_their_texts(number, whole):
    fields = formed_fields(Distortions())
    assert value_from(fields["gain"], texts_of(fields["gain"], (number, number))) == (number, number)
    steps = formed_fields(Texture())["zoning_steps"]
    assert value_from(steps, texts_of(steps, whole)) == whole


def test_units_stand_behind_the_value_and_not_in_the_label():
    fields = formed_fields(Distortions())
    assert (label_of(fields["offset_ev"]), unit_of(fields["offset_ev"])) == ("Offset", "eV")
    assert (label_of(fields["pulse_pair_us"]), unit_of(fields["pulse_pair_us"])) == ("Pulse pair", "µs")


@pytest.mark.parametrize(
    ("base", "values", "named"),
    [
        (Texture(), {"grain_size": 0.1, "roughness": 0.5}, {"grain_size"}),
        (Texture(), {"grain_size": 0.1, "roughness": 5.0}, {"grain_size", "roughness"}),
        (Texture(), {"grain_size": float("nan")}, {"grain_size"}),
        (Distortions(), {"offset_ev": (30.0, -30.0)}, {"offset_ev"}),
        (MapParameters(), {"shape": (0, 5)}, {"shape"}),
        (MapParameters(), {"pixel_size": (10.0, 0.0)}, {"pixel_size"}),
        (PaintingParameters(), {"totals": "many"}, {"totals"}),
        (MixtureParameters(), {"elements": ("Fe", "Xx")}, {"elements"}),
        # Each is right alone; together they are not.
        (MixtureParameters(), {"elements": ("Fe", "Cu", "Pb"), "present": (1, 4)}, {"present"}),
        (MixtureParameters(), {"elements": ("Fe", "Cu"), "present": (1, 3)}, {"present"}),
        (
            MixtureParameters(),
            {"elements": ("Fe", "Cu"), "present": (1, 2), "counts": (-1.0, 9.0)},
            {"counts"},
        ),
    ],
)
def test_errors_stand_at_their_fields(base, values, named):
    judgement = judge(base, values)
    assert judgement.value is None
    assert set(judgement.errors) == named


def test_values_that_are_right_only_together_are_taken():
    judgement = judge(MixtureParameters(), {"present": (0, 2), "substrates": ("wood",)})
    assert judgement.value is not None
    assert judgement.value.present == (0, 2)


@pytest.mark.parametrize("text", ["", "abc", "1.5", "1e3"])
def test_a_text_that_is_no_whole_number_is_refused(text):
    with pytest.raises(InvalidInput, match="whole number"):
        value_from(formed_fields(Texture())["zoning_steps"], (text,))


def test_the_layers_of_a_mineral_map_hold_its_truth():
    made = make_minerals(
        ("quartz", "pyrite"), seed=1, parameters=MapParameters(shape=(6, 5), with_ideal=True)
    )
    layers = synthetic_layers(made, line_counts=True)
    names = [keywords["name"] for _, keywords, _ in layers]
    assert names[-3:] == ["synthetic map (ideal)", "synthetic map", "True minerals"]
    assert {"quartz (share)", "pyrite (share)", "Fe K (true)"} <= set(names)
    shown = [keywords["name"] for _, keywords, _ in layers if keywords.get("visible", True)]
    assert shown == ["synthetic map"]
    shares = np.sum([data for data, keywords, _ in layers if "(share)" in keywords["name"]], axis=0)
    assert np.allclose(shares, 1, atol=1e-5)
    assert layers[-2][1]["metadata"][TRUTH_KEY]["parameters"]["user_seed"] == 1
    assert {str(keywords["units"][-1]) for _, keywords, _ in layers} == {"um"}


def test_the_truth_of_a_file_has_the_same_layers(tmp_path):
    made = make_minerals(("quartz", "pyrite"), seed=1, parameters=MapParameters(shape=(6, 5)))
    file = tmp_path / "rock.h5"
    write_cube(file, made.cube, truth=made.truth)
    read, kept = (truth_layers(truth, made.cube) for truth in (io.read_truth(file), made.truth))
    assert [layer[1]["name"] for layer in read] == [layer[1]["name"] for layer in kept]
    assert all(np.array_equal(first[0], second[0]) for first, second in zip(read, kept, strict=True))


def test_napari_saves_a_synthetic_map_with_its_truth(tmp_path):
    layer = synthetic_layers(make_mixtures(3, seed=2))[-1]
    (file,) = write_images(str(tmp_path / "set.h5"), [layer])
    assert io.read_truth(file)["parameters"]["user_seed"] == 2


def test_a_painting_of_many_pigments_does_not_flood_the_list(picture):
    made = make_painting(picture, seed=0)
    names = [keywords["name"] for _, keywords, _ in synthetic_layers(made)]
    assert sum("(share)" in name for name in names) <= MOST_SHARES
    assert names[-1] == "True colours"


def test_spectra_are_one_column_with_their_truth():
    for made in (make_layers(4, seed=0), make_mixtures(4, seed=0)):
        ((data, keywords, kind),) = synthetic_layers(made)
        assert (kind, data.shape[1:]) == ("image", (4, 1))
        assert len(keywords["metadata"][TRUTH_KEY]["present"]) == 4


# In a window


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def dock(viewer):
    return viewer.window.add_plugin_dock_widget("napari-xrf", "Generate synthetic data")[1]


def set_value(form, name, *texts):
    for editor, text in zip(form.rows[name].editors, texts, strict=True):
        editor.value = text


def small_map(dock):
    set_value(dock.minerals.map, "shape", "7", "6")
    set_value(dock.minerals.map, "counts_per_pixel", "300")


@pytest.mark.gui
def test_the_window_and_the_command_line_make_the_same(dock, viewer, qtbot, tmp_path, capsys):
    small_map(dock)
    dock.minerals.scene.setCurrentIndex(1)
    dock.minerals.minerals.tick(("quartz", "pyrite"))
    dock.minerals.distortions.choose("typical")
    set_value(dock.minerals.distortions.form, "offset_ev", "-100", "-50")
    set_value(dock.seed, "seed", "5")
    dock.run.click()
    finish(dock, qtbot)
    assert [layer.name for layer in viewer.layers][-2:] == ["synthetic map", "True minerals"]
    dock.write(tmp_path / "window.h5")
    finish(dock, qtbot)
    arguments = [
        "--minerals", "quartz,pyrite", "--shape", "7:6", "--counts-per-pixel", "300", "--seed", "5",
        "--distortions", "typical", "--offset-ev=-100:-50",
    ]  # fmt: skip
    assert main(["synthesize", "minerals", *arguments, "-o", str(tmp_path / "line.h5")]) == 0
    window, line = (napari_xrf.read(tmp_path / f"{name}.h5") for name in ("window", "line"))
    assert np.array_equal(np.asarray(window.counts), np.asarray(line.counts))
    first, second = (io.read_truth(tmp_path / f"{name}.h5") for name in ("window", "line"))
    assert set(first) == set(second)
    assert first["parameters"] == second["parameters"]
    assert isinstance(first["labels"], LabelMap)
    assert isinstance(first["line_counts"], ElementMaps)


@pytest.mark.gui
@pytest.mark.parametrize("name", ["minerals", "layers", "mixtures"])
def test_untouched_forms_make_what_the_recipe_makes_by_default(dock, qtbot, name):
    tab = getattr(dock, name)
    made = tab.preview(3)(progress=lambda *_: None)
    plain = {
        "minerals": lambda: make_minerals(None, seed=3, parameters=MapParameters(shape=(1, 1))),
        "layers": lambda: make_layers(1, seed=3),
        "mixtures": lambda: make_mixtures(1, seed=3),
    }[name]()
    assert np.array_equal(np.asarray(made.cube.counts), np.asarray(plain.cube.counts))


@pytest.mark.gui
def test_a_preview_draws_one_spectrum_and_adds_no_layer(dock, viewer, qtbot):
    for index in range(3):
        dock.tabs.setCurrentIndex(index)
        dock.preview.click()
        finish(dock, qtbot)
        (curve,) = dock.plot.curves()
        assert curve.name.startswith(dock.tab().title)
        assert curve.counts.sum() > 0
    assert not viewer.layers


@pytest.mark.gui
def test_a_value_out_of_range_says_so_at_its_field(dock):
    grain = dock.minerals.texture.rows["grain_size"]
    set_value(dock.minerals.texture, "grain_size", "0.1")
    assert "from 1 to 500" in grain.error.text()
    assert not grain.isHidden()
    assert not grain.error.isHidden()
    assert grain.isVisibleTo(dock.minerals.page)  # its section has opened
    assert not dock.run.isEnabled()
    assert "grain size" in dock.problem.text()
    set_value(dock.minerals.texture, "grain_size", "x")
    assert "no number" in grain.error.text()
    assert "Grain size" in dock.problem.text()
    set_value(dock.minerals.texture, "grain_size", "12")
    assert grain.error.isHidden()
    assert dock.run.isEnabled()
    assert dock.minerals.texture.value() == Texture(grain_size=12.0)


@pytest.mark.gui
@pytest.mark.parametrize("seed", ["-1", "4294967296", "one"])
def test_a_seed_out_of_range_says_so(dock, seed):
    set_value(dock.seed, "seed", seed)
    assert dock.seed.rows["seed"].error.text()
    assert not dock.run.isEnabled()


@pytest.mark.gui
def test_an_instrument_is_a_preset_or_a_file(dock, tmp_path):
    choice = dock.mixtures.instrument
    dock.tabs.setCurrentIndex(2)
    choice.set_text("abacus")
    assert "abacus" in choice.error.text()
    assert not dock.run.isEnabled()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("name = 3")
    choice.set_text(str(wrong))
    assert "wrong.toml" in choice.error.text()
    choice.set_text("synchrotron")
    assert choice.error.isHidden()
    assert dock.run.isEnabled()


@pytest.mark.gui
def test_distortions_are_switched_each_and_as_a_set(dock):
    choice = dock.minerals.distortions
    assert choice.value() is None
    choice.form.rows["noise_ev"].switch.value = True
    assert choice.value() == Distortions(noise_ev=typical_distortions().noise_ev)
    assert choice.sets.currentText() == "as set below"
    choice.choose("typical")
    assert choice.value() == typical_distortions()
    choice.choose("none")
    assert choice.value() is None
    assert choice.sets.currentText() == "none"
    assert dock.mixtures.distortions.value() == augmentation()


@pytest.mark.gui
def test_own_minerals_join_the_list(dock, tmp_path):
    tab = dock.minerals
    tab.scene.setCurrentIndex(1)
    assert "at least one" in dock.problem.text()
    table = tmp_path / "own.csv"
    table.write_text("name,formula,density\nmoon dust,FeTiO3,4.7\n")
    tab.library.set_text(str(table))
    tab.minerals.tick(("moon dust",))
    assert dock.run.isEnabled()
    small_map(dock)
    made = tab.recipe(0)(progress=lambda *_: None)
    assert [entry.name for entry in made.truth["labels"].classes] == ["moon dust"]
    tab.library.set_text(str(tmp_path / "none.csv"))
    assert "none.csv" in tab.library.error.text()
    assert not dock.run.isEnabled()


@pytest.mark.gui
def test_a_layer_and_its_file_give_the_same_painting(dock, viewer, qtbot, picture):
    tab = dock.painting
    dock.tabs.setCurrentIndex(3)
    assert not dock.run.isEnabled()
    said = [label for label in dock.findChildren(QLabel) if label.text() == tab.problem()]
    assert said == [dock.problem]
    viewer.add_image(np.zeros((5, 5)), name="grey")
    assert not dock.run.isEnabled()
    viewer.add_image(np.asarray(Image.open(picture)), rgb=True, name="photo")
    assert dock.run.isEnabled()
    tab.pigments.tick(("vermilion", "azurite", "lead white"))
    set_value(tab.parameters, "counts_per_pixel", "50")
    dock.run.click()
    finish(dock, qtbot)
    layer = dock.results.layer()
    assert layer.name == "synthetic painting"
    tab.file.set_text(str(picture))
    again = tab.recipe(0)(progress=lambda *_: None)
    assert np.array_equal(np.asarray(again.cube.counts), np.asarray(layer.metadata[CUBE_KEY].counts))
    assert np.all(np.asarray(again.cube.counts).sum(axis=2) == 50)
    one = tab.preview(0)(progress=lambda *_: None)
    assert one.cube.map_shape == (1, 1)


@pytest.mark.gui
def test_a_cancelled_map_adds_no_layer(dock, viewer, qtbot):
    set_value(dock.minerals.map, "shape", "300", "300")
    dock.run.click()
    qtbot.wait(300)
    assert not dock.run.isEnabled()
    dock.job_bar.cancel_button.click()
    finish(dock, qtbot)
    assert not viewer.layers
    assert dock.run.isEnabled()


@pytest.mark.gui
def test_a_set_of_no_spectra_says_so(dock):
    dock.tabs.setCurrentIndex(1)
    set_value(dock.layers.size, "size", "0")
    assert "from 1" in dock.layers.size.rows["size"].error.text()
    assert not dock.run.isEnabled()


@pytest.mark.parametrize("make", [make_layers, make_mixtures])
def test_more_spectra_than_memory_are_refused_before_the_work(make):
    with pytest.raises(InvalidInput, match="GB are free"):
        make(10**12, seed=0)


@pytest.mark.gui
def test_learned_weighting_asks_for_a_generator_and_greys_what_it_does_not_use(dock, picture, tmp_path):
    tab = dock.painting
    tab.file.set_text(str(picture))
    tab.pigments.tick(("vermilion", "azurite", "lead white"))
    assert not tab.generator.isEnabled()
    tab.parameters.rows["weighting"].editors[0].value = "learned"
    assert tab.generator.isEnabled()
    assert not tab.parameters.rows["threshold"].isEnabled()
    assert not tab.parameters.rows["similarity"].isEnabled()
    made = tab.recipe(0)(progress=lambda *_: None)
    assert made.truth["parameters"]["weighting"] == "learned"
    tab.generator.set_text(str(tmp_path / "none.safetensors"))
    assert "none.safetensors" in tab.problem()
    tab.parameters.rows["weighting"].editors[0].value = "fixed"
    assert tab.problem() == ""  # what is greyed out does not stop the run
    assert tab.parameters.rows["threshold"].isEnabled()
