"""Whether each unit of a code means one thing.

García-Avello Bofías et al. (EasyChair preprint, December 2024) expect a code that has one unit per emission
line to be free of superposition (Elhage et al., arXiv:2209.10652): a unit fires only with its line.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.presence_scores import mean_of_known, rank_area
from napari_xrf.learning.evaluation.probability_calibration import fit_thresholds

_FEWEST = 20  # spectra with and without a line, from which its unit can be judged


@dataclass(frozen=True, eq=False)
class Monosemanticity:
    """How well the units of a code stand for names, on spectra that did not choose them."""

    names: NDArray[np.intp]  # (M,) position of the name of each judged unit
    purity: NDArray[np.float64]  # (M,) part of the spectra in which the unit fires that hold its line
    coverage: NDArray[np.float64]  # (M,) part of the spectra that hold its line in which it fires
    area: NDArray[np.float64]  # (M,) AUROC of its activity for its line
    # (M,) part of all spectra that hold the line: the purity of a unit that means nothing
    base_rate: NDArray[np.float64]
    silent: float  # part of all units that never change

    def as_row(self) -> dict[str, float]:
        """Return means over the judged units."""
        return {
            "units": float(self.names.size),
            "purity": mean_of_known(self.purity),
            "coverage": mean_of_known(self.coverage),
            "auroc": mean_of_known(self.area),
            "base rate": mean_of_known(self.base_rate),
            "purity >= 0.95": mean_of_known((self.purity >= 0.95).astype(np.float64)),
            "silent": self.silent,
        }


def measure_monosemanticity(
    code: ArrayLike, present: ArrayLike, visible: ArrayLike | None = None, *, named: bool
) -> Monosemanticity:
    """Judge the units of a code (N, L) against the presence of K lines (N, K).

    The first half of the spectra decides what counts as firing, and without names which line each unit
    stands for; the second half is what they are judged on. Firing is an activity above the threshold of
    the largest F1, so that codes of any scale and sign can be compared.

    ``visible``: (N, K) which lines can be seen: those that are present and cannot be seen say nothing of a
    unit and are left out. ``named``: whether unit l stands for line l. Otherwise each unit stands for the
    line that its activity correlates with most where it can be seen, in either direction: the most favourable
    reading of a code without meaning. Raises InvalidInput when shapes do not fit.
    """
    activity, truth = np.asarray(code, dtype=np.float64), np.asarray(present) > 0.5
    if activity.ndim != 2 or truth.ndim != 2 or len(activity) != len(truth) or len(truth) < 4:
        raise InvalidInput(f"a code {activity.shape} and labels {truth.shape} do not fit")
    if named and activity.shape != truth.shape:
        raise InvalidInput(f"a code of {activity.shape[1]} units has no unit for each of {truth.shape[1]}")
    judged = np.ones(truth.shape, dtype=bool) if visible is None else (np.asarray(visible) > 0.5) | ~truth
    first = np.arange(len(truth)) < len(truth) // 2
    changes = np.ptp(activity[first], axis=0) > 0
    if named:
        owner, sign = np.arange(activity.shape[1]), np.ones(activity.shape[1])
    else:
        owner, sign = _best_names(activity[first], (truth & judged)[first])
    rows: list[tuple[float, ...]] = []
    for unit in np.flatnonzero(changes):
        name = int(owner[unit])
        values = sign[unit] * activity[:, unit]
        counted, holds = judged[:, name], truth[:, name]
        early, late = first & counted, ~first & counted
        enough = min(holds[early].sum(), (~holds[early]).sum(), holds[late].sum(), (~holds[late]).sum())
        if enough < _FEWEST:
            continue
        scaled = _to_unit_range(values, values[early])
        (threshold,) = fit_thresholds(scaled[early, np.newaxis], holds[early, np.newaxis], shared=True)
        fires = scaled[late] >= threshold
        hits = float((fires & holds[late]).sum())
        purity = hits / fires.sum() if fires.any() else 0.0
        area = rank_area(values[late], holds[late])
        rows.append((name, purity, hits / holds[late].sum(), area, holds[late].mean()))
    table = np.array(rows).reshape(-1, 5).T
    silent = float(1 - changes.mean()) if changes.size else 0.0
    purity, coverage, area, base_rate = table[1:]
    return Monosemanticity(table[0].astype(np.intp), purity, coverage, area, base_rate, silent)


def _best_names(
    activity: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the line of each unit, of those that can be seen often enough, and the direction."""
    x = activity - activity.mean(axis=0)
    y = truth - truth.mean(axis=0)
    scale = np.sqrt((x**2).sum(axis=0))[:, np.newaxis] * np.sqrt((y**2).sum(axis=0))
    correlation = np.divide(x.T @ y, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    held = truth.sum(axis=0)
    correlation[:, (held < _FEWEST) | (held > len(truth) - _FEWEST)] = 0.0
    owner = np.abs(correlation).argmax(axis=1)
    sign = np.where(correlation[np.arange(len(owner)), owner] < 0, -1.0, 1.0)
    return owner, sign


def _to_unit_range(values: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(seen.min()), float(seen.max())
    return np.clip((values - low) / max(high - low, 1e-300), 0, 1)
