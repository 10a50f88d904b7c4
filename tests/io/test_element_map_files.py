from __future__ import annotations

import csv

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from measured import measured_file
from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import FileError, InvalidInput

FAMILIES = ("Fe K", "Pb L", "Pb M", "U M")
sizes = st.floats(1e-3, 1e4)


@st.composite
def element_maps(draw) -> ElementMaps:
    count = draw(st.integers(1, 4))
    shape = (count, draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = (generator.normal(size=shape) * 10.0 ** draw(st.integers(-3, 6))).astype(np.float32)
    errors = np.abs(generator.normal(size=shape)).astype(np.float32)
    if draw(st.booleans()):
        errors[0, 0, 0] = np.nan
    pixel_size = draw(st.none() | st.tuples(sizes, sizes))
    return ElementMaps(
        FAMILIES[:count], counts, errors, draw(st.sampled_from(["fit", "window"])), pixel_size, "a µ map"
    )


@pytest.mark.parametrize("name", ["maps.ome.tif", "maps.h5", "maps.csv"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(maps=element_maps())
def test_what_is_written_is_read_back(tmp_path, name, maps):
    path = tmp_path / name
    io.write(path, maps)
    assert io.is_element_map_file(path)
    assert io.recognizes(path)
    back = io.read_element_maps(path)
    assert back.families == maps.families
    np.testing.assert_array_equal(back.counts, maps.counts)
    np.testing.assert_array_equal(back.standard_errors, maps.standard_errors)
    assert back.counts.dtype == np.float32
    if name != "maps.csv":
        assert (back.method, back.source, back.pixel_size) == (maps.method, maps.source, maps.pixel_size)
    elif maps.pixel_size is not None:
        assert back.pixel_size == maps.pixel_size


@pytest.fixture
def maps() -> ElementMaps:
    counts = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return ElementMaps(("Fe K", "Pb L"), counts, np.sqrt(counts), "fit", (5.0, 2.5), "rock")


def test_ome_names_channels_and_micrometres(tmp_path, maps):
    path = tmp_path / "maps.ome.tif"
    io.write(path, maps)
    np.testing.assert_array_equal(tifffile.imread(path), maps.counts)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        images = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    pixels = images[0]["Pixels"]
    assert [channel["Name"] for channel in pixels["Channel"]] == ["Fe K", "Pb L"]
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (5.0, 2.5)
    assert pixels["PhysicalSizeXUnit"] == "µm"
    assert images[1]["Name"] == "standard errors"


def test_table_columns(tmp_path, maps):
    path = tmp_path / "maps.csv"
    io.write(path, maps)
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == ["y", "x", "y_um", "x_um", "Fe K", "Fe K_se", "Pb L", "Pb L_se"]
    assert len(rows) == 12
    last = rows[-1]
    assert (last["y"], last["x"], float(last["y_um"]), float(last["x_um"])) == ("2", "3", 10.0, 7.5)
    assert float(last["Pb L"]) == 23


def test_hdf5_maps_are_nxdata(tmp_path, maps):
    path = tmp_path / "maps.h5"
    io.write(path, maps)
    with h5py.File(path) as file:
        group = file[file.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata"
        assert group[group.attrs["signal"]].shape == (2, 3, 4)
        assert group[f"{group.attrs['signal']}_errors"].shape == (2, 3, 4)
        assert list(group.attrs["axes"]) == [".", "y", "x"]


def test_pymca_fit_is_read(tmp_path):
    path = tmp_path / "fit.h5"
    iron = np.arange(6.0).reshape(2, 3)
    with h5py.File(path, "w") as file:
        results = file.create_group("images/xrf_fit/results")
        results["parameters/Fe_K"] = iron
        results["parameters/Pb_L"] = 2 * iron
        results["parameters/Scatter_Peak000"] = iron
        results["uncertainties/Fe_K"] = np.sqrt(iron)
        file["second/xrf_fit/results/parameters/Fe_K"] = 3 * iron  # of another map
        file["second/xrf_fit/results/parameters/Ca_K"] = 4 * iron
    assert io.recognizes(path)
    maps = io.read_element_maps(path)
    assert maps.families == ("Fe K", "Pb L")
    assert maps.source == "fit images/xrf_fit"
    np.testing.assert_array_equal(maps["Pb L"], 2 * iron)
    np.testing.assert_allclose(maps.standard_errors[0], np.sqrt(iron), rtol=1e-6)
    assert np.isnan(maps.standard_errors[1]).all()
    with pytest.raises(FileError, match="element maps, not spectra"):
        io.read(path)


def test_savu_result_is_read():
    path = measured_file("hdf5/fluo_p1_pymca.h5")
    assert io.is_element_map_file(path)
    maps = io.read_element_maps(path)
    assert maps.families == ("Fe K", "Cl K", "Pt L", "Cu K", "Ar K", "Si K")
    assert maps.counts.shape == (6, 23, 1100)
    with h5py.File(path) as file:
        stored = file["1-Pymca-fluo/data"][:, :, 0, 0]
    np.testing.assert_array_equal(maps["Fe K"], stored)


def test_a_table_with_the_byte_order_mark_of_a_spreadsheet(tmp_path, maps):
    path = tmp_path / "maps.csv"
    io.write(path, maps)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert io.is_element_map_file(path)
    np.testing.assert_array_equal(io.read_element_maps(path).counts, maps.counts)


@pytest.mark.parametrize(("mark", "encoding"), [(";", "cp1252"), ("\t", "utf-16")])
def test_a_table_that_a_spreadsheet_of_another_language_saved_anew(tmp_path, maps, mark, encoding):
    path = tmp_path / "maps.csv"
    io.write(path, maps)
    rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    text = "\r\n".join(mark.join(cell.replace(".", ",") for cell in row) for row in rows)
    path.write_text(text, encoding=encoding, newline="")
    assert io.recognizes(path)
    back = io.read_element_maps(path)
    np.testing.assert_array_equal(back.counts, maps.counts)
    assert back.pixel_size == maps.pixel_size


def test_a_cut_table_says_so(tmp_path, maps):
    path = tmp_path / "maps.csv"
    io.write(path, maps)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]))
    with pytest.raises(FileError, match="10 pixels of"):
        io.read_element_maps(path)


@pytest.mark.parametrize("name", ["maps.ome.tif", "maps.h5"])
def test_a_cut_file_gives_one_clear_error(tmp_path, maps, name):
    path = tmp_path / name
    io.write(path, maps)
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FileError, match=r"maps"):
            io.read_element_maps(path)


