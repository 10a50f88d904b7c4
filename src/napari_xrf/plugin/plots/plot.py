"""What the docks' plots have in common: axes, a legend, a line of text below, and the window's colours."""

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QWidget

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.plugin.forms.parts import column, wrapped

_LEGEND_ALPHA = 190  # of 255: names are read over those of lines, and peaks behind them seen


class Plot(QWidget):  # type: ignore[misc]
    """Curves with a legend, and a readout below them.

    ``x``, ``y``: names of the axes. ``least``, ``usual``: (width, height) in pixels; the usual one leaves
    what lies beside the plot its room. ``viewBox``: what hears the mouse; pyqtgraph's own by default.
    ``axes``: axes of a kind of their own, by side.
    """

    def __init__(
        self,
        x: str,
        y: str,
        *,
        least: tuple[int, int],
        usual: tuple[int, int],
        viewBox: pg.ViewBox | None = None,
        **axes: pg.AxisItem,
    ) -> None:
        super().__init__()
        self._usual = QSize(*usual)
        self._foreground = "#dddddd"
        self.plot = pg.PlotWidget(axisItems=axes, viewBox=viewBox, enableMenu=False)
        self.plot.setMinimumSize(*least)
        # pyqtgraph asks for 640 pixels, which would leave a dock's neighbour, the map, too little.
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        # It draws an axis' name a little below its place.
        self.plot.getPlotItem().layout.setContentsMargins(2, 2, 4, 8)
        self.plot.hideButtons()
        for side, name in (("bottom", x), ("left", y)):
            self.plot.setLabel(side, name)
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.legend = self.plot.addLegend(offset=(-5, 5), labelTextSize="8pt")
        self.legend.setZValue(100)
        self.readout = wrapped(" ")
        self.setLayout(column((self.plot, 1), self.readout, flush=True))

    def sizeHint(self) -> QSize:
        """Return the usual size."""
        return self._usual

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        self._foreground = foreground
        self.plot.setBackground(background)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(foreground)
            self.plot.getAxis(side).setTextPen(foreground)
        behind = pg.mkColor(background)
        behind.setAlpha(_LEGEND_ALPHA)
        self.legend.setBrush(pg.mkBrush(behind))
        self.color_legend()

    def color_legend(self) -> None:
        """Give the names of all curves the window's colour."""
        self.legend.setLabelTextColor(self._foreground)
        for _, label in self.legend.items:
            label.setText(label.text)  # which takes the colour


def vertical_line(plot: pg.PlotWidget, color: str, style: Qt.PenStyle, **options: Any) -> pg.InfiniteLine:
    """Return a vertical line in a plot, hidden at first, that does not change the zoom."""
    line = pg.InfiniteLine(angle=90, pen=pg.mkPen(color, style=style), **options)
    line.setVisible(False)
    plot.addItem(line, ignoreBounds=True)
    return line
