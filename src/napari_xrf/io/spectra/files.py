"""Single spectra as .csv and .msa.

.csv
    ``energy_keV,counts``, one line a channel.
.msa
    EMSA/MAS 1.0 (Egerton et al., Proc. EMSA 1991; ISO 22029), data type XY.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.calibration import axis_from_energies
from napari_xrf.io.own.files import write_by_suffix
from napari_xrf.io.spectra.single import one_pixel_cube

_HEADER = ["energy_keV", "counts"]


def write_spectrum(path: str | Path, spectrum: Spectrum, *, progress: Progress = ignore_progress) -> None:
    """Write a spectrum to .csv or .msa; InvalidInput for other suffixes."""
    writers = {".csv": _write_csv, ".msa": _write_msa, ".emsa": _write_msa}
    write_by_suffix(path, spectrum, writers, "spectra", progress)


def read_spectrum_csv(path: str | Path) -> Spectrum:
    """Read a spectrum from a table ``energy_keV,counts``.

    Raises
    ------
    FileError
        When the columns are others, a value is no number or the energies are not evenly spaced.
    """
    target = Path(path)
    with target.open(encoding="utf-8", errors="replace", newline="") as handle:
        rows = [row for row in csv.reader(handle) if row]
    if not rows or [cell.strip() for cell in rows[0]] != _HEADER:
        raise FileError(target, "holds no spectrum: its columns are not energy_keV,counts")
    try:
        table = np.array(rows[1:], dtype=np.float64)
        energies, counts = table.T
        axis, notes = axis_from_energies(energies, "keV")
        if notes:
            raise InvalidInput("the energies are not evenly spaced")
    except (ValueError, InvalidInput) as error:
        raise FileError(target, f"holds no usable spectrum ({error})") from error
    whole = bool(np.all(np.isfinite(counts)) and np.all(counts == np.rint(counts)) and counts.min() >= 0)
    return Spectrum(counts.astype(np.uint64) if whole else counts, axis, target.stem)


def read_spectrum_cube(path: str | Path) -> SpectralCube:
    """Read a table ``energy_keV,counts`` as a map of one pixel."""
    spectrum = read_spectrum_csv(path)
    return one_pixel_cube(path, spectrum, layout="spectrum table")


def _write_csv(path: Path, spectrum: Spectrum) -> None:
    _write_lines(path, [",".join(_HEADER), *_pairs(spectrum, ",")])


def _write_msa(path: Path, spectrum: Spectrum) -> None:
    axis, excitation = spectrum.energy, spectrum.excitation
    tags: list[tuple[str, object]] = [
        ("FORMAT", "EMSA/MAS Spectral Data File"),
        ("VERSION", "1.0"),
        ("TITLE", " ".join(spectrum.name.split())),
        ("DATE", None),
        ("NPOINTS", axis.size),
        ("NCOLUMNS", 1),
        ("XUNITS", "keV"),
        ("YUNITS", "counts"),
        ("DATATYPE", "XY"),
        ("XPERCHAN", repr(axis.width)),
        ("OFFSET", repr(axis.offset)),
        ("SIGNALTYPE", "XRF" if excitation.kind in ("tube", "monochromatic") else "EDS"),
        ("LIVETIME", spectrum.live_time),
        ("BEAMKV", excitation.energy_kev),
        ("ELEVANGLE", excitation.takeoff_deg),
    ]
    lines = [f"#{key:<12}: {value}" for key, value in tags if value is not None]
    # What the standard has no keyword for: comment keywords begin with two signs.
    own = {
        "KIND": excitation.kind,
        "ANODE": excitation.anode,
        "INCIDENCE": excitation.incidence_deg,
        "ATMOSPHERE": excitation.atmosphere,
        "MNFWHM": None if excitation.fwhm_mn_ka_ev is None else excitation.fwhm_mn_ka_ev / 1000,
        "RTDET": excitation.instrument,
        "PIXELS": spectrum.pixels,
    }
    lines += [f"##{key:<11}: {value}" for key, value in own.items() if value is not None]
    data = _pairs(spectrum, ", ")
    _write_lines(path, [*lines, f"#{'SPECTRUM':<12}: ", *data, f"#{'ENDOFDATA':<12}: "])


def _pairs(spectrum: Spectrum, between: str) -> list[str]:
    pairs = zip(spectrum.energy.energies.tolist(), spectrum.counts.tolist(), strict=True)
    return [f"{energy!r}{between}{_plain(count)}" for energy, count in pairs]


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _plain(count: float) -> str:
    return str(int(count)) if count == int(count) else repr(count)
