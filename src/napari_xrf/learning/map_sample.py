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
    generator = np.random.default_rng([seed, 11])
    # More than are wanted, as some may be empty; in reading order, so that each block is read once.
    chosen = np.sort(generator.permutation(rows * columns)[: 2 * most])
    least = max(_FEWEST_COUNTS, 0.5 * description.counts_range[0])
    found: list[NDArray[np.float32]] = []
    for band, block in cube.blocks():
        first, last = np.searchsorted(chosen, (band.start * columns, band.stop * columns))
        spectra = block.reshape(-1, block.shape[2])[chosen[first:last] - band.start * columns]
        moved = rebin_counts(spectra, cube.energy, description.axis, seed=seed, first=int(first))
        found.append(moved[moved.sum(axis=1) >= least])
        progress(band.stop, rows, "reading spectra of the map")
    kept = np.concatenate(found) if found else np.zeros((0, description.axis.size), dtype=np.float32)
    if len(kept) < FEWEST_SPECTRA:
        raise InvalidInput(
            f"{len(kept)} of the {len(chosen)} pixels looked at have {least:g} counts on the model's axis, "
            "too few to adapt to",
            "Give a map with more counts, bin its pixels, or take a model for fewer counts",
        )
    return kept[np.sort(generator.permutation(len(kept))[:most])]
