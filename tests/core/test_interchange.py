"""Nouns in a notebook: their line, their picture, and the objects of other programs."""

import sys

import numpy as np
import pytest

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.core.spectrum import Spectrum


@pytest.fixture
def cube() -> SpectralCube:
    counts = np.random.default_rng(0).poisson(3.0, (4, 6, 100)).astype(np.uint16)
    beam = Excitation("electron", 20.0)
    return SpectralCube(counts, EnergyAxis(-0.1, 0.02, 100), "rock", pixel_size=(2.0, 3.0), excitation=beam)


@pytest.fixture
def maps() -> ElementMaps:
    counts = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    return ElementMaps(("Fe K", "Pb L", "Pb M"), counts, counts / 10, "fit", (2.0, 3.0))


@pytest.fixture
def labels() -> LabelMap:
    classes = (LabelClass(1, "quartz", color="#0000ff"), LabelClass(2, "unknown"))
    return LabelMap(np.array([[1, 1, 0], [1, 2, 0]], dtype=np.uint8), classes)


def test_element_maps_read_like_a_dictionary(maps):
    assert maps.keys() == ("Fe K", "Pb L", "Pb M")
    assert {family: float(values.sum()) for family, values in maps.items()} == {
        "Fe K": 15,
        "Pb L": 51,
        "Pb M": 87,
    }
    assert len(list(maps.values())) == 3
    assert "Fe" in maps
    assert "Pb L" in maps
    assert "Ca" not in maps


def test_an_element_stands_for_its_family_with_most_counts(maps):
    assert maps["Fe"] is not None
    np.testing.assert_array_equal(maps["Pb"], maps["Pb M"])
    np.testing.assert_array_equal(maps.standard_error("Pb"), maps.standard_errors[2])
    with pytest.raises(KeyError, match="there are Fe K, Pb L, Pb M"):
        maps["Ca"]


def test_a_class_is_read_by_its_name(labels):
    assert labels["quartz"].sum() == 3
    assert labels.shares() == {"quartz": 0.75, "unknown": 0.25}


def test_nouns_say_what_they_are_in_a_line(cube, maps, labels):
    assert repr(cube) == (
        "<SpectralCube 'rock': 4 × 6 pixels of 2 × 3 µm, 100 channels from -0.1 to 1.88 keV; electron 20 keV>"
    )
    assert repr(maps) == "<ElementMaps by fit: Fe K, Pb L, Pb M; 2 × 3 pixels of 2 × 3 µm>"
    assert repr(labels) == "<LabelMap: quartz 75.0 %, unknown 25.0 %; 2 × 3 pixels>"


def test_nouns_show_a_picture_in_a_notebook(cube, maps, labels):
    spectrum = Spectrum(cube.sum_spectrum(), cube.energy, "<sum>")
    for noun, pictures in ((cube, 2), (maps, 3), (labels, 1), (spectrum, 1)):
        shown = noun._repr_html_()
        assert shown.count("data:image/png;base64,iVBOR") == pictures
        assert "<sum>" not in shown


def test_empty_nouns_show_themselves_too():
    empty = SpectralCube(np.zeros((1, 1, 5), dtype=np.uint8), EnergyAxis(0.0, 0.01, 5))
    assert "img" in empty._repr_html_()
    none = np.zeros((0, 2, 2), dtype=np.float32)
    assert "none" in ElementMaps((), none, none, "fit")._repr_html_()


def test_xarray_carries_axes_and_units(cube, maps, labels):
    pytest.importorskip("xarray")
    array = cube.to_xarray()
    assert array.dims == ("y", "x", "energy")
    assert array.x.values.tolist() == [0, 3, 6, 9, 12, 15]
    assert array.energy.attrs["units"] == "keV"
    np.testing.assert_array_equal(array.values, cube.counts)
    assert float(maps.to_xarray().sel(family="Pb L").sum()) == 51
    assert labels.to_xarray().attrs["classes"] == {1: "quartz", 2: "unknown"}


def test_hyperspy_gives_back_what_it_was_given(cube):
    pytest.importorskip("hyperspy")
    signal = cube.to_hyperspy()
    assert [axis.scale for axis in signal.axes_manager.navigation_axes] == [3.0, 2.0]
    back = SpectralCube.from_hyperspy(signal)
    np.testing.assert_array_equal(back.counts, cube.counts)
    assert back.counts.dtype.kind == "u"
    assert back.energy == cube.energy
    assert back.pixel_size == cube.pixel_size
    assert back.name == "rock"


def test_a_hyperspy_signal_without_energy_axis_is_refused(cube):
    signals = pytest.importorskip("hyperspy.api").signals
    with pytest.raises(InvalidInput, match="Set its units to keV or eV"):
        SpectralCube.from_hyperspy(signals.Signal1D(np.ones((2, 3, 10), dtype=np.int64)))


def test_a_hyperspy_signal_in_ev_comes_in_kev(cube):
    pytest.importorskip("hyperspy")
    signal = cube.to_hyperspy()
    along = signal.axes_manager.signal_axes[0]
    along.scale, along.offset, along.units = 20.0, -100.0, "eV"
    assert SpectralCube.from_hyperspy(signal).energy.offset == pytest.approx(-0.1)


def test_what_is_not_installed_is_named(monkeypatch, cube):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InvalidInput, match=r'xarray is not installed. .*pip install "\.\[interchange\]"'):
        cube.to_xarray()


def test_dask_reads_the_same_counts_in_bands(monkeypatch, cube):
    monkeypatch.setattr("napari_xrf.core.spectral_cube.BLOCK_BYTES", 2 * 6 * 100 * 2)
    array = cube.to_dask()
    assert array.chunks[0] == (2, 2)
    np.testing.assert_array_equal(array.compute(), cube.counts)
    again = SpectralCube(array, cube.energy)
    np.testing.assert_array_equal(again.sum_spectrum(), cube.sum_spectrum())
