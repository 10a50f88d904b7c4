"""What a model said of a map: made by :mod:`~.answers`, kept in :mod:`~.files`. No torch here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.display import size_text
from napari_xrf.learning.description import ModelDescription

_NAMES_TOLD = 6
_BAND_BYTES = 8 * 2**20


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of each pixel."""

    description: ModelDescription  # of the model
    counts: NDArray[np.float32]  # (Y, X) float32 counts on the model's axis
    # (Y, X, K) float32: of each name's presence, or of each mineral class.
    probability: NDArray[np.float32] | None = None
    intensity: NDArray[np.float32] | None = None  # (Y, X, K) float32 net counts
    # (Y, X) float32 probability that the spectrum is none of the model's classes.
    unknown: NDArray[np.float32] | None = None
    # code, spectrum: (Y, X, L) and (Y, X, E) float32; the spectrum in counts on the model's axis.
    code: NDArray[np.float32] | None = None
    spectrum: NDArray[np.float32] | None = None
    # notes, doubts: what the user should know, one sentence each, and those of them that speak against the
    # answers.
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    # pixel_size, source: of the cube, and its name.
    pixel_size: tuple[float, float] | None = None
    source: str = ""

    def __repr__(self) -> str:
        names = ", ".join(self.names[:_NAMES_TOLD]) + (", …" if len(self.names) > _NAMES_TOLD else "")
        size = size_text(self.map_shape, self.pixel_size)
        return f"<Prediction by {self.description.name}: {len(self.names)} names ({names}); {size}>"

    @property
    def map_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        rows, columns = self.counts.shape
        return rows, columns

    def bands(self) -> Iterator[slice]:
        """Yield bands of rows whose outputs take some megabytes each."""
        rows, columns = self.map_shape
        step = max(1, _BAND_BYTES // max(4 * columns * len(self.names), 1))
        yield from (slice(low, min(low + step, rows)) for low in range(0, rows, step))

    @property
    def names(self) -> tuple[str, ...]:
        """The K names."""
        return self.description.names
