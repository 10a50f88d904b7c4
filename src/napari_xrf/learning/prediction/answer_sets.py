"""Sets of names where one name is not warranted, from what a model says of a map's own pixels.

A conformal set holds the most probable names of a spectrum up to a probability at which held-out spectra had
the true one among them 19 times of 20 (Romano, Sesia & Candès, NeurIPS 2020, arXiv:2006.02544, but without
chance). Names that share the sets of many of their pixels are one class of the map. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.label_map import LabelClass, group_name, members_of
from napari_xrf.core.scratch import changed, scratch_array
from napari_xrf.minerals.separability import inseparable_groups
from napari_xrf.reference.minerals import load_library, metals

if TYPE_CHECKING:
    from napari_xrf.learning.description import ModelDescription
    from napari_xrf.learning.prediction.prediction import Prediction

COVERAGE = 0.95
STRANGER_SHARE = 0.2  # of what such models learn from: how likely "unknown" is before anything is seen
_SHARED = 0.1  # of a name's pixels, above which another name in their sets makes one class of both
MOST_PIXELS = 20_000  # that groups are formed from
_ROUNDS, _SEEN_BEFORE = 20, 25.0  # of EM, and pixels of each name that count as seen in any map
_UNNAMED = 0.02  # how much less likely a mineral is that was not asked for than one that was


def fit_set_level(probability: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Return the probability that sets must hold so that the true name is in :data:`COVERAGE` of them.

    ``probability``, ``label``: (N, K) of all answers, "unknown" among them, and (N,) the true one.
    """
    own = np.take_along_axis(probability, label[:, None], axis=1)
    above = np.where(probability > own, probability, 0).sum(axis=1)
    rank = int(np.ceil(COVERAGE * (len(above) + 1))) - 1
    return float(np.clip(np.sort(above)[min(rank, len(above) - 1)], 0.5, 0.999))


