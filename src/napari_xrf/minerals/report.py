"""The report of a mineral map: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path

from napari_xrf import __version__
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, LabelMap, members_of
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import replacing
from napari_xrf.minerals.class_spectra import ClassSpectrum, draw_spectrum
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.grains import grain_statistics
from napari_xrf.minerals.label_picture import draw_label_map
from napari_xrf.minerals.modal_table import modal_table
from napari_xrf.reference.formulas import mass_fractions

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
) -> None:
    """Write map, table, spectra, grain sizes, method, provenance and warnings as one HTML file.

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

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    labels = classification.label_map if label_map is None else label_map
    rows = sorted(modal_table(labels, classification.abundances_of(labels)), key=lambda row: -row.pixels)
    grains = [row for row in grain_statistics(labels) if row.grains]
    template = (files("napari_xrf.minerals") / "report.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    method = classification.method
    text = page.from_string(template).render(
        cube=cube,
        picture=base64.b64encode(draw_label_map(labels)).decode("ascii"),
        rows=[row for row in rows if row.pixels or row.name == UNKNOWN_NAME],
        changed=int((classification.label_map.labels != labels.labels).sum()),
        method={"likelihood": _LIKELIHOOD, "phases": _PHASES}.get(method) or _NETWORK.format(method),
        facts=_facts(classification),
        grains=sorted(grains, key=lambda row: -(row.weighted_diameter or 0)),
        unit=grains[0].unit if grains else "pixels",
        charts=_charts(classification),
        provenance=_provenance(cube),
        version=__version__,
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
