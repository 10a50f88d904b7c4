"""HDF5 files of no known layout, damaged, hostile, or with values that are no counts."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest

import hdf5_files
from measured import measured_file
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5 import heaps


@pytest.fixture
def unknown(tmp_path):
    path = tmp_path / "unknown.h5"
    counts = hdf5_files.spectra(1)
    with h5py.File(path, "w") as file:
        file["lab/run/raw"] = counts
        file["lab/run/first"] = np.moveaxis(counts, 2, 0)
        file["lab/run/four"] = np.stack([counts, counts])
        file["lab/picture"] = np.zeros((8, 8))
        file["lab/again"] = h5py.SoftLink("/lab/run")
        file["lab/run/up"] = h5py.SoftLink("/lab")  # a loop
        file["lab/words"] = ["a", "b"]
    return path, counts


def test_an_unknown_layout_offers_its_datasets(unknown):
    path, _ = unknown
    assert not io.recognizes(path)
    found = {choice.path: (choice.shape, choice.energy_axis) for choice in io.list_datasets(path)}
    assert set(found.values()) == {((3, 4, 512), 2), ((512, 3, 4), 0), ((2, 3, 4, 512), 3)}
    with pytest.raises(FileError, match="Choose a dataset") as error:
        io.read(path)
    assert "raw" in str(error.value)


def test_a_chosen_dataset_is_read(unknown):
    path, counts = unknown
    np.testing.assert_array_equal(io.read(path, dataset="/lab/run/raw").counts, counts)
    np.testing.assert_array_equal(io.read(path, dataset="lab/run/first").counts, counts)
    turned = io.read(path, dataset="/lab/run/raw", energy_axis=0)
    np.testing.assert_array_equal(turned.counts, np.moveaxis(counts, 0, -1))
    four = io.read(path, dataset="/lab/run/four")
    np.testing.assert_array_equal(four.counts, 2 * counts)
    assert "detectors" in " ".join(four.provenance.warnings)
    one = io.read(path, dataset="/lab/run/four", detector=1)
    np.testing.assert_array_equal(one.counts, counts)
    assert "No energy calibration" in " ".join(one.provenance.warnings)


def test_a_scan_of_many_can_be_chosen(tmp_path):
    path = tmp_path / "scans.h5"
    first, second = hdf5_files.spectra(1), hdf5_files.spectra(2)
    with h5py.File(path, "w") as file:
        for name, title, counts in (
            ("2.1", "amesh a 0 3 3 b 0 2 2 1", first),
            ("10.1", "fscan2d b 0 1 3 a 0 1 4 0.1 0.2", second),
        ):
            file[f"{name}/title"] = title
            file[f"{name}/measurement/mca"] = counts.reshape(12, -1)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, first)
    assert "also holds 10.1" in " ".join(cube.provenance.warnings)
    np.testing.assert_array_equal(io.read(path, dataset="/10.1/measurement/mca").counts, second)
    in_one_row = io.read(path, dataset="/10.1/measurement/mca", energy_axis=1)
    assert in_one_row.map_shape == (1, 12)


def test_an_energy_dataset_names_the_axis(tmp_path):
    path = tmp_path / "u.h5"
    with h5py.File(path, "w") as file:
        file["a/map"] = np.zeros((300, 400, 5), np.uint16)
        file["a/energy"] = 0.05 * np.arange(300)
    assert io.list_datasets(path)[0].energy_axis == 0
    cube = io.read(path, dataset="/a/map")
    assert cube.shape == (400, 5, 300)
    assert cube.energy == EnergyAxis(0.0, 0.05, 300)


def test_wrong_choices_are_explained(unknown):
    path, _ = unknown
    with pytest.raises(InvalidInput, match=r"no dataset 'nowhere'.*Choose one of"):
        io.read(path, dataset="nowhere")
    with pytest.raises(InvalidInput, match="no axis 3"):
        io.read(path, dataset="/lab/run/raw", energy_axis=3)
    with pytest.raises(InvalidInput, match="no spectral map"):
        io.read(path, dataset="/lab/words")


def test_the_energy_axis_can_be_replaced(tmp_path):
    path = tmp_path / "p.h5"
    hdf5_files.pymca_stack(path)
    axis = EnergyAxis(-0.02, 0.0125, 512)
    cube = io.read(path, energy=axis)
    assert cube.energy == axis
    assert not any("No energy calibration" in text for text in cube.provenance.warnings)
    with pytest.raises(InvalidInput, match="does not fit"):
        io.read(path, energy=EnergyAxis(0, 0.01, 511))


def test_movies_and_pictures_are_left_to_other_readers(tmp_path):
    path = tmp_path / "movie.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((30, 512, 512), np.uint8)
        group = file.create_group("entry/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "images"})
        group["images"] = np.zeros((30, 300, 300), np.uint8)
    assert not io.recognizes(path)
    empty = tmp_path / "empty.h5"
    h5py.File(empty, "w").close()
    assert not io.recognizes(empty)
    with pytest.raises(FileError, match="no spectral map"):
        io.read(empty)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_gives_one_clear_error(tmp_path, share):
    path = tmp_path / "cut.h5"
    hdf5_files.gse(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert not io.recognizes(path)
    with pytest.raises(FileError, match=r"cut\.h5"):
        io.read(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path):
    path = tmp_path / "flipped.h5"
    hdf5_files.maps_raw(path)
    whole = bytearray(path.read_bytes())
    generator = np.random.default_rng(7)
    for _ in range(60):
        damaged = bytearray(whole)
        for at in generator.integers(0, len(whole), 20):
            damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        io.recognizes(path)
        with contextlib.suppress(FileError, InvalidInput):
            io.read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_what_is_no_hdf5(tmp_path, content):
    path = tmp_path / "text.h5"
    path.write_bytes(content)
    assert not io.recognizes(path)
    with pytest.raises(FileError, match=r"text\.h5"):
        io.read(path)


def test_links_to_nowhere_name_the_missing_file(tmp_path):
    path = tmp_path / "master.h5"
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = h5py.ExternalLink("raw_0001.h5", "/data")
        file["loop"] = h5py.SoftLink("/loop")
        file["soft"] = h5py.SoftLink("/nowhere")
    assert not io.recognizes(path)
    with pytest.raises(FileError, match=r"raw_0001\.h5"):
        io.read(path)


def test_external_links_are_followed(tmp_path):
    counts = hdf5_files.spectra(1)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["deep/down"] = counts
    path = tmp_path / "master.h5"
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = h5py.ExternalLink("raw.h5", "/deep/down")
    np.testing.assert_array_equal(io.read(path).counts, counts)
    np.testing.assert_array_equal(io.read(path, memory_budget=1).counts[1], counts[1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_link_to_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    path = tmp_path / "master.h5"
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = h5py.ExternalLink("pipe.h5", "/data")
    with pytest.raises(FileError, match="pipe"):
        io.read(path)
    with pytest.raises(FileError, match="regular file"):
        io.read(tmp_path / "pipe.h5")


def test_missing_parts_of_a_virtual_dataset_are_no_zeros(tmp_path):
    counts = hdf5_files.spectra(1)
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["counts"] = counts
    layout = h5py.VirtualLayout(counts.shape, counts.dtype)
    layout[:] = h5py.VirtualSource("part.h5", "counts", counts.shape)
    path = tmp_path / "master.h5"
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("xrfmap/detsum/counts", layout)
    np.testing.assert_array_equal(io.read(path).counts, counts)
    (tmp_path / "part.h5").unlink()
    with pytest.raises(FileError, match=r"part\.h5, which is not there"):
        io.read(path)


def test_huge_claims_are_refused(tmp_path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("dataset_1", shape=(2000, 2000, 4096), dtype="u4", chunks=(1, 100, 4096))
    with pytest.raises(FileError, match="claims"):
        io.read(path)


def test_empty_and_wordy_datasets_are_refused(tmp_path):
    path = tmp_path / "none.h5"
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = np.zeros((0, 4, 512), np.uint16)
    with pytest.raises(FileError, match="empty"):
        io.read(path)
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = np.full((1, 1, 1), b"x")
    with pytest.raises(FileError):
        io.read(path)


@pytest.mark.parametrize("budget", [None, 1])
def test_values_that_are_no_counts_are_mended_and_told(tmp_path, budget):
    path = tmp_path / "p.h5"
    stored = np.full((2, 3, 300), 2.0, dtype=np.float32)
    stored[0, 0, :4] = [np.nan, np.inf, -3, 5]
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = stored
    cube = io.read(path, memory_budget=budget)
    assert cube.counts[0, 0][:5].tolist() == [0, 0, 0, 5, 2]
    told = " ".join(cube.provenance.warnings)
    assert "1 negative" in told
    assert "2 values" in told
    assert "not finite" in told


@pytest.mark.parametrize("budget", [None, 1])
def test_corrected_counts_keep_their_sums(tmp_path, budget):
    path = tmp_path / "p.h5"
    generator = np.random.default_rng(2)
    stored = generator.poisson(0.7, (40, 50, 300)) * generator.uniform(1, 1.4, (40, 50, 1))
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = stored.astype(np.float32)
    cube = io.read(path, memory_budget=budget)
    counts = np.asarray(cube.counts[:, :, :]).astype(float)
    assert "not whole" in " ".join(cube.provenance.warnings)
    assert np.abs(counts[:, :, 50:200].sum(axis=2) - stored[:, :, 50:200].sum(axis=2)).max() <= 1.001
    # Unbiased in each channel: the 2000 pixels' rounding errors average out.
    assert np.abs(counts.mean(axis=(0, 1)) - stored.mean(axis=(0, 1))).max() < 0.04
    np.testing.assert_array_equal(cube.counts[3, 5], counts[3, 5])
    np.testing.assert_array_equal(cube.counts[:, :, 77], counts[:, :, 77])


def test_reading_can_be_cancelled(tmp_path):
    path = tmp_path / "c.h5"
    hdf5_files.maps_raw(path)

    def cancel(done: int, total: int, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        io.read(path, progress=cancel)


def test_a_replaced_file_is_noticed(tmp_path):
    path = tmp_path / "c.h5"
    hdf5_files.gse(path)
    cube = io.read(path, memory_budget=1)
    hdf5_files.pyxrf(path)
    with pytest.raises(FileError, match="has changed"):
        cube.counts[0]


def test_a_file_that_is_open_elsewhere_in_this_program_is_read(tmp_path):
    path = tmp_path / "c.h5"
    expected = hdf5_files.gse(path)
    with h5py.File(path):
        np.testing.assert_array_equal(io.read(path).counts, expected.counts)


def test_lazy_files_are_not_locked(tmp_path):
    path = tmp_path / "c.h5"
    hdf5_files.gse(path)
    cube = io.read(path, memory_budget=1)
    cube.counts[0]
    with h5py.File(path, "r+"):
        pass
    path.rename(tmp_path / "d.h5")


@pytest.mark.parametrize(
    ("name", "layout", "shape", "total", "axis", "pixel_size"),
    [
        ("2xfm_0011_2xfm3__0.h5", "MAPS raw", (11, 9, 2048), 295_352, (-0.0041840752, 0.0095216077), None),
        (
            "APS_2IDE_2xfm_0010_11x11x2000_sum4.h5",
            "NeXus",
            (11, 11, 2000),
            317_170,
            (-0.0041840752, 0.0095216077),
            (50.0, 50.0),
        ),
        ("GeoPIXE_ts2_10x20x4096.h5", "NeXus", (10, 20, 4096), 1_777_000, (0.0, 0.01), (28.5, 28.5)),
        ("SiO2_EDS_SI.hspy", "HyperSpy", (128, 128, 2048), 823_049, (0.0, 0.01), (0.008552446, 0.008552446)),
        ("EDS_SEM_TM002.hspy", "HyperSpy", (1, 1, 1024), 1_000_279, (-0.1, 0.01), None),
        ("i18_test_data.nxs", "Diamond I18", (2, 2, 4096), 242_498, (0.0, 0.01), None),
        ("mm.nxs", "NXfluo", (4, 2, 4096), 298_945, (0.0, 0.01), (5.0, 1.98019802)),
        ("fluo.nxs", "NXfluo", (4, 2, 4096), 298_945, (0.0, 0.02), None),
    ],
)
def test_measured_maps(name, layout, shape, total, axis, pixel_size):
    cube = io.read(measured_file(f"hdf5/{name}"))
    assert cube.provenance.layout == layout
    assert cube.shape == shape
    # Dead-time corrected values are made whole in each of the few pixels.
    assert abs(int(cube.counts.sum(dtype=np.uint64)) - total) <= (shape[0] * shape[1] if shape[0] < 5 else 0)
    assert (cube.energy.offset, cube.energy.width) == pytest.approx(axis, rel=1e-7)
    assert cube.pixel_size == (None if pixel_size is None else pytest.approx(pixel_size, rel=1e-6))


def test_measured_detectors_sum_up():
    for name, count in (("2xfm_0011_2xfm3__0.h5", 4), ("GeoPIXE_ts2_10x20x4096.h5", 2)):
        path = measured_file(f"hdf5/{name}")
        together = io.read(path)
        assert len(together.provenance.detectors) == count
        alone = sum(
            io.read(path, detector=one).counts.astype(np.int64) for one in together.provenance.detectors
        )
        np.testing.assert_array_equal(together.counts, alone)


def test_measured_override_gives_beam_and_elements():
    cube = io.read(measured_file("hdf5/2xfm_0011_2xfm3__0.h5"))
    assert (cube.excitation.kind, cube.excitation.energy_kev) == ("monochromatic", 10.0)
    assert cube.elements[:3] == ("Si", "P", "S")
    assert cube.live_time.mean() == pytest.approx(0.578, abs=1e-3)
    # The highest peak is the air's argon, Kα 2.957 keV, and nothing lies above the scatter of the beam.
    spectrum = cube.sum_spectrum()
    assert float(cube.energy.energy(int(np.argmax(spectrum)))) == pytest.approx(2.957, abs=0.01)
    assert spectrum[cube.energy.window(10.5, 20)].sum() < 3e-3 * spectrum.sum()


def test_a_stored_axis_that_contradicts_the_beam_is_told():
    told = " ".join(io.read(measured_file("hdf5/fluo.nxs")).provenance.warnings)
    assert "lie above the beam's 17 keV" in told
    assert "lie above" not in " ".join(io.read(measured_file("hdf5/mm.nxs")).provenance.warnings)


def test_a_map_is_chosen_by_its_number_and_the_default_is_heeded(tmp_path):
    path = tmp_path / "two.nxs"
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry2"
        for number in (1, 2):
            group = file.create_group(f"entry{number}/data")
            group.attrs.update({"signal": "counts", "axes": ["y", "x", "energy"]})
            group["counts"] = hdf5_files.spectra(number)
            group["energy"] = number * 0.01 * np.arange(512)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, hdf5_files.spectra(2))
    assert "also holds entry1/data/counts (map 0)" in " ".join(cube.provenance.warnings)
    first = io.read(path, map=0)
    np.testing.assert_array_equal(first.counts, hdf5_files.spectra(1))
    assert first.energy.width == pytest.approx(0.01)
    assert not first.provenance.warnings
    with pytest.raises(InvalidInput, match="no map 2"):
        io.read(path, map=2)


@pytest.mark.parametrize(
    ("coefficients", "expected", "told"),
    [
        ([0.0, 10.0, 0.0], (0.0, 0.01), "taken as eV"),
        ([-95.0, 12.5, 0.0], (-0.095, 0.0125), "taken as eV"),
        ([0.0, 1.0, 0.0], (0.0, 0.01), "only numbers the channels"),
        ([0.0, 0.0, 0.0], (0.0, 0.01), "no energy axis of X-rays"),
        ([5.0, -0.01, 0.0], (0.0, 0.01), "no energy axis of X-rays"),
        ([-50.0, 0.01, 0.0], (0.0, 0.01), "no energy axis of X-rays"),
        ([0.0, np.nan, 0.0], (0.0, 0.01), "not finite"),
    ],
)
def test_coefficients_are_checked(tmp_path, coefficients, expected, told):
    path = tmp_path / "p.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("stack/instrument/detector_00")
        group["data"] = hdf5_files.spectra(1)
        group["calibration"] = coefficients
    cube = io.read(path)
    assert (cube.energy.offset, cube.energy.width) == pytest.approx(expected)
    assert told in " ".join(cube.provenance.warnings)
    given = io.read(path, energy=(0.1, 0.02))
    assert (given.energy.offset, given.energy.width) == (0.1, 0.02)
    assert told not in " ".join(given.provenance.warnings)
    assert io.read(path, energy=0.03 * np.arange(512)).energy.width == pytest.approx(0.03)


@pytest.mark.parametrize("budget", [None, 1])
def test_large_and_small_floats_are_kept(tmp_path, budget):
    path = tmp_path / "f.h5"
    stored = hdf5_files.spectra(1).astype(np.float64)
    for factor in (2.0**36, 1e-6):
        with h5py.File(path, "w") as file:
            file["xrfmap/detsum/counts"] = stored * factor
        cube = io.read(path, memory_budget=budget)
        counts = np.asarray(cube.counts[:, :, :])
        if factor > 1:
            assert counts.sum(dtype=np.float64) == pytest.approx(stored.sum() * factor, rel=1e-6)
        else:
            np.testing.assert_array_equal(counts, stored)
            assert "multiplied by 1e+06" in " ".join(cube.provenance.warnings)


def test_a_stopped_scan_is_told_of(tmp_path):
    path = tmp_path / "s.h5"
    counts = hdf5_files.spectra(1)
    counts[1:] = 0
    with h5py.File(path, "w") as file:
        file["xrfmap/detsum/counts"] = counts
    for budget in (None, 1):
        told = " ".join(io.read(path, memory_budget=budget).provenance.warnings)
        assert "The last 2 of 3 rows hold no counts" in told


def test_links_and_virtual_parts_that_moved_with_their_master(tmp_path):
    counts = hdf5_files.spectra(1)
    folder = tmp_path / "moved"
    folder.mkdir()
    with h5py.File(folder / "raw.h5", "w") as file:
        file["counts"] = counts
    layout = h5py.VirtualLayout(counts.shape, counts.dtype)
    layout[:] = h5py.VirtualSource("/gone/raw.h5", "counts", counts.shape)
    with h5py.File(folder / "linked.h5", "w") as file:
        file["xrfmap/detsum/counts"] = h5py.ExternalLink("/gone/far/raw.h5", "/counts")
    with h5py.File(folder / "virtual.h5", "w") as file:
        file.create_virtual_dataset("xrfmap/detsum/counts", layout)
    (tmp_path / "symlink.h5").symlink_to(folder / "linked.h5")
    for path in (folder / "linked.h5", folder / "virtual.h5", tmp_path / "symlink.h5"):
        np.testing.assert_array_equal(io.read(path).counts, counts)


def test_a_virtual_dataset_made_of_itself_is_refused(tmp_path):
    path = tmp_path / "v.h5"
    layout = h5py.VirtualLayout((3, 4, 512), np.uint16)
    layout[:] = h5py.VirtualSource(".", "xrfmap/detsum/counts", (3, 4, 512))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("xrfmap/detsum/counts", layout)
    with pytest.raises(FileError, match="made of itself"):
        io.read(path)


def test_a_file_that_is_being_written_is_read(tmp_path):
    path = tmp_path / "growing.h5"
    code = (
        "import h5py, sys\n"
        f"file = h5py.File({str(path)!r}, 'w', libver='latest')\n"
        "data = file.create_dataset('xrfmap/detsum/counts', data=[[[1] * 512] * 4] * 3, chunks=(1, 4, 512),\n"
        "                           maxshape=(None, 4, 512))\n"
        "file.swmr_mode = True\ndata.flush()\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "data.resize(5, axis=0)\ndata[3:] = 1\ndata.flush()\nprint('grown', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "ready"
        assert int(io.read(path).counts.sum()) == 3 * 4 * 512
        assert writer.stdin is not None
        print(file=writer.stdin, flush=True)
        assert writer.stdout.readline().strip() == "grown"
        assert io.read(path).counts.shape == (5, 4, 512)
        writer.communicate("")


def test_scans_beside_each_other_are_not_summed(tmp_path):
    path = tmp_path / "soleil.nxs"
    with h5py.File(path, "w") as file:
        for scan in (1, 2):
            for channel in (0, 1):
                counts = hdf5_files.spectra(scan + 10 * channel)
                file[f"scan_{scan:04d}/scan_data/channel{channel:02d}"] = counts
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, hdf5_files.spectra(1) + hdf5_files.spectra(11))
    assert cube.provenance.detectors == ("channel00", "channel01")
    assert "also holds scan_0002" in " ".join(cube.provenance.warnings)
    np.testing.assert_array_equal(io.read(path, map=1).counts, hdf5_files.spectra(2) + hdf5_files.spectra(12))


def _virtual(path, sources: dict[str, str], unlimited: bool = False) -> None:
    """Write maps whose counts are those of the named files' maps, {file: source}."""
    for name, source in sources.items():
        with h5py.File(path / name, "w") as file:
            most = (None, 2, 64) if unlimited else None
            layout = h5py.VirtualLayout((2, 2, 64), "u2", maxshape=most)
            inner = h5py.VirtualSource(source, "/xrfmap/detsum/counts", shape=(2, 2, 64), maxshape=most)
            every = slice(0, h5py.h5s.UNLIMITED) if unlimited else slice(None)
            if "%b" in source:
                inner = h5py.VirtualSource(source, "/xrfmap/detsum/counts", shape=(1, 2, 64))
                layout[every] = inner
            else:
                layout[every] = inner[every]
            file.create_group("xrfmap/detsum").create_virtual_dataset("counts", layout)


