"""The report of a mineral map, or of all that a map holds: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import math
import platform
from collections.abc import Sequence
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
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, LabelMap, members_of
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.version import VERSION
from napari_xrf.io.atomic_write import write_text
from napari_xrf.minerals.class_spectra import ClassSpectrum, draw_spectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.labels.cleanup import CleanUpStep, changes
from napari_xrf.minerals.labels.grains import association, grain_statistics, liberation, porosity
from napari_xrf.minerals.labels.modal_table import modal_table
from napari_xrf.minerals.labels.picture import draw_label_map
from napari_xrf.reference.formulas import mass_fractions

if TYPE_CHECKING:
    from napari_xrf.minerals.phases.discovery import Phases
    from napari_xrf.minerals.report.survey import Survey

_TILE = 260  # CSS pixels of an element map
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
    _write(path, cube, title=f"Mineral map of {cube.name}", minerals=shown, survey=None, made_by=made_by)


def write_survey_report(path: str | Path, survey: Survey, made_by: str = "") -> None:
    """Write everything that a survey of a map found as one HTML file.

    Raises FileError when the file cannot be written.
    """
    cube = survey.known.cube
    shown = None
    if survey.classification is not None:
        shown = _minerals(survey.classification, survey.labels, survey.steps)
    _write(
        path, cube, title=f"Report on {cube.name}", minerals=shown, survey=_survey(survey), made_by=made_by
    )


def _write(path: str | Path, cube: SpectralCube, **shown: Any) -> None:
    from jinja2 import Environment, StrictUndefined

    template = (files("napari_xrf.minerals.report") / "page.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    text = page.from_string(template).render(
        cube=cube, provenance=_provenance(cube), version=VERSION, tile=_TILE, **shown
    )
    write_text(Path(path), text)


def _minerals(
    classification: Classification, label_map: LabelMap | None, steps: Sequence[CleanUpStep]
) -> dict[str, Any]:
    """Return what the page shows of a mineral map."""
    labels = classification.label_map if label_map is None else label_map
    rows = sorted(modal_table(labels, classification.abundances_of(labels)), key=lambda row: -row.pixels)
    grains = sorted(
        (row for row in grain_statistics(labels) if row.grains), key=lambda row: -(row.weighted_diameter or 0)
    )
    before = classification.label_map
    changed = int((before.labels != labels.labels).sum())
    touching = association(labels)
    sure = labels.confidence
    method = classification.method
    return {
        "picture": _base64(draw_label_map(labels)),
        "rows": [row for row in rows if row.pixels or row.name == UNKNOWN_NAME],
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
        "facts": _facts(classification),
    }


def _survey(survey: Survey) -> dict[str, Any]:
    """Return what the page shows of a survey beside its mineral map."""
    known, quantities, phases = survey.known, survey.quantities, survey.phases
    energies, pixels = known.energy.energies, int(np.prod(known.cube.map_shape))
    counts = np.asarray(known.sum_spectrum, dtype=np.float64) / pixels / known.energy.width
    whole = ClassSpectrum(0, "whole map", pixels, energies, counts, None)
    names = [each.element for each in survey.elements]
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
        "spectrum": draw_spectrum(whole, names, "#8899aa") if counts.any() else "",
        "maps": [(family, _base64(map_png(values))) for family, values in maps.items()],
        "oxygen": "" if quantities is None else quantities.oxygen,
        "quantities": [
            (
                each.element,
                each.oxide,
                each.family,
                *(_percent(value) for value in (each.weight_fraction, each.standard_error)),
                *(_percent(value) for value in (each.detection_limit, each.oxide_fraction)),
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
        ],
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
        near = phase.nearest[0] if phase.nearest else None
        misfit = "" if near is None else f"{100 * near.misfit:.1f}"
        nearest = "" if near is None else near.name
        rows.append((phase.name, told or ", ".join(phase.elements), nearest, phase.pixels, misfit))
    return {
        "reason": phases.reason,
        "picture": _base64(draw_label_map(phases.label_map)),
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
    return "" if value is None or not math.isfinite(value) else f"{value:.3g}"


def _percent(fraction: float) -> str:
    return _digits(100 * fraction)


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
        entry = by_label[spectrum.label]
        drawn.append((spectrum, draw_spectrum(spectrum, _elements(entry), entry.color)))
    return drawn


def _elements(entry: LabelClass) -> set[str]:
    elements: set[str] = set()
    for formula in members_of(entry.formula):
        try:
            elements |= set(mass_fractions(formula)) if formula else set()
        except InvalidInput:
            continue  # a formula for people only
    return elements


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
