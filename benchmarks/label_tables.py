"""Seconds for tables and clean-up of 2000 × 2000 labels of twelve classes, beside scikit-image and SciPy.

    python benchmarks/label_tables.py

Labels are a smooth random texture with 2 % of the pixels drawn anew. Peers run on 500 × 500 of it, where they
take long, and are marked so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, generic_filter
from skimage.measure import label, regionprops_table
from skimage.morphology import disk, opening

from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.cleanup import clean_labels, parse_clean_up
from napari_xrf.minerals.labels.comparison import compare_labels
from napari_xrf.minerals.labels.grains import association, find_grains, liberation
from napari_xrf.minerals.labels.modal_table import modal_table

SIDE, CLASSES = 2000, 12
STEPS = "majority:3,smooth:5,opening:3,opening:31,closing:3,min-size:5,fill-holes:20,potts:1,default"


def main() -> None:
    """Print a line for each table and step, and for each peer."""
    labels = make_labels()
    table = tuple(LabelClass(each, f"class {each}", density=3.0) for each in range(1, CLASSES + 1))
    whole = LabelMap(labels, table, np.full(labels.shape, 0.9, np.float32), (10.0, 10.0))
    few = LabelMap(labels[:50, :50], table)
    for table_of in (modal_table, find_grains, association, liberation):
        show(table_of.__name__, table_of, whole)
    show("compare_labels", compare_labels, whole, whole)
    for step in STEPS.split(","):
        clean_labels(few, parse_clean_up(step))  # compiles
        show(step, clean_labels, whole, parse_clean_up(step))
    quarter = labels[:500, :500]
    show("scikit-image opening 31, one class, 500 × 500", opening, quarter == 1, disk(15))
    show("SciPy majority 3, 500 × 500", generic_filter, quarter, most_frequent, 3)
    parts = label(quarter, background=0, connectivity=2)
    wanted = ("area", "centroid", "axis_major_length", "axis_minor_length", "orientation", "perimeter")
    show("scikit-image regionprops_table, 500 × 500", regionprops_table, parts, properties=wanted)


def make_labels() -> np.ndarray:
    """Return labels 1 to 12, (Y, X)."""
    rng = np.random.default_rng(0)
    heights = rng.normal(size=(CLASSES, SIDE, SIDE)).astype(np.float32)
    labels = gaussian_filter(heights, (0, 6, 6)).argmax(axis=0).astype(np.uint16) + 1
    noise = rng.random(labels.shape) < 0.02
    labels[noise] = rng.integers(1, CLASSES + 1, noise.sum())
    return labels


def most_frequent(values: np.ndarray) -> float:
    """Return what a window holds most of."""
    return float(np.bincount(values.astype(int)).argmax())


def show(name: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
    """Print how long a call takes."""
    began = time.perf_counter()
    function(*arguments, **keywords)
    print(f"{name:50s} {time.perf_counter() - began:7.2f} s")


if __name__ == "__main__":
    main()
