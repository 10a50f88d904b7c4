"""A sparse autoencoder with one unit per emission line: the architecture that "Privileged bases" proposes.

García-Avello Bofías et al. (EasyChair preprint, December 2024) argue that a code whose units are the emission
lines keeps features apart (Elhage et al., arXiv:2209.10652). Here the code is non-negative, the decoder's
column of a line is that line's shape, and what belongs to matter and instrument (axis, resolution, continuum)
lives in outer layers:

    spectrum → outer encoder → (code, instrument) → columns of the lines → outer decoder → spectrum
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks.layers import hidden_layers

_START_SIGMA_KEV = 0.1
_LEAST_SIGMA_KEV = 0.03


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    hidden
        Units of the encoder's hidden layers.
    depth
        Hidden layers of the encoder, each after the first added to the one before.
    instrument
        Numbers that describe axis, resolution and continuum.
    outer
        Units of the outer decoder's hidden layer.
    sparsity
        Weight of the code's mean, which keeps units at zero.
    supervised
        Weight of the lines' labels; 0 leaves the basis to reconstruction and sparsity.
    anchored
        Whether columns start as the lines' Gaussians and stay peaks of non-negative shape; without it the
        decoder is a free matrix and the code's units mean nothing: the comparison of monosemanticity.
    dropout
        Part of the hidden units left out in training.
    """

    hidden: Annotated[int, Limits(8, 8192)] = 900
    depth: Annotated[int, Limits(1, 8)] = 4
    instrument: Annotated[int, Limits(1, 256)] = 24
    outer: Annotated[int, Limits(8, 4096)] = 128
    sparsity: Annotated[float, Limits(0, 100)] = 0.02
    supervised: Annotated[float, Limits(0, 100)] = 1.0
    anchored: bool = True
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0


class LineAutoencoder(nn.Module):
    """Spectrum (N, E) → ``presence`` logits (N, L), ``code`` (N, L), ``spectrum`` (N, E)."""

    energies: Tensor
    channels: Tensor

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        energies = torch.tensor(_line_energies(description.names), dtype=torch.float32)
        channels = torch.tensor(description.axis.energies, dtype=torch.float32)
        lines, size, width = len(energies), len(channels), options.hidden
        self.options = options
        self.presence_weight = options.supervised  # read by the training
        self.encoder = hidden_layers(
            size, width, options.depth, activation_name="gelu", dropout=options.dropout, residual=True
        )
        self.amount = nn.Linear(width, lines)
        self.gate = nn.Linear(width, lines)
        self.instrument = nn.Linear(width, options.instrument)
        self.register_buffer("energies", energies, persistent=False)
        self.register_buffer("channels", channels, persistent=False)
        if options.anchored:
            self.log_sigma = nn.Parameter(torch.full((lines,), _START_SIGMA_KEV).log())
            self.place = nn.Parameter(torch.zeros(lines))
            self.low_tail = nn.Parameter(torch.full((lines,), -4.0))
        else:
            self.free_columns = nn.Parameter(torch.randn(size, lines) / lines**0.5)
        # The outer decoder: what matter and instrument make of the lines, and what lies under them.
        self.moved = nn.Sequential(
            nn.Linear(options.instrument, options.outer), nn.GELU(), nn.Linear(options.outer, 4)
        )
        self.continuum = nn.Sequential(
            nn.Linear(options.instrument, options.outer),
            nn.GELU(),
            nn.Linear(options.outer, size),
            nn.Softplus(beta=10),
        )

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the encoder's last hidden layer, (N, hidden)."""
        return self.encoder(spectra)

    def columns(self) -> Tensor:
        """Return the decoder's columns, (E, L): each line's shape, or free ones."""
        if not self.options.anchored:
            return self.free_columns
        sigma = self.log_sigma.exp().clamp(min=_LEAST_SIGMA_KEV)
        # A column may move by a channel at most: it stays the line it is named after.
        centre = self.energies + 0.1 * torch.tanh(self.place)
        distance = (self.channels[:, None] - centre) / sigma
        peak = torch.exp(-0.5 * distance**2)
        tail = torch.sigmoid(self.low_tail) * torch.exp(distance.clamp(max=0)) * (distance < 0)
        shape = peak + tail
        return shape / shape.sum(dim=0).clamp(min=1e-6)

    def forward(self, spectra: Tensor, dose: Tensor) -> dict[str, Tensor]:
        """Return logits of presence, the code and the spectrum made from it."""
        logits, code, state = self.encode(spectra, dose)
        outputs = {"presence": logits, "code": code, "spectrum": self.decode(code, state)}
        if self.training:
            outputs["penalty"] = self.options.sparsity * code.mean(dim=1)
        return outputs

    def encode(self, spectra: Tensor, dose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of presence and the code, (N, L), and the instrument's state, (N, instrument)."""
        hidden = self.features(spectra, dose)
        logits = self.gate(hidden)
        amount = nn.functional.softplus(self.amount(hidden))
        # A unit is silent, exactly zero, where its line is thought absent.
        code = amount * torch.clamp(2 * torch.sigmoid(logits) - 0.5, 0, 1)
        return logits, code, torch.tanh(self.instrument(hidden))

    def decode(self, code: Tensor, state: Tensor) -> Tensor:
        """Return the spectra (N, E), in the scale of the inputs, that a code makes on an instrument."""
        ideal = code @ self.columns().T
        spectrum = self._move(ideal, self.moved(state)) + self.continuum(state)
        return torch.sqrt(spectrum.clamp(min=0) + 1e-6)

    def _move(self, ideal: Tensor, moves: Tensor) -> Tensor:
        """Shift, stretch and broaden lines (N, E) as the instrument's four numbers say."""
        shift, stretch, broad, scale = moves.unbind(dim=1)
        size = ideal.shape[1]
        step = self.channels[1] - self.channels[0]
        # Where each recorded channel lies on the ideal axis, by at most 0.1 keV and 5 %.
        energy = (self.channels + 0.1 * torch.tanh(shift)[:, None]) * (
            1 + 0.05 * torch.tanh(stretch)[:, None]
        )
        position = ((energy - self.channels[0]) / step).clamp(0, size - 1.001)
        left = position.floor().long()
        part = position - left
        moved = ideal.gather(1, left) * (1 - part) + ideal.gather(1, left + 1) * part
        wide = nn.functional.pad(moved, (1, 1))
        smooth = 0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] + 0.25 * wide[:, 2:]
        smooth = nn.functional.avg_pool1d(smooth[:, None], 3, 1, 1)[:, 0]
        mixed = torch.sigmoid(broad)[:, None]
        return ((1 - mixed) * moved + mixed * smooth) * torch.exp(scale.clamp(-5, 5))[:, None]


def _line_energies(names: tuple[str, ...]) -> list[float]:
    """Return the energies of lines of the basis, keV."""
    from napari_xrf.synthesis.line_basis import line_basis

    known = {line.label: line.energy for line in line_basis()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is no line of the basis")
    return [known[name] for name in names]
