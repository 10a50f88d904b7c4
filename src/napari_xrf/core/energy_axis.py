"""The energy axis of a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True)
class EnergyAxis:
    """A linear energy axis; channel ``i`` collects energies around ``offset + i * width``.

    Parameters
    ----------
    offset
        Energy of the centre of channel 0, keV; may be negative.
    width
        Energy per channel, keV, above zero.
    size
        Number of channels, at least 1.

    Raises
    ------
    InvalidInput
        When the width is not above zero, the size below 1, or a value not finite.
    """

    offset: float
    width: float
    size: int

    def __post_init__(self) -> None:
        try:
            finite = all(map(math.isfinite, (self.offset, self.width, self.size)))
        except TypeError:
            raise InvalidInput("an energy axis is made of numbers", "Give offset, width and size") from None
        if not finite:
            raise InvalidInput(f"energy axis {self.offset} + {self.width}·channel is not finite")
        if self.width <= 0:
            raise InvalidInput(f"energy per channel must be above 0 keV, not {self.width}")
        if self.size < 1 or self.size % 1:
            raise InvalidInput(f"an energy axis needs a whole number of channels above 0, not {self.size}")

    def __str__(self) -> str:
        last = self.offset + self.width * (self.size - 1)
        return f"{self.size} channels from {self.offset:.3g} to {last:.4g} keV"

    @cached_property
    def energies(self) -> NDArray[np.float64]:
        """Channel centres, (E,) keV."""
        return np.asarray(self.offset + self.width * np.arange(self.size), dtype=np.float64)

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Channel edges, (E + 1,) keV."""
        return np.asarray(self.offset + self.width * (np.arange(self.size + 1) - 0.5), dtype=np.float64)

    def energy(self, channel: ArrayLike) -> NDArray[np.float64]:
        """Return the energy in keV at a channel, whole or fractional."""
        return np.asarray(channel, dtype=np.float64) * self.width + self.offset

    def channel(self, energy: ArrayLike) -> NDArray[np.intp]:
        """Return the channel whose bin holds an energy in keV; outside the axis it lies outside 0..size-1."""
        position = (np.asarray(energy, dtype=np.float64) - self.offset) / self.width
        return np.floor(position + 0.5).astype(np.intp)

    def window(self, low: float, high: float) -> slice:
        """Return the slice of the channels whose centres lie in ``[low, high]`` keV; empty if none does."""
        # The slack keeps a centre that equals a bound inside, whatever the rounding.
        slack = 1e-9 * self.width
        first, last = self.energies[0], self.energies[-1]
        start = math.ceil((min(max(low, first), last + self.width) - slack - self.offset) / self.width)
        stop = math.floor((max(min(high, last), first - self.width) + slack - self.offset) / self.width) + 1
        start = min(max(start, 0), self.size)
        return slice(start, min(max(stop, start), self.size))

    @property
    def positive(self) -> slice:
        """The channels whose centres lie above 0 keV: the ones that sums and fits use."""
        return self.window(0.5e-6, math.inf) if self.offset <= 0 else slice(0, self.size)

    def rebin(self, counts: ArrayLike, other: EnergyAxis) -> NDArray[np.float64]:
        """Share the counts of this axis over another one by overlap of the bins.

        Parameters
        ----------
        counts
            (..., E) counts on this axis.
        other
            The axis to move to. Counts whose bins lie outside it are dropped; where it covers this
            axis the total is conserved.

        Returns
        -------
        (..., other.size) counts.

        Raises
        ------
        InvalidInput
            When the last axis of ``counts`` is not as long as this axis.
        """
        source = np.asarray(counts)
        if source.shape[-1] != self.size:
            raise InvalidInput(f"{source.shape[-1]} channels do not fit an axis of {self.size}")
        if other == self:
            return source.astype(np.float64)
        cumulative = np.zeros((*source.shape[:-1], self.size + 1))
        np.cumsum(source, axis=-1, out=cumulative[..., 1:])
        position = np.clip(self._position(other.edges), 0.0, self.size)
        left = np.minimum(position.astype(np.intp), self.size - 1)
        fraction = position - left
        at_edges = cumulative[..., left] * (1 - fraction) + cumulative[..., left + 1] * fraction
        return np.diff(at_edges, axis=-1)

    def _position(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many channels lie below energies, fractions too."""
        return np.asarray((energies - self.edges[0]) / self.width)


@dataclass(frozen=True)
class CurvedAxis(EnergyAxis):
    """An axis whose channels differ in width, as a file tells it; a map is moved to the even one when read.

    Offset and width are those of the straight line that lies nearest.
    """

    bounds: tuple[float, ...] = ()  # edges of the channels, rising, keV, one more than channels

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Channel edges, (E + 1,) keV."""
        return np.array(self.bounds)

    @property
    def even(self) -> EnergyAxis:
        """As many channels of one width from the first edge to the last."""
        width = (self.bounds[-1] - self.bounds[0]) / self.size
        return EnergyAxis(self.bounds[0] + width / 2, width, self.size)

    def _position(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(energies, self.edges, np.arange(self.size + 1.0))


def check_axis(energy: object) -> None:
    """Raise InvalidInput when what is given as a noun's energy axis is none."""
    if not isinstance(energy, EnergyAxis):
        raise InvalidInput(f"{energy!r} is no energy axis", "Give EnergyAxis(offset, width, size), in keV")
