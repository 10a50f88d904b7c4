"""Maps of element lines, with their errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class ElementMaps:
    """Net counts of line families in each pixel.

    Attributes
    ----------
    families
        K names such as ``"Fe K"`` or ``"Pb L"``, each once.
    counts
        (K, Y, X) float32 net counts of the whole family.
    standard_errors
        (K, Y, X) float32, one standard deviation in counts.
    method
        How they were made: ``"fit"``, ``"window"`` or the name of a network.
    pixel_size
        (dy, dx) in µm, or None.
    source
        The name of the map they were made from.

    Raises
    ------
    InvalidInput
        When shapes do not fit or a family stands twice.
    """

    families: tuple[str, ...]
    counts: NDArray[np.float32]
    standard_errors: NDArray[np.float32]
    method: str
    pixel_size: tuple[float, float] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.counts.ndim != 3 or self.counts.shape[0] != len(self.families):
            raise InvalidInput(
                f"{len(self.families)} line families do not fit maps of shape {self.counts.shape}"
            )
        if self.standard_errors.shape != self.counts.shape:
            raise InvalidInput("standard errors and counts have different shapes")
        if len(set(self.families)) != len(self.families):
            raise InvalidInput("a line family stands twice")

    def __getitem__(self, family: str) -> NDArray[np.float32]:
        try:
            return self.counts[self.families.index(family)]
        except ValueError:
            raise KeyError(family) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.families)

    def __len__(self) -> int:
        return len(self.families)
