"""Text forms of single spectra that no measured file here shows, and files that pretend to be spectra."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.spectra.files import write_spectra

COUNTS = [0, 3, 5, 1000, 7, *range(20)]


def column(counts=COUNTS) -> str:
    return "\n".join(str(count) for count in counts)


def test_amptek(tmp_path):
    path = tmp_path / "a.mca"
    path.write_text(
        "<<PMCA SPECTRUM>>\nTAG - live\nDESCRIPTION - coin\nGAIN - 4\nLIVE_TIME - 12.5\nREAL_TIME - 13\n"
        "<<CALIBRATION>>\nLABEL - keV\n100 2.0\n300 6.0\n<<DATA>>\n"
        f"{column()}\n<<END>>\n<<DP5 CONFIGURATION>>\nRESC=?;\n<<DP5 CONFIGURATION END>>\n",
        encoding="latin-1",
    )
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.width == pytest.approx(0.02)
    assert cube.energy.offset == pytest.approx(0, abs=1e-12)
    assert float(cube.live_time[0, 0]) == 12.5
    assert cube.name == "coin"


def test_spec(tmp_path):
    path = tmp_path / "s.mca"
    data = (
        " ".join(str(count) for count in COUNTS[:10])
        + "\\\n "
        + " ".join(str(count) for count in COUNTS[10:])
    )
    path.write_text(
        f"#F s.mca\n#S 1 unknown\n#@CHANN 25 10 34 1\n#@CALIB -0.1 0.02 0\n#@CTIME 5 4.5 5\n@A {data}\n"
    )
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(-0.1 + 10 * 0.02, 0.02, 25)
    assert float(cube.live_time[0, 0]) == 4.5


def test_a_column_below_words_and_values(tmp_path):
    """As Horiba's XGT-5200 exports its spectra: the widths of channels, their number and the time above."""
    path = tmp_path / "point.txt"
    head = "Label\t\nDate\tSep-04-20\t12:24\nLive Time(s)\t60\nXGT Dia.(µm)\t100\nElements\t\n"
    path.write_text(f"{head}Energy of ch(eV)\t20.0\nNum. of ch\t25\n{column()}\n", encoding="cp1252")
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(0.0, 0.02, 25)
    assert float(cube.live_time[0, 0]) == 60
    assert cube.provenance.warnings == ()
    assert io.recognizes(path)
    path.write_text(f"{head}Energy of ch(eV)\t20.0\nNum. of ch\t30\n{column()}\n", encoding="cp1252")
    with pytest.raises(FileError, match="25 of 30 channels"):
        io.read(path)
    path.write_text("a note\nof two lines 5\n" + column())  # words that say nothing of the numbers
    with pytest.raises(FileError, match="no column of counts"):
        io.read(path)


def test_two_columns(tmp_path):
    path = tmp_path / "two.mca"
    path.write_text(
        "# energy counts\n" + "\n".join(f"{0.5 + 0.02 * at:.3f} {count}" for at, count in enumerate(COUNTS))
    )
    cube = io.read(path)
    assert cube.energy == EnergyAxis(0.5, 0.02, 25)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)


def test_maestro(tmp_path):
    path = tmp_path / "m.spe"
    path.write_text(
        "$SPEC_ID:\nbrass\n$MEAS_TIM:\n55 60\n$DATA:\n5 29\n"
        + column()
        + "\n$ENER_FIT:\n0.0 0.03\n$MCA_CAL:\n3\n"
        "-0.5 0.03 0.0 keV\n"
    )
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.offset == pytest.approx(-0.5 + 5 * 0.03)
    assert (cube.energy.width, cube.name, float(cube.live_time[0, 0])) == (0.03, "brass", 55.0)
    path.write_text(path.read_text().replace("5 29", "5 24"))
    assert "announces 20 channels but holds 25" in io.read(path).provenance.warnings[0]
    path.write_text(path.read_text().replace("5 24", "5 290"))
    with pytest.raises(FileError, match="25 of 286"):
        io.read(path)


def msa(data: str, **tags: object) -> str:
    known = {"FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "NPOINTS": 4, "NCOLUMNS": 1}
    known |= {"XUNITS": "eV", "YUNITS": "counts", "DATATYPE": "Y", "XPERCHAN": 10.0, "OFFSET": -100.0, **tags}
    return (
        "".join(f"#{key}: {value}\n" for key, value in known.items()) + f"#SPECTRUM:\n{data}\n#ENDOFDATA:\n"
    )


def test_emsa_in_ev_and_in_columns(tmp_path):
    path = tmp_path / "e.emsa"
    path.write_text(msa("1., 2.,\n3., 4.,", NCOLUMNS=2), encoding="utf-8", newline="\r\n")
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == [1, 2, 3, 4]
    assert cube.energy == EnergyAxis(-0.1, 0.01, 4)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (msa("1 2 3").split("#ENDOFDATA")[0], "3 of 4"),
        (msa("1 2 3 x"), "no number"),
        (msa("1 2 3 4", NPOINTS=-1), "announces"),
        (msa("1 2 3 4", NPOINTS=10**12), "announces"),
        (msa("1 2 3 4", XUNITS="nm"), "x axis is in nm"),
        ("EMSA/MAS\n", "does not begin"),
        ("EMSA/MAS\0\0", "no text"),
    ],
)
def test_damaged_emsa(tmp_path, text, cause):
    path = tmp_path / "d.msa"
    path.write_text(text)
    with pytest.raises(FileError, match=cause):
        io.read(path)


