"""Batches of distorted spectra, expected or counted, made spectrum by spectrum within a core's cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.coarse_bins import MARGIN
from napari_xrf.synthesis.distortion_values import (
    DetectorTables,
    DistortionValues,
    FwhmOfEnergy,
    detector_tables,
)
from napari_xrf.synthesis.distortions import distort_one, distortion_steps, largest_addition
from napari_xrf.synthesis.drawn_counts import DrawnCounts
from napari_xrf.synthesis.sampling import count_dtype, fill_counts, over_threads, stream_key
from napari_xrf.synthesis.spectrum_kernels import FAST, TAPS, reach_of

_MOST_STRETCH = 1.25  # a gain of -0.2 crowds the counts of a channel by so much


class Mixture(NamedTuple):
    """Spectra as sums of some: ``shares @ spectra``."""

    shares: NDArray[np.float32]  # (N, K) float32
    spectra: NDArray[np.float32]  # (K, E) float32


def distort(
    spectra: NDArray[np.floating],
    axis: EnergyAxis,
    values: DistortionValues,
    fwhm: FwhmOfEnergy | None = None,
) -> NDArray[np.float32]:
    """Apply distortions to expected spectra.

    In the order of a measurement: photons are added (continuum, Bragg and noise peaks), the detector
    moves some to lower energies (shelf, tail), pulses pile up, are broadened, recorded at the distorted
    energies, and some are lost to dead time.

    Raises InvalidInput when shapes do not fit, or the detector's width is needed and missing.

    ``spectra``: (N, E) expected counts; they set the rate that pile-up and dead time follow. ``axis``: their
    energies. ``values``: for N spectra. ``fwhm``: function that gives the FWHM of the detector in keV at
    energies in keV; needed for Bragg and zero peaks and for ``width_factor``.

    Returns
    -------
    (N, E) expected counts. Counts are conserved by shelf, tail, broadening and calibration except for
    those that leave the axis.
    """
    if spectra.ndim != 2 or spectra.shape[1] != axis.size:
        raise InvalidInput(f"spectra of shape {spectra.shape} do not fit an axis of {axis.size}")
    result = np.array(spectra, dtype=np.float32, order="C")
    tables = detector_tables(axis, fwhm)
    steps = distortion_steps(tables, values, fwhm, len(result))
    over_threads(len(result), lambda part: _distort(result, part.start, part.stop, tables, steps))
    return result


def expect_spectra(
    mixture: Mixture, rows: NDArray[np.intp], tables: DetectorTables | None = None, steps: Any = None
) -> NDArray[np.float32]:
    """Return expected spectra (len(rows), E) of rows of a mixture, distorted where steps are given."""
    expected = np.empty((len(rows), mixture.spectra.shape[1]), dtype=np.float32)

    def work(part: slice) -> None:
        _expect(mixture, rows[part], tables, steps, expected[part])

    over_threads(len(rows), work)
    return expected


def draw_spectra(
    mixture: Mixture,
    rows: NDArray[np.intp],
    seed: int,
    counts: NDArray[np.unsignedinteger[Any]],
    tables: DetectorTables | None = None,
    steps: Any = None,
) -> None:
    """Fill ``counts`` (len(rows), E) with Poisson counts of :func:`expect_spectra`, keyed by seed and row.

    They are those of :func:`~napari_xrf.synthesis.sampling.draw_poisson`, but the expected spectra are never
    stored.
    """
    start = np.uint64(seed & (2**64 - 1))

    def work(part: slice) -> None:
        _draw(mixture, rows[part], start, tables, steps, counts[part])

    over_threads(len(rows), work)


@dataclass(frozen=True, eq=False)
class MineralCounts:
    """What decides the counts of each pixel."""

    abundances: NDArray[np.float32]  # (Y, X, K) share of each material in each pixel
    spectra: NDArray[np.float32]  # (K, E) expected counts of a pixel that holds one material only
    energy: EnergyAxis  # the axis of the spectra
    seed: int  # decides the counts, together with the pixel and the channel
    distortions: DistortionValues | None = None  # values for Y·X spectra, row by row, or None
    fwhm: FwhmOfEnergy | None = None  # width of the detector's peaks, keV at keV; needed by some distortions

    def expected(self, pixels: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the expected counts (N, E) of pixels numbered row by row."""
        return expect_spectra(self._mixture, pixels, *self._distortion)

    def distorted(self, values: DistortionValues | None, seed: int | None = None) -> MineralCounts:
        """Return the same map with other distortions, and with other noise when a seed is given."""
        return replace(self, distortions=values, seed=self.seed if seed is None else seed)

    def drawn(self) -> DrawnCounts:
        """Return the Poisson counts of the map."""
        rows, columns, _ = self.abundances.shape
        dtype = self._dtype()

        def draw(pixels: NDArray[np.intp]) -> NDArray[np.unsignedinteger[Any]]:
            counts = np.empty((len(pixels), self.energy.size), dtype=dtype)
            draw_spectra(self._mixture, pixels, self.seed, counts, *self._distortion)
            return counts

        return DrawnCounts((rows, columns, self.energy.size), np.dtype(dtype), draw)

    def undrawn(self) -> DrawnCounts:
        """Return the expected counts of the map, float32."""
        rows, columns, _ = self.abundances.shape
        return DrawnCounts((rows, columns, self.energy.size), np.dtype(np.float32), self.expected)

    @cached_property
    def _mixture(self) -> Mixture:
        shares = self.abundances.reshape(-1, self.abundances.shape[2])
        return Mixture(np.ascontiguousarray(shares), np.ascontiguousarray(self.spectra))

    @cached_property
    def _distortion(self) -> tuple[DetectorTables | None, Any]:
        if self.distortions is None:
            return None, None
        tables = detector_tables(self.energy, self.fwhm)
        return tables, distortion_steps(tables, self.distortions, self.fwhm, len(self._mixture.shares))

    def _dtype(self) -> type[np.unsignedinteger[Any]]:
        largest = float(self.spectra.max(initial=0.0))
        if self.distortions is not None:
            # Added peaks may fall into one channel; pile-up never lifts the highest one.
            total = float(self.spectra.sum(axis=1).max(initial=0.0))
            largest = _MOST_STRETCH * (largest + total * largest_addition(self.distortions))
        return count_dtype(largest)


