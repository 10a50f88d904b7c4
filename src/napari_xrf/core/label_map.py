"""A map of classes (minerals, phases) with their names, colours and confidence."""

import colorsys
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.display import html_of, labels_png, size_text
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.interchange import labelled_array

NOT_MEASURED, UNKNOWN_LABEL = 0, 1
UNKNOWN_NAME = "unknown"
LEAST_PROBABILITY = 0.5  # a pixel whose best class is less probable is unknown

_BETWEEN = " / "  # of the members of a group that cannot be told apart
_COLOR = re.compile(r"#[0-9a-f]{6}")
_TOLD_APART = 48.0  # distance of two colours in RGB, of 441


@dataclass(frozen=True)
class LabelClass:
    """One class of a label map.

    Attributes
    ----------
    label
        Its number in the map, at least 1.
    name
        Its name; a group that cannot be told apart names all its members, ``"quartz / opal"``.
    formula
        Chemical formula, may be empty.
    color
        ``"#rrggbb"``, lower case.
    density
        g/cm³, or None where it has no meaning (the unknown class).
    """

    label: int
    name: str
    formula: str = ""
    color: str = "#808080"
    density: float | None = None

    def __post_init__(self) -> None:
        if self.label < 1:
            raise InvalidInput(f"class {self.name!r} needs a label of at least 1, not {self.label}")
        check_color(self.color, self.name)


@dataclass(frozen=True, eq=False, repr=False)
class LabelMap:
    """Which class each pixel belongs to.

    Attributes
    ----------
    labels
        (Y, X) unsigned integers; 0 is "not measured"; every other value stands in ``classes``.
    classes
        The class table, by rising label; it may list classes that no pixel has. Spectra that no
        class explains belong to a class of its own, named ``"unknown"``.
    confidence
        (Y, X) float32 probability of the pixel's class, 0 to 1, or None.
    pixel_size
        (dy, dx) in µm, or None.
    source
        The name of the map it was made from.

    Raises
    ------
    InvalidInput
        When shapes do not fit, a label stands twice or is not in the table.
    """

    labels: NDArray[np.unsignedinteger]
    classes: tuple[LabelClass, ...]
    confidence: NDArray[np.float32] | None = None
    pixel_size: tuple[float, float] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        kind = getattr(self.labels, "dtype", None)
        if kind is None or kind.kind != "u" or self.labels.ndim != 2:
            raise InvalidInput(
                f"labels must be (Y, X) unsigned integers, not {np.shape(self.labels)} {kind or 'of no type'}"
            )
        if self.confidence is not None and self.confidence.shape != self.labels.shape:
            raise InvalidInput("confidence and labels have different shapes")
        known = [entry.label for entry in self.classes]
        if known != sorted(set(known)):
            raise InvalidInput("the class table must list each label once, rising")
        missing = labels_in(self.labels) - {NOT_MEASURED, *known}
        if missing:
            raise InvalidInput(f"labels {sorted(missing)} stand in no class")

    def class_named(self, name: str) -> LabelClass:
        """Return the class of that name, or raise KeyError."""
        for entry in self.classes:
            if entry.name == name:
                return entry
        raise KeyError(f"no class {name!r}; there are {', '.join(each.name for each in self.classes)}")

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        return self.labels == self.class_named(name).label

    def shares(self) -> dict[str, float]:
        """Return the share of the measured pixels of each class that some pixel has, the largest first."""
        counts = {entry.name: int((self.labels == entry.label).sum()) for entry in self.classes}
        measured = max(sum(counts.values()), 1)
        found = sorted(counts.items(), key=lambda item: -item[1])
        return {name: pixels / measured for name, pixels in found if pixels}

    def __repr__(self) -> str:
        named = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.shares().items())
        return f"<LabelMap: {named or 'nothing measured'}; {size_text(self.labels.shape, self.pixel_size)}>"

    def _repr_html_(self) -> str:
        return html_of(repr(self), ("classes", self.picture()))

    def picture(self) -> bytes:
        """Return a small PNG of the labels in the colours of their classes."""
        return labels_png(self.labels, {entry.label: entry.color for entry in self.classes})

    def to_xarray(self) -> Any:
        """Return an ``xarray.DataArray`` (y, x) of the labels; its attribute ``classes`` names them."""
        return labelled_array(
            self.labels,
            ("y", "x"),
            pixel_size=self.pixel_size,
            coordinates={} if self.confidence is None else {"confidence": (("y", "x"), self.confidence)},
            name="labels",
            attributes={
                "classes": {entry.label: entry.name for entry in self.classes},
                "source": self.source,
            },
        )


def labels_in(labels: NDArray[np.unsignedinteger]) -> set[int]:
    """Return the labels that pixels carry, 0 for what was not measured among them."""
    # Counting takes a quarter of the time of sorting, where labels are few.
    few = labels.size > 0 and labels.max() < labels.size
    present = np.flatnonzero(np.bincount(labels.ravel().astype(np.intp))) if few else np.unique(labels)
    return set(present.tolist())


