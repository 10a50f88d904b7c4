"""The composition of a map from its modes and the minerals' formulas, beside that of its sum spectrum."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, members_of
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.minerals.labels.modal_table import ModalRow
from napari_xrf.reference.formulas import mass_fractions

_APART = 3.0  # standard errors from which a difference is told
_RELATIVE = 0.2  # and of the larger value: minerals are no pure formulas
_LEAST = 0.5  # weight percent below which a trace may be in any mineral


@dataclass(frozen=True)
class BulkRow:
    """One element by two ways."""

    element: str  # its symbol
    modes_percent: float  # weight percent from modes times formulas
    modes_error: float  # its standard error, from those of the modes
    # spectrum_percent, spectrum_error: weight percent of the sum spectrum; None where it was not quantified
    spectrum_percent: float | None
    spectrum_error: float | None
    note: str = ""  # what a difference that is not chance means, or empty


def bulk_composition(rows: Sequence[ModalRow], quantities: Quantities | None = None) -> tuple[BulkRow, ...]:
    """Return the elements by falling weight percent, from modes and from the sum spectrum.

    Classes without density or formula, the unknown, are left out and the rest taken for the whole. The sum
    spectrum is quantified as if the map were one homogeneous piece, so that the two need not agree to a
    percent: a coarse rock's light minerals shield less than a mixture would.
    """
    parts = [(row, *_composition(row)) for row in rows if row.weight_percent]
    parts = [part for part in parts if part[1]]
    whole = math.fsum(row.weight_percent or 0.0 for row, _, _ in parts)
    percent: dict[str, float] = {}
    variance: dict[str, float] = {}
    for row, contents, spreads in parts:
        weight = (row.weight_percent or 0.0) / whole
        relative = math.hypot(row.naming_error or 0.0, row.sampling_error or 0.0) / max(
            row.area_percent or 0.0, 1e-9
        )
        for element, share in contents.items():
            percent[element] = percent.get(element, 0.0) + 100 * weight * share
            spread = math.hypot(share * relative, spreads[element])
            variance[element] = variance.get(element, 0.0) + (100 * weight * spread) ** 2
    found = {} if quantities is None else {entry.element: entry for entry in quantities.entries}
    lines = []
    for element in sorted({*percent, *found}, key=lambda name: -percent.get(name, 0.0)):
        modes, error = percent.get(element, 0.0), math.sqrt(variance.get(element, 0.0))
        entry = found.get(element)
        if entry is None:
            lines.append(BulkRow(element, modes, error, None, None))
            continue
        seen, seen_error = 100 * entry.weight_fraction, 100 * entry.standard_error
        # Where no mineral is named, there is nothing to disagree with.
        note = _note(modes, error, seen, seen_error) if parts else ""
        lines.append(BulkRow(element, modes, error, seen, seen_error, note))
    return tuple(lines)


def _composition(entry: ModalRow | LabelClass) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mass fractions of a class, and their spread: a group may be any of its members."""
    compositions = []
    for formula in members_of(entry.formula):
        try:
            compositions.append(mass_fractions(formula))
        except InvalidInput:
            continue  # a formula for people only
    held = {
        element: [each.get(element, 0.0) for each in compositions]
        for element in {element for each in compositions for element in each}
    }
    means = {element: statistics.fmean(shares) for element, shares in held.items()}
    return means, {element: statistics.pstdev(shares) for element, shares in held.items()}


def _note(modes: float, error: float, seen: float, seen_error: float) -> str:
    apart = abs(modes - seen)
    if max(modes, seen) < _LEAST or apart < max(
        _APART * math.hypot(error, seen_error if math.isfinite(seen_error) else 0.0),
        _RELATIVE * max(modes, seen),
    ):
        return ""
    return (
        "more in the spectrum: a mineral, or an element in the named ones, is missing"
        if seen > modes
        else "less in the spectrum: a mineral has less of it than its formula, or is named wrongly"
    )
