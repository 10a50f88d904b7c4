from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from measured import measured_file
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.physics.excitation import excitation_of, instrument_of
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument


@st.composite
def spectra(draw) -> Spectrum:
    counts = draw(st.lists(st.integers(0, 2**40), min_size=16, max_size=64))
    axis = EnergyAxis(draw(st.floats(-2, 2)), draw(st.floats(1e-3, 0.1)), len(counts))
    live = draw(st.none() | st.floats(1e-3, 1e5))
    return Spectrum(np.array(counts, dtype=np.uint64), axis, "a grain", 3, live)


@pytest.mark.parametrize("suffix", [".csv", ".msa"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spectrum=spectra())
def test_what_is_written_is_read_back(tmp_path, suffix, spectrum):
    path = tmp_path / f"grain{suffix}"
    io.write(path, spectrum)
    assert io.recognizes(path)
    back = io.read_spectrum(path)
    np.testing.assert_array_equal(back.counts, spectrum.counts)
    np.testing.assert_allclose(back.energy.energies, spectrum.energy.energies, rtol=0, atol=1e-9)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], spectrum.counts)
    if suffix == ".msa":
        assert back.energy == spectrum.energy
        assert back.live_time == spectrum.live_time
        assert back.name == spectrum.name


def test_msa_keeps_the_excitation(tmp_path):
    excitation = Excitation("tube", 50.0, "Rh", 51.0, 50.0, "vacuum", 143.9205, "XFlash 430", 200.0)
    spectrum = Spectrum(np.arange(32, dtype=np.uint32), EnergyAxis(-0.4, 0.01, 32), excitation=excitation)
    for kind in ("tube", "electron"):
        stated = replace(excitation, kind=kind)
        io.write(tmp_path / "s.msa", replace(spectrum, excitation=stated))
        assert io.read(tmp_path / "s.msa").excitation == stated


@pytest.mark.parametrize("name", ["m4", "sem-eds", "synchrotron"])
def test_a_simulated_msa_says_what_excited_it(tmp_path, name):
    io.write(tmp_path / "s.msa", simulate_spectrum("Fe", name)[0])
    used, cube = load_instrument(name), io.read(tmp_path / "s.msa")
    fwhm = pytest.approx(excitation_of(used).fwhm_mn_ka_ev)
    assert replace(cube.excitation, fwhm_mn_ka_ev=fwhm) == excitation_of(used)
    found = instrument_of(cube)
    assert (found.source, found.takeoff_deg, found.atmosphere) == (
        used.source,
        used.takeoff_deg,
        used.atmosphere,
    )
    msa = pytest.importorskip("rsciio.msa")
    (other,) = msa.file_reader(tmp_path / "s.msa")
    microscope = other["metadata"]["Acquisition_instrument"]["TEM"]
    assert microscope["beam_energy"] == used.source.highest_kev
    assert microscope["Detector"]["EDS"]["elevation_angle"] == used.takeoff_deg


def test_expected_counts_are_told_from_measured_ones(tmp_path):
    energy = EnergyAxis(0.0, 0.01, 200)
    expected = 40 * np.exp(-(((np.arange(200) - 90) / 9) ** 2))
    io.write(tmp_path / "expected.msa", Spectrum(expected, energy))
    (told,) = io.read(tmp_path / "expected.msa").provenance.warnings
    assert told.startswith("The counts are expected ones, without noise")
    io.write(
        tmp_path / "drawn.msa", Spectrum(np.random.default_rng(0).poisson(expected).astype(float), energy)
    )
    assert not io.read(tmp_path / "drawn.msa").provenance.warnings


def test_rosettasciio_reads_our_msa(tmp_path):
    msa = pytest.importorskip("rsciio.msa")
    spectrum = Spectrum(np.arange(32) ** 2, EnergyAxis(-0.4, 0.01, 32), "Fe plate", live_time=30.0)
    io.write(tmp_path / "s.msa", spectrum)
    (found,) = msa.file_reader(tmp_path / "s.msa")
    np.testing.assert_array_equal(found["data"], spectrum.counts)
    assert (found["axes"][0]["offset"], found["axes"][0]["scale"]) == (-0.4, 0.01)
    assert found["metadata"]["General"]["title"] == "Fe plate"


def test_expectations_keep_their_fractions_in_a_table(tmp_path):
    expected = 3 * np.linspace(0, 1, 50) ** 3
    spectrum = Spectrum(expected, EnergyAxis(0.0, 0.02, 50))
    for suffix in (".csv", ".msa"):
        io.write(tmp_path / f"e{suffix}", spectrum)
    np.testing.assert_array_equal(io.read_spectrum(tmp_path / "e.csv").counts, expected)
    cube = io.read(tmp_path / "e.csv")
    assert abs(int(cube.counts.sum()) - expected.sum()) <= 1
    assert "not whole" in " ".join(cube.provenance.warnings)