def with_region(
    before: LabelMap | None,
    name: str,
    region: NDArray[np.bool_],
    color: str = "",
    pixel_size: tuple[float, float] | None = None,
) -> LabelMap:
    """Return a label map with the pixels of a region (Y, X) as a further class, or alone in a new one."""
    if before is None:
        before = LabelMap(np.zeros(region.shape, dtype=np.uint8), (), None, pixel_size)
    label = max((entry.label for entry in before.classes), default=NOT_MEASURED) + 1
    labels = before.labels.astype(np.result_type(before.labels, np.min_scalar_type(label)))
    labels[region] = label
    return LabelMap(
        labels, (*before.classes, LabelClass(label, name, "", color, None)), None, before.pixel_size
    )


def check_color(color: str, name: str) -> None:
    """Raise InvalidInput where the colour of something is not ``"#rrggbb"``, in lower case."""
    if not _COLOR.fullmatch(color):
        raise InvalidInput(
            f"colour {color!r} of {name!r} is not of the form #rrggbb", "Write it like #ff0000"
        )


def group_name(names: Iterable[str]) -> str:
    """Return the name of a group that cannot be told apart, ``"quartz / opal"``; each member once."""
    return _BETWEEN.join(dict.fromkeys(names))


def members_of(name: str) -> tuple[str, ...]:
    """Return the names that stand in a class's name: ``"quartz / opal"`` holds two."""
    return tuple(each.strip() for each in name.split(_BETWEEN))


def number_by_area(
    measured: NDArray[np.bool_],
    chosen: NDArray[np.intp],
    confidence: NDArray[np.floating],
    classes: Sequence[LabelClass],
    pixel_size: tuple[float, float] | None = None,
    source: str = "",
    held: Sequence[int] = (),
) -> tuple[LabelMap, tuple[int, ...]]:
    """Return a label map: 1 is "unknown", the classes that occur follow from 2 on by falling area.

    ``measured``: (Y, X) which pixels were measured. ``chosen``, ``confidence``: (n,) of the measured pixels
    in row order: position of the class in ``classes``, -1 for unknown; and how probable that is. ``classes``:
    K classes; their labels do not count. ``held``: positions of classes that have their place, behind the
    others, without a pixel of their own too.

    Returns
    -------
    label_map : LabelMap
    order : positions in ``classes`` of labels 2, 3, …
    """
    pixels = np.bincount(chosen[chosen >= 0], minlength=len(classes))
    order = tuple(int(index) for index in np.argsort(-pixels, kind="stable") if pixels[index])
    order += tuple(index for index in held if index not in order)
    label_of = np.full(len(classes) + 1, UNKNOWN_LABEL, dtype=np.uint16)  # the last stands for -1
    label_of[list(order)] = np.arange(len(order)) + UNKNOWN_LABEL + 1
    labels = np.full(measured.shape, NOT_MEASURED, dtype=np.uint16)
    labels[measured] = label_of[chosen]
    certain = np.zeros(measured.shape, dtype=np.float32)
    certain[measured] = confidence
    table = [LabelClass(UNKNOWN_LABEL, UNKNOWN_NAME)]
    table += [replace(classes[index], label=int(label_of[index])) for index in order]
    return LabelMap(labels, distinct_colors(table), certain, pixel_size, source), order


def distinct_colors(classes: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
    """Return classes, no two of nearly one colour: groups give way to single names, then the later."""
    given: dict[int, str] = {}
    for entry in sorted(classes, key=lambda each: len(members_of(each.name)) > 1):
        taken, near = list(given.values()), [entry.color, *_shades(entry.color)]
        apart = partial(_least_apart, others=taken)
        free = (color for color in near if apart(color) >= _TOLD_APART)
        given[entry.label] = next(free, None) or max(near, key=apart)
    return tuple(replace(entry, color=given[entry.label]) for entry in classes)


def _shades(color: str) -> list[str]:
    """Return other colours, the most alike first: of another lightness, then of another hue too."""
    hue, light, strong = colorsys.rgb_to_hls(*(part / 255 for part in bytes.fromhex(color[1:])))
    shades = []
    for turn in (0.0, 0.08, -0.08, 0.2, -0.2, 0.5):
        for step in (0.2, -0.2, 0.35, -0.35):
            moved = colorsys.hls_to_rgb((hue + turn) % 1, min(max(light + step, 0.15), 0.9), strong)
            shades.append("#" + bytes(round(255 * part) for part in moved).hex())
    return shades


def _least_apart(color: str, others: Iterable[str]) -> float:
    """Return how far a colour lies from the nearest of others in red, green and blue, 0 to 441."""
    own = bytes.fromhex(color[1:])
    return min((math.dist(own, bytes.fromhex(other[1:])) for other in others), default=math.inf)