@pytest.mark.parametrize(
    ("sources", "unlimited"),
    [
        ({"a0.h5": "."}, False),
        ({"a0.h5": "a0.h5"}, True),
        ({"a0.h5": "b.h5", "b.h5": "c.h5", "c.h5": "a0.h5"}, False),
        ({"a0.h5": "a%b.h5"}, True),
    ],
)
def test_virtual_maps_made_of_themselves_are_refused(tmp_path, sources, unlimited):
    _virtual(tmp_path, sources, unlimited)
    with pytest.raises(FileError, match="made of itself"):
        io.read(tmp_path / "a0.h5")


@pytest.mark.parametrize(
    ("place", "wrong"), [("raw.bin", ""), ("../raw.bin", "outside"), ("none", "not there")]
)
def test_values_in_raw_files_are_read_from_the_files_own_folder_only(tmp_path, place, wrong):
    folder = tmp_path / "maps"
    folder.mkdir()
    for raw in (folder / "raw.bin", tmp_path / "raw.bin"):
        raw.write_bytes(np.ones(2 * 2 * 64, np.uint16).tobytes())
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("xrfmap/detsum/counts", (2, 2, 64), "u2", external=[(place, 0, 512)])
    if wrong:
        with pytest.raises(FileError, match=wrong):
            io.read(folder / "a.h5")
    else:
        assert io.read(folder / "a.h5").sum_spectrum().sum() == 256


