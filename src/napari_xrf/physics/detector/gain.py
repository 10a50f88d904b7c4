"""Gain that differs over the field of an imaging detector, as in gas electron multipliers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput


def gain_field(
    map_shape: tuple[int, int], variation: float, correlation: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return a smooth random gain for each pixel, (Y, X), with mean 1.

    Parameters
    ----------
    map_shape
        (Y, X).
    variation
        Relative standard deviation over the field, 0 to 0.3; 0.05 to 0.1 is usual for gas electron
        multipliers, where the holes and gaps are not alike everywhere.
    correlation
        Pixels over which the gain stays alike, above 0.
    generator
        Where the chance comes from.

    Raises
    ------
    InvalidInput
        When a value is out of range.
    """
    from scipy.ndimage import gaussian_filter

    if not 0 <= variation <= 0.3:
        raise InvalidInput(f"the variation of the gain must be from 0 to 0.3, not {variation}")
    if not (math.isfinite(correlation) and correlation > 0):
        raise InvalidInput(f"the gain must stay alike over more than 0 pixels, not {correlation}")
    field = gaussian_filter(generator.standard_normal(map_shape), correlation / 2, mode="wrap")
    field -= field.mean()
    spread = field.std()
    if spread > 0:
        field *= variation / spread
    return np.asarray(1.0 + np.clip(field, -0.9, None))


def apply_gain(counts: ArrayLike, axis: EnergyAxis, gain: ArrayLike) -> NDArray[np.float64]:
    """Return spectra as they are read when energies are multiplied by a gain.

    Counts are conserved but for those that leave the axis.

    Parameters
    ----------
    counts
        (..., E) expected counts.
    axis
        Their energy axis.
    gain
        (...) one gain for each spectrum, above 0.

    Returns
    -------
    (..., E) expected counts.

    Raises
    ------
    InvalidInput
        When a gain is not above 0 or the shapes do not fit.
    """
    spectra = np.asarray(counts, dtype=np.float64)
    factors = np.asarray(gain, dtype=np.float64)
    if spectra.shape != (*factors.shape, axis.size):
        raise InvalidInput(f"gains of shape {factors.shape} do not fit counts of shape {spectra.shape}")
    if not np.all((factors > 0) & np.isfinite(factors)):
        raise InvalidInput("a gain must be a number above 0")
    below = np.zeros((*factors.shape, axis.size + 1))
    np.cumsum(spectra, axis=-1, out=below[..., 1:])
    # The counts read below an edge are those whose true energy lies below edge / gain.
    position = (axis.edges / factors[..., None] - axis.edges[0]) / axis.width
    position = np.clip(position, 0.0, axis.size)
    left = np.minimum(position.astype(np.intp), axis.size - 1)
    fraction = position - left
    low = np.take_along_axis(below, left, axis=-1)
    high = np.take_along_axis(below, left + 1, axis=-1)
    return np.asarray(np.diff(low + (high - low) * fraction, axis=-1))
