"""Training of the painting generator: a conditional generative adversarial network with an anchor.

In two steps. The emission network learns from the forward model how mixtures emit, by regression. Then the
recipe network learns the paints of a colour: an encoder tells which noise belongs to a known paint, and the
paint must come back from it (a variational autoencoder); paints from random noise must look right to a
discriminator (hinge loss) and have the colour that was asked for (Larsen et al., arXiv:1512.09300).
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import check_option
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.model_card import made_with
from napari_xrf.learning.painting.colors import mixed_lab
from napari_xrf.learning.painting.generator import PaintingGenerator, band_shares, describe_palette
from napari_xrf.learning.painting.network import (
    Discriminator,
    Encoder,
    Options,
    PaintingNetwork,
    pigment_features,
)
from napari_xrf.learning.painting.options import PaintingTraining, Support
from napari_xrf.learning.painting.paints import (
    absorption_over_scattering,
    draw_paints,
    expect_paints,
    hold_out_pairs,
)
from napari_xrf.learning.training_loop import ExponentialMovingAverage, TrainingStep, descend, run_steps
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.reference.pigments import Pigment, load_pigments
from napari_xrf.synthesis.pigments import PigmentSpectra, expect_pigments, rgb
from napari_xrf.synthesis.sampling import log_uniform

TakeStep = Callable[[int], Mapping[str, Tensor]]

LIGHT_CHANNELS = 1024
_REPORTS = 100  # of a training, about


def train_painting_generator(
    options: PaintingTraining | None = None,
    network: Options | None = None,
    *,
    seed: int = 0,
    pigments: tuple[Pigment, ...] | None = None,
    progress: Progress = ignore_progress,
    on_step: Callable[[TrainingStep], None] | None = None,
) -> PaintingGenerator:
    """Train a painting generator on the CPU.

    Raises InvalidInput when an instrument, ground or substrate is unknown.

    ``options``, ``network``: of the training, and sizes of the network. ``seed``: the same seed gives the
    same weights on one machine. ``pigments``: what paints are mixed of; the shipped table by default.
    ``on_step``: called some hundred times with the losses.
    """
    chosen, started = options or PaintingTraining(), time.process_time()
    table = load_pigments() if pigments is None else pigments
    paints = _Paints(chosen, table, np.random.default_rng(seed), progress)

    def learn(take_step: TakeStep, steps: int, phase: str, told: str) -> None:
        every = max(1, steps // _REPORTS)
        for report in run_steps(take_step, steps, every=every, phase=phase, told=told, progress=progress):
            if on_step is not None:
                on_step(report)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(paints.generator.integers(2**63)))
        whole = PaintingNetwork(network or Options())
        emitting = _EmissionTraining(whole, paints)
        learn(emitting.step, chosen.emission_steps, "emission", "learning how mixtures emit")
        choosing = _RecipeTraining(whole, paints)
        learn(choosing.step, chosen.recipe_steps, "recipe", "learning which paints make a colour")
        whole.recipe.load_state_dict(choosing.average.tensors)
    training = {
        "seed": seed,
        **made_with(),
        "options": asdict(chosen),
        "pigments": [pigment.name for pigment in table],
        "processor_seconds": round(time.process_time() - started),
    }
    return PaintingGenerator(whole.eval(), training)


def painting_options(settings: Mapping[str, Any]) -> tuple[PaintingTraining, Options]:
    """Return the options of training and network with some values changed.

    Raises InvalidInput for a name that neither has, or a value out of range.
    """
    known = [{each.name for each in fields(kind)} for kind in (PaintingTraining, Options)]
    for name in settings:
        check_option("the painting generator", name, sorted(set.union(*known)))
    training, network = ({name: settings[name] for name in names & set(settings)} for names in known)
    return PaintingTraining(**training), Options(**network)


def light_instrument(instrument: Instrument) -> Instrument:
    """Return an instrument with at most 1024 channels over the same energies."""
    axis = instrument.energy
    factor = -(-axis.size // LIGHT_CHANNELS)
    # The first new channel's centre lies amid the channels that it takes in.
    offset = axis.offset + (factor - 1) / 2 * axis.width
    return replace(instrument, energy=EnergyAxis(offset, axis.width * factor, axis.size // factor))


@dataclass(frozen=True, eq=False)
class _PaintBank:
    """Mixtures with their spectra under one instrument, and those of the P pigments alone."""

    pigments: PigmentSpectra
    masses: NDArray[np.float64]  # (N, P) shares by mass
    spectra: NDArray[np.float64]  # (N, E) expected, on the pigments' axis


@dataclass(frozen=True, eq=False)
class _PaintBatch:
    """Paints, each with its own palette of P pigments."""

    colors: Tensor  # (N, P, 3) sRGB 0 to 1
    masses: Tensor  # (N, P)
    bands: Tensor  # (N, P, B)
    strengths: Tensor  # (N, P, 2)
    rows: NDArray[np.intp]


class _Paints:
    """What is learned from: paints of a table of pigments, and their spectra under some instruments."""

    def __init__(
        self,
        options: PaintingTraining,
        table: tuple[Pigment, ...],
        generator: np.random.Generator,
        progress: Progress,
    ) -> None:
        self.options, self._table = options, table
        drawing, self.generator = generator.spawn(2)
        self.banks = [self._bank(support, drawing, progress) for support in options.supports]
        self.pool = self._draw(options.recipes, drawing)  # without spectra

    def batches(self, bank: _PaintBank, masses: NDArray[np.float64], bands: int) -> Iterator[_PaintBatch]:
        """Yield batches without end; all palettes of a batch have one size, from 4 pigments to all."""
        known, generator, options = describe_palette(bank.pigments, bands), self.generator, self.options
        total = masses.shape[1]
        logs = np.log(bank.pigments.spectra.sum(axis=1))
        while True:
            rows = generator.integers(len(masses), size=options.batch_size)
            drawn = masses[rows]
            size = round(float(log_uniform(generator, (min(4, total), total))))
            order = np.argsort(generator.random(drawn.shape) - (drawn > 0), axis=1)[:, :size]
            part = logs[order] - logs[order].mean(axis=1, keepdims=True)
            strengths = np.stack([part, np.ones_like(part)], axis=2)
            strengths[generator.random(len(rows)) < 0.2] = 0  # measured pigments tell no strength
            noise = generator.normal(0, options.masstone_noise, (*order.shape, 3))
            colors = bank.pigments.colors[order] + noise
            yield _PaintBatch(
                torch.from_numpy(np.clip(colors, 0, 255) / 255).float(),
                torch.from_numpy(np.take_along_axis(drawn, order, axis=1)).float(),
                known.bands[torch.from_numpy(order)],
                torch.from_numpy(strengths).float(),
                rows,
            )

    def _bank(self, support: Support, generator: np.random.Generator, progress: Progress) -> _PaintBank:
        name, ground, substrate = support
        instrument, table = light_instrument(load_instrument(name)), self._table
        alone = expect_pigments(table, instrument, ground=ground, substrate=substrate)
        masses = self._draw(self.options.paints, generator)
        spectra = expect_paints(
            table, masses, instrument, ground=ground, substrate=substrate, progress=progress
        )
        return _PaintBank(alone, masses, spectra)

    def _draw(self, size: int, generator: np.random.Generator) -> NDArray[np.float64]:
        options, table = self.options, self._table
        absorption = absorption_over_scattering([rgb(pigment.color) for pigment in table])
        chooser = np.random.default_rng(options.held_out_seed)
        held_out = hold_out_pairs(len(table), options.held_out, chooser)
        leaf = np.array([pigment.pigment_volume == 1 for pigment in table])
        return draw_paints(size, absorption, generator, alone=leaf, held_out=held_out, pairs="seen")


class _EmissionTraining:
    """The emission network while it learns from the forward model how mixtures emit."""

    def __init__(self, network: PaintingNetwork, paints: _Paints) -> None:
        banks, options = paints.banks, paints.options
        self._emission, bands = network.emission, network.options.bands
        shares = [band_shares(bank.spectra, bank.pigments.energy, bands) for bank in banks]
        self._truths = [torch.from_numpy(np.sqrt(share)).float() for share in shares]
        self._batches = [paints.batches(bank, bank.masses, bands) for bank in banks]
        self._optimizer = torch.optim.Adam(self._emission.parameters(), lr=2 * options.learning_rate)
        self._rates = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, max(options.emission_steps, 1)
        )

    def step(self, number: int) -> dict[str, Tensor]:
        """Train on a batch of one of the supports."""
        which = number % len(self._batches)
        batch = next(self._batches[which])
        found = _spectra(self._emission(_logs(batch.masses), batch.bands, batch.strengths), batch.bands)
        loss = ((found - self._truths[which][batch.rows]) ** 2).sum(dim=1).mean()
        descend(loss, self._optimizer)
        self._rates.step()
        return {"hellinger": loss}


class _RecipeTraining:
    """The recipe network while it learns which paints make a colour, with encoder and discriminator."""

    def __init__(self, network: PaintingNetwork, paints: _Paints) -> None:
        options = paints.options
        self._options, rate = options, options.learning_rate
        self._recipe, self._emission = network.recipe, network.emission.requires_grad_(False)
        self._encoder, self._critic = Encoder(network.options), Discriminator(network.options)
        trained = [*self._recipe.parameters(), *self._encoder.parameters()]
        self._generating = torch.optim.Adam(trained, lr=rate, betas=(0.5, 0.99))
        self._judging = torch.optim.Adam(self._critic.parameters(), lr=rate / 2, betas=(0.5, 0.99))
        self._rates = torch.optim.lr_scheduler.OneCycleLR(
            self._generating, rate, total_steps=options.recipe_steps, pct_start=0.1
        )
        self.average = ExponentialMovingAverage(self._recipe)
        bands = network.options.bands
        self._batches = itertools.cycle([paints.batches(bank, paints.pool, bands) for bank in paints.banks])

    def step(self, number: int) -> dict[str, Tensor]:
        """Train on a batch: anchored paints must come back, free ones have the colour and look right."""
        options, batch = self._options, next(next(self._batches))
        pigments = pigment_features(batch.colors)
        wanted = mixed_lab(batch.masses, batch.colors)
        wanted = wanted + options.color_noise * torch.randn_like(wanted)
        mean, log_variance = self._encoder(wanted, pigments, batch.masses)
        told = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        noise = torch.randn_like(mean)
        both = self._recipe(wanted.repeat(2, 1), pigments.repeat(2, 1, 1), torch.cat([told, noise]))
        anchored, free = both.chunk(2)
        anchor = (
            -(batch.masses * anchored).sum(dim=1).mean() + (batch.masses * _logs(batch.masses)).sum(1).mean()
        )
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=(1, 2)).mean()
        shift = mixed_lab(both.exp(), batch.colors.repeat(2, 1, 1)) - wanted.repeat(2, 1)
        color = _bounded(shift.pow(2).sum(dim=1) / 100).mean()
        growing = min(1.0, (number + 1) / max(1.0, options.warm_up * options.recipe_steps))
        loss = anchor + growing * options.divergence * divergence + options.color * color
        adversarial = judged = torch.zeros(())
        joins = options.adversarial > 0 and number >= options.warm_up * options.recipe_steps
        if joins:
            spectra = self._expected(free, batch)
            adversarial = -self._critic(wanted, pigments, free.exp(), spectra).mean()
            loss = loss + options.adversarial * adversarial
        descend(loss, self._generating, self._recipe.parameters(), 5.0)
        if joins:
            with torch.no_grad():
                true = self._expected(_logs(batch.masses), batch)
            judged = self._judge(wanted, pigments, (batch.masses, true), (free.exp(), spectra))
        self._rates.step()
        self.average.update(min(options.averaging, number / (number + 10)))
        return {
            "anchor": anchor,
            "divergence": divergence,
            "color": color,
            "adversarial": adversarial,
            "discriminator": judged,
        }

    def _expected(self, log_masses: Tensor, batch: _PaintBatch) -> Tensor:
        return _spectra(self._emission(log_masses, batch.bands, batch.strengths), batch.bands)

    def _judge(
        self, wanted: Tensor, pigments: Tensor, real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Train the discriminator on real and generated paints; returns its hinge loss."""
        masses, spectra = (torch.cat([one, other.detach()]) for one, other in zip(real, made, strict=True))
        scores = self._critic(wanted.repeat(2, 1), pigments.repeat(2, 1, 1), masses, spectra)
        good, bad = scores.chunk(2)
        loss = torch.relu(1 - good).mean() + torch.relu(1 + bad).mean()
        descend(loss, self._judging)
        return loss


def _logs(masses: Tensor) -> Tensor:
    return masses.clamp_min(1e-7).log()


def _spectra(shares: Tensor, bands: Tensor) -> Tensor:
    """Return the square roots of a mixture's bands (N, B)."""
    return ((shares[..., None] * bands**2).sum(dim=1) + 1e-9).sqrt()


def _bounded(squares: Tensor) -> Tensor:
    # As a square near 0, and as its root far away: colours that no paint reaches must not rule the loss.
    return (1 + 2 * squares).sqrt() - 1