def test_texts_that_hdf5_would_read_for_ever_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(heaps, "_SECONDS", 2.0)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["signal"] = "a text"
        file.create_group("entry").attrs["NX_class"] = "NXentry"
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL") + 16
    data[at : at + 16] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(FileError, match="texts cannot be read"):
        io.read(path)
    assert not io.recognizes(path)


def test_texts_are_tried_though_something_else_is_damaged_too(tmp_path):
    path = tmp_path / "a.h5"
    hdf5_files.nexus(path)
    with h5py.File(path, "r+") as file:
        file["a"] = np.zeros(3)
        header = h5py.h5o.get_info(file["a"].id).addr
    data = bytearray(path.read_bytes())
    data[header] = 99  # a version that there is not
    at = data.index(b"GCOL") + 16
    data[at : at + 16] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(FileError, match="texts cannot be read"):
        io.read(path)


def test_texts_of_a_damaged_type_are_not_read(tmp_path):
    """HDF5 ends the program where values of any length are neither lists nor texts."""
    path = tmp_path / "a.h5"
    expected = hdf5_files.nexus(path)
    with h5py.File(path, "r+") as file:
        file["entry/title"] = "a name of any length"
    whole, text = path.read_bytes(), bytes.fromhex("1901010010000000")
    assert whole.count(text) > 1
    path.write_bytes(whole.replace(text, bytes.fromhex("1909010010000000")))
    # Without the texts that name them, the counts are those with energies beside.
    np.testing.assert_array_equal(io.read(path).counts, expected.counts)
    with hdf5_file.opened(path) as file:
        assert hdf5_file.attribute(file["entry/data"], "signal", "none") == "none"
        assert hdf5_file.number_of(file["entry/title"]) is None
    with pytest.raises(FileError, match="neither numbers nor texts"), hdf5_file.opened(path) as file:
        hdf5_file.text_of(file["entry/title"])


