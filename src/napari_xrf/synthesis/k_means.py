"""Mini-batch k-means and its silhouette, for colours."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from napari_xrf.synthesis.sampling import over_threads

_BATCH = 1024
_BATCHES = 100
_STARTS = 3
_SEEDING_POINTS = 4096


def find_centres(
    points: NDArray[np.float64], number: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the centres (K, D) of ``number`` clusters of points (N, D), fewer where points are fewer.

    Mini-batches with a learning rate per centre (Sculley, WWW 2010, 1177), started from k-means++ seeds
    (Arthur & Vassilvitskii, SODA 2007, 1027); the best of three starts on a sample of the points.
    """
    sample = points[generator.choice(len(points), size=min(_SEEDING_POINTS, len(points)), replace=False)]
    candidates: list[tuple[float, int, NDArray[np.float64]]] = []
    for _ in range(_STARTS):
        centres = _seed(sample, number, generator)
        sizes = np.zeros(len(centres))
        for _ in range(_BATCHES):
            batch = points[generator.integers(len(points), size=min(_BATCH, len(points)))]
            _move(centres, sizes, batch, assign(batch, centres))
        spread = ((sample - centres[assign(sample, centres)]) ** 2).sum()
        candidates.append((float(spread), len(candidates), centres))
    return min(candidates)[2]


def assign(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the position of the nearest centre of each point, (N,)."""
    labels = np.empty(len(points), dtype=np.int32)
    over_threads(len(points), lambda part: _nearest(points[part], centres, labels[part]))
    return labels


def silhouette(points: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    """Return the mean silhouette of clustered points, −1 to 1.

    Rousseeuw, J. Comput. Appl. Math. 20 (1987) 53; a point alone in its cluster counts 0. One cluster, or
    as many as points, have no silhouette: −1.
    """
    clusters, own = np.unique(labels, return_inverse=True)
    if not 1 < len(clusters) < len(points):
        return -1.0
    squares = (points**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    member = np.eye(len(clusters))[own]
    sizes = member.sum(axis=0)
    sums = distances @ member
    rows = np.arange(len(points))
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    outside = means.min(axis=1)
    widest = np.maximum(inside, outside)
    value = np.where(widest > 0, (outside - inside) / np.where(widest > 0, widest, 1.0), 0.0)
    return float(np.where(sizes[own] > 1, value, 0.0).mean())


def _seed(sample: NDArray[np.float64], number: int, generator: np.random.Generator) -> NDArray[np.float64]:
    centres = [sample[generator.integers(len(sample))]]
    nearest = ((sample - centres[0]) ** 2).sum(axis=1)
    while len(centres) < number and nearest.sum() > 0:
        chosen = sample[generator.choice(len(sample), p=nearest / nearest.sum())]
        centres.append(chosen)
        nearest = np.minimum(nearest, ((sample - chosen) ** 2).sum(axis=1))
    return np.array(centres)


def _move(
    centres: NDArray[np.float64],
    sizes: NDArray[np.float64],
    batch: NDArray[np.float64],
    labels: NDArray[np.int32],
) -> None:
    joined = np.bincount(labels, minlength=len(centres)).astype(np.float64)
    sums = np.stack([np.bincount(labels, column, len(centres)) for column in batch.T], axis=1)
    # Taking the points of a batch one by one with rate 1 / size gives the same running mean.
    grown = np.maximum(sizes + joined, 1.0)[:, None]
    centres[:] = np.where(joined[:, None] > 0, (centres * sizes[:, None] + sums) / grown, centres)
    sizes += joined


@numba.njit(nogil=True, cache=True)
def _nearest(points, centres, labels):  # type: ignore[no-untyped-def]  # compiled
    for point in range(points.shape[0]):
        best = np.inf
        for centre in range(centres.shape[0]):
            distance = 0.0
            for axis in range(points.shape[1]):
                step = points[point, axis] - centres[centre, axis]
                distance += step * step
            if distance < best:
                best = distance
                labels[point] = centre