@pytest.mark.parametrize(
    "text", ["hello\nworld\n" * 30, "1 2 3\n4 5\n" * 30, "1\n2\n", "VERSION: 3.1\nDATA:\n"]
)
def test_text_that_is_no_mca(tmp_path, text):
    path = tmp_path / "d.mca"
    path.write_text(text)
    with pytest.raises(FileError):
        io.read(path)


SPX = """<?xml version="1.0" encoding="WINDOWS-1252" standalone="yes"?>{prolog}
<TRTSpectrum><ClassInstance Type="TRTSpectrum" Name="µ"><ClassInstance Type="TRTSpectrumHeader">
<ChannelCount>4</ChannelCount><CalibAbs>-0.1</CalibAbs><CalibLin>{width}</CalibLin></ClassInstance>
<Channels>{channels}</Channels></ClassInstance></TRTSpectrum>"""


def write_spx(path, channels="1,2,3,4", width="0.01", prolog=""):
    path.write_text(SPX.format(channels=channels, width=width, prolog=prolog), encoding="cp1252")


def test_small_spx(tmp_path):
    path = tmp_path / "s.spx"
    write_spx(path)
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == [1, 2, 3, 4]
    assert (cube.name, cube.energy) == ("µ", EnergyAxis(-0.1, 0.01, 4))
    write_spx(path, channels="1,2,3")
    assert "announces 4" in io.read(path).provenance.warnings[0]
    one = '<ClassInstance Type="TRTSpectrum">' + "<Channels>9,9,9,9</Channels></ClassInstance>"
    whole = path.read_text("cp1252").replace("1,2,3", "1,2,3,4")
    path.write_text(whole.replace("</Channels>", "</Channels>" + one), "cp1252")  # a result of the first
    assert not io.read(path).provenance.warnings
    path.write_text(whole.replace("</TRTSpectrum>", one + "</TRTSpectrum>"), "cp1252")
    assert "holds 2 spectra" in io.read(path).provenance.warnings[0]


def test_spx_with_entities_is_refused(tmp_path):
    path = tmp_path / "bomb.spx"
    write_spx(path, channels="&a;", prolog='<!DOCTYPE x [<!ENTITY a "1,2,3,4">]>')
    with pytest.raises(FileError, match="entities"):
        io.read(path)


@pytest.mark.parametrize("changes", [{"channels": "1,x"}, {"width": "x"}, {"channels": ""}])
def test_damaged_spx(tmp_path, changes):
    path = tmp_path / "d.spx"
    write_spx(path, **changes)
    with pytest.raises(FileError):
        io.read(path)


def test_cut_spx(tmp_path):
    path = tmp_path / "d.spx"
    write_spx(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="damaged"):
        io.read(path)


def test_single_spectra_know_no_datasets(tmp_path):
    path = tmp_path / "s.spx"
    write_spx(path)
    with pytest.raises(InvalidInput, match="dataset"):
        io.read(path, dataset="/x")
    with pytest.raises(InvalidInput, match="detector"):
        io.read(path, detector=1)


def test_emsa_of_two_detectors(tmp_path):
    path = tmp_path / "pixl.msa"
    text = msa("1, 4\n2, 5\n3, 6\n4, 7", NCOLUMNS=2, DATATYPE="YY", LIVETIME="8.0, 10.0")
    path.write_text(
        text.replace("#SPECTRUM:", "#SPECTRUM").replace("XPERCHAN: 10.0", "XPERCHAN: 10.0, 10.0 eV")
    )
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == [5, 7, 9, 11]
    assert cube.provenance.detectors == ("0", "1")
    assert float(cube.live_time[0, 0]) == 9.0
    assert io.read(path, detector=1).counts[0, 0].tolist() == [4, 5, 6, 7]
    with pytest.raises(InvalidInput, match="no detector"):
        io.read(path, detector=2)


