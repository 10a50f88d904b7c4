"""The fine-tuning of an adaptation: labelled batches, their partners in the map, and the losses of both."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xrf.learning.adaptation.figures import (
    MapFigures,
    label_rows,
    map_figures,
    partners,
    probabilities,
    run,
)
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.adaptation.recordings import record_otherwise, thin, undo_gain
from napari_xrf.learning.alignment import DomainClassifier, coral, disagreement, mean_entropy
from napari_xrf.learning.model import Model, network_inputs
from napari_xrf.learning.sources.source import LabelledSpectra, Source
from napari_xrf.learning.tasks.task import loss_of, task_of
from napari_xrf.learning.training_loop import cosine, descend, scale_rates

_JUDGED_SPECTRA = 2000  # of the map and of the labelled ones, for distance and entropy
_GENTLY = 0.05  # part of the steps in which the learning rate rises
_STATISTICS_BATCHES = 20


@dataclass(eq=False)
class FineTuning:
    """The network that is adapted, and what it learns from."""

    original: Model
    source: Source
    spectra: NDArray[np.float32]
    options: AdaptationOptions
    device: torch.device
    seed: int
    gain: float = 0.0  # of the map, undone where it is asked what it holds

    def __post_init__(self) -> None:
        options, self.description = self.options, self.original.description
        self.generator = np.random.default_rng([self.seed, 5])
        self.network = copy.deepcopy(self.original.network)
        pool = self.source.draw(options.pool, self.generator)
        self.pool, self.targets = pool.counts, dict(pool.targets)
        self.rows = label_rows(self.description, pool.targets)
        self.oldest = 0
        self.counted = all(
            bool(np.array_equal(part, np.rint(part))) for part in (self.pool[:64], self.spectra[:64])
        )
        if options.statistics == "map":
            self._estimate_statistics()
        trained: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        self.judge: DomainClassifier | None = None
        if options.method == "adversarial":
            with torch.no_grad():
                width = self.network.features(*self._inputs(self.spectra[:2])).shape[1]
            self.judge = DomainClassifier(width).to(self.device)
            trained.append({"params": list(self.judge.parameters()), "lr": 1e-3})
        self.optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, weight_decay=1e-4)

    def step(self, number: int) -> dict[str, Tensor]:
        """Make one step of descent, numbered from 0.

        Returns
        -------
        ``loss`` on labelled spectra, and ``alignment``, ``consistency`` and ``entropy`` of the map's, before
        they are weighted.
        """
        options, half, done = self.options, self.options.batch_size // 2, number / self.options.steps
        scale_rates(self.optimizer, min(1.0, done / _GENTLY + _GENTLY), cosine(done))
        mine = self.spectra[self.generator.integers(len(self.spectra), size=half)]
        counts, targets = self._labelled(mine)
        other = record_otherwise(self._thinned(mine, None), self.description.axis, options, self.generator)
        spectra, dose = self._inputs(np.concatenate([counts, mine, other]))
        teacher = self._taught(mine) if self.gain else None

        self._train_mode()
        outputs = self.network(spectra, dose)
        truth = {name: torch.from_numpy(values).to(self.device) for name, values in targets.items()}
        known, here, changed = (
            {name: value[part] for name, value in outputs.items()}
            for part in (slice(2 * half), slice(2 * half, 3 * half), slice(3 * half, None))
        )
        loss = loss_of(self.description.task, known, truth, spectra[: 2 * half]).mean()
        both = slice(half, 3 * half)  # partners, and the map's
        features = self.network.features(spectra[both], dose[both]) if options.alignment else None
        apart = self._distance(features, number + 1) if features is not None else torch.zeros(())
        consistency, entropy = disagreement(changed, teacher or here), mean_entropy(here)
        if teacher is not None:
            consistency = consistency + disagreement(here, teacher)
        total = loss + options.alignment * apart.to(loss) + options.consistency * consistency
        total = total + options.entropy * entropy
        descend(total, self.optimizer, self.network.parameters(), 1.0)
        return {"loss": loss, "alignment": apart, "consistency": consistency, "entropy": entropy}

    def calibrated(self, batch: LabelledSpectra, share: float) -> Model:
        """Return a model with temperature and thresholds fitted on a batch.

        Its weights are a share of the way from the original ones, 0, to the adapted ones, 1.
        """
        network = copy.deepcopy(self.network)
        if share < 1:
            there = self.original.network.state_dict()
            for name, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(there[name].lerp(tensor, share))
        model = Model(self.description, network)
        truth = {name: torch.from_numpy(np.asarray(values)) for name, values in batch.targets.items()}
        task = task_of(self.description.task)
        calibration = task.fit_calibration(run(model, batch.counts, self.device), truth)
        return model.with_description(self.description.with_calibration(calibration))

    def map_figures(self, model: Model) -> MapFigures:
        """Return a model's figures on the map."""
        some = np.random.default_rng([self.seed, 17]).permutation(len(self.spectra))[:_JUDGED_SPECTRA]
        # Labelled spectra of the doses of the map: features follow the dose, too.
        labelled = self.pool
        if self.counted:
            generator = np.random.default_rng([self.seed, 19])
            doses = self.spectra.sum(axis=1)[generator.integers(len(self.spectra), size=len(labelled))]
            labelled = thin(labelled, doses, generator)
        return map_figures(model, self.spectra[some], labelled, self.rows, self.device, self.seed)

    def _labelled(self, mine: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
        """Return new spectra, then partners of some of the map's, with their targets."""
        half = len(mine)
        new = self.source.draw(half, self.generator)
        places = (self.oldest + np.arange(half)) % len(self.pool)
        self.oldest = (self.oldest + half) % len(self.pool)
        self.pool[places], self.rows[places] = new.counts, label_rows(self.description, new.targets)
        for name, values in new.targets.items():
            self.targets[name][places] = values
        believed = probabilities(run(Model(self.description, self.network), self._back(mine), self.device))
        chosen = partners(believed, torch.from_numpy(self.rows), self.generator)
        alike = self._thinned(self.pool[chosen], mine.sum(axis=1))
        axis, limits = self.description.axis, self.options
        counts = np.concatenate(
            [
                record_otherwise(new.counts, axis, limits, self.generator),
                record_otherwise(alike, axis, limits, self.generator, about=self.gain),
            ]
        )
        targets = {
            name: np.concatenate([new.targets[name], self.targets[name][chosen]]) for name in new.targets
        }
        return counts, targets

    def _back(self, mine: NDArray[np.float32]) -> NDArray[np.floating]:
        """Return the map's spectra with the gain that was found for them undone."""
        return undo_gain(mine, self.description.axis, self.gain, self.generator)

    def _taught(self, mine: NDArray[np.float32]) -> dict[str, Tensor]:
        """Return what the network says of the map's spectra with their gain undone."""
        said = run(Model(self.description, self.network), self._back(mine), self.device)
        return {name: value.to(self.device) for name, value in said.items()}

    def _thinned(
        self, counts: NDArray[np.float32], doses: NDArray[np.floating] | None
    ) -> NDArray[np.float32]:
        """Return counts thinned to doses, or to between half and all of them."""
        if not self.counted:
            return counts
        wanted = counts.sum(axis=1) * self.generator.uniform(0.5, 1, len(counts)) if doses is None else doses
        return thin(counts, wanted, self.generator)

    def _distance(self, features: Tensor, number: int) -> Tensor:
        alike, mine = features.chunk(2)
        if self.judge is None:
            return coral(alike, mine)
        # The strength rises as in Ganin's paper, as an untrained judge says nothing.
        strength = 2 / (1 + math.exp(-10 * number / self.options.steps)) - 1
        return self.judge.loss(alike, mine, strength)

    def _inputs(self, counts: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
        return network_inputs(self.description, counts, self.device)

    def _train_mode(self) -> None:
        """Train with the statistics that prediction will use, so that both halves are normalised alike."""
        self.network.train()
        for part in _normalisations(self.network):
            part.eval()

    def _estimate_statistics(self) -> None:
        parts = _normalisations(self.network)
        momenta = [part.momentum for part in parts]
        for part in parts:
            part.reset_running_stats()
            part.momentum = None  # the mean of all batches
        self.network.train()
        with torch.no_grad():
            for _ in range(_STATISTICS_BATCHES if parts else 0):
                size = self.options.batch_size
                mine = self.spectra[self.generator.integers(len(self.spectra), size=size)]
                labelled = self.pool[self.generator.integers(len(self.pool), size=size)]
                self.network(*self._inputs(np.concatenate([mine, labelled])))
        for part, momentum in zip(parts, momenta, strict=True):
            part.momentum = momentum


def _normalisations(network: nn.Module) -> list[nn.BatchNorm1d]:
    return [
        part for part in network.modules() if isinstance(part, nn.BatchNorm1d) and part.track_running_stats
    ]
