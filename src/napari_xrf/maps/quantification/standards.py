"""Samples of known composition, and what they tell of an instrument: factors, the lens, the dose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line, parse_elements, split_family
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.quantification.composition import Recipe, completed, expected_families
from napari_xrf.maps.quantification.fitted_excitation import excitation_of_standard
from napari_xrf.maps.quantification.light_matter import scatter_level
from napari_xrf.maps.quantification.net_counts import NetCounts, region_of
from napari_xrf.maps.quantification.stated_source import told_source
from napari_xrf.maps.quantification.weight_percent import count_sample, exposure_of
from napari_xrf.maps.spectra.families import families_of
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument, OpticTransmission
from napari_xrf.physics.sensitivities import MeasuredStandard, Sensitivities, sensitivities_from
from napari_xrf.physics.source import TubeSource
from napari_xrf.reference.materials import Material
from napari_xrf.reference.oxides import oxygen_per_mass
from napari_xrf.reference.tables import read_table

_KNOTS = 6  # of a lens' transmission, evenly in ln(energy)
_FROM_KEV = 1.5
_LOOSE = 0.5  # of ln(transmission) at a knot, against the shape that was taken before
_BENT = 0.35  # of its second differences
_STEP = 0.1
_LEAST_KNOWN, _LEAST_OF_ALL, _MOST_OF_ALL = 0.5, 0.95, 1.05  # of a standard's weight, in its table
_ROUNDS = 4
_SCATTER_SHOWS = 0.03  # counting error of the scattered background up to which it is taken from a standard
_OTHER_ENERGY = 0.02  # relative difference of the sources' highest energies that is told
# A factor over the median that is told, of so many families; windows and coatings make any of softer lines
_ODD_FACTOR, _LEAST_FACTORS, _SOFT_KEV = 2.5, 3, 1.0
_COUNTED = 0.02  # relative error of a family, counting aside


@dataclass(frozen=True, eq=False)
class Standard:
    """A spectrum or map of known composition: element → weight fraction; oxygen of oxides may be left out."""

    measured: Measured
    composition: Mapping[str, float]


def read_truth_table(path: Path, spectrum: Path) -> dict[str, float]:
    """Return the weight fractions of a standard from columns element and weight_percent.

    Where there is a column ``file``, the rows that name the spectrum's file count; an element at 0 is one
    that the standard does not hold. Raises FileError when the file cannot be read, lacks a column, names no
    element, holds one twice, or a value that is no number from 0 to 100. Raises InvalidInput when it holds no
    weight percents of the spectrum, or they add up to more than all.
    """
    listed: dict[str, float] = {}
    for line, row in read_table(path, ("element", "weight_percent")):
        if row.get("file") not in (None, spectrum.name):
            continue
        said = {name: row[name].strip() for name in ("element", "weight_percent")}
        try:
            (element,) = parse_elements(said["element"])
            percent = float(said["weight_percent"].replace(",", "."))
        except ValueError:
            percent = math.nan
        if not 0 <= percent <= 100:
            told = f"line {line}: cannot read {said['element']!r}, {said['weight_percent']!r}"
            raise FileError(path, told, "Write the symbol of an element and 0 to 100")
        if element in listed:
            raise FileError(path, f"line {line}: {element} is there twice", "Write each element once")
        listed[element] = percent / 100
    found = {element: value for element, value in listed.items() if value > 0}
    if not found:
        raise InvalidInput(
            f"{path} holds no weight percents of {spectrum.name}", "Write 0 to 100 for each element"
        )
    if (total := sum(found.values())) > _MOST_OF_ALL:
        raise InvalidInput(
            f"the weight percents of {spectrum.name} in {path} add up to {100 * total:.0f}",
            "Write weight percent of elements, not of oxides",
        )
    return found


def completed_composition(composition: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return a standard's weight fractions with the oxygen that its table leaves out, and notes.

    A table that lists no oxygen and leaves room for it is that of oxides. What is missing beyond is taken for
    light matter, as oxygen. Raises InvalidInput when most of the sample is not listed: its absorption is not
    known then.
    """
    full, notes = dict(composition), []
    bound = sum(value * oxygen_per_mass(element) for element, value in full.items())
    if "O" not in full and sum(full.values()) < _LEAST_OF_ALL and bound > 0:
        full["O"] = min(bound, _MOST_OF_ALL - sum(full.values()))
        notes.append("the table of a standard lists no oxygen: that of oxides is added")
    if (total := sum(full.values())) < _LEAST_KNOWN:
        raise InvalidInput(
            f"the table of a standard holds {100 * total:.0f} % of it", "Add its main elements"
        )
    if total < _LEAST_OF_ALL:
        full["O"] = full.get("O", 0.0) + 1 - total
        notes.append(f"{100 * (1 - total):.0f} % of a standard is not listed and taken for light matter")
    return full, tuple(notes)