def test_emsa_without_calibration_or_with_wrong_numbers(tmp_path):
    path = tmp_path / "n.msa"
    path.write_text(msa("1 2 3 4", XPERCHAN=""))
    assert "No energy calibration" in io.read(path).provenance.warnings[0]
    assert io.read(path, energy=(0.5, 0.02)).energy == EnergyAxis(0.5, 0.02, 4)
    path.write_text(msa("1 2 3 4", NPOINTS=2))
    cube = io.read(path)
    assert cube.shape == (1, 1, 4)
    assert "announces 2 channels but holds 4" in " ".join(cube.provenance.warnings)
    path.write_text(msa("1 2 3 4", XUNITS="keV"))
    assert "taken as eV" in " ".join(io.read(path).provenance.warnings)


def test_amptek_in_ev_with_decimal_commas(tmp_path):
    path = tmp_path / "a.mca"
    path.write_text(
        "<<PMCA SPECTRUM>>\nLIVE_TIME - 12,5\n<<CALIBRATION>>\nLABEL - eV\n100 2000,0\n300 6000,0\n<<DATA>>\n"
        f"{column()}\n<<END>>\n"
    )
    cube = io.read(path)
    assert cube.energy.width == pytest.approx(0.02)
    assert float(cube.live_time[0, 0]) == 12.5