@pytest.mark.parametrize(("logarithm", "base"), [(np.log10, "10"), (np.log1p, "e")])
def test_logarithms_of_counts_are_told(tmp_path, logarithm, base):
    counts = np.random.default_rng(0).poisson(40 + 3000 * np.exp(-0.5 * ((np.arange(200) - 80) / 6) ** 2))
    io.write(tmp_path / "s.csv", Spectrum(logarithm(counts), EnergyAxis(0.0, 0.05, 200)))
    told = " ".join(io.read(tmp_path / "s.csv").provenance.warnings)
    assert f"logarithms of counts (base {base})" in told
    io.write(tmp_path / "s.csv", Spectrum(counts / 7.3, EnergyAxis(0.0, 0.05, 200)))
    assert "logarithms" not in " ".join(io.read(tmp_path / "s.csv").provenance.warnings)


def test_tables_that_are_no_spectra(tmp_path):
    path = tmp_path / "t.csv"
    for text in (
        "energy_keV,counts\n0,1\n1,x\n",
        "energy_keV,counts\n0,1\n",
        "energy_keV,counts\n0,1\n1,1\n9,1\n",
        "energy_keV,counts\n",
        "energy_keV,counts\n1,1\n0,1\n",
    ):
        path.write_text(text)
        with pytest.raises(FileError):
            io.read(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match="no column of counts"):
        io.read(path)
    assert not io.recognizes(path)


def test_a_map_is_no_spectrum(tmp_path):
    with pytest.raises(FileError, match="not one spectrum"):
        io.read_spectrum(measured_file("bcf/4on3_full.rpl"))
    with pytest.raises(InvalidInput):
        io.write(tmp_path / "x.dat", Spectrum(np.zeros(16), EnergyAxis(0, 1, 16)))


@pytest.mark.parametrize(
    ("name", "total", "axis", "live_time"),
    [
        ("horiba_xgt7200/Fe.txt", 603_142, EnergyAxis(-0.4, 0.01, 4096), 30.0),
        (
            "nist_microxrf/Fe_50kv_50_ma_Rh_vac_D1.msa",
            7_643_966,
            EnergyAxis(-0.9553045, 0.009999, 4096),
            120.005,
        ),
        ("other/Steel.spe", 5_607_017, EnergyAxis(0, 0.01, 2048), None),
        ("other/XRFSpectrum.mca", 56_640_073, EnergyAxis(0, 0.01, 4096), None),
        ("other/srm1832.mca", None, EnergyAxis(-0.01068655, 0.01465549, 2048), None),
        ("nist_microxrf/acrylic_Rh50kV_f1.spx", 10_844_505, EnergyAxis(-0.95639563, 0.010001, 4096), 300.313),
        (
            "other/bruker_m6_jetstream_file_example.spx",
            1_090_697,
            EnergyAxis(-0.95550444, 0.009999, 4096),
            28.046,
        ),
    ],
)
def test_measured_spectra(name, total, axis, live_time):
    cube = io.read(measured_file(f"spectra/{name}"))
    assert cube.map_shape == (1, 1)
    assert cube.energy == axis
    if total is not None:
        assert int(cube.counts.sum()) == total
    if live_time is not None:
        assert float(cube.live_time[0, 0]) == live_time


def test_measured_spectra_agree_with_rosettasciio():
    msa = pytest.importorskip("rsciio.msa")
    for name in ("horiba_xgt7200/Zn.txt", "nist_microxrf/Cu_50kv_50_ma_Rh_vac_D1.msa"):
        path = measured_file(f"spectra/{name}")
        theirs = np.asarray(msa.file_reader(path)[0]["data"])
        np.testing.assert_array_equal(io.read(path).counts[0, 0], np.maximum(theirs, 0))


def test_bruker_tells_tube_and_geometry():
    excitation = io.read(measured_file("spectra/nist_microxrf/acrylic_Rh50kV_f1.spx")).excitation
    assert (excitation.kind, excitation.energy_kev, excitation.anode) == ("tube", 50.0, "Rh")
    assert (excitation.incidence_deg, excitation.takeoff_deg) == (50.0, 50.0)
    assert excitation.atmosphere == "vacuum"  # 20 mbar of air
    assert excitation.fwhm_mn_ka_ev == pytest.approx(144.2, abs=0.1)
    assert (
        io.read(measured_file("spectra/other/bruker_m6_jetstream_file_example.spx")).excitation.atmosphere
        == "helium"
    )


def test_detectors_of_an_epics_file_are_brought_to_one_axis():
    path = measured_file("spectra/other/srm1832.mca")
    together = io.read(path)
    alone = [io.read(path, detector=number) for number in range(4)]
    total = sum(int(cube.counts.sum()) for cube in alone)
    # Only counts beyond the first detector's last channel can be lost.
    assert 0 <= total - int(together.counts.sum()) < 1e-4 * total
    # The highest peak of the standard stands at one energy in all of them.
    peaks = [float(cube.energy.energy(int(np.argmax(cube.counts[0, 0])))) for cube in [together, *alone]]
    assert np.ptp(peaks) < 0.03
    assert together.excitation.energy_kev == 35.0
    with pytest.raises(InvalidInput, match="no detector"):
        io.read(path, detector=4)
