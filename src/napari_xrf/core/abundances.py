"""How much of each class every pixel of a map holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass


@dataclass(frozen=True, eq=False)
class Abundances:
    """Parts of the pixels' areas, for maps whose pixels are mixtures.

    Raises InvalidInput when values and classes do not fit.
    """

    # (Y, X, K) float32 parts of the area; they sum to 1, or to 0 where nothing was measured.
    values: NDArray[np.float32]
    # The K classes, as in the label map that goes with it; the first is "unknown".
    classes: tuple[LabelClass, ...]
    pixel_size: tuple[float, float] | None = None  # (dy, dx) in µm, or None
    source: str = ""  # the name of the map it was made from

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[2] != len(self.classes):
            raise InvalidInput(f"{self.values.shape} abundances do not fit {len(self.classes)} classes")

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        for place, entry in enumerate(self.classes):
            if entry.name == name:
                return self.values[..., place]
        raise KeyError(name)

    def shares(self) -> dict[str, float]:
        """Return the share of the measured area of each class."""
        total = self.values.sum(axis=(0, 1), dtype=np.float64)
        whole = max(float(total.sum()), 1e-12)
        return {entry.name: float(part) / whole for entry, part in zip(self.classes, total, strict=True)}