def test_spec_mesh_and_reduced_channels(tmp_path):
    path = tmp_path / "mesh.mca"
    head = "#S 1 mesh sx 0 1 2 sy 0 1 1 1\n#@CHANN 16 0 31 2\n#@CALIB 0 0.01 0\n"
    rows = [" ".join([str(number)] * 16) for number in range(6)]
    second = "#S 2 ct 1\n#@CALIB 0 10 0\n@A " + rows[5]
    path.write_text(head + "".join(f"@A {row}\n1\n" for row in rows) + second + "\n")
    cube = io.read(path)
    assert cube.counts[:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert cube.energy == EnergyAxis(0.0, 0.02, 16)
    assert "2 scans" in " ".join(cube.provenance.warnings)
    point = io.read(path, map=1)
    assert point.shape == (1, 1, 16)
    assert point.energy.width == pytest.approx(0.01)
    with pytest.raises(InvalidInput, match="no map 2"):
        io.read(path, map=2)


def test_a_mesh_that_may_be_whole_or_stopped_is_told(tmp_path):
    path = tmp_path / "mesh.mca"
    row = " ".join(["1"] * 16)
    path.write_text("#S 1 mesh sx 0 1 2 sy 0 1 2 1\n#@CALIB 0 0.01 0\n" + f"@A {row}\n1\n" * 4)
    cube = io.read(path)
    assert cube.shape == (2, 2, 16)  # as programs that count points write it
    assert "if the scan was stopped, the map has 3 columns" in cube.provenance.warnings[0]


@pytest.mark.parametrize("width", ["0", "", "-0.01", "1"])
def test_spx_that_was_never_calibrated(tmp_path, width):
    path = tmp_path / "s.spx"
    write_spx(path, width=width)
    cube = io.read(path)
    assert cube.energy == EnergyAxis(0.0, 0.01, 4)
    assert "No energy calibration" in cube.provenance.warnings[0]


def test_text_that_is_cut_short_is_told(tmp_path):
    values = "\n".join(str(at % 7) for at in range(64))
    texts = {
        "a.mca": f"<<PMCA SPECTRUM>>\n<<CALIBRATION>>\n1 0.1\n9 0.9\n<<DATA>>\n{values}\n",
        "b.mca": values,
        "c.csv": "energy_keV,counts\n" + "\n".join(f"{at * 0.1:.1f},{at}" for at in range(64)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert "cut short" in " ".join(io.read(tmp_path / name).provenance.warnings)
    spec = "#S 1 mesh x 0 1 2 y 0 1 1\n#@CHANN 64 0 63 1\n@A " + " ".join("1" * 64) + "\n"
    (tmp_path / "d.mca").write_text(spec)
    assert "stopped: 1 of 6 points" in " ".join(io.read(tmp_path / "d.mca").provenance.warnings)
    (tmp_path / "e.mca").write_text(spec[:-20])
    with pytest.raises(FileError, match="cut short: 54 of 64"):
        io.read(tmp_path / "e.mca")


def test_spec_mesh_of_a_snake_with_two_detectors(tmp_path):
    path = tmp_path / "snake.spec"
    head = "#F snake\n#S 1 mesh sx 0 2 2 sy 0 1 1 1\n#@CALIB 0 0.01 0\n#@CALIB 0 0.02 0\n#L sx  sy  monitor\n"
    lines = []
    for number, (x, y) in enumerate(((0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1))):
        lines += [f"{x} {y} 7", *("@A " + " ".join([str(number + det)] * 16) for det in range(2))]
    path.write_text(head + "\n".join(lines) + "\n")
    one = io.read(path, detector=0)
    assert one.counts[:, :, 0].tolist() == [[0, 1, 2], [5, 4, 3]]
    assert "1 rows were measured backwards" in " ".join(one.provenance.warnings)
    both = io.read(path)
    assert both.counts.sum(axis=2).tolist() == [[16, 48, 80], [176, 144, 112]]
    assert "brought to one axis" in " ".join(both.provenance.warnings)
    assert io.recognizes(path)
    with pytest.raises(InvalidInput, match="no detector"):
        io.read(path, detector=2)


def test_emsa_in_channels_has_no_calibration(tmp_path):
    path = tmp_path / "e.msa"
    path.write_text(msa("1 2 3 4", XUNITS="Channels", XPERCHAN=1, OFFSET=0))
    cube = io.read(path)
    assert cube.energy.width == 0.01
    assert "No energy calibration" in " ".join(cube.provenance.warnings)
    assert io.read(path, energy=(-0.5, 0.02)).energy.offset == -0.5


def test_emsa_whose_head_and_numbers_disagree(tmp_path):
    path = tmp_path / "e.msa"
    path.write_text(msa("1 2 3 4", NPOINTS=8, XUNITS="Energy (keV)", XPERCHAN=0.02, OFFSET=-0.1))
    cube = io.read(path)
    assert cube.counts[0, 0].tolist() == [1, 2, 3, 4]
    assert cube.energy.width == 0.02
    assert "announces 8 channels but holds 4" in " ".join(cube.provenance.warnings)
    path.write_text(msa("1 5\n2 6\n3 7\n4 8", DATATYPE="YY", OFFSET="0, -100", XPERCHAN="10, 10"))
    cube = io.read(path)
    assert cube.counts.sum() == 36
    assert "brought to one axis" in " ".join(cube.provenance.warnings)


@pytest.mark.parametrize("points", [((2, 2), (9, 9)), ((1, 1.0), (24, 24.0))])
def test_amptek_calibrated_to_channels(tmp_path, points):
    path = tmp_path / "a.mca"
    lines = "\n".join(f"{at} {value}" for at, value in points)
    data = "\n".join(map(str, COUNTS))
    path.write_text(
        f"<<PMCA SPECTRUM>>\n<<CALIBRATION>>\nLABEL - Channel\n{lines}\n<<DATA>>\n{data}\n<<END>>\n"
    )
    assert "No energy calibration" in " ".join(io.read(path).provenance.warnings)


HEAD = ("#FORMAT : EMSA/MAS Spectral Data File\n#VERSION : 1.0\n#NPOINTS : 32\n#NCOLUMNS : 1\n#XUNITS : keV\n"
        "#DATATYPE : {kind}\n#XPERCHAN : 0.01\n#LIVETIME : 10\n{more}#SPECTRUM :\n")  # fmt: skip


def test_emsa_of_other_programs(tmp_path):
    counts, path = np.random.default_rng(1).poisson(20, 32), tmp_path / "a.msa"
    column, end = "\n".join(map(str, counts)), "\n#ENDOFDATA :\n"
    rates = "\n".join(f"{count / 10:.3g}" for count in counts)
    path.write_text(HEAD.format(kind="Y", more="#YUNITS : counts/s\n#OFFSET : -0.1\n") + rates + end)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], counts)
    assert "multiplied by the live time, 10 s" in cube.provenance.warnings[0]
    path.write_text((HEAD.format(kind="Y", more="#CHOFFSET : 10\n") + column + end) * 2)
    cube = io.read(path)
    assert cube.energy == EnergyAxis(-0.1, 0.01, 32)
    assert "holds 2 spectra" in cube.provenance.warnings[0]
    pairs = "\n".join(f"{at / 100:.2f}; {count}".replace(".", ",") for at, count in enumerate(counts))
    path.write_text(HEAD.format(kind="XY", more="#OFFSET : 0,0\n") + pairs + end)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], counts)
    assert cube.energy == EnergyAxis(0.0, 0.01, 32)


def test_numbers_with_commas_for_thousands_are_no_energies_and_counts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{count:,}\n" for count in np.random.default_rng(1).poisson(4000, 32)))
    with pytest.raises(FileError, match="neither rises nor falls"):
        io.read(path)


def test_columns_below_what_a_handheld_instrument_writes(tmp_path):
    path = tmp_path / "a.csv"
    head = (
        'S1PXRF Spectrum\r Label,"rock"\rLive Time,170.25\rHV ADC,15.000000\rFilter,2\reV per channel,20.0\r'
    )
    rows = "".join(f'{at},"{count}"\r' for at, count in enumerate(COUNTS))
    path.write_bytes(f"{head}Number of Channels,{len(COUNTS)}\rChannel#,Intensity\r{rows}".encode())
    assert io.recognizes(path)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(0.0, 0.02, 25)
    assert (cube.excitation.kind, cube.excitation.energy_kev) == ("tube", 15)
    assert float(cube.live_time[0, 0]) == 170.25
    assert not cube.provenance.warnings
    path.write_bytes(f"{head}Number of Channels,20\rChannel#,Intensity\r{rows}".encode())
    assert "announces 20 channels but holds 25" in io.read(path).provenance.warnings[0]


