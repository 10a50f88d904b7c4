from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from measured import measured_file
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput

KINDS = {"i": "signed", "u": "unsigned", "f": "float"}


def write_pair(path, counts, *, record="vector", header=0, **keys) -> None:
    """Write (Y, X, E) counts as .rpl and .raw."""
    order = {"<": "little-endian", ">": "big-endian"}.get(counts.dtype.str[0], "dont-care")
    known = {"width": counts.shape[1], "height": counts.shape[0], "depth": counts.shape[2], "offset": header,
             "data-Length": counts.dtype.itemsize, "data-type": KINDS[counts.dtype.kind], "byte-order": order,
             "record-by": record, **keys}  # fmt: skip
    lines = ["key\tvalue", *(f"{key}  \t {value}" for key, value in known.items())]
    path.with_suffix(".rpl").write_text("\r\n".join(lines))
    stored = np.moveaxis(counts, 2, 0) if record == "image" else counts
    path.with_suffix(".raw").write_bytes(b"h" * header + np.ascontiguousarray(stored).tobytes())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["<u1", "<u2", ">u2", "<i2", ">i4", "<u4", ">f4", "<f8"]),
    record=st.sampled_from(["vector", "image"]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(2, 20)),
    header=st.sampled_from([0, 7]),
    budget=st.sampled_from([None, 1]),
)
def test_every_form_is_read(tmp_path, kind, record, shape, header, budget):
    counts = np.random.default_rng(1).poisson(3, shape).astype(kind)
    write_pair(tmp_path / "m.rpl", counts, record=record, header=header)
    for suffix in (".rpl", ".raw"):
        cube = io.read(tmp_path / f"m{suffix}", memory_budget=budget)
        assert cube.counts.dtype.kind == "u"
        np.testing.assert_array_equal(cube.counts, counts)
        assert io.recognizes(tmp_path / f"m{suffix}")


def test_keys_give_axes_and_conditions(tmp_path):
    counts = np.ones((2, 3, 8), np.uint16)
    write_pair(tmp_path / "m.rpl", counts, **{"ev-per-chan": 10, "beam-energy": 20, "elevation-angle": 35})
    cube = io.read(tmp_path / "m.rpl")
    assert cube.energy == EnergyAxis(0.0, 0.01, 8)
    assert (cube.excitation.energy_kev, cube.excitation.takeoff_deg) == (20.0, 35.0)
    write_pair(
        tmp_path / "m.rpl",
        counts,
        **{"depth-scale": 0.02, "depth-origin": -0.1, "depth-units": "keV"},
        **{"width-scale": 2, "width-units": "um", "height-scale": 0.003, "height-units": "mm"},
        title="two words",
    )
    cube = io.read(tmp_path / "m.rpl")
    assert cube.energy == EnergyAxis(-0.1, 0.02, 8)
    assert cube.pixel_size == (3.0, 2.0)
    assert cube.name == "two words"


def test_negative_counts_are_told(tmp_path):
    counts = np.array([[[-1, 5, 6]]], dtype=np.int16)
    write_pair(tmp_path / "m.rpl", counts)
    cube = io.read(tmp_path / "m.rpl")
    assert cube.counts[0, 0].tolist() == [0, 5, 6]
    assert "1 negative" in " ".join(cube.provenance.warnings)


