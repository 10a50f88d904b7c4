"""How alike two colours are, from 0 to 1."""

from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import check_name

SIMILARITIES = MappingProxyType(  # name → function of scikit-image
    {"ciede2000": "deltaE_ciede2000", "cie94": "deltaE_ciede94", "cie76": "deltaE_cie76", "cosine": ""}
)
_LARGEST_DIFFERENCE = 100.0  # between black and white, on CIELAB's scale


def color_similarity(first: ArrayLike, second: ArrayLike, measure: str = "ciede2000") -> NDArray[np.float64]:
    """Return the similarity of each of N colours to each of P.

    ``first``, ``second``: (N, 3) and (P, 3) sRGB from 0 to 255. ``measure``: ``"ciede2000"``, ``"cie94"`` or
    ``"cie76"``: (100 − ΔE) / 100, at least 0, with the colour difference of that name on CIELAB under D65;
    ``"cosine"``: cosine of the angle between the colours as vectors, 1 for black against black and 0 for
    black against a colour. Returns (N, P), each from 0 to 1. Raises InvalidInput when there is no such
    measure.
    """
    from skimage import color

    check_name("similarity", measure, SIMILARITIES)
    left = np.atleast_2d(np.asarray(first, dtype=np.float64))
    right = np.atleast_2d(np.asarray(second, dtype=np.float64))
    if measure == "cosine":
        lengths = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
        both_black = np.outer(~left.any(axis=1), ~right.any(axis=1))
        alike = np.where(both_black, 1.0, (left @ right.T) / np.where(lengths > 0, lengths, 1.0))
    else:
        difference = getattr(color, SIMILARITIES[measure])
        pairs = color.rgb2lab(left / 255.0)[:, np.newaxis], color.rgb2lab(right / 255.0)[np.newaxis]
        alike = 1.0 - difference(*pairs) / _LARGEST_DIFFERENCE
    return np.clip(alike, 0.0, 1.0)


def threshold_weights(similarity: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return the weights (N, P) of pigments: similarities under the threshold dropped, summing to 1.

    A colour that resembles no pigment enough keeps the one that it resembles most.
    """
    kept = np.where(similarity > threshold, similarity, 0.0)
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    lost = kept.sum(axis=1) <= 0
    kept[rows[lost], best[lost]] = 1.0
    return kept / kept.sum(axis=1, keepdims=True)


def luminance(colors: ArrayLike) -> NDArray[np.float64]:
    """Return the relative luminance, 0 to 1, of sRGB colours (..., 3) from 0 to 255 (IEC 61966-2-1)."""
    share = np.asarray(colors, dtype=np.float64) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
