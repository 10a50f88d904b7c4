"""Ends of mixing, learnt from the map: mean spectra of pixels that lie well inside grains of one kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.maps.non_negative import fit_bounded
from napari_xrf.minerals.shares import neighbour_mean

# Least share of like neighbours, where the one before leaves fewer pixels than that.
_INSIDE = ((0.85, 5), (0.6, 5), (0.35, 3), (0.2, 3))
_LEAST_PIXELS = 5
_FEWEST_PIXELS = 2
_TAUGHT = 4_000  # pixels that are enough to look for parts
_DEPTH = 8
_DIRECTIONS = 4  # in which pixels may fall in two parts; the first is often that of a boundary
_EDGE = 1.6  # times the largest eigenvalue of noise
_APART = 3.0  # standard deviations within
_LEAST_MEAN = 0.05  # counts
_DIM = 0.25  # of the mean counts: holes and shadows teach nothing
_SMALL_SHARE = 0.003  # of the map: a smaller end may be a boundary
_MAIN_PART = 0.75  # of an end that is only blurred
_EXPLAINED = 1.5  # chi-square per bin
_TOLERANCE = 0.03


@dataclass(frozen=True, eq=False)
class End:
    """What some pixels of a map have in common.

    Attributes
    ----------
    column
        The class that these pixels seemed to be.
    pixels
        (P,) their places among the measured pixels.
    counts
        (B,) their counts together.
    """

    column: int
    pixels: NDArray[np.intp]
    counts: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(B,) counts of one pixel that is wholly of it."""
        return self.counts / self.pixels.size


def learn_ends(
    counts: NDArray[np.float32], winner: NDArray[np.intp], held: NDArray[np.bool_]
) -> tuple[End, ...]:
    """Return the ends of a map, the largest first.

    Parameters
    ----------
    counts
        (n, B) of the measured pixels in row order.
    winner
        (n,) the class of each.
    held
        (Y, X) which pixels were measured.
    """
    ends = []
    for column in np.unique(winner).tolist():
        like = (winner == column).astype(np.float32)[:, None]
        near = neighbour_mean(like, held)[:, 0]
        inner = np.zeros(0, dtype=np.intp)
        for share, least in _INSIDE:
            if inner.size < least:
                inner = np.flatnonzero((like[:, 0] > 0) & (near >= share))
        totals = counts[inner].sum(axis=1)
        inner = inner[totals * inner.size >= _DIM * totals.sum()]
        if inner.size < _FEWEST_PIXELS:
            continue
        around = _around(counts, like[:, 0] > 0, held, inner)
        for part in _parts(inner, counts, around, _DEPTH):
            ends.append(End(column, part, counts[part].sum(axis=0, dtype=np.float64)))  # noqa: PERF401
    ends.sort(key=lambda end: -end.pixels.size)
    return _without_boundaries(ends, counts.shape[0])


def _around(
    counts: NDArray[np.float32], like: NDArray[np.bool_], held: NDArray[np.bool_], inner: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(P, B) mean counts of pixels and of those of their neighbours that are alike: less noise."""
    place = np.full((held.shape[0] + 2, held.shape[1] + 2), -1, dtype=np.intp)
    place[1:-1, 1:-1][held] = np.arange(like.size)
    rows, columns = (each[inner] for each in np.nonzero(held))
    total = np.zeros((inner.size, counts.shape[1]), dtype=np.float32)
    number = np.zeros(inner.size, dtype=np.float32)
    for down in range(3):
        for right in range(3):
            other = place[rows + down, columns + right]
            valid = (other >= 0) & like[other]
            total[valid] += counts[other[valid]]
            number += valid
    return np.asarray(total / number[:, None])


def _parts(
    pixels: NDArray[np.intp], counts: NDArray[np.float32], around: NDArray[np.float32], depth: int
) -> list[NDArray[np.intp]]:
    """Return pixels parted in two, again and again, while they differ by more than noise."""
    if depth == 0 or pixels.size < 2 * _LEAST_PIXELS:
        return [pixels]
    chosen = np.linspace(0, pixels.size - 1, min(pixels.size, _TAUGHT)).astype(np.intp)
    mean = np.maximum(counts[pixels].mean(axis=0, dtype=np.float64), _LEAST_MEAN)
    # Nine pixels' mean has a ninth of the variance, and is shared by neighbours.
    whitened = (around - mean) / np.sqrt(mean / 9)
    few = whitened[chosen]
    values, vectors = np.linalg.eigh(few.T @ few / few.shape[0])
    noise = (1 + np.sqrt(9 * mean.size / few.shape[0])) ** 2
    cuts = [
        _upper_part(whitened @ vectors[:, -place])
        for place in range(1, _DIRECTIONS + 1)
        if place <= values.size and values[-place] > _EDGE * noise
    ]
    upper, gain = max(cuts, key=lambda cut: cut[1], default=(np.zeros(0, bool), 0.0))
    if gain == 0:
        return [pixels]
    parts = []
    for side in (upper, ~upper):
        parts += _parts(pixels[side], counts, around[side], depth - 1)
    return parts


def _upper_part(values: NDArray[np.floating]) -> tuple[NDArray[np.bool_], float]:
    """Return which values are of the upper of two clear parts, and how much that explains, or 0."""
    ordered = np.sort(values)
    number = np.arange(1, ordered.size)
    first, both = np.cumsum(ordered)[:-1], ordered.sum()
    apart = (both - first) / (ordered.size - number) - first / number
    between = number * (ordered.size - number) / ordered.size * apart**2
    within = np.maximum(((ordered - ordered.mean()) ** 2).sum() - between, 1e-12)
    clear = (apart > _APART * np.sqrt(within / ordered.size)) & (number >= _LEAST_PIXELS)
    clear &= (ordered.size - number >= _LEAST_PIXELS) & (np.diff(ordered) > 0)
    gain = np.where(clear, between, 0.0)
    best = int(gain.argmax())
    return values > ordered[best], float(gain[best])


def _without_boundaries(ends: list[End], pixels: int) -> tuple[End, ...]:
    """Leave out small ends that are mixtures of larger ones."""
    kept: list[End] = []
    for end in ends:
        small = end.pixels.size < max(_SMALL_SHARE * pixels, 2 * _LEAST_PIXELS)
        if len(kept) < 2 or not _is_mixture(end, kept, small):
            kept.append(end)
    return tuple(kept)


def _is_mixture(end: End, larger: list[End], small: bool) -> bool:
    """Tell whether larger ends explain an end: any, or its own class with a little of what lies around it."""
    deviation = np.sqrt(end.counts + (_TOLERANCE * end.counts) ** 2 + 1)
    columns = np.array([other.mean for other in larger]).T * end.pixels.size
    amounts = fit_bounded(columns / deviation[:, None], end.counts / deviation)
    main = int(amounts.argmax())
    blurred = larger[main].column == end.column and amounts[main] > _MAIN_PART * amounts.sum()
    if not blurred and (not small or np.count_nonzero(amounts > 0.1) < 2):
        return False
    residual = (end.counts - columns @ amounts) / deviation
    return float((residual**2).mean()) < _EXPLAINED