def test_foreign_images_are_left_to_others(tmp_path):
    path = tmp_path / "photo.ome.tif"
    tifffile.imwrite(path, np.zeros((2, 4, 5), dtype=np.uint8), metadata={"axes": "CYX"})
    assert not io.is_element_map_file(path)
    assert not io.recognizes(path)


def test_no_maps_and_no_suffix_are_refused(tmp_path, maps):
    nothing = ElementMaps((), np.zeros((0, 2, 2), np.float32), np.zeros((0, 2, 2), np.float32), "fit")
    with pytest.raises(InvalidInput, match="no element maps"):
        io.write(tmp_path / "maps.ome.tif", nothing)
    with pytest.raises(InvalidInput, match="xlsx"):
        io.write(tmp_path / "maps.xlsx", maps)
    assert not list(tmp_path.iterdir())


def test_fits_of_xrf_maps_and_pyxrf(tmp_path):
    stack = np.arange(36, dtype=np.float32).reshape(3, 3, 4)
    path = tmp_path / "fit.h5"
    for folder, values, names, titles, expected in (
        (
            "MAPS/XRF_Analyzed/NNLS",
            "Counts_Per_Sec",
            "Channel_Names",
            ["Fe", "x", "Pb_L"],
            ("Fe K", "Pb L"),
        ),
        ("MAPS", "XRF_fits", "channel_names", ["Fe", "x", "Pb_L"], ("Fe K", "Pb L")),
        ("xrfmap/detsum", "xrf_fit", "xrf_fit_name", ["Fe_K", "snip_bkg", "Pb_L"], ("Fe K", "Pb L")),
    ):
        with h5py.File(path, "w") as file:
            file[f"{folder}/{values}"] = stack
            file[f"{folder}/{names}"] = np.array(titles, dtype="S")
        assert io.is_element_map_file(path)
        maps = io.read_element_maps(path)
        assert maps.families == expected
        assert maps.unit == ("counts" if folder.startswith("xrf") else "counts/s")
        np.testing.assert_array_equal(maps.counts, stack[[0, 2]])
        assert np.isnan(maps.standard_errors).all()
    assert maps.source == "fit xrfmap/detsum"
    with h5py.File(tmp_path / "v9.h5", "w") as file:  # fits that were never made
        file["MAPS/XRF_fits"], file["MAPS/XRF_roi"] = np.zeros_like(stack), stack
        file["MAPS/channel_names"] = np.array(["Fe", "x", "Pb_L"], dtype="S")
    maps = io.read_element_maps(tmp_path / "v9.h5")
    np.testing.assert_array_equal(maps.counts, stack[[0, 2]])
    assert maps.source == "v9 MAPS/XRF_roi"
    with h5py.File(path, "r+") as file:
        file["xrfmap/detsum/counts"] = np.ones((3, 4, 512), np.uint16)
    assert not io.is_element_map_file(path)  # it is opened as the map of spectra that it is
    assert io.read_element_maps(path).families == ("Fe K", "Pb L")


