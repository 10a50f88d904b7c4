"""The list of a map's elements to tick, with what was found of each."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from napari_xrf.plugin.forms.tick_list import TickBoxes

if TYPE_CHECKING:
    from napari_xrf.maps.identification.judgement import FoundElement


class ElementList(TickBoxes):
    """Elements to tick: those found with their lines, counts and probability, others by their symbol."""

    def tick(self, names: Collection[str]) -> None:
        """Tick these elements or line families and no others; missing ones are added to the list."""
        super().tick(names)
        for name in [each for each in names if each not in self.names()]:
            self.add(name, name, on=True)

    def show_found(self, found: Collection[FoundElement]) -> None:
        """List what was found of a map and nothing else, all ticked."""
        entries = ((one.element, _told(one), _HINT) for one in found)
        self.set_entries(entries, [one.element for one in found])


_HINT = "Lines seen, their counts with standard error, and the probability that the element is there"


def _told(one: FoundElement) -> str:
    lines = ", ".join(family.split()[-1] for family in one.families)
    where = f", in {one.pixels} pixels" if one.pixels else ""
    counts = f"{one.net_counts:,.0f} ± {one.standard_error:,.0f} counts"
    return f"{one.element}   {lines}   {counts}{where}   p {one.probability:.3f}"
