"""The evidence of each pixel for its best classes, and the decision between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.goodness import MisfitThreshold
from napari_xrf.minerals.likelihood import Scan, fit_candidates, fit_mixtures
from napari_xrf.minerals.model_error import ModelError
from napari_xrf.minerals.templates import Templates

CANDIDATES = 6  # classes that are fitted in full; the rest are beaten in the scan
PIXELS_AT_ONCE = 2048
_ROUNDS_OF_SHARES = 20


@dataclass(frozen=True, eq=False)
class PixelEvidence:
    """What n pixels say about their K best classes.

    Attributes
    ----------
    counts
        (n,) counts in the bins.
    classes
        (n, K) class of each candidate.
    evidence
        (n, K) log-likelihood up to a constant per pixel.
    misfit
        (n, K) deviance less its expectation, in standard deviations.
    """

    counts: NDArray[np.float64]
    classes: NDArray[np.intp]
    evidence: NDArray[np.float32]
    misfit: NDArray[np.float32]

    def decide(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the index 0..K-1 of each pixel's most probable candidate, and its probability.

        ``number`` classes start as equally frequent; their shares in the map are then estimated from all
        pixels (expectation maximisation), so that a class that no pixel needs does not win at few counts.
        """
        shares = np.full(number, 1 / max(number, 1))
        likelihood = np.exp(self.evidence.astype(np.float64) - self.evidence.max(axis=1, keepdims=True))
        for _ in range(_ROUNDS_OF_SHARES):
            probability = likelihood * shares[self.classes]
            probability /= probability.sum(axis=1, keepdims=True)
            totals = np.bincount(self.classes.ravel(), probability.ravel(), minlength=number)
            # One pixel's worth over all classes keeps every class possible.
            shares = (totals + 1 / number) / (totals.sum() + 1)
        winner = probability.argmax(axis=1)
        return winner, probability[np.arange(winner.size), winner]


def collect_evidence(
    cube: SpectralCube,
    templates: Templates,
    scan: Scan,
    errors: ModelError,
    threshold: MisfitThreshold,
    progress: Progress = ignore_progress,
) -> tuple[NDArray[np.bool_], PixelEvidence]:
    """Return which pixels hold counts, (Y, X), and their evidence in row order."""
    from napari_xrf.minerals.likelihood_kernels import binned_counts

    rows, columns, channels = cube.shape
    measured = np.zeros((rows, columns), dtype=bool)
    parts: list[PixelEvidence] = []
    for band, block in cube.blocks():
        spectra = np.asarray(block).reshape(-1, channels)
        flags = measured[band].reshape(-1)
        for start in range(0, spectra.shape[0], PIXELS_AT_ONCE):
            few = spectra[start : start + PIXELS_AT_ONCE]
            held = few.any(axis=1)
            flags[start : start + PIXELS_AT_ONCE] = held
            counts = binned_counts(few, templates.bins)[held]
            if counts.shape[0]:
                parts.append(evidence_of(counts, templates, scan, errors, threshold))
            progress(band.start * columns + start, rows * columns, "comparing pixels with minerals")
    progress(rows * columns, rows * columns, "comparing pixels with minerals")
    return measured, _joined(parts)


def evidence_of(
    counts: NDArray[np.float32],
    templates: Templates,
    scan: Scan,
    errors: ModelError,
    threshold: MisfitThreshold,
) -> PixelEvidence:
    """Return the evidence of pixels with counts (n, B).

    A pixel whose best class misfits with two compositions is fitted again with all of the class.
    """
    first, second = scan.best(counts, CANDIDATES)
    evidence, misfit, _ = fit_candidates(counts, first, second, templates, errors)
    totals = counts.sum(axis=1, dtype=np.float64)
    classes = scan.class_of[first]
    rank = evidence.argmax(axis=1)
    pixels = np.arange(rank.size)
    badly = misfit[pixels, rank] > threshold.at(totals)
    best = classes[pixels, rank]
    for which in np.unique(best[badly]):
        members = np.flatnonzero(scan.class_of == which)
        again = np.flatnonzero(badly & (best == which))
        if members.size < 3:
            continue
        fuller, closer = fit_mixtures(counts[again], members, templates, errors)
        better = fuller > evidence[again, rank[again]]
        again, fuller, closer = again[better], fuller[better], closer[better]
        evidence[again, rank[again]] = fuller
        misfit[again, rank[again]] = closer
    return PixelEvidence(totals, classes, evidence, misfit)


def _joined(parts: list[PixelEvidence]) -> PixelEvidence:
    names = ("counts", "classes", "evidence", "misfit")
    return PixelEvidence(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