@pytest.mark.parametrize("piece", [8, 9, 64, 100, 2**20])
def test_collections_of_texts_are_found_wherever_a_piece_ends(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(heaps, "_PIECE", piece)
    body = b"".join(heaps._COLLECTION + (40 + at).to_bytes(8, "little") + bytes([at]) * 30 for at in range(9))
    (tmp_path / "a").write_bytes(b"GCOL" + body)
    found = list(heaps._collections(tmp_path / "a"))
    starts = [4 + 46 * at for at in range(9)]
    assert found == [(b"GCOL" + body)[start : start + 40 + at] for at, start in enumerate(starts)]


def test_texts_that_are_left_over_do_not_matter(tmp_path):
    path = tmp_path / "a.h5"
    hdf5_files.nexus(path)
    with path.open("ab") as handle:
        handle.write(b"GCOL\1\0\0\0" + (4096).to_bytes(8, "little") + bytes(4080))
    assert io.read(path).sum_spectrum().sum() > 0


def test_a_dataset_that_stores_less_than_it_claims_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    expected = hdf5_files.pymca_bare(path)
    size = struct.pack("<Q", expected.counts.nbytes)
    assert path.read_bytes().count(size) == 1
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<Q", expected.counts.nbytes - 600)))
    with pytest.raises(FileError, match="stores fewer than its"):
        io.read(path)


@pytest.mark.parametrize("budget", [None, 1])
def test_one_of_repeated_scans_of_an_area_is_chosen(tmp_path, budget):
    path, counts = tmp_path / "heights.nxs", np.random.default_rng(1).poisson(1.0, (3, 4, 5, 512))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"signal": "data", "axes": ["height", "y", "x", "energy"]})
        group["data"], group["energy"] = counts, 0.01 * np.arange(512)
        for name, step, size in (("y", 3.0, 4), ("x", 2.0, 5)):
            group[name] = step * np.arange(size)
            group[name].attrs["units"] = "um"
    whole = io.read(path, memory_budget=budget)
    np.testing.assert_array_equal(whole.counts[:], counts.reshape(12, 5, 512))
    assert "holds 3 scans" in " ".join(whole.provenance.warnings)
    for number in range(3):
        one = io.read(path, map=number, memory_budget=budget)
        np.testing.assert_array_equal(one.counts[:], counts[number])
        np.testing.assert_array_equal(one.sum_spectrum(), counts[number].sum(axis=(0, 1)))
        assert one.pixel_size == (3.0, 2.0)
        assert not one.provenance.warnings
    with pytest.raises(InvalidInput, match="no map 3"):
        io.read(path, map=3, memory_budget=budget)


