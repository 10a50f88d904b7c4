"""A sample of a map's spectra on a model's axis, in bounded memory. No torch here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.rebinning import rebin_counts

FEWEST_SPECTRA = 50
_FEWEST_COUNTS = 10.0  # a spectrum of less says nothing


def sample_map(
    cube: SpectralCube,
    description: ModelDescription,
    *,
    most: int,
    seed: int,
    progress: Progress = ignore_progress,
) -> NDArray[np.float32]:
    """Return the spectra (N, E) of up to ``most`` pixels of a map, drawn at random, on a model's axis.

    The map is read once, in blocks of rows. Pixels of less than half of the counts that the model was
    trained on are left out.

    Raises
    ------
    InvalidInput
        When fewer than 50 pixels have so many counts.
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
