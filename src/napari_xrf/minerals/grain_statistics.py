"""Sizes of the grains of each class: connected parts of a label map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.label_map import NOT_MEASURED, LabelMap


@dataclass(frozen=True)
class GrainRow:
    """The grains of one class; diameters are those of a circle of equal area, in ``unit``.

    Attributes
    ----------
    label, name
        The class.
    grains
        Number of connected parts (8 neighbours); touching grains of one class count as one.
    median_diameter, largest_diameter
        Over the grains; None without grains.
    weighted_diameter
        Mean weighted by area: in what size of grain a random point of the class lies.
    edge_grains
        How many are cut by the map's edge or by pixels not measured, so larger than they seem.
    unit
        ``"µm"``, or ``"pixels"`` where the pixel size is unknown.
    """

    label: int
    name: str
    grains: int
    median_diameter: float | None
    weighted_diameter: float | None
    largest_diameter: float | None
    edge_grains: int
    unit: str


def grain_statistics(label_map: LabelMap) -> tuple[GrainRow, ...]:
    """Return one row per class of the table, in its order."""
    from skimage.measure import label as connected

    parts = connected(label_map.labels, background=NOT_MEASURED, connectivity=2)
    area = np.bincount(parts.ravel()).astype(np.float64)
    owner = np.zeros(area.size, dtype=label_map.labels.dtype)
    owner[parts.ravel()] = label_map.labels.ravel()
    cut = _cut_parts(parts, area.size)
    pixel_area = math.prod(label_map.pixel_size) if label_map.pixel_size is not None else 1.0
    unit = "pixels" if label_map.pixel_size is None else "µm"
    diameter = np.sqrt(4 * area * pixel_area / math.pi)
    rows = []
    for entry in label_map.classes:
        own = np.flatnonzero(owner == entry.label)
        own = own[own > 0]
        sizes = diameter[own]
        rows.append(
            GrainRow(
                entry.label,
                entry.name,
                own.size,
                float(np.median(sizes)) if own.size else None,
                float(np.average(sizes, weights=area[own])) if own.size else None,
                float(sizes.max()) if own.size else None,
                int(cut[own].sum()),
                unit,
            )
        )
    return tuple(rows)


def _cut_parts(parts: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Whether each part touches the map's edge or a pixel not measured."""
    from scipy.ndimage import binary_dilation

    outside = binary_dilation(parts == 0, structure=np.ones((3, 3), dtype=bool), border_value=1)
    # Dilation with a filled border marks the outermost pixels; the unmeasured ones are part 0.
    cut = np.zeros(count, dtype=bool)
    cut[np.unique(parts[outside])] = True
    cut[0] = False
    return cut
