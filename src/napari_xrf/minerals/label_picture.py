"""A picture of a label map with legend and scale bar."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.io.atomic_write import replacing
from napari_xrf.minerals.modal_table import ModalRow, modal_table

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

SMALLEST_SIDE = 700  # the longer side of the map in pixels of the picture, at least
LARGEST_SIDE = 2400
_MARGIN = 24
_LEGEND_WIDTH = 430
_TEXT_SIZE = 18
_LINE = 26
_LETTERS = 38  # of a legend's line
_NOT_MEASURED_COLOR = (0, 0, 0)
_INK, _PAPER = (20, 20, 20), (255, 255, 255)
# Lengths that people read at a glance.
_ROUND = (1, 2, 5)


def draw_label_map(label_map: LabelMap) -> NDArray[np.uint8]:
    """Return a picture, (H, W, 3): the map, a scale bar below it, and a legend with area percentages.

    Small maps are enlarged by whole factors; pixels that are not square keep their true proportions.
    Pixels not measured are black. Without a pixel size the bar is in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = _resized(_colored(label_map), label_map.pixel_size)
    rows = [row for row in modal_table(label_map) if row.pixels]
    rows.sort(key=lambda row: -row.pixels)
    legend = _legend_lines(rows, bool((label_map.labels == NOT_MEASURED).any()))
    height, width = picture.shape[:2]
    needed = sum(_LINE * len(text) + 6 for _, text in legend)
    canvas = Image.new(
        "RGB",
        (width + _LEGEND_WIDTH + 3 * _MARGIN, max(height + 3 * _LINE, needed) + 2 * _MARGIN),
        _PAPER,
    )
    canvas.paste(Image.fromarray(picture), (_MARGIN, _MARGIN))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=_TEXT_SIZE)
    _draw_legend(pen, font, legend, width + 2 * _MARGIN)
    _draw_scale_bar(pen, font, label_map, width, _MARGIN + height + 14)
    return np.asarray(canvas, dtype=np.uint8)


def write_label_picture(path: str | Path, label_map: LabelMap) -> None:
    """Write the picture of :func:`draw_label_map` as PNG.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    from PIL import Image

    picture = Image.fromarray(draw_label_map(label_map))
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def color_of(text: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``"#rrggbb"``."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def round_length(longest: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20 … that is not longer than ``longest``."""
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in _ROUND if step * decade <= longest * (1 + 1e-9))


def _colored(label_map: LabelMap) -> NDArray[np.uint8]:
    highest = max([entry.label for entry in label_map.classes], default=0)
    palette = np.zeros((highest + 1, 3), dtype=np.uint8)
    palette[NOT_MEASURED] = _NOT_MEASURED_COLOR
    for entry in label_map.classes:
        palette[entry.label] = color_of(entry.color)
    return palette[label_map.labels]


def _resized(picture: NDArray[np.uint8], pixel_size: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Enlarge or thin the picture by nearest neighbours, each axis by its pixel size."""
    tall, wide = pixel_size if pixel_size is not None else (1.0, 1.0)
    smaller = min(tall, wide)
    rows, columns = picture.shape[0] * tall / smaller, picture.shape[1] * wide / smaller
    longer = max(rows, columns)
    factor = float(math.ceil(SMALLEST_SIDE / longer)) if longer < SMALLEST_SIDE else 1.0
    factor = min(factor, LARGEST_SIDE / longer)
    size = max(1, round(rows * factor)), max(1, round(columns * factor))
    y, x = (
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(np.intp)
        for new, old in zip(size, picture.shape[:2], strict=True)
    )
    return picture[y[:, None], x]


def _legend_lines(rows: list[ModalRow], gaps: bool) -> list[tuple[tuple[int, int, int], list[str]]]:
    lines = [
        (color_of(row.color), textwrap.wrap(f"{row.name}  {_percent(row.area_percent)}", _LETTERS))
        for row in rows
    ]
    return [*lines, (_NOT_MEASURED_COLOR, ["not measured"])] if gaps else lines


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} %" if value >= 0.1 else "< 0.1 %"


def _draw_legend(
    pen: ImageDraw,
    font: FreeTypeFont | ImageFont,
    legend: list[tuple[tuple[int, int, int], list[str]]],
    left: int,
) -> None:
    top = _MARGIN
    for color, texts in legend:
        pen.rectangle((left, top + 3, left + 20, top + 21), fill=color, outline=_INK)
        for text in texts:
            pen.text((left + 32, top), _drawable(text), fill=_INK, font=font)
            top += _LINE
        top += 6


def _draw_scale_bar(
    pen: ImageDraw, font: FreeTypeFont | ImageFont, label_map: LabelMap, width: int, top: int
) -> None:
    columns = label_map.labels.shape[1]
    whole = columns * label_map.pixel_size[1] if label_map.pixel_size is not None else float(columns)
    length = round_length(whole / 3) if columns >= 3 or label_map.pixel_size is not None else whole
    pen.rectangle((_MARGIN, top, _MARGIN + round(width * length / whole), top + 8), fill=_INK)
    text = _length(length, label_map.pixel_size is not None)
    pen.text((_MARGIN, top + 14), _drawable(text), fill=_INK, font=font)


def _length(length: float, micrometres: bool) -> str:
    if not micrometres:
        return f"{length:g} pixels"
    return f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"


def _drawable(text: str) -> str:
    # The font that Pillow carries has neither accents nor Greek letters.
    plain = unicodedata.normalize("NFKD", text.replace("µ", "u"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