@pytest.mark.parametrize(("step", "assumed"), [("1.000", True), ("0.025", False)])
def test_columns_below_what_a_core_scanner_writes(tmp_path, step, assumed):
    path = tmp_path / "a.spe"
    head = (
        f"E0\t0.0\tkeV\nE1\t{step}\tkeV/channel\nTube anode:\tMo\t\nTube voltage:\t30\tkV\nlivetime\t9.5\ts\n"
    )
    rows = "".join(f"{at}.000\t{count}.000\n" for at, count in enumerate(COUNTS, 1))
    path.write_text(f"{head}channel\tcontent\t\n{rows}")
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert (cube.excitation.anode, cube.excitation.energy_kev) == ("Mo", 30)
    assert bool(cube.provenance.warnings) == assumed
    assert cube.energy == (EnergyAxis(0.0, 0.01, 25) if assumed else EnergyAxis(0.025, 0.025, 25))


def test_columns_between_what_a_cabinet_writes(tmp_path):
    path = tmp_path / "a.csv"
    above = [
        "Sample : filter",
        "Analyte     TG kV   uA      FI Acq.(keV)",
        "------",
        "Na          Rh 50 1000-Auto Al  0 - 20",
    ]
    above += [
        "Channel : Na",
        "Points : 25",
        "Range : 0.100000 - 0.600000",
        "Step : 0.020000",
        "Channel_info_end",
    ]
    below = ["Channel_info_start", "Points : 0", "Range : 0.0 - 0.0", "Peak List", "S Ka   2.32   0.014"]
    path.write_text("".join(f'"{line}",\n' for line in [*above, *COUNTS, *below]))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(0.1, 0.02, 25)
    assert (cube.excitation.anode, cube.excitation.energy_kev) == ("Rh", 50)
    path.write_text("".join(f'"{line}",\n' for line in [*above, *COUNTS, *below, *COUNTS]))
    with pytest.raises(FileError, match="no single column"):
        io.read(path)


ENERGIES = [round(0.1 + 0.02 * at, 3) for at in range(len(COUNTS))]


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("Channel\tEnergy (keV)\tCounts\n", "{at}\t{energy}\t{count}"),
        ("a sample\nlive time: 20\n\nChannel   Energy (keV)   Counts\n", "{at} {energy} {count}"),
        ("# channel energy counts\n", "{at} {energy} {count}"),
        ("", "{at} {energy} {count}"),
        ("", "{at};{energy};{count}"),
        ("keV,Counts,Channel\n", "{energy},{count},{at}"),
        ("E / eV,Intensity,Background\n", "{ev},{count},{at}.5"),
        ("Energy,Fit,Counts\n", "{energy},{at}.5,{count}"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.mca"])
def test_three_columns(tmp_path, head, row, name):
    path = tmp_path / name
    rows = (row.format(at=at, energy=energy, ev=round(1000 * energy), count=count)
            for at, (energy, count) in enumerate(zip(ENERGIES, COUNTS, strict=True)))  # fmt: skip
    path.write_text(head + "\n".join(rows) + "\n")
    assert io.recognizes(path)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(0.1, 0.02, 25)
    assert not any("energy" in note for note in cube.provenance.warnings)
    assert ("holds 2 spectra" in " ".join(cube.provenance.warnings)) == (
        "Background" in head or "Fit" in head
    )


def test_a_matrix_of_an_element_is_no_table_of_spectra(tmp_path):
    path = tmp_path / "Fe.txt"
    path.write_text("".join(f"{at} {at * 3 % 11} {at % 4} 1 2 3 4 5\n" for at in range(40)))
    assert io.is_element_map_file(path)
    with pytest.raises(FileError, match="no column of counts"):
        io.read(path)
    path = tmp_path / "answers.csv"
    path.write_text("No,Fe,Ca\n" + "".join(f"{at},{at}.5,{at}.7\n" for at in range(20)))
    with pytest.raises(FileError):
        io.read(path)


def test_a_table_of_several_spectra_of_ours(tmp_path):
    path, axis = tmp_path / "regions.csv", EnergyAxis(0.0, 0.02, 25)
    write_spectra(path, {"core": Spectrum(np.array(COUNTS), axis), "rim": Spectrum(np.arange(25), axis)})
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == axis
    assert "2 spectra (core, rim); core is read" in " ".join(cube.provenance.warnings)
    rim = io.read(path, map=1)
    assert rim.counts[0, 0].tolist() == list(range(25))
    assert not rim.provenance.warnings
    with pytest.raises(InvalidInput, match="no map 2"):
        io.read(path, map=2)


@pytest.mark.parametrize(
    ("name", "power", "base"), [("log10(counts)", np.log10, "10"), ("y", np.log10, "10"), ("y", np.log, "e")]
)
def test_logarithms_of_counts(tmp_path, name, power, base):
    path, counts = tmp_path / "a.txt", np.random.default_rng(1).poisson(12, 64)
    counts[40:44] = 0
    counts[50] = 3000
    values = power(np.maximum(counts, 1))
    path.write_text(f"keV\t{name}\n" + "".join(f"{at / 50:.2f}\t{v:.4f}\n" for at, v in enumerate(values)))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], np.where(counts == 1, 0, counts))
    assert f"logarithms to the base {base}" in cube.provenance.warnings[0]


