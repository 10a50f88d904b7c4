"""Colours that eyes tell apart."""

import colorsys
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

APART = 12.0  # CIE76 difference that two thin lines are told apart by; 2.3 is just seen on broad areas
_GOLDEN_RATIO = 0.6180339887498949
# From linear sRGB to XYZ of a white of (1, 1, 1): IEC 61966-2-1, D65.
_TO_XYZ = np.array([[0.4339, 0.3763, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])


def spread_color(index: int) -> str:
    """Return the ``index``-th of a row of colours of well-spread hues, ``"#rrggbb"``."""
    hue = (0.13 + index * _GOLDEN_RATIO) % 1.0
    value = (0.95, 0.75, 0.55)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, value)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def distinct_color(wanted: Sequence[str], used: Iterable[str]) -> str:
    """Return the first colour that is told apart from all that are used, as ``"#rrggbb"``.

    ``wanted`` ones come first, then spread ones; where all lie near a used one, the farthest is taken.
    """
    taken = np.array([_lab(color) for color in dict.fromkeys(used)]).reshape(-1, 3)
    offered = [*wanted, *(spread_color(index) for index in range(60))]
    found = np.array([_lab(color) for color in offered])
    far = np.linalg.norm(found[:, None] - taken, axis=-1).min(axis=1, initial=np.inf)
    good = far >= APART
    return offered[int(good.argmax() if good.any() else far.argmax())]


@lru_cache(4096)
def are_alike(one: str, other: str) -> bool:
    """Whether lines of two colours, ``"#rrggbb"``, are hard to tell apart."""
    return bool(np.linalg.norm(_lab(one) - _lab(other)) < APART)


@lru_cache(4096)
def _lab(color: str) -> NDArray[np.float64]:
    """Return lightness, red-green and yellow-blue (CIE 1976 L*a*b*) of ``"#rrggbb"``."""
    parts = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts > 0.04045, ((parts + 0.055) / 1.055) ** 2.4, parts / 12.92)
    xyz = _TO_XYZ @ linear
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
