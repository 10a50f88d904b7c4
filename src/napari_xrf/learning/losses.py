"""What training makes small, by the outputs that a network gives."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.description import Task

_SHARE_WEIGHT = 100.0  # squares of shares are small numbers beside entropies
_SPECTRUM_WEIGHT = 5.0


def loss_of(
    task: Task,
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    inputs: Tensor,
    presence_weight: float = 1.0,
) -> Tensor:
    """Return the loss of each spectrum, (N,).

    Lines: the Kullback-Leibler divergence between the labels and the probabilities of each line, which for
    labels of 0 and 1 is the binary cross-entropy, averaged over the lines. Elements: the same for their
    presence, and the squared distance of the shares. Minerals: the cross-entropy of the classes. A
    reconstructed spectrum adds its mean squared distance from the inputs, and a network's own ``penalty`` is
    added.

    Parameters
    ----------
    presence_weight
        Of the entropy of presence; 0 leaves a network to its reconstruction.

    Raises
    ------
    InvalidInput
        When a target that the task needs is missing.
    """
    parts: list[Tensor] = []
    if task in ("lines", "elements"):
        wanted = _target(targets, "presence")
        entropy = functional.binary_cross_entropy_with_logits(outputs["presence"], wanted, reduction="none")
        parts.append(presence_weight * entropy.mean(dim=1))
    if task == "elements":
        # Squares, not distances: where gold cannot be told from mercury, the mean of both is wanted.
        # Distances ask for the median, which is nought there, and learn far slower.
        distance = (outputs["intensity"] - _target(targets, "share")) ** 2
        parts.append(_SHARE_WEIGHT * distance.mean(dim=1))
    if task == "minerals":
        parts.append(
            functional.cross_entropy(outputs["minerals"], _target(targets, "label"), reduction="none")
        )
    if "spectrum" in outputs:
        parts.append(_SPECTRUM_WEIGHT * ((outputs["spectrum"] - inputs) ** 2).mean(dim=1))
    if "penalty" in outputs:
        parts.append(outputs["penalty"])
    return torch.stack(parts).sum(dim=0)


def _target(targets: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in targets:
        raise InvalidInput(f"the spectra have no {name!r} to learn from")
    return targets[name]
