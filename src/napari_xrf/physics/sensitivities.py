"""How a real instrument departs from its model: a factor for each line family, from standards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, split_family

Floats = NDArray[np.float64]

# Relative errors of the forward model for each family by itself, without standards, from the spectra of
# docs/quantification.md; below 1 keV windows, coatings and surfaces decide, and L and M lines share electrons
# with bonds. Of X-rays; electrons' cross-sections and paths are known less well.
_MODEL_ERROR = {"K": 0.02, "L": 0.06, "M": 0.25}
BY_ELECTRONS = 1.5  # times as much
_SOFT_KEV = 1.0
_SOFT_ERROR = {"K": 0.2, "L": 0.7, "M": 0.7}
_STANDARD_ERROR = 0.02
# What standards leave: of a family's own error, for another matrix than theirs; of what neighbours share,
# since lens and gas are not quite the same another day (basalt glasses of one breadboard).
_LEFT_BY_STANDARDS, _LEFT_OF_SHARED = 0.5, 0.2
# Errors that neighbours share, of tube, lens and window: a smooth curve of ln(energy). "fitted" is what is
# left where the scattered background told the tube's spectrum.
SMOOTH_ERROR = {"electron": 0.04, "lens": 0.4, "tube": 0.15, "fitted": 0.03, "other": 0.05}
_REACH = 0.8  # of ln(energy), over which it changes
_OTHER_SHELL = 0.5  # of it holds for lines of another shell too
_COMMON_ERROR = 1.0  # of all factors: the dose, which normalising takes out


def model_error(family: str) -> float:
    """Return the relative error of the intensity that the model expects of a family, without standards."""
    element, shell = split_family(family)
    line = main_line(element, shell)
    soft = line is not None and line.energy < _SOFT_KEV
    return _SOFT_ERROR[shell] if soft else _MODEL_ERROR[shell]


@dataclass(frozen=True)
class Sensitivities:
    """Measured over expected counts of line families, relative to their mean."""

    # (family, factor, its relative error), one for each family that was measured; others take the factors of
    # their shell beside them in energy
    factors: tuple[tuple[str, float, float], ...] = ()
    # Measured over expected counts of all families, per second and, where the spectra say it, nA of electrons
    # or µA of a tube; None where no exposure is known. It makes weights absolute
    throughput: float | None = None
    # ln of measured over expected scatter of the standards, both over the lines; None where none shows
    scatter: float | None = None

    def factor(self, family: str) -> float:
        """Return what the expected intensity of a family is multiplied with."""
        if not self.factors:
            return 1.0
        if family not in self._known:
            beside = _shared((family,), self._families, SMOOTH_ERROR["lens"]) + _COMMON_ERROR**2
            self._known[family] = float(np.exp((beside @ self._weights)[0]))
        return self._known[family]

    def covariance(self, families: Sequence[str], smooth: float, own_part: float = 1.0) -> Floats:
        """Return the covariance of the relative errors of expected intensities, (F, F).

        ``families``: F names. ``smooth``: of :data:`SMOOTH_ERROR`: what families of like energies share,
        without standards. ``own_part``: each family's own error over that of X-rays.
        """
        own = np.array([(own_part * model_error(family)) ** 2 for family in families])
        prior = _shared(families, families, smooth) + np.diag(own)
        if not self.factors:
            return prior
        # Of each family itself a standard leaves a part: its matrix was another one.
        held = np.array([[family == other for other in self._families] for family in families], dtype=float)
        beside = _shared(families, self._families, smooth) + held * own[:, None] + _COMMON_ERROR**2
        gain = np.linalg.solve(self._observed(smooth, own_part), beside.T)
        left = np.diag(_LEFT_BY_STANDARDS**2 * own * held.sum(axis=1))
        left += _shared(families, families, _LEFT_OF_SHARED * smooth)
        return np.asarray(prior + _COMMON_ERROR**2 - beside @ gain + left)

    def error(self, family: str, smooth: float = 0.0) -> float:
        """Return the relative error of the expected intensity of a family."""
        return float(np.sqrt(max(self.covariance((family,), smooth)[0, 0], 0.0)))

    @cached_property
    def _families(self) -> tuple[str, ...]:
        return tuple(family for family, _, _ in self.factors)

    @cached_property
    def _known(self) -> dict[str, float]:
        return {family: factor for family, factor, _ in self.factors}

    @cached_property
    def _weights(self) -> Floats:
        """Of the logarithms of the factors in those of other families: regression on a smooth curve."""
        logs = np.array([np.log(factor) for _, factor, _ in self.factors])
        return np.asarray(np.linalg.solve(self._observed(SMOOTH_ERROR["lens"]), logs))

    def _observed(self, smooth: float, own_part: float = 1.0) -> Floats:
        """Covariance of the factors as they were measured."""
        own = [(own_part * model_error(family)) ** 2 + error**2 for family, _, error in self.factors]
        return _shared(self._families, self._families, smooth) + np.diag(own) + _COMMON_ERROR**2


def _shared(first: Sequence[str], second: Sequence[str], smooth: float) -> Floats:
    """Covariance that families share by their energies, (F, G)."""

    def place(families: Sequence[str]) -> tuple[Floats, list[str]]:
        pairs = [split_family(family) for family in families]
        lines = [main_line(*pair) for pair in pairs]
        return np.log([line.energy if line else 1.0 for line in lines]), [shell for _, shell in pairs]

    (at, shells), (others, of) = place(first), place(second)
    near = np.exp(-0.5 * ((at[:, None] - others) / _REACH) ** 2)
    same = np.array([[1.0 if shell == other else _OTHER_SHELL for other in of] for shell in shells])
    return np.asarray(smooth**2 * near * same)


@dataclass(frozen=True, eq=False)
class MeasuredStandard:
    """The families of a sample of known composition."""

    # counts, errors: net counts by family, and their standard errors
    counts: Mapping[str, float]
    errors: Mapping[str, float]
    expected: Mapping[str, float]  # what the model expects of the composition, per unit of dose
    # Seconds, times the beam's current where it is known; None where neither is
    exposure: float | None = None
    scatter: float | None = None  # ln of measured over expected scatter, both over the lines


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
    levels = [one.scatter for one in standards if one.scatter is not None]
    return Sensitivities(
        tuple(
            (name, float(np.exp(solution[k])), float(spread[k])) for k, name in enumerate(families) if used[k]
        ),
        float(np.exp(np.mean(np.log(doses)))) if doses else None,
        float(np.mean(levels)) if levels else None,
    )
