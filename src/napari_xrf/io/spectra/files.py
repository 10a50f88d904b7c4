"""Single spectra as .csv and .msa, and drawn as .png.

.csv
    ``energy_keV,counts``, one line a channel.
.msa
    EMSA/MAS 1.0 (Egerton et al., Proc. EMSA 1991; ISO 22029), data type XY.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_xrf.core.csv_cells import rows_text
from napari_xrf.core.emission_lines import SHELLS, emission_lines
from napari_xrf.core.energy_axis import CurvedAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.atomic_write import replacing, write_text
from napari_xrf.io.calibration import axis_from_energies
from napari_xrf.io.own.files import write_by_suffix
from napari_xrf.io.spectra.emsa import EXPECTED
from napari_xrf.io.spectra.single import one_pixel_cube, text_lines, unended

FAINTEST_SHARE = 0.05  # of an element's strongest line in the shell; fainter ones would hide the rest
_HEADER = ["energy_keV", "counts"]


def write_spectrum(path: str | Path, spectrum: Spectrum, *, progress: Progress = ignore_progress) -> None:
    """Write a spectrum to .csv or .msa; InvalidInput for other suffixes."""
    writers = {".csv": _write_csv, ".msa": _write_msa, ".emsa": _write_msa}
    write_by_suffix(path, spectrum, writers, "spectra", progress)


def write_spectra(path: str | Path, spectra: Mapping[str, Spectrum]) -> None:
    """Write spectra of one axis into a table: ``energy_keV``, then the counts of each under its name.

    Raises InvalidInput when there is none or their axes differ, FileError when the file cannot be written.
    """
    axes = {each.energy for each in spectra.values()}
    if len(axes) != 1:
        raise InvalidInput("spectra of one table must have one energy axis", "Save them one by one")
    columns = [next(iter(axes)).energies.tolist(), *(each.counts.tolist() for each in spectra.values())]
    rows = ((repr(row[0]), *map(_plain, row[1:])) for row in zip(*columns, strict=True))
    write_text(path, rows_text([_HEADER[0], *spectra], rows))


def write_spectrum_picture(path: str | Path, spectrum: Spectrum, *, elements: Sequence[str] = ()) -> None:
    """Draw a spectrum on a logarithmic count axis as .png, with the lines of the named elements.

    Raises InvalidInput when there is no such element. Raises FileError when the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.add_subplot()
    energies, counts = spectrum.energy.energies, np.asarray(spectrum.counts, dtype=np.float64)
    axes.step(energies, counts, where="mid", linewidth=0.8, color="black")
    axes.set(xlabel="Energy (keV)", ylabel="Counts per channel", title=spectrum.name)
    axes.set_yscale("log", nonpositive="clip")
    measured = np.flatnonzero(counts > 0)
    if measured.size:
        low, high = min(0.0, energies[measured[0]]), energies[measured[-1]]
        axes.set_xlim(low, max(high, low + spectrum.energy.width))
        axes.set_ylim(0.5 if counts.max() > 1 else None, counts.max() * 2)
    for number, element in enumerate(elements):
        _mark_lines(axes, element, f"C{number % 10}")
    if elements:
        axes.legend(loc="upper right")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def read_spectrum_csv(path: str | Path) -> Spectrum:
    """Read a spectrum from a table ``energy_keV,counts``.

    Raises FileError when the columns are others, a value is no number or the energies are not evenly spaced.
    """
    target = Path(path)
    rows = [row for row in csv.reader(text_lines(target)) if row]
    if not rows or [cell.strip() for cell in rows[0]] != _HEADER:
        raise FileError(target, "holds no spectrum: its columns are not energy_keV,counts")
    try:
        table = np.array(rows[1:], dtype=np.float64)
        energies, counts = table.T
        axis, _ = axis_from_energies(energies, "keV")
        if isinstance(axis, CurvedAxis):
            raise InvalidInput("the energies are not evenly spaced")
    except (ValueError, InvalidInput) as error:
        raise FileError(target, f"holds no usable spectrum ({error})") from error
    whole = bool(np.all(np.isfinite(counts)) and np.all(counts == np.rint(counts)) and counts.min() >= 0)
    return Spectrum(counts.astype(np.uint64) if whole else counts, axis, target.stem)


def read_spectrum_cube(path: str | Path) -> SpectralCube:
    """Read a table ``energy_keV,counts`` as a map of one pixel."""
    spectrum = read_spectrum_csv(path)
    return one_pixel_cube(path, spectrum, layout="spectrum table", warnings=unended(Path(path)))


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
        ("PROBECUR" if excitation.kind == "electron" else "EMISSION", excitation.current),
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
        "COUNTS": None if np.all(spectrum.counts == np.rint(spectrum.counts)) else EXPECTED,
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


def _mark_lines(axes, element: str, color: str) -> None:  # type: ignore[no-untyped-def]
    low, high = axes.get_xlim()
    label: str | None = element
    for shell in SHELLS:
        lines = [line for line in emission_lines(element) if line.shell == shell]
        strongest = max((line.rate for line in lines), default=0.0)
        for line in lines:
            if line.rate >= FAINTEST_SHARE * strongest and max(low, 0.0) < line.energy < high:
                axes.axvline(line.energy, color=color, linewidth=0.7, alpha=0.7, label=label)
                label = None
