"""What stored numbers stand for where a file scales them, as NeXus and the CF conventions have it."""

import math
from dataclasses import dataclass
from typing import Any

from napari_xrf.io.hdf5 import file as hdf5_file


@dataclass(frozen=True)
class Scaling:
    """What numbers are multiplied by, what is added then, and what is told of it."""

    factor: float = 1.0
    shift: float = 0.0
    note: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether numbers change."""
        return (self.factor, self.shift) != (1, 0)


def blank_of(dataset: Any) -> float | None:
    """Return the number above 0 that marks what was not measured (netCDF's ``_FillValue``), or None."""
    marked = _number(hdf5_file.attribute(dataset, "_FillValue"))
    return marked if marked is not None and marked > 0 else None


def scaling_of(dataset: Any) -> Scaling:
    """Return how a dataset's numbers become what they stand for.

    NXdata says ``<name>_scaling_factor`` and ``<name>_offset`` beside it, of its signal ``scaling_factor``
    and ``offset``, too: (number + offset) · factor. Attributes ``scaling_factor`` or ``scale_factor`` and
    ``add_offset``: number · factor + offset.
    """
    folder, _, name = dataset.name.rpartition("/")
    group = hdf5_file.group_at(dataset.file, folder or "/")
    marked = hdf5_file.attribute(dataset, "signal") is not None
    fields = [(f"{name}_scaling_factor", f"{name}_offset")]
    if marked or name == hdf5_file.text_attribute(group, "signal"):
        fields.append(("scaling_factor", "offset"))
    for words in fields if group is not None else ():
        factor, offset = (_number(hdf5_file.dataset_at(group, word)) for word in words)
        if factor is not None:
            return _told(factor, (offset or 0.0) * factor, words)
    for words in ("scaling_factor", "add_offset"), ("scale_factor", "add_offset"):
        factor, offset = (_number(hdf5_file.attribute(dataset, word)) for word in words)
        if factor is not None:
            return _told(factor, offset or 0.0, words)
    return Scaling()


def _told(factor: float, shift: float, words: tuple[str, str]) -> Scaling:
    said = " and ".join(words[: 1 + (shift != 0)])
    if not (factor > 0 and math.isfinite(shift)):
        return Scaling(note=f"The file's {said}, {factor:g}, makes no sense and is not applied.")
    done = [f"multiplied by {factor:g}"] * (factor != 1) + [f"moved by {shift:g}"] * (shift != 0)
    note = f"The file's numbers were {' and '.join(done)}, as it says ({said})." if done else ""
    return Scaling(factor, shift, note)


def _number(value: Any) -> float | None:
    """Return a single number; None for lists, whose parts stand for something else."""
    return None if value is None or getattr(value, "size", 1) != 1 else hdf5_file.number_of(value)
