"""The options by which every verb reads a map."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import hdf5_files
from napari_xrf.cli.map_file import map_file_options
from napari_xrf.cli.names import elements_of
from verbs import answer, run


@pytest.fixture
def two_maps(tmp_path):
    path = tmp_path / "two.nxs"
    with h5py.File(path, "w") as file:
        for number in (1, 2):
            group = file.create_group(f"entry{number}/data")
            group.attrs.update({"signal": "counts", "axes": ["y", "x", "energy"]})
            group["counts"] = hdf5_files.spectra(number)
            group["energy"] = 0.01 * np.arange(512)
    return path


def test_a_map_is_chosen_and_its_energy_given(two_maps, tmp_path, capsys):
    second = answer(capsys, "info", two_maps, "--map", 1, "--energy", "-0.1:0.02")
    assert second["total_counts"] == int(hdf5_files.spectra(2).sum())
    assert second["energy"] == {"offset_keV": -0.1, "width_keV": 0.02}
    axis = tmp_path / "axis.txt"
    axis.write_text("keV\n" + "\n".join(f"{0.5 + 0.03 * at:.2f}" for at in range(512)))
    assert answer(capsys, "info", two_maps, "--energy", axis)["energy"]["offset_keV"] == 0.5


@pytest.mark.parametrize(
    ("row", "encoding"),
    [("{at:.2f}", "utf-8-sig"), ("{at:.2f}", "utf-16"), ("{at:.2f},7", "utf-8"), ("{comma};7", "utf-8"),
     ("{comma}", "cp1252")],
)  # fmt: skip
def test_a_file_of_energies_as_other_programs_write_it(tmp_path, row, encoding):
    path = tmp_path / "energies.csv"
    energies = 0.5 + 0.02 * np.arange(40)
    lines = [row.format(at=at, comma=f"{at:.2f}".replace(".", ",")) for at in energies]
    path.write_text("\n".join(lines), encoding=encoding)
    options = map_file_options().parse_args(["map.h5", "--energy", str(path)])
    np.testing.assert_allclose(options.energy, energies)


def test_options_that_make_no_sense(two_maps, capsys):
    code, _, err = run(capsys, "info", two_maps, "--map", 7)
    assert code != 0
    assert "no map 7" in err
    for wrong in ("0:0", "0:-1", "a:b", "nowhere.txt"):
        with pytest.raises(SystemExit):
            run(capsys, "info", two_maps, f"--energy={wrong}")
        assert "is no energy axis" in capsys.readouterr().err


PYMCA = """[detector]
zero = -0.1
gain = 0.02
[peaks]
Fe = Ka, Kb
Pb = L, M
Scatter = 1
"""


def test_a_pymca_configuration_gives_axis_and_families(tmp_path):
    config = tmp_path / "fit.cfg"
    config.write_text(PYMCA)
    assert elements_of(str(config)) == ("Fe K", "Pb L", "Pb M")
    options = map_file_options().parse_args(["map.h5", "--energy", str(config)])
    assert options.energy == [-0.1, 0.02]


@pytest.mark.parametrize(
    "content", ["", "[detector]\nzero = 0\n", "[detector]\nzero = 0\ngain = 10\n", "gain"]
)
def test_a_configuration_without_calibration_is_refused(tmp_path, content, capsys):
    config = tmp_path / "fit.cfg"
    config.write_text(content)
    with pytest.raises(SystemExit):
        map_file_options().parse_args(["map.h5", "--energy", str(config)])
    assert "fit.cfg" in capsys.readouterr().err