def nexus_map(path, axes, **fields):
    counts = np.arange(4 * 6 * 1024, dtype=np.uint16).reshape(4, 6, 1024) % 7
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        data.attrs["signal"] = "data"
        if axes:
            data.attrs["axes"] = axes
        data["data"] = counts
        for name, (values, units) in fields.items():
            data[name] = values
            data[name].attrs["units"] = units
    return counts


def test_axes_that_a_map_names_make_no_detectors_of_its_columns(tmp_path):
    """The frames of an Xspress3 detector stand at the same place, with detectors before the channels."""
    places = {"x": (np.arange(6) * 3.0, "um"), "y": (np.arange(4) * 2.0, "um")}
    counts = nexus_map(tmp_path / "map.nxs", ["y", "x", "channel"], **places)
    cube = io.read(tmp_path / "map.nxs")
    np.testing.assert_array_equal(cube.counts, counts)
    assert cube.pixel_size == (2.0, 3.0)
    nexus_map(tmp_path / "waves.nxs", ["y", "x", "wavelength"], **places)
    with pytest.raises(FileError, match="no known layout"):
        io.read(tmp_path / "waves.nxs")


def test_axes_without_a_name_are_told_of(tmp_path):
    path = tmp_path / "map.nxs"
    counts = nexus_map(path, None)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0], counts.sum(axis=1))
    told = [note for note in cube.provenance.warnings if "--dataset /entry/data/data" in note]
    assert len(told) == 1
    np.testing.assert_array_equal(io.read(path, dataset="/entry/data/data").counts, counts)


