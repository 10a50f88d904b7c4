import copy
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.learning import weights
from napari_xrf.learning.description import description_as_json, description_from_json
from napari_xrf.learning.prediction.answers import predict_spectra
from napari_xrf.learning.preprocessing import Preprocessing, prepare
from napari_xrf.learning.training import train
from napari_xrf.learning.weights import find_weights, load_model, read_description, save_model, shipped_models
from small_models import small_recipe


@pytest.fixture(scope="module")
def model():
    return train(small_recipe("line-mlp", epochs=1, network={"hidden": 8, "depth": 1}))


def test_a_description_survives_its_text(model):
    again = description_from_json(description_as_json(model.description))
    assert description_as_json(again) == description_as_json(model.description)


def test_weights_survive_their_file(model, tmp_path):
    path = save_model(tmp_path / "mine.safetensors", model)
    again = load_model(path)
    assert read_description(path).names == model.description.names
    for name, tensor in model.network.state_dict().items():
        assert (again.network.state_dict()[name] == tensor).all()


@pytest.mark.parametrize(
    "content", [b"", b"abc", struct.pack("<Q", 2**60), struct.pack("<Q", 2) + b"{}", b"\x80\x04K\x01." * 20]
)
def test_files_that_are_no_weights_are_told(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"bad\.safetensors"):
        load_model(path)


def _spoilt(model, value):
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = value
    return replace(model, network=network)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_neither_written_nor_read(model, tmp_path, monkeypatch, value):
    path = tmp_path / "mine.safetensors"
    with pytest.raises(InvalidInput, match="no finite numbers"):
        save_model(path, _spoilt(model, value))
    assert not path.exists()
    monkeypatch.setattr(weights, "check_finite", lambda tensors: None)
    save_model(path, _spoilt(model, value))
    monkeypatch.undo()
    with pytest.raises(FileError, match="no finite numbers"):
        load_model(path)


def test_a_network_that_gives_no_numbers_is_told(model):
    counts = np.ones((3, model.description.axis.size))
    with pytest.raises(InvalidInput, match="values that are no finite numbers"):
        predict_spectra(_spoilt(model, float("nan")), counts, model.description.axis)


def test_a_header_nested_without_end_is_told(tmp_path):
    text = b"[" * 100_000
    (tmp_path / "deep.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(FileError, match="safetensors"):
        read_description(tmp_path / "deep.safetensors")


def test_cut_and_foreign_weights_are_told(model, tmp_path):
    path = save_model(tmp_path / "mine.safetensors", model)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(FileError, match="weights"):
        load_model(path)
    changed = whole.replace(b'\\"hidden\\": 8', b'\\"hidden\\": 9')
    assert changed != whole
    path.write_bytes(changed)
    with pytest.raises(FileError, match="do not fit"):
        load_model(path)


def test_unknown_models_are_listed(tmp_path):
    with pytest.raises(InvalidInput, match="no model 'nothing'"):
        find_weights("nothing")


def test_only_safetensors_are_written(model, tmp_path):
    with pytest.raises(InvalidInput, match=r"\.pt"):
        save_model(tmp_path / "mine.pt", model)


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_load_with_a_card(name):
    model = load_model(name)
    path = shipped_models()[name]
    assert path.stat().st_size < 12e6
    assert path.with_suffix(".md").is_file()
    assert model.description.name == name
    assert model.description.training["seed"] >= 0


def test_preprocessing_keeps_what_it_should():
    counts = np.array([[0, 4, 16, 4, 0], [0, 0, 0, 0, 0]], dtype=np.uint16)
    assert prepare(counts, Preprocessing("max", "sqrt"), 0.1)[0].tolist() == [0, 0.5, 1, 0.5, 0]
    assert prepare(counts, Preprocessing("sum", "none"), 0.1)[0].mean() == pytest.approx(1)
    assert not prepare(counts, Preprocessing("sum", "log", baseline=True), 0.1)[1].any()
    sloped = np.linspace(100, 50, 200)[None] + 500 * np.exp(-0.5 * ((np.arange(200) - 90) / 2.0) ** 2)
    flat = prepare(sloped, Preprocessing("none", "none", baseline=True), 0.1)[0]
    assert abs(flat[40]) < 2
    assert flat[90] > 400
    with pytest.raises(InvalidInput, match="scale"):
        Preprocessing("mean")
