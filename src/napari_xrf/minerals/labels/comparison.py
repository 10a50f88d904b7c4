"""Two label maps of the same pixels: how far they agree, and where."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.colors import spread_color
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, LabelMap, members_of
from napari_xrf.io.own.tables import write_rows
from napari_xrf.minerals.labels.grains import class_places

SAME, ALLOWED, UNNAMED, DIFFERENT = 1, 2, 3, 4
_KINDS = (
    LabelClass(SAME, "the same name", color="#3b7a57"),
    LabelClass(ALLOWED, "one name allows the other", color="#a6d785"),
    LabelClass(UNNAMED, "unknown in one", color="#c0c0c0"),
    LabelClass(DIFFERENT, "different names", color="#c0392b"),
)


@dataclass(frozen=True)
class ClassAgreement:
    """One name in two maps."""

    name: str  # the class
    # first, second: its share of the pixels measured in both maps, percent
    first: float
    second: float
    both: float  # share of them that both call so, percent
    overlap: float  # those over all that either calls so, 0 to 1


@dataclass(frozen=True, eq=False)
class LabelComparison:
    """How far two label maps agree."""

    pixels: int  # measured in both
    agreement: float  # share of the pixels with the same name, 0 to 1
    allowed: float  # the same, where "quartz / opal" agrees with "quartz" too
    kappa: float  # Cohen's: the agreement beyond chance; NaN where both maps have one class only
    # first, second: names of the rows and columns of confusion.
    first: tuple[str, ...]
    second: tuple[str, ...]
    confusion: NDArray[np.int64]  # (F, S) pixels
    classes: tuple[ClassAgreement, ...]  # each name, the most frequent first
    map: LabelMap  # where they agree: the same name, one allows the other, unknown in one, different
    # Where they differ, and how: 1 is the same name, then a class for each pair of names, "quartz ≠ albite",
    # the first map's first, by falling area.
    pairs: LabelMap

    def __repr__(self) -> str:
        kappa = f", kappa {self.kappa:.3f}" if self.kappa == self.kappa else ""  # one class only: none
        return f"<LabelComparison: {self.agreement:.1%} of {self.pixels} pixels agree{kappa}>"


def compare_labels(first: LabelMap, second: LabelMap) -> LabelComparison:
    """Compare two label maps pixel by pixel, by the classes' names; see :func:`napari_xrf.compare_labels`."""
    if first.labels.shape != second.labels.shape:
        raise InvalidInput(
            f"maps of {first.labels.shape} and {second.labels.shape} pixels cannot be compared",
            "Give two of the same map",
        )
    one, other = class_places(first), class_places(second)
    both = (one >= 0) & (other >= 0)
    pixels = int(both.sum())
    if not pixels:
        raise InvalidInput("no pixel is measured in both maps", "Give two of the same map")
    names, others = ([entry.name for entry in each.classes] for each in (first, second))
    code = one[both].astype(np.int64) * len(others) + other[both]
    confusion = np.bincount(code, minlength=len(names) * len(others)).reshape(len(names), len(others))
    kinds = np.array([[_kind(name, near) for near in others] for name in names], dtype=np.uint8)
    agreed = int(confusion[kinds == SAME].sum())
    classes = _agreements(names, others, confusion, pixels)
    chance = sum(entry.first * entry.second for entry in classes) / 1e4
    shown = np.zeros(both.shape, dtype=np.uint8)
    shown[both] = kinds.ravel()[code]
    size = first.pixel_size or second.pixel_size
    rows, columns = (np.flatnonzero(confusion.any(axis=axis)) for axis in (1, 0))
    return LabelComparison(
        pixels=pixels,
        agreement=agreed / pixels,
        allowed=float(confusion[kinds <= ALLOWED].sum() / pixels),
        kappa=(agreed / pixels - chance) / (1 - chance) if chance < 1 - 1e-12 else float("nan"),
        first=tuple(names[row] for row in rows),
        second=tuple(others[column] for column in columns),
        confusion=confusion[np.ix_(rows, columns)],
        classes=classes,
        map=LabelMap(shown, _KINDS, None, size, "agreement"),
        pairs=_pairs(both, code, kinds, (names, others), size),
    )


def write_comparison(folder: Path, comparison: LabelComparison) -> list[Path]:
    """Write confusion.csv (rows are the first map) and agreement.csv (a row per name)."""
    files = [folder / "confusion.csv", folder / "agreement.csv"]
    matrix: Iterable[list[object]] = (
        [name, *row] for name, row in zip(comparison.first, comparison.confusion.tolist(), strict=True)
    )
    write_rows(files[0], ("first \\ second", *comparison.second), matrix)
    header = [entry.name for entry in fields(ClassAgreement)]
    write_rows(files[1], header, ([getattr(row, name) for name in header] for row in comparison.classes))
    return files


def _kind(name: str, other: str) -> int:
    if name.casefold() == other.casefold():
        return SAME
    if UNKNOWN_NAME in (name, other):
        return UNNAMED
    members, near = ({each.casefold() for each in members_of(text)} for text in (name, other))
    return ALLOWED if members & near else DIFFERENT


def _pairs(
    both: NDArray[np.bool_],
    code: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    names: tuple[list[str], list[str]],
    pixel_size: tuple[float, float] | None,
) -> LabelMap:
    """Return the map of pairs of names; a code is a cell of ``kinds``, row by row."""
    apart = kinds.ravel() != SAME
    number = np.bincount(code, minlength=apart.size) * apart
    order = [int(pair) for pair in np.argsort(-number, kind="stable") if number[pair]]
    label_of = np.full(apart.size, SAME, dtype=np.uint32)
    label_of[order] = np.arange(len(order)) + SAME + 1
    labels = np.zeros(both.shape, dtype=np.uint32)
    labels[both] = label_of[code]
    first, second = names
    classes = [_KINDS[0]]
    for label, pair in enumerate(order, SAME + 1):
        one, other = first[pair // len(second)], second[pair % len(second)]
        classes.append(LabelClass(label, f"{one} ≠ {other}", color=spread_color(label)))
    small = labels.astype(np.min_scalar_type(len(classes)))
    return LabelMap(small, tuple(classes), None, pixel_size, "differences")


def _agreements(
    names: list[str], others: list[str], confusion: NDArray[np.int64], pixels: int
) -> tuple[ClassAgreement, ...]:
    spelled = {name.casefold(): name for name in (*others, *names)}
    lower, near = ([name.casefold() for name in each] for each in (names, others))
    found = []
    for key, name in spelled.items():
        rows = np.array([each == key for each in lower], dtype=bool)
        columns = np.array([each == key for each in near], dtype=bool)
        first, second = int(confusion[rows].sum()), int(confusion[:, columns].sum())
        same = int(confusion[np.ix_(rows, columns)].sum())
        either = first + second - same
        if either:
            found.append(
                ClassAgreement(
                    name, 100 * first / pixels, 100 * second / pixels, 100 * same / pixels, same / either
                )
            )
    return tuple(sorted(found, key=lambda entry: -max(entry.first, entry.second)))
