"""The expected spectrum of a formula, to lay over measured ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.plugin.layers.cube_spectra import CubeSpectra
from napari_xrf.reference.materials import Material


@dataclass(frozen=True, eq=False)
class ExpectedCurve:
    """What a formula's spectrum should look like.

    Attributes
    ----------
    formula
        As the user wrote it.
    counts_per_pixel
        (E,) scaled to the mean counts of the map's pixels.
    """

    formula: str
    counts_per_pixel: NDArray[np.float64]


def expect_curve(formula: str, summary: CubeSpectra, progress: Progress = ignore_progress) -> ExpectedCurve:
    """Return the spectrum of a thick sample of a formula under the map's instrument.

    Raises
    ------
    InvalidInput
        When the formula cannot be read.
    """
    from napari_xrf.physics.forward import expect_spectrum
    from napari_xrf.physics.instrument import instrument_of

    material = Material.from_formula(formula)
    progress(0, 0, "expected spectrum")
    counts = np.asarray(expect_spectrum(material, instrument_of(summary.cube)).counts, dtype=float)
    shown = summary.cube.energy.positive
    mean = summary.total[shown].sum() / np.prod(summary.cube.map_shape)
    return ExpectedCurve(formula, counts * (mean / max(counts[shown].sum(), 1e-300)))
