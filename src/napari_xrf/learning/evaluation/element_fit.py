"""A plain fit of spectra of several elements: thin-film lines, substrates and a smooth background."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.evaluation.non_negative_fit import FitColumns, FittedAmounts, fit_spectra
from napari_xrf.physics.instrument import Instrument
from napari_xrf.synthesis.mixtures import make_templates
from napari_xrf.synthesis.substrates import SUBSTRATES

# The gain of a gas detector wanders by some per cent; those of silicon drift detectors hardly do.
GAS_GAINS = (-0.024, -0.012, 0.0, 0.012, 0.024)
_MEAN_ESCAPE = 0.09  # of the lines above the argon edge, in a gas detector
_BUMPS = 10  # of the smooth background, evenly spaced in the root of energy
_LOWEST_BUMP_KEV = 1.0


def fit_element_spectra(
    counts: NDArray[np.floating],
    axis: EnergyAxis,
    names: Sequence[str],
    instruments: Sequence[Instrument],
    progress: Progress = ignore_progress,
) -> FittedAmounts:
    """Fit N spectra (N, E) by one column per element, those of substrates, and a smooth background.

    Each spectrum takes the instrument, and on a gas detector the gain, that fits it best.

    Raises
    ------
    InvalidInput
        When there is nothing to fit, or an instrument sees no line of an element.
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