def calibrate_instrument(
    instrument: Instrument,
    standards: Sequence[Standard],
    *,
    fit_optic: bool = False,
    progress: Progress = ignore_progress,
) -> tuple[Instrument, tuple[str, ...]]:
    """Return an instrument with what standards tell of it, and notes for the user.

    Raises InvalidInput when none of a standard's elements has lines that its spectrum can show, most of it is
    not listed, or something else excited it than the instrument says.

    ``instrument``: what measured them, as far as it is known; factors that it has already are left behind.
    ``standards``: of known composition. ``fit_optic``: whether the transmission of the lens is fitted first,
    as a smooth curve: it holds for elements that no standard has. Only X-ray tubes have one.
    """
    completed = [completed_composition(one.composition) for one in standards]
    told = tuple(dict.fromkeys(note for _, notes in completed for note in notes))
    measured = [
        _Measured.of(Standard(one.measured, full), progress)
        for one, (full, _) in zip(standards, completed, strict=True)
    ]
    told += _of_sources(instrument, measured)
    if not isinstance(instrument.source, TubeSource):
        notes = ("there is no lens to fit: the source is no X-ray tube",) if fit_optic else ()
        known = sensitivities_from([one.as_standard(instrument.optic) for one in measured])
        return replace(instrument, sensitivities=known), (*told, *notes, *_of_factors(known))
    brightest = max(measured, key=lambda one: float(one.part.sum_spectrum.sum()))
    optic = brightest.excited_by(instrument.optic, bends=True).optic
    if fit_optic:
        optic = _fitted_optic(replace(instrument, optic=optic), measured)
    known = sensitivities_from([one.as_standard(optic) for one in measured])
    return replace(instrument, optic=optic, sensitivities=known), (*told, *_of_factors(known))


def _of_factors(known: Sensitivities) -> tuple[str, ...]:
    """Say which family counts far more or less than the others do: a table is wrong, or another's peak."""
    lines = [(family, factor, main_line(*split_family(family))) for family, factor, _ in known.factors]
    hard = {family: math.log(factor) for family, factor, line in lines if line and line.energy > _SOFT_KEV}
    if len(hard) < _LEAST_FACTORS:
        return ()
    usual = float(np.median(list(hard.values())))
    family = max(hard, key=lambda one: abs(hard[one] - usual))
    times = math.exp(hard[family] - usual)
    if 1 / _ODD_FACTOR < times < _ODD_FACTOR:
        return ()
    return (
        f"{family} of the standards counts {times:.2g} times what their tables and their other lines make"
        " likely: is the table right?",
    )


def _of_sources(instrument: Instrument, standards: Sequence[_Measured]) -> tuple[str, ...]:
    """Say of standards that were excited otherwise; refuse those of another kind of source."""
    notes, own = [], told_source(instrument)
    for one in standards:
        source, other = one.part.instrument.source, told_source(one.part.instrument)
        if type(source) is not type(instrument.source):
            raise InvalidInput(
                f"the standard {one.part.cube.name} was excited by {other}, the sample by {own}",
                "Take a standard of the same instrument, or state the excitation of both",
            )
        if abs(source.highest_kev / instrument.source.highest_kev - 1) > _OTHER_ENERGY:
            notes.append(
                f"the standard {one.part.cube.name} was excited by {other}, the sample by {own}: factors and"
                " dose hold as far as the model knows the difference"
            )
    return tuple(notes)


