"""Which minerals cannot be told apart at a number of counts, computed from their expected spectra."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.templates import Templates

CONFUSION_LIMIT = 0.02
# As good as free: coarser steps would make minerals look apart that differ in their continuum alone.
CONTINUUM_FACTORS = tuple(float(factor) for factor in np.geomspace(0.25, 4.0, 33))


# A factor of two either way: roughness, coating, errors of scatter models.
CONTINUUM_SPREAD = 0.7


def confusion(
    templates: Templates,
    counts_per_pixel: float,
    tolerance: NDArray[np.float64],
    progress: Progress = ignore_progress,
) -> NDArray[np.float64]:
    """Return how often a pixel of one mineral is taken for another when only these two are possible.

    For each composition ``p`` of one mineral and the composition and continuum ``q`` of another one that
    come nearest to it, the log-likelihood ratio of N counts has mean ``D`` and variance ``2 D``, where
    ``D = N² Σ (p − q)² / (2 (N q + (tolerance·N q)²))``; so the wrong one wins with probability
    ``Φ(−√(D/2))``. Averaged over the compositions of the mineral; those on a border that it shares with
    the other (the middle of a solid solution) are left out, for which name they have is convention.

    Returns
    -------
    (M, M) from row to column, 0.5 for equal spectra; NaN for minerals without templates.
    """
    if not counts_per_pixel > 0:
        raise InvalidInput(f"counts per pixel must be above 0, not {counts_per_pixel}")
    from scipy.special import ndtr

    spectra = templates.spectra(CONTINUUM_FACTORS).astype(np.float32)
    penalty = 0.5 * (np.log(CONTINUUM_FACTORS) / CONTINUUM_SPREAD) ** 2
    truth = spectra[:, len(CONTINUUM_FACTORS) // 2]
    number = len(templates.minerals)
    wrong = np.full((number, number), np.nan)
    rows = _sets_of(templates)
    for column, members in rows.items():
        competitors = spectra[members].reshape(-1, truth.shape[1])
        penalties = np.tile(penalty, members.size)
        scores = counts_per_pixel * (truth @ np.log(competitors).T) - penalties
        best = scores.argmax(axis=1)
        distance = _distance(truth, competitors[best], counts_per_pixel, tolerance) + penalties[best]
        lost = ndtr(-np.sqrt(distance / 2))
        for row, own in rows.items():
            wrong[row, column] = lost[_of_one_only(own, members, truth)].mean()
        progress(column + 1, number, "comparing minerals")
    return wrong


def inseparable_groups(
    confused: NDArray[np.float64], limit: float = CONFUSION_LIMIT
) -> tuple[tuple[int, ...], ...]:
    """Return the groups of minerals that are confused with each other more often than ``limit``.

    The two directions are averaged; average linkage keeps a chain of neighbours (a solid solution cut into
    minerals) from becoming one group. Minerals without templates are left out. Groups are in the order of
    their first member.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    shown = np.flatnonzero(~np.isnan(np.diagonal(confused)))
    if shown.size < 2:
        return tuple((int(index),) for index in shown)
    apart = 0.5 - (confused + confused.T)[np.ix_(shown, shown)] / 2
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(np.maximum(apart, 0), checks=False), method="average")
    groups: dict[int, list[int]] = {}
    for index, group in zip(shown, fcluster(tree, 0.5 - limit, criterion="distance"), strict=True):
        groups.setdefault(int(group), []).append(int(index))
    return tuple(sorted(tuple(group) for group in groups.values()))


def _sets_of(templates: Templates) -> dict[int, NDArray[np.intp]]:
    return {int(index): np.flatnonzero(templates.owner == index) for index in np.unique(templates.owner)}


def _of_one_only(
    own: NDArray[np.intp], others: NDArray[np.intp], truth: NDArray[np.floating]
) -> NDArray[np.intp]:
    """Compositions of ``own`` that are not among ``others``; all where none is left (polymorphs)."""
    apart = np.abs(truth[own][:, None, :] - truth[others][None, :, :]).max(axis=2).min(axis=1) > 1e-6
    return own[apart] if apart.any() else own


def _distance(
    truth: NDArray[np.floating], rival: NDArray[np.floating], counts: float, tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    mean = counts * rival
    return np.asarray(((counts * (truth - rival)) ** 2 / (2 * (mean + (tolerance * mean) ** 2))).sum(axis=1))
