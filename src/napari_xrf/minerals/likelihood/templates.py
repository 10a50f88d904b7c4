"""Expected spectra of minerals in energy bins as wide as the detector sees: what pixels are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.spectra.spectrum_model import softness
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import Mineral

# Channels beside the templates' peaks hold counts all the same: pile-up, trace elements, imperfect tails.
FLOOR = 0.01
_TINY = 1e-10
_AT_ONCE = 48  # spectra
BINS_PER_FWHM = 2.0  # finer bins tell nothing more about lines of known position


@dataclass(frozen=True, eq=False)
class EnergyBins:
    """Runs of whole channels of an energy axis, so that summed Poisson counts stay Poisson counts."""

    axis: EnergyAxis
    # starts, stops: (B,) rising channel numbers; bin b holds the channels starts[b] to stops[b] - 1
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(self.starts.size)

    @cached_property
    def energies(self) -> NDArray[np.float64]:
        """Centres of the bins, (B,) keV."""
        return self.axis.energy((self.starts + self.stops - 1) / 2)

    @cached_property
    def widths(self) -> NDArray[np.float64]:
        """Widths of the bins, (B,) keV."""
        return np.asarray((self.stops - self.starts) * self.axis.width)

    def sum(self, counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the counts per bin, (..., B), of spectra (..., E)."""
        below = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
        np.cumsum(counts, axis=-1, out=below[..., 1:])
        return np.asarray(below[..., self.stops] - below[..., self.starts])

    def without(self, windows: Iterable[tuple[float, float]]) -> EnergyBins:
        """Return the bins that do not touch any window of (low, high) keV."""
        low, high = self.axis.energy(self.starts - 0.5), self.axis.energy(self.stops - 0.5)
        kept = np.ones(self.size, dtype=bool)
        for bottom, top in windows:
            kept &= (high <= bottom) | (low >= top)
        return EnergyBins(self.axis, self.starts[kept], self.stops[kept])


def bins_at_resolution(axis: EnergyAxis, detector: Detector, low: float, high: float) -> EnergyBins:
    """Return bins of about half the detector's FWHM between two energies in keV.

    Raises InvalidInput when fewer than 8 channels of the axis lie between them.
    """
    window = axis.window(low, high)
    if window.stop - window.start < 8:
        raise InvalidInput(
            f"only {window.stop - window.start} channels lie between {low:.2f} and {high:.2f} keV",
            "Check the energy axis and the excitation of the map",
        )
    edges = [window.start]
    while edges[-1] < window.stop:
        fwhm = float(detector.fwhm(axis.energy(edges[-1])))
        edges.append(edges[-1] + max(1, round(fwhm / BINS_PER_FWHM / axis.width)))
    edges[-1] = window.stop
    return EnergyBins(axis, np.array(edges[:-1], dtype=np.intp), np.array(edges[1:], dtype=np.intp))


@dataclass(frozen=True, eq=False)
class Templates:
    """Expected spectra of T compositions in B energy bins, each of sum 1."""

    lines: NDArray[np.float64]  # (T, B) characteristic lines
    # (T, B) everything else: bremsstrahlung, scattered continuum and lines of the source
    continuum: NDArray[np.float64]
    owner: NDArray[np.intp]  # (T,) index of the mineral
    minerals: tuple[Mineral, ...]
    bins: EnergyBins
    totals: NDArray[np.float64]  # (T,) expected counts per unit of dose

    @property
    def size(self) -> int:
        """Number of compositions."""
        return int(self.owner.size)

    def spectra(self, continuum_factors: Sequence[float]) -> NDArray[np.float64]:
        """Return (T, H, B) spectra of sum 1 with the continuum multiplied by each factor.

        A flat floor of :data:`FLOOR` of the counts is mixed in, so that no bin expects nothing.
        """
        factors = np.asarray(continuum_factors, dtype=np.float64)
        mixed = self.lines[:, None, :] + factors[None, :, None] * self.continuum[:, None, :]
        mixed /= mixed.sum(axis=2, keepdims=True)
        return (1 - FLOOR) * mixed + FLOOR / self.bins.size

    def of_rows(self, rows: NDArray[np.intp]) -> Templates:
        """Return some of the compositions."""
        parts = {name: getattr(self, name)[rows] for name in ("lines", "continuum", "owner", "totals")}
        return replace(self, **parts)


def bin_errors(bins: EnergyBins, tolerance: float) -> NDArray[np.float64]:
    """Return the relative errors (B,) of expected spectra: ``tolerance``, more at low energies."""
    return np.asarray(tolerance * softness(bins.energies))


def expect_templates(
    minerals: Sequence[Mineral],
    instrument: Instrument,
    bins: EnergyBins,
    progress: Progress = ignore_progress,
    most: int | None = None,
) -> Templates:
    """Return the expected spectra of all compositions that span the minerals' ranges.

    Samples are taken as flat and infinitely thick. Compositions of which nothing can be seen in the bins
    are left out; a mineral may so lose all of its templates. Of a mineral at most ``most`` compositions are
    taken, its middle among them.
    """
    materials: dict[frozenset[tuple[str, float]], Material] = {}
    keys, owner = [], []
    for index, mineral in enumerate(minerals):
        for material in mineral.compositions(most):
            # Polymorphs share their spectrum.
            key = frozenset((element, round(part, 9)) for element, part in material.mass_fractions.items())
            materials.setdefault(key, material)
            keys.append(key)
            owner.append(index)
    place = {key: row for row, key in enumerate(materials)}
    rows = np.array([place[key] for key in keys], dtype=np.intp)
    lines, rest = _binned(list(materials.values()), instrument, bins, progress)
    totals = (lines + rest).sum(axis=1)
    seen = totals[rows] > 0
    rows = rows[seen]
    return Templates(
        lines[rows] / totals[rows, None],
        rest[rows] / totals[rows, None],
        np.array(owner, dtype=np.intp)[seen],
        tuple(minerals),
        bins,
        totals[rows],
    )


def _binned(
    materials: Sequence[Material], instrument: Instrument, bins: EnergyBins, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, B) lines and all else of materials, a few at a time."""
    from napari_xrf.physics.forward import expect_samples

    lines, rest = np.zeros((len(materials), bins.size)), np.zeros((len(materials), bins.size))
    for start in range(0, len(materials), _AT_ONCE):
        few = slice(start, start + _AT_ONCE)
        expected = expect_samples(materials[few], instrument, order=2)
        lines[few], rest[few] = bins.sum(expected.lines), bins.sum(expected.rest)
        progress(min(start + _AT_ONCE, len(materials)), len(materials), "computing expected spectra")
    return without_tiny(lines), without_tiny(rest)


def without_tiny(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return spectra without what is next to nothing: products of such numbers cost a hundredfold."""
    return np.where(spectra > _TINY * spectra.max(axis=-1, keepdims=True), spectra, 0.0)
