import numpy as np
import pytest

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.physics.instrument import (
    OpticTransmission,
    instrument_names,
    load_instrument,
)
from napari_xrf.physics.source import ElectronBeam, MonochromaticSource, TubeSource

MINIMAL = """
name = "bench"
[source]
kind = "tube"
anode = "Mo"
voltage_kv = 40
filters = [{ formula = "Al", thickness_um = 100 }]
[geometry]
incidence_deg = 45
takeoff_deg = 45
[detector]
kind = "sdd"
medium = { formula = "Si" }
thickness_um = 500
[energy]
offset_kev = 0.0
width_kev = 0.02
size = 2048
"""


LONG = EnergyAxis(0, 0.01, 4096)


def cube_with(excitation: Excitation, axis: EnergyAxis = LONG) -> SpectralCube:
    return SpectralCube(np.ones((1, 1, axis.size), dtype=np.uint32), axis, excitation=excitation)


def test_every_preset_loads_and_can_be_a_key():
    usual = {"gem", "m4-tornado", "pixl", "pixl-breadboard", "sem-eds", "synchrotron"}
    assert set(instrument_names()) == usual
    for name in instrument_names():
        instrument = load_instrument(name)
        assert hash(instrument) == hash(load_instrument(name))
        assert instrument.detector.efficiency(6.4) > 0
        assert instrument.energy.energies[-1] > 15


def test_m4_is_the_instrument_of_the_issue():
    instrument = load_instrument("M4")
    assert instrument.energy == EnergyAxis(-0.955, 0.01, 4096)
    assert isinstance(instrument.source, TubeSource)
    assert (instrument.source.anode, instrument.source.voltage_kv) == ("Rh", 50)
    assert instrument.atmosphere == "vacuum"
    assert instrument.optic is not None
    # 126° is where the Bragg reflections of the measured metals put it.
    assert instrument.scatter_deg == pytest.approx(126, abs=0.5)


def test_scatter_angle_in_one_plane_is_180_less_both_angles():
    instrument = load_instrument("synchrotron")
    assert instrument.scatter_deg == pytest.approx(90)


