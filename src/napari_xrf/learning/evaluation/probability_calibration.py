"""Temperature and thresholds that turn logits into probabilities and decisions, and how far these hold."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from napari_xrf.core.errors import InvalidInput, check_name

_TEMPERATURES = (0.05, 20.0)
_FEWEST_POSITIVES = 20  # of a name: below it, its own threshold would follow chance


def fit_temperature(logits: ArrayLike, labels: ArrayLike, kind: Literal["presence", "minerals"]) -> float:
    """Return the number, 0.05 to 20, to divide logits by, so that their probabilities are likeliest.

    Guo et al., ICML 2017 (arXiv:1706.04599): the minimum of the mean negative log-likelihood over one
    parameter, which is convex in 1 / temperature. No decision at probability 0.5, and no ranking, changes.

    ``logits``: (N, K), any finite numbers. ``labels``: for ``"presence"`` (N, K), 0 or 1, each a yes or no of
    its own; for ``"minerals"`` (N,) the column of the true class. Raises InvalidInput when shapes do not fit,
    there is nothing to fit, or the kind is unknown.
    """
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InvalidInput(f"a temperature is fitted on finite logits (N, K), not on {values.shape}")
    losses = {"presence": _presence_loss, "minerals": _class_loss}
    check_name("kind of logits", kind, losses)
    loss = losses[kind](values, truth)
    found = optimize.minimize_scalar(
        lambda log_temperature: loss(float(np.exp(-log_temperature))),
        bounds=tuple(np.log(_TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def fit_thresholds(
    probability: ArrayLike, labels: ArrayLike, target: Literal["f1"] | float = "f1", *, shared: bool = False
) -> tuple[float, ...]:
    """Return the probabilities from which each of K names counts as present, or one when shared.

    ``probability``, ``labels``: (N, K) from 0 to 1, and 0 or 1. ``target``: ``"f1"``: the largest F1. A
    number: the lowest threshold whose decisions have at least that precision; where none has, the one of the
    largest precision. ``shared``: whether one threshold serves all names. Names seen less than 20 times get
    the shared one anyhow. Raises InvalidInput when shapes do not fit, there is nothing to fit, or the target
    makes no sense.
    """
    values, truth = np.asarray(probability, dtype=np.float64), np.asarray(labels) > 0.5
    if values.ndim != 2 or values.shape != truth.shape or not values.size:
        raise InvalidInput(f"probabilities {values.shape} and labels {truth.shape} do not fit")
    if target != "f1" and not (isinstance(target, int | float) and 0 < target <= 1):
        raise InvalidInput(f"thresholds are fitted for f1 or a precision up to 1, not for {target!r}")
    common = _threshold(values.ravel(), truth.ravel(), target)
    if shared:
        return (common,)
    often = truth.sum(axis=0) >= _FEWEST_POSITIVES
    return tuple(
        _threshold(values[:, name], truth[:, name], target) if often[name] else common
        for name in range(values.shape[1])
    )


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Probabilities in B equal bins from 0 to 1, beside how often they came true."""

    # probability, frequency: (B,) mean probability, and part of the decisions that were true; NaN in empty
    # bins
    probability: NDArray[np.float64]
    frequency: NDArray[np.float64]
    number: NDArray[np.intp]  # (B,) decisions

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of frequency and probability over the decisions.

        Naeini, Cooper & Hauskrecht, AAAI 2015, 2901.
        """
        filled = self.number > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.probability[filled] - self.frequency[filled])
        return float(np.average(gaps, weights=self.number[filled]))


def reliability_curve(probability: ArrayLike, true: ArrayLike, bins: int = 15) -> ReliabilityCurve:
    """Return how often decisions of each probability were true.

    ``probability``, ``true``: arrays of one shape: of each decision, its probability and whether it was true.
    For one class of many: the probability of the class given, and whether it was right. Raises InvalidInput
    when shapes differ or a probability is none.
    """
    values, came = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(true).ravel() > 0.5
    if values.shape != came.shape or bins < 1:
        raise InvalidInput(f"probabilities {values.shape} and truth {came.shape} differ in shape")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidInput("probabilities lie from 0 to 1")
    place = np.minimum((values * bins).astype(np.intp), bins - 1)
    number = np.bincount(place, minlength=bins)
    means = [
        np.divide(
            np.bincount(place, weights=weights, minlength=bins),
            number,
            out=np.full(bins, np.nan),
            where=number > 0,
        )
        for weights in (values, came)
    ]
    return ReliabilityCurve(means[0], means[1], number)


def _presence_loss(logits: NDArray[np.float64], truth: NDArray[Any]) -> Any:
    if truth.shape != logits.shape:
        raise InvalidInput(f"labels {truth.shape} do not fit logits {logits.shape}")
    # softplus(-z) for a yes and softplus(z) for a no.
    signed = np.where(truth > 0.5, -logits, logits)
    return lambda sharpness: float(np.logaddexp(0, sharpness * signed).mean())


def _class_loss(logits: NDArray[np.float64], truth: NDArray[Any]) -> Any:
    rows = np.arange(len(logits))
    if truth.shape != rows.shape or truth.min() < 0 or truth.max() >= logits.shape[1]:
        raise InvalidInput(f"labels {truth.shape} do not fit logits {logits.shape}")
    columns = truth.astype(np.intp)

    def loss(sharpness: float) -> float:
        scaled = sharpness * logits
        return float((special.logsumexp(scaled, axis=1) - scaled[rows, columns]).mean())

    return loss


def _threshold(values: NDArray[np.float64], truth: NDArray[np.bool_], target: Literal["f1"] | float) -> float:
    positives = int(truth.sum())
    if not positives:
        return 0.5
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(truth[order])
    # A threshold can lie only where the probability changes.
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    hits, named = hits[ends], ends + 1
    if target == "f1":
        best = int(np.argmax(2 * hits / (named + positives)))
    else:
        precision = hits / named
        enough = np.flatnonzero(precision >= target)
        best = int(enough[-1]) if enough.size else int(np.argmax(precision))
    above = float(ranked[ends[best]])
    below = float(ranked[ends[best + 1]]) if best + 1 < ends.size else 0.0
    return min(max((above + below) / 2, 0.0), 1.0)
