from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.scratch import SLAB
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation, Provenance, SpectralCube

EXCITATION = Excitation("tube", 50.0, "Rh", 51.5, 50.0, "helium", 142.5, "M4")


def small_cube(shape=(5, 7, 40), dtype=np.uint16, **changes) -> SpectralCube:
    counts = np.random.default_rng(3).poisson(2.0, shape).astype(dtype)
    return SpectralCube(counts, EnergyAxis(-0.1, 0.02, shape[2]), **changes)


@pytest.fixture
def full() -> SpectralCube:
    images = (
        AuxiliaryImage("BSE", np.arange(12, dtype=np.uint16).reshape(3, 4), (1.0, 2.0), (-3.0, 4.5)),
        AuxiliaryImage("video µ", np.zeros((2, 3, 3), dtype=np.uint8)),
    )
    return small_cube(
        name="pegmatite / 1",
        pixel_size=(4.0, 1 / 3),
        live_time=np.linspace(0.1, 0.2, 35).reshape(5, 7),
        excitation=EXCITATION,
        elements=("Fe", "Si"),
        images=images,
        provenance=Provenance("made", "synthetic", ("a", "b"), ("One thing to know.",)),
    )


def test_everything_is_read_back(tmp_path, full):
    path = tmp_path / "cube.h5"
    io.write(path, full)
    assert io.recognizes(path)
    for budget in (None, 1):
        back = io.read(path, memory_budget=budget)
        assert back.is_loaded == (budget is None)
        np.testing.assert_array_equal(np.asarray(back.counts[:, :, :]), full.counts)
        assert back.counts.dtype == full.counts.dtype
        np.testing.assert_array_equal(back.live_time, full.live_time)
        for field in ("energy", "name", "pixel_size", "excitation", "elements"):
            assert getattr(back, field) == getattr(full, field), field
        assert back.provenance == Provenance(str(path), "napari-xrf", ("a", "b"), ("One thing to know.",))
        for one, other in zip(back.images, full.images, strict=True):
            np.testing.assert_array_equal(one.data, other.data)
            assert (one.name, one.pixel_size, one.origin) == (other.name, other.pixel_size, other.origin)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(2, 30)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64]),
    axis=st.tuples(st.floats(-2, 2), st.floats(1e-4, 1)),
)
def test_any_shape_is_read_back(tmp_path, shape, dtype, axis):
    path = tmp_path / "cube.h5"
    most = min(np.iinfo(dtype).max, 2**48)  # what is more is no count, and cut
    counts = np.random.default_rng(1).integers(0, most, shape, dtype=dtype, endpoint=True)
    io.write(path, SpectralCube(counts, EnergyAxis(*axis, shape[2])))
    back = io.read(path)
    np.testing.assert_array_equal(back.counts, counts)
    assert back.counts.dtype == dtype
    assert back.energy == EnergyAxis(*axis, shape[2])


def test_a_lazy_cube_is_written_without_loading(tmp_path, full):
    first, second = tmp_path / "one.h5", tmp_path / "two.h5"
    io.write(first, full)
    lazy = io.read(first, memory_budget=1)
    io.write(second, lazy)
    np.testing.assert_array_equal(io.read(second).counts, full.counts)
    assert not lazy.is_loaded


def test_images_of_channels_in_a_scratch_file_are_read_without_all_spectra(tmp_path):
    cube = small_cube((4, 3, 300))
    io.write(tmp_path / "cube.h5", cube)
    counts = io.read(tmp_path / "cube.h5", memory_budget=1).load(1).counts
    assert counts.slab == SLAB < 300
    np.testing.assert_array_equal(counts[:, :, 290], cube.counts[:, :, 290])
    np.testing.assert_array_equal(counts[2, 1], cube.counts[2, 1])
    np.testing.assert_array_equal(counts, cube.counts)


