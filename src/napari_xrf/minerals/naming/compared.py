"""An end of mixing compared with expected spectra, and what it is then called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.minerals.likelihood.traces import Expected
from napari_xrf.minerals.naming.comparison_of_ends import Blend, Contrast, Mean

ALIKE = 6.0  # in minus twice the log-likelihood: cannot be told apart
MOST_NAMES = 3  # of what the library explains
DOUBTED = 0.45  # probability of a name that the map speaks against, at most


@dataclass(frozen=True, eq=False)
class EndName:
    """What an end is."""

    minerals: tuple[int, ...]  # places of the minerals that it may be, in the list; none where it is unknown
    probability: float  # of these together
    misfit: float  # chi-square per bin of the best of the list
    point: int  # its composition among the templates; -1 without
    resembles: int  # the unlisted mineral that it resembles most, or -1
    better: float  # by how much that is better than the best of the list, in minus twice the log-likelihood
    best: int = -1  # the most probable mineral of the list, or -1
    # Of a fine-grained mixture, what each part may be and its part of the area, the largest first
    parts: tuple[tuple[tuple[int, ...], float], ...] = ()
    # Minus twice the log-likelihood of the best of the list, under errors as large as its misfit
    unlikely: float = 0.0
    # (mineral, by how much the best explains more, its composition) of what may be when others are heard
    rivals: tuple[tuple[int, float, int], ...] = ()
    strange: int = -1  # composition of the unlisted mineral that it resembles
    unlisted: tuple[int, ...] = ()  # minerals that are not looked for and explain it as well


@dataclass(frozen=True, eq=False)
class Compared:
    """Compositions that an end was compared with, their scores and squares, and blends.

    What of it single lines speak against, and how far compositions are from other minerals, is looked up when
    it is asked for.
    """

    mean: Mean
    points: NDArray[np.intp]
    scores: NDArray[np.float64]
    squares: NDArray[np.float64]
    sharper: NDArray[np.float64]
    blends: tuple[Blend, ...]
    scale: float
    bins: int
    vetoed: Callable[[NDArray[np.intp], NDArray[np.float64]], bool]
    apart: Callable[[int, int], float]
    contrast: Callable[[Mean, Mean, tuple[int, int]], Contrast]
    expected: Expected

    def unlikely(self, rarity: NDArray[np.float64]) -> float:
        """Return how unlikely the end is under the best of the list."""
        owner = self.expected.templates.owner[self.points]
        inside = owner < rarity.size
        squares = self.squares[inside]
        rest = self.scale * self.scores[inside] - squares + rarity[owner[inside]]
        size = np.maximum(squares / self.bins, 1.0)
        return float((rest + squares / size + self.bins * np.log(size)).min())
