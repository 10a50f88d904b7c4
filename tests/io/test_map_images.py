"""Element maps that others saved as images: matrices of text and TIFFs, named by the element."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_xrf as nx
from napari_xrf import io
from napari_xrf.core.errors import FileError
from napari_xrf.io.map_images import family_named

MAPS = {name: np.random.default_rng(at).poisson(50, (6, 7)).astype("f4") for at, name in enumerate("ABC")}
FE, CA, SI = MAPS.values()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Fe", "Fe K"), ("P45_Fe", "Fe K"), ("Si Ka", "Si K"), ("FeKa1", "Fe K"), ("map-Pb-L", "Pb L"),
        ("K_Ka", "K K"), ("Au Mα", "Au M"), ("map_Pb-LA", "Pb L"), ("As Lα1,2", "As L"),
        ("Pb", "Pb L"), ("Ca_map", "Ca K"),
        ("granite", None), ("SiO2", None), ("I0", None), ("total", None),
    ],
)  # fmt: skip
def test_names(name, family):
    found = family_named(name)
    assert (found and found[0]) == family


@pytest.mark.parametrize("mark", ["\t", " ", ",", ";"])
def test_text_matrices_of_one_folder(tmp_path, mark):
    for name, values in {"Fe": FE, "Ca": CA, "Si": SI}.items():
        text = "\n".join(mark.join(f"{value:.1f}" for value in row) for row in values)
        (tmp_path / f"{name}.txt").write_text(text.replace(".", ",") if mark in "\t;" else text)
    assert io.is_element_map_file(tmp_path / "Ca.txt")
    maps = io.read_element_maps(tmp_path / "Fe.txt")
    assert set(maps.families) == {"Ca K", "Fe K", "Si K"}
    np.testing.assert_array_equal(maps["Fe"], FE)
    np.testing.assert_array_equal(maps["Si"], SI)
    assert np.all(np.isnan(maps.standard_errors))


def test_series_as_bruker_and_oxford_name_them(tmp_path):
    for folder, names in (("bruker", ("Ca-KA", "Ca-KB", "Pb-LA", "Pb-MA")), ("oxford", ("Ca Kα1", "Ca Kβ1",
                          "Pb Lα1,2", "Pb Mα1"))):  # fmt: skip
        (tmp_path / folder).mkdir()
        for name, values in zip(names, (CA, FE, SI, FE), strict=True):
            np.savetxt(tmp_path / folder / f"rock_{name}.csv", values, delimiter=",")
        maps = io.read_element_maps(tmp_path / folder / f"rock_{names[0]}.csv")
        assert set(maps.families) == {"Ca K", "Pb L", "Pb M"}
        np.testing.assert_allclose(maps["Ca"], CA + FE, rtol=1e-6)


def test_tiffs_of_one_sample_beside_another(tmp_path):
    for name, values in {"rock_Fe": FE, "rock_Ca": CA, "other_Fe": SI}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
    maps = io.read_element_maps(tmp_path / "rock_Ca.tif")
    assert maps.families == ("Ca K", "Fe K")
    np.testing.assert_array_equal(maps["Fe"], FE)
    # Nothing tells that this one is an element's map rather than any picture.
    assert not io.is_element_map_file(tmp_path / "other_Fe.tif")


def test_stack_with_named_pages(tmp_path):
    path = tmp_path / "stack.tif"
    info = {"axes": "CYX", "Labels": ["Fe K", "Sum", "Pb L"], "unit": "um"}
    tifffile.imwrite(path, np.stack([FE, CA, SI]), imagej=True, metadata=info, resolution=(0.5, 0.25))
    maps = io.read_element_maps(path)
    assert maps.families == ("Fe K", "Pb L")
    np.testing.assert_array_equal(maps["Pb"], SI)
    assert maps.pixel_size == pytest.approx((4, 2))
    other = tmp_path / "foreign.ome.tif"
    tifffile.imwrite(other, np.stack([FE, CA]), metadata={"axes": "CYX", "Channel": {"Name": ["Ca", "Fe"]}})
    assert io.read_element_maps(other).families == ("Ca K", "Fe K")


def test_pictures_and_spectra_are_left_to_others(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", FE)
    (tmp_path / "Fe.txt").write_text("\n".join(f"{at} {at * 2}" for at in range(40)))
    assert not io.is_element_map_file(tmp_path / "photo.tif")
    assert not io.is_element_map_file(tmp_path / "Fe.txt")


@pytest.mark.parametrize("bad", ["1 2 3 4 5\n1 2 3 4\n" * 4, "a b c d e\n" * 6, "1 2 3 4 5 6\n" * 7])
def test_series_that_do_not_fit(tmp_path, bad):
    (tmp_path / "Ca.txt").write_text("\n".join(" ".join(map(str, row)) for row in CA))
    (tmp_path / "Fe.txt").write_text(bad)
    with pytest.raises(FileError):
        io.read_element_maps(tmp_path / "Ca.txt")


@pytest.mark.parametrize(
    ("ending", "kind", "factor"),
    [(".ims", "", 1), (".dms", "<f4", 1), (".dms", "<f4", 0.37), (".dms", "<i4", 1),
     (".dms", "<f8", 0.37), (".dms", "<i2", 1)],
)  # fmt: skip
def test_datamuncher_images(tmp_path, ending, kind, factor):
    # Columns run fastest; the lines of calcium stand apart, the sum is no element.
    stack = factor * np.stack([FE, CA, SI, FE + CA])
    values = stack.astype(kind).tobytes() if kind else b" ".join(b"%g" % value for value in stack.ravel())
    path = tmp_path / f"painting{ending}"
    path.write_bytes(b"2\n7 6 4\n" + values + b"\nFe-K\nCa-Ka\nCa-Kb\nsum\n")
    assert io.is_element_map_file(path)
    maps = io.read_element_maps(path)
    assert maps.families == ("Fe K", "Ca K")
    np.testing.assert_allclose(maps["Fe"], factor * FE, rtol=1e-5)
    np.testing.assert_allclose(maps["Ca"], factor * (CA + SI), rtol=1e-5)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="cut short"):
        io.read_element_maps(path)


def test_lines_of_a_family_are_added_unless_the_family_is_there(tmp_path):
    info = {"axes": "CYX", "Labels": ["Fe Ka", "Fe Kb", "Ca Ka", "Ca K"]}
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FE, CA, SI, CA]), imagej=True, metadata=info)
    maps = io.read_element_maps(tmp_path / "a.tif")
    np.testing.assert_array_equal(maps["Fe"], FE + CA)
    np.testing.assert_array_equal(maps["Ca"], CA)


def write_edf(path, titles, images) -> None:
    parts = []
    for title, image in zip(titles, images, strict=True):
        head = f"{{\nByteOrder = LowByteFirst ;\nDataType = FloatValue ;\nDim_1 = {image.shape[1]} ;\n"
        head += f"Dim_2 = {image.shape[0]} ;\n" + (f"Title = {title} ;\n" if title else "")
        parts += [head.ljust(510).encode() + b"}\n", image.astype("<f4").tobytes()]
    path.write_bytes(b"".join(parts))


def test_stack_whose_pages_pymca_describes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for title, image in (("chisq", SI), ("Fe K", FE), ("s(Fe K)", CA)):
            tiff.write(image, description=f"Title={title}", metadata=None)
    maps = io.read_element_maps(tmp_path / "a.tif")
    assert maps.families == ("Fe K",)
    np.testing.assert_array_equal(maps["Fe"], FE)
    np.testing.assert_array_equal(maps.standard_error("Fe"), CA)


def test_images_of_pymca_in_edf(tmp_path):
    titles = ["chisq", "Fe K", "s(Fe K)", "Ca Ka", "Ca Kb"]
    write_edf(tmp_path / "images.edf", titles, [SI, FE, np.sqrt(FE), CA, SI])
    maps = nx.read(tmp_path / "images.edf")
    assert maps.families == ("Fe K", "Ca K")
    np.testing.assert_array_equal(maps["Fe"], FE)
    np.testing.assert_allclose(maps.standard_error("Fe"), np.sqrt(FE))
    np.testing.assert_array_equal(maps["Ca"], CA + SI)
    assert np.isnan(maps.standard_error("Ca")).all()
    for name, image in {"rock_Fe_K": FE, "rock_Ca_K": CA, "rock_sFe_K": SI}.items():
        write_edf(tmp_path / f"{name}.edf", [name[5:]], [image])
    maps = io.read_element_maps(tmp_path / "rock_Fe_K.edf")
    assert maps.families == ("Ca K", "Fe K")
    np.testing.assert_array_equal(maps.standard_error("Fe"), SI)
    write_edf(tmp_path / "Si.edf", [""], [np.ones((3, 1024))])  # a row of spectra
    assert nx.read(tmp_path / "Si.edf").shape == (1, 3, 1024)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="whatever is compressed is read")
def test_a_package_that_a_compression_needs_is_named(tmp_path):
    for element in ("Ca", "Fe"):
        Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(
            tmp_path / f"map_{element}.tif", compression="tiff_lzw"
        )
    with pytest.raises(FileError, match="compressed") as told:
        io.read_element_maps(tmp_path / "map_Fe.tif")
    assert "imagecodecs" in told.value.remedy


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_matrix_as_a_spreadsheet_saves_it(tmp_path, encoding):
    """Its first row stands behind a mark; cells without a value are empty."""
    values = np.arange(35.0).reshape(5, 7)
    rows = [",".join(f"{value:g}" if value != 9 else "" for value in row) for row in values]
    (tmp_path / "Cr.csv").write_text("\n".join(rows), encoding=encoding)
    values[values == 9] = np.nan
    np.testing.assert_array_equal(io.read_element_maps(tmp_path / "Cr.csv")["Cr"], values)


def test_maps_of_different_shapes_are_named(tmp_path):
    for name, rows in (("Fe", 4), ("Zn", 3)):
        np.savetxt(tmp_path / f"{name}.txt", np.ones((rows, 6)), fmt="%g")
    with pytest.raises(FileError, match=r"Fe K \(4, 6\), Zn K \(3, 6\)"):
        io.read_element_maps(tmp_path / "Fe.txt")
