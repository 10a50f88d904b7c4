"""Quantities where sample, instrument and standards are told in words: command line, window and notebooks.

What may be stated of a sample stands here once, and each of the three takes all of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf import io
from napari_xrf.core.parameters import Choices, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import Measured, calibrate_map, cube_of
from napari_xrf.maps.preparation import dosed_by_intensity
from napari_xrf.maps.quantification.composition import OXYGEN, Recipe
from napari_xrf.maps.quantification.report import QuantityReport, report_quantities
from napari_xrf.maps.quantification.standards import Standard, calibrate_instrument, read_truth_table
from napari_xrf.physics.excitation import described
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.oxides import parse_valences

StandardFiles = Sequence[tuple[str | Path, str | Path]]


@parameters
class StatedSample:
    """What is stated of a sample and of its dose, in place of what the spectrum suggests.

    Attributes
    ----------
    oxygen
        From valences (stoichiometry), from its line (measured), what the dose of a standard leaves to 100 %
        (difference), or none; auto judges by line or background.
    valence
        In place of the usual ones, Fe=3,S=-2.
    volatile_free
        No water, carbonate or organic matter is in it (a glass): smaller errors of oxides.
    film
        A thin film; µg/cm² with a standard and times.
    by_dose
        Weights that the dose gives, not normalised to 100 % (needs a standard).
    fit_optic
        The lens' transmission from the standards too (X-ray tubes).
    intensity
        What the files hold as I0, /entry/i0: the dose in place of times.
    """

    oxygen: Annotated[str, Choices(OXYGEN)] = "auto"
    valence: str = ""
    volatile_free: bool = False
    film: bool = False
    by_dose: bool = False
    fit_optic: bool = False
    intensity: str = ""

    def recipe(self) -> Recipe:
        """Return how weights follow from counts, without standards; InvalidInput for a wrong valence."""
        return Recipe(
            self.oxygen,
            parse_valences(self.valence),
            film=self.film,
            by_dose=self.by_dose,
            volatile_free=self.volatile_free,
        )

    def dosed(self, cube: SpectralCube) -> SpectralCube:
        """Return a map with the dose that its file holds under the stated name of I0."""
        return dosed_by_intensity(cube, self.intensity) if self.intensity else cube


def quantify_by_names(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    instrument: str = "",
    standards: StandardFiles = (),
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    formulas: Mapping[str, str] | None = None,
    pixels: bool = False,
    progress: Progress = ignore_progress,
    **stated: Any,
) -> QuantityReport:
    """Quantify a map as the command line does, whose options these are.

    Raises InvalidInput when a name cannot be, no element is found or given, or a region is empty. Raises
    FileError when a standard cannot be read.

    ``measured``, ``elements``, ``regions``, ``formulas``, ``pixels``: as for
    :func:`~napari_xrf.maps.quantification.report.report_quantities`. ``instrument``: a preset or a .toml
    file; empty: as the map says. ``standards``: spectra with their tables (element, weight_percent).
    ``stated``: fields of :class:`StatedSample`.
    """
    sample = StatedSample(**stated)
    recipe = sample.recipe()
    known = calibrate_map(_by(measured, instrument), progress=progress)
    if sample.intensity:
        known = replace(known, cube=sample.dosed(known.cube))
    notes: tuple[str, ...] = ()
    if standards:
        made, notes = calibrated_by_files(known, instrument, standards, sample, progress=progress)
        recipe = replace(recipe, instrument=made)
    report = report_quantities(
        known, elements, regions=regions, formulas=formulas, recipe=recipe, pixels=pixels, progress=progress
    )
    found = tuple(replace(one, notes=(*notes, *one.notes)) for one in report.quantities)
    return replace(report, quantities=found)


def calibrated_by_files(
    measured: Measured,
    instrument: str,
    standards: StandardFiles,
    sample: StatedSample | None = None,
    *,
    told: Callable[[SpectralCube], SpectralCube] | None = None,
    progress: Progress = ignore_progress,
) -> tuple[Instrument, tuple[str, ...]]:
    """Return the instrument of a map with what standards tell of it, and what is to be said of them.

    ``told``: returns a standard's spectrum as what is stated of its excitation has it; otherwise it is by
    ``instrument``. Raises FileError when a standard cannot be read. Raises InvalidInput when one tells
    nothing.
    """
    stated = sample or StatedSample()
    as_told = told or (lambda cube: cube_of(_by(cube, instrument)))
    known = calibrate_map(_by(measured, instrument), progress=progress)
    read = [
        Standard(
            stated.dosed(as_told(io.read(spectrum, progress=progress))),
            read_truth_table(Path(truth), Path(spectrum)),
        )
        for spectrum, truth in standards
    ]
    return calibrate_instrument(known.instrument, read, fit_optic=stated.fit_optic, progress=progress)


def _by(measured: Measured, instrument: str) -> Measured:
    """Return a map as measured by an instrument; a map that is by that already stays as it is."""
    if not instrument or cube_of(measured).excitation.description == instrument:
        return measured
    return described(cube_of(measured), instrument)
