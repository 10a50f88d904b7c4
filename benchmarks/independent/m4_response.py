"""A silicon drift detector's response as a sparse matrix: peak, tail, shelf and escape peak."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent.cross_sections import photoabsorption
from benchmarks.independent.presets import energy_axis, sigma
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import erf, erfcx

_SILICON_EDGE = 1.839
_SILICON_KA = 1.740
_SILICON = 2.33
_REACH = 6.0
_SHELF_FROM = 0.2


def respond(
    preset: Mapping[str, Any], photons: NDArray[np.float64], width_factor: float = 1.0
) -> NDArray[np.float64]:
    """Return expected counts (..., E) of photons (..., E) that are stopped at the energies of the channels.

    Parameters
    ----------
    width_factor
        Width of the peaks as a multiple of the detector's.
    """
    axis = energy_axis(preset)
    energies = axis.energies
    detector = preset["detector"]
    width, edges = width_factor * sigma(preset, energies), axis.edges
    peaks, tails = _shapes(edges.tobytes(), energies.tobytes(), width.tobytes(), detector["tail_width_kev"])
    good = energies > _SHELF_FROM
    silicon = photoabsorption({"Si": 1.0}, np.maximum(energies, 0.1)) * _SILICON * 1e-4  # per µm
    # Charge from the entrance of the crystal is collected in part.
    tail = detector["tail_fraction"] + silicon * detector["long_tail_depth_um"]
    shelf = detector["shelf_fraction"] + silicon * detector["shelf_depth_um"]
    escape = _escape(energies)
    peak = np.where(good, 1 - escape - shelf - tail, 0.0)
    light = photons * good
    counts = (light * peak) @ peaks
    counts += (light * tail * good) @ tails
    counts += _shelves(light * shelf, energies)
    lower = np.rint(_SILICON_KA / axis.width).astype(int)
    moved = np.zeros_like(light)
    moved[..., :-lower] = (light * escape)[..., lower:]
    counts += moved @ peaks
    return np.where(energies < detector.get("threshold_kev", 0.0), 0.0, counts)


@lru_cache(maxsize=8)
def _shapes(edges: bytes, energies: bytes, width: bytes, length: float) -> tuple[sparse.csr_matrix, ...]:
    """Return the matrices of peaks and tails, kept between spectra of one instrument."""
    at, between, wide = (np.frombuffer(values) for values in (energies, edges, width))
    return _peaks(between, at, wide), _tails(between, at, wide, length)


def _escape(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the escape's share at normal incidence (Reed & Ware, J. Phys. E 5 (1972) 582)."""
    grid = np.maximum(energies, _SILICON_EDGE)
    ratio = photoabsorption({"Si": 1.0}, np.array([_SILICON_KA]))[0] / photoabsorption({"Si": 1.0}, grid)
    share = 0.5 * xraylib.FluorYield(14, xraylib.K_SHELL) * 0.92 * (1 - ratio * np.log1p(1 / ratio))
    return np.where(energies > _SILICON_EDGE, share, 0.0)


def _peaks(
    edges: NDArray[np.float64], energies: NDArray[np.float64], width: NDArray[np.float64]
) -> sparse.csr_matrix:
    return _matrix(
        edges, energies, _REACH * width, _REACH * width, lambda x, s: 0.5 * erf(x / s / np.sqrt(2)), width
    )


def _tails(
    edges: NDArray[np.float64], energies: NDArray[np.float64], width: NDArray[np.float64], length: float
) -> sparse.csr_matrix:
    def below(x: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
        # Counts below x of an exponential to the left, folded with a Gaussian.
        argument = x / s / np.sqrt(2) + s / length / np.sqrt(2)
        folded = np.where(
            argument > 0,
            np.exp(-0.5 * (x / s) ** 2) * erfcx(np.maximum(argument, 0)),
            2 * np.exp(np.minimum(x / length + 0.5 * (s / length) ** 2, 50))
            - np.exp(-0.5 * (x / s) ** 2) * erfcx(np.maximum(-argument, 0)),
        )
        return 0.5 * erf(x / s / np.sqrt(2)) + 0.5 * folded

    return _matrix(edges, energies, 8 * length + _REACH * width, _REACH * width, below, width)


def _matrix(
    edges: NDArray[np.float64],
    energies: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    below: Any,
    width: NDArray[np.float64],
) -> sparse.csr_matrix:
    """Return the shares of each photon's channel (row) that fall into the channels (columns)."""
    rows, columns, values = [], [], []
    for row, energy in enumerate(energies):
        first = max(int(np.searchsorted(edges, energy - left[row])) - 1, 0)
        last = min(int(np.searchsorted(edges, energy + right[row])) + 1, len(edges) - 1)
        shares = np.diff(below(edges[first : last + 1] - energy, width[row]))
        rows.append(np.full(len(shares), row))
        columns.append(np.arange(first, last))
        values.append(shares)
    size = len(energies)
    table = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(table, shape=(size, size))


def _shelves(counts: NDArray[np.float64], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread counts evenly from 0.2 keV up to their energies."""
    channels = np.maximum(np.cumsum(energies > _SHELF_FROM), 1)
    density = counts / channels
    return np.where(energies > _SHELF_FROM, np.cumsum(density[..., ::-1], axis=-1)[..., ::-1], 0.0)
