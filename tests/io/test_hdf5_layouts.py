from __future__ import annotations

import h5py
import numpy as np
import pytest

import hdf5_files
from hdf5_files import Expected
from napari_xrf import io
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.hdf5.layouts import LAYOUTS


@pytest.fixture(params=hdf5_files.BUILDERS, ids=lambda builder: builder.__name__)
def built(request, tmp_path):
    path = tmp_path / f"{request.param.__name__}.h5"
    return path, request.param(path)


def assert_is(cube: SpectralCube, expected: Expected) -> None:
    counts = np.asarray(cube.counts[:, :, :])
    assert cube.provenance.layout == expected.layout
    assert counts.dtype.kind == "u"
    np.testing.assert_array_equal(counts, expected.counts)
    assert (cube.energy.offset, cube.energy.width) == pytest.approx(expected.energy, abs=1e-9)
    if expected.pixel_size is None:
        assert cube.pixel_size is None
    else:
        assert cube.pixel_size == pytest.approx(expected.pixel_size)
    if expected.live_time is None:
        assert cube.live_time is None
    else:
        np.testing.assert_allclose(cube.live_time, expected.live_time, rtol=1e-6)
    if expected.beam_kev is not None:
        assert cube.excitation.kind == "monochromatic"
        assert cube.excitation.energy_kev == pytest.approx(expected.beam_kev)
    assert set(cube.provenance.detectors) == set(expected.detectors)
    warnings = " ".join(cube.provenance.warnings)
    # What a stored sum spectrum lacks is not seen without reading everything.
    if cube.is_loaded or expected.warning != "sum spectrum":
        assert expected.warning in warnings
    if not expected.warning:
        assert not warnings


def test_layout_is_read(built):
    path, expected = built
    assert io.recognizes(path)
    assert_is(io.read(path), expected)


def test_layout_is_read_lazily(built):
    path, expected = built
    cube = io.read(path, memory_budget=1)
    assert not cube.is_loaded
    assert_is(cube, expected)
    np.testing.assert_array_equal(cube.counts[-1], expected.counts[-1])
    np.testing.assert_array_equal(cube.counts[0, 1], expected.counts[0, 1])
    np.testing.assert_array_equal(cube.counts[..., 100:110], expected.counts[..., 100:110])
    np.testing.assert_array_equal(cube.counts[:, ::2, -1], expected.counts[:, ::2, -1])
    mask = np.zeros(cube.map_shape, dtype=bool)
    mask[0, 1:3] = True
    np.testing.assert_array_equal(cube.region_spectrum(mask), expected.counts[mask].sum(axis=0))
    np.testing.assert_array_equal(cube.sum_spectrum(), expected.counts.sum(axis=(0, 1)))
    np.testing.assert_array_equal(cube.load().counts, expected.counts)


def test_each_detector_can_be_read_alone(built):
    path, expected = built
    for name, counts in expected.detectors.items():
        one = io.read(path, detector=name)
        np.testing.assert_array_equal(one.counts, counts)
        assert one.provenance.detectors == (name,)
    with pytest.raises(InvalidInput, match="no detector"):
        io.read(path, detector="front")


def test_axes_of_a_known_layout_can_be_overruled(tmp_path):
    path = tmp_path / "first.h5"
    expected = hdf5_files.nexus_energy_first(path)
    cube = io.read(path, energy_axis=2)
    assert cube.shape == (512, 3, 4)
    np.testing.assert_array_equal(cube.counts, np.moveaxis(expected.counts, 2, 0))


def test_detectors_are_summed_without_wrapping(tmp_path):
    path = tmp_path / "full.h5"
    with h5py.File(path, "w") as file:
        for letter in "abcd":
            file[f"MAPS_RAW/data_{letter}"] = np.full((512, 2, 2), 32767, dtype=np.int16)
    for budget in (None, 1):
        cube = io.read(path, memory_budget=budget)
        assert int(cube.counts[1, 1, 7]) == 4 * 32767


def test_every_row_of_the_table_has_a_builder(tmp_path):
    built = {builder(tmp_path / "one.h5").layout for builder in hdf5_files.BUILDERS}
    assert {layout.name for layout in LAYOUTS} == {"napari-xrf", *built}


def test_fly_scans_of_nanomax_take_their_places_from_the_file_of_the_sample(tmp_path):
    path = tmp_path / "scan_0192_xspress3_0000.hdf5"
    expected = hdf5_files.nanomax_fly(path)
    (tmp_path / "other.h5").write_bytes(b"no HDF5")
    for budget in (None, 1):
        assert_is(io.read(path, memory_budget=budget), expected)
    with h5py.File(tmp_path / "sample.h5", "a") as file:  # of another scan: as if there were none
        file.move("entry192", "entry193")
    alone = io.read(path)
    assert alone.pixel_size is None
    assert "all in one direction" in " ".join(alone.provenance.warnings)