def test_small_values_that_may_be_logarithms_are_told_of(tmp_path):
    path = tmp_path / "a.txt"
    values = 2 + np.random.default_rng(1).random(64)  # of hundreds of counts: no power is small
    path.write_text("keV\tcounts\n" + "".join(f"{at / 50:.2f}\t{v:.4f}\n" for at, v in enumerate(values)))
    assert "are they logarithms" in " ".join(io.read(path).provenance.warnings)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        (
            "soil.mp2",
            "TubeAnode  : Ag 50\nkV         : 10.000\nEnergy (keV)\tCounts\tFit\n",
        ),
        ("soil.asc", "Energy (keV) Counts\n"),
        ("soil.dat", "energy,counts\n"),
    ],
)
def test_words_tell_what_an_invented_ending_does_not(tmp_path, name, head):
    path = tmp_path / name
    mark = "\t" if "\t" in head else "," if "," in head else " "
    rows = [[f"{-0.01 + 0.02 * at:.4f}", str(count), "0"] for at, count in enumerate(COUNTS)]
    path.write_text(head + "".join(f"{mark.join(row[: 2 + ('Fit' in head)])}\n" for row in rows))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.offset == pytest.approx(-0.01)
    if "kV" in head:
        assert cube.excitation == Excitation("tube", 10.0, "Ag")


def test_a_table_without_a_word_of_energies_is_no_spectrum_of_an_unknown_ending(tmp_path):
    path = tmp_path / "track.xyz"
    path.write_text("".join(f"{0.02 * at:.4f} {count}\n" for at, count in enumerate(COUNTS)))
    assert not io.recognizes(path)
    with pytest.raises(FileError, match="are not known"):
        io.read(path)


def test_an_emsa_file_of_any_ending(tmp_path):
    spectrum = Spectrum(np.array(COUNTS, dtype=float), EnergyAxis(0.0, 0.01, len(COUNTS)), "glass")
    io.write(tmp_path / "glass.msa", spectrum)
    renamed = (tmp_path / "glass.msa").rename(tmp_path / "glass.psmsa")
    np.testing.assert_array_equal(io.read(renamed).counts[0, 0], COUNTS)


def table_of(counts, head, mark=",", decimal="."):
    rows = (f"{at * 0.02:.2f}".replace(".", decimal) + mark + str(count) for at, count in enumerate(counts))
    return "\n".join([head, *rows, ""])


def test_a_table_of_ours_that_a_spreadsheet_has_saved(tmp_path):
    """It begins with a byte order mark then."""
    path = tmp_path / "ours.csv"
    path.write_text(table_of(COUNTS, "energy_keV,counts"), encoding="utf-8-sig")
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert (cube.energy.width, cube.provenance.warnings) == (0.02, ())


@pytest.mark.parametrize("head", ["Energie;Probe A;Probe B", "Kanal;Energie;Impulse", "Энергия;Счет;Фон"])
def test_columns_named_in_other_languages(tmp_path, head):
    path = tmp_path / "table.csv"
    energies = [f"{at * 0.02:.2f}".replace(".", ",") for at in range(len(COUNTS))]
    if head.startswith("Kanal"):
        rows = [f"{at};{energies[at]};{count}" for at, count in enumerate(COUNTS)]
    else:
        rows = [f"{energies[at]};{count};1" for at, count in enumerate(COUNTS)]
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.width == pytest.approx(0.02)


def test_counts_before_energies(tmp_path):
    path = tmp_path / "turned.csv"
    rows = [f"{count},{at * 0.02:.2f}" for at, count in enumerate(COUNTS)]
    path.write_text("\n".join(["Counts,Energy", *rows, ""]))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.width == pytest.approx(0.02)


