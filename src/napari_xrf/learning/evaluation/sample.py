"""Spectra whose truth is known, and what is said of them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra and the truth of them in the order of a model's outputs."""

    cube: SpectralCube  # (Y, X, E) spectra
    targets: Mapping[str, NDArray[Any]]  # as in LabelledSpectra, of N = Y·X spectra
    source: str  # where they come from
    notes: tuple[str, ...] = ()  # what the user should know, one sentence each
    # (N, C) what a network is told of the instrument of each spectrum; None: what the cube states
    conditions: NDArray[np.float32] | None = None

    @property
    def size(self) -> int:
        """N."""
        return self.cube.map_shape[0] * self.cube.map_shape[1]

    @property
    def is_map(self) -> bool:
        """Whether the spectra are the pixels of an image."""
        return min(self.cube.map_shape) > 1

    @property
    def spectra(self) -> NDArray[np.generic]:
        """(N, E) counts."""
        return np.asarray(self.cube.counts).reshape(self.size, -1)

    def first(self, number: int) -> Sample:
        """Return the first spectra of a list; a map stays whole."""
        if self.is_map or number >= self.size:
            return self
        counts: Any = self.spectra[:number, np.newaxis, :]
        targets = {name: values[:number] for name, values in self.targets.items()}
        told = None if self.conditions is None else self.conditions[:number]
        cube = replace(self.cube, counts=counts, live_time=None)
        return replace(self, cube=cube, targets=targets, conditions=told)


@dataclass(frozen=True, eq=False)
class SpectrumPredictions:
    """What a model, or a method beside it, says of N spectra."""

    counts: NDArray[np.float32]  # (N,) on the model's axis
    # (N, K) of presence, or of each mineral class; None where nothing is named
    probability: NDArray[np.floating] | None = None
    present: NDArray[np.bool_] | None = None  # (N, K) decisions on presence
    # classes, confidence: (N,) mineral class given, K for unknown, and the probability of what was given
    classes: NDArray[np.intp] | None = None
    confidence: NDArray[np.float32] | None = None
    best: NDArray[np.intp] | None = None  # (N,) most probable mineral class, unknown aside
    # (N,) probability that it is none of the classes, or another number that rises with doubt
    unknown: NDArray[np.floating] | None = None
    intensity: NDArray[np.floating] | None = None  # (N, K) net counts
    # code, spectrum: (N, L) and (N, E)
    code: NDArray[np.float32] | None = None
    spectrum: NDArray[np.float32] | None = None

    @property
    def size(self) -> int:
        """N."""
        return len(self.counts)

    def given(self, name: str) -> NDArray[Any]:
        """Return one of the arrays.

        Raises InvalidInput when there is none.
        """
        values: NDArray[Any] | None = getattr(self, name)
        if values is None:
            raise InvalidInput(f"the model gives no {name}", "Take a model of the task that the data are for")
        return values
