"""What an adaptation is judged by: held-out spectra with truth, and the map's own without."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.adaptation.recordings import undo_gain
from napari_xrf.learning.alignment import frechet_distance, mean_entropy
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.model import Model, network_inputs

_BLOCK = 256
_SEARCHED = 500
_EMPTY = 1e-4  # counts of a channel in which a map has none
_COARSE, _FINE, _WORTH = 0.005, 0.001, 0.01


@dataclass(frozen=True)
class FigureChange:
    """One figure on the held-out spectra before and after, the higher the better."""

    before: float
    after: float
    standard_error: float  # of their difference, from the spectra in pairs

    def is_worse(self, tolerance: float) -> bool:
        """Tell whether it fell by more than so many standard errors."""
        return self.after < self.before - tolerance * self.standard_error


def compare(
    before: Mapping[str, NDArray[np.float64]], after: Mapping[str, NDArray[np.float64]]
) -> dict[str, FigureChange]:
    """Return the change of each figure from the scores (N,) of the same spectra."""
    changes = {}
    for name, first in before.items():
        difference = after[name] - first
        error = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else 0.0
        changes[name] = FigureChange(float(first.mean()), float(after[name].mean()), error)
    return changes


def scores(
    description: ModelDescription, outputs: Mapping[str, Tensor], targets: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.float64]]:
    """Return figures of each spectrum (N,), the higher the better.

    ``accuracy``: 1 where the class is right, "unknown" being one of them. ``f1``: of the names that are
    present, by the model's thresholds; 1 where none is present and none is found. ``share_error``: minus
    the sum of the absolute errors of the elements' shares of the counts.
    """
    found: dict[str, NDArray[np.float64]] = {}
    if description.task == "minerals":
        label = outputs["minerals"].argmax(dim=1).cpu().numpy()
        found["accuracy"] = (label == targets["label"]).astype(np.float64)
    if "presence" in outputs and "presence" in targets:
        logits = outputs["presence"].double().cpu().numpy() / description.calibration.temperature
        yes = 1 / (1 + np.exp(-logits)) >= np.asarray(description.calibration.thresholds)
        truth = np.asarray(targets["presence"]) > 0.5
        both = (yes & truth).sum(axis=1)
        total = yes.sum(axis=1) + truth.sum(axis=1)
        found["f1"] = np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
    if "intensity" in outputs and "share" in targets:
        distance = np.abs(outputs["intensity"].double().cpu().numpy() - targets["share"])
        found["share_error"] = -distance.sum(axis=1)
    return found


def map_likelihood(
    model: Model, spectra: NDArray[np.float32], device: torch.device
) -> dict[str, NDArray[np.float64]]:
    """Return how likely each of a map's spectra (N, E) is by the mean of those of its name, per count.

    The mean is of the half of the spectra that it is not in: names that lump unlike spectra together explain
    them worse, however sure they are, and on whatever axis. Nothing of a model that names no minerals.
    """
    if model.description.task != "minerals":
        return {}
    names = probabilities(run(model, spectra, device)).argmax(dim=1).numpy()
    found = np.empty(len(spectra))
    for own, other in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        # A spectrum's worth of the whole map's mean stands in for names that the other half lacks.
        means = np.repeat(spectra[other].mean(axis=0, keepdims=True) + _EMPTY, names.max() + 1, axis=0)
        np.add.at(means, names[other], spectra[other])
        logarithms = np.log(means / means.sum(axis=1, keepdims=True))
        explained = np.einsum("ne,ne->n", spectra[own], logarithms[names[own]])
        found[own] = explained / np.maximum(spectra[own].sum(axis=1), 1)
    return {"likelihood": found}


def judged_on(figure: str) -> str:
    """Return in words which spectra a figure is of."""
    return "the map" if figure == "likelihood" else "held-out spectra"


def run(
    model: Model, counts: NDArray[np.floating], device: torch.device, *, features: bool = False
) -> dict[str, Tensor]:
    """Return a model's outputs for counts (N, E), and its ``features`` where wanted, on the CPU."""
    description, network = model.description, model.network.eval()
    found: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for start in range(0, len(counts), _BLOCK):
            spectra, dose = network_inputs(description, counts[start : start + _BLOCK], device)
            part = network(spectra, dose)
            if features:
                part = {**part, "features": network.features(spectra, dose)}
            for name, value in part.items():
                if name != "spectrum":
                    found.setdefault(name, []).append(value.float().cpu())
    return {name: torch.cat(parts) for name, parts in found.items()}


