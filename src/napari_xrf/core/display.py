"""How nouns show themselves in a notebook: a line, and a picture of it.

Matplotlib is loaded when a picture is drawn.
"""

import base64
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

_WIDTH = 320  # CSS pixels of a picture


def html_of(line: str, *pictures: tuple[str, bytes]) -> str:
    """Return a line of text and pictures below it as HTML.

    ``line``: plain text. ``pictures``: caption and PNG bytes of each.
    """
    from html import escape  # with its names of characters

    shown = "".join(
        f'<figure style="display:inline-block;margin:4px"><img alt="{escape(caption)}" '
        f'style="width:{_WIDTH}px;image-rendering:pixelated" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, png in pictures
    )
    return f"<div>{escape(line)}</div><div>{shown}</div>"


def map_png(values: NDArray[np.generic]) -> bytes:
    """Return a map (Y, X) as a PNG, dark to bright from 0 to its 99.8th percentile."""
    from matplotlib.image import imsave

    shown = np.nan_to_num(np.asarray(values, dtype=np.float64))
    top = float(np.percentile(shown, 99.8)) if shown.size else 0.0
    target = BytesIO()
    imsave(target, shown, vmin=0.0, vmax=top if top > 0 else 1.0, cmap="inferno", format="png")
    return target.getvalue()


def labels_png(labels: NDArray[np.unsignedinteger], colors: dict[int, str]) -> bytes:
    """Return labels (Y, X) as a PNG in the colours ``"#rrggbb"`` of their classes; 0 is black."""
    from matplotlib.image import imsave

    target = BytesIO()
    imsave(target, colored_labels(labels, colors), format="png")
    return target.getvalue()


def colored_labels(labels: NDArray[np.unsignedinteger], colors: dict[int, str]) -> NDArray[np.uint8]:
    """Return labels (Y, X) in the colours ``"#rrggbb"`` of their classes, (Y, X, 3); others are black."""
    values, places = np.unique(labels, return_inverse=True)
    table = [tuple(bytes.fromhex(colors.get(int(value), "#000000")[1:])) for value in values]
    return np.array(table, dtype=np.uint8)[places.reshape(labels.shape)]


def spectrum_png(energies: NDArray[np.float64], counts: NDArray[np.generic]) -> bytes:
    """Return a spectrum, counts (E,) over energies (E,) in keV, as a PNG with a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    height = np.asarray(counts, dtype=np.float64)
    axes.step(energies, np.maximum(height, 0.5), where="mid", linewidth=0.8)
    axes.set(xlabel="energy / keV", ylabel="counts", yscale="log", xlim=(energies[0], energies[-1]))
    target = BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()


def size_text(shape: Sequence[int], pixel_size: tuple[float, float] | None) -> str:
    """Return a map's size in words, ``"24 × 38 pixels of 2 × 2 µm"``."""
    size = "" if pixel_size is None else f" of {pixel_size[0]:g} × {pixel_size[1]:g} µm"
    return f"{shape[0]} × {shape[1]} pixels{size}"
