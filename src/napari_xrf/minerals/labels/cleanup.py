"""Cleaning a label map up, by steps in any order; what changed, before and after.

No step makes a class that the map does not hold, and none touches pixels that were not measured.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.labels.grains import class_places

Classes = NDArray[np.int32]  # places in the class table, -1 where nothing was measured
Mask = NDArray[np.bool_]

_SQUARES = ("majority", "smooth", "opening", "closing")
_SURE = 0.9  # of a class whose map says no confidence
_MOST_SWEEPS = 20
_SETTLED = 1e-4  # share of the pixels that may still move
_STRONGEST = 20.0
_WIDEST = 1001  # pixels of a square that any map takes


@dataclass(frozen=True)
class CleanUpStep:
    """One step of a clean-up.

    Raises InvalidInput for another kind or a size that makes no sense.
    """

    # "majority": a pixel takes the most frequent class of a square around it; on a tie it keeps its own.
    # "smooth": the same, near pixels counting more (a bell of a quarter of the side): boundaries become
    # round. "opening": parts of a class too narrow for a disk take the class of the nearest pixel that stays.
    # "closing": a class fills gaps too narrow for a disk; rarer classes go last and win. "min-size":
    # connected parts of fewer pixels take the class of the nearest pixel that stays. "fill-holes": a class
    # fills what it surrounds completely. "potts": each pixel weighs the probabilities of its and its
    # neighbours' classes against how many neighbours agree (iterated conditional modes of a Potts model;
    # Besag 1986), so that sure pixels withstand.
    kind: str
    # Side of the square or diameter of the disk in pixels (odd), fewest pixels, most pixels of a hole (0:
    # any), or for "potts" what a neighbour of the same class weighs, in logarithms of probability.
    size: float = 0
    classes: tuple[str, ...] = ()  # names of the classes that the step works on; empty for all

    def __post_init__(self) -> None:
        check_name("clean-up step", self.kind, STEPS)
        if self.kind == "potts":
            if not 0 < self.size <= _STRONGEST:
                raise InvalidInput(f"potts needs a strength above 0 to {_STRONGEST:g}, not {self.size:g}")
            return
        if self.size != int(self.size):
            raise InvalidInput(f"the size of {self.kind} counts pixels, not {self.size:g}")
        if self.kind in _SQUARES and (self.size < 3 or self.size % 2 == 0):
            raise InvalidInput(f"{self.kind} needs an odd size from 3, not {self.size:g}")
        if self.kind == "min-size" and self.size < 2:
            raise InvalidInput(f"min-size needs at least 2 pixels, not {self.size:g}")
        if self.size < 0:
            raise InvalidInput(f"the size of {self.kind} must not be below 0")

    def __str__(self) -> str:
        size = f":{self.size:.10g}" if self.size else ""
        names = (f'"{name}"' if re.search("[,+@]", name) else name for name in self.classes)
        return f"{self.kind}{size}" + (f"@{'+'.join(names)}" if self.classes else "")


def parse_clean_up(text: str) -> tuple[CleanUpStep, ...]:
    """Read steps such as ``"majority:3,min-size:5"`` or ``"opening:3@quartz+albite,potts:0.5"``.

    ``"none"`` or nothing is no step, ``"default"`` is :data:`DEFAULT_STEPS`. Names that hold a comma or a
    plus stand in double quotes.

    Raises InvalidInput when a step cannot be read.
    """
    if text.strip().lower() in ("", "none"):
        return ()
    if text.strip().lower() == "default":
        return DEFAULT_STEPS
    return tuple(_parse_step(part.strip()) for part in _split(text, ","))


def clean_labels(
    label_map: LabelMap,
    steps: Sequence[CleanUpStep],
    progress: Progress = ignore_progress,
    *,
    probability: NDArray[np.floating[Any]] | None = None,
) -> LabelMap:
    """Return the label map after the steps, one after the other; the given one stays as it is.

    The class table stays. A pixel whose class changes gets the new class's probability as its confidence,
    or where it is not known ``1 − old``: the most that its spectrum can have left.

    Raises InvalidInput when a step names a class that the map does not list, is far wider than the map, or
    the probabilities do not fit.

    ``label_map``: what to clean. ``steps``: in the order in which they run. ``probability``: (Y, X, K) of the
    classes in the table's order, for ``"potts"``; without it the class of a pixel has its confidence, or 0.9,
    and the others share the rest.
    """
    fits = (*label_map.labels.shape, len(label_map.classes))
    if probability is not None and probability.shape != fits:
        raise InvalidInput(f"probabilities must be {fits}, not {probability.shape}")
    table = np.array([entry.label for entry in label_map.classes], dtype=np.uint64)
    began = class_places(label_map)
    classes = began
    for done, step in enumerate(steps):

        def told(done: int = done, step: CleanUpStep = step) -> None:
            progress(done, len(steps), str(step))

        told()
        widest = max(_WIDEST, 2 * max(label_map.labels.shape) + 1)
        if step.kind in _SQUARES and step.size > widest:
            raise InvalidInput(f"{step} is wider than the map", f"Take at most {widest}")
        work = _work_of(label_map, step, classes, began, probability, told)
        if work.chosen.size:
            classes = STEPS[step.kind](work, step.size if step.kind == "potts" else int(step.size))
            classes = np.where(began < 0, began, classes)
    labels = label_map.labels.copy()
    changed = classes != began
    labels[changed] = table[classes[changed]].astype(labels.dtype)
    confidence = label_map.confidence
    if confidence is not None and changed.any():
        confidence = confidence.copy()
        left = 1 - confidence[changed]
        confidence[changed] = left if probability is None else probability[changed, classes[changed]]
    return replace(label_map, labels=labels, confidence=confidence)


@dataclass(frozen=True)
class ClassChange:
    """How one class changed between two maps of the same pixels."""

    name: str  # the class
    # before, after: its share of the measured pixels, percent
    before: float
    after: float
    # gained, lost: pixels
    gained: int
    lost: int


def changes(before: LabelMap, after: LabelMap) -> tuple[ClassChange, ...]:
    """Return what a clean-up did to each class that either map holds, the largest first."""
    measured = max(int(np.count_nonzero(before.labels)), 1)
    moved = before.labels != after.labels
    old, new = (_counts(each.labels) for each in (before, after))
    lost, gained = _counts(before.labels[moved]), _counts(after.labels[moved])
    found = [
        ClassChange(
            entry.name,
            100 * old.get(entry.label, 0) / measured,
            100 * new.get(entry.label, 0) / measured,
            gained.get(entry.label, 0),
            lost.get(entry.label, 0),
        )
        for entry in before.classes
        if entry.label in old or entry.label in new
    ]
    return tuple(sorted(found, key=lambda change: -change.before))


def _counts(labels: NDArray[np.unsignedinteger[Any]]) -> dict[int, int]:
    values, counts = np.unique(labels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside quotes."""
    parts, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _parse_step(text: str) -> CleanUpStep:
    head, _, names = text.partition("@")
    kind, colon, size = (part.strip().lower() for part in head.partition(":"))
    classes = tuple(name.strip().strip('"') for name in _split(names, "+") if name.strip())
    try:
        number = float(size) if colon else 0.0
        if not number < 1e9:
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"cannot read the clean-up step {text!r}", "Write it like majority:3, min-size:5 or potts:0.5"
        ) from None
    return CleanUpStep(kind, number, classes)


