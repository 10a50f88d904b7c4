"""Denoising a map by its own principal components, weighted for Poisson counts.

Channels and pixels are weighted by their means (Keenan and Kotula, Surface and Interface Analysis 36, 2004,
203), so that counting noise is alike everywhere. Two halves of the counts, parted at random, are independent
measurements of one sample: what repeats in both is signal, what does not is noise (the idea of Noise2Noise,
Lehtinen et al. 2018, for a linear filter). Their products give each component's share of signal, by which it
is shrunk as Wiener's filter does. Nothing is learnt from other samples, and no clean data are needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import indices_of
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import AuxiliaryImage, SpectralCube

_MOST_BINS = 512  # of the matrices; a component's spectrum has every channel again afterwards
_MOST_COMPONENTS = 64
_LEAST_SIGNAL = 0.1  # of a component's variance in a half of the counts, below which it is noise
_SURE = 3.0  # standard deviations of that part, of noise alone
_FEWEST_PIXELS = 16
_BLOCK_BYTES = 64 * 2**20
STRANGE = 5.0  # standard deviations of a pixel's misfit above that of the map

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LowRankCounts:
    """Expected counts (Y, X, E) as a few maps times their spectra; slices are made when asked for."""

    scores: NDArray[np.float32]  # (Y, X, K) float32
    spectra: NDArray[np.float32]  # (K, E) float32; a slice is their product, not below 0
    scale: NDArray[np.float32]  # (Y, X) float32: brings each pixel to its measured number of counts

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X, E)."""
        return (*self.scale.shape, self.spectra.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the slices."""
        return self.scores.dtype

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __getitem__(self, key: Any, /) -> Any:
        (y, pick_y), (x, pick_x), (e, pick_e) = indices_of(key, self.shape)
        rows, columns, channels = (np.asarray(part, dtype=np.intp) for part in (y, x, e))
        dense = np.maximum(self.scores[rows][:, columns] @ self.spectra[:, channels], 0.0)
        dense *= self.scale[rows][:, columns, None]
        # One axis after the other from the last, so that integers do not shift the others.
        return dense[..., pick_e][:, pick_x][pick_y]


@dataclass(frozen=True, eq=False)
class Denoising:
    """A denoised map and what is known of it."""

    cube: SpectralCube  # the expected counts; each pixel holds as many as were measured
    components: int  # how many were kept
    # (K,) part of each one's variance that is signal, by which it was shrunk
    signal: _Array
    # (Y, X) how many standard deviations a pixel's deviance lies above that of the map: what the components
    # do not describe. Above 5 the denoised spectrum lacks something that was measured there
    misfit: NDArray[np.float32]
    notes: tuple[str, ...]  # what the user should know

    def __repr__(self) -> str:
        return f"<Denoising: {self.components} components kept; {self.cube!r}>"


def denoise_map(cube: SpectralCube, *, seed: int = 0, progress: Progress = ignore_progress) -> Denoising:
    """Return a map without the noise that does not repeat in two halves of its counts.

    Memory holds a few maps and spectra; counts are read in blocks, three times. Errors computed from the
    result are too small, as its counts are no longer Poisson's: it is for looking, drawing and pictures.

    Raises InvalidInput for a map of fewer than 16 pixels with counts.

    ``cube``: any map of whole counts. ``seed``: of the parting into halves.
    """
    first = _Pass(cube, progress, "adding up")
    bins = _bins(first.sum_spectrum)
    measured = first.totals > 0
    if np.count_nonzero(measured) < _FEWEST_PIXELS or not bins.size:
        raise InvalidInput(
            f"the map has fewer than {_FEWEST_PIXELS} pixels with counts", "Denoising needs a map"
        )
    level = np.add.reduceat(first.sum_spectrum, bins) / first.sum_spectrum.sum()
    weight = np.sqrt(np.maximum(level, level[level > 0].min()))
    moments = _moments(cube, bins, weight, first.totals, seed, progress)
    axes, signal = _components(*moments, int(np.count_nonzero(measured)))
    scores, spectra = _fitted(cube, bins, weight, first.totals, axes, signal, progress)
    dense = LowRankCounts(scores, spectra, np.ones(cube.map_shape, dtype=np.float32))
    scale, misfit = _compared(cube, dense, bins, first.totals, progress)
    strange = int(np.count_nonzero(misfit > STRANGE))
    notes = [f"{len(axes)} components repeat in two halves of the counts and are kept"]
    if len(axes) == 1:
        notes.append("all spectra are drawn alike: differences between pixels are weaker than the noise")
    if strange:
        notes.append(
            f"{strange} pixels hold something that the components do not describe (rare grains, Bragg "
            "peaks): look at the measured spectra there"
        )
    notes.append("errors and probabilities computed from denoised counts are too sure of themselves")
    warnings = (*cube.provenance.warnings, *(f"Denoised: {note}." for note in notes))
    result = replace(
        cube,
        counts=replace(dense, scale=scale),
        name=f"{cube.name} (denoised)",
        images=(*cube.images, AuxiliaryImage("misfit of the denoising", misfit, cube.pixel_size)),
        provenance=replace(cube.provenance, warnings=warnings),
    )
    return Denoising(result, len(axes), signal, misfit, tuple(notes))


class _Pass:
    """One reading of a map: its sum spectrum, (E,), and the counts of each pixel, (Y, X)."""

    def __init__(self, cube: SpectralCube, progress: Progress, what: str) -> None:
        self.sum_spectrum = np.zeros(cube.shape[2])
        self.totals = np.zeros(cube.map_shape)
        for band, block in cube.blocks(_BLOCK_BYTES):
            self.sum_spectrum += block.sum(axis=(0, 1), dtype=np.float64)
            self.totals[band] = block.sum(axis=2, dtype=np.float64)
            progress(band.stop, cube.shape[0], what)


def _bins(spectrum: _Array) -> NDArray[np.int64]:
    """Return the starts of at most 512 bins of about equal counts, no wider than the peaks are told apart."""
    filled = np.flatnonzero(spectrum)
    if not filled.size:
        return np.zeros(0, dtype=np.int64)
    # The root lets weak regions keep bins of their own.
    share = np.cumsum(np.sqrt(spectrum[filled[0] : filled[-1] + 1]))
    number = min(_MOST_BINS, share.size)
    edges = np.searchsorted(share, np.arange(number) * share[-1] / number, side="left")
    return np.unique(edges) + int(filled[0])


def _weighted(
    cube: SpectralCube, bins: NDArray[np.int64], totals: _Array
) -> Iterator[tuple[slice, NDArray[np.generic], NDArray[np.intp], _Array, _Array]]:
    """Yield rows, their counts (N, E), which of them hold some, those binned, and their scales."""
    for band, block in cube.blocks(_BLOCK_BYTES):
        flat = block.reshape(-1, block.shape[-1])
        kept = np.flatnonzero(totals[band].ravel() > 0)
        binned = np.add.reduceat(flat[kept].astype(np.float64), bins, axis=1)
        yield band, flat, kept, binned, np.sqrt(totals[band].ravel()[kept])[:, None]


def _moments(
    cube: SpectralCube, bins: NDArray[np.int64], weight: _Array, totals: _Array, seed: int, progress: Progress
) -> tuple[_Array, _Array, _Array]:
    """Return (B, B) second moments of the weighted counts of two halves, and of one with the other."""
    generator = np.random.default_rng(seed)
    one_own, other_own, cross = np.zeros((3, bins.size, bins.size))
    for band, _, _, binned, scale in _weighted(cube, bins, totals):
        half = generator.binomial(np.rint(binned).astype(np.int64), 0.5).astype(np.float64)
        one, other = half / (scale * weight), (binned - half) / (scale * weight)
        one_own += one.T @ one
        other_own += other.T @ other
        cross += one.T @ other
        progress(band.stop, cube.shape[0], "comparing halves")
    return one_own, other_own, cross


def _components(one: _Array, other: _Array, cross: _Array, pixels: int) -> tuple[_Array, _Array]:
    """Return (K, B) axes of all counts that repeat in both halves, and what part of their variance is signal.

    An axis is taken from one half and judged by the other, which knows nothing of the first one's noise.
    """
    shares = []
    for own in (one, other):
        values, axes = _principal(own)
        # What the other half shows along the axis per what this one does: 1 for signal alone, 0 for noise.
        shares.append(np.einsum("kb,bc,kc->k", axes, cross, axes) / np.maximum(values, 1e-300))
    share = np.clip(np.mean(shares, axis=0), 0.0, 1.0)
    kept = share > max(_LEAST_SIGNAL, _SURE / np.sqrt(pixels))
    kept[0] = True
    number = int(np.argmin(kept)) if not kept.all() else len(kept)  # up to the first one that is noise
    _, axes = _principal(one + other + cross + cross.T)
    return axes[:number], (2 * share / (1 + share))[:number]


def _principal(own: _Array) -> tuple[_Array, _Array]:
    """Return the largest variances, (K,), and their axes, (K, B)."""
    values, vectors = np.linalg.eigh(own)
    order = np.argsort(-values)[: min(_MOST_COMPONENTS, len(values))]
    return values[order], vectors[:, order].T


def _fitted(
    cube: SpectralCube,
    bins: NDArray[np.int64],
    weight: _Array,
    totals: _Array,
    axes: _Array,
    signal: _Array,
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scores (Y, X, K), shrunk, and the spectrum (K, E) of each component by least squares."""
    scores = np.zeros((cube.map_shape[0] * cube.map_shape[1], len(axes)))
    squares, products = np.zeros((len(axes), len(axes))), np.zeros((len(axes), cube.shape[2]))
    columns = cube.map_shape[1]
    for band, flat, kept, binned, scale in _weighted(cube, bins, totals):
        found = (binned / (scale * weight)) @ axes.T
        squares += found.T @ found
        products += (found / scale).T @ flat[kept].astype(np.float64)
        scores[band.start * columns + kept] = found * signal * scale
        progress(band.stop, cube.shape[0], "fitting components")
    spectra = np.linalg.solve(squares + 1e-9 * np.trace(squares) * np.eye(len(axes)) / len(axes), products)
    return scores.reshape(*cube.map_shape, -1).astype(np.float32), spectra.astype(np.float32)


def _compared(
    cube: SpectralCube, dense: LowRankCounts, bins: NDArray[np.int64], totals: _Array, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale that keeps each pixel's counts, and its misfit in standard deviations."""
    scale, deviance = np.ones(cube.map_shape), np.full(cube.map_shape, np.nan)
    for band, block in cube.blocks(_BLOCK_BYTES):
        expected = dense[band].astype(np.float64)
        scale[band] = totals[band] / np.maximum(expected.sum(axis=2), 1e-12)
        expected = np.add.reduceat(expected * scale[band][..., None], bins, axis=2) + 1e-3
        measured = np.add.reduceat(block.astype(np.float64), bins, axis=2)
        deviance[band] = ((measured - expected) ** 2 / (expected + 1)).sum(axis=2)
        progress(band.stop, cube.shape[0], "comparing with what was measured")
    there = deviance[totals > 0]
    middle = float(np.median(there))
    spread = 1.4826 * float(np.median(np.abs(there - middle))) or 1.0
    misfit = np.where(totals > 0, (deviance - middle) / spread, 0.0)
    return scale.astype(np.float32), misfit.astype(np.float32)