@pytest.mark.parametrize(("value", "units"), [(500.0, "ms"), (0.5, "s"), (5e5, "µs"), (0.5, "")])
def test_live_times_in_their_unit(tmp_path, value, units):
    nexus_map(
        tmp_path / "map.nxs",
        ["y", "x", "energy"],
        energy=(np.arange(1024) * 0.01, "keV"),
        live_time=(np.full((4, 6), value), units),
    )
    np.testing.assert_allclose(io.read(tmp_path / "map.nxs").live_time, 0.5)


def test_a_map_without_counts_says_so(tmp_path):
    path = tmp_path / "dark.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = np.zeros((3, 4, 512), np.uint16)
    cube = io.read(path, dataset="counts", energy=(0, 0.01))
    assert "The map holds no counts." in cube.provenance.warnings


CURVE = (
    0.02 + 0.0098 * np.arange(512) + 4e-7 * np.arange(512.0) ** 2
)  # keV; 5 channels beside a straight line


def map_over(path, counts, energies) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        data = file.create_group("entry/data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]})
        data["counts"], data["energy"] = counts, energies
        data["energy"].attrs["units"] = "keV"


def test_counts_of_a_curved_axis_are_moved_to_an_even_one(tmp_path):
    path = tmp_path / "curved.h5"
    counts = np.zeros((3, 4, 512), dtype=np.uint16)
    at = [60, 250, 440]
    counts[..., at] = 1000 * np.arange(1, 13).reshape(3, 4, 1)
    map_over(path, counts, CURVE)
    cube = io.read(path)
    assert "curved, by up to" in cube.provenance.warnings[0]
    np.testing.assert_array_equal(cube.counts.sum(axis=2), counts.sum(axis=2))
    held = np.asarray(cube.sum_spectrum(), dtype=float)
    for energy in CURVE[at]:
        near = cube.energy.window(energy - 0.1, energy + 0.1)
        centre = np.average(cube.energy.energies[near], weights=held[near])
        assert centre == pytest.approx(energy, abs=0.2 * cube.energy.width)
    lazy = io.read(path, memory_budget=1000)
    assert not isinstance(lazy.counts, np.ndarray)
    np.testing.assert_array_equal(np.asarray(lazy.counts[1:, 1:3]), cube.counts[1:, 1:3])
    given = io.read(path, energy=(0, 0.01))
    np.testing.assert_array_equal(given.counts, counts)
    assert not any("curved" in text for text in given.provenance.warnings)


@pytest.mark.parametrize(
    "mark", [np.uint64(2**64 - 1), np.uint32(2**32 - 1), np.int32(-1), np.float32("nan")]
)
@pytest.mark.parametrize("budget", [None, 1000])
def test_what_marks_no_measurement_is_no_count(tmp_path, mark, budget):
    path = tmp_path / "marked.h5"
    counts = hdf5_files.spectra(1)
    stored = counts.astype(mark.dtype)
    stored[1, 2] = mark
    map_over(path, stored, 0.01 * np.arange(stored.shape[2]))
    counts[1, 2] = 0
    cube = io.read(path, memory_budget=budget)
    np.testing.assert_array_equal(np.asarray(cube.counts[:]), counts)
    assert any("set to 0" in text for text in cube.provenance.warnings)
    with h5py.File(path, "r+") as file:  # the same pixel of another detector was measured
        del file["entry"]
        file["two"] = np.stack([stored, np.ones_like(stored)])
    summed = io.read(path, dataset="two", energy_axis=3, memory_budget=budget)
    np.testing.assert_array_equal(np.asarray(summed.counts[:]), counts + 1)


def test_a_map_that_promises_much_and_holds_nothing_takes_no_memory(tmp_path):
    path = tmp_path / "sparse.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("counts", (1000, 1000, 256), np.uint32, chunks=(50, 50, 256), compression="gzip")
    script = (
        "import resource, sys; from napari_xrf import io; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "io.read(sys.argv[1], dataset='counts', energy_axis=2, memory_budget=2**31); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500_000  # KiB, of 1 000 000


def test_rates_become_counts_by_the_live_time(tmp_path):
    path = tmp_path / "rates.h5"
    counts = hdf5_files.spectra(1)
    map_over(path, (counts / 0.37).astype(np.float32), 0.01 * np.arange(counts.shape[2]))
    with h5py.File(path, "r+") as file:
        file["entry/data/counts"].attrs["units"] = "counts/s"
    assert "tells no live time" in io.read(path).provenance.warnings[0]
    with h5py.File(path, "r+") as file:
        file["entry/data/live_time"] = np.full(counts.shape[:2], 0.37)
    for budget in (None, 1000):
        cube = io.read(path, memory_budget=budget)
        np.testing.assert_array_equal(np.asarray(cube.counts[:]), counts)
        assert cube.provenance.warnings[0].endswith("were multiplied by the live time, 0.37 s.")
