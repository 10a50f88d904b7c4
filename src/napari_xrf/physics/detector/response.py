"""The spectrum that a detector makes of photons: runs of channels near each line, running sums far below it.

A peak is a Gaussian with a short and a long exponential tail and a flat shelf towards low energies, the
hypermet function of Phillips & Marlow, Nucl. Instrum. Methods 137 (1976) 525. Counts are differences of the
cumulative shape at channel edges, so that none are lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats

SIGMAS = 5.0  # a Gaussian cut here has lost 6e-7 of its counts
NARROWEST_TAIL = 1 / 5  # of sigma: narrower ones are the Gaussian itself
_NOTHING = 1e-18
_BLOCK = 32  # channels
_SPARSE = 4  # rows that share more of the energies than this are mixed as matrices
# Sigmas, and tabulated places in each.
_LOWEST, _HIGHEST, _PLACES = -7.0, SIGMAS + 1 + 1 / NARROWEST_TAIL, 128


@dataclass(frozen=True, eq=False)
class _Photons:
    """Rows of photons of N energies, and where there are any: few, where rows are families of lines."""

    values: Floats  # (B, N)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.values)

    @property
    def are_many(self) -> bool:
        """Whether rows share more of the energies than it pays to look for."""
        return bool(self._some[0].size > _SPARSE * self.values.shape[1])

    def binned(self, photon: NDArray[np.intp], counts: Floats, places: NDArray[np.intp], size: int) -> Floats:
        """Return the sums in places, (B, size), of what photons make; D things as in :meth:`making`.

        ``counts``: (D,) of each thing for one photon. ``places``: (D,) where it is.
        """
        if self.are_many:
            rows = [np.bincount(places, row, size) for row in self.values[:, photon] * counts]
            return np.stack(rows).astype(np.float64, copy=False)
        row, made, number = self.making(photon)
        summed = np.bincount(row * size + places[made], number * counts[made], self.rows * size)
        return summed.astype(np.float64, copy=False).reshape(self.rows, size)

    @cached_property
    def _some(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.divmod(np.flatnonzero(self.values != 0), max(self.values.shape[1], 1))

    def making(self, photon: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return, for each thing that a row's photons make: row, which of D it is, and how many photons.

        ``photon``: (D,) which of the N energies makes each thing.
        """
        rows, at = self._some
        each = np.bincount(photon, minlength=self.values.shape[1])
        lengths = each[at]
        made = np.argsort(photon, kind="stable")[_runs_of((np.cumsum(each) - each)[at], lengths)]
        return np.repeat(rows, lengths), made, np.repeat(self.values[rows, at], lengths)


@dataclass(frozen=True, eq=False)
class Decay:
    """Counts that fall from a top channel downwards by the same factor from channel to channel."""

    factor: float  # from one channel to the next below, above 0 to 1; 1 is flat and ends at 0 keV
    photon: NDArray[np.intp]  # (D,) which of the photon energies makes it
    top: NDArray[np.intp]  # (D,) the channel above the first that holds counts
    counts: Floats  # (D,) counts in that first channel per incident photon

    def fold(self, photons: _Photons, axis: EnergyAxis) -> Floats:
        """Return the spectra, (B, E), of B rows of photons."""
        top = np.clip(self.top, 0, axis.size)
        counts = self.counts * self.factor ** (self.top - top)
        # Padded above to whole blocks; what begins above channel 0 holds nothing.
        size = axis.size + -axis.size % _BLOCK
        held = photons.binned(self.photon, counts, top, size + 1)[:, 1:]
        if self.factor < 1:
            return self._fallen(held)[:, : axis.size]
        falling = np.cumsum(held[:, ::-1], axis=1)[:, ::-1][:, : axis.size]
        return np.asarray(falling * np.diff(np.maximum(axis.edges, 0.0)) / axis.width)

    def _fallen(self, held: Floats) -> Floats:
        """Return what (B, E) counts become when each channel gives the factor of what it holds downwards.

        Within blocks of channels by a matrix, and from the lowest channel of each block to all of the next.
        """
        at = np.arange(_BLOCK)
        within = np.tril(self.factor ** np.maximum(at[:, None] - at, 0))
        blocks = held.reshape(len(held), -1, _BLOCK) @ within
        lowest, reach, factor = blocks[:, :, 0].copy(), 1, self.factor**_BLOCK
        # Each block passes on its own and the factor times what those above pass on, which pass on …
        while reach < lowest.shape[1] and factor > _NOTHING:
            lowest[:, :-reach] += factor * lowest[:, reach:]
            reach, factor = 2 * reach, factor**2
        blocks[:, :-1] += lowest[:, 1:, None] * self.factor ** (_BLOCK - at)
        return np.asarray(blocks.reshape(len(held), -1))


