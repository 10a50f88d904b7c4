"""The few colours that a painting is made of."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.synthesis.sampling import over_threads

_BATCH = 1024
_BATCHES = 100
_STARTS = 3
_SEEDING_POINTS = 4096


@parameters
class ClusterParameters:
    """How the number of colours is searched for.

    Attributes
    ----------
    start
        Number of colours in the middle of the search.
    spread
        The search runs from ``start - spread`` to ``start + spread`` colours, both included.
    patience
        It stops after so many numbers without a better silhouette; 0 searches them all.
    score_pixels
        Pixels on which the silhouette is computed.
    """

    start: Annotated[int, Limits(1, 200)] = 10
    spread: Annotated[int, Limits(0, 100)] = 3
    patience: Annotated[int, Limits(0, 200)] = 0
    score_pixels: Annotated[int, Limits(10, 20_000)] = 1024


@dataclass(frozen=True, eq=False)
class ColorClusters:
    """A painting reduced to K colours."""

    labels: NDArray[np.int32]  # (Y, X) position of each pixel's colour
    colors: NDArray[np.float64]  # (K, 3) mean colour of each cluster, sRGB from 0 to 255
    # Mean silhouette of the clusters, −1 to 1; 1 where each colour of the image has its own
    silhouette: float


def cluster_colors(
    image: NDArray[Any],
    *,
    generator: np.random.Generator,
    parameters: ClusterParameters | None = None,
    progress: Progress = ignore_progress,
) -> ColorClusters:
    """Find the colours of an image by k-means in RGB, for the number of clusters of best silhouette.

    Algorithm 2 of Bombini, *ganX* (arXiv:2304.14078): mini-batch k-means for each number of clusters,
    scored by the mean silhouette of a random sample of pixels. An image of no more colours than the least
    number of clusters keeps them all.

    ``image``: as :func:`rgb_image` takes it. Raises InvalidInput when the image has no colour channels or no
    pixels.
    """
    chosen = parameters or ClusterParameters()
    pixels = rgb_image(image)
    flat = pixels.reshape(-1, 3)
    distinct, own = np.unique(flat, axis=0, return_inverse=True)
    least = max(chosen.start - chosen.spread, 2)
    if len(distinct) <= least:
        return ColorClusters(own.reshape(pixels.shape[:2]).astype(np.int32), distinct, 1.0)
    sample = generator.choice(len(flat), size=min(chosen.score_pixels, len(flat)), replace=False)
    best, best_score, failures = own.astype(np.int32), -np.inf, 0
    most = min(max(chosen.start + chosen.spread, least), len(distinct))
    for number in range(least, most + 1):
        progress(number - least, most - least + 1, "clustering colours")
        labels = assign(flat, find_centres(flat, number, generator))
        score = silhouette(flat[sample], labels[sample])
        if score > best_score:
            best, best_score, failures = labels, score, 0
        else:
            failures += 1
        if chosen.patience and failures >= chosen.patience:
            break
    return _mean_colors(best, flat, pixels.shape[:2], best_score)


def rgb_image(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return an image as (Y, X, 3) sRGB from 0 to 255.

    ``image``: (Y, X, 3) or (Y, X, 4), of 8 or 16 bits per channel or floats from 0 to 1; transparency is
    ignored. Raises InvalidInput when it has no colour channels, no pixels, or floats out of range.
    """
    data = np.asarray(image)
    if data.ndim != 3 or data.shape[2] not in (3, 4):
        raise InvalidInput(
            f"an image of shape {data.shape} has no colour channels", "Give an RGB image (Y, X, 3)"
        )
    if not data.size:
        raise InvalidInput("the image has no pixels")
    data = data[..., :3]
    if data.dtype.kind in "ui":
        top = 255 if data.dtype.itemsize == 1 else 65535
        if data.min() < 0 or data.max() > top:
            raise InvalidInput(f"colours of whole numbers must lie from 0 to {top}")
        return data.astype(np.float64) * (255.0 / top)
    if data.dtype.kind != "f" or not np.isfinite(data).all() or data.min() < 0 or data.max() > 1:
        raise InvalidInput("colours of floating-point numbers must lie from 0 to 1")
    return data.astype(np.float64) * 255.0


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


def _mean_colors(
    labels: NDArray[Any], flat: NDArray[np.float64], shape: tuple[int, ...], score: float
) -> ColorClusters:
    # k-means may leave clusters without pixels.
    _, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels)
    colors = np.stack([np.bincount(labels, flat[:, channel]) for channel in range(3)], axis=1)
    return ColorClusters(labels.reshape(shape).astype(np.int32), colors / sizes[:, np.newaxis], score)


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


@compiled()
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
