"""Names at the top of a plot, of which none lies over another, over the legend or beyond an end."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from qtpy.QtCore import QObject, Signal

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

_ROWS = 4  # of names above each other, where the plot is high enough
_MOST_HEIGHT = 0.5  # of the plot, that names take
_ABOVE = 25  # curves and bands that are dragged
_MARGIN = 1  # pixels around a name


_Part = tuple[float, float]  # from and to, pixels


class PlacedName(NamedTuple):
    """What stands at a place of the lower axis."""

    text: str
    at: float  # on the lower axis
    color: Any  # as pyqtgraph takes it


class Names(QObject):  # type: ignore[misc]
    """Names above their places; those given first choose first, and one that finds no room is left out.

    ``plot``: where they stand. ``moved`` says that they have other rows now.
    """

    moved = Signal()

    def __init__(self, plot: pg.PlotWidget) -> None:
        super().__init__(plot)
        self._plot = plot
        self._texts: list[tuple[pg.TextItem, float]] = []
        self._fill: Any = None
        self.height = 0.0  # share of the plot's height that they take
        box = plot.getViewBox()
        box.sigRangeChanged.connect(self._place)
        box.sigResized.connect(self._place)
        if (legend := plot.getPlotItem().legend) is not None:
            legend.geometryChanged.connect(self._place)

    def show(self, names: Sequence[PlacedName]) -> None:
        """Show these names and no others, from the one that matters most."""
        for text, _ in self._texts:
            self._plot.removeItem(text)
        self._texts = []
        for name in names:
            text = pg.TextItem(name.text, color=name.color, anchor=(0.5, 0), fill=self._fill)
            text.textItem.document().setDocumentMargin(
                _MARGIN
            )  # the ground of one hides no letter of another
            text.updateTextPos()
            text.setZValue(_ABOVE)
            self._plot.addItem(text, ignoreBounds=True)
            self._texts.append((text, name.at))
        self._place()

    def set_fill(self, color: Any) -> None:
        """Take the ground behind names shown from now on."""
        self._fill = color

    def shown(self) -> tuple[pg.TextItem, ...]:
        """Return the names that have found room."""
        return tuple(text for text, _ in self._texts if text.isVisible())

    def _place(self, *_: object) -> None:
        box = self._plot.getViewBox()
        (left, right), (bottom, top) = box.viewRange()
        wide, high = max(box.width(), 1.0), max(box.height(), 1.0)
        step = max((text.textItem.boundingRect().height() for text, _ in self._texts), default=0.0)
        step = max(step, 1.0)
        taken: list[list[_Part]] = [[] for _ in range(int(_MOST_HEIGHT * high / step))]
        legend = self._legend()
        lowest = 0
        for text, at in self._texts:
            width = text.textItem.boundingRect().width()
            # Near an end a name is moved inwards, where it is read whole.
            middle = min(max(wide * (at - left) / (right - left), 0.5 * width), wide - 0.5 * width)
            part = (middle - 0.5 * width, middle + 0.5 * width)
            behind = _meet(part, legend[0])
            free = [
                row
                for row in range(len(taken))
                if not (behind and _meet((row * step, (row + 1) * step), legend[1]))
            ]
            rows = (row for row in free[:_ROWS] if not any(_meet(part, other) for other in taken[row]))
            row = next(rows, None) if left < at < right else None
            text.setVisible(row is not None)
            if row is not None:
                taken[row].append(part)
                lowest = max(lowest, row + 1)
                text.setPos(left + middle * (right - left) / wide, top - (top - bottom) * row * step / high)
        self.height = lowest * step / high
        self.moved.emit()

    def _legend(self) -> tuple[_Part, _Part]:
        """Return the pixels that the legend covers, across and down."""
        legend = self._plot.getPlotItem().legend
        if legend is None or not legend.isVisible() or not legend.items:
            return (0.0, 0.0), (0.0, 0.0)
        covered = legend.mapRectToParent(legend.rect())
        return (covered.left(), covered.right()), (covered.top(), covered.bottom())


def _meet(one: _Part, other: _Part) -> bool:
    return one[0] < other[1] and other[0] < one[1]
