"""Emission lines as marks in a plot: those of chosen elements, and those that speak for a model's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.core.emission_lines import EmissionLine, emission_lines, main_line
from napari_xrf.core.errors import InvalidInput
from napari_xrf.reference.formulas import mass_fractions

if TYPE_CHECKING:
    from napari_xrf.learning.description import ModelDescription

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#8da0ff", "#b3de69")
_LIGHT, _DARKER = 128, 160  # of 255; percent
_VEIL = 150  # of 255: how far a name's ground hides the curves
_WEAKEST = 0.02  # lines below this share of their subshell are not worth a mark
_NAMED = ("Kα1", "Lα1", "Mα1", "Kβ1", "Lβ1")
_NEAR_KEV = 0.06
_LOWEST_KEV = {"K": 0.15, "L": 0.5, "M": 0.5}  # outer shells' lines below are too crowded to tell apart
_NAME_PIXELS = 46
_ROW_PIXELS = 14  # that its height takes
_SHORTEST, _TALLEST = 0.25, 0.88  # stems, of the plot's height
_LEAST_FRACTION = 0.01  # by mass: what a mineral holds less of shows no line of its own
EVIDENCE_COLOR = "#ff5a4d"  # of no element's marks and no curve


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


class LineMarkers(QObject):  # type: ignore[misc]
    """Vertical marks with names at the top; one curve per element keeps a redraw at a few milliseconds.

    ``plot``: the plot to mark.
    """

    def __init__(self, plot: pg.PlotWidget) -> None:
        super().__init__(plot)
        self._plot = plot
        self._names: tuple[str, ...] = ()
        self._evidence: tuple[EmissionLine, ...] = ()
        self._lines: list[EmissionLine] = []
        self._darker = 100  # percent
        self._fill = (0, 0, 0, 0)
        self._stems: list[tuple[pg.PlotCurveItem, list[EmissionLine]]] = []
        self._texts: list[tuple[pg.TextItem, EmissionLine]] = []
        plot.getViewBox().sigRangeChanged.connect(self._place)
        plot.getViewBox().sigResized.connect(self._place)

    def show(self, names: Sequence[str]) -> None:
        """Mark these elements or line families and no others."""
        self._names = tuple(names)
        self._draw()

    def show_evidence(self, lines: Sequence[EmissionLine]) -> None:
        """Mark these lines too, in a colour of their own, in place of the last ones."""
        self._evidence = tuple(lines)
        self._draw()

    def set_background(self, background: str) -> None:
        """Draw marks so that they are read on a background; yellow is lost on a light one."""
        color = pg.mkColor(background)
        self._darker = _DARKER if color.lightness() > _LIGHT else 100
        self._fill = (color.red(), color.green(), color.blue(), _VEIL)
        self._draw()

    def evidence(self) -> tuple[EmissionLine, ...]:
        """Return the lines that :meth:`show_evidence` marks."""
        return self._evidence

    def _draw(self) -> None:
        for item in [stem for stem, _ in self._stems] + [text for text, _ in self._texts]:
            self._plot.removeItem(item)
        self._stems, self._texts, self._lines = [], [], []
        # Evidence comes first: where names would lie over each other, those drawn first have the place.
        elements = dict.fromkeys(line.element for line in self._evidence)
        for element in elements:
            self._mark([line for line in self._evidence if line.element == element], EVIDENCE_COLOR, 2)
        for number, name in enumerate(self._names):
            self._mark([*marked_lines(name)], COLORS[number % len(COLORS)], 1)
        self._place()

    def _mark(self, lines: list[EmissionLine], color: str, width: int) -> None:
        shade = pg.mkColor(color).darker(self._darker)
        stem = pg.PlotCurveItem(connect="pairs", pen=pg.mkPen(shade, width=width))
        self._plot.addItem(stem, ignoreBounds=True)
        self._stems.append((stem, lines))
        self._lines += lines
        strongest = max((line.rate for line in lines), default=0.0)
        for line in lines:
            known = line.siegbahn in _NAMED or line == main_line(line.element, line.shell)
            if known or line.rate == strongest:
                text = pg.TextItem(
                    f"{line.element} {line.siegbahn.rstrip('1')}",
                    color=shade,
                    anchor=(0.5, 0),
                    fill=self._fill,
                )
                text.setZValue(1)  # read above curves
                self._plot.addItem(text, ignoreBounds=True)
                self._texts.append((text, line))

    def names(self) -> tuple[str, ...]:
        """Return the elements that are marked."""
        return tuple(dict.fromkeys(line.element for line in self._lines))

    def nearest(self, energy: float) -> EmissionLine | None:
        """Return the marked line nearest to an energy in keV, None when none is near."""
        close = [line for line in self._lines if abs(line.energy - energy) <= _NEAR_KEV]
        return min(close, key=lambda line: abs(line.energy - energy), default=None)

    def _place(self, *_: object) -> None:
        (left, right), (bottom, top) = self._plot.getViewBox().viewRange()
        height = top - bottom
        # Stems end below the names, which else are crossed out by one another's.
        named = self._place_names(left, right, top, height)
        most = max(min(_TALLEST, 1 - named) - _SHORTEST, 0.0)
        for stem, lines in self._stems:
            strongest = max((line.rate for line in lines), default=1.0)
            x = np.repeat([line.energy for line in lines], 2)
            y = np.empty(x.size)
            y[0::2] = bottom
            y[1::2] = [bottom + height * (_SHORTEST + most * line.rate / strongest) for line in lines]
            stem.setData(x, y)

    def _place_names(self, left: float, right: float, top: float, height: float) -> float:
        """Place the names, and return the share of the height that they take."""
        # Names that would lie over each other go one step down; main lines choose first, and a name that
        # then has no place is left out.
        rows: list[list[float]] = [[] for _ in range(4)]
        box = self._plot.getViewBox()
        width = _NAME_PIXELS * (right - left) / max(box.width(), 1.0)
        step = _ROW_PIXELS * height / max(box.height(), 1.0)
        for text, line in sorted(self._texts, key=lambda entry: _rank(entry[1])):
            free = (row for row in range(4) if all(abs(at - line.energy) >= width for at in rows[row]))
            row = next(free, None) if left < line.energy < right else None
            text.setVisible(row is not None)
            if row is not None:
                rows[row].append(line.energy)
                text.setPos(line.energy, top - step * row)
        return step * sum(map(bool, rows)) / height if height else 0.0


def _rank(line: EmissionLine) -> tuple[int, float]:
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
