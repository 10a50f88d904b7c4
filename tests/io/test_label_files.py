from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_xrf import io
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap

SUFFIXES = (".tif", ".h5", ".csv")
texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
sizes = st.floats(1e-3, 1e4, allow_nan=False)


@st.composite
def label_maps(draw) -> LabelMap:
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "u4", "u8"])))
    known = sorted(draw(st.sets(st.integers(1, 255), min_size=1, max_size=5)))
    classes = tuple(
        LabelClass(
            label,
            draw(texts),
            draw(texts),
            f"#{draw(st.integers(0, 0xFFFFFF)):06x}",
            draw(st.none() | st.floats(0.1, 25)),
        )
        for label in known
    )
    pick = st.sampled_from([0, *known])
    labels = np.array(
        draw(st.lists(pick, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])), dtype=dtype
    )
    confidence = draw(st.none() | st.floats(0, 1, width=32).map(lambda p: np.full(shape, p, np.float32)))
    return LabelMap(
        labels.reshape(shape), classes, confidence, draw(st.none() | st.tuples(sizes, sizes)), draw(texts)
    )


def assert_same(one: LabelMap, other: LabelMap) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.labels.dtype == other.labels.dtype
    assert one.classes == other.classes
    assert one.pixel_size == other.pixel_size
    assert one.source == other.source
    if one.confidence is None:
        assert other.confidence is None
    else:
        np.testing.assert_array_equal(one.confidence, other.confidence)
        assert other.confidence.dtype == np.float32


@pytest.fixture
def rock() -> LabelMap:
    labels = np.arange(12, dtype=np.uint16).reshape(3, 4) % 3
    classes = (
        LabelClass(1, "quartz / opal", "SiO2", "#112233", 2.65),
        LabelClass(2, "unknown", color="#ffffff"),
        LabelClass(7, "Fe, “oxide”\u2009₃", "Fe2O3·0.5H2O"),
    )
    confidence = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    return LabelMap(labels, classes, confidence, (4.5, 1 / 3), "thin section")


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=label_maps())
def test_what_is_written_is_read_back(tmp_path, suffix, labels):
    path = tmp_path / f"labels{suffix}"
    io.write(path, labels)
    assert io.is_label_file(path)
    assert io.recognizes(path)
    assert_same(labels, io.read_labels(path))


def test_other_programs_see_plain_labels_and_the_pixel_size(tmp_path, rock):
    path = tmp_path / "labels.tif"
    io.write(path, rock)
    plain = tifffile.imread(path)
    np.testing.assert_array_equal(plain, rock.labels)
    assert plain.dtype.kind == "u"
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        across, along = tags["XResolution"].value, tags["YResolution"].value
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
    assert 1e4 * across[1] / across[0] == pytest.approx(1 / 3, rel=1e-6)
    assert 1e4 * along[1] / along[0] == pytest.approx(4.5, rel=1e-6)


def test_hdf5_labels_are_nxdata(tmp_path, rock):
    import h5py

    path = tmp_path / "labels.h5"
    io.write(path, rock)
    with h5py.File(path) as file:
        group = file[file.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata"
        np.testing.assert_array_equal(group[group.attrs["signal"]], rock.labels)
        assert [group[axis].shape[0] for axis in group.attrs["axes"]] == [3, 4]
        assert group["y"][1] == 4.5


def test_labels_are_no_spectra(tmp_path, rock):
    path = tmp_path / "labels.h5"
    io.write(path, rock)
    with pytest.raises(FileError, match="label map, not spectra"):
        io.read(path)


def test_labels_painted_elsewhere_are_read(tmp_path):
    path = tmp_path / "painted.tif"
    tifffile.imwrite(path, np.array([[0, 5], [9, 5]], dtype=np.int32))
    labels = io.read_labels(path)
    assert [entry.name for entry in labels.classes] == ["class 5", "class 9"]
    assert not io.is_label_file(path)
    assert not io.recognizes(path)


def test_pictures_are_no_labels(tmp_path):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, np.zeros((4, 5, 3), dtype=np.uint8), photometric="rgb")
    with pytest.raises(FileError, match="not labels"):
        io.read_labels(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_file_gives_one_clear_error(tmp_path, rock, suffix, share):
    path = tmp_path / f"labels{suffix}"
    io.write(path, rock)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileError, match="labels"):
        io.read_labels(path)
    io.recognizes(path)  # must not raise


def test_a_table_with_the_byte_order_mark_of_a_spreadsheet(tmp_path, rock):
    path = tmp_path / "labels.csv"
    io.write(path, rock)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert io.is_label_file(path)
    np.testing.assert_array_equal(io.read_labels(path).labels, rock.labels)


def test_changed_tables_are_refused(tmp_path, rock):
    path = tmp_path / "labels.csv"
    io.write(path, rock)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("0,1,1,", "0,1,4,"), encoding="utf-8")
    with pytest.raises(FileError, match="stand in no class"):
        io.read_labels(path)


def test_unknown_suffixes_are_refused(tmp_path, rock):
    with pytest.raises(InvalidInput, match="png"):
        io.write(tmp_path / "labels.png", rock)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path, rock):
    with pytest.raises(FileError, match="cannot write"):
        io.write(tmp_path / "nowhere" / "labels.tif", rock)


def test_a_failed_write_leaves_the_old_file(tmp_path, rock):
    path = tmp_path / "labels.tif"
    io.write(path, rock)
    before = path.read_bytes()
    huge = LabelMap(np.full((1, 1), 2**40, dtype=np.uint64), (LabelClass(2**40, "far"),))
    with pytest.raises(InvalidInput, match="do not fit"):
        io.write(path, huge)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["labels.tif"]


def test_files_that_claim_more_than_they_hold(tmp_path):
    import h5py

    path = tmp_path / "bomb.labels.h5"
    io.write(path, LabelMap(np.ones((3, 4), np.uint8), (LabelClass(1, "quartz"),)))
    with h5py.File(path, "r+") as file:
        del file["labels/labels"]
        file.create_dataset("labels/labels", (60_000, 60_000), np.uint8, chunks=(1000, 1000))
    with pytest.raises(FileError, match="claims"):
        io.read_labels(path)
    with h5py.File(path, "r+") as file:
        file["labels"].move("labels", "many")
        file["labels/labels"] = np.ones((3, 4), np.uint8)
        del file["labels/classes/name"]
        file.create_dataset("labels/classes/name", (10**8,), np.uint8, chunks=(10**6,))
    with pytest.raises(FileError, match="claims"):
        io.read_labels(path)
