"""ESRF's EDF series, files that only RosettaSciIO reads, and Bruker detectors with axes of their own."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import hdf5_files
from bruker_files import write_bcf
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from tia_files import ser_file


def write_edf(path, values: np.ndarray, offset: float = 0.0) -> None:
    head = f"{{\nByteOrder = LowByteFirst ;\nDataType = SignedInteger ;\nDim_1 = {values.shape[1]} ;\n"
    head += f"Dim_2 = {values.shape[0]} ;\nMCA a = {offset} ;\nMCA b = 0.01 ;\nMCA c = 0 ;\n"
    path.write_bytes(head.encode().ljust(510) + b"}\n" + values.astype("<i4").tobytes())


@pytest.fixture
def series(tmp_path):
    counts = np.random.default_rng(1).poisson(2, (2, 3, 4, 64))
    for detector in range(2):
        for row in range(3):
            write_edf(tmp_path / f"map_xia0{detector}_0001_0000_{row:04d}.edf", counts[detector, row])
    return tmp_path / "map_xia00_0001_0000_0000.edf", counts


def test_a_series_of_edf_files_is_a_map(series):
    path, counts = series
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, counts.sum(axis=0))
    assert cube.energy == EnergyAxis(0.0, 0.01, 64)
    assert (cube.name, cube.provenance.detectors) == ("map", ("00", "01"))
    assert io.recognizes(path)
    np.testing.assert_array_equal(io.read(path, detector="01").counts, counts[1])
    with pytest.raises(InvalidInput, match="no detector"):
        io.read(path, detector="07")


def test_rows_that_lack_or_were_stopped(series):
    path, counts = series
    (path.parent / "map_xia01_0001_0000_0001.edf").unlink()
    write_edf(path.parent / "map_xia01_0001_0000_0002.edf", counts[1, 2, :2])
    cube = io.read(path)
    expected = counts.sum(axis=0)
    expected[1], expected[2, 2:] = counts[0, 1], counts[0, 2, 2:]
    np.testing.assert_array_equal(cube.counts, expected)
    told = " ".join(cube.provenance.warnings)
    assert "1 rows of detector 01 are missing" in told
    assert "stopped early" in told


def test_live_times_of_xia(series):
    path, _ = series
    times = np.random.default_rng(2).integers(90, 99, (3, 4, 2))
    for row in range(3):
        table = np.zeros((4, 12), int)
        table[:, 6:7], table[:, 4::6] = 1, times[row]
        write_edf(path.parent / f"map_xiast_0001_0000_{row:04d}.edf", table)
    np.testing.assert_allclose(io.read(path).live_time, times.mean(axis=2) / 1000)
    np.testing.assert_allclose(io.read(path, detector="01").live_time, times[:, :, 1] / 1000)
    assert io.read(path.parent / "map_xiast_0001_0000_0001.edf").shape == (3, 4, 64)
    (path.parent / "map_xiast_0001_0000_0001.edf").unlink()
    assert io.read(path).live_time is None
    write_edf(path.parent / "map_xiast_0001_0000_0001.edf", np.zeros((4, 11), int))
    cube = io.read(path)
    assert cube.live_time is None
    assert "are not those of the detectors" in " ".join(cube.provenance.warnings)


@pytest.mark.parametrize("name", ["ct", "SN"])
def test_points_of_xia_begin_with_the_numbers_of_channels(tmp_path, name):
    counts = np.random.default_rng(1).poisson(2, (3, 64))
    path = tmp_path / f"map_xia{name}_0001_0000_0000.edf"
    write_edf(path, np.vstack([np.arange(64), counts]))
    np.testing.assert_array_equal(io.read(path).counts[0, 0], counts.sum(axis=0))


def test_keys_of_edf(tmp_path):
    path = tmp_path / "row.edf"
    counts = np.random.default_rng(1).poisson(2, (4, 64))
    write_edf(path, counts)
    plain = path.read_bytes()
    path.write_bytes(plain.replace(b"MCA", b"mca").replace(b"mca c = 0", b"mca start ch = 100"))
    cube = io.read(path)
    assert cube.energy == EnergyAxis(1.0, 0.01, 64)
    np.testing.assert_array_equal(cube.counts[0], counts)
    path.write_bytes(plain.replace(b"MCA c = 0 ;", b"COMPRESSION = GZIP ;"))
    with pytest.raises(FileError, match="compressed values"):
        io.read(path)


def test_damaged_edf(series):
    path, _ = series
    whole = path.read_bytes()
    missing, negative = b"{\nDim_1 = 9 ;\n}\n", whole.replace(b"Dim_1 = 64", b"Dim_1 = -4")
    for content in (whole[:-1], whole[:100], missing, negative):
        path.write_bytes(content)
        with pytest.raises(FileError):
            io.read(path)


def test_what_rosettasciio_reads(tmp_path):
    emd = pytest.importorskip("rsciio.emd")
    counts = np.random.default_rng(1).poisson(2, (3, 4, 64)).astype(np.uint16)
    axes = [
        {"name": name, "size": size, "offset": offset, "scale": scale, "units": units, "navigate": navigate,
         "index_in_array": at, "_type": "UniformDataAxis"}
        for at, (name, size, offset, scale, units, navigate) in enumerate(
            (("y", 3, 0, 2.0, "µm", True), ("x", 4, 0, 3.0, "µm", True), ("E", 64, -50.0, 10.0, "eV", False))
        )
    ]  # fmt: skip
    path = tmp_path / "map.emd"
    signal = {"data": counts, "axes": axes, "metadata": {"General": {"title": "a rock"}, "Signal": {}},
              "original_metadata": {}, "attributes": {"_lazy": False}}  # fmt: skip
    emd.file_writer(str(path), signal)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, counts)
    assert cube.pixel_size == pytest.approx((2.0, 3.0))
    assert (cube.energy.offset, cube.energy.width) == pytest.approx((-0.05, 0.01))
    assert io.recognizes(path)
    path.write_bytes(b"nothing of that kind")
    with pytest.raises(FileError, match="RosettaSciIO"):
        io.read(path)


def test_spectra_of_electrons_that_lost_energy_are_none_of_xrays(tmp_path, monkeypatch):
    axes = [{"name": name, "size": size, "offset": 0.0, "scale": 1.0, "units": units,
             "navigate": units != "eV"}
            for name, size, units in (("y", 2, "nm"), ("x", 3, "nm"), ("Energy loss", 64, "eV"))]  # fmt: skip
    signal = {"data": np.ones((2, 3, 64)), "axes": axes, "metadata": {"Signal": {"signal_type": "EELS"}}}
    monkeypatch.setattr("napari_xrf.io.rosetta._signals", lambda path: [signal])
    path = tmp_path / "loss.dm4"
    path.write_bytes(b"image")
    with pytest.raises(FileError, match="EELS spectra, none of X-rays"):
        io.read(path)
    assert not io.recognizes(path)
    hdf5_files.hyperspy(tmp_path / "loss.hspy")
    with h5py.File(tmp_path / "loss.hspy", "r+") as file:
        file.create_group("Experiments/a rock/metadata/Signal").attrs["signal_type"] = "EELS"
    with pytest.raises(FileError, match="no known layout"):
        io.read(tmp_path / "loss.hspy")


def test_bruker_detectors_of_different_axes_are_summed_on_one(tmp_path):
    counts = np.zeros((2, 3, 4, 100), dtype=int)
    counts[0, :, :, 64], counts[1, :, :, 44] = 5, 7  # 0.64 keV in both
    path = tmp_path / "two.bcf"
    write_bcf(path, counts, energy=EnergyAxis(0.0, 0.01, 100))
    data = path.read_bytes()
    first = data.index(b"<CalibAbs>0.0<")
    second = data.index(b"<CalibAbs>0.0<", first + 1)
    path.write_bytes(data[: second + 10] + b"0.2" + data[second + 13 :])
    cube = io.read(path)
    assert int(cube.counts.sum()) == counts.sum()
    assert cube.window_map(0.635, 0.645).tolist() == [[12] * 4] * 3
    assert "brought to one axis" in " ".join(cube.provenance.warnings)


def test_edf_of_other_programs(tmp_path):
    counts = np.random.default_rng(1).poisson(2, (3, 4, 64))
    for row, values in enumerate(counts):
        write_edf(tmp_path / f"rock_{row + 1:03d}.edf", values)
    cube = io.read(tmp_path / "rock_002.edf")
    np.testing.assert_array_equal(cube.counts, counts)
    assert "3 files of this numbering" in " ".join(cube.provenance.warnings)
    several = tmp_path / "several.edf"  # an image for each row
    several.write_bytes(b"".join((tmp_path / f"rock_{row:03d}.edf").read_bytes() for row in (1, 2, 3)))
    np.testing.assert_array_equal(io.read(several).counts, counts)
    write_edf(tmp_path / "points.edf", counts.reshape(12, 64))
    assert "one row" in " ".join(io.read(tmp_path / "points.edf").provenance.warnings)
    head = "{\nDataType = UnsignedShort ;\nDim_1 = 64 ;\nDim_2 = 4 ;\nDim_3 = 3 ;\nMCA b = 0.01 ;\n}\n"
    (tmp_path / "cube.edf").write_bytes(head.encode() + counts.astype("<u2").tobytes())
    np.testing.assert_array_equal(io.read(tmp_path / "cube.edf").counts, counts)
    picture = head.replace("MCA b = 0.01 ;\n", "").replace("Dim_3 = 3 ;\n", "").replace("= 4", "= 64")
    (tmp_path / "picture.edf").write_bytes(picture.encode() + bytes(64 * 64 * 2))
    with pytest.raises(FileError, match="picture of 64 × 64"):
        io.read(tmp_path / "picture.edf")


def test_sums_of_edf_detectors_are_not_counted_again(series):
    path, counts = series
    for row in range(3):
        write_edf(path.parent / f"map_xiaS0_0001_0000_{row:04d}.edf", counts.sum(axis=0)[row])
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, counts.sum(axis=0))
    assert "not counted again" in " ".join(cube.provenance.warnings)
    np.testing.assert_array_equal(io.read(path, detector="S0").counts, counts.sum(axis=0))


def test_the_text_of_a_link_is_followed(series):
    path, counts = series
    folder = path.parent / "elsewhere"
    folder.mkdir()
    (folder / "link.edf").write_text(f"../{path.name}")
    cube = io.read(folder / "link.edf")
    np.testing.assert_array_equal(cube.counts, counts.sum(axis=0))
    assert "text of a link" in " ".join(cube.provenance.warnings)
    (folder / "lost.edf").write_text("../nothing.edf")
    with pytest.raises(FileError):
        io.read(folder / "lost.edf")


def write_velox(path, counts: np.ndarray, second: np.ndarray) -> None:
    """Write streams of events of two detectors: the number of a channel, and 65535 for the next pixel."""

    def told(content) -> np.ndarray:
        return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)[:, None]

    def stream(map_counts) -> np.ndarray:
        pixels = (np.append(np.repeat(np.arange(one.size), one), 65535) for one in map_counts.reshape(-1, 64))
        return np.concatenate(list(pixels)).astype(np.uint16)[:, None]

    metadata = {
        "BinaryResult": {"PixelSize": {"height": "2e-6", "width": "3e-6"}, "Offset": {"x": "0", "y": "0"},
                         "PixelUnitX": "m", "PixelUnitY": "m", "Detector": "SuperX"},
        "Detectors": {"Detector-0": {"DetectorName": "SuperX1", "Dispersion": "10", "OffsetEnergy": "-50"}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
        "Optics": {"AccelerationVoltage": "20000"}, "Instrument": {}, "Scan": {}, "Stage": {}, "Sample": {},
        "CustomProperties": "",
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file["Version"] = [json.dumps({"format": "Velox", "version": "9"}).encode()]
        file["Data/Image/a/Data"] = np.zeros((*counts.shape[:2], 1), np.uint16)
        file["Data/Image/a/Metadata"] = told(metadata)
        settings = [json.dumps({"endFramePosition": "1"}).encode()]
        file["Data/SpectrumImage/b/SpectrumImageSettings"] = settings
        shown = {"dataPath": "/Data/Image/a", "display": {"label": "HAADF"}}
        file["Presentation/Displays/ImageDisplay/c"] = [json.dumps(shown).encode()]
        for name, values in (("d", counts), ("e", second)):
            folder = f"Data/SpectrumStream/{name}"
            file[f"{folder}/Data"], file[f"{folder}/Metadata"] = stream(values), told(metadata)
            acquired = {"bincount": "64", "StreamEncoding": "uint16"}
            file[f"{folder}/AcquisitionSettings"] = [json.dumps(acquired).encode()]


def test_velox(tmp_path):
    one, two = np.random.default_rng(1).poisson(2, (2, 3, 4, 64))
    write_velox(tmp_path / "map.emd", one, two)
    cube = io.read(tmp_path / "map.emd")
    np.testing.assert_array_equal(cube.counts, one + two)
    assert (cube.energy.offset, cube.energy.width) == pytest.approx((-0.05, 0.01))
    assert cube.pixel_size == pytest.approx((2.0, 3.0))
    assert (cube.excitation.kind, cube.excitation.energy_kev) == ("electron", 20.0)


def test_an_edax_map_with_and_without_its_calibration(tmp_path):
    edax = pytest.importorskip("rsciio.edax._api")
    counts = np.random.default_rng(0).poisson(0.3, (3, 4, 512)).astype("<u2")
    head = np.zeros(1, edax.get_spd_dtype_list())
    head["tag"] = np.frombuffer(b"MAPSPECTRA_DATA\0", "i1")
    for name, value in {"nSpectra": 12, "nPoints": 4, "nLines": 3, "nChannels": 512, "countBytes": 2,
                        "dataOffset": head.dtype.itemsize}.items():  # fmt: skip
        head[name] = value
    (tmp_path / "a.spd").write_bytes(head.tobytes() + counts.tobytes())
    cube = io.read(tmp_path / "a.spd")
    np.testing.assert_array_equal(np.asarray(cube.counts), counts)
    assert "No energy calibration" in cube.provenance.warnings[0]
    spectrum = np.zeros(1, edax.get_spc_dtype_list(version=0.7))
    spectrum["evPerChan"], spectrum["startEnergy"], spectrum["kV"] = 5, -0.1, 20
    (tmp_path / "a.spc").write_bytes(np.float32(0.7).tobytes() + spectrum.tobytes()[4:])
    cube = io.read(tmp_path / "a.spd")
    assert (cube.energy.offset, cube.energy.width) == (pytest.approx(-0.1), 0.005)
    assert cube.excitation.energy_kev == 20


def test_a_series_of_spectra_of_tia(tmp_path):
    counts = np.random.default_rng(1).poisson(2.0, (3, 4, 256))
    path = tmp_path / "map_1.ser"
    path.write_bytes(ser_file(counts))
    assert io.recognizes(path)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts, counts)
    assert cube.energy == EnergyAxis(0.0, 0.01, 256)
    assert cube.pixel_size == pytest.approx((0.003, 0.002))
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(FileError):
        io.read(path)
    path.write_bytes(whole[:30] + (2**20).to_bytes(4, "little") + whole[34:])  # columns
    with pytest.raises(FileError, match="claims 3145728 spectra and does not list as many"):
        io.read(path)
    path.write_bytes(whole[:40])
    with pytest.raises(FileError, match="cut short"):
        io.read(path)
