"""Spectra of 2048 channels of 20 eV pooled to bins of a part of a peak's width, with what stands out in them.

What stands above its sides, in standard errors, is an input beside the spectrum's shape: a trace's peak is a
thousandth of the highest one, and as sure.
"""

import numpy as np
import torch
from torch import Tensor, nn

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.conditions import CONDITIONS
from napari_xrf.learning.networks.layers import centred

_POOLED = ((340, 1), (452, 2), (201, 4))  # bins, and channels of 20 eV in each: up to 6.8, 24.9 and 41 keV
_PEAKS = ((3, 3, 4), (5, 3, 7))  # bins of a peak and of either side, and how far the sides' middles lie
_SYSTEMATIC = 0.02  # of what lies under a peak: what no model of a continuum gets better
_STRONGEST = 4.0  # asinh of standard errors that counts as one
_BINS = sum(number for number, _ in _POOLED)


class PooledSpectra(nn.Module):
    """Spectrum and conditions (N, E + C), and dose → numbers for a perceptron, (N, :attr:`size`)."""

    size = _BINS * (1 + len(_PEAKS)) + len(CONDITIONS) + 1

    def __init__(self, axis: EnergyAxis) -> None:
        super().__init__()
        self.channels = axis.size
        if sum(number * width for number, width in _POOLED) != self.channels:
            raise InvalidInput(f"the network takes 2048 channels of 20 eV, not {self.channels}")
        widths = torch.cat([torch.full((number,), float(width)) for number, width in _POOLED])
        self.register_buffer("widths", widths, persistent=False)

    def forward(self, spectra: Tensor, dose: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the perceptron takes, and the shares of the counts in each bin, (N, B)."""
        with torch.autocast(spectra.device.type, enabled=False):  # weak peaks need all digits
            return self._pooled(spectra.float(), dose.float())

    def _pooled(self, spectra: Tensor, dose: Tensor) -> tuple[Tensor, Tensor]:
        counted, told = spectra[:, : self.channels], spectra[:, self.channels :]
        powers, parts, begin = counted**2, [], 0
        for number, width in _POOLED:
            part = powers[:, begin : begin + number * width]
            parts.append(part.unflatten(1, (number, width)).sum(dim=2))
            begin += number * width
        pooled = torch.cat(parts, dim=1) / self.channels
        density = pooled * 10 ** dose[:, None] / self.widths
        seen = [_standing_out(density, self.widths, *peak) for peak in _PEAKS]
        known = torch.cat([told, centred(dose)], dim=1)
        shape = torch.sqrt(pooled / self.widths * self.channels)
        return torch.cat([shape, *seen, known], dim=1), pooled


def bin_edges(axis: EnergyAxis) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the edges of the bins (B + 1,) in keV."""
    firsts = np.concatenate([[0], np.cumsum([width for number, width in _POOLED for _ in range(number)])])
    return np.asarray(axis.edges[firsts])


def _standing_out(density: Tensor, widths: Tensor, peak: int, side: int, away: int) -> Tensor:
    """Return by how many standard errors bins stand above their sides, compressed, (N, B)."""
    under = _beside(density, side, away)
    variance = peak * _mean_over(density / widths, peak) + peak**2 / (2 * side) * _beside(
        density / widths, side, away
    )
    height = peak * (_mean_over(density, peak) - under)
    error = torch.sqrt(variance + (_SYSTEMATIC * peak * under) ** 2 + 1)
    return torch.asinh(height / error) / _STRONGEST


def _mean_over(values: Tensor, bins: int) -> Tensor:
    filled = nn.functional.pad(values[:, None], (bins // 2, bins - 1 - bins // 2), mode="replicate")
    return nn.functional.avg_pool1d(filled, bins, stride=1)[:, 0]


def _beside(values: Tensor, side: int, away: int) -> Tensor:
    """Return the mean over both sides of each bin."""
    means = nn.functional.pad(_mean_over(values, side)[:, None], (away, away), mode="replicate")[:, 0]
    return (means[:, : -2 * away] + means[:, 2 * away :]) / 2
