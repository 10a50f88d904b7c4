"""The transmission of a tube's lens from what the sample itself scatters.

Between its lines a spectrum shows the tube's spectrum behind the lens, scattered. Where few channels lie
between lines the transmission stays as it was taken, as far as it is smooth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import HC_KEV_ANGSTROM
from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.spectra.setting import Setting, channel_groups
from napari_xrf.physics.crystal import oxide_factor
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument, OpticTransmission
from napari_xrf.physics.sample import sample_layers, usual_structure
from napari_xrf.physics.source_shares import share_source, shares_at
from napari_xrf.reference.materials import Material

Floats = NDArray[np.float64]

_KNOT_STEP = 0.24  # of ln(energy)
_FROM_KEV, _SHOWN_FROM_KEV = 1.5, 2.2  # knots from; channels from
_LOOSE = {True: 0.7, False: 0.2}  # of ln(transmission) at a knot, with a lens and without one
_BENT = {True: 0.25, False: 0.08}  # of its second differences
_SHAPE = 0.06  # relative error of scatter in a group of channels, beside that of counts
_LINES_PART, _LINES_ERROR = 0.3, 0.1  # most of a group that may be lines, and their relative error
# Relative error of a family's excitation for each unit of ln(energy) above: there few counts are scattered,
# and the anode's K lines stand against its continuum as the tube's model has them (other code's tube:
# silver's K lines 11 % fewer, molybdenum's 4 % more).
_HARD_KEV, _HARD_ERROR = 15.0, 0.2
# Atoms of condensed matter do not scatter one by one: neighbours take away from what turns by little, and
# add where they stand in step. Oxides as their crystals do; of what holds no oxygen nothing tells, but an
# error of ln(measured over expected scatter), one standard deviation at each step of the momentum transfer q,
# 1/Å: up to 3, and how it falls above. Rh L of sulphur lies 0.5 below free atoms, of metals 1.6 to 1.9.
_TRANSFERS = np.arange(1.0, 10.0)
_TOGETHER = 0.25 * np.exp(-np.maximum(_TRANSFERS - 3.0, 0.0) / 1.4)
_ANGLE_ERROR_DEG = 6.0  # of the angle that a Compton peak tells: nearer ones are the instrument's
_ROBUST, _ROUNDS = 2.0, 12
_LEAST_GROUPS, _LEAST_COUNTS = 12, 20.0


@dataclass(frozen=True, eq=False)
class FittedOptic:
    """A lens' transmission as the scattered background tells it."""

    optic: OpticTransmission  # its transmission
    knots_kev: Floats  # (K,) where it was bent
    covariance: Floats  # (K, K) of ln(transmission) at the knots
    # Family → (K,) what the source around each knot makes of its counts, of a sum of 1
    shares: Mapping[str, Floats]
    scatter_ratio: float  # measured over expected scatter, both over the lines' counts
    # misfit, groups: what the fit of the scattered background leaves: a sum of squares over that many groups
    # of channels, that of what bends the lens included
    misfit: float
    groups: int

    def covariance_of(self, families: Sequence[str]) -> Floats:
        """Return what the errors of the transmitted spectrum leave in ln of the families' counts, (F, F)."""
        nothing = np.zeros(self.knots_kev.size)
        shares = np.array([self.shares.get(family, nothing) for family in families])
        hard = shares @ np.log(np.maximum(self.knots_kev / _HARD_KEV, 1.0))
        return np.asarray(shares @ self.covariance @ shares.T + np.diag((_HARD_ERROR * hard) ** 2))


def fit_optic_to_scatter(
    instrument: Instrument,
    fractions: Mapping[str, float],
    part: CalibratedMap,
    scale: float,
    unexplained: Sequence[str] = (),
    bent: OpticTransmission | None = None,
) -> FittedOptic | None:
    """Return the transmission that brings expected scatter to the measured one; None where too little shows.

    Parameters
    ----------
    instrument
        A tube, with the lens as it is taken.
    fractions
        Element → weight fraction of the sample.
    part
        Its spectrum.
    scale
        Measured over expected counts of lines.
    unexplained
        Families that the spectrum shows and the composition does not hold.
    bent
        The lens as an earlier round found it, with which the lines are expected; the prior is still the
        instrument's.
    """
    whole = sum(fractions.values())
    material = Material("sample", {e: value / whole for e, value in fractions.items() if value > 0}, 1.0)
    before, highest = instrument.optic, float(instrument.source.highest_kev)
    knots = np.geomspace(_FROM_KEV, highest, max(4, round(math.log(highest / _FROM_KEV) / _KNOT_STEP) + 1))
    expected = expect_spectrum(material, replace(instrument, optic=bent or before))
    lines = scale * (expected.counts - expected.scatter)
    seen, stated = part.setting.scatter_deg, instrument.scatter_deg
    turned = abs(seen - stated) > _ANGLE_ERROR_DEG
    condensed = _Condensed(fractions, seen if turned else stated)
    shared = share_source(
        sample_layers(material, structure="amorphous"), instrument, tuple(knots), condensed.factor
    )
    shares = scale * shared.scatter
    # Up to the source's end, however few counts: what excites K lines near it shows nowhere else.
    setting = replace(part.setting, high=min(highest, float(part.energy.energies[-1])))
    groups = _scatter_groups(part, setting, lines, shares.sum(axis=0), unexplained)
    if groups is None:
        return None
    starts, used = groups
    measured, of_lines = (
        np.add.reduceat(v[setting.fitted], starts)[used] for v in (part.sum_spectrum, lines)
    )
    parts = np.add.reduceat(shares[:, setting.fitted], starts, axis=1)[:, used]
    at = part.energy.energies[setting.fitted][starts][used]
    together = condensed.departures(at)
    logs, covariance, misfit = _solved(measured, of_lines, parts, before is not None, together)
    fine = np.unique(np.concatenate([knots, before.energies_kev if before else knots]))
    fine = fine[(fine >= knots[0]) & (fine <= highest)]
    bend = np.exp(logs) @ shares_at(fine, tuple(knots))
    old = before.at(fine) if before else np.ones(fine.size)
    scattered = np.exp(logs) @ parts
    ratio = float((measured - of_lines).clip(0).sum() / max(parts.sum(), 1e-300))
    bend /= max(float(scattered.sum() / max(parts.sum(), 1e-300)), 1e-300)
    optic = OpticTransmission(tuple(fine), tuple(np.maximum(old * bend, 1e-9)))
    families = {family: made / max(made.sum(), 1e-300) for family, made in shared.families.items()}
    return FittedOptic(optic, knots, covariance, families, ratio, misfit, len(measured))


