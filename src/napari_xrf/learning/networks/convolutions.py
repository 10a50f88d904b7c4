"""The convolutions that the mineral networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_xrf.learning.networks.layers import activation, centred


class SpectrumConvolutions(nn.Module):
    """Strided convolutions from a spectrum (N, E) to features along the energy (N, C, P).

    The first one sees a peak's width at full resolution; each later one halves the length. Where a peak lies
    tells the element, so a second input channel holds the energy.
    """

    def __init__(
        self, channels: int, widths: tuple[int, ...], first_kernel: int, first_stride: int, name: str
    ) -> None:
        super().__init__()
        self.register_buffer("position", torch.linspace(-1, 1, channels)[None, None], persistent=False)
        blocks: list[nn.Module] = []
        before, kernel, stride = 2, first_kernel, first_stride
        for width in widths:
            blocks += [
                nn.Conv1d(before, width, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                activation(name),
            ]
            before, kernel, stride = width, 5, 2
        self.blocks = nn.Sequential(*blocks)
        length = channels
        kernel, stride = first_kernel, first_stride
        for _ in widths:
            length = (length + 2 * (kernel // 2) - kernel) // stride + 1
            kernel, stride = 5, 2
        self.length, self.width = length, widths[-1]

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the features."""
        lines = spectra[:, None]
        found: Tensor = self.blocks(torch.cat([lines, self.position.expand(len(lines), -1, -1)], dim=1))
        return found


class MineralHead(nn.Module):
    """Logits (N, K + 1) from features (N, D) and the dose; the last one is "unknown"."""

    def __init__(self, inputs: int, hidden: int, names: int, dropout: float, name: str) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(inputs + 1, hidden), activation(name), nn.Dropout(dropout)
        )
        self.logits = nn.Linear(hidden, names + 1)

    def features(self, found: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer, (N, hidden)."""
        hidden: Tensor = self.hidden(torch.cat([found, centred(dose)], dim=1))
        return hidden
