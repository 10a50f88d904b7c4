import numpy as np
import pytest

import napari_xrf.learning.prediction.prediction
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.scratch import StoredCounts
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.prediction.answers import predict, predict_spectra
from napari_xrf.learning.prediction.files import write_prediction
from napari_xrf.learning.prediction.views import element_maps_of, found_names, label_map_of, ranked
from napari_xrf.learning.sources.source import make_source
from napari_xrf.learning.training import train
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.recipes import make_minerals
from small_models import FEW_MINERALS, small_recipe


@pytest.fixture(scope="module")
def mineral_model():
    return train(small_recipe("mineral-cnn", epochs=6, steps=15))


@pytest.fixture(scope="module")
def element_model():
    return train(small_recipe("maxrf-cnn-gem", epochs=2, steps=10))


@pytest.fixture(scope="module")
def rock():
    return make_minerals(
        FEW_MINERALS, seed=3, parameters=MapParameters(shape=(12, 14), counts_per_pixel=3000)
    )


def test_a_mineral_map_has_names_confidence_and_unknown(mineral_model, rock):
    prediction = predict(mineral_model, rock.cube, calibrate=False)
    labels = label_map_of(prediction)
    truth = rock.truth["labels"]
    named = {each.label: each.name for each in labels.classes}
    known = {each.label: each.name for each in truth.classes}
    right = [
        named[int(found)] == known[int(there)]
        for found, there in zip(labels.labels.ravel(), truth.labels.ravel(), strict=True)
    ]
    assert np.mean(right) > 0.7
    assert labels.confidence.shape == rock.cube.map_shape
    total = prediction.probability.sum(axis=2) + prediction.unknown
    assert np.allclose(total, 1, atol=1e-2)


def test_one_spectrum_is_answered_as_in_the_map(mineral_model, rock):
    whole = predict(mineral_model, rock.cube, calibrate=False)
    flat = np.asarray(rock.cube.counts).reshape(-1, rock.cube.energy.size)
    alone = predict_spectra(mineral_model, flat[:5], rock.cube.energy)
    assert np.allclose(alone.probability[:, 0], whole.probability.reshape(-1, 4)[:5], atol=1e-3)
    names = [row.name for row in ranked(alone, (0, 0))]
    assert sorted(names) == sorted([*FEW_MINERALS, "unknown"])


def test_pixels_without_counts_are_not_measured(mineral_model):
    axis = EnergyAxis(-0.955, 0.01, 4096)
    cube = SpectralCube(np.zeros((2, 3, 4096), np.uint16), axis)
    with pytest.raises(InvalidInput, match="no counts"):
        predict(mineral_model, cube)
    labels = label_map_of(predict(mineral_model, cube, calibrate=False))
    assert (labels.labels == 0).all()


def test_element_maps_hold_counts(element_model):
    source = make_source(small_recipe("maxrf-cnn-gem").source)
    drawn = source.draw(30, np.random.default_rng(1))
    cube = SpectralCube(drawn.counts.astype(np.uint32)[:, None], source.axis)
    prediction = predict(element_model, cube, calibrate=False)
    assert (prediction.intensity >= 0).all()
    shown = found_names(prediction)
    maps = element_maps_of(prediction)
    assert len(maps) == len(shown)
    assert maps.method == "maxrf-cnn-gem"
    assert (maps.standard_errors > 0).all()


def test_what_does_not_fit_in_memory_is_the_same_on_disk(element_model, tmp_path, monkeypatch):
    monkeypatch.setattr(napari_xrf.learning.prediction.prediction, "_BAND_BYTES", 1)
    source = make_source(small_recipe("maxrf-cnn-gem").source)
    counts = source.draw(12, np.random.default_rng(1)).counts.astype(np.uint32).reshape(4, 3, -1)
    cube = SpectralCube(counts, source.axis)
    held, stored = (predict(element_model, cube, calibrate=False, memory_budget=each) for each in (None, 4))
    assert isinstance(stored.intensity, StoredCounts)
    assert np.array_equal(stored.intensity[:], held.intensity)
    assert found_names(stored) == found_names(held)
    one, other = (element_maps_of(each, element_model.description.names[:2]) for each in (stored, held))
    assert np.array_equal(one.counts, other.counts)
    for each, name in ((held, "held.h5"), (stored, "stored.h5")):
        write_prediction(tmp_path / name, each)
    assert (tmp_path / "held.h5").read_bytes() == (tmp_path / "stored.h5").read_bytes()


def test_a_denoised_cube_is_in_counts():
    model = train(small_recipe("pca"))
    source = make_source(small_recipe("pca").source)
    drawn = source.draw(200, np.random.default_rng(2))
    prediction = predict_spectra(model, drawn.counts.astype(np.uint32), source.axis, outputs=["spectrum"])
    assert prediction.code is None
    assert np.allclose(prediction.spectrum.sum(axis=2)[:, 0], drawn.counts.sum(axis=1), rtol=1e-3)
    assert any("denoise" in note for note in prediction.doubts)
    features = predict_spectra(model, drawn.counts.astype(np.uint32), source.axis, outputs=["code"])
    assert features.doubts == ()


def test_what_cannot_be_is_told(mineral_model, element_model, rock):
    with pytest.raises(InvalidInput, match="gives no 'code'"):
        predict(mineral_model, rock.cube, outputs=["code"])
    with pytest.raises(InvalidInput, match="no device 'tpu'"):
        predict(mineral_model, rock.cube, device="tpu")
    low = SpectralCube(np.ones((1, 1, 50), np.uint16), EnergyAxis(0.0, 0.01, 50))
    with pytest.raises(InvalidInput, match="needs"):
        predict(mineral_model, low, calibrate=False)
    prediction = predict(mineral_model, rock.cube, calibrate=False)
    with pytest.raises(InvalidInput, match="gives no intensities"):
        element_maps_of(prediction)
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        label_map_of(prediction, least_probability=2)


def test_cancel_stops_it(mineral_model, rock):
    def stop(done, total, what):
        if what == "predicting":
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(mineral_model, rock.cube, progress=stop)