@dataclass(frozen=True, eq=False)
class Runs:
    """P rows of E channels that are empty but for a run of each."""

    counts: Floats  # the counts of all runs, one after the other
    # starts, lengths: (P,) first channel and number of channels of each run
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    size: int  # E

    @cached_property
    def channels(self) -> NDArray[np.intp]:
        """The channel of each of the counts."""
        return _runs_of(self.starts, self.lengths)

    def mix(self, photons: _Photons, photon: NDArray[np.intp], weight: Floats) -> Floats:
        """Return the spectra, (B, E), of B rows of photons that make these peaks.

        ``photon``, ``weight``: (P,) which of the N photons makes each, and its counts for one.
        """
        if photons.are_many:
            return np.asarray((photons.values[:, photon] * weight) @ self._sparse)
        rows, peaks, number = photons.making(photon)
        lengths = self.lengths[peaks]
        place = _runs_of((np.cumsum(self.lengths) - self.lengths)[peaks], lengths)
        channels = self.channels[place] + np.repeat(rows * self.size, lengths)
        counts = self.counts[place] * np.repeat(number * weight[peaks], lengths)
        mixed = np.bincount(channels, counts, photons.rows * self.size)
        return mixed.astype(np.float64, copy=False).reshape(photons.rows, -1)

    @cached_property
    def _sparse(self) -> Any:
        from scipy.sparse import csr_array

        begins = np.concatenate([[0], np.cumsum(self.lengths)])
        return csr_array((self.counts, self.channels, begins), shape=(self.lengths.size, self.size))


@dataclass(frozen=True, eq=False)
class DetectorResponse:
    """What a detector makes of photons of N energies on an energy axis."""

    axis: EnergyAxis  # the energy axis of the spectra
    size: int  # N
    near: Runs  # each of P peaks near its line, for one count
    # photon, weight: (P,) which of the N energies makes the peak, and its counts per incident photon
    photon: NDArray[np.intp]
    weight: Floats
    # What peaks hold further below: tails, shelves, and the recoil of Compton electrons
    decays: tuple[Decay, ...]
    counted: NDArray[np.bool_]  # (E,) which channels lie above the detector's threshold

    def fold(self, intensities: ArrayLike) -> Floats:
        """Return the expected spectra, (..., E), of (..., N) incident photons.

        Raises InvalidInput when there is not one intensity for each energy.
        """
        photons = np.asarray(intensities, dtype=np.float64)
        if photons.shape[-1:] != (self.size,):
            raise InvalidInput(f"intensities of shape {photons.shape} do not fit {self.size} energies")
        flat = _Photons(photons.reshape(-1, self.size))
        spectra = self.near.mix(flat, self.photon, self.weight)
        for decay in self.decays:
            spectra += decay.fold(flat, self.axis)
        spectra *= self.counted
        return spectra.reshape(*photons.shape[:-1], self.axis.size)


