"""Minerals looked for that a network never learnt: strangers to it, which their lines may name. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.scratch import scratch_array
from napari_xrf.reference.minerals import Mineral, mineral_class

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction


def with_unlearnt(said: Prediction, minerals: Sequence[Mineral]) -> Prediction:
    """Return a prediction of minerals with further names behind its own, of which nothing is said."""
    if not minerals or said.probability is None:
        return said
    known, number = said.description, len(said.names)
    names = (*known.names, *(mineral.name for mineral in minerals))
    more = tuple(mineral_class((mineral,), label) for label, mineral in enumerate(minerals, number + 2))
    shape = (*said.map_shape, len(names))
    in_memory = isinstance(said.probability, np.ndarray)
    probability = scratch_array(shape, np.float32, 4 * math.prod(shape) if in_memory else 0)
    for band in said.bands():
        probability[band, :, :number] = said.probability[band]
        probability[band, :, number:] = 0
    description = replace(known, names=names, classes=(*known.classes, *more))
    return replace(said, description=description, probability=probability)


def shared_with_unlearnt(answers: NDArray[np.float32], asked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return answers (N, K + U + 1), "unknown" last, in which U unlearnt names have their part.

    A network says of what it never learnt that it is a stranger, or the nearest that it knows: what is none
    of the K names ``asked`` for is as likely to be each of the U as none of them.
    """
    number, further = asked.size, answers.shape[1] - asked.size - 1
    strange = np.append(~asked, np.ones(further + 1, dtype=bool))
    part = np.float32(1 / (further + 1))
    shared = np.where(strange, part * answers, answers)
    shared[:, number:-1] = part * answers[:, strange].sum(axis=1, keepdims=True)
    return np.asarray(shared, dtype=np.float32)
