"""Quantities where instrument and standards are told by their names: presets and files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf import io
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import Measured, calibrate_map, cube_of
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.report import QuantityReport, report_quantities
from napari_xrf.maps.quantification.standards import Standard, calibrate_instrument, read_truth_table
from napari_xrf.physics.excitation import described
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.oxides import parse_valences

StandardFiles = Sequence[tuple[str | Path, str | Path]]


def quantify_by_names(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    oxygen: str = "auto",
    valences: str = "",
    instrument: str = "",
    standards: StandardFiles = (),
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    formulas: Mapping[str, str] | None = None,
    pixels: bool = False,
    progress: Progress = ignore_progress,
) -> QuantityReport:
    """Quantify a map as the command line does, whose options these are.

    Parameters
    ----------
    measured, elements, regions, formulas, pixels
        As for :func:`~napari_xrf.maps.quantification.report.report_quantities`.
    oxygen
        One of :data:`~napari_xrf.maps.quantification.composition.OXYGEN`.
    valences
        ``"Fe=3"``, in place of the usual ones.
    instrument
        A preset or a .toml file; empty: as the map says.
    standards
        Spectra with their tables (element, weight_percent).

    Raises
    ------
    InvalidInput
        When a name cannot be, no element is found or given, or a region is empty.
    FileError
        When a standard cannot be read.
    """
    recipe = Recipe(oxygen, parse_valences(valences))
    known = calibrate_map(_by(measured, instrument), progress=progress)
    if standards:
        made = calibrated_by_files(known, instrument, standards, progress=progress)
        recipe = replace(recipe, instrument=made)
    return report_quantities(
        known, elements, regions=regions, formulas=formulas, recipe=recipe, pixels=pixels, progress=progress
    )


def calibrated_by_files(
    measured: Measured,
    instrument: str,
    standards: StandardFiles,
    *,
    progress: Progress = ignore_progress,
) -> Instrument:
    """Return the instrument of a map with what standards tell of it.

    Raises FileError when a standard cannot be read. Raises InvalidInput when one tells nothing.
    """
    known = calibrate_map(_by(measured, instrument), progress=progress)
    read = [
        Standard(_by(io.read(spectrum), instrument), read_truth_table(Path(truth), Path(spectrum)))
        for spectrum, truth in standards
    ]
    return calibrate_instrument(known.instrument, read, progress=progress)[0]


def _by(measured: Measured, instrument: str) -> Measured:
    """Return a map as measured by an instrument; a map that is by that already stays as it is."""
    if not instrument or cube_of(measured).excitation.description == instrument:
        return measured
    return described(cube_of(measured), instrument)