def partners(
    predicted: Tensor, labels: Tensor, generator: np.random.Generator, nearest: int = 8
) -> NDArray[np.intp]:
    """Return for each map spectrum a labelled one that holds what the model believes that it holds.

    Maps hold other classes in other parts than training does; features that were brought together
    regardless of it would mix the classes (Tachet des Combes et al., NeurIPS 2020, arXiv:2003.04475).

    For probabilities (N, K), rows (N,) of ``labels`` (M, K), 0 or 1, are drawn among the nearest ones.
    """
    likeness = 2 * predicted @ labels.T - labels.sum(dim=1)
    # Equal labels are taken in random order.
    chance = torch.from_numpy(generator.random(likeness.shape, dtype=np.float32)).to(likeness)
    likeness = likeness + chance * 1e-3
    best = likeness.topk(min(nearest, len(labels)), dim=1).indices.cpu().numpy()
    pick = generator.integers(best.shape[1], size=len(best))
    return np.asarray(best[np.arange(len(best)), pick], dtype=np.intp)


def probabilities(outputs: Mapping[str, Tensor]) -> Tensor:
    """Return what a model believes, (N, K + 1) of minerals or (N, K) of presence."""
    if "minerals" in outputs:
        return torch.softmax(outputs["minerals"], dim=1)
    return torch.sigmoid(outputs["presence"])


def label_rows(
    description: ModelDescription, targets: Mapping[str, NDArray[np.generic]]
) -> NDArray[np.float32]:
    """Return the truth in the same form, (N, K + 1) or (N, K) of 0 and 1."""
    if description.task == "minerals":
        known = len(description.names)
        return np.eye(known + 1, dtype=np.float32)[np.asarray(targets["label"], dtype=np.intp)]
    return np.asarray(targets["presence"], dtype=np.float32)


def find_gain(
    model: Model,
    spectra: NDArray[np.float32],
    device: torch.device,
    *,
    reach: float,
    seed: int = 0,
    progress: Progress = ignore_progress,
) -> float:
    """Return by how much a map's energies are stretched, from its spectra (N, E) and a mineral model.

    Spectra are stretched back by gains from ``-reach`` to ``reach``, first in steps of 0.5 %, then of 0.1 %
    about the best; the map's is the one at which the most probable mineral, unknown aside, has the largest
    probability on average. A gain that wins less than a hundredth over none is none.
    """
    some = spectra[np.random.default_rng([seed, 23]).permutation(len(spectra))[:_SEARCHED]]
    known = len(model.description.names)
    axis = model.description.axis

    def sureness(gain: float) -> float:
        back = undo_gain(some, axis, gain, np.random.default_rng([seed, 29]))
        return float(probabilities(run(model, back, device))[:, :known].amax(dim=1).mean())

    number = int(reach / _COARSE + 1e-9)
    found = {}
    coarse = [_COARSE * step for step in range(-number, number + 1)]
    for index, gain in enumerate(coarse):
        progress(index, len(coarse), "looking for the map's gain")
        found[gain] = sureness(gain)
    best = max(found, key=found.__getitem__)
    for step in range(-4, 5):
        gain = best + _FINE * step
        if step and abs(gain) <= reach:
            found[gain] = sureness(gain)
    best = max(found, key=found.__getitem__)
    return best if found[best] > found[0.0] + _WORTH else 0.0


@dataclass(frozen=True)
class MapFigures:
    """What a model makes of a map whose truth nobody knows.

    The distance is that of Fréchet between the features of the map's spectra and of labelled ones with the
    same contents as the model sees in the map; 0: alike, 1: as far apart as the labelled ones are wide.
    """

    distance: float
    entropy: float  # mean of the decisions, 0 (sure) to 1 (no idea)


def map_figures(
    model: Model,
    spectra: NDArray[np.float32],
    labelled: NDArray[np.float32],
    rows: NDArray[np.float32],
    device: torch.device,
    seed: int,
) -> MapFigures:
    """Return the figures on a map's spectra (N, E), beside labelled ones (M, E) with labels (M, K)."""
    here, there = (run(model, counts, device, features=True) for counts in (spectra, labelled))
    generator = np.random.default_rng([seed, 13])
    chosen = partners(probabilities(here), torch.from_numpy(rows), generator)
    distance = frechet_distance(there["features"][torch.from_numpy(chosen)], here["features"])
    return MapFigures(distance, float(mean_entropy(here)))
