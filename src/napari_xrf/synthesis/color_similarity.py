"""How alike two colours are, from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput

_LARGEST_DIFFERENCE = 100.0  # between black and white, on CIELAB's scale


def color_similarity(first: ArrayLike, second: ArrayLike, measure: str = "ciede2000") -> NDArray[np.float64]:
    """Return the similarity of each of N colours to each of P.

    Parameters
    ----------
    first, second
        (N, 3) and (P, 3) sRGB from 0 to 255.
    measure
        ``"ciede2000"``, ``"cie94"`` or ``"cie76"``: (100 − ΔE) / 100, at least 0, with the colour
        difference of that name on CIELAB under D65; ``"cosine"``: cosine of the angle between the
        colours as vectors, 1 for black against black and 0 for black against a colour.

    Returns
    -------
    (N, P), each from 0 to 1.

    Raises
    ------
    InvalidInput
        When there is no such measure.
    """
    if measure not in SIMILARITIES:
        raise InvalidInput(f"there is no similarity {measure!r}", f"Choose from {', '.join(SIMILARITIES)}")
    left = np.atleast_2d(np.asarray(first, dtype=np.float64))
    right = np.atleast_2d(np.asarray(second, dtype=np.float64))
    return np.clip(SIMILARITIES[measure](left, right), 0.0, 1.0)


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


def _ciede2000(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.color import deltaE_ciede2000

    return _from_difference(deltaE_ciede2000, first, second)


def _cie94(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.color import deltaE_ciede94

    return _from_difference(deltaE_ciede94, first, second)


def _cie76(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.color import deltaE_cie76

    return _from_difference(deltaE_cie76, first, second)


def _from_difference(
    difference: Callable[..., NDArray[np.float64]],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> NDArray[np.float64]:
    from skimage.color import rgb2lab

    left, right = rgb2lab(first / 255.0)[:, np.newaxis], rgb2lab(second / 255.0)[np.newaxis]
    return 1.0 - difference(left, right) / _LARGEST_DIFFERENCE


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
    both_black = np.outer(~first.any(axis=1), ~second.any(axis=1))
    return np.where(both_black, 1.0, (first @ second.T) / np.where(lengths > 0, lengths, 1.0))


SIMILARITIES = MappingProxyType(
    {"ciede2000": _ciede2000, "cie94": _cie94, "cie76": _cie76, "cosine": _cosine}
)