def answer_sets(probability: NDArray[np.floating], level: float) -> NDArray[np.bool_]:
    """Return which of K answers (N, K) are in the set of each spectrum: the fewest that hold the level."""
    order = np.argsort(-probability, axis=1, kind="stable")
    ranked = np.take_along_axis(probability, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    chosen = np.empty(probability.shape, dtype=bool)
    np.put_along_axis(chosen, order, (before <= level) & (ranked > 0), axis=1)
    return chosen


def restricted(prediction: Prediction, kept: NDArray[np.bool_]) -> Prediction:
    """Return a prediction in which some of the K classes cannot be, by Bayes' rule.

    What a model that knows every mineral says of others stays possible, but 50 times less likely than
    before: spectra of minerals that were not asked for become unknown. What it says of one whose composition
    is that of one that was asked for is said of that one: which of the two it prefers is chance, and no sign
    of a stranger (on some instruments it calls calcite aragonite, at 0.86).
    """
    assert prediction.probability is not None
    assert prediction.unknown is not None
    level, unknown = set_level(prediction), prediction.unknown
    seldom, told_unknown = 0.0 if level is None else _UNNAMED, np.empty_like(unknown)
    same = twins(prediction.names) & kept & ~kept[:, None] & (level is not None)
    moved = np.flatnonzero(same.any(axis=1))
    to = (same[moved] / same[moved].sum(axis=1, keepdims=True)).astype(np.float32)

    def among_kept(block: NDArray[np.float32], band: slice) -> NDArray[np.float32]:
        some = block * kept.astype(np.float32) + block[..., moved] @ to
        rest = unknown[band] + np.float32(seldom) * (block.sum(axis=-1) - some.sum(axis=-1))
        total = np.maximum(some.sum(axis=-1) + rest, np.finfo(np.float32).tiny)
        told_unknown[band] = rest / total
        return np.asarray(some / total[..., None])

    return replace(prediction, probability=changed(prediction.probability, among_kept), unknown=told_unknown)


@dataclass(frozen=True, eq=False)
class AnswerClasses:
    """The classes that what a model says of some spectra forms."""

    description: ModelDescription  # of a model of these G classes
    membership: NDArray[np.float32]  # (K + 1, G + 1) which answers, "unknown" last, are in which class
    factors: NDArray[np.float64]  # (G + 1,) by how much each is likelier there than in training

    @classmethod
    def of(cls, description: ModelDescription, seen: NDArray[np.floating], level: float) -> AnswerClasses:
        """Form classes from answers (N, K + 1), "unknown" last, and the level of their sets."""
        seen = seen.astype(np.float64)
        in_sets = (seen * answer_sets(seen, level))[:, :-1]
        weight = in_sets.sum(axis=0)
        possible = seen.max(axis=0)[:-1] > 0
        shared = shared_sets(in_sets)
        shared[twins(description.names) & possible & possible[:, None]] = 0.5
        groups = [
            sorted(group, key=lambda member: -weight[member]) for group in inseparable_groups(shared, _SHARED)
        ]
        membership = np.zeros((seen.shape[1], len(groups) + 1), dtype=np.float32)
        membership[-1, -1] = 1
        for column, group in enumerate(groups):
            membership[group, column] = 1
        number = np.append(possible, False).astype(np.float64) @ membership
        prior = (1 - STRANGER_SHARE) * number / max(number.sum(), 1.0)
        prior[-1] = STRANGER_SHARE
        classes = tuple(
            _merged([description.classes[member] for member in group], label)
            for label, group in enumerate(groups, 2)
        )
        told: Any = replace(
            description,
            names=tuple(entry.name for entry in classes),
            classes=classes,
            calibration=replace(description.calibration, set_level=None),
        )
        return cls(told, membership, _share_factors(seen @ membership, prior))

    def of_answers(self, answers: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probabilities (…, G + 1) of classes, of answers (…, K + 1); "unknown" last."""
        merged = answers @ self.membership * self.factors
        return np.asarray(merged / np.maximum(merged.sum(axis=-1, keepdims=True), 1e-30))

    def with_sets(self, sets: NDArray[np.bool_]) -> tuple[AnswerClasses, NDArray[np.intp]]:
        """Return these classes, sets (M, G) of several of them behind, and which class each of the M sets is.

        Nothing but such a set itself is said to be of it: single answers are of the first G classes.
        """
        number, known = sets.shape[1], self.description.classes
        several = sorted({tuple(np.flatnonzero(each).tolist()) for each in sets if each.sum() > 1})
        more = tuple(
            _merged([known[member] for member in members], label)
            for label, members in enumerate(several, number + 2)
        )
        place = {members: number + column for column, members in enumerate(several)}
        kinds = [place.get(tuple(np.flatnonzero(each).tolist()), int(each.argmax())) for each in sets]
        names = (*self.description.names, *(entry.name for entry in more))
        wider = np.insert(self.membership, [number] * len(more), 0, axis=1)
        factors = np.insert(self.factors, [number] * len(more), 1.0)
        description = replace(self.description, names=names, classes=(*known, *more))
        return AnswerClasses(description, wider, factors), np.array(kinds, dtype=np.intp)

    def told(self, prediction: Prediction) -> Prediction:
        """Return a prediction of names as one of these classes."""
        shape = (*prediction.map_shape, len(self.description.names))
        in_memory = isinstance(prediction.probability, np.ndarray)
        probability = scratch_array(shape, np.float32, 4 * math.prod(shape) if in_memory else 0)
        unknown = np.empty(prediction.map_shape, dtype=np.float32)
        for band in prediction.bands():
            merged = self.of_answers(answers_of(prediction, band))
            probability[band], unknown[band] = merged[..., :-1], merged[..., -1]
        return replace(prediction, description=self.description, probability=probability, unknown=unknown)


def grouped(prediction: Prediction) -> Prediction:
    """Return a prediction whose classes are what its pixels tell apart, if its model knows names alone."""
    level = set_level(prediction)
    if level is None or prediction.probability is None or prediction.unknown is None:
        return prediction
    filled = prediction.counts > 0
    sampled = np.flatnonzero(filled)[:: max(1, np.count_nonzero(filled) // MOST_PIXELS)]
    chosen = np.zeros(filled.shape, dtype=bool)
    chosen.flat[sampled] = True
    seen = np.concatenate([answers_of(prediction, band)[chosen[band]] for band in prediction.bands()])
    return AnswerClasses.of(prediction.description, seen, level).told(prediction)


def answers_of(prediction: Prediction, band: slice) -> NDArray[np.float32]:
    """Return the probabilities of some rows, (y, X, K + 1), that of "unknown" last."""
    assert prediction.probability is not None
    assert prediction.unknown is not None
    return np.concatenate([prediction.probability[band], prediction.unknown[band][..., None]], axis=-1)


def _share_factors(probability: NDArray[np.floating], prior: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return by how much each of K answers (N, K) is likelier in the map than in training, (K,).

    Shares that the map itself tells, by expectation and maximization (Saerens, Latinne & Decaestecker, Neural
    Computation 14 (2002) 21). A few pixels change nothing.
    """
    before = np.maximum(prior, 1e-12)
    known, shares = _SEEN_BEFORE * len(prior), before
    for _ in range(_ROUNDS):
        likely = probability * (shares / before)
        likely /= np.maximum(likely.sum(axis=1, keepdims=True), 1e-30)
        shares = (likely.sum(axis=0) + known * before) / (len(likely) + known)
    return np.asarray(shares / before, dtype=np.float64)


@lru_cache(maxsize=8)
def twins(names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which of the library's minerals have one composition, pyrite and marcasite for instance, (K, K).

    Ranges that begin at different ends are no reason to tell their common end apart.
    """
    library = {mineral.name: mineral for mineral in (*load_library(), *metals())}
    made = []
    for number, name in enumerate(names):
        mineral = library.get(name)
        parts = (
            mineral.composition([entry.low for entry in mineral.substitutions]).mass_fractions
            if mineral
            else {}
        )
        made.append({(element, round(part, 3)) for element, part in parts.items()} or {("", float(number))})
    return np.array([[one == other for other in made] for one in made])


def shared_sets(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how much of each name's pixels another name shares, and the other way round: the less, (K, K).

    0.5 of two names that always have the same probability.
    """
    total = probability.sum(axis=1, keepdims=True)
    part = probability / np.where(total > 0, total, 1.0)
    together, alone = part.T @ part, part.sum(axis=0)
    of_each = together / np.maximum(alone[:, None], 1e-12)
    return np.minimum(of_each, of_each.T)


def set_level(prediction: Prediction) -> float | None:
    """Return the level of sets; None of a model of one instrument, whose classes were formed in training."""
    description = prediction.description
    return description.calibration.set_level if description.conditions else None


def _merged(members: Sequence[LabelClass], label: int) -> LabelClass:
    densities = [each.density for each in members if each.density is not None]
    return replace(
        members[0],
        label=label,
        name=group_name(name for each in members for name in members_of(each.name)),
        formula=group_name(each.formula for each in members),
        density=float(np.mean(densities)) if densities else None,
    )
