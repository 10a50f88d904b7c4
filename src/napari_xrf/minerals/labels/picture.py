"""A picture of a label map with legend and scale bar."""

import math
import textwrap
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from napari_xrf.core.display import colored_labels
from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.io.atomic_write import replacing
from napari_xrf.minerals.labels.modal_table import ModalRow, held_rows, modal_table

SMALLEST_SIDE = 700  # the longer side of the map in pixels of the picture, at least
LARGEST_SIDE = 2400
_DPI = 100
_MARGIN = 24  # pixels of the picture
_LETTERS = 38  # of a legend's line
_INK = "#141414"
_JOINED = "\N{NO-BREAK SPACE}"


def draw_label_map(label_map: LabelMap, rows: Iterable[ModalRow] | None = None) -> bytes:
    """Return a picture as PNG: the map, a scale bar below it, and a legend with area percentages.

    ``rows``: its modal table, where that is known; otherwise that of whole pixels.
    Small maps are enlarged by whole factors; pixels that are not square keep their true proportions.
    Pixels not measured are black. Without a pixel size the bar is in pixels.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    height, width = _picture_size(label_map)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    colors = {entry.label: entry.color for entry in label_map.classes}
    axes.imshow(colored_labels(label_map.labels, colors), aspect="auto", interpolation="nearest")
    classes = [
        Patch(facecolor=color, edgecolor=_INK, label=textwrap.fill(text, _LETTERS))
        for color, text in _legend(label_map, modal_table(label_map) if rows is None else rows)
    ]
    corner = (1 + _MARGIN / width, 1)
    legend = axes.legend(
        handles=classes, loc="upper left", bbox_to_anchor=corner, borderaxespad=0, frameon=False
    )
    length, text = _scale_bar(label_map)
    below = -_MARGIN / height
    axes.plot(
        [0, length], [below, below], transform=axes.transAxes, clip_on=False, color=_INK, linewidth=6,
        solid_capstyle="butt",
    )  # fmt: skip
    axes.text(0, 1.5 * below, text, transform=axes.transAxes, va="top", color=_INK)
    for written in legend.get_texts():
        written.set_parse_math(False)  # names may hold a dollar
    target = BytesIO()
    figure.savefig(
        target, format="png", bbox_inches="tight", pad_inches=_MARGIN / _DPI, metadata={"Software": None}
    )
    return target.getvalue()


def write_label_picture(
    path: str | Path, label_map: LabelMap, rows: Iterable[ModalRow] | None = None
) -> None:
    """Write the picture of :func:`draw_label_map`."""
    with replacing(path) as temporary:
        temporary.write_bytes(draw_label_map(label_map, rows))


def round_length(longest: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20 … that is not longer than ``longest``."""
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9))


def _picture_size(label_map: LabelMap) -> tuple[int, int]:
    """Return height and width of the map in the picture, in its pixels."""
    tall, wide = label_map.pixel_size or (1.0, 1.0)
    rows, columns = (
        count * side / min(tall, wide)
        for count, side in zip(label_map.labels.shape, (tall, wide), strict=True)
    )
    longer = max(rows, columns)
    factor = float(math.ceil(SMALLEST_SIDE / longer)) if longer < SMALLEST_SIDE else 1.0
    factor = min(factor, LARGEST_SIDE / longer)
    return max(1, round(rows * factor)), max(1, round(columns * factor))


def _legend(label_map: LabelMap, rows: Iterable[ModalRow]) -> list[tuple[str, str]]:
    """Return colour and text of each class that occurs, the largest first."""
    entries = []
    for row in held_rows(rows):
        share = row.area_percent or 0.0
        told = f"{share:.1f}" if share >= 0.1 else "< 0.1"
        entries.append((row.color, f"{row.name} {told} %".replace(" %", _JOINED + "%")))
    gaps = bool((label_map.labels == NOT_MEASURED).any())
    return [*entries, ("#000000", "not measured")] if gaps else entries


def _scale_bar(label_map: LabelMap) -> tuple[float, str]:
    """Return the part of the map's width that the scale bar takes, and its length in words."""
    columns, size = label_map.labels.shape[1], label_map.pixel_size
    whole = columns * size[1] if size is not None else float(columns)
    length = round_length(whole / 3) if columns >= 3 or size is not None else whole
    if size is None:
        return length / whole, f"{length:g} pixels"
    return length / whole, f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"
