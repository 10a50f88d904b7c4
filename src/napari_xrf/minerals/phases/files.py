"""Files of phases: a table, and their spectra."""

from pathlib import Path
from typing import Any

from napari_xrf import io
from napari_xrf.io.own.tables import write_rows
from napari_xrf.minerals.labels.files import write_label_files
from napari_xrf.minerals.labels.modal_table import ModalRow
from napari_xrf.minerals.phases.discovery import Phase, Phases

COLUMNS = (
    "label",
    "name",
    "pixels",
    "pure_pixels",
    "elements",
    "weight_percent",
    "standard_error",
    "nearest",
    "misfit_percent",
    "second",
    "second_misfit_percent",
    "third",
    "third_misfit_percent",
)
_PLACES = ("nearest", "second", "third")


def write_phase_files(folder: Path, phases: Phases) -> tuple[tuple[ModalRow, ...], list[Path]]:
    """Write the label map of phases with its tables, their shares of pixels, the phases and their spectra.

    Return modal rows and files.
    """
    shares = phases.classification.abundances
    rows, files = write_label_files(folder, phases.label_map, shares)
    files += [folder / name for name in ("abundances.h5", "phases.csv", "phase_spectra.csv")]
    io.write(files[-3], shares)
    write_phase_table(files[-2], phases)
    write_phase_spectra(files[-1], phases)
    return rows, files


def phase_rows(phases: Phases) -> list[dict[str, Any]]:
    """Return one row of :data:`COLUMNS` per phase; lists are joined: ``Si;O``, ``Si=46.7;O=53.3``."""
    return [_row(phase) for phase in phases.phases]


def write_phase_table(path: Path, phases: Phases) -> None:
    """Write the rows of phases as CSV."""
    write_rows(path, COLUMNS, ([str(row[column]) for column in COLUMNS] for row in phase_rows(phases)))


def write_phase_spectra(path: Path, phases: Phases) -> None:
    """Write counts per pixel and channel: a column of energies in keV, and one of each phase."""
    columns = [phases.energy.energies.tolist(), *(phase.spectrum.tolist() for phase in phases.phases)]
    header = ["energy_kev", *(phase.name for phase in phases.phases)]
    write_rows(path, header, zip(*columns, strict=True))


def _row(phase: Phase) -> dict[str, Any]:
    entries = () if phase.quantities is None else phase.quantities.entries
    entries = tuple(sorted(entries, key=lambda entry: -entry.weight_fraction))
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row.update(
        label=phase.label,
        name=phase.name,
        pixels=phase.pixels,
        pure_pixels=phase.pure_pixels,
        elements=";".join(phase.elements),
        weight_percent=";".join(f"{entry.element}={100 * entry.weight_fraction:.4g}" for entry in entries),
        standard_error=";".join(f"{entry.element}={100 * entry.standard_error:.2g}" for entry in entries),
    )
    for place, one in zip(_PLACES, phase.nearest, strict=False):
        misfit = "misfit_percent" if place == "nearest" else f"{place}_misfit_percent"
        row[place], row[misfit] = one.name, round(100 * one.misfit, 2)
    return row
