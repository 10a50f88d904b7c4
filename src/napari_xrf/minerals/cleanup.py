"""Cleaning a label map up: majority filter, opening, closing, minimum size, hole filling.

No step makes a class that the map does not hold, and none touches pixels that were not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import NOT_MEASURED, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress

Labels = NDArray[np.unsignedinteger[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CleanUpStep:
    """One step of a clean-up.

    Attributes
    ----------
    kind
        ``"majority"``: a pixel takes the most frequent class of a square around it; on a tie it keeps its
        own. ``"opening"``: parts of a class too narrow for a disk take the class of the nearest pixel that
        stays. ``"closing"``: a class fills gaps too narrow for a disk; rarer classes go last and win.
        ``"min-size"``: connected parts of fewer pixels take the class of the nearest pixel that stays.
        ``"fill-holes"``: a class fills what it surrounds completely.
    size
        Side of the square or diameter of the disk in pixels (odd), fewest pixels, or most pixels of a hole
        (0: any).
    classes
        Names of the classes that the step works on; empty for all.

    Raises
    ------
    InvalidInput
        For another kind or a size that makes no sense.
    """

    kind: str
    size: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in STEPS:
            raise InvalidInput(f"there is no clean-up step {self.kind!r}", f"Use {', '.join(STEPS)}")
        if self.kind in ("majority", "opening", "closing") and (self.size < 3 or self.size % 2 == 0):
            raise InvalidInput(f"{self.kind} needs an odd size from 3, not {self.size}")
        if self.kind == "min-size" and self.size < 2:
            raise InvalidInput(f"min-size needs at least 2 pixels, not {self.size}")
        if self.size < 0:
            raise InvalidInput(f"the size of {self.kind} must not be below 0")

    def __str__(self) -> str:
        size = f":{self.size}" if self.size else ""
        return f"{self.kind}{size}" + (f"@{'+'.join(self.classes)}" if self.classes else "")


def parse_clean_up(text: str) -> tuple[CleanUpStep, ...]:
    """Read steps such as ``"majority:3,min-size:5"`` or ``"opening:3@quartz+albite"``.

    ``"none"`` or nothing is no step, ``"default"`` is :data:`DEFAULT_STEPS`.

    Raises
    ------
    InvalidInput
        When a step cannot be read.
    """
    if text.strip().lower() in ("", "none"):
        return ()
    if text.strip().lower() == "default":
        return DEFAULT_STEPS
    return tuple(_parse_step(part.strip()) for part in text.split(","))


def clean_labels(
    label_map: LabelMap, steps: Sequence[CleanUpStep], progress: Progress = ignore_progress
) -> LabelMap:
    """Return the label map after the steps, one after the other.

    The class table stays. A pixel whose class changes gets the confidence ``1 − old``: the most that its
    spectrum can have left for the new class.

    Raises
    ------
    InvalidInput
        When a step names a class that the map does not list.
    """
    labels: Labels = label_map.labels.copy()
    for done, step in enumerate(steps):
        progress(done, len(steps), str(step))
        chosen = _labels_of(label_map, step)
        cleaned = STEPS[step.kind](labels, chosen, step.size)
        labels = np.where(label_map.labels == NOT_MEASURED, labels, cleaned).astype(labels.dtype)
    confidence = label_map.confidence
    if confidence is not None:
        changed = labels != label_map.labels
        confidence = np.where(changed, 1 - confidence, confidence).astype(np.float32)
    return replace(label_map, labels=labels, confidence=confidence)


def _parse_step(text: str) -> CleanUpStep:
    head, _, names = text.partition("@")
    kind, colon, size = head.strip().partition(":")
    classes = tuple(name.strip() for name in names.split("+") if name.strip())
    if colon and not size.strip().isdecimal():
        raise InvalidInput(
            f"cannot read the clean-up step {text!r}", "Write it like majority:3 or min-size:5"
        )
    return CleanUpStep(kind.strip().lower(), int(size) if colon else 0, classes)


def _labels_of(label_map: LabelMap, step: CleanUpStep) -> NDArray[np.integer]:
    """Labels that a step works on, the most frequent class first."""
    present, counts = np.unique(label_map.labels, return_counts=True)
    present = present[np.argsort(-counts, kind="stable")]
    present = present[present != NOT_MEASURED]
    if not step.classes:
        return present
    by_name = {entry.name.casefold(): entry.label for entry in label_map.classes}
    for name in step.classes:
        if name.casefold() not in by_name:
            raise InvalidInput(f"the map has no class {name!r}", f"It has {', '.join(by_name)}")
    wanted = [by_name[name.casefold()] for name in step.classes]
    return present[np.isin(present, wanted)]


def _majority(labels: Labels, chosen: NDArray[np.integer], size: int) -> Labels:
    from scipy.ndimage import uniform_filter

    present = np.unique(labels[labels != NOT_MEASURED])
    most = np.zeros(labels.shape, dtype=np.int32)
    winner = labels.copy()
    own = np.zeros(labels.shape, dtype=np.int32)
    for label in present:
        share = uniform_filter((labels == label).astype(np.float64), size, mode="constant")
        votes = np.rint(share * size * size).astype(np.int32)
        better = votes > most
        most[better], winner[better] = votes[better], label
        own[labels == label] = votes[labels == label]
    return np.where(np.isin(labels, chosen) & (most > own), winner, labels)


def _opening(labels: Labels, chosen: NDArray[np.integer], size: int) -> Labels:
    from skimage.morphology import disk, opening

    removed = np.zeros(labels.shape, dtype=bool)
    for label in chosen:
        # A class that runs over the map's edge is not narrow there.
        mask = np.pad(labels == label, size, mode="edge")
        removed |= (mask & ~opening(mask, disk(size // 2)))[size:-size, size:-size]
    return _nearest_stays(labels, removed)


def _closing(labels: Labels, chosen: NDArray[np.integer], size: int) -> Labels:
    from skimage.morphology import closing, disk

    closed = labels.copy()
    for label in chosen:
        mask = np.pad(labels == label, size)
        grown = closing(mask, disk(size // 2))[size:-size, size:-size]
        closed[grown & (labels != NOT_MEASURED)] = label
    return closed


def _minimum_size(labels: Labels, chosen: NDArray[np.integer], size: int) -> Labels:
    from skimage.measure import label as connected

    parts = connected(labels, background=NOT_MEASURED, connectivity=2)
    small = np.bincount(parts.ravel()) < size
    return _nearest_stays(labels, small[parts] & np.isin(labels, chosen))


def _fill_holes(labels: Labels, chosen: NDArray[np.integer], size: int) -> Labels:
    from skimage.measure import label as connected

    filled = labels.copy()
    for label in chosen:
        holes = connected(labels != label, connectivity=1)
        area = np.bincount(holes.ravel())
        closed = (area <= size) if size else np.ones(area.size, dtype=bool)
        closed[np.unique(holes[labels == NOT_MEASURED])] = False
        for edge in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
            closed[np.unique(edge)] = False
        closed[0] = False
        filled[closed[holes]] = label
    return filled


def _nearest_stays(labels: Labels, removed: Mask) -> Labels:
    """Give each removed pixel the class of the nearest measured pixel that is not removed."""
    from scipy.ndimage import distance_transform_edt

    stays = (labels != NOT_MEASURED) & ~removed
    if not (stays.any() and removed.any()):
        return labels
    nearest = distance_transform_edt(~stays, return_distances=False, return_indices=True)
    return np.where(removed, labels[tuple(nearest)], labels)


STEPS: dict[str, Callable[[Labels, NDArray[np.integer], int], Labels]] = {
    "majority": _majority,
    "opening": _opening,
    "closing": _closing,
    "min-size": _minimum_size,
    "fill-holes": _fill_holes,
}
DEFAULT_STEPS = (CleanUpStep("majority", 3), CleanUpStep("min-size", 5))