@pytest.mark.parametrize(("name", "gap", "quote"), [("a.dat", "  ", ""), ("a.csv", ";", '"')])
def test_tables_of_pymca(tmp_path, name, gap, quote):
    columns = ["row", "column", "chisq", "Fe_K", "s(Fe_K)", "Pb L"]
    head = gap.join(f"{quote}{column}{quote}" for column in columns)
    rows = [gap.join(map(str, (y, x, 1.5, 10 * y + x, 0.5, y))) for y in range(3) for x in range(4)]
    (tmp_path / name).write_text("\n".join([head, *rows]) + "\n\n")
    assert io.recognizes(tmp_path / name)
    maps = io.read_element_maps(tmp_path / name)
    assert maps.families == ("Fe K", "Pb L")
    np.testing.assert_array_equal(maps["Fe K"], 10 * np.arange(3)[:, None] + np.arange(4))
    np.testing.assert_array_equal(maps.standard_errors[0], np.full((3, 4), 0.5))
    assert np.isnan(maps.standard_errors[1]).all()
    (tmp_path / name).write_text("\n".join([head, *rows[:-1]]))
    with pytest.raises(FileError, match="11 pixels of 3 × 4"):
        io.read_element_maps(tmp_path / name)


def test_maps_of_oxford_without_spectra(tmp_path):
    """A .h5oina of a version without spectra, or one that was exported without them."""
    path, areas = tmp_path / "map.h5oina", np.arange(36.0).reshape(3, 12)
    with h5py.File(path, "w") as file:
        lines = (("Fe Ka1", 26, "Ka1", 0), ("Fe Kb1", 26, "Kb1", 1), ("Ca Ka1", 20, "Ka1", 2))
        for name, number, line, at in lines:
            data = file.create_dataset(f"1/EDS/Data/Window Integral/{name}", data=areas[at][:, None])
            data.attrs.update({"Atomic Number": [[number]], "X-ray Line": line})
        for name, value in {"X Cells": 4, "Y Cells": 3, "X Step": 0.5, "Y Step": 0.25}.items():
            file[f"1/EDS/Header/{name}"] = [[value]]
    maps = io.read_element_maps(path)
    assert (maps.families, maps.unit, maps.pixel_size) == (("Ca K", "Fe K"), "counts/s", (0.25, 0.5))
    np.testing.assert_array_equal(maps.counts[1], areas[:2].sum(axis=0).reshape(3, 4))
    assert io.recognizes(path)
    with pytest.raises(FileError, match="holds element maps, not spectra"):
        io.read(path)
    with h5py.File(path, "r+") as file:
        file["1/EDS/Header/X Cells"][...] = 5
    with pytest.raises(FileError, match="not of 3 × 5 pixels"):
        io.read_element_maps(path)


def test_channels_of_smak(tmp_path):
    """Beside two places of each pixel: what no element names is left out."""
    path, values = tmp_path / "map.hdf5", np.arange(72.0).reshape(3, 4, 6)
    with h5py.File(path, "w") as file:
        main = file.create_group("main")
        main["mapdata"], main["xdata"], main["ydata"] = values, np.arange(4.0), np.arange(3.0)
        main.attrs.update({"labels": [b"I0", b"Fe", b"FF1", b"Ca"], "channels": 4, "origin": "SCANE"})
    assert io.recognizes(path)
    maps = io.read_element_maps(path)
    assert maps.families == ("Fe K", "Ca K")
    np.testing.assert_array_equal(maps.counts, np.moveaxis(values[..., [3, 5]], 2, 0))
    with pytest.raises(FileError, match="holds element maps, not spectra"):
        io.read(path)
    with h5py.File(path, "r+") as file:
        file["main"].attrs["labels"] = [b"Fe"]
    with pytest.raises(FileError, match="holds no element maps"):
        io.read_element_maps(path)


def test_text_matrices_of_few_rows_with_a_line_of_names(tmp_path):
    for name, factor in (("Fe", 1), ("Ca", 2)):
        rows = "\n".join(",".join(str(factor * value) for value in range(6)) for _ in range(3))
        (tmp_path / f"{name}.csv").write_text(f"# {name}\n{rows}\n")
    assert io.recognizes(tmp_path / "Fe.csv")
    assert io.read_element_maps(tmp_path / "Fe.csv").counts.shape == (2, 3, 6)


def test_a_tiff_is_the_same_bytes_each_time_and_tells_plain_programs_its_pixel_size(tmp_path):
    stack = np.ones((1, 3, 4), dtype=np.float32)
    maps = ElementMaps(("Fe K",), stack, stack, "fit", (5.0, 8.0))
    paths = [tmp_path / f"{number}.ome.tif" for number in range(2)]
    for path in paths:
        io.write(path, maps)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tifffile.TiffFile(paths[0]) as tiff:
        tags = tiff.pages[0].tags
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        down, across = (tags[f"{axis}Resolution"].value for axis in "YX")
    assert (1e4 * down[1] / down[0], 1e4 * across[1] / across[0]) == pytest.approx((5.0, 8.0))
