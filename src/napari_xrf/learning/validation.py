"""What training looks at on held-out spectra after each epoch, and the probabilities that it fits on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from napari_xrf.learning.description import ModelDescription, ProbabilityCalibration
from napari_xrf.learning.evaluation.calibration import fit_temperature, fit_thresholds

# The precision that thresholds aim at. Lines share one, as all of an element stand or fall together; its aim
# lies above 0.95, so that other code's spectra keep 0.95.
_PRECISION_OF_LINES = 0.965
_PRECISION_OF_ELEMENTS = 0.95
_LOWEST_THRESHOLD = 0.05


def validation_figures(
    description: ModelDescription, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> dict[str, float]:
    """Return a few figures by which an epoch is judged."""
    figures: dict[str, float] = {}
    if description.task in ("lines", "elements"):
        probability, truth = _probability(outputs["presence"]), targets["presence"].cpu().numpy() > 0.5
        figures["pearson"] = _pearson(probability, truth)
        found = probability >= 0.5
        figures["sensitivity"] = float((found & truth).sum() / max(truth.sum(), 1))
        figures["precision"] = float((found & truth).sum() / max(found.sum(), 1))
    if description.task == "elements":
        predicted, share = outputs["intensity"].cpu().numpy(), targets["share"].cpu().numpy()
        spread = ((share - share.mean(axis=0)) ** 2).sum(axis=0)
        r2 = 1 - ((predicted - share) ** 2).sum(axis=0) / np.maximum(spread, 1e-12)
        figures["r2"] = float(r2.mean())
        # What the errors of element maps go by.
        figures["share_error"] = float(np.sqrt(((predicted - share) ** 2).mean()))
    if description.task == "minerals":
        logits, label = outputs["minerals"].cpu().numpy(), targets["label"].cpu().numpy()
        known = label < len(description.names)
        figures["accuracy"] = float((logits.argmax(axis=1) == label)[known].mean()) if known.any() else 0.0
        figures["unknown_found"] = (
            float((logits.argmax(axis=1) == label)[~known].mean()) if (~known).any() else 0.0
        )
    if "spectrum" in outputs:
        distance = (outputs["spectrum"] - targets["inputs"]) ** 2
        figures["reconstruction_error"] = float(distance.mean())
    return figures


def fit_calibration(
    description: ModelDescription, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> ProbabilityCalibration:
    """Return the temperature, and for lines and elements the thresholds, that held-out spectra ask for."""
    if description.task == "minerals":
        logits, label = outputs["minerals"].cpu().numpy(), targets["label"].cpu().numpy()
        return ProbabilityCalibration(fit_temperature(logits, label, "minerals"))
    if description.task not in ("lines", "elements"):
        return ProbabilityCalibration()
    logits, truth = outputs["presence"].cpu().numpy(), targets["presence"].cpu().numpy() > 0.5
    temperature = fit_temperature(logits, truth, "presence")
    probability = expit(logits.astype(np.float64) / temperature)
    if description.task == "lines":
        thresholds = fit_thresholds(probability, truth, _PRECISION_OF_LINES, shared=True)
    else:
        thresholds = fit_thresholds(probability, truth, _PRECISION_OF_ELEMENTS)
    # Where all held-out spectra are told apart, no threshold is wrong, and a name at 0 % must not be present.
    return ProbabilityCalibration(temperature, tuple(max(value, _LOWEST_THRESHOLD) for value in thresholds))


def _probability(logits: Tensor) -> NDArray[np.float64]:
    return np.asarray(expit(logits.cpu().numpy().astype(np.float64)))


def _pearson(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    if probability.std() == 0 or truth.std() == 0:
        return 0.0
    return float(np.corrcoef(probability.ravel(), truth.ravel())[0, 1])
