"""A plain fit of spectra of several elements: thin-film lines, substrates and a smooth background."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.plain_fit import (
    FitColumns,
    FittedAmounts,
    fit_presence_scale,
    fit_spectra,
)
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import draw_sample, source_of
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.training import VALIDATION
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.synthesis.mixtures import make_templates
from napari_xrf.synthesis.substrates import SUBSTRATES

# The gain of a gas detector wanders by some per cent; those of silicon drift detectors hardly do.
GAS_GAINS = (-0.024, -0.012, 0.0, 0.012, 0.024)
FIT_VALIDATION = 500  # spectra on which the probabilities are fitted
_MEAN_ESCAPE = 0.09  # of the lines above the argon edge, in a gas detector
_BUMPS = 10  # of the smooth background, evenly spaced in the root of energy
_LOWEST_BUMP_KEV = 1.0


def predict_sample(
    description: ModelDescription, sample: Sample, seed: int, progress: Progress = ignore_progress
) -> SpectrumPredictions:
    """Return what the plain fit says of a sample's spectra, moved to the model's axis.

    How its amounts become probabilities, and its threshold, are fitted on 500 other spectra of the model's
    own source. Raises InvalidInput when the model's instruments are unknown.
    """
    names = description.source_options.get("instruments", ("gem",))
    if not isinstance(names, Sequence):  # a number of them, drawn
        raise InvalidInput("the model learnt from drawn instruments, whose lines the fit does not know")
    instruments = [load_instrument(str(name)) for name in names]
    learnt = draw_sample(source_of(description), FIT_VALIDATION, seed, stream=VALIDATION)

    def fit(spectra: NDArray[np.generic], axis: EnergyAxis) -> FittedAmounts:
        moved = rebin_counts(spectra, axis, description.axis)
        return fit_element_spectra(moved, description.axis, description.names, instruments, progress)

    scale = fit_presence_scale(fit(learnt.spectra, learnt.cube.energy), learnt.targets["presence"])
    fitted = fit(sample.spectra, sample.cube.energy)
    probability = scale.probability(fitted)
    return SpectrumPredictions(
        sample.spectra.sum(axis=1, dtype=np.float32),
        probability,
        probability >= scale.threshold,
        intensity=fitted.counts,
    )


def fit_element_spectra(
    counts: NDArray[np.floating],
    axis: EnergyAxis,
    names: Sequence[str],
    instruments: Sequence[Instrument],
    progress: Progress = ignore_progress,
) -> FittedAmounts:
    """Fit N spectra (N, E) by one column per element, those of substrates, and a smooth background.

    Each spectrum takes the instrument, and on a gas detector the gain, that fits it best. Raises InvalidInput
    when there is nothing to fit, or an instrument sees no line of an element.
    """
    alternatives = [
        element_columns(tuple(names), instrument, axis, gain)
        for instrument in instruments
        for gain in (GAS_GAINS if instrument.detector.kind == "gem" else (0.0,))
    ]
    return fit_spectra(counts, alternatives, len(names), progress)


@lru_cache(maxsize=32)
def element_columns(
    names: tuple[str, ...], instrument: Instrument, axis: EnergyAxis, gain: float = 0.0
) -> FitColumns:
    """Return the columns of an instrument on an axis, recorded with a relative gain."""
    substrates = tuple(SUBSTRATES)
    templates = make_templates(names, substrates, instrument)
    lines = templates.lines.astype(np.float64)
    if instrument.detector.kind == "gem":
        lines += _MEAN_ESCAPE * (templates.escapes - templates.escaping)
    stretched = EnergyAxis(
        instrument.energy.offset * (1 + gain), instrument.energy.width * (1 + gain), instrument.energy.size
    )
    moved = stretched.rebin(np.concatenate([lines, templates.substrates]), axis)
    root = np.sqrt(np.clip(axis.energies, 0, None))
    knots = np.linspace(np.sqrt(_LOWEST_BUMP_KEV), root[-1], _BUMPS)
    bumps = np.maximum(1 - np.abs(root - knots[:, np.newaxis]) / (knots[1] - knots[0]), 0)
    columns = np.concatenate([np.maximum(moved, 0), bumps])
    owner = np.array([*range(len(names)), *[-1] * (len(columns) - len(names))], dtype=np.intp)
    total = columns.sum(axis=1)
    shown = total > 0
    return FitColumns(columns[shown] / total[shown, np.newaxis], owner[shown])
