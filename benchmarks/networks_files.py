"""Elements that networks find in measured files, beside those that the files or their descriptions list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.elements_of_measured_files import LISTED

import napari_xrf
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.evaluation.results import Table
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction import predict
from napari_xrf.maps.calibrated_map import find_elements

_FOUND = 0.5  # part of an element's lines that a line network must name


def measured_file_tables(folder: Path, models: Sequence[Model]) -> list[Table]:
    """Return the table of all files and that of the sums, and print what was found in each."""
    rows: dict[str, dict[str, float]] = {}
    sums: dict[str, dict[str, float]] = {}
    for name, text in LISTED.items():
        try:
            cube = napari_xrf.read(folder / name)
        except (XrfError, OSError) as error:
            print(f"{name}: {error}")
            continue
        listed = None if text == "?" else set(text.split())
        row: dict[str, float] = {}
        found = {"find_elements": {one.element for one in find_elements(cube)}}
        known: dict[str, set[str] | None] = {"find_elements": None}
        summed = sum_of(cube)
        for model in models:
            try:
                found[model.description.name] = elements_in(model, summed)
            except XrfError as error:
                print(f"{name}, {model.description.name}: {error}")
                continue
            known[model.description.name] = {each.split()[0] for each in model.description.names}
        for method, elements in found.items():
            print(f"{name}, {method}: {' '.join(sorted(elements)) or '-'}", flush=True)
            if listed is None:
                continue
            able = known[method]
            wanted = listed if able is None else listed & able
            counts = {
                "listed": len(wanted),
                "found": len(wanted & elements),
                "false": len(elements - listed),
            }
            total = sums.setdefault(method, {"files": 0.0})
            total["files"] += 1
            for key, value in counts.items():
                row[f"{key}, {method}"] = float(value)
                total[key] = total.get(key, 0.0) + value
        if row:
            rows[name] = row
    return [
        Table("Measured files with a list of elements, all together", sums),
        Table("Each measured file", rows),
    ]


def sum_of(cube: SpectralCube) -> SpectralCube:
    """Return the sum of a map as a map of one pixel."""
    spectrum: Any = np.asarray(cube.sum_spectrum())[np.newaxis, np.newaxis, :]
    return SpectralCube(
        spectrum, cube.energy, name=cube.name, excitation=cube.excitation, elements=cube.elements
    )


def elements_in(model: Model, cube: SpectralCube) -> set[str]:
    """Return the elements that a model names in a map of one pixel."""
    prediction = predict(model, cube)
    assert prediction.probability is not None
    named = prediction.probability[0, 0] >= model.description.thresholds
    elements = [name.split()[0] for name in prediction.names]
    return set(_often_named(elements, named.tolist()))


def _often_named(elements: Sequence[str], named: Sequence[bool]) -> Iterable[str]:
    for element in dict.fromkeys(elements):
        own = [yes for each, yes in zip(elements, named, strict=True) if each == element]
        if sum(own) >= _FOUND * len(own):
            yield element