@pytest.mark.parametrize(
    "head", ["Wavelength (A),Intensity", "2Theta,Counts", "Raman shift,Counts", "Time,Counts"]
)
def test_spectra_over_other_things_than_energies_are_refused(tmp_path, head):
    path = tmp_path / "other.csv"
    path.write_text(table_of(COUNTS, head))
    with pytest.raises(FileError, match="no spectrum over energies"):
        io.read(path)


@pytest.mark.parametrize("mark", [",", "."])
def test_marks_between_thousands(tmp_path, mark):
    path = tmp_path / "many.csv"
    counts = [*range(20), *range(1500, 2500, 100), 1_234_567 // 1000]
    path.write_text(table_of([f"{one:,}".replace(",", mark) for one in counts], "Energy;Counts", ";", ","))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], counts)
    assert "taken as thousands" in cube.provenance.warnings[0]


@pytest.mark.parametrize(
    ("head", "seconds", "told"),
    [
        ("Live time (s): 1,200\nOffset: 0.0", 1200.0, False),
        ("Live time (s)  1,200\nOffset: 0.0", 1200.0, False),
        ("Live time (s): 1,200\nOffset: 0,05", 1.2, False),
        ("Live time (s): 1,200", 1.2, True),
    ],
)
def test_a_single_comma_is_what_the_other_numbers_say(tmp_path, head, seconds, told):
    path = tmp_path / "head.csv"
    path.write_text(f"{head}\nChannel;Counts\n" + "".join(f"{at};{at % 7}\n" for at in range(64)))
    cube = io.read(path)
    assert cube.live_time[0, 0] == seconds
    assert ("taken as the decimal one" in " ".join(cube.provenance.warnings)) == told


def test_fractions_of_three_digits_are_no_thousands(tmp_path):
    path = tmp_path / "rates.csv"
    rates = [f"{1 + at / 8:.3f}" for at in range(25)]
    path.write_text(table_of(rates, "Energy,Rate"))
    assert int(io.read(path).counts.sum()) == pytest.approx(sum(map(float, rates)), abs=1)


@pytest.mark.parametrize("turned", [False, True])
def test_channels_without_counts_that_are_left_out(tmp_path, turned):
    path = tmp_path / "gaps.csv"
    counts = np.random.default_rng(0).poisson(0.8, 200)
    counts[[0, -1]] = 3
    rows = [f"{at * 0.0195:.3f},{count}" for at, count in enumerate(counts) if count]
    path.write_text("\n".join(["Energy,Counts", *(rows[::-1] if turned else rows), ""]))
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], counts)
    assert cube.energy.width == pytest.approx(0.0195, rel=1e-3)
    assert (
        f"{np.count_nonzero(counts == 0)} of 200 channels are not in the table" in cube.provenance.warnings[0]
    )


def test_emsa_pairs_without_a_type(tmp_path):
    path = tmp_path / "pairs.msa"
    pairs = "\n".join(f"{20.0 * at:.2f},   {count}.0" for at, count in enumerate(COUNTS))
    path.write_text(
        "#FORMAT      : EMSA/MAS SPECTRAL DATA FILE\n#SIGNALTYPE  : EDS\n#BEAMKV   -kV: 7.0\n"
        f"#LIVETIME -ms: 97800\n#SPECTRUM    :\n{pairs}\n#ENDOFDATA   :\n"
    )
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy.width == pytest.approx(0.02)
    assert float(cube.live_time[0, 0]) == pytest.approx(97.8)


@pytest.mark.parametrize("signal", ["ELS", "CLS", "GAM"])
def test_emsa_of_other_signals_is_refused(tmp_path, signal):
    path = tmp_path / "losses.msa"
    path.write_text(
        "#FORMAT      : EMSA/MAS Spectral Data File\n#NPOINTS     : 25\n#XUNITS      : eV\n"
        f"#XPERCHAN    : 10\n#OFFSET      : 0\n#DATATYPE    : Y\n#SIGNALTYPE  : {signal}\n"
        f"#SPECTRUM    :\n{column()}\n#ENDOFDATA   :\n"
    )
    with pytest.raises(FileError, match=f"of type {signal}, none of X-rays"):
        io.read(path)


@pytest.mark.parametrize(
    ("head", "row", "encoding"),
    [
        ("Energy (keV)\tCounts", "{energy:.2f}\t{count}", "utf-16-le"),  # without its mark
        ("Energy (keV),Counts", "{energy:.2f},{count}", "utf-16-be"),
        ("#FORMAT : EMSA/MAS Spectral Data File\n#DATATYPE : XY\n#XUNITS : keV\n#SPECTRUM :",
         "{energy:.2f}, {count}", "utf-16-le"),
        ("Energy Counts", "{energy:.2f} {count}.0D+00", "ascii"),  # of Fortran
        ("Energy Counts", "{comma} {count}", "ascii"),
        ('"Energy (keV)","Counts"', '"{comma}","{count}"', "ascii"),
        ('"Energy (keV)","Counts"', '"{energy:.2f}","{count}"', "ascii"),
        ("Энергия, кэВ;Имп", "{comma};{count}", "cp1251"),
    ],
)  # fmt: skip
def test_tables_as_languages_and_programs_write_them(tmp_path, head, row, encoding):
    path = tmp_path / ("table.msa" if "EMSA" in head else "table.txt")
    lines = [
        row.format(energy=0.02 * at, comma=f"{0.02 * at:.2f}".replace(".", ","), count=count)
        for at, count in enumerate(COUNTS)
    ]
    path.write_bytes(("\n".join((head, *lines)) + "\n").encode(encoding))
    assert io.recognizes(path)
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.energy == EnergyAxis(0.0, 0.02, 25)
    assert cube.provenance.warnings == ()