class Workspace(NamedTuple):
    """Arrays that :func:`~napari_xrf.synthesis.distortions.distort_one` uses again for each spectrum."""

    bins: NDArray[np.float32]
    lost: NDArray[np.float32]
    sums: NDArray[np.float32]
    restored: NDArray[np.float32]
    kernel: NDArray[np.float32]
    run: NDArray[np.float32]
    spread: NDArray[np.float32]


@compiled()
def _make_workspace(channels, tables, widest):  # type: ignore[no-untyped-def]  # compiled
    """Return the arrays that one thread needs."""
    bins = tables.bins
    below = max(-bins.sum_first.min(), 0)
    above = max(bins.pairs, bins.size + bins.sum_first.max() + TAPS)
    margin = reach_of(widest) + 2 * TAPS
    return Workspace(
        np.zeros(bins.size + 3 * TAPS, np.float32),
        np.zeros(bins.size + 2 * MARGIN, np.float32),
        np.zeros(below + above, np.float32),
        np.zeros((bins.ratio, bins.size), np.float32),
        np.zeros(2 * margin, np.float32),
        np.zeros(channels + 2 * TAPS, np.float32),
        np.zeros(channels + 2 * margin, np.float32),
    )


@compiled(fastmath=FAST)
def _mix(mixture, row, spectrum):  # type: ignore[no-untyped-def]  # compiled
    spectrum[:] = np.float32(0.0)
    for part in range(mixture.shares.shape[1]):
        share = mixture.shares[row, part]
        if share != 0.0:
            of_part = mixture.spectra[part]
            for channel in range(spectrum.shape[0]):
                spectrum[channel] += share * of_part[channel]


@compiled()
def _distort(spectra, start, stop, tables, steps):  # type: ignore[no-untyped-def]  # compiled
    work = _make_workspace(spectra.shape[1], tables, steps.widest)
    for row in range(start, stop):
        distort_one(spectra[row], tables, steps, row, work)


@compiled()
def _expect(mixture, rows, tables, steps, expected):  # type: ignore[no-untyped-def]  # compiled
    if steps is not None:
        work = _make_workspace(expected.shape[1], tables, steps.widest)
    for index in range(rows.shape[0]):
        _mix(mixture, rows[index], expected[index])
        if steps is not None:
            distort_one(expected[index], tables, steps, rows[index], work)


@compiled()
def _draw(mixture, rows, seed, tables, steps, counts):  # type: ignore[no-untyped-def]  # compiled
    spectrum = np.empty(counts.shape[1], np.float32)
    if steps is not None:
        work = _make_workspace(counts.shape[1], tables, steps.widest)
    for index in range(rows.shape[0]):
        row = rows[index]
        _mix(mixture, row, spectrum)
        if steps is not None:
            distort_one(spectrum, tables, steps, row, work)
        fill_counts(spectrum, stream_key(seed, np.uint64(row)), counts[index])
