"""Maps of element lines, with their errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.display import html_of, map_png, size_text
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.interchange import labelled_array

_PICTURES = 6  # of the strongest families in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class ElementMaps:
    """Net counts of line families in each pixel, read like a dictionary from family to map.

    ``maps["Fe K"]`` is a map (Y, X); ``maps["Fe"]`` that of the element's family with most counts.

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
    unit
        Of counts and errors: ``"counts"``, ``"counts/s"``, ``"counts/I0"``, ``"weight %"``, ``"µg/cm²"``.
    beside
        Families that the map shows and nobody named, which were fitted beside these.

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
    unit: str = "counts"
    beside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if np.ndim(self.counts) != 3 or len(self.counts) != len(self.families):
            raise InvalidInput(
                f"{len(self.families)} line families do not fit maps of shape {np.shape(self.counts)}"
            )
        if np.shape(self.standard_errors) != np.shape(self.counts):
            raise InvalidInput("standard errors and counts have different shapes")
        if len(set(self.families)) != len(self.families):
            raise InvalidInput("a line family stands twice")

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.counts[self.families.index(self.family(name))]

    def __iter__(self) -> Iterator[str]:
        return iter(self.families)

    def __len__(self) -> int:
        return len(self.families)

    def __contains__(self, name: object) -> bool:
        return any(name in (family, family.partition(" ")[0]) for family in self.families)

    def keys(self) -> tuple[str, ...]:
        """Return the families."""
        return self.families

    def values(self) -> Iterator[NDArray[np.float32]]:
        """Yield the maps, (Y, X) each."""
        return iter(self.counts)

    def items(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield families with their maps, (Y, X) each."""
        return zip(self.families, self.counts, strict=True)

    def family(self, name: str) -> str:
        """Return the family of a name: itself, or an element's family with most counts.

        Raises
        ------
        KeyError
            When there is none.
        """
        members = [k for k, family in enumerate(self.families) if name in (family, family.partition(" ")[0])]
        if not members:
            raise KeyError(f"no map of {name!r}; there are {', '.join(self.families) or 'none'}")
        return self.families[max(members, key=lambda k: float(self.counts[k].sum(dtype=np.float64)))]

    def chosen(self, families: Sequence[str]) -> ElementMaps:
        """Return the maps of some families, in this order."""
        if tuple(families) == self.families:
            return self  # large maps are not held twice
        index = [self.families.index(family) for family in families]
        return replace(
            self,
            families=tuple(families),
            counts=self.counts[index],
            standard_errors=self.standard_errors[index],
        )

    def standard_error(self, name: str) -> NDArray[np.float32]:
        """Return the standard errors, (Y, X), of a family or an element's main family."""
        return self.standard_errors[self.families.index(self.family(name))]

    def per_second(self, live_time: NDArray[np.floating] | None, unit: str = "counts/s") -> ElementMaps:
        """Return the maps in counts per second, or per another dose; NaN where none was measured.

        Parameters
        ----------
        live_time
            (Y, X) seconds of each pixel, or what else its dose is.
        unit
            What the maps are in then: ``"counts/I0"`` by the beam's intensity.

        Raises
        ------
        InvalidInput
            When the map has no times.
        """
        if live_time is None or not np.any(live_time > 0):
            raise InvalidInput("the file holds no live or dwell times", "Leave the maps in counts")
        seconds = np.where(live_time > 0, live_time, np.nan).astype(np.float32)
        return replace(
            self,
            counts=self.counts / seconds,
            standard_errors=self.standard_errors / seconds,
            unit=unit,
        )

    def __repr__(self) -> str:
        size = size_text(self.counts.shape[1:], self.pixel_size)
        beside = f"; fitted beside them {', '.join(self.beside)}" if self.beside else ""
        return f"<ElementMaps by {self.method}: {', '.join(self.families) or 'none'}; {size}{beside}>"

    def _repr_html_(self) -> str:
        totals = self.counts.sum(axis=(1, 2), dtype=np.float64)
        shown = sorted(np.argsort(totals)[::-1][:_PICTURES].tolist())
        captions = [
            (f"{self.families[k]}: {totals[k]:.4g} {self.unit}", map_png(self.counts[k])) for k in shown
        ]
        return html_of(repr(self), *captions)

    def to_xarray(self) -> Any:
        """Return an ``xarray.DataArray`` (family, y, x) of net counts, with their standard errors."""
        return labelled_array(
            self.counts,
            ("family", "y", "x"),
            pixel_size=self.pixel_size,
            coordinates={
                "family": list(self.families),
                "standard_error": (("family", "y", "x"), self.standard_errors),
            },
            name="net_counts",
            attributes={"method": self.method, "source": self.source, "units": self.unit},
        )