@pytest.mark.parametrize("mark", ["{:,}", "'", "\u00a0", "\u202f"])
def test_marks_between_thousands_in_cells_of_their_own(tmp_path, mark):
    path = tmp_path / "thousands.csv"
    counts = [7 * 3**at for at in range(16)]
    told = [f"{count:,}" if mark == "{:,}" else f"{count:,}".replace(",", mark) for count in counts]
    rows = (f'{0.5 + 0.01 * at:.2f},"{text}"' for at, text in enumerate(told))
    path.write_text("\n".join(("keV,counts", *rows)) + "\n", encoding="utf-8")
    np.testing.assert_array_equal(io.read(path).counts[0, 0], counts)


def test_pairs_side_by_side_have_their_own_energies(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = (f"{0.02 * at:.2f},{count},{0.5 + 0.01 * at:.2f},{2 * count}" for at, count in enumerate(COUNTS))
    path.write_text("\n".join(("keV,A,keV,B", *rows)) + "\n")
    assert "holds 2 spectra (A, B); A is read" in io.read(path).provenance.warnings[0]
    second = io.read(path, map=1)
    assert second.energy == EnergyAxis(0.5, 0.01, 25)
    np.testing.assert_array_equal(second.counts[0, 0], 2 * np.array(COUNTS))


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("Live Time (ms),30000", 30.0), ("Live time,2 min", 120.0), ("Live Time: 12.5 s", 12.5),
     ("Life time:\t9000", 9.0)],
)  # fmt: skip
def test_live_times_keep_their_unit(tmp_path, line, seconds):
    """Esprit's tables tell a life time, in milliseconds, and the beam's energy."""
    path = tmp_path / "timed.txt"
    rows = (f"{0.02 * at:.2f}\t{count}" for at, count in enumerate(COUNTS))
    path.write_text("\n".join((line, "Primary energy:\t15", "Energy\tCounts", *rows)) + "\n")
    cube = io.read(path)
    assert float(cube.live_time[0, 0]) == pytest.approx(seconds)
    assert cube.excitation.energy_kev == 15


@pytest.mark.parametrize("name", ["Intensity (cps)", "counts/s", "Counts per second", "Counts/ sec"])
def test_rates_become_counts_by_the_live_time(tmp_path, name):
    path = tmp_path / "rates.csv"
    rows = [f"{0.02 * at:.2f},{count / 7.3:.5f}" for at, count in enumerate(COUNTS)]
    path.write_text("\n".join(("Live time,7.3", f"Energy (keV),{name}", *rows)) + "\n")
    cube = io.read(path)
    np.testing.assert_array_equal(cube.counts[0, 0], COUNTS)
    assert cube.provenance.warnings == ("The counts per second were multiplied by the live time, 7.3 s.",)
    path.write_text("\n".join((f"Energy (keV),{name}", *rows)) + "\n")
    assert "tells no live time of all" in io.read(path).provenance.warnings[0]


def test_axes_that_a_head_states_by_slope_and_offset(tmp_path):
    path = tmp_path / "handheld.csv"
    path.write_text(
        "Livetime1,100\nEnergy Slope,10\nEnergy Offset,-50\nVoltage,40\nCounts\n" + "\n".join(["3"] * 512)
    )
    cube = io.read(path)
    assert cube.energy == EnergyAxis(-0.05, 0.01, 512)
    assert cube.live_time[0, 0] == 100


def test_commas_in_an_emsa_head(tmp_path):
    path = tmp_path / "a.msa"
    head = "#FORMAT : EMSA/MAS Spectral Data File\n#NPOINTS : 1,024\n#LIVETIME -s: 1,200\n#XUNITS : keV\n"
    path.write_text(head + "#XPERCHAN : 0.01\n#OFFSET : 0\n#SPECTRUM :\n" + "2\n" * 1024 + "#ENDOFDATA :\n")
    cube = io.read(path)
    assert (cube.shape[2], cube.live_time[0, 0], cube.provenance.warnings) == (1024, 1200.0, ())
