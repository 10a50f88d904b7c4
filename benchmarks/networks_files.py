"""Elements that networks find in measured files, beside those whose peaks an eye sees in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.elements_of_measured_files import TRUTH

import napari_xrf
from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map

_FOUND = 0.5  # part of an element's lines that a line network must name


@dataclass
class Tally:
    """Elements named by a method, added up over spectra."""

    spectra: int = 0
    found: int = 0
    false: int = 0
    missed: int = 0

    def add(self, named: set[str], seen: set[str], allowed: set[str]) -> tuple[set[str], set[str]]:
        """Count what was named where an eye sees some elements and others may be there; false and missed."""
        false, missed = named - seen - allowed, seen - named
        self.spectra += 1
        self.found += len(named & seen)
        self.false += len(false)
        self.missed += len(missed)
        return false, missed

    @property
    def row(self) -> dict[str, float]:
        """The table's row."""
        f1 = 2 * self.found / max(2 * self.found + self.false + self.missed, 1)
        return {**{name: float(value) for name, value in vars(self).items()}, "f1": f1}


@dataclass(frozen=True, eq=False)
class MeasuredSum:
    """The sum spectrum of a file, calibrated, with what an eye sees in it and what may be there as well."""

    file: str
    known: CalibratedMap
    seen: frozenset[str]
    allowed: frozenset[str]


@cache
def measured_sums(folder: Path) -> tuple[MeasuredSum, ...]:
    """Return the sums of the files whose elements are known; what cannot be read is printed and left out."""
    found = []
    for name, (seen, allowed) in TRUTH.items():
        try:
            known = calibrate_map(sum_of(napari_xrf.read(folder / name)))
        except (XrfError, OSError) as error:
            print(f"{name}: {error}")
            continue
        found.append(MeasuredSum(name, known, frozenset(seen.split()), frozenset(allowed.split())))
    return tuple(found)


def measured_file_tables(folder: Path, models: Sequence[Model], finder: bool = True) -> list[FigureTable]:
    """Return the table of all files, and print what was wrong in each.

    All methods name elements of the sum spectrum on the refined axis; a network misses what it has no name
    for.
    """
    tallies: dict[str, Tally] = {}
    for each in measured_sums(folder):
        for method, named in named_elements(each.known, models, finder):
            wrong = tallies.setdefault(method, Tally()).add(named, set(each.seen), set(each.allowed))
            false, missed = (" ".join(sorted(one)) or "-" for one in wrong)
            print(f"{Path(each.file).name[:34]:34s} {method:14s} FALSE {false} MISSED {missed}", flush=True)
    return [FigureTable("Elements of measured files", {name: each.row for name, each in tallies.items()})]


def named_elements(
    measured: CalibratedMap, models: Sequence[Model], finder: bool = True
) -> Iterator[tuple[str, set[str]]]:
    """Yield each method with the elements that it names in a map of one pixel.

    Networks for elements come twice: what they name is held against a fit, and is not.
    """
    if finder:
        yield "find_elements", {one.element for one in measured.elements}
    for model in models:
        name, checked = model.description.name, model.description.task == "elements"
        for method, check in ((name, True), (f"{name}, unchecked", False))[: 1 + checked]:
            try:
                yield method, elements_in(model, measured, check)
            except XrfError as error:
                print(f"{measured.cube.name}, {method}: {error}")
                yield method, set()


def sum_of(cube: SpectralCube) -> SpectralCube:
    """Return the sum of a map as a map of one pixel."""
    spectrum: Any = np.asarray(cube.sum_spectrum())[np.newaxis, np.newaxis, :]
    return SpectralCube(
        spectrum, cube.energy, name=cube.name, excitation=cube.excitation, elements=cube.elements
    )


def elements_in(model: Model, measured: Measured, check: bool = True) -> set[str]:
    """Return the elements that a model names in a map of one pixel."""
    prediction = predict(model, measured, check=check)
    assert prediction.probability is not None
    named = prediction.probability[0, 0] >= model.description.thresholds
    elements = [name.split()[0] for name in prediction.names]
    return set(often_named(elements, named.tolist()))


def often_named(elements: Sequence[str], named: Sequence[bool]) -> Iterable[str]:
    """Yield the elements of which half of the lines are named."""
    for element in dict.fromkeys(elements):
        own = [yes for each, yes in zip(elements, named, strict=True) if each == element]
        if sum(own) >= _FOUND * len(own):
            yield element
