"""Spectra that the pixels of a map are made of, found in the map itself.

Pixels are compared in the few directions in which the map varies more than its counts do, averaged with those
neighbours that do not differ, and gathered in more clusters than there are phases; clusters with two humps
are parted. Of these, spectra are chosen one by one: the one that explains most of what the chosen ones and
their mixtures do not. A cluster that is a mixture of others is a phase only where it forms grains, not rims.

Clusters are made of one half of the counts and their spectra are the other's: chance gathers alike pixels,
and by the counts that gathered them noise alone looks like phases (thinning: Neufeld et al., Biostatistics
25 (2024) 270).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.binned_map import BinnedMap

SEED = 20260801
APART = 0.04  # squared distance of two phases' shapes: 4 % of the counts, relative to what stands there
LEAST_PIXELS = 5
_CLUSTERS, _SAMPLED, _ROUNDS = 64, 40_000, 25
_MOST_DIRECTIONS = 20
_NOISE = 1.6  # times the largest eigenvalue of counting noise alone
_ALIKE = 4.0  # standard deviations of the distance of pixels that do not differ
_SIGNIFICANT = 4.0
_GRAIN = 0.3  # share of a cluster's pixels with six like neighbours of eight, from which it forms grains
_LIKE = 6
_HUMPS, _TRIED, _DEPTH = 5.0, 3, 4  # standard deviations between two humps; directions tried; splits in a row
_FLOOR = 1e-4
_STEPS = 200
_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Ends:
    """Spectra that pixels are mixtures of."""

    spectra: NDArray[np.float64]  # (K, B) counts per pixel
    following: float = 0.0  # squared distance of the next one that was left out, 0 where none is left

    def reason(self, number: int, count: int | None) -> str:
        """Return why there are ``number`` phases when ``count`` were asked for; None leaves it to the map."""
        if count is not None:
            fewer = f"; no more than {number} can be told apart" if number < count else ""
            left = f"; the next would differ by {100 * math.sqrt(self.following):.0f} %"
            return f"{count} phases were asked for{fewer or (left if self.following else '')}"
        found = (
            "1 phase: whatever else there is differs from it"
            if number == 1
            else (f"{number} phases: whatever else there is differs from them and their mixtures")
        )
        return (
            f"{found} by less than "
            f"{100 * math.sqrt(APART):.0f} % of its counts, or than noise does, or in too few pixels"
        )


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of alike pixels: mean counts (C, B), pixels (C,), and the share (C,) of them inside grains."""

    spectra: NDArray[np.float64]
    pixels: NDArray[np.intp]
    inside: NDArray[np.float64]


def find_ends(binned: BinnedMap, count: int | None = None, progress: Progress = ignore_progress) -> Ends:
    """Return the spectra of the phases of a map: ``count`` of them, or as many as can be told apart."""
    ends = choose_ends(_clusters_of(binned, progress), count)
    return Ends(2 * ends.spectra, ends.following)  # clusters show half of the counts


def choose_ends(clusters: Clusters, count: int | None = None) -> Ends:
    """Choose the clusters that are phases; the others are parts or mixtures of them."""
    spectra, pixels = clusters.spectra, clusters.pixels
    grains = clusters.inside >= _GRAIN
    noise = spectra.shape[1] / (pixels * spectra.sum(axis=1))
    least = np.maximum(APART, _SIGNIFICANT * noise * math.sqrt(2 / spectra.shape[1]))
    chosen = [int(np.argmax(pixels * (0.1 + clusters.inside)))]
    tried = set(chosen)
    wanted = len(pixels) if count is None else count
    following = math.inf
    while True:
        apart = _unexplained(spectra, chosen, grains) - noise - noise[chosen].min()
        telling = apart > (least if count is None else 0)
        telling[list(tried)] = False
        gain = np.where(telling, pixels * apart, 0.0)
        best = int(gain.argmax())
        following = float(apart[best]) if gain[best] > 0 else 0.0
        if gain[best] <= 0 or len(chosen) >= wanted:
            break
        chosen.append(best)
        tried.add(best)
        chosen = _without_mixtures(spectra, chosen, grains, least)
    return Ends(spectra[chosen], max(following, 0.0))


def squared_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance of shapes (..., B), relative to what stands in each bin."""
    one, two = (each / np.maximum(each.sum(axis=-1, keepdims=True), 1e-12) for each in (first, second))
    return np.asarray(((one - two) ** 2 / (0.5 * (one + two) + _FLOOR / one.shape[-1])).sum(axis=-1))


def mixture(counts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amounts (n, K) of ends (K, B) under which counts (n, B) are most likely.

    Poisson maximum likelihood by expectation maximisation.
    """
    sums = np.maximum(ends.sum(axis=1), 1e-12)
    amounts = np.repeat(counts.sum(axis=1, keepdims=True) / sums / len(ends), 1, axis=1)
    for _ in range(_STEPS):
        amounts = amounts * ((counts / np.maximum(amounts @ ends, 1e-12)) @ ends.T) / sums
    return np.asarray(amounts)


