"""Marks in a plot: emission lines of chosen elements, those that speak for a model's answer, artefacts."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Qt

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.core.colors import spread_color
from napari_xrf.core.emission_lines import EmissionLine, emission_lines, main_line
from napari_xrf.core.errors import InvalidInput
from napari_xrf.plugin.plots.names import Names, PlacedName
from napari_xrf.reference.formulas import mass_fractions

if TYPE_CHECKING:
    from napari_xrf.learning.description import ModelDescription

_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#8da0ff", "#b3de69")
_LIGHT, _DARKER = 128, 160  # of 255; percent
_VEIL = 150  # of 255: how far a name's ground hides the curves
_WEAKEST = 0.02  # lines below this share of their subshell are not worth a mark
_NAMED = ("Kα1", "Lα1", "Mα1", "Kβ1", "Lβ1")
_AFTER_MAIN = 2.5  # of these
_NEAR_KEV = 0.06
_LOWEST_KEV = {"K": 0.15, "L": 0.5, "M": 0.5}  # outer shells' lines below are too crowded to tell apart
_SHORTEST, _TALLEST = 0.25, 0.88  # stems, of the plot's height
_LEAST_FRACTION = 0.01  # by mass: what a mineral holds less of shows no line of its own
EVIDENCE_COLOR = "#ff5a4d"  # of no element's marks and no curve
_ARTEFACT_COLOR = "#9a9a9a"


def marked_lines(name: str) -> tuple[EmissionLine, ...]:
    """Return the lines worth marking of an element (``"Fe"``) or a line family (``"Pb L"``)."""
    element, _, shell = name.partition(" ")
    return tuple(
        line
        for line in emission_lines(element)
        if line.rate >= _WEAKEST
        and line.energy >= _LOWEST_KEV[line.shell]
        and (not shell or line.shell == shell)
    )


def evidence_lines(name: str, description: ModelDescription) -> tuple[EmissionLine, ...]:
    """Return the lines within a model's energies that one of its names stands for.

    ``name``: ``"Fe ka1"`` gives that line, ``"Fe"`` the lines of iron, a mineral those of the elements of its
    formula; "unknown" and classes without a formula have none. ``description``: the model that said the name.
    """
    axis = description.axis
    low, high = float(axis.energies[0]), float(axis.energies[-1])
    return tuple(line for line in _lines_of(name, description) if low <= line.energy <= high)


def mark_color(number: int) -> str:
    """Return the colour of the marks of the ``number``-th element, which no other one has."""
    return _COLORS[number] if number < len(_COLORS) else spread_color(number)


class LineMarkers(QObject):  # type: ignore[misc]
    """Vertical marks with names at the top; one curve per element keeps a redraw at a few milliseconds.

    ``plot``: the plot to mark.
    """

    def __init__(self, plot: pg.PlotWidget) -> None:
        super().__init__(plot)
        self._plot = plot
        self._elements: tuple[str, ...] = ()
        self._evidence: tuple[EmissionLine, ...] = ()
        self._artefacts: tuple[tuple[str, float], ...] = ()
        self._lines: list[EmissionLine] = []
        self._darker = 100  # percent
        self._items: list[pg.PlotCurveItem | pg.InfiniteLine] = []
        self.stems: list[tuple[pg.PlotCurveItem, list[EmissionLine]]] = []
        self.written = Names(plot)
        self.written.moved.connect(self._place)

    def show(self, names: Sequence[str]) -> None:
        """Mark these elements or line families and no others."""
        self._elements = tuple(names)
        self._draw()

    def show_evidence(self, lines: Sequence[EmissionLine]) -> None:
        """Mark these lines too, in a colour of their own, in place of the last ones."""
        self._evidence = tuple(lines)
        self._draw()

    def show_artefacts(self, places: Sequence[tuple[str, float]]) -> None:
        """Mark places in keV where the detector makes peaks of its own, with their names."""
        self._artefacts = tuple(places)
        self._draw()

    def set_background(self, background: str) -> None:
        """Draw marks so that they are read on a background; yellow is lost on a light one."""
        color = pg.mkColor(background)
        self._darker = _DARKER if color.lightness() > _LIGHT else 100
        self.written.set_fill((color.red(), color.green(), color.blue(), _VEIL))
        self._draw()

    def evidence(self) -> tuple[EmissionLine, ...]:
        """Return the lines that :meth:`show_evidence` marks."""
        return self._evidence

    def artefacts(self) -> tuple[tuple[str, float], ...]:
        """Return the names and places that :meth:`show_artefacts` marks."""
        return self._artefacts

    def names(self) -> tuple[str, ...]:
        """Return the elements that are marked."""
        return tuple(dict.fromkeys(line.element for line in self._lines))

    def near(self, energy: float) -> str:
        """Return what is marked nearest to an energy in keV, and where; empty when nothing is near."""
        marks = [(f"{line.element} {line.siegbahn}", line.energy) for line in self._lines]
        close = [mark for mark in (*marks, *self._artefacts) if abs(mark[1] - energy) <= _NEAR_KEV]
        name, place = min(close, key=lambda mark: abs(mark[1] - energy), default=("", 0.0))
        return f"{name} {place:.3f} keV" if name else ""

    def _draw(self) -> None:
        for item in self._items:
            self._plot.removeItem(item)
        self._items, self.stems, self._lines = [], [], []
        # Where names would lie over each other, main lines come first, then artefacts, then other lines.
        elements = dict.fromkeys(line.element for line in self._evidence)
        named = []
        for element in elements:
            lines = [line for line in self._evidence if line.element == element]
            named += self._mark(lines, EVIDENCE_COLOR, 2)
        for number, name in enumerate(self._elements):
            named += self._mark([*marked_lines(name)], mark_color(number), 1)
        shade = pg.mkColor(_ARTEFACT_COLOR).darker(self._darker)
        for _, at in self._artefacts:
            self._add(pg.InfiniteLine(at, angle=90, pen=pg.mkPen(shade, style=Qt.PenStyle.DotLine)))
        ranked = [(_rank(line), name) for line, name in named]
        ranked += [((_AFTER_MAIN, at), PlacedName(name, at, shade)) for name, at in self._artefacts]
        self.written.show([name for _, name in sorted(ranked, key=itemgetter(0))])

    def _mark(
        self, lines: list[EmissionLine], color: str, width: int
    ) -> list[tuple[EmissionLine, PlacedName]]:
        """Add the stems of an element, and return which of its lines have names."""
        shade = pg.mkColor(color).darker(self._darker)
        stem = pg.PlotCurveItem(connect="pairs", pen=pg.mkPen(shade, width=width))
        self._add(stem)
        self.stems.append((stem, lines))
        self._lines += lines
        strongest = max((line.rate for line in lines), default=0.0)
        return [
            (line, PlacedName(f"{line.element} {line.siegbahn.rstrip('1')}", line.energy, shade))
            for line in lines
            if line.siegbahn in _NAMED
            or line == main_line(line.element, line.shell)
            or line.rate == strongest
        ]

    def _add(self, item: pg.PlotCurveItem | pg.InfiniteLine) -> None:
        self._plot.addItem(item, ignoreBounds=True)
        self._items.append(item)

    def _place(self) -> None:
        _, (bottom, top) = self._plot.getViewBox().viewRange()
        height = top - bottom
        # Stems end below the names, which else are crossed out by one another's.
        most = max(min(_TALLEST, 1 - self.written.height) - _SHORTEST, 0.0)
        for stem, lines in self.stems:
            strongest = max((line.rate for line in lines), default=1.0)
            x = np.repeat([line.energy for line in lines], 2)
            y = np.empty(x.size)
            y[0::2] = bottom
            y[1::2] = [bottom + height * (_SHORTEST + most * line.rate / strongest) for line in lines]
            stem.setData(x, y)


def _rank(line: EmissionLine) -> tuple[float, float]:
    return _NAMED.index(line.siegbahn) if line.siegbahn in _NAMED else len(_NAMED), line.energy


def _lines_of(name: str, description: ModelDescription) -> tuple[EmissionLine, ...]:
    if description.task == "lines":
        return _line_of_basis(name)
    if description.task == "elements":
        return marked_lines(name) if name in description.names else ()
    formula = next((entry.formula for entry in description.classes if entry.name == name), "")
    try:
        fractions = mass_fractions(formula) if formula else {}
    except InvalidInput:  # a user's own class may call anything a formula
        fractions = {}
    elements = [element for element, part in fractions.items() if part >= _LEAST_FRACTION]
    return tuple(line for element in elements for line in marked_lines(element))


def _line_of_basis(label: str) -> tuple[EmissionLine, ...]:
    from napari_xrf.synthesis.line_basis import TRANSITIONS, line_basis

    basis = next((line for line in line_basis() if line.label == label), None)
    if basis is None:
        return ()
    transition = TRANSITIONS[basis.name]
    for line in emission_lines(basis.element):
        if line.transition == transition:
            return (line,)
    # Sums of two transitions, which the table of single ones leaves out.
    return (EmissionLine(basis.element, transition, transition[: 1 if transition[0] == "K" else 2],
                         basis.energy, 1.0),)  # fmt: skip
