"""Spectra of Bruker's handheld instruments."""

import struct

import numpy as np
import pytest

import pdz_files
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput

COUNTS = [int(count) for count in np.random.default_rng(1).poisson(50, 2048)]


def test_a_spectrum_with_its_tube_and_angles(tmp_path):
    path = tmp_path / "00002-Geo.pdz"
    path.write_bytes(pdz_files.chain(pdz_files.phase(COUNTS, width=20.5, start=-10.25)))
    assert io.recognizes(path)
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == COUNTS
    assert cube.energy == EnergyAxis(-0.01025, 0.0205, 2048)
    told = cube.excitation
    assert (told.kind, told.energy_kev, told.anode, told.current) == ("tube", 15, "Rh", 12.5)
    assert (told.incidence_deg, told.takeoff_deg, told.instrument) == (52, 63, "Bruker 900F1234")
    assert (float(cube.live_time[0, 0]), cube.name) == (9.5, "Geo_15")
    assert not cube.provenance.warnings


def test_spectra_of_several_settings_are_chosen(tmp_path):
    path = tmp_path / "dual.pdz"
    second = pdz_files.phase(COUNTS[::-1], "Geo_40", 40.0, live=19.5)
    path.write_bytes(pdz_files.chain(pdz_files.phase(COUNTS), second))
    assert "2 spectra (Geo_15 15 kV, Geo_40 40 kV); 0 is read" in io.read(path).provenance.warnings[0]
    chosen = io.read(path, map=1)
    assert chosen.counts[0, 0].tolist() == COUNTS[::-1]
    assert (chosen.excitation.energy_kev, float(chosen.live_time[0, 0])) == (40, 19.5)
    assert not chosen.provenance.warnings
    with pytest.raises(InvalidInput, match="no map 2"):
        io.read(path, map=2)


@pytest.mark.parametrize(("size", "trailer"), [(2048, 148), (2048, 0), (1024, 0)])
def test_older_files_are_one_block(tmp_path, size, trailer):
    path = tmp_path / "old.pdz"
    path.write_bytes(pdz_files.block(COUNTS[:size], trailer=trailer))
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == COUNTS[:size]
    assert cube.energy.width == pytest.approx(0.020085)
    assert (cube.excitation.energy_kev, float(cube.live_time[0, 0])) == (40, 58.5)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (pdz_files.chain(pdz_files.phase(COUNTS))[:-2000], "ends beyond the file"),
        (pdz_files.chain(), "holds no spectrum"),
        (pdz_files.chain(pdz_files.phase(COUNTS[:5])), "announces 5 channels"),
        (pdz_files.HEAD + pdz_files.record(3, bytes(20)), "cut short or damaged"),
        (pdz_files.HEAD + pdz_files.record(1, struct.pack("<I", 2**31)), "ends beyond its record"),
        (pdz_files.block(COUNTS, trailer=0)[:-4], "cut short or damaged"),
        (pdz_files.block([*COUNTS[:-1], 2**31]), "no counts stand"),
        (b"\x02\x02" + bytes(9000), "promises"),
    ],
)
def test_damaged_files(tmp_path, content, cause):
    path = tmp_path / "d.pdz"
    path.write_bytes(content)
    with pytest.raises(FileError, match=cause):
        io.read(path)


def test_a_width_that_makes_no_sense_is_told(tmp_path):
    path = tmp_path / "a.pdz"
    path.write_bytes(pdz_files.chain(pdz_files.phase(COUNTS, width=0.0)))
    assert "No energy calibration" in io.read(path).provenance.warnings[0]