def _scatter_groups(
    part: CalibratedMap, setting: Setting, lines: Floats, scatter: Floats, unexplained: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]] | None:
    """Return the first channels of groups, and which of them show scatter.

    By what is expected: groups picked by what they count would count too much on the average.
    """
    starts, inside = channel_groups(setting), setting.fitted
    at = part.energy.energies[inside][starts]
    counts, lines, scatter = (np.add.reduceat(v[inside], starts) for v in (part.sum_spectrum, lines, scatter))
    shown = at > _SHOWN_FROM_KEV
    for family in unexplained:
        if line := main_line(*split_family(family)):
            shown &= np.abs(at - line.energy) > float(setting.detector.fwhm(line.energy))
    clear = shown & (lines < _LINES_PART * counts) & (counts > _LEAST_COUNTS)
    if clear.sum() < _LEAST_GROUPS:
        return None
    scatter = scatter * (counts - lines)[clear].sum() / max(scatter[clear].sum(), 1e-300)
    free = shown & (lines < _LINES_PART * (lines + scatter))
    return (starts, free) if free.sum() >= _LEAST_GROUPS else None


@dataclass(frozen=True, eq=False)
class _Condensed:
    """How neighbouring atoms change a sample's coherent scattering."""

    fractions: Mapping[str, float]  # element → weight fraction
    scatter_deg: float  # by which photons turn

    def factor(self, energies_kev: Floats) -> Floats:
        """Return the scattering over that of single atoms; 1 of what holds no oxygen, which nothing tells."""
        return self._of_oxides(energies_kev)[0] if self._is_oxide else np.ones_like(energies_kev)

    def departures(self, energies_kev: Floats) -> Floats:
        """Return by what the sample may depart from it, (J, G), relative: one standard deviation each."""
        if self._is_oxide:
            return self._of_oxides(energies_kev)[1]
        transfer = 4 * math.pi * self._transfers(energies_kev)
        return np.array([np.interp(transfer, _TRANSFERS, row) for row in np.diag(_TOGETHER)])

    @property
    def _is_oxide(self) -> bool:
        return usual_structure(self.fractions) == "oxide"

    def _of_oxides(self, energies_kev: Floats) -> tuple[Floats, Floats]:
        return oxide_factor(self.fractions, self._transfers(energies_kev))

    def _transfers(self, energies_kev: Floats) -> Floats:
        return np.asarray(energies_kev / HC_KEV_ANGSTROM * math.sin(math.radians(self.scatter_deg) / 2))


def _solved(
    measured: Floats, lines: Floats, parts: Floats, lens: bool, together: Floats
) -> tuple[Floats, Floats, float]:
    """Return ln of the factors of parts, their covariance, and the misfit; robust against stray peaks.

    The covariance holds what the factors take up of scatter that is off by any of ``together``.
    """
    number = len(parts)
    centred = (np.eye(number) - 1 / number) / _LOOSE[lens]
    prior = np.concatenate([centred, np.diff(np.eye(number), 2, axis=0) / _BENT[lens]])
    logs = np.full(number, math.log(max((measured - lines).sum(), 1.0) / parts.sum()))
    inverse, follows, left = np.eye(number), np.zeros((number, 1)), 0.0
    for _ in range(_ROUNDS):
        made = np.exp(logs) @ parts
        error = np.sqrt(made + lines + (_LINES_ERROR * lines) ** 2 + (_SHAPE * made) ** 2 + 1e-9)
        misfit = (measured - lines - made) / error
        weight = np.sqrt(np.minimum(1.0, _ROBUST / np.maximum(np.abs(misfit), 1e-9)))
        slopes = (np.exp(logs)[:, None] * parts / error).T * weight[:, None]
        system = np.concatenate([slopes, prior])
        step = np.linalg.lstsq(system, np.concatenate([misfit * weight, -prior @ logs]), rcond=None)[0]
        logs = logs + np.clip(step, -1.0, 1.0)
        inverse = np.linalg.pinv(system.T @ system)
        follows = inverse @ (slopes.T @ (made / error * weight * together).T)
        left = float((weight * misfit) @ (weight * misfit) + (prior @ logs) @ (prior @ logs))
    return logs, inverse + follows @ follows.T, left