def test_truth_is_read_back(tmp_path, full):
    labels = LabelMap(np.ones((5, 7), np.uint8), (LabelClass(1, "quartz", "SiO2"),), pixel_size=(1.0, 2.0))
    counts = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)
    maps = ElementMaps(("Fe K", "Ca K"), counts, np.sqrt(counts), "fit")
    truth = {
        "labels": labels,
        "element maps": maps,
        "thickness_um": np.arange(35.0).reshape(5, 7),
        "mask": np.eye(5, dtype=bool),
        "recipe": {"seed": 3, "minerals": ["quartz", "Ca µ"], "nested": {"x": None, "y": 0.1}},
        "seed": 7,
        "long": "x" * 100_000,
    }
    path = tmp_path / "cube.h5"
    io.write_cube(path, full, truth=truth)
    back = io.read_truth(path)
    assert set(back) == set(truth)
    np.testing.assert_array_equal(back["labels"].labels, labels.labels)
    assert back["labels"].classes == labels.classes
    np.testing.assert_array_equal(back["element maps"].counts, counts)
    assert back["element maps"].families == maps.families
    np.testing.assert_array_equal(back["thickness_um"], truth["thickness_um"])
    assert back["mask"].dtype == bool
    for name in ("recipe", "seed", "long"):
        assert back[name] == truth[name]
    assert io.read(path).shape == full.shape


def test_files_without_truth_say_so(tmp_path, full):
    io.write(tmp_path / "cube.h5", full)
    with pytest.raises(FileError, match="no truth"):
        io.read_truth(tmp_path / "cube.h5")


@pytest.mark.parametrize(
    "truth", [{"a/b": 1}, {"": 1}, {"f": lambda: 1}, {"a": object()}, {"t": np.array(["x"])}]
)
def test_truth_that_cannot_be_kept_is_refused(tmp_path, full, truth):
    with pytest.raises(InvalidInput):
        io.write_cube(tmp_path / "cube.h5", full, truth=truth)
    assert not list(tmp_path.iterdir())


def test_it_opens_as_nxdata(tmp_path, full):
    path = tmp_path / "cube.h5"
    io.write(path, full)
    with h5py.File(path) as file:
        group = file[file.attrs["default"]]
        group = group[group.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata"
        counts = group[group.attrs["signal"]]
        assert counts.attrs["interpretation"] == "spectrum"
        assert [group[name].shape[0] for name in group.attrs["axes"]] == list(counts.shape)
        np.testing.assert_allclose(group["energy"], full.energy.energies)
        assert group["energy"].attrs["units"] == "keV"
        assert counts.compression == "gzip"


def test_pymca_reads_it_as_a_stack(tmp_path, full):
    stack = pytest.importorskip("PyMca5.PyMcaIO.HDF5Stack1D")
    path = tmp_path / "cube.h5"
    io.write(path, full)
    read = stack.HDF5Stack1D([str(path)], {"y": ["/data/counts"], "x": [], "m": []}, scanlist=["/map"])
    np.testing.assert_array_equal(read.data, full.counts)


def test_cancelling_leaves_nothing(tmp_path, full):
    def cancel(done: int, total: int, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        io.write(tmp_path / "cube.h5", full, progress=cancel)
    assert not list(tmp_path.iterdir())


def test_progress_reaches_the_end(tmp_path):
    seen = []
    io.write(
        tmp_path / "c.h5",
        small_cube((40, 50, 16)),
        progress=lambda done, total, what: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (2000, 2000)


def test_other_suffixes_are_refused(tmp_path, full):
    with pytest.raises(InvalidInput, match=r"\.bcf"):
        io.write(tmp_path / "cube.bcf", full)


def test_a_cube_of_ours_that_was_tampered_with(tmp_path, full):
    path = tmp_path / "cube.h5"
    io.write(path, full)
    with h5py.File(path, "r+") as file:
        file["map"].attrs["excitation"] = "{not json"
    with pytest.raises(FileError, match="damaged map of ours"):
        io.read(path)


def test_fractions_of_counts_are_kept_on_the_whole(tmp_path):
    expected = np.random.default_rng(3).random((5, 4, 200)).astype(np.float32) * 0.2
    io.write(tmp_path / "ideal.h5", SpectralCube(expected, EnergyAxis(0.0, 0.02, 200)))
    again = np.asarray(io.read(tmp_path / "ideal.h5").counts)
    assert again.dtype.kind == "u"
    assert np.abs(again.cumsum(axis=2, dtype=float) - expected.cumsum(axis=2, dtype=float)).max() < 1.01
