"""What lines and elements share: a yes or no for each name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.evaluation.probability_calibration import fit_temperature, fit_thresholds
from napari_xrf.learning.evaluation.sample import SpectrumPredictions
from napari_xrf.learning.tasks.task import Tensors, wanted

if TYPE_CHECKING:
    from torch import Tensor

_LOWEST_THRESHOLD = 0.05


def presence_loss(outputs: Tensors, targets: Tensors, weight: float) -> Tensor:
    """Return the divergence (Kullback-Leibler) between labels and probabilities, mean over the names, (N,).

    For labels of 0 and 1 it is the binary cross-entropy.
    """
    from torch.nn import functional

    present = wanted(targets, "presence")
    entropy = functional.binary_cross_entropy_with_logits(outputs["presence"], present, reduction="none")
    return weight * entropy.mean(dim=1)


def presence_figures(outputs: Tensors, targets: Tensors) -> dict[str, float]:
    """Return correlation, sensitivity and precision at probability 0.5."""
    probability = np.asarray(expit(outputs["presence"].cpu().numpy().astype(np.float64)))
    truth = targets["presence"].cpu().numpy() > 0.5
    found = probability >= 0.5
    varies = probability.std() > 0 and truth.std() > 0
    return {
        "pearson": float(np.corrcoef(probability.ravel(), truth.ravel())[0, 1]) if varies else 0.0,
        "sensitivity": float((found & truth).sum() / max(truth.sum(), 1)),
        "precision": float((found & truth).sum() / max(found.sum(), 1)),
    }


def fit_presence_calibration(
    outputs: Tensors, targets: Tensors, precision: float, *, shared: bool
) -> ProbabilityCalibration:
    """Return the temperature, and the thresholds of a precision on held-out spectra."""
    logits, truth = outputs["presence"].cpu().numpy(), targets["presence"].cpu().numpy() > 0.5
    temperature = fit_temperature(logits, truth, "presence")
    probability = expit(logits.astype(np.float64) / temperature)
    thresholds = fit_thresholds(probability, truth, precision, shared=shared)
    # Where all held-out spectra are told apart, no threshold is wrong, and a name at 0 % must not be present.
    return ProbabilityCalibration(temperature, tuple(max(value, _LOWEST_THRESHOLD) for value in thresholds))


def decide_presence(description: ModelDescription, said: SpectrumPredictions) -> SpectrumPredictions:
    """Return predictions with the names that pass their thresholds."""
    if said.probability is None:
        return said
    return replace(said, present=said.probability >= description.thresholds)