def _unexplained(
    spectra: NDArray[np.float64], chosen: list[int], grains: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return how far each cluster is from the mixtures of the chosen, or one that forms grains from each."""
    ends = spectra[chosen]
    mixed = squared_distance(spectra, mixture(spectra, ends) @ ends)
    single = squared_distance(spectra[:, np.newaxis], ends).min(axis=1)
    return np.where(grains, single, mixed)


def _without_mixtures(
    spectra: NDArray[np.float64], chosen: list[int], grains: NDArray[np.bool_], least: NDArray[np.float64]
) -> list[int]:
    """Return the chosen less those that the others explain, rims first."""
    for each in list(chosen):
        others = [other for other in chosen if other != each]
        if grains[each] or not others:
            continue
        if (
            _unexplained(spectra[[each, *others]], list(range(1, len(chosen))), np.zeros(len(chosen), bool))[
                0
            ]
            < least[each]
        ):
            chosen = others
    return chosen


def _clusters_of(binned: BinnedMap, progress: Progress) -> Clusters:
    from scipy import ndimage

    generator = np.random.default_rng(SEED)
    halves = _Halves(binned)
    mean, directions = _directions(halves, progress)
    scores, totals = _scores(halves, mean, directions, progress)
    smooth, weight = _averaged(scores, totals)
    held = totals > 0
    centres = _centres(smooth[held], np.sqrt(weight[held]), generator)
    labels = np.full(totals.shape, -1)
    labels[held], number = _parted(smooth[held], weight[held], _nearest(smooth[held], centres))
    sums = np.zeros((number, binned.bins.size))
    for band, counts in halves.bands("averaging clusters", progress, other=True):
        own = labels[band].ravel()
        flat = counts.reshape(-1, counts.shape[2])
        for label in np.unique(own[own >= 0]):
            sums[label] += flat[own == label].sum(axis=0, dtype=np.float64)
    pixels = np.bincount(labels[held], minlength=number)
    inside = np.zeros(number)
    kernel = np.ones((3, 3), np.uint8)
    for label in range(number):
        own = labels == label
        like = ndimage.convolve(own.astype(np.uint8), kernel, mode="nearest") - 1
        inside[label] = np.mean(like[own] >= _LIKE) if own.any() else 0.0
    kept = (pixels >= LEAST_PIXELS) & (sums.sum(axis=1) > 0)
    if not kept.any():
        kept = pixels > 0
    return Clusters(sums[kept] / pixels[kept, np.newaxis], pixels[kept], inside[kept])


@dataclass(frozen=True, eq=False)
class _Halves:
    """A map's counts, each thrown to one of two halves, always to the same."""

    binned: BinnedMap

    def bands(
        self, doing: str, progress: Progress, other: bool = False
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield bands of rows and the counts (rows, X, B) of the first half, or of the other."""
        for band, counts in self.binned.bands(doing, progress):
            half = _half(counts, np.random.default_rng((SEED, band.start)))
            yield band, counts - half if other else half


def _half(counts: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return how many of counts heads are when each is tossed; what is no whole count is shared evenly."""
    whole = np.floor(counts)
    heads = generator.binomial(whole.astype(np.int64), 0.5)
    return ((counts - whole) / 2 + heads).astype(np.float32)


def _directions(halves: _Halves, progress: Progress) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the map's mean shape, and the directions (B, R) in which shapes vary more than counts do."""
    size = halves.binned.bins.size
    total, product, pixels, counts_of_all = np.zeros(size), np.zeros((size, size)), 0, 0.0
    for _, counts in halves.bands("comparing pixels", progress):
        flat = counts.reshape(-1, size)
        sums = flat.sum(axis=1)
        flat = flat[sums > 0] / np.sqrt(sums[sums > 0, np.newaxis])
        product += flat.T @ flat
        total += counts.sum(axis=(0, 1), dtype=np.float64)
        pixels, counts_of_all = pixels + len(flat), counts_of_all + float(sums.sum())
    mean = np.maximum(total / counts_of_all, _FLOOR / size)
    scatter = (product - np.outer(total, total) / counts_of_all) / np.sqrt(np.outer(mean, mean)) / pixels
    values, vectors = np.linalg.eigh(scatter)
    above = int((values > _NOISE * (1 + math.sqrt(size / pixels)) ** 2).sum())
    number = min(max(above, 1), _MOST_DIRECTIONS)
    return mean, vectors[:, ::-1][:, :number]


def _scores(
    halves: _Halves, mean: NDArray[np.float64], directions: NDArray[np.float64], progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return shapes along the directions, (Y, X, R), and counts (Y, X); a shape's variance is 1 / counts."""
    shape = halves.binned.shape
    scores = np.zeros((*shape, directions.shape[1]), np.float32)
    totals = np.zeros(shape, np.float32)
    onto = (directions / np.sqrt(mean)[:, np.newaxis]).astype(np.float32)
    middle = (np.sqrt(mean) @ directions).astype(np.float32)
    for band, counts in halves.bands("comparing pixels", progress):
        totals[band] = counts.sum(axis=2)
        scores[band] = counts @ onto / np.maximum(totals[band], 1)[..., np.newaxis] - middle
    return scores, totals


def _averaged(
    scores: NDArray[np.float32], totals: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scores averaged over the neighbours that do not differ, and the counts that they rest on."""
    number = scores.shape[2]
    limit = 2 * (number + _ALIKE * math.sqrt(2 * number))
    summed, weight = scores * totals[..., np.newaxis], totals.copy()
    rows, columns = totals.shape
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            here = slice(max(down, 0), rows + min(down, 0)), slice(max(right, 0), columns + min(right, 0))
            there = (
                slice(max(-down, 0), rows + min(-down, 0)),
                slice(max(-right, 0), columns + min(-right, 0)),
            )
            apart = ((scores[here] - scores[there]) ** 2).sum(axis=2)
            both = totals[here] * totals[there] / np.maximum(totals[here] + totals[there], 1)
            alike = np.where(apart * both < limit, totals[there], 0)
            summed[here] += scores[there] * alike[..., np.newaxis]
            weight[here] += alike
    return (summed / np.maximum(weight, 1)[..., np.newaxis]).astype(np.float32), weight


def _centres(
    points: NDArray[np.float32], weights: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return centres of clusters by k-means with far-apart starts, of a sample of points."""
    if len(points) > _SAMPLED:
        few = generator.choice(len(points), _SAMPLED, replace=False)
        points, weights = points[few], weights[few]
    number = min(_CLUSTERS, max(len(points) // LEAST_PIXELS, 1))
    centres = points[[int(generator.choice(len(points), p=weights / weights.sum(dtype=np.float64)))]]
    nearest = ((points - centres[0]) ** 2).sum(axis=1)
    while len(centres) < number and (nearest * weights).any():
        chance = (nearest * weights).astype(np.float64)
        centres = np.vstack([centres, points[int(generator.choice(len(points), p=chance / chance.sum()))]])
        nearest = np.minimum(nearest, ((points - centres[-1]) ** 2).sum(axis=1))
    for _ in range(_ROUNDS):
        labels = _nearest(points, centres)
        sums = np.stack([np.bincount(labels, weights * column, len(centres)) for column in points.T], axis=1)
        held = np.bincount(labels, weights, len(centres))
        centres = np.where(held[:, np.newaxis] > 0, sums / np.maximum(held, 1e-12)[:, np.newaxis], centres)
    return centres.astype(np.float32)


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    squares = (centres**2).sum(axis=1)
    parts = (points[start : start + _AT_ONCE] for start in range(0, len(points), _AT_ONCE))
    return np.concatenate([(squares - 2 * part @ centres.T).argmin(axis=1) for part in parts])


def _parted(
    points: NDArray[np.float32], weights: NDArray[np.float32], labels: NDArray[np.intp]
) -> tuple[NDArray[np.intp], int]:
    """Split clusters that have two humps; return new labels and their number."""
    labels = labels.copy()
    number = int(labels.max(initial=-1)) + 1
    waiting = [(label, 0) for label in range(number)]
    while waiting:
        label, depth = waiting.pop()
        own = np.flatnonzero(labels == label)
        second = _second_hump(points[own], weights[own]) if depth < _DEPTH else None
        if second is not None:
            labels[own[second]] = number
            waiting += [(label, depth + 1), (number, depth + 1)]
            number += 1
    return labels, number


def _second_hump(points: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return which points belong to the smaller of two humps along a direction of large variance, or None."""
    if len(points) < 4 * LEAST_PIXELS:
        return None
    offsets = points - np.average(points, axis=0, weights=weights)
    values, vectors = np.linalg.eigh(np.cov(offsets.T * np.sqrt(weights)).reshape(points.shape[1], -1))
    for direction in vectors[:, np.argsort(-values)[:_TRIED]].T:
        along = offsets @ direction
        high = along > 0
        for _ in range(_ROUNDS):
            if not 0 < high.sum() < high.size:
                break
            high = along > (along[high].mean() + along[~high].mean()) / 2
        if min(high.sum(), (~high).sum()) < 2 * LEAST_PIXELS:
            continue
        between = along[high].mean() - along[~high].mean()
        if between > _HUMPS * math.sqrt((along[high].var() + along[~high].var()) / 2) + 1e-12:
            return np.asarray(high if high.sum() <= (~high).sum() else ~high)
    return None
