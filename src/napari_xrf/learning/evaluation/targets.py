"""Targets of a set of spectra in the order of a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.description import ModelDescription

_SEPARATOR = " / "


def align_targets(
    targets: Mapping[str, NDArray[Any]], names: Sequence[str], description: ModelDescription
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return targets by the model's names, and what the user should know, one sentence each.

    Names that the set does not know count as absent; minerals that the model does not know as "unknown".

    Parameters
    ----------
    targets, names
        Of the set, as in :class:`~napari_xrf.learning.sources.sets.SpectrumSet`.

    Raises
    ------
    InvalidInput
        When set and model have no name in common.
    """
    if "label" in targets:
        return _align_classes(targets, names, description)
    position = {name: index for index, name in enumerate(names)}
    common = [name for name in description.names if name in position]
    if not common:
        raise InvalidInput(
            f"none of the names of {description.name} stands in the data", "Choose another model or file"
        )
    aligned: dict[str, NDArray[Any]] = {}
    for key, values in targets.items():
        table = np.zeros((len(values), len(description.names)), dtype=np.float32)
        for column, name in enumerate(description.names):
            if name in position:
                table[:, column] = values[:, position[name]]
        aligned[key] = table
    foreign = [name for name in names if name not in set(description.names)]
    notes = [f"the model does not know {_listed(foreign)} of the data"] if foreign else []
    missing = len(description.names) - len(common)
    if missing:
        notes.append(f"{missing} of the model's names never occur in the data")
    return aligned, tuple(notes)


def class_positions(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.intp]:
    """Return for each name the class that shares most members with it, len(classes) where none does.

    A name or a class may be a group, ``"quartz / opal"``.
    """
    members = [set(each.split(_SEPARATOR)) for each in classes]
    places = []
    for name in names:
        shared = [len(set(name.split(_SEPARATOR)) & each) for each in members]
        best = int(np.argmax(shared)) if shared else 0
        places.append(best if shared and shared[best] else len(classes))
    return np.array(places, dtype=np.intp)


def _align_classes(
    targets: Mapping[str, NDArray[Any]], names: Sequence[str], description: ModelDescription
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    unknown = len(description.names)
    position = class_positions(names, description.names)
    label = np.asarray(targets["label"])
    if (position == unknown).all():
        raise InvalidInput(
            f"none of the classes of {description.name} stands in the data", "Choose another model or file"
        )
    # −1 is "nothing known", K of a source's own draws "unknown".
    table = np.append(position, unknown)
    aligned = {**targets, "label": np.where(label < 0, -1, table[label])}
    foreign = [name for name, place in zip(names, position, strict=True) if place == unknown]
    notes = (f"the model does not know {_listed(foreign)}: they count as unknown",) if foreign else ()
    return aligned, notes


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
