"""Maps that are folders: a spectrum a pixel, the scans of P06, HyperSpy's .zspy."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectrum import Spectrum
from verbs import answer

COUNTS = np.random.default_rng(1).poisson(3, (3, 4, 32))


def write_amptek(path, counts, gain=0.01, live=2.5) -> None:
    data = "\n".join(map(str, counts))
    path.write_text(
        f"<<PMCA SPECTRUM>>\nLIVE_TIME - {live}\n<<CALIBRATION>>\nLABEL - keV\n0 0\n10 {10 * gain}\n"
        f"<<DATA>>\n{data}\n<<END>>\n"
    )


@pytest.mark.parametrize("name", [
    "m_r{y:02d}_c{x:02d}", "x{x}y{y}", "scan7_{y}_{x:03d}", "X{x}0_Y{y}25", "s_x{a:.1f}_y-{y}.5",
    "{n:02d}_x{x}_y{y}",
])  # fmt: skip
@pytest.mark.parametrize("budget", [None, 1])
def test_two_numbers_are_rows_and_columns(tmp_path, name, budget):
    for y, x in np.ndindex(3, 4):
        if (y, x) != (1, 2):
            write_amptek(
                tmp_path / f"{name.format(y=y + 1, x=x, a=x / 2 - 1, n=4 * y + x)}.mca",
                COUNTS[y, x],
                live=y + x + 1,
            )
    (tmp_path / "notes 1.txt").write_text("a note")
    expected = COUNTS.copy()
    expected[1, 2] = 0
    cube = io.read(tmp_path, memory_budget=budget)
    expected = expected[::-1] if "y-" in name else expected
    np.testing.assert_array_equal(cube.counts, expected)
    assert cube.energy == EnergyAxis(0.0, 0.01, 32)
    assert cube.live_time[0 if "y-" in name else 2, 3] == 6
    assert "1 of 12 pixels have no file" in " ".join(cube.provenance.warnings)


def test_one_number_is_a_row_and_strangers_are_told(tmp_path, capsys):
    for at, counts in enumerate(COUNTS.reshape(12, 32)):
        io.write(tmp_path / f"p{at}.msa", Spectrum(counts, EnergyAxis(0.0, 0.01, 32)))
    write_amptek(tmp_path / "other_1.mca", COUNTS[0, 0])
    (tmp_path / "other_1.msa").write_text("another")
    (tmp_path / "p5.msa").write_text("damaged")
    io.write(tmp_path / "p7.msa", Spectrum(COUNTS[1, 3], EnergyAxis(0.005, 0.01, 32)))
    cube = io.read(tmp_path)
    assert cube.map_shape == (1, 12)
    told = " ".join(cube.provenance.warnings)
    for text in (
        "do not say how they form a map",
        "cannot be read",
        "another energy calibration",
        "1 files of other names",
    ):
        assert text in told
    np.testing.assert_array_equal(cube.counts[0, :5], COUNTS.reshape(12, 32)[:5])
    assert answer(capsys, "info", tmp_path)["shape"] == [1, 12, 32]


def test_folders_that_hold_no_map(tmp_path):
    with pytest.raises(FileError, match="without numbered spectra"):
        io.read(tmp_path)
    write_amptek(tmp_path / "a1.mca", COUNTS[0, 0])
    assert io.read(tmp_path).shape == (1, 1, 32)
    with pytest.raises(InvalidInput, match="single files"):
        io.read(tmp_path, detector=1)


def write_p06(scan, x, y, lost=()) -> np.ndarray:
    """Write two detectors of two channels, frames in two files each; return what each pixel counted."""
    counts = np.random.default_rng(2).poisson(2, (4, x.size, 64))
    (scan / "pilctriggergenerator_01").mkdir(parents=True)
    with h5py.File(scan / "pilctriggergenerator_01" / "a_00001.nxs", "w") as file:
        for name, values in (("encoder1", x), ("encoder2", y)):
            file[f"entry/data/{name}"] = values.ravel()
            file[f"entry/data/{name}"].attrs["units"] = "um"
    frames = np.array([at for at in range(x.size) if at not in lost])
    for detector in (0, 1):
        folder = scan / f"xspress3_0{detector + 1}"
        folder.mkdir()
        for part, some in enumerate(np.array_split(frames, 2)):
            with h5py.File(folder / f"a_0000{part}.nxs", "w") as file:
                file["entry/instrument/detector/sequence_number"] = some + 1
                for channel in (0, 1):
                    values = counts[2 * detector + channel][some].astype(np.uint32)
                    file[f"entry/instrument/xspress3/channel0{channel}/histogram"] = values
    counts[:, list(lost)] = 0
    return counts


@pytest.mark.parametrize("budget", [None, 1])
def test_p06_is_a_grid_by_its_encoders(tmp_path, budget):
    x, y = np.meshgrid(np.arange(4) * 2.0, np.arange(3) * 5.0)
    x[1] = x[1, ::-1]
    counts = write_p06(tmp_path / "scan_7", x, y, lost=(6,))
    expected = counts.reshape(4, 3, 4, 64)
    expected[:, 1] = expected[:, 1, ::-1].copy()
    path = tmp_path / "scan_7" / "xspress3_02" / "a_00001.nxs"
    cube = io.read(path, memory_budget=budget)
    np.testing.assert_array_equal(cube.counts, expected.sum(axis=0))
    assert cube.pixel_size == (5.0, 2.0)
    told = " ".join(cube.provenance.warnings)
    assert "measured backwards" in told
    assert "1 of 12 points have no frame" in told
    one = io.read(path, detector="xspress3_02/channel01")
    np.testing.assert_array_equal(one.counts, expected[3])
    with pytest.raises(InvalidInput, match="Choose sum"):
        io.read(path, detector="channel07")


def test_p06_without_a_grid_is_told(tmp_path):
    draw = np.random.default_rng(3)
    counts = write_p06(tmp_path / "scan_8", draw.uniform(0, 9, 12), draw.uniform(0, 9, 12))
    cube = io.read(tmp_path / "scan_8" / "xspress3_01" / "a_00000.nxs")
    np.testing.assert_array_equal(cube.counts, counts.sum(axis=0)[None])
    assert "no regular grid" in " ".join(cube.provenance.warnings)


def test_a_folder_of_hyperspy(tmp_path):
    zspy = pytest.importorskip("rsciio.zspy")
    told = (("x", 4, 3.0, "µm", True), ("y", 3, 2.0, "µm", True), ("Energy", 32, 10.0, "eV", False))
    axes = [{"name": name, "size": size, "offset": 0.0, "scale": scale, "units": units, "navigate": moved,
             "index_in_array": at, "_type": "UniformDataAxis", "is_binned": False}
            for at, (name, size, scale, units, moved) in enumerate(told)]  # fmt: skip
    signal = {"data": COUNTS.swapaxes(0, 1).astype(np.uint16), "axes": axes, "original_metadata": {},
              "metadata": {"General": {"title": "a"}, "Sample": {"elements": ["Fe"]}, "Signal": {},
                           "Acquisition_instrument": {"SEM": {"beam_energy": 15.0}}},
              "attributes": {"_lazy": False}, "package": "", "package_version": "", "learning_results": {},
              "models": None, "package_info": {}}  # fmt: skip
    zspy.file_writer(str(tmp_path / "a.zspy"), signal)
    cube = io.read(tmp_path / "a.zspy")
    np.testing.assert_array_equal(cube.counts, COUNTS)
    assert cube.pixel_size == pytest.approx((2.0, 3.0))
    assert cube.energy.width == pytest.approx(0.01)
    assert (cube.excitation.energy_kev, cube.elements) == (15.0, ("Fe",))
    assert io.recognizes(tmp_path / "a.zspy")
