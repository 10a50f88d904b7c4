"""The few colours that a painting is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.synthesis.k_means import assign, find_centres, silhouette


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
    """A painting reduced to K colours.

    Attributes
    ----------
    labels
        (Y, X) position of each pixel's colour.
    colors
        (K, 3) mean colour of each cluster, sRGB from 0 to 255.
    silhouette
        Mean silhouette of the clusters, −1 to 1; 1 where each colour of the image has its own.
    """

    labels: NDArray[np.int32]
    colors: NDArray[np.float64]
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

    Parameters
    ----------
    image
        As :func:`rgb_image` takes it.

    Raises
    ------
    InvalidInput
        When the image has no colour channels or no pixels.
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

    Parameters
    ----------
    image
        (Y, X, 3) or (Y, X, 4), of 8 or 16 bits per channel or floats from 0 to 1; transparency is ignored.

    Raises
    ------
    InvalidInput
        When it has no colour channels, no pixels, or floats out of range.
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


def _mean_colors(
    labels: NDArray[Any], flat: NDArray[np.float64], shape: tuple[int, ...], score: float
) -> ColorClusters:
    # k-means may leave clusters without pixels.
    _, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels)
    colors = np.stack([np.bincount(labels, flat[:, channel]) for channel in range(3)], axis=1)
    return ColorClusters(labels.reshape(shape).astype(np.int32), colors / sizes[:, np.newaxis], score)
