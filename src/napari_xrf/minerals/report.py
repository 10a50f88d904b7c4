"""The report of a mineral map: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_xrf import __version__
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import replacing
from napari_xrf.minerals.classification import Classification
from napari_xrf.minerals.grain_statistics import grain_statistics
from napari_xrf.minerals.label_picture import draw_label_map, write_label_picture
from napari_xrf.minerals.modal_table import ModalRow, modal_table
from napari_xrf.minerals.spectrum_chart import draw_spectrum
from napari_xrf.reference.formulas import mass_fractions

__all__ = ["draw_label_map", "write_label_picture", "write_report"]

_STYLE = """
body{font:15px/1.5 sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}
img{max-width:100%;height:auto}table{border-collapse:collapse;margin:1em 0}
td,th{padding:3px 10px;border-bottom:1px solid #ddd;text-align:right}
td.text,th.text{text-align:left}.swatch{display:inline-block;width:1em;height:1em;border:1px solid #555}
.warning{color:#a00}svg{max-width:760px;width:100%}svg text{font:11px sans-serif;fill:#333}
svg text.mark{font-weight:bold}svg .grid{stroke:#ddd;stroke-width:0.7}
"""
_METHODS = {
    "likelihood": (
        "Each pixel has the mineral under which its counts are most likely; the amounts of lines and of "
        "continuum are free, compositions may lie anywhere in the mineral's range. Minerals that the counts "
        "of this map cannot tell apart stand together as one class. A pixel whose spectrum no mineral "
        "explains, or that fits none with a probability of at least one half, is unknown."
    ),
}
_NETWORK = (
    "Each pixel has the class that the network {} finds the most probable; below one half it is unknown. "
    "Minerals that the network was taught as one stand together as one class."
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
    labels = classification.label_map if label_map is None else label_map
    rows = sorted(modal_table(labels), key=lambda row: -row.pixels)
    body = [
        f"<h1>Mineral map of {_safe(cube.name)}</h1>",
        *(f'<p class="warning">{_safe(warning)}</p>' for warning in cube.provenance.warnings),
        f'<img alt="mineral map" src="data:image/png;base64,{_picture(labels)}">',
        "<h2>Minerals</h2>",
        _modal_html(rows),
        _changed_html(classification, labels),
        "<h2>Method</h2>",
        f"<p>{_safe(_METHODS.get(classification.method) or _NETWORK.format(classification.method))}</p>",
        _list(_facts(classification)),
        "<h2>Grains</h2>",
        _grain_html(labels),
        "<h2>Mean spectra</h2>",
        "<p>Filled: measured; line: what the minerals of the class explain.</p>",
        *_charts(classification),
        "<h2>Measurement</h2>",
        _list(_provenance(cube)),
        f"<p>Made with napari-xrf {_safe(__version__)}.</p>",
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Mineral map of {_safe(cube.name)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _safe(text: object) -> str:
    return html.escape(str(text), quote=True)


def _picture(label_map: LabelMap) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(draw_label_map(label_map)).save(stream, format="PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """HTML of a table whose first ``texts`` columns hold text; cells are HTML already."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=text' if index < texts else ''}>{cell}</{tag}>"
            for index, cell in enumerate(cells)
        )

    lines = [line(head, "th"), *(line(row, "td") for row in rows)]
    return "<table>" + "".join(f"<tr>{cells}</tr>" for cells in lines) + "</table>"


def _modal_html(rows: Sequence[ModalRow]) -> str:
    head = ("", "mineral", "formula", "pixels", "area mm²", "area %", "weight %", "confidence")
    return _table(
        head,
        [
            (
                f'<span class="swatch" style="background:{_safe(row.color)}"></span>',
                _safe(row.name),
                _safe(row.formula),
                str(row.pixels),
                _number(row.area_mm2, ".4g"),
                _number(row.area_percent, ".2f"),
                _number(row.weight_percent, ".2f"),
                _number(row.mean_confidence, ".2f"),
            )
            for row in rows
            if row.pixels or row.name == UNKNOWN_NAME
        ],
        3,
    )


def _grain_html(label_map: LabelMap) -> str:
    rows = [row for row in grain_statistics(label_map) if row.grains]
    unit = rows[0].unit if rows else "pixels"
    head = ("mineral", "grains", f"median {unit}", f"by area {unit}", f"largest {unit}", "cut by the edge")
    return _table(
        head,
        [
            (
                _safe(row.name),
                str(row.grains),
                _number(row.median_diameter, ".3g"),
                _number(row.weighted_diameter, ".3g"),
                _number(row.largest_diameter, ".3g"),
                str(row.edge_grains),
            )
            for row in sorted(rows, key=lambda row: -(row.weighted_diameter or 0))
        ],
        1,
    )


def _changed_html(classification: Classification, label_map: LabelMap) -> str:
    changed = int((classification.label_map.labels != label_map.labels).sum())
    return f"<p>Clean-up changed {changed} pixels.</p>" if changed else ""


def _facts(classification: Classification) -> list[str]:
    low, high = classification.energy_range
    facts = [
        f"median counts per pixel from {low:.2f} to {high:.2f} keV: {classification.counts_per_pixel:.0f}",
        *classification.notes,
        f"looked for: {', '.join(classification.minerals)}",
    ]
    return facts + [f"cannot be told apart here: {', '.join(group)}" for group in classification.groups]


def _charts(classification: Classification) -> list[str]:
    by_label = {entry.label: entry for entry in classification.label_map.classes}
    return [
        f"<h3>{_safe(spectrum.name)} ({spectrum.pixels} pixels)</h3>"
        + draw_spectrum(spectrum, _elements(by_label[spectrum.label]), by_label[spectrum.label].color)
        for spectrum in classification.spectra
    ]


def _elements(entry: LabelClass) -> set[str]:
    elements: set[str] = set()
    for formula in entry.formula.split(" / "):
        try:
            elements |= set(mass_fractions(formula)) if formula else set()
        except InvalidInput:
            continue  # a formula for people only
    return elements


def _provenance(cube: SpectralCube) -> list[str]:
    rows, columns, channels = cube.shape
    facts = [
        f"file: {cube.provenance.path or 'none, made in memory'}",
        f"layout: {cube.provenance.layout or 'none'}",
        f"{rows} × {columns} pixels, {channels} channels of {cube.energy.width * 1000:.4g} eV "
        f"from {cube.energy.offset:.4g} keV",
    ]
    if cube.pixel_size is not None:
        facts.append(f"pixel size: {cube.pixel_size[0]:.4g} × {cube.pixel_size[1]:.4g} µm (y × x)")
    if cube.provenance.detectors:
        facts.append(f"detectors: {', '.join(cube.provenance.detectors)}")
    known = {
        "excitation": cube.excitation.kind,
        "energy or voltage, keV or kV": cube.excitation.energy_kev,
        "anode": cube.excitation.anode,
        "atmosphere": cube.excitation.atmosphere,
        "instrument": cube.excitation.instrument,
    }
    return facts + [f"{name}: {value}" for name, value in known.items() if value is not None]


def _list(entries: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_safe(entry)}</li>" for entry in entries) + "</ul>"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
