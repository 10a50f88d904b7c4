"""How a real instrument departs from its model: a factor for each line family, from standards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_xrf.core.emission_lines import main_line, split_family

# Relative errors of the forward model without standards, from the spectra of docs/quantification.md;
# below 1 keV windows, coatings and surfaces decide, and L and M lines share electrons with bonds.
_MODEL_ERROR = {"K": 0.05, "L": 0.12, "M": 0.25}
_SOFT_KEV = 1.0
_SOFT_ERROR = {"K": 0.2, "L": 0.7, "M": 0.7}
_BETWEEN_ERROR = 0.06
_STANDARD_ERROR = 0.02
_LEFT_BY_STANDARDS = 0.25  # of the model's error: another matrix than the standard's
_REACH = 0.35  # of ln(energy), over which a factor holds for its neighbours


def model_error(family: str) -> float:
    """Return the relative error of the intensity that the model expects of a family, without standards."""
    element, shell = split_family(family)
    line = main_line(element, shell)
    soft = line is not None and line.energy < _SOFT_KEV
    return _SOFT_ERROR[shell] if soft else _MODEL_ERROR[shell]


@dataclass(frozen=True)
class Sensitivities:
    """Measured over expected counts of line families, relative to their mean.

    Attributes
    ----------
    factors
        (family, factor, its relative error), one for each family that was measured; others take the factors
        of their shell beside them in energy.
    throughput
        Measured over expected counts of all families, per second and, where the spectra say it, nA of
        electrons or µA of a tube; None where no exposure is known. It makes weights absolute.
    """

    factors: tuple[tuple[str, float, float], ...] = ()
    throughput: float | None = None

    @cached_property
    def _of_family(self) -> dict[str, tuple[float, float]]:
        return {family: (factor, error) for family, factor, error in self.factors}

    def factor(self, family: str) -> float:
        """Return what the expected intensity of a family is multiplied with."""
        if family in self._of_family:
            return self._of_family[family][0]
        near = self._near(family)
        return 1.0 if near is None else near[0]

    def error(self, family: str) -> float:
        """Return the relative error of the expected intensity of a family."""
        if family in self._of_family:
            return float(np.hypot(self._of_family[family][1], _LEFT_BY_STANDARDS * model_error(family)))
        near = self._near(family)
        return model_error(family) if near is None else min(near[1], model_error(family))

    def _near(self, family: str) -> tuple[float, float] | None:
        element, shell = split_family(family)
        line = main_line(element, shell)
        logs, weights = [], []
        for name, (factor, error) in self._of_family.items():
            other = main_line(*split_family(name))
            if line is None or other is None or split_family(name)[1] != shell:
                continue
            apart = np.log(line.energy / other.energy) / _REACH
            logs.append(np.log(factor))
            weights.append(np.exp(-0.5 * apart**2) / error**2)
        if not logs or sum(weights) < 1.0:
            return None
        return float(np.exp(np.average(logs, weights=weights))), _BETWEEN_ERROR


@dataclass(frozen=True, eq=False)
class MeasuredStandard:
    """The families of a sample of known composition.

    Attributes
    ----------
    counts, errors
        Net counts by family, and their standard errors.
    expected
        What the model expects of the composition, per unit of dose.
    exposure
        Seconds, times the beam's current where it is known; None where neither is.
    """

    counts: Mapping[str, float]
    errors: Mapping[str, float]
    expected: Mapping[str, float]
    exposure: float | None = None


def sensitivities_from(standards: Sequence[MeasuredStandard]) -> Sensitivities:
    """Return the factors of families from standards, each of its own unknown dose."""
    families = sorted({name for one in standards for name in one.counts if one.expected.get(name, 0) > 0})
    rows, values, weights = [], [], []
    for index, one in enumerate(standards):
        measured, errors, expected = one.counts, one.errors, one.expected
        for name in families:
            if expected.get(name, 0.0) <= 0 or measured.get(name, 0.0) <= 3 * errors.get(name, np.inf):
                continue
            row = np.zeros(len(families) + len(standards))
            row[families.index(name)], row[len(families) + index] = 1, 1
            rows.append(row)
            values.append(np.log(measured[name] / expected[name]))
            weights.append(1 / np.hypot(errors[name] / measured[name], _STANDARD_ERROR))
    if not rows:
        return Sensitivities()
    # One more row takes out what cannot be known: all factors up, all doses down. Families whose model is
    # known best stay where they are, so that others of their kind fit among them.
    known = np.array([model_error(family) ** -2 for family in families])
    rows.append(np.r_[known / known.sum(), np.zeros(len(standards))])
    values.append(0.0)
    weights.append(1e3)
    scaled = np.array(weights)[:, None] * np.array(rows)
    solution = np.linalg.lstsq(scaled, np.array(weights) * np.array(values), rcond=None)[0]
    spread = np.sqrt(np.clip(np.diag(np.linalg.pinv(scaled.T @ scaled)), _STANDARD_ERROR**2, None))
    used = np.any(np.array(rows)[:-1, : len(families)] > 0, axis=0)
    doses = [
        np.exp(solution[len(families) + k]) / one.exposure for k, one in enumerate(standards) if one.exposure
    ]
    return Sensitivities(
        tuple(
            (name, float(np.exp(solution[k])), float(spread[k])) for k, name in enumerate(families) if used[k]
        ),
        float(np.exp(np.mean(np.log(doses)))) if doses else None,
    )
