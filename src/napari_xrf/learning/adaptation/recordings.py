"""Spectra of a map on a model's axis, and spectra as other calibrations would have recorded them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.rebinning import rebin_counts, share_counts
from napari_xrf.synthesis.sampling import draw_seed

FEWEST_SPECTRA = 50
_FEWEST_COUNTS = 10.0  # a spectrum of less says nothing
_REACH = 4.0  # of a Gaussian, in standard deviations
_SPECTRA_PER_DRAW = 16
_STILL = AdaptationOptions(offset_ev=0.0, gain=0.0, broadening_ev=0.0)


def record_otherwise(
    counts: NDArray[np.floating],
    axis: EnergyAxis,
    limits: AdaptationOptions,
    generator: np.random.Generator,
    *,
    about: float = 0.0,
) -> NDArray[np.float32]:
    """Return spectra recorded under randomly drawn calibrations and resolutions, 16 spectra under each.

    ``counts``: (N, E). Whole counts are moved one by one, so that Poisson counts stay Poisson counts; spectra
    of another scale are spread as expectations. ``about``: gain about which gains are drawn. Returns (N, E)
    on the same axis; what leaves it is lost.
    """
    recorded = np.empty(counts.shape, dtype=np.float32)
    whole = bool(np.array_equal(counts, np.rint(counts)))
    for start in range(0, len(counts), _SPECTRA_PER_DRAW):
        part = slice(start, start + _SPECTRA_PER_DRAW)
        offset, gain = generator.uniform(-1, 1, size=2) * (limits.offset_ev * 1e-3, limits.gain)
        gain = (1 + about) * (1 + gain) - 1
        noise = generator.uniform(0, limits.broadening_ev) * 1e-3
        lowest, shares = recording_shares(axis, float(offset), float(gain), float(noise))
        if whole:
            seed = draw_seed(generator)
            recorded[part] = share_counts(counts[part], lowest, shares, axis.size, seed=seed)
        else:
            recorded[part] = _spread(counts[part], lowest, shares)
    return recorded


def stretch(
    counts: NDArray[np.floating], axis: EnergyAxis, gain: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return spectra (N, E) as another gain would have recorded them: E → (1 + gain) E."""
    return record_otherwise(counts, axis, _STILL, generator, about=gain)


def undo_gain(
    counts: NDArray[np.floating], axis: EnergyAxis, gain: float, generator: np.random.Generator
) -> NDArray[np.floating]:
    """Return spectra (N, E) that were recorded with a gain as they would have been without it."""
    return stretch(counts, axis, 1 / (1 + gain) - 1, generator) if gain else counts


def recording_shares(
    axis: EnergyAxis, offset: float, gain: float, noise: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return where the counts of each channel go under another calibration and resolution.

    A channel's counts lie evenly in it; their energies become (1 + gain) E + offset, and a Gaussian is added.

    ``offset``, ``noise``: keV; ``noise`` is a FWHM. Returns lowest, shares : as
    :func:`~napari_xrf.learning.rebinning.share_counts` takes them.
    """
    edges = (axis.edges * (1 + gain) + offset - axis.edges[0]) / axis.width
    low, high = edges[:-1, None], edges[1:, None]
    sigma = max(noise / FWHM_PER_SIGMA / axis.width, 1e-3)
    lowest = np.floor(low[:, 0] - _REACH * sigma).astype(np.int64)
    number = math.ceil(float((high - low).max()) + 2 * _REACH * sigma) + 1
    borders = lowest[:, None] + np.arange(number + 1)

    # The mean of a Gaussian's distribution function over the channel.
    def below(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        density = np.exp(-0.5 * distance**2) / math.sqrt(2 * math.pi)
        return np.asarray(distance * ndtr(distance) + density)

    reached = sigma / (high - low) * (below((borders - low) / sigma) - below((borders - high) / sigma))
    shares = np.clip(np.diff(reached, axis=1), 0, 1)
    shares[shares < 1e-6] = 0
    return lowest, shares / shares.sum(axis=1, keepdims=True)


def thin(
    counts: NDArray[np.floating], doses: NDArray[np.floating], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return spectra of counts (N, E) with about ``doses`` (N,) of them left; those with fewer stay."""
    share = np.minimum(1.0, doses / np.maximum(counts.sum(axis=1), 1))
    thinned = np.array(counts, dtype=np.float32)
    filled = np.nonzero((counts > 0) & (share < 1)[:, None])
    thinned[filled] = generator.binomial(counts[filled].astype(np.int64), share[filled[0]])
    return thinned


def sample_map(
    cube: SpectralCube,
    description: ModelDescription,
    *,
    most: int,
    seed: int,
    progress: Progress = ignore_progress,
) -> NDArray[np.float32]:
    """Return the spectra (N, E) of up to ``most`` pixels of a map, drawn at random, on a model's axis.

    The map is read once, in blocks of rows. Pixels of less than half of the counts that the model was trained
    on are left out. Raises InvalidInput when fewer than 50 pixels have so many counts.
    """
    rows, columns, _ = cube.shape
    rank = np.random.default_rng([seed, 11]).permutation(rows * columns)
    least = max(_FEWEST_COUNTS, 0.5 * description.counts_range[0])
    seen = cube.energy.window(float(description.axis.edges[0]), float(description.axis.edges[-1]))
    kept = np.zeros((0, description.axis.size), dtype=np.float32)
    ranks = np.zeros(0, dtype=rank.dtype)
    last = rank.size  # spectra of this rank and beyond are no longer wanted
    for band, block in cube.blocks():
        spectra = block.reshape(-1, block.shape[2])
        here = rank[band.start * columns : band.stop * columns]
        wanted = np.flatnonzero((here < last) & (spectra[:, seen].sum(axis=1, dtype=np.int64) >= least))
        moved = rebin_counts(
            spectra[wanted], cube.energy, description.axis, seed=seed, first=band.start * columns
        )
        kept, ranks = np.concatenate([kept, moved]), np.concatenate([ranks, here[wanted]])
        if len(kept) > most:
            best = np.sort(np.argpartition(ranks, most)[:most])
            kept, ranks = kept[best], ranks[best]
            last = int(ranks.max())
        progress(band.stop, rows, "reading spectra of the map")
    if len(kept) < FEWEST_SPECTRA:
        raise InvalidInput(
            f"{len(kept)} of the {rows * columns} pixels have {least:g} counts on the model's axis, "
            "too few to adapt to",
            "Give a map with more counts, bin its pixels, or take a model for fewer counts",
        )
    return kept


def _spread(
    counts: NDArray[np.floating], lowest: NDArray[np.int64], shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    size = counts.shape[1]
    targets = lowest[:, None] + np.arange(shares.shape[1])
    inside = (targets >= 0) & (targets < size)
    matrix = np.zeros((size, size))
    rows = np.broadcast_to(np.arange(size)[:, None], targets.shape)
    matrix[rows[inside], targets[inside]] = shares[inside]
    return np.asarray(counts @ matrix, dtype=np.float32)