@dataclass(frozen=True, eq=False)
class _Work:
    """What a step works on: classes by their place in the table."""

    classes: Classes  # (Y, X) now
    number: int
    chosen: NDArray[np.intp]  # those that the step works on, the most frequent first
    movable: Mask  # (Y, X) whether a pixel is of a chosen class
    # began, sure: (Y, X) before the first step, and how probable that was
    began: Classes
    sure: NDArray[np.float32]
    probability: NDArray[np.floating[Any]] | None  # (Y, X, K), or None
    told: Callable[[], None]  # called often; may raise Cancelled


def _work_of(
    label_map: LabelMap,
    step: CleanUpStep,
    classes: Classes,
    began: Classes,
    probability: NDArray[np.floating[Any]] | None,
    told: Callable[[], None],
) -> _Work:
    names = [entry.name.casefold() for entry in label_map.classes]
    wanted = [name.casefold() for name in step.classes]
    for name, given in zip(wanted, step.classes, strict=True):
        if name not in names:
            raise InvalidInput(f"the map has no class {given!r}", f"It has {', '.join(names)}")
    counts = np.bincount(classes[classes >= 0], minlength=len(names))
    worked_on = np.array([not wanted or name in wanted for name in names], dtype=bool)
    order = np.argsort(-counts, kind="stable")
    chosen = order[(counts[order] > 0) & worked_on[order]]
    # The last place answers for -1.
    movable = np.append(worked_on, False)[classes]
    sure = label_map.confidence
    if sure is None:
        sure = np.full(classes.shape, _SURE, dtype=np.float32)
    return _Work(classes, len(names), chosen, movable, began, sure, probability, told)


