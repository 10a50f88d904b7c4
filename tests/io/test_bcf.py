"""Reading Bruker maps: exact counts, scale, instrument, images, detectors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bruker_files import PACKINGS, Overview, write_bcf
from measured import measured_file
from napari_xrf.core.counts import Loads, SumsChannels, SumsRegions
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, FileError, InvalidInput
from napari_xrf.io.bcf.counts import BcfCounts
from napari_xrf.io.bcf.reader import read_bcf

TOTALS = {
    "P45_12bit_packed_8bit": 915_942,
    "P45_12bit_packed_8bit_compressed": 915_942,
    "30x30_instructively_packed_16bit_compressed": 18_621_362,
    "bcf_v2_50x50px": 949_769,
    "4on3_full": 232_786,
    "over16bit": 176_786_251,
    "Hitachi_TM3030Plus": 171_804,
    "16x16_12bit_packed_8bit": 20_194,
    "bcf-edx-ebsd": 36_864,
    "test_TEM": 26_005,
}


def lazy(path: Path, **options) -> BcfCounts:
    """Read a map without unpacking it at once, however small it is."""
    counts = read_bcf(path, memory_budget=1, **options).counts
    assert isinstance(counts, BcfCounts)
    return counts


@pytest.fixture
def counts() -> np.ndarray:
    generator = np.random.default_rng(5)
    counts = generator.poisson(0.4, (9, 13, 200)).astype(np.int64)
    counts[3, 4, 100] = 255
    counts[8, 12, 199] = 256
    return counts


@pytest.mark.parametrize("name", TOTALS)
def test_measured_total(name):
    assert read_bcf(measured_file(f"bcf/{name}.bcf")).sum_spectrum().sum() == TOTALS[name]


@pytest.mark.parametrize("name", TOTALS)
def test_measured_same_as_rosettasciio(name):
    from rsciio.bruker import file_reader

    path = measured_file(f"bcf/{name}.bcf")
    (peer,) = file_reader(str(path), select_type="spectrum_image")
    cube = read_bcf(path)
    assert np.array_equal(cube.counts[:], peer["data"])
    energy = peer["axes"][2]
    assert (cube.energy.offset, cube.energy.width) == (energy["offset"], energy["scale"])


def test_compressed_twin_is_the_same():
    plain = read_bcf(measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    twin = read_bcf(measured_file("bcf/P45_12bit_packed_8bit_compressed.bcf"))
    assert np.array_equal(plain.counts[:], twin.counts[:])


def test_same_as_the_instruments_raw_export():
    path = measured_file("bcf/4on3_full.bcf")
    raw = np.fromfile(path.with_suffix(".raw"), dtype="<u2").reshape(3, 4, 1024)
    assert np.array_equal(read_bcf(path).counts[:], raw)


def test_measured_header():
    cube = read_bcf(measured_file("bcf/P45_12bit_packed_8bit.bcf"))
    assert cube.pixel_size == pytest.approx((8.73678506197786, 8.73678506197784))
    assert set(cube.elements) == {"Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti"}
    assert cube.excitation.kind == "electron"
    assert cube.excitation.energy_kev == 20
    assert cube.excitation.takeoff_deg == 35
    assert 120 < cube.excitation.fwhm_mn_ka_ev < 135
    assert [image.name for image in cube.images] == ["BSE", "SE"]
    assert cube.provenance.layout == "Bruker BCF"
    # Silicon is the highest peak of a dacite, at 1.740 keV.
    assert cube.energy.energies[cube.sum_spectrum().argmax()] == pytest.approx(1.74, abs=0.02)


def test_measured_images_of_two_sizes_lie_on_the_map():
    cube = read_bcf(measured_file("bcf/bcf_v2_50x50px.bcf"))
    small, large = cube.images
    assert small.data.shape == (50, 50)
    assert large.data.shape == (825, 1100)
    # The file's rectangle says that the map is the pixels 472..521 × 362..411 of the large image.
    part = large.data[362:412, 472:522].astype(float)
    assert np.corrcoef(part.ravel(), small.data.ravel().astype(float))[0, 1] > 0.3
    assert large.origin == pytest.approx((-362 * cube.pixel_size[0], -472 * cube.pixel_size[1]))


def test_measured_sum_spectrum_that_differs_is_told():
    cube = read_bcf(measured_file("bcf/bcf-edx-ebsd.bcf"))
    assert any("48768" in warning and "36864" in warning for warning in cube.provenance.warnings)


def test_a_sum_that_differs_by_less_than_its_own_error_is_not_told():
    cube = read_bcf(measured_file("bcf/P45_12bit_packed_8bit.bcf"))  # 916 612 and 915 942
    assert not any("sum spectrum" in warning for warning in cube.provenance.warnings)


def test_missing_pixel_size_is_told():
    cube = read_bcf(measured_file("bcf/Hitachi_TM3030Plus.bcf"))
    assert cube.pixel_size is None
    assert any("pixel size" in warning for warning in cube.provenance.warnings)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("packing", PACKINGS)
def test_round_trip(tmp_path, counts, packing, compressed):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, packing=packing, compressed=compressed)
    cube = read_bcf(path)
    assert np.array_equal(cube.counts[:], counts)
    assert cube.counts.dtype == np.uint16
    assert cube.provenance.warnings == ()


@pytest.mark.parametrize("packing", PACKINGS)
def test_rosettasciio_reads_the_written_files(tmp_path, packing):
    from rsciio.bruker import file_reader

    path = tmp_path / "map.bcf"
    counts = np.random.default_rng(1).poisson(3, (4, 5, 150))
    write_bcf(path, counts, packing=packing)
    (peer,) = file_reader(str(path), select_type="spectrum_image")
    assert np.array_equal(peer["data"], counts)


AMOUNTS = st.sampled_from([0, 0, 0, 1, 2, 15, 16, 17, 255, 256, 257, 65_535, 65_536, 2**20])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip_of_any_map(tmp_path, data):
    detectors = data.draw(st.integers(1, 3))
    shape = (detectors, *(data.draw(st.integers(1, most)) for most in (4, 5, 40)))
    packing = data.draw(st.sampled_from(["zero-run", "zero-run+pulses"]))
    size = int(np.prod(shape))
    counts = np.array(data.draw(st.lists(AMOUNTS, min_size=size, max_size=size)), np.int64).reshape(shape)
    measured = np.array(
        data.draw(st.lists(st.booleans(), min_size=shape[1] * shape[2], max_size=shape[1] * shape[2]))
    ).reshape(shape[1:3])
    path = tmp_path / "any.bcf"
    write_bcf(
        path, counts, packing=packing, measured=measured, compressed=data.draw(st.booleans()),
        chunk=data.draw(st.sampled_from([1024, 3657, 4096, 65536])),
    )  # fmt: skip
    truth = counts.sum(axis=0) * measured[:, :, None]
    cube = read_bcf(path)
    assert np.array_equal(cube.counts[:], truth)
    assert cube.counts.dtype == np.min_scalar_type(int(truth.max()))
    unpacked = lazy(path)
    assert np.array_equal(unpacked[:], truth)
    assert np.array_equal(unpacked[:, :, 0], truth[:, :, 0])
    assert np.array_equal(unpacked.sum_region(measured), truth.sum(axis=(0, 1)))


@pytest.mark.parametrize("packing", ["12bit", "16bit"])
def test_round_trip_of_lists_of_counts(tmp_path, packing):
    # 0 to 9 counts: every remainder of the groups of four that 12 bits are packed in.
    counts = np.zeros((1, 10, 4096), dtype=np.int64)
    for number in range(10):
        counts[0, number, 4095 - np.arange(number) * 400] = 1
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, packing=packing)
    assert np.array_equal(read_bcf(path).counts[:], counts)


def test_detectors_are_summed_or_taken_alone(tmp_path):
    stack = np.random.default_rng(2).poisson(1, (3, 4, 5, 60))
    path = tmp_path / "map.bcf"
    write_bcf(path, stack)
    assert np.array_equal(read_bcf(path).counts[:], stack.sum(axis=0))
    assert read_bcf(path).provenance.detectors == (
        "XFlash 430 (100)", "XFlash 430 (101)", "XFlash 430 (102)",
    )  # fmt: skip
    for number in range(3):
        alone = read_bcf(path, detector=number)
        assert np.array_equal(alone.counts[:], stack[number])
        assert alone.provenance.detectors == (f"XFlash 430 ({100 + number})",)


@pytest.mark.parametrize("wrong", [2, -1, "all"])
def test_a_detector_that_is_not_there(tmp_path, wrong):
    path = tmp_path / "map.bcf"
    write_bcf(path, np.ones((2, 2, 2, 30), dtype=np.int64))
    with pytest.raises(InvalidInput, match="2 detectors"):
        read_bcf(path, detector=wrong)


def test_scale_and_tube_of_an_xrf_map(tmp_path, counts):
    path = tmp_path / "map.bcf"
    axis = EnergyAxis(-0.9553, 0.009999, 200)
    times = np.full((9, 13), 5000)
    write_bcf(path, counts, energy=axis, pixel_size=(35.0, 20.0), elements=(26, 20), pixel_times_us=times)
    cube = read_bcf(path)
    assert cube.pixel_size == (35.0, 20.0)
    assert cube.energy == axis
    assert cube.elements == ("Fe", "Ca")
    assert np.allclose(cube.live_time, 0.005)
    excitation = cube.excitation
    assert (excitation.kind, excitation.energy_kev, excitation.anode) == ("tube", 50.0, "Rh")
    assert (excitation.incidence_deg, excitation.takeoff_deg) == (50.0, 50.0)
    assert excitation.atmosphere == "vacuum"
    assert "XFlash 430" in excitation.instrument


def test_sem_map(tmp_path, counts):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, tube=False, voltage=15.0)
    excitation = read_bcf(path).excitation
    assert (excitation.kind, excitation.energy_kev, excitation.takeoff_deg) == ("electron", 15.0, 35.0)


def test_decimal_commas(tmp_path, counts):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, pixel_size=(35.5, 20.5))
    path.write_bytes(
        path.read_bytes().replace(b"20.5</DX>", b"20,5</DX>").replace(b"35.5</DY>", b"35,5</DY>")
    )
    assert read_bcf(path).pixel_size == (35.5, 20.5)


def test_colour_mosaic_in_register(tmp_path, counts):
    mosaic = np.random.default_rng(3).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / "map.bcf"
    place = Overview(mosaic[:, :, ::-1], (10.0, 10.0), top=12, left=20, height=18, width=26)
    write_bcf(path, counts, pixel_size=(20.0, 20.0), overview=place)
    image = read_bcf(path).images[-1]
    assert np.array_equal(image.data, mosaic)
    assert image.pixel_size == (10.0, 10.0)
    # The map's first pixel (20 µm) covers the mosaic's pixels 12, 13 × 20, 21: its centre is at their edge.
    assert image.origin == (-125.0, -205.0)


def test_sum_spectrum_of_the_header_that_differs(tmp_path, counts):
    path = tmp_path / "map.bcf"
    said = counts.sum(axis=(0, 1)) + 1
    write_bcf(path, counts, sum_spectrum=said)
    (warning,) = read_bcf(path).provenance.warnings
    assert str(said.sum()) in warning
    assert str(counts.sum()) in warning


def test_unmeasured_pixels_are_zero(tmp_path, counts):
    path = tmp_path / "map.bcf"
    measured = np.zeros((9, 13), dtype=bool)
    measured[2:5, 6:] = True
    write_bcf(path, counts, measured=measured, packing="12bit")
    assert np.array_equal(read_bcf(path).counts[:], counts * measured[:, :, None])


KEYS = [
    np.s_[3, 4], np.s_[-1, -1], np.s_[2], np.s_[1:4], np.s_[::-2], np.s_[:, 3], np.s_[..., 7], np.s_[:, :, 5],
    np.s_[2:8:3, ::-1, 10:150:7], np.s_[0, 0, 0], np.s_[:0], np.s_[:, 4:4], np.s_[:, :, 9:9], np.s_[...],
    np.s_[1, ..., 3], np.s_[:, :, -3:], np.s_[4:5, 5:6, 190:300],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_lazy_slices_are_the_arrays(tmp_path, counts, key):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, packing="12bit")
    got = lazy(path)[key]
    assert np.array_equal(got, counts[key])
    assert np.shape(got) == np.shape(counts[key])


@pytest.mark.parametrize("key", [(9,), (0, 13), (0, 0, 200), (0, 0, 0, 0), (1.5,), (None,)], ids=str)
def test_lazy_wrong_index(tmp_path, counts, key):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts)
    with pytest.raises(IndexError):
        lazy(path)[key]


def test_lazy_regions(tmp_path, counts):
    path = tmp_path / "map.bcf"
    write_bcf(path, np.stack([counts, counts]), packing="zero-run+pulses")
    unpacked = lazy(path)
    assert isinstance(unpacked, SumsRegions)
    assert isinstance(unpacked, Loads)
    generator = np.random.default_rng(4)
    for share in (0, 0.02, 0.3, 1):
        mask = generator.random((9, 13)) < share
        assert np.array_equal(unpacked.sum_region(mask), 2 * counts[mask].sum(axis=0))
    with pytest.raises(InvalidInput):
        unpacked.sum_region(np.ones((2, 2), dtype=bool))


def test_lazy_windows_and_largest_counts(tmp_path, counts):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts, packing="12bit")
    unpacked = lazy(path)
    assert isinstance(unpacked, SumsChannels)
    assert np.array_equal(unpacked.max_spectrum(), counts.max(axis=(0, 1)))
    for window in (slice(0, 200), slice(95, 105), slice(199, None), slice(50, 50), slice(80, 20)):
        assert np.array_equal(unpacked.sum_channels(window), counts[:, :, window].sum(axis=2))
    cube = read_bcf(path, memory_budget=1)
    assert np.array_equal(cube.window_map(-0.1, 0.1), read_bcf(path).window_map(-0.1, 0.1))


@pytest.mark.parametrize("budget", [10**9, 1])
def test_load(tmp_path, counts, budget):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts)
    loaded = lazy(path).load(budget, lambda done, total, what: None)
    assert np.array_equal(loaded, counts)
    assert isinstance(loaded, np.ndarray) == (budget != 1)


def test_cancel_while_opening_and_loading(tmp_path, counts):
    def stop(done: int, total: int, what: str) -> None:
        raise Cancelled

    path = tmp_path / "map.bcf"
    write_bcf(path, counts)
    with pytest.raises(Cancelled):
        read_bcf(path, progress=stop)
    with pytest.raises(Cancelled):
        lazy(path).load(10**9, stop)


def test_a_file_that_changes_after_opening(tmp_path, counts):
    path = tmp_path / "map.bcf"
    write_bcf(path, counts)
    unpacked = lazy(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileError, match="changed"):
        unpacked[0, 0]
    path.unlink()
    with pytest.raises(FileError):
        unpacked[0, 0]


def test_light_to_import():
    import subprocess
    import sys

    absent = ("numba", "rsciio", "qtpy")
    code = f"import sys, napari_xrf.io.bcf.reader; print([m for m in {absent} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
