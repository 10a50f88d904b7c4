"""A plain fit of the spectra of "Privileged bases": line families at several resolutions and calibrations."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.plain_fit import (
    FitColumns,
    FittedAmounts,
    choose_columns,
    fit_presence_scale,
    fit_spectra,
)
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import draw_sample, source_of
from napari_xrf.learning.training import VALIDATION
from napari_xrf.synthesis.line_basis import (
    BASIS_AXIS,
    BASIS_ELEMENTS,
    TubeSettings,
    air_transmission,
    line_basis,
    line_cross_sections,
    line_elements,
    tube_light,
)

ASSUMED_COUNTS = 30_000.0  # of spectra whose scale is arbitrary
SIGMAS_KEV = (0.025, 0.04, 0.06, 0.085, 0.11, 0.14, 0.17, 0.2)
GAINS = (-0.024, -0.016, -0.008, 0.0, 0.008, 0.016, 0.024)
FIT_VALIDATION = 300  # spectra on which the probabilities are fitted
_REACH = 4.0  # of a peak, in standard deviations
_LEAST_AREA = 0.02  # of a family: narrow peaks between two bins are not seen at all
_SMOOTH_KEV = (2.0, 5.0, 9.0, 14.0, 20.0)


def fit_line_spectra(
    spectra: ArrayLike, axis: EnergyAxis, progress: Progress = ignore_progress
) -> FittedAmounts:
    """Fit N spectra (N, 300) by the K, L and M families of the 41 elements of the basis.

    One resolution for each spectrum, of eight from 0.025 to 0.2 keV, then one calibration, of seven gains
    within ±2.4 %; the tube is the usual one of molybdenum. Spectra scaled to a highest channel of 1, or all
    to the same highest channel, are taken to hold 30 000 counts. Returns FittedAmounts of the 41 elements,
    whose lines are :func:`~napari_xrf.synthesis.line_basis.line_elements`. Raises InvalidInput when the axis
    is another than that of the basis.
    """
    values = np.asarray(spectra, dtype=np.float64)
    if axis != BASIS_AXIS or values.ndim != 2 or values.shape[1] != axis.size:
        raise InvalidInput("the plain fit of lines needs spectra of 300 channels of 0.1 keV from 0 keV")
    highest = values.max(axis=1, initial=0.0)
    scaled = (highest <= 1.0) | (len(highest) > 1 and np.ptp(highest) == 0)
    total = np.maximum(values.sum(axis=1), 1e-12)
    counts = values * np.where(scaled, ASSUMED_COUNTS / total, 1.0)[:, np.newaxis]
    counts32 = counts.astype(np.float32)
    widths, _ = choose_columns(counts32, [line_columns(sigma) for sigma in SIGMAS_KEV], progress)
    size = len(BASIS_ELEMENTS)
    result = FittedAmounts(np.zeros((len(values), size)), np.zeros((len(values), size)), widths)
    for number, sigma in enumerate(SIGMAS_KEV):
        rows = np.flatnonzero(widths == number)
        if rows.size:
            own = fit_spectra(counts32[rows], [line_columns(sigma, gain) for gain in GAINS], size, progress)
            result.counts[rows], result.errors[rows] = own.counts, own.errors
    return result


def predict_sample(
    description: ModelDescription, sample: Sample, seed: int, progress: Progress = ignore_progress
) -> SpectrumPredictions:
    """Return what the plain fit says of the 556 lines of a sample's spectra.

    How its amounts become probabilities, and its threshold, are fitted on 300 other spectra of the model's
    own source. Raises InvalidInput when the model's lines or the axis are not those of the basis.
    """
    if description.names != tuple(line.label for line in line_basis()) or sample.cube.energy != BASIS_AXIS:
        raise InvalidInput("it needs the 556 lines of the basis and their axis")
    learnt = draw_sample(source_of(description), FIT_VALIDATION, seed, stream=VALIDATION)
    elements = np.zeros((learnt.size, line_elements().max() + 1))
    elements[:, line_elements()] = learnt.targets["presence"]
    scale = fit_presence_scale(fit_line_spectra(learnt.spectra, BASIS_AXIS, progress), elements)
    amounts = fit_line_spectra(sample.spectra, BASIS_AXIS, progress)
    probability = scale.probability(amounts)[:, line_elements()]
    counts = sample.spectra.sum(axis=1, dtype=np.float32)
    return SpectrumPredictions(counts, probability, probability >= scale.threshold)


@cache
def line_columns(sigma: float, gain: float = 0.0) -> FitColumns:
    """Return the columns of elements, tube and continuum at a resolution, keV, and a relative gain."""
    heights = _line_heights()
    energies = np.array([line.energy for line in line_basis()]) * (1 + gain)
    distance = (BASIS_AXIS.energies - energies[:, np.newaxis]) / sigma
    peaks = np.where(np.abs(distance) < _REACH, np.exp(-0.5 * distance**2), 0.0) * heights[:, np.newaxis]
    shells = np.array([line.name[0] for line in line_basis()])
    columns, owner = [], []
    for element in range(len(BASIS_ELEMENTS)):
        for shell in "klm":
            lines = (line_elements() == element) & (shells == shell)
            column = peaks[lines].sum(axis=0)
            full = heights[lines].sum() * sigma * np.sqrt(2 * np.pi) / BASIS_AXIS.width
            if column.sum() > _LEAST_AREA * full > 0:
                columns.append(column / column.sum())
                owner.append(element)
    around = _surroundings()
    return FitColumns(
        np.concatenate([columns, around]), np.array([*owner, *[-1] * len(around)], dtype=np.intp)
    )


@cache
def _usual_light() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(300,) continuum and lines of the molybdenum tube at 30 kV."""
    one = np.ones(1)
    settings = TubeSettings(
        np.zeros(1, dtype=np.int64), 46.0 * one, 0.127 * one, 10.0 * one, np.zeros((1, 3))
    )
    continuum, lines = tube_light(settings)
    return continuum[0].astype(np.float64), lines[0].astype(np.float64)


@cache
def _line_heights() -> NDArray[np.float64]:
    """(556,) photons of each line of a thin sample, after 10 mm of air."""
    continuum, lines = _usual_light()
    air = air_transmission(np.full(1, 10.0))[0]
    channels = np.clip(BASIS_AXIS.channel([line.energy for line in line_basis()]), 1, BASIS_AXIS.size - 1)
    return np.asarray((line_cross_sections() @ (continuum + lines)) * air[channels], dtype=np.float64)


def _surroundings() -> NDArray[np.float64]:
    """Columns of what the tube adds: its continuum, its lines, noise, and smooth bumps."""
    continuum, lines = _usual_light()
    bumps = [np.exp(-0.5 * ((BASIS_AXIS.energies - at) / (0.35 * at)) ** 2) for at in _SMOOTH_KEV]
    columns = np.array([continuum, lines, np.ones(BASIS_AXIS.size), *bumps])
    return np.asarray(columns / columns.sum(axis=1, keepdims=True))
