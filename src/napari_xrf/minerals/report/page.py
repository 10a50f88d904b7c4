"""The report of a mineral map, or of all that a map holds: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.display import map_png
from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap, members_of
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.version import VERSION
from napari_xrf.io.atomic_write import write_text
from napari_xrf.minerals.class_spectra import ClassSpectrum, draw_spectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.labels.cleanup import CleanUpStep, changes
from napari_xrf.minerals.labels.grains import association, grain_statistics, liberation, porosity
from napari_xrf.minerals.labels.modal_table import held_rows, modal_table
from napari_xrf.minerals.labels.picture import draw_label_map
from napari_xrf.minerals.method_choice import COLUMNS
from napari_xrf.reference.formulas import mass_fractions

if TYPE_CHECKING:
    from napari_xrf.maps.quantification.quantities import Quantity
    from napari_xrf.minerals.phases.discovery import Phases
    from napari_xrf.minerals.report.survey import Survey

_TILE = 260  # CSS pixels of an element map
_LEAST_SHOWN = 0.0001  # of any number
_MOST_NEIGHBOURS = 30  # classes in the table of what touches what

_LIKELIHOOD = (
    "Each pixel has the mineral under which its counts are most likely; the amounts of lines and of "
    "continuum are free, compositions may lie anywhere in the mineral's range. Minerals that the counts "
    "of this map cannot tell apart stand together as one class. A pixel whose spectrum no mineral "
    "explains, or that fits none with a probability of at least one half, is unknown."
)
_NETWORK = (
    "Each pixel has the class that the network {} finds the most probable; below one half it is unknown. "
    "Minerals that the network was taught as one stand together as one class."
)
_PHASES = (
    "Phases are spectra that the map is made of, found in its counts without a library: each pixel is one of "
    "them, or a mixture of those around it, and has the one that takes most of its area. A pixel that no "
    "mixture explains is unknown. Elements and nearest minerals are told of each phase's mean spectrum; a "
    "near mineral is a hint and no name."
)


def write_report(
    path: str | Path,
    cube: SpectralCube,
    classification: Classification,
    label_map: LabelMap | None = None,
    *,
    steps: Sequence[CleanUpStep] = (),
    made_by: str = "",
) -> None:
    """Write map, tables, spectra, grains, method, provenance and warnings as one HTML file.

    Parameters
    ----------
    path
        Where to.
    cube
        The map that was classified.
    classification
        Its result.
    label_map
        The labels to show when they were cleaned up; by default the classification's own.
    steps
        Of the clean-up.
    made_by
        The command and its options.
    """
    shown = _minerals(classification, label_map, steps)
    _write(path, cube, title=f"Mineral map of {_named(cube)}", minerals=shown, survey=None, made_by=made_by)


def write_survey_report(path: str | Path, survey: Survey, made_by: str = "") -> None:
    """Write everything that a survey of a map found as one HTML file.

    Raises FileError when the file cannot be written.
    """
    cube = survey.known.cube
    shown = None
    if survey.classification is not None:
        shown = _minerals(survey.classification, survey.labels, survey.steps)
    _write(
        path, cube, title=f"Report on {_named(cube)}", minerals=shown, survey=_survey(survey), made_by=made_by
    )


def _write(path: str | Path, cube: SpectralCube, **shown: Any) -> None:
    from jinja2 import Environment, StrictUndefined

    template = (files("napari_xrf.minerals.report") / "page.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    text = page.from_string(template).render(
        cube=cube,
        several=not cube.is_one_spectrum,
        provenance=_provenance(cube),
        version=VERSION,
        tile=_TILE,
        digits=_digits,
        **shown,
    )
    write_text(Path(path), text)


def _minerals(
    classification: Classification, label_map: LabelMap | None, steps: Sequence[CleanUpStep]
) -> dict[str, Any]:
    """Return what the page shows of a mineral map."""
    labels = classification.label_map if label_map is None else label_map
    abundances = classification.abundances_of(labels)
    rows = modal_table(labels, abundances)
    grains = sorted(
        (row for row in grain_statistics(labels) if row.grains), key=lambda row: -(row.weighted_diameter or 0)
    )
    before = classification.label_map
    changed = int((before.labels != labels.labels).sum())
    touching = association(labels)
    sure = labels.confidence
    method = classification.method
    return {
        "picture": _base64(draw_label_map(labels, rows)),
        "mixed": abundances is not None,
        "rows": held_rows(rows),
        "porosity": porosity(labels),
        "confidence": None if sure is None else ("black 0, white 1", _base64(_grey_png(sure))),
        "steps": ", ".join(map(str, steps)),
        "changed": changed,
        "changes": [
            (each.name, f"{each.before:.2f}", f"{each.after:.2f}", each.gained, each.lost)
            for each in changes(before, labels)
        ]
        if changed
        else [],
        "unit": grains[0].unit if grains else "pixels",
        "grains": [
            (
                row.name,
                row.grains,
                *(_digits(value) for value in (row.median_diameter, row.weighted_diameter)),
                *(_digits(value) for value in (row.largest_diameter, row.aspect)),
                row.edge_grains,
            )
            for row in grains
        ],
        "neighbours": touching.names,
        "association": [
            (name, *(f"{value:.1f}" if value else "" for value in row))
            for name, row in zip(touching.names, touching.percent, strict=True)
        ]
        if len(touching.names) <= _MOST_NEIGHBOURS
        else [],
        "liberation": [
            (row.name, *(f"{value:.1f}" for value in astuple(row)[1:])) for row in liberation(labels)
        ],
        "charts": _charts(classification),
        "method": {"likelihood": _LIKELIHOOD, "phases": _PHASES}.get(method) or _NETWORK.format(method),
        "choice": classification.choice,
        "choice_columns": [name.replace("_", " ") for name in COLUMNS],
        "facts": _facts(classification),
    }


def _survey(survey: Survey) -> dict[str, Any]:
    """Return what the page shows of a survey beside its mineral map."""
    known, quantities, phases = survey.known, survey.quantities, survey.phases
    pixels = int(np.prod(known.cube.map_shape))
    counts = np.asarray(known.sum_spectrum, dtype=np.float64) / pixels
    whole = ClassSpectrum(0, "whole map", pixels, known.energy, counts)
    lines = _main_lines((each.families[0] for each in survey.elements), known.energy)
    maps = {} if survey.maps is None else dict(survey.maps.items())
    entries = () if quantities is None else quantities.entries
    return {
        "unknown": survey.unknown,
        "elements": [
            (
                each.element,
                ", ".join(each.families),
                f"{each.net_counts:.0f}",
                f"{each.standard_error:.0f}",
                f"{each.probability:.3f}",
            )
            for each in survey.elements
        ],
        "spectrum": draw_spectrum(whole, lines, "#8899aa") if counts.any() else "",
        "maps": [(family, _base64(map_png(values))) for family, values in maps.items()],
        "oxygen": "" if quantities is None else quantities.oxygen,
        "quantities": [
            (
                each.element,
                each.oxide,
                each.family,
                _digits(100 * each.weight_fraction)
                if _is_seen(each)
                else f"< {_digits(100 * each.detection_limit)}",
                _digits(100 * each.standard_error),
                _digits(100 * each.detection_limit),
                _digits(100 * each.oxide_fraction) if _is_seen(each) else "",
            )
            for each in sorted(entries, key=lambda each: -each.weight_fraction)
        ],
        "bulk": [
            (
                row.element,
                *(_digits(value) for value in (row.modes_percent, row.modes_error)),
                *(_digits(value) for value in (row.spectrum_percent, row.spectrum_error)),
                row.note,
            )
            for row in survey.bulk
        ]
        if any(row.modes_percent for row in survey.bulk)
        else [],
        "phases": None if phases is None else _phases(phases),
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                *(f"{name} {version(name)}" for name in ("numpy", "scipy")),
            ]
        ),
    }


def _phases(phases: Phases) -> dict[str, Any]:
    rows = []
    for phase in phases.phases:
        entries = () if phase.quantities is None else phase.quantities.entries
        heavy = sorted(entries, key=lambda each: -each.weight_fraction)
        told = ", ".join(f"{each.element} {100 * each.weight_fraction:.3g}" for each in heavy)
        misfit = f"{100 * phase.nearest[0].misfit:.1f}" if phase.nearest else ""
        nearest = phase.near[0].name if phase.near else "none near"
        rows.append((phase.name, told or ", ".join(phase.elements), nearest, phase.pixels, misfit))
    areas = modal_table(phases.label_map, phases.classification.abundances)
    return {
        "reason": phases.reason,
        "picture": _base64(draw_label_map(phases.label_map, areas)),
        "rows": rows,
        "charts": _charts(phases.classification),
    }


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")


def _grey_png(values: NDArray[np.floating[Any]]) -> bytes:
    from matplotlib.image import imsave

    target = BytesIO()
    imsave(target, values, vmin=0.0, vmax=1.0, cmap="gray", format="png")
    return target.getvalue()


def _digits(value: float | None) -> str:
    """Return a number as people write it: three digits, no powers of ten."""
    if value is None or not math.isfinite(value):
        return ""
    if 0 < abs(value) < _LEAST_SHOWN:
        return f"< {_LEAST_SHOWN:g}"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return np.format_float_positional(value, precision=3, unique=False, fractional=False, trim="-")


def _is_seen(entry: Quantity) -> bool:
    """Whether there is more of an element than what would not be seen, where that is known."""
    return not entry.weight_fraction < entry.detection_limit


def _facts(classification: Classification) -> list[str]:
    low, high = classification.energy_range
    facts = [
        f"median counts per pixel from {low:.2f} to {high:.2f} keV: {classification.counts_per_pixel:.0f}",
        *classification.notes,
    ]
    if classification.minerals:
        facts.append(f"looked for: {', '.join(classification.minerals)}")
    return facts + [f"cannot be told apart here: {', '.join(group)}" for group in classification.groups]


def _charts(classification: Classification) -> list[tuple[ClassSpectrum, str]]:
    by_label = {entry.label: entry for entry in classification.label_map.classes}
    drawn = []
    for spectrum in classification.spectra:
        if not np.any(spectrum.counts):
            continue
        entry = by_label[spectrum.label]
        families = (f"{element} {shell}" for element in _elements(entry) for shell in "LK")
        lines = _main_lines(families, spectrum.energy)
        drawn.append((spectrum, draw_spectrum(spectrum, lines, entry.color)))
    return drawn


def _main_lines(families: Iterable[str], axis: EnergyAxis) -> dict[str, float]:
    """Return symbol → energy, keV, of the main line of its last family that has one on the axis."""
    found = ((family.split()[0], main_line(*split_family(family))) for family in families)
    top = axis.energies[-1]
    return {element: line.energy for element, line in found if line is not None and line.energy < top}


def _elements(entry: LabelClass) -> set[str]:
    elements: set[str] = set()
    for formula in members_of(entry.formula):
        try:
            elements |= set(mass_fractions(formula)) if formula else set()
        except InvalidInput:
            continue  # a formula for people only
    return elements


def _named(cube: SpectralCube) -> str:
    """Return the name of a map, and that of its file where it is another."""
    file = "" if cube.provenance.path is None else Path(cube.provenance.path).stem
    return cube.name if file in ("", cube.name) else f"{cube.name} ({file})"


def _provenance(cube: SpectralCube) -> list[str]:
    rows, columns, channels = cube.shape
    size = cube.pixel_size
    facts = [
        f"file: {cube.provenance.path or 'none, made in memory'}",
        f"layout: {cube.provenance.layout or 'none'}",
        f"{rows} × {columns} pixels, {channels} channels of {cube.energy.width * 1000:.4g} eV "
        f"from {cube.energy.offset:.4g} keV",
    ]
    known = {
        "pixel size": None if size is None else f"{size[0]:.4g} × {size[1]:.4g} µm (y × x)",
        "detectors": ", ".join(cube.provenance.detectors) or None,
        "excitation": cube.excitation.kind,
        "energy or voltage, keV or kV": cube.excitation.energy_kev,
        "anode": cube.excitation.anode,
        "atmosphere": cube.excitation.atmosphere,
        "instrument": cube.excitation.instrument,
    }
    return facts + [f"{name}: {value}" for name, value in known.items() if value is not None]