@dataclass(frozen=True, eq=False)
class _Measured:
    """A standard with its net counts, and what its own file says of the instrument."""

    part: CalibratedMap
    composition: Mapping[str, float]
    counts: Mapping[str, NetCounts]

    @classmethod
    def of(cls, standard: Standard, progress: Progress) -> _Measured:
        known = calibrate_map(standard.measured, progress=progress).checked()
        part = region_of(known, np.ones(known.cube.map_shape, dtype=bool), known.cube.name)
        setting, instrument = part.setting, replace(part.instrument, sensitivities=Sensitivities())
        shown = (setting.energy, setting.low, setting.high, setting.highest_kev)
        listed = [element for element in standard.composition if families_of(element, *shown)]
        if not set(listed) - {"O"}:
            raise InvalidInput("a standard's spectrum shows no line of its elements", "Check its table")
        # What a table leaves out shows nevertheless, as it does in samples.
        elements = tuple(dict.fromkeys((*listed, *(entry.element for entry in known.elements))))
        counts = count_sample(part, elements, Recipe(instrument=instrument), standard.composition)
        return cls(part, standard.composition, counts)

    def excited_by(self, optic: OpticTransmission | None, *, bends: bool = False) -> Instrument:
        """Return its instrument with a lens, bent to its scatter if asked, and with the air it shows."""
        own = replace(self.part.instrument, optic=optic, sensitivities=Sensitivities())
        return excitation_of_standard(own, self.composition, self.counts, self.part, bends=bends)

    def as_standard(self, optic: OpticTransmission | None) -> MeasuredStandard:
        own = {f: net for f, net in self.counts.items() if split_family(f)[0] in self.composition}
        instrument = self.excited_by(optic)
        material = Material("standard", completed(self.composition, 0.0))
        level, counting = scatter_level(expect_spectrum(material, instrument), self.part)
        return MeasuredStandard(
            {family: net.counts for family, net in own.items()},
            {family: net.error for family, net in own.items()},
            expected_families(self.composition, instrument),
            exposure_of(self.part),
            level if counting < _SCATTER_SHOWS else None,
        )


def _fitted_optic(instrument: Instrument, standards: Sequence[_Measured]) -> OpticTransmission:
    """Return the transmission that brings expected families to measured ones, as smooth as it can be.

    Gauss-Newton on the logarithm of the transmission at a few knots, times the one taken before.
    """
    energies = np.geomspace(_FROM_KEV, instrument.source.highest_kev, _KNOTS)
    before = instrument.optic or OpticTransmission((energies[0], energies[-1]), (1.0, 1.0))
    fine = np.unique(np.concatenate([energies, np.clip(before.energies_kev, energies[0], energies[-1])]))

    def optic_at(logs: NDArray[np.float64]) -> OpticTransmission:
        bend = np.interp(np.log(fine), np.log(energies), logs)
        return OpticTransmission(tuple(fine), tuple(before.at(fine) * np.exp(bend)))

    def misfit(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = []
        for one in standards:
            expected = expected_families(one.composition, one.excited_by(optic_at(logs)))
            seen = [
                f for f, net in one.counts.items() if expected.get(f, 0) > 0 and net.counts > 3 * net.error
            ]
            weights = np.array([1 / np.hypot(one.counts[f].relative_error, _COUNTED) for f in seen])
            logs_of = np.array([np.log(one.counts[f].counts / expected[f]) for f in seen])
            parts.append(weights * (logs_of - np.average(logs_of, weights=weights**2)))
        return np.concatenate([*parts, logs / _LOOSE, np.diff(logs, 2) / _BENT])

    logs = np.zeros(_KNOTS)
    for _ in range(_ROUNDS):
        now = misfit(logs)
        slopes = np.array([(misfit(logs + _STEP * unit) - now) / _STEP for unit in np.eye(_KNOTS)]).T
        logs = logs - np.linalg.lstsq(slopes, now, rcond=None)[0]
    return optic_at(logs)