def _majority(work: _Work, size: int) -> Classes:
    from napari_xrf.minerals.labels.cleanup_kernels import bands, vote

    winner = np.empty_like(work.classes)
    for first, last in bands(winner.shape[0], work.told):
        vote(work.classes, work.number, size // 2, first, last, winner)
    return np.where(work.movable, winner, work.classes)


def _smooth(work: _Work, size: int) -> Classes:
    from napari_xrf.minerals.labels.cleanup_kernels import smoothed

    return np.where(work.movable, smoothed(work.classes, size, work.told), work.classes)


def _opening(work: _Work, size: int) -> Classes:
    from napari_xrf.minerals.labels.cleanup_kernels import narrow_parts

    return _nearest_stays(work, narrow_parts(work.classes, size // 2, work.told) & work.movable)


def _closing(work: _Work, size: int) -> Classes:
    from napari_xrf.minerals.labels.cleanup_kernels import closed

    filled = work.classes.copy()
    for chosen in work.chosen:  # rarer classes go last and win
        filled[closed(work.classes == chosen, size // 2, work.told) & (work.classes >= 0)] = chosen
    return filled


def _minimum_size(work: _Work, size: int) -> Classes:
    from skimage.measure import label as connected

    parts = connected(work.classes, background=-1, connectivity=2)
    work.told()
    return _nearest_stays(work, (np.bincount(parts.ravel()) < size)[parts] & work.movable)


def _fill_holes(work: _Work, size: int) -> Classes:
    from scipy.ndimage import label as connected

    filled = work.classes.copy()
    for chosen in work.chosen:
        work.told()
        own = work.classes == chosen
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        holes, number = connected(~own[box])
        area = np.bincount(holes.ravel(), minlength=number + 1)
        full = (area <= size) if size else np.ones(area.size, dtype=bool)
        # What reaches the edge of the class's box is open, or lies at the map's edge.
        for open_ones in (holes[work.classes[box] < 0], holes[0], holes[-1], holes[:, 0], holes[:, -1]):
            full[open_ones] = False
        full[0] = False
        filled[box][full[holes]] = chosen
    return filled


def _potts(work: _Work, strength: float) -> Classes:
    from napari_xrf.minerals.labels.cleanup_kernels import bands, settle

    classes = work.classes.copy()
    free = np.isin(np.arange(work.number), work.chosen)
    unknown = np.zeros((0, 0, 0), dtype=np.float32)
    probability = unknown if work.probability is None else work.probability
    for _ in range(_MOST_SWEEPS):
        moved = 0
        for first, last in bands(classes.shape[0], work.told):
            moved += settle(classes, work.began, work.sure, probability, free, strength, first, last)
        if moved <= _SETTLED * classes.size:
            break
    return classes


def _nearest_stays(work: _Work, removed: Mask) -> Classes:
    """Give each removed pixel the class of the nearest measured pixel that is not removed."""
    from scipy.ndimage import distance_transform_edt

    stays = (work.classes >= 0) & ~removed
    if not (stays.any() and removed.any()):
        return work.classes
    work.told()
    nearest = distance_transform_edt(~stays, return_distances=False, return_indices=True)
    return np.where(removed, work.classes[tuple(nearest)], work.classes)


STEPS: dict[str, Callable[[_Work, Any], Classes]] = {
    "majority": _majority,
    "smooth": _smooth,
    "opening": _opening,
    "closing": _closing,
    "min-size": _minimum_size,
    "fill-holes": _fill_holes,
    "potts": _potts,
}
DEFAULT_STEPS = (CleanUpStep("majority", 3), CleanUpStep("min-size", 5))
