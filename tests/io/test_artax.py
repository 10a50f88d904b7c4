"""Artax projects: grids from the stage's positions, results that are no pixels, damage."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.errors import FileError

SIZE = 32


def spectrum(counts, position=None, inside="", live=1500) -> str:
    axes = "".join(
        f'<Axis{number} AxisName="{name}" AxisUnit="mm" AxisPosition="{str(value).replace(".", ",")}"/>'
        for number, (name, value) in enumerate((position or {}).items())
    )
    header = f'<ClassInstance Type="TRTAxesHeader"><AxesParameter>{axes}</AxesParameter></ClassInstance>'
    return (
        '<ClassInstance Type="TRTSpectrum" Name="s"><TRTHeaderedClass>'
        f'<ClassInstance Type="TRTSpectrumHardwareHeader"><LifeTime>{live}</LifeTime></ClassInstance>'
        '<ClassInstance Type="TRTSpectrumHeader"><CalibAbs>-0,1</CalibAbs><CalibLin>0,02</CalibLin>'
        f"</ClassInstance>{header if position else ''}</TRTHeaderedClass>{inside}"
        f"<Channels>{','.join(map(str, counts))}</Channels></ClassInstance>"
    )


def write_rtx(path, spectra, prolog="") -> None:
    body = "".join(spectra)
    path.write_text(
        f'<?xml version="1.0" encoding="WINDOWS-1252"?>{prolog}<TRTProject><ClassInstance Type="TRTProject">'
        f"<ChildClassInstances>{body}</ChildClassInstances></ClassInstance></TRTProject>"
    )


def counts_of(number: int) -> np.ndarray:
    return np.arange(SIZE) + 100 * number


@pytest.mark.parametrize("order", ["rows", "zigzag", "columns"])
def test_positions_give_the_map(tmp_path, order):
    path, spectra = tmp_path / "map.rtx", []
    for slow in range(3):
        for step in range(4):
            fast = 3 - step if order == "zigzag" and slow % 2 else step
            row, column = (fast, slow) if order == "columns" else (slow, fast)
            where = {"x": 10 + 0.05 * column, "y": 2 + 0.1 * row, "z": 7.0}
            spectra.append(spectrum(counts_of(10 * row + column), where))
    write_rtx(path, spectra)
    cube = io.read(path)
    shape = (4, 3) if order == "columns" else (3, 4)
    expected = [[counts_of(10 * row + column) for column in range(shape[1])] for row in range(shape[0])]
    np.testing.assert_array_equal(cube.counts, expected)
    assert cube.pixel_size == pytest.approx((100, 50))
    assert (cube.energy.offset, cube.energy.width) == pytest.approx((-0.1, 0.02))
    assert np.all(cube.live_time == 1.5)
    assert io.recognizes(path)


def test_fits_inside_a_spectrum_and_a_sum_at_the_end_are_no_pixels(tmp_path):
    path, fitted = tmp_path / "map.rtx", spectrum(np.full(SIZE, 7))
    inside = f'<ClassInstance Type="TRTSpectrumList">{fitted}</ClassInstance>'
    spectra = [spectrum(counts_of(at), {"x": at, "y": 0.0}, inside) for at in range(5)]
    write_rtx(path, [*spectra, spectrum(np.full(SIZE, 9999))])
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0], [counts_of(at) for at in range(5)])
    assert any("without a position" in text for text in cube.provenance.warnings)


def test_scattered_positions_stand_in_one_row(tmp_path):
    path = tmp_path / "points.rtx"
    places = [(0, 0), (3, 1), (1, 5), (9, 2), (4, 4)]
    write_rtx(path, [spectrum(counts_of(at), {"x": x, "y": y}) for at, (x, y) in enumerate(places)])
    cube = io.read(path)
    assert cube.map_shape == (1, 5)
    assert any("no grid" in text for text in cube.provenance.warnings)


def test_one_project_named_as_a_spectrum(tmp_path):
    path = tmp_path / "map.spx"
    write_rtx(path, [spectrum(counts_of(at), {"x": at, "y": 0.0}) for at in range(3)])
    assert io.read(path).map_shape == (1, 3)


@pytest.mark.parametrize("fault", ["cut", "entities", "words", "nothing", "budget"])
def test_damage_is_named(tmp_path, fault):
    path, good = tmp_path / "map.rtx", [spectrum(counts_of(at), {"x": at, "y": 0}) for at in range(3)]
    bad = {"words": [spectrum(["many"], {"x": 0})], "nothing": []}
    write_rtx(path, bad.get(fault, good), '<!DOCTYPE x [<!ENTITY a "1">]>' if fault == "entities" else "")
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileError, match=r"map\.rtx"):
        io.read(path, memory_budget=100 if fault == "budget" else None)
