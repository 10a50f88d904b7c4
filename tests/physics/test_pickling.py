"""What a worker process is sent must arrive as it was."""

import pickle

import numpy as np
import pytest

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.physics.source import ElectronBeam, GivenSource, MonochromaticSource, TubeSource
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import load_library

AXIS = EnergyAxis(-0.1, 0.01, 8)
MATERIAL = Material.from_mixture({"Cu": 90, "Sn": 10}, 8.8, "bronze")


def _returned(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize(
    "value",
    [
        AXIS,
        MATERIAL,
        Layer(MATERIAL, 12.0, "polycrystal"),
        TubeSource("Rh", 50.0, filters=(Layer(MATERIAL, 12.0),)),
        ElectronBeam(20.0),
        MonochromaticSource(17.4),
        GivenSource((1.0, 2.0), (3.0, 4.0)),
        Excitation("tube", 50.0, "Rh"),
        *(load_instrument(name) for name in instrument_names()),
        *load_library()[:3],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_return_equal(value):
    AXIS.energies  # noqa: B018 - what is computed once does not hinder
    assert _returned(value) == value


def test_materials_return_as_keys():
    assert hash(_returned(MATERIAL)) == hash(MATERIAL)
    with pytest.raises(TypeError):
        _returned(MATERIAL).mass_fractions["Cu"] = 1.0


def test_measurements_return_with_their_arrays():
    counts = np.arange(48, dtype=np.uint16).reshape(2, 3, 8)
    cube = _returned(SpectralCube(counts, AXIS, "map", live_time=np.ones((2, 3))))
    assert np.array_equal(cube.counts, counts)
    assert (cube.energy, cube.live_time.shape) == (AXIS, (2, 3))
    spectrum = _returned(Spectrum(counts[0, 0], AXIS))
    assert np.array_equal(spectrum.counts, counts[0, 0])


def test_results_return_with_their_arrays():
    counts = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    maps = _returned(ElementMaps(("Fe K",), counts, counts, "fit"))
    assert np.array_equal(maps["Fe K"], counts[0])
    labels = _returned(LabelMap(np.ones((2, 3), dtype=np.uint8), (LabelClass(1, "quartz"),)))
    assert labels.labels.sum() == 6
    assert labels.classes[0].name == "quartz"