def test_optic_is_interpolated_and_held():
    optic = OpticTransmission((1.0, 4.0, 16.0), (0.1, 1.0, 0.01))
    np.testing.assert_allclose(optic.at([0.5, 1, 2, 8, 16, 40]), [0.1, 0.1, 0.1**0.5, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("energies", "values"),
    [((1.0,), (1.0,)), ((2.0, 1.0), (1, 1)), ((1.0, 2.0), (1.0, 0.0)), ((1.0, 2.0), (1.0,))],
)
def test_impossible_optics_are_refused(energies, values):
    with pytest.raises(InvalidInput, match="optic"):
        OpticTransmission(energies, values)


def test_users_file_is_read(tmp_path):
    path = tmp_path / "bench.toml"
    path.write_text(MINIMAL, encoding="utf-8-sig")  # with the mark that some editors write
    instrument = load_instrument(path)
    assert instrument.name == "bench"
    assert isinstance(instrument.source, TubeSource)
    assert instrument.source.filters[0].material.density == pytest.approx(2.70, abs=0.01)
    assert instrument.energy.size == 2048


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('anode = "Mo"', 'anode = "Xx"', "Xx"),
        ("voltage_kv = 40", "voltage_kv = 500", "500"),
        ("voltage_kv = 40", "", "voltage_kv"),
        ("thickness_um = 500", "thickness_um = -1", "thickness"),
        ("thickness_um = 500", 'thickness_um = "thick"', "thickness_um"),
        ("incidence_deg = 45", "incidence_deg = 0", "incidence"),
        ('kind = "sdd"', 'kind = "eye"', "eye"),
        ('kind = "tube"', 'kind = "lamp"', "lamp"),
        ("size = 2048", "size = 0", "channel"),
        ("[energy]", "[energies]", "energies"),
        ("takeoff_deg = 45", "takeoff_deg = 45\nmoon_phase = 3", "moon_phase"),
        ('medium = { formula = "Si" }', 'medium = { formula = "SiO2" }', "density"),
        ("[source]", "[source", "TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, old, new, named):
    path = tmp_path / "wrong.toml"
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(FileError, match=named) as error:
        load_instrument(path)
    assert "wrong.toml" in str(error.value)


def test_unknown_names_and_missing_files():
    with pytest.raises(InvalidInput, match="m4-tornado"):
        load_instrument("toaster")
    with pytest.raises(FileError, match="does not exist"):
        load_instrument("nowhere.toml")


def test_instrument_of_a_tube_takes_what_the_file_says():
    found = instrument_of(
        cube_with(
            Excitation(
                kind="tube",
                energy_kev=35.0,
                anode="Mo",
                incidence_deg=60.0,
                atmosphere="air",
                fwhm_mn_ka_ev=160,
            )
        )
    )
    assert isinstance(found.source, TubeSource)
    assert (found.source.anode, found.source.voltage_kv, found.incidence_deg) == ("Mo", 35.0, 60.0)
    assert found.takeoff_deg == load_instrument("m4").takeoff_deg
    assert found.atmosphere == "air"
    assert found.detector.fwhm(MN_KA_KEV) == pytest.approx(0.160)


def test_instrument_of_electrons_and_of_a_beamline():
    electrons = instrument_of(cube_with(Excitation(kind="electron", energy_kev=15.0)))
    assert electrons.source == ElectronBeam(15.0)
    beam = instrument_of(cube_with(Excitation(kind="monochromatic", energy_kev=12.5)))
    assert beam.source == MonochromaticSource(12.5)


def test_nonsense_in_a_header_leaves_the_presets_values():
    found = instrument_of(
        cube_with(Excitation(kind="tube", energy_kev=0.0, anode="Q", incidence_deg=-5.0, atmosphere="soup"))
    )
    preset = load_instrument("m4")
    assert found.source == preset.source
    assert (found.incidence_deg, found.atmosphere) == (preset.incidence_deg, preset.atmosphere)


def test_unknown_excitation_is_told_by_the_axis():
    short = instrument_of(cube_with(Excitation(), EnergyAxis(-0.4724, 0.01, 2048)))
    assert isinstance(short.source, ElectronBeam)
    long = instrument_of(cube_with(Excitation()))
    assert isinstance(long.source, TubeSource)
    assert long.energy == EnergyAxis(0, 0.01, 4096)


def test_energy_of_a_beam_is_found_at_its_elastic_peak():
    axis = EnergyAxis(0, 0.01, 2048)
    counts = 1000 * np.exp(-0.5 * ((axis.energies - 6.4) / 0.06) ** 2)
    counts += 300 * np.exp(-0.5 * ((axis.energies - 12.0) / 0.07) ** 2)
    cube = SpectralCube(
        counts.astype(np.uint32)[None, None], axis, excitation=Excitation(kind="monochromatic")
    )
    found = instrument_of(cube)
    assert isinstance(found.source, MonochromaticSource)
    assert found.source.energy_kev == pytest.approx(12.0, abs=0.03)


def test_an_empty_map_has_an_instrument_too():
    axis = EnergyAxis(0, 0.01, 2048)
    empty = SpectralCube(np.zeros((2, 2, 2048), np.uint16), axis, excitation=Excitation(kind="monochromatic"))
    assert instrument_of(empty).source.highest_kev > 0


def test_the_instruments_name_tells_what_a_file_does_not_say():
    tube = instrument_of(cube_with(Excitation(instrument="IXRF ATLAS, Mo tube 50 kV 200 uA, 10 um spot")))
    assert isinstance(tube.source, TubeSource)
    assert (tube.source.anode, tube.source.voltage_kv) == ("Mo", 50.0)
    beam = instrument_of(cube_with(Excitation(instrument="APS 2-ID-E, 10 keV incident")))
    assert beam.source == MonochromaticSource(10.0)


def test_counts_that_end_in_a_peak_are_of_one_energy():
    axis = EnergyAxis(0, 0.01, 2048)
    continuum = 5 * np.exp(-axis.energies / 3) * (axis.energies > 0.5)
    peaks = sum(
        height * np.exp(-0.5 * ((axis.energies - at) / 0.07) ** 2) for at, height in ((6.4, 500), (12.0, 200))
    )
    ends = SpectralCube(np.rint(peaks + continuum).astype(np.uint32)[None, None], axis)
    assert instrument_of(ends).source.highest_kev == pytest.approx(12.0, abs=0.03)
    # Bremsstrahlung goes on above the last line.
    goes_on = SpectralCube(np.rint(peaks + 20 * (axis.energies < 20)).astype(np.uint32)[None, None], axis)
    assert isinstance(instrument_of(goes_on).source, ElectronBeam)


def test_electrons_beyond_the_models_range_are_taken_as_its_end():
    found = instrument_of(cube_with(Excitation(kind="electron", energy_kev=200.0)))
    assert found.source == ElectronBeam(60.0)


def test_a_guess_reads_a_part_of_a_large_map_only():
    class Counted:
        shape, dtype, ndim, rows = (500, 400, 2048), np.dtype(np.uint16), 3, 0

        def __getitem__(self, key):
            self.rows += 1
            return np.ones((400, 2048), np.uint16)

    counts = Counted()
    instrument_of(SpectralCube(counts, EnergyAxis(0, 0.01, 2048)))
    assert 0 < counts.rows < 100