def _runs_of(starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of runs with these starts and lengths, one run after the other."""
    begins = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - begins, lengths))


def peak_response(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: Floats
) -> tuple[Runs, tuple[Decay, ...]]:
    """Return the near part of P peaks and what they hold below; the rest as in :class:`DetectorResponse`."""
    first = axis.channel(peaks.lowest)
    starts, stops = np.clip(first, 0, axis.size), np.clip(axis.channel(peaks.highest) + 1, 0, axis.size)
    counts = fill_peaks(peaks, starts, stops - starts, (axis.offset, axis.width))
    near = Runs(counts, starts, stops - starts, axis.size)
    return near, _far(axis, peaks, photon, weight, first)


def together(decays: Iterable[Decay]) -> tuple[Decay, ...]:
    """Return the decays with those of the same factor joined in one, which is quicker to fold."""
    alike: dict[float, list[Decay]] = {}
    for decay in decays:
        alike.setdefault(decay.factor, []).append(decay)
    return tuple(
        Decay(
            factor,
            np.concatenate([decay.photon for decay in group]),
            np.concatenate([decay.top for decay in group]),
            np.concatenate([decay.counts for decay in group]),
        )
        for factor, group in alike.items()
    )


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of one photon each."""

    energies: Floats  # (P,) keV, above 0
    sigmas: Floats  # (P,) standard deviations of the resolution, keV
    tails: Floats  # (2, P) parts of each peak in its short and its long tail
    # Decay lengths of the two tails, keV: they fall as exp(distance / width)
    tail_widths: tuple[float, float]
    shelves: Floats  # (P,) parts of each peak in its shelf, flat from 0 keV to the line

    @property
    def lowest(self) -> Floats:
        """(P,) keV: below it only the exponentials and the flat are left of a peak."""
        widths = np.array(self.tail_widths)[:, None]
        ratios = np.where(self.tails > 0, np.minimum(self.sigmas / widths, 1 / NARROWEST_TAIL), 0.0)
        return np.asarray(self.energies - self.sigmas * (SIGMAS + ratios.max(axis=0)))

    @property
    def highest(self) -> Floats:
        """(P,) keV: above it nothing is left."""
        return self.energies + SIGMAS * self.sigmas


def tails_below(peaks: Peaks, edges: Floats) -> Floats:
    """Return what each tail holds below an energy not above :attr:`Peaks.lowest`, (2, P)."""
    widths = np.maximum(np.array(peaks.tail_widths)[:, None], peaks.sigmas * NARROWEST_TAIL)
    exponents = (edges - peaks.energies) / widths + 0.5 * (peaks.sigmas / widths) ** 2
    return np.asarray(peaks.tails * np.exp(np.minimum(exponents, 0.0)))


def fill_peaks(
    peaks: Peaks, starts: NDArray[np.intp], lengths: NDArray[np.intp], axis: tuple[float, float]
) -> Floats:
    """Return the counts of each peak in a run of channels, all runs one after the other.

    ``peaks``: P peaks. ``starts``, ``lengths``: (P,) first channel and number of channels of each run.
    ``axis``: offset and channel width of the energy axis, keV.
    """
    edges = lengths + 1
    begins = np.cumsum(edges) - edges
    widths = axis[1] / peaks.sigmas
    first = (axis[0] + axis[1] * (starts - 0.5) - peaks.energies) / peaks.sigmas - widths * begins
    position = np.repeat(widths, edges) * np.arange(int(edges.sum())) + np.repeat(first, edges)
    np.minimum(position, SIGMAS + 1, out=position)  # nothing is left above
    gaussian = normal_above(-position)
    below = np.repeat(1 - peaks.shelves, edges) * gaussian
    tail_widths = np.maximum(np.array(peaks.tail_widths)[:, None], peaks.sigmas * NARROWEST_TAIL)
    for held, ratios in zip(peaks.tails, peaks.sigmas / tail_widths, strict=True):
        some, (held, ratio) = _of_channels(held > 0, edges, held * np.exp(0.5 * ratios**2), ratios)
        below[some] += held * np.exp(ratio * position[some]) * normal_above(position[some] + ratio)
    has_shelf = peaks.shelves > 0
    some, (shelf, wide) = _of_channels(has_shelf, edges, peaks.shelves, peaks.sigmas / peaks.energies)
    at = position[some]
    blurred = at * gaussian[some] + np.exp(-0.5 * at**2) / math.sqrt(2 * math.pi)
    below[some] += shelf * (np.maximum(at * wide + 1, 0.0) - wide * blurred)
    # The step from a run's last edge to the next run's first is no channel.
    return np.maximum(np.delete(np.diff(below), begins[1:] - 1), 0.0)


def normal_above(position: Floats) -> Floats:
    """Return the part of a normal distribution above positions from -7 to 11, in standard deviations.

    By Taylor series about tabulated places, to 4e-12 of the value: three times the error of single places,
    but neither compiled code nor all of SciPy has to be loaded for it.
    """
    places = (position - _LOWEST) * _PLACES
    nearest = np.rint(places)
    distance = (places - nearest) / _PLACES
    index = np.clip(nearest.astype(np.intp), 0, _normal_series().shape[1] - 1)
    *lower, total = np.take(_normal_series(), index, axis=1)  # twice as quick as row[index] of each
    for term in reversed(lower):
        total *= distance
        total += term
    return total


def _of_channels(
    chosen: NDArray[np.bool_], edges: NDArray[np.intp], *values: Floats
) -> tuple[slice | NDArray[np.bool_], list[Floats]]:
    """Return where the edges of chosen peaks are, and there the values (P,) of their peaks."""
    where = slice(None) if chosen.all() else np.repeat(chosen, edges)
    return where, [np.repeat(value[chosen], edges[chosen]) for value in values]


@cache
def _normal_series() -> Floats:
    """Terms of the Taylor series of the normal distribution's upper part, (6, places)."""
    at = np.arange(_LOWEST, _HIGHEST + 0.5 / _PLACES, 1 / _PLACES)
    above = np.array([0.5 * math.erfc(x / math.sqrt(2)) for x in at])
    density = np.exp(-0.5 * at**2) / math.sqrt(2 * math.pi)
    hermite = (np.ones_like(at), at, at**2 - 1, at**3 - 3 * at, at**4 - 6 * at**2 + 3)
    slopes = [(-1) ** (n + 1) * density * term / math.factorial(n + 1) for n, term in enumerate(hermite)]
    return np.array([above, *slopes])


def _far(
    axis: EnergyAxis, peaks: Peaks, photon: NDArray[np.intp], weight: Floats, first: NDArray[np.intp]
) -> tuple[Decay, ...]:
    decays = []
    below = tails_below(peaks, axis.energy(first - 0.5))
    for held, width in zip(below, peaks.tail_widths, strict=True):
        some = np.flatnonzero(held > 0)
        if some.size:
            factor = math.exp(-axis.width / width)
            decays.append(Decay(factor, photon[some], first[some], (weight * held)[some] * (1 - factor)))
    some = np.flatnonzero(peaks.shelves > 0)
    if some.size:
        flat = weight * peaks.shelves / peaks.energies * axis.width
        decays.append(Decay(1.0, photon[some], first[some], flat[some]))
    return tuple(decays)