@pytest.mark.parametrize(
    ("keys", "cause"),
    [
        ({"width": 0}, "width"),
        ({"depth": "many"}, "depth"),
        ({"height": 10**9}, "bytes"),
        ({"data-Length": 3}, "do not exist"),
        ({"data-type": "complex"}, "data-type"),
        ({"record-by": "spiral"}, "record-by"),
        ({"offset": -8}, "bytes"),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path, keys, cause):
    write_pair(tmp_path / "m.rpl", np.ones((2, 3, 8), np.uint16), **keys)
    with pytest.raises(FileError, match=cause):
        io.read(tmp_path / "m.rpl")


def test_halves_and_cuts(tmp_path):
    write_pair(tmp_path / "m.rpl", np.ones((2, 3, 8), np.uint16))
    raw = tmp_path / "m.raw"
    whole = raw.read_bytes()
    raw.write_bytes(whole + b"more")
    assert "4 bytes longer" in " ".join(io.read(raw).provenance.warnings)
    raw.unlink()
    assert not io.recognizes(tmp_path / "m.rpl")
    with pytest.raises(FileError, match="other half"):
        io.read(tmp_path / "m.rpl")
    with pytest.raises(InvalidInput, match="detector"):
        io.read(tmp_path / "m.rpl", detector=1)


@pytest.mark.parametrize("budget", [None, 1])
def test_a_raw_file_that_was_cut_short_keeps_its_whole_pixels(tmp_path, budget):
    counts = np.random.default_rng(1).poisson(3, (4, 5, 64)).astype("<u2")
    write_pair(tmp_path / "m.rpl", counts)
    raw = tmp_path / "m.raw"
    raw.write_bytes(counts.tobytes()[: 13 * 128 + 77])
    cube = io.read(raw, memory_budget=budget)
    np.testing.assert_array_equal(cube.counts[:].reshape(20, 64)[:13], counts.reshape(20, 64)[:13])
    assert not cube.counts[:].reshape(20, 64)[13:].any()
    assert "13 of 20 pixels are there" in " ".join(cube.provenance.warnings)
    raw.write_bytes(bytes(10))
    with pytest.raises(FileError, match="holds 10 bytes"):
        io.read(raw)
    write_pair(tmp_path / "m.rpl", counts, record="image")
    raw.write_bytes(raw.read_bytes()[:-1])  # no spectrum is whole
    with pytest.raises(FileError, match="2559 bytes"):
        io.read(raw)


def test_measured_pair():
    cube = io.read(measured_file("bcf/4on3_full.raw"))
    assert cube.shape == (3, 4, 1024)
    assert int(cube.counts.sum()) == 232_786


def write_text(path, *lines) -> None:
    path.write_text("\n".join(lines))


def test_headers_of_other_programs(tmp_path):
    counts = np.arange(48, dtype=np.uint16).reshape(2, 3, 8)
    (tmp_path / "m.raw").write_bytes(counts.tobytes())
    sizes = ["width\t3", "height\t2", "depth\t8", "offset\t0", "data-length\t2", "record-by\tvector"]
    m6 = ["depthscaleorigin\t-0.956", "depthscaleincrement\t0.01", "DepthScaleUnits\tkeV"]
    plain = ["data-type\tunsigned", "byte-order\tlittle-endian"]
    forms = {
        "native order": [*sizes, "data-type\tunsigned", "byte-order\tdont-care"],
        "three columns": [f"{line}\twhat it is" for line in [*sizes, *plain]],
        "INCA": ["(" + f"MLX::{line} ".replace("\t", " : ") + ")" for line in [*sizes, *plain]],
        "M6": [*sizes, *plain, *m6],
        "mixed case": [line.title() for line in [*sizes, *plain]],
    }
    for name, lines in forms.items():
        write_text(tmp_path / "m.rpl", *lines)
        cube = io.read(tmp_path / "m.rpl")
        np.testing.assert_array_equal(cube.counts, counts, err_msg=name)
        assert cube.energy.offset == (-0.956 if name == "M6" else 0.0)


def test_large_and_small_floats(tmp_path):
    counts = np.random.default_rng(1).poisson(3, (2, 3, 8)).astype("<f8")
    for factor in (2.0**40, 1e-5):
        write_pair(tmp_path / "m.rpl", counts * factor)
        cube = io.read(tmp_path / "m.rpl")
        np.testing.assert_array_equal(cube.counts, counts * (factor if factor > 1 else 1))


@pytest.mark.parametrize("record", ["vector", "image"])
def test_a_raw_file_that_shrinks_while_it_is_read_is_an_error(tmp_path, record):
    write_pair(tmp_path / "m.rpl", np.ones((4, 5, 2000), np.uint16), record=record)
    cube = io.read(tmp_path / "m.rpl", memory_budget=1)
    assert cube.sum_spectrum().sum() == 40_000
    (tmp_path / "m.raw").write_bytes(b"")
    with pytest.raises(FileError, match="changed after it was opened"):
        cube.sum_spectrum()


def test_bytes_in_the_wrong_order_are_told(tmp_path):
    counts = np.random.default_rng(1).poisson(3, (3, 4, 64))
    for kind, said in ((">u2", "little-endian"), ("<u4", "big-endian"), (">i4", "dont-care")):
        for budget in (None, 1):
            write_pair(tmp_path / "m.rpl", counts.astype(kind), **{"byte-order": said})
            cube = io.read(tmp_path / "m.rpl", memory_budget=budget)
            np.testing.assert_array_equal(cube.counts, counts)
            assert "endian byte order" in " ".join(cube.provenance.warnings)


def test_pairs_and_headers_as_they_come(tmp_path):
    counts = np.arange(48, dtype=np.uint16).reshape(2, 3, 8)
    header = tmp_path / "m.rpl"
    write_pair(header, counts, **{"ev-per-chan": "10,0", "depth-origin": "-0,05"})
    (tmp_path / "m.raw").rename(tmp_path / "M.RAW")
    header.write_bytes(header.read_text().encode("utf-16"))
    cube = io.read(header)
    np.testing.assert_array_equal(cube.counts, counts)
    assert cube.energy == EnergyAxis(-0.05, 0.01, 8)
    keys = ["key value description", "width  3  pixels per row", "height 2 rows", "depth 8 channels",
            "data-length 2 bytes", "data-type unsigned signed, unsigned, or float",
            "record-by vector or image"]  # fmt: skip
    write_text(header, *keys)
    np.testing.assert_array_equal(io.read(header).counts, counts)
