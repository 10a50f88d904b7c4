"""Conventions of many writers: the same small map, written as others write it, is the same map."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

import hdf5_files
from napari_xrf import io
from napari_xrf.core.errors import FileError
from napari_xrf.io.scans import grid_among

COUNTS = np.random.default_rng(3).poisson(0.3, (4, 6, 512)).astype(np.uint16)
X, Y = np.meshgrid(3.0 * np.arange(6), 2.0 * np.arange(4))
ENERGY = 0.01 * np.arange(512)


def read(path, **options):
    cube = io.read(path, **options)
    return cube, np.asarray(cube.counts), " ".join(cube.provenance.warnings)


def nxdata(path, counts, datasets, group_attributes=None, **axis_numbers):
    """Write NXdata; ``datasets`` name → values, ``axis_numbers`` what their attribute ``axis`` says."""
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/plot")
        group.attrs.update({"NX_class": "NXdata", "signal": "data", **(group_attributes or {})})
        group["data"] = counts
        for name, values in datasets.items():
            group[name] = values
            group[name].attrs["units"] = "keV" if name == "energy" else "um"
            if name in axis_numbers:
                group[name].attrs["axis"] = axis_numbers[name]
    return path


@pytest.mark.parametrize("names", [("stageX", "stageY"), ("t1x", "t1y"), ("hor", "ver"), ("samx", "samy")])
def test_maps_stored_column_by_column(tmp_path, names):
    places = {names[0]: X[0], names[1]: Y[:, 0], "energy": ENERGY}
    path = nxdata(tmp_path / "a.nxs", COUNTS.swapaxes(0, 1), places, {"axes": [*names, "energy"]})
    cube, counts, _ = read(path)
    np.testing.assert_array_equal(counts, COUNTS)
    assert cube.pixel_size == (2.0, 3.0)


def test_axes_that_datasets_number_themselves(tmp_path):
    places, stored = {"x": X[0], "y": Y[:, 0], "energy": ENERGY}, COUNTS.swapaxes(0, 1)
    for name, attributes, numbers in (
        ("a", {}, {"x": 1, "y": 2, "energy": 3}),
        ("b", {"axes": [".", ".", "energy"], "x_indices": 0, "y_indices": 1, "energy_indices": 2}, {}),
    ):
        cube, counts, _ = read(nxdata(tmp_path / f"{name}.nxs", stored, places, attributes, **numbers))
        np.testing.assert_array_equal(counts, COUNTS)
        assert cube.pixel_size == (2.0, 3.0)


def test_energies_that_fall(tmp_path):
    places = {"y": Y[:, 0], "x": X[0], "energy": ENERGY[::-1]}
    path = nxdata(tmp_path / "a.nxs", COUNTS[:, :, ::-1], places, {"axes": ["y", "x", "energy"]})
    for budget in (None, 1000):
        cube, counts, told = read(path, memory_budget=budget)
        np.testing.assert_array_equal(counts, COUNTS)
        np.testing.assert_array_equal(cube.counts[1:3, 2, 10:20], COUNTS[1:3, 2, 10:20])
        assert cube.energy.offset == 0
        assert "turned round" in told


def test_units_of_length_as_they_are_spelt(tmp_path):
    path = nxdata(tmp_path / "a.nxs", COUNTS, {"y": Y[:, 0], "x": X[0], "energy": ENERGY},
                  {"axes": ["y", "x", "energy"]})  # fmt: skip
    with h5py.File(path, "a") as file:
        file["entry/plot/x"].attrs["units"], file["entry/plot/y"].attrs["units"] = "Micrometres", "micron"
    assert read(path)[0].pixel_size == (2.0, 3.0)


def bliss(path, detectors, place="measurement/{}", title="amesh samx 0 15 5 samy 0 6 3 0.1"):
    with h5py.File(path, "w") as file:
        file["1.1/title"] = title
        for name, counts in detectors.items():
            file["1.1/" + place.format(name)] = counts.reshape(24, -1)
    return path


def test_a_sum_is_known_by_its_counts(tmp_path):
    half = COUNTS // 2
    path = bliss(tmp_path / "a.h5", {"fx_det0": half, "fx_det1": COUNTS - half, "fx_merged": COUNTS})
    cube, counts, told = read(path)
    np.testing.assert_array_equal(counts, COUNTS)
    assert "fx_merged is the sum of the other detectors" in told
    assert cube.provenance.detectors == ("fx_det0", "fx_det1")
    np.testing.assert_array_equal(read(path, detector="fx_merged")[1], COUNTS)


def test_equal_detectors_beside_an_empty_one_are_no_sums(tmp_path):
    path = bliss(tmp_path / "a.h5", {"fx_det0": COUNTS, "fx_det1": 0 * COUNTS, "fx_det2": COUNTS})
    np.testing.assert_array_equal(read(path)[1], 2 * COUNTS)


def test_spectra_beside_the_detector(tmp_path):
    cube, counts, _ = read(bliss(tmp_path / "a.h5", {"fx_det0": COUNTS}, "instrument/{}/data"))
    np.testing.assert_array_equal(counts, COUNTS)
    assert cube.provenance.detectors == ("fx_det0",)
    wider = np.repeat(COUNTS, 2, axis=2)
    cube, counts, _ = read(bliss(tmp_path / "b.h5", {"fx_det0": COUNTS, "fx_det1": COUNTS, "mca": wider}))
    np.testing.assert_array_equal(counts, 2 * COUNTS)
    assert "mca have not the 512 channels of the others" in " ".join(cube.provenance.warnings)


@pytest.mark.parametrize("places", [True, False])
def test_a_stopped_scan_whose_points_fit_an_older_reading_too(tmp_path, places):
    # 15 points of 6 × 4, or all of 5 × 3: the motors decide.
    path = bliss(tmp_path / "a.h5", {"mca": COUNTS})
    lines = ["#S 1 mesh samx 0 15 5 samy 0 6 3 0.1", "#@CALIB 0 0.01 0"]
    lines += ["#L samx  samy  monitor"] if places else []
    for spectrum, x, y in zip(COUNTS.reshape(24, -1)[:15], X.ravel(), Y.ravel(), strict=False):
        lines += ["@A " + " ".join(map(str, spectrum)), f"{x} {y} 1"]
    (tmp_path / "a.mca").write_text("\n".join(lines))
    with h5py.File(path, "a") as file:
        del file["1.1/measurement/mca"]
        file["1.1/measurement/mca"] = COUNTS.reshape(24, -1)[:15]
        if places:
            file["1.1/measurement/samx"], file["1.1/measurement/samy"] = X.ravel()[:15], Y.ravel()[:15]
    for one in (path, tmp_path / "a.mca"):
        cube, counts, told = read(one)
        assert cube.map_shape == ((4, 6) if places else (3, 5))
        np.testing.assert_array_equal(counts.reshape(-1, 512)[:15], COUNTS.reshape(-1, 512)[:15])
        assert ("15 of 24 points" in told) is places


def test_entries_of_a_detector_alone_are_rows(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, row in enumerate(COUNTS):
            file[f"entry_{number:04d}/measurement/xspress3/data"] = row[: 4 if number == 3 else 6, None]
    _, counts, told = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts[:3], COUNTS[:3])
    np.testing.assert_array_equal(counts[3, :4], COUNTS[3, :4])
    assert "taken for the rows of one map" in told


def test_rows_along_y_are_told(tmp_path):
    path = bliss(tmp_path / "a.h5", {"mca": COUNTS}, title="amesh samy 0 15 5 samx 0 6 3 0.1")
    assert "ran along samy" in read(path)[2]


def test_a_detector_without_calibration_takes_its_neighbours(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for at, terms in enumerate(([0.0, 1.0, 0.0], [0.0, 0.02, 0.0])):
            file[f"stack/instrument/detector_0{at}/data"] = COUNTS
            file[f"stack/instrument/detector_0{at}/calibration"] = terms
    cube, counts, told = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts, 2 * COUNTS)
    assert (cube.energy.offset, cube.energy.width) == (0.0, 0.02)
    assert "detector_00 has no energy calibration" in told


def test_a_dead_detector_where_rows_stand_apart(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for row in range(4):
            group = file.create_group(f"entry_{row}/measurement")
            group["xspress3/data"] = np.stack([COUNTS[row] * 50, COUNTS[row] * 50, COUNTS[row] * 0], axis=1)
            group["pseudo/x"], group["pseudo/y"] = X[row], Y[row]
    assert "Detector 2 is dead" in read(tmp_path / "a.h5")[2]


def test_points_of_an_unknown_layout_are_listed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["somewhere/spectra"] = COUNTS.reshape(24, -1)
    with pytest.raises(FileError, match="/somewhere/spectra"):
        io.read(tmp_path / "a.h5")
    assert io.read(tmp_path / "a.h5", dataset="/somewhere/spectra").counts.sum() == COUNTS.sum()


def emsa(path, header, lines, coding="utf-8"):
    kept = "".join(f"#{key:<12}: {value}\n" for key, value in header.items())
    text = f"#FORMAT      : EMSA/MAS Spectral Data File\n{kept}#SPECTRUM    : \n{lines}#ENDOFDATA   : \n"
    path.write_bytes(text.encode(coding))
    return path


HEADER = {"NPOINTS": 512, "NCOLUMNS": 1, "XUNITS": "eV", "DATATYPE": "XY", "XPERCHAN": 10, "OFFSET": 0}


def test_spectra_from_the_highest_energy_down(tmp_path):
    lines = "".join(f"{10 * at}, {COUNTS[0, 0, at]}\n" for at in range(511, -1, -1))
    cube, counts, _ = read(emsa(tmp_path / "a.msa", HEADER, lines))
    np.testing.assert_array_equal(counts[0, 0], COUNTS[0, 0])
    assert cube.energy.width == pytest.approx(0.01)


def test_energies_beside_the_counts_hold_against_the_header(tmp_path):
    lines = "".join(f"{100 + 20 * at}, {COUNTS[0, 0, at]}\n" for at in range(512))
    cube, _, _ = read(emsa(tmp_path / "a.msa", HEADER, lines))
    assert (cube.energy.offset, cube.energy.width) == (pytest.approx(0.1), pytest.approx(0.02))


def test_decimal_commas_in_emsa(tmp_path):
    lines = "".join(f"{count},0\n" for count in COUNTS[0, 0])
    header = {**HEADER, "DATATYPE": "Y", "XPERCHAN": "10,0", "OFFSET": "-200,0"}
    cube, counts, _ = read(emsa(tmp_path / "a.msa", header, lines))
    np.testing.assert_array_equal(counts[0, 0], COUNTS[0, 0])
    assert cube.energy.offset == pytest.approx(-0.2)


def test_micrometres_in_the_letters_of_windows(tmp_path):
    header = ("width\t6\nheight\t4\ndepth\t512\noffset\t0\ndata-length\t2\ndata-type\tunsigned\nbyte-order\t"
              "little-endian\nrecord-by\tvector\nev-per-chan\t10\nheight-scale\t2\nheight-units\tµm\n"
              "width-scale\t3\nwidth-units\tµm\n")  # fmt: skip
    (tmp_path / "a.rpl").write_bytes(header.encode("cp1252"))
    (tmp_path / "a.raw").write_bytes(COUNTS.astype("<u2").tobytes())
    assert read(tmp_path / "a.rpl")[0].pixel_size == (2.0, 3.0)
    (tmp_path / "a.rpl").write_bytes(header.replace("chan\t10", "chan\t1").encode("cp1252"))
    assert "No energy calibration" in read(tmp_path / "a.rpl")[2]


@pytest.mark.parametrize("largest", [1.0, 0.37, 1e-5])
def test_maps_divided_by_their_largest_value(tmp_path, largest):
    values = (COUNTS * (largest / COUNTS.max())).astype(np.float32)
    path = nxdata(tmp_path / "a.nxs", values, {"energy": ENERGY}, {"axes": [".", ".", "energy"]})
    for budget in (None, 1000):
        _, counts, told = read(path, memory_budget=budget)
        np.testing.assert_array_equal(counts, COUNTS)
        assert "normalised" in told


def test_two_detectors_of_spec_with_a_calibration_each(tmp_path):
    spectra = "".join(f"@{name} " + " ".join(map(str, COUNTS[0, 0])) + "\n" for name in "AB")
    head = "#S 1 ct 1\n#@CHANN 512 0 511 1\n#@CALIB 0 {}\n#@CHANN 512 0 511 1\n#@CALIB 0 {}\n"
    (tmp_path / "a.mca").write_text(head.format("0.01 0", "0.02 0") + spectra)
    cube, counts, _ = read(tmp_path / "a.mca", detector="B")
    assert cube.energy.width == 0.02
    (tmp_path / "a.mca").write_text(head.format("1 0", "0.02 0") + spectra)
    cube, counts, told = read(tmp_path / "a.mca")
    np.testing.assert_array_equal(counts[0, 0], 2 * COUNTS[0, 0])
    assert cube.energy.width == 0.02
    assert "Detector A has no energy calibration" in told


@pytest.mark.parametrize("ending", ["csv", "txt"])
@pytest.mark.parametrize("names", ["", "Energy (keV){}Counts\n"])
@pytest.mark.parametrize("mark", [",", "\t", ";", " , "])
def test_tables_of_energies_and_counts_of_other_programs(tmp_path, ending, names, mark):
    point = "," if mark == ";" else "."
    lines = [f"{0.01 * at:.2f}".replace(".", point) + f"{mark}{n}\n" for at, n in enumerate(COUNTS[0, 0])]
    path = tmp_path / f"a.{ending}"
    path.write_text(names.format(mark) + "".join(lines))
    cube, counts, told = read(path)
    np.testing.assert_array_equal(counts[0, 0], COUNTS[0, 0])
    assert (cube.energy.width, told) == (pytest.approx(0.01), "")
    np.testing.assert_array_equal(io.read_spectrum(path).counts, COUNTS[0, 0])
    assert io.recognizes(path) == (ending == "txt" or bool(names))
    path.write_text("x\n" + "".join(f"{n}\n" for n in COUNTS[0, 0]))
    with pytest.raises(FileError):
        io.read(path)


@pytest.mark.parametrize("ending", ["mca", "txt"])
def test_a_plain_spectrum_from_the_highest_energy_down(tmp_path, ending):
    lines = [f"{0.01 * at:.2f} {count}\n" for at, count in enumerate(COUNTS[0, 0])]
    (tmp_path / f"a.{ending}").write_text("".join(reversed(lines)))
    np.testing.assert_array_equal(read(tmp_path / f"a.{ending}")[1][0, 0], COUNTS[0, 0])


@pytest.mark.parametrize(
    ("unit", "factor", "size", "told"),
    [("mm", 1e-3, (2.0, 3.0), ""), ("", 1.0, (2.0, 3.0), "taken as um"), ("", 1e-3, None, "no unit")],
)
def test_places_of_points_in_their_unit(tmp_path, unit, factor, size, told):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("entry/measurement")
        group["x3mini/data"] = COUNTS.reshape(24, 1, -1)
        group["pseudo/x"], group["pseudo/y"] = factor * X.ravel(), factor * Y.ravel()
        for name in "xy" if unit else "":
            group[f"pseudo/{name}"].attrs["units"] = unit
    cube, counts, warned = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts, COUNTS)
    assert cube.pixel_size == (size if size is None else pytest.approx(size))
    assert told in warned


def test_normalised_detectors_are_summed_on_one_scale(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        # The axes lie apart, so that the detectors are read one by one; the second has half the steps.
        for at, (step, offset) in enumerate(((1e-3, 0.0), (5e-4, 0.1))):
            file[f"stack/instrument/detector_0{at}/data"] = (step * COUNTS).astype(np.float32)
            file[f"stack/instrument/detector_0{at}/calibration"] = [offset, 0.01, 0.0]
    total = read(tmp_path / "a.h5")[1].sum()
    assert total == pytest.approx(3 * COUNTS.sum(), rel=1e-3)


@pytest.mark.skipif(os.name == "nt", reason="Windows follows them")
def test_links_with_paths_of_windows_are_told(tmp_path):
    path = bliss(tmp_path / "a.h5", {})
    with h5py.File(path, "a") as file:
        file["1.1/measurement/mca"] = h5py.ExternalLink("D:\\data\\det.h5", "/entry/data")
    with pytest.raises(FileError, match=r"open det\.h5 itself"):
        io.read(path)


@pytest.mark.parametrize("seed", range(12))
def test_counters_beside_the_motors_are_no_motors(seed):
    draw = np.random.default_rng(seed)
    rows, columns = draw.integers(2, 6), draw.integers(3, 12)
    x, y = np.meshgrid(np.arange(columns) * 2.0, np.arange(rows) * 5.0)
    x[1::2] = x[1::2, ::-1]
    places = {
        "samx": x.ravel() + draw.normal(0, 0.02, x.size),
        "samz": y.ravel() + draw.normal(0, 0.02, x.size),
    }
    places |= {f"c{at}": draw.poisson(100, x.size).astype(float) for at in range(20)}
    grid, backwards = grid_among({"temperature": 20 + np.cumsum(draw.normal(0, 0.01, x.size)), **places})
    assert grid.shape == (rows, columns)
    assert [name for name, _ in grid.motors] == ["samz", "samx"]
    np.testing.assert_array_equal(backwards, np.arange(rows) % 2 == 1)


def test_places_of_a_continuous_scan_stand_under_longer_names(tmp_path):
    snake, places = COUNTS.copy(), X.copy()
    snake[1::2], places[1::2] = COUNTS[1::2, ::-1], X[1::2, ::-1]
    path = bliss(tmp_path / "a.h5", {"mca": snake}, title="fscan2d samy 0 2 4 samx 0 3 6 0.1")
    with h5py.File(path, "a") as file:
        file["1.1/measurement/samx_center"] = places.ravel()
    _cube, counts, told = read(path)
    np.testing.assert_array_equal(counts, COUNTS)
    assert "2 rows were measured backwards" in told


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ({"data_scaling_factor": 2.0, "data_offset": -7.0}, {}),
        ({"scaling_factor": 2.0, "offset": -7.0}, {}),
        ({}, {"scaling_factor": 2.0, "add_offset": -14.0}),
        ({}, {"scale_factor": 2.0, "add_offset": -14.0}),
    ],
)
@pytest.mark.parametrize("budget", [None, 1])
def test_scaled_numbers(tmp_path, fields, attributes, budget):
    places = {"y": Y[:, 0], "x": X[0], "energy": ENERGY}
    path = nxdata(tmp_path / "a.nxs", COUNTS + np.uint16(7), places, {"axes": ["y", "x", "energy"]})
    with h5py.File(path, "a") as file:
        for name, value in fields.items():
            file[f"entry/plot/{name}"] = value
        file["entry/plot/data"].attrs.update(attributes)
    _, counts, told = read(path, memory_budget=budget)
    np.testing.assert_array_equal(counts, 2 * COUNTS.astype(int))
    assert "numbers were multiplied by 2 and moved by -14" in told


def test_detectors_with_scales_of_their_own_and_one_that_makes_no_sense(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, factor in (("det1", 3.0), ("det2", -1.0)):
            file[f"xrfmap/{name}/counts"] = COUNTS
            file[f"xrfmap/{name}/counts"].attrs["scale_factor"] = factor
    _, counts, told = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts, 4 * COUNTS.astype(int))
    assert "multiplied by 3" in told
    assert "-1, makes no sense" in told


def test_scaled_energies_and_a_scale_that_only_looks_so(tmp_path):
    places = {"y": Y[:, 0], "x": X[0], "energy": np.arange(512.0)}
    path = nxdata(tmp_path / "a.nxs", COUNTS, places, {"axes": ["y", "x", "energy"]})
    with h5py.File(path, "a") as file:
        file["entry/plot/energy_scaling_factor"] = 0.02
        file["entry/plot/energy_offset"] = -5.0
        file["entry/plot/data_scaling_factor"] = np.ones(512)  # of each channel: nothing that scales a map
    cube, counts, _ = read(path)
    np.testing.assert_array_equal(counts, COUNTS)
    assert (cube.energy.offset, cube.energy.width) == (pytest.approx(-0.1), pytest.approx(0.02))


@pytest.mark.parametrize(("factor", "where"), [(1.0, "/counts"), (1000.0, ""), (1.0, None)])
def test_energy_axes_by_their_names(tmp_path, factor, where):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["xrfmap/detsum/counts"] = COUNTS
        for name, value in (("Energy_Offset", -0.05 * factor), ("Energy_Gain", 0.02 * factor)):
            if where is None:
                file[f"xrfmap/detsum/{name}"] = value
            else:
                file[f"xrfmap/detsum{where}"].attrs[name] = value
    cube, _, told = read(tmp_path / "a.h5")
    assert (cube.energy.offset, cube.energy.width) == (pytest.approx(-0.05), pytest.approx(0.02))
    assert "Energy_Offset and Energy_Gain" in told


@pytest.mark.parametrize("entry", ["1.1", "entry"])
def test_spec_scans_that_silx_converted(tmp_path, entry):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[f"{entry}/title"] = "mesh sx 0 15 5 sz 0 6 3 0.1"
        group = file.create_group(f"{entry}/instrument/mca_0")
        group["data"] = COUNTS.reshape(24, 512).astype(np.float32)
        group["calibration"] = [-0.05, 0.02, 0.0]
        file[f"{entry}/measurement/mca_0/data"] = group["data"]
        for name, places in (("sx", X), ("sz", Y)):
            file[f"{entry}/measurement/{name}"] = places.ravel()
    cube, counts, _ = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts, COUNTS)
    assert (cube.energy.offset, cube.energy.width) == (pytest.approx(-0.05), pytest.approx(0.02))


def test_maps_of_detectors_called_mca(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(2):
            file[f"entry/instrument/mca_{number}/data"] = COUNTS
    cube, counts, _ = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(counts, 2 * COUNTS)
    assert cube.provenance.detectors == ("mca_0", "mca_1")


@pytest.mark.parametrize("kind", [np.uint64, np.int64, np.float64])
def test_numbers_that_are_no_counts_are_cut_and_sums_hold(tmp_path, kind):
    counts = COUNTS.astype(kind)
    counts[:2, :, 100] = 2.0**62
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["xrfmap/detsum/counts"] = counts
    cube, _, told = read(tmp_path / "a.h5")
    assert "12 values were too large for counts and cut" in told
    assert int(cube.sum_spectrum()[100]) == 12 * 2**48 + int(COUNTS[2:, :, 100].sum())


@pytest.mark.parametrize("ending", ["nc", "mat", "datastack"])
def test_hdf5_under_endings_of_other_programs(tmp_path, ending):
    expected = hdf5_files.beside_energies(tmp_path / f"a.{ending}")
    _, counts, _ = read(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(counts, expected.counts)


@pytest.mark.parametrize(("first", "step"), [(7.0, 0.001), (0.0, 0.001)])
def test_stacks_over_energies_that_no_xray_spectrum_has(tmp_path, first, step):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stack"] = COUNTS
        file["energy"] = first + step * np.arange(512)
    with pytest.raises(FileError, match="no known layout"):
        io.read(tmp_path / "a.h5")


def test_images_of_cameras_in_a_scan_are_no_spectra(tmp_path):
    places = {"y": Y[:, 0], "x": X[0]}
    images = np.zeros((4, 6, 300, 512), np.uint8)
    path = nxdata(tmp_path / "a.nxs", images, places, {"axes": ["y", "x", ".", "."]})
    with pytest.raises(FileError, match="no known layout"):
        io.read(path)


def test_scans_of_sardana(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry12/title"] = "mesh sx 0 15 5 sy 0 6 3 0.1 False"
        file["entry12/measurement/mca"] = COUNTS.reshape(24, 512)
        for name, places in (("sx", X), ("sy", Y)):
            file[f"entry12/measurement/{name}"] = places.ravel()
    np.testing.assert_array_equal(read(tmp_path / "a.h5")[1], COUNTS)


def test_a_number_that_marks_what_was_not_measured(tmp_path):
    counts = np.concatenate([COUNTS, np.full_like(COUNTS[:1], 65535)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["xrfmap/detsum/counts"] = counts
        file["xrfmap/detsum/counts"].attrs["_FillValue"] = np.uint16(65535)
    _, read_counts, told = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(read_counts[:4], COUNTS)
    assert not read_counts[4].any()
    assert "65535 marks what was not measured" in told
