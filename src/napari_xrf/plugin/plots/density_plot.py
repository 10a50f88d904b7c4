"""A density plot of two maps with a lasso; knows Qt, but not napari."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt, Signal

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.maps.joint_histogram import JointHistogram
from napari_xrf.plugin.plots.plot import Plot

_LIFT = 0.5  # of the highest brightness


class DensityPlot(Plot):
    """How many pixels have which pair of values; a loop drawn with the left button chooses some."""

    lassoed = Signal(object)

    def __init__(self) -> None:
        self._box = _LassoBox()
        super().__init__("", "", least=(220, 200), usual=(360, 340), viewBox=self._box)
        self.legend.hide()
        self.readout.hide()
        self.image = pg.ImageItem()
        self.image.setColorMap(pg.colormap.get("magma"))
        self.points = pg.ScatterPlotItem(size=3, pen=None)
        self.loop = pg.PlotCurveItem(pen=pg.mkPen("#00d5d5", width=2))
        self.triangle = pg.PlotCurveItem(pen=pg.mkPen("#888888"))
        for item in (self.image, self.points, self.loop, self.triangle):
            self.plot.addItem(item)
        self._corners: list[pg.TextItem] = []
        self._box.drawn.connect(self._draw_loop)
        self._box.closed.connect(self._close)

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        super().set_colors(background, foreground)
        for corner in self._corners:
            corner.setColor(foreground)

    def show_density(self, histogram: JointHistogram, x: str, y: str) -> None:
        """Show a density, brighter where there are more pixels, and name its axes."""
        brightness = np.log1p(histogram.pixels)
        # One pixel alone is seen, too: the lowest colours are next to black.
        self.image.setImage(np.where(brightness > 0, brightness + _LIFT * brightness.max(), 0.0))
        (left, right), (low, high) = histogram.x, histogram.y
        self.image.setRect(QRectF(left, low, right - left, high - low))
        self.plot.setLabel("bottom", x)
        self.plot.setLabel("left", y)
        self.loop.setData([], [])
        self.points.clear()
        self.plot.autoRange(padding=0.01)

    def clear(self) -> None:
        """Show nothing, where maps do not go together."""
        self.image.clear()
        self.points.clear()
        self.loop.setData([], [])
        self.show_triangle(())
        for side in ("bottom", "left"):
            self.plot.setLabel(side, "")

    def show_triangle(self, names: Sequence[str]) -> None:
        """Draw the triangle that shares of three maps lie in, with their names; no names take it away."""
        for item in self._corners:
            self.plot.removeItem(item)
        top = 0.5 * np.sqrt(3.0)
        places = ((0.0, 0.0, (0, 0)), (1.0, 0.0, (1, 0)), (0.5, top, (0.5, 1)))
        self._corners = []
        for name, (x, y, anchor) in zip(names, places, strict=False):
            item = pg.TextItem(name, color=self._foreground, anchor=anchor)
            item.setPos(x, y)
            self.plot.addItem(item)
            self._corners.append(item)
        self.triangle.setData(*(([0, 1, 0.5, 0], [0, 0, top, 0]) if names else ([], [])))
        for side in ("left", "bottom"):
            self.plot.showAxis(side, not names)
        self.plot.setAspectLocked(bool(names))
        if names:
            self.plot.setRange(xRange=(-0.02, 1.02), yRange=(-0.1, top + 0.1), padding=0)

    def show_points(self, x: NDArray[Any], y: NDArray[Any], color: str) -> None:
        """Show some pixels as points over the density."""
        self.points.setData(x, y, brush=pg.mkBrush(color))

    def _draw_loop(self, corners: NDArray[np.float64]) -> None:
        self.loop.setData(corners[:, 0], corners[:, 1])

    def _close(self, corners: NDArray[np.float64]) -> None:
        self._draw_loop(np.vstack([corners, corners[:1]]))
        if len(corners) >= 3:
            self.lassoed.emit(corners)


class _LassoBox(pg.ViewBox):  # type: ignore[misc]
    """Draws a loop with the left button; the wheel zooms, the right button moves."""

    drawn = Signal(object)
    closed = Signal(object)

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self._corners: list[tuple[float, float]] = []

    def mouseDragEvent(self, event: Any, axis: Any = None) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            start = self.mapSceneToView(event.buttonDownScenePos())
            self._corners = [(start.x(), start.y())]
        place = self.mapSceneToView(event.scenePos())
        self._corners.append((place.x(), place.y()))
        corners = np.array(self._corners)
        (self.closed if event.isFinish() else self.drawn).emit(corners)
