"""Losses of a training against its epochs; knows Qt, but not napari."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.plugin.jobs.training import LossPoint

_COLORS = {"training": "#56b4e9", "validation": "#e69f00"}


class LossPlot(QWidget):  # type: ignore[misc]
    """Curves of training and validation loss, logarithmic where all losses are above 0."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: list[LossPoint] = []
        self._log = False
        self.plot = pg.PlotWidget(axisItems={"left": _LossAxis("left")})
        self.plot.setMinimumSize(200, 120)
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.plot.setLabel("bottom", "Epoch")
        self.plot.setLabel("left", "Loss")
        self.plot.getPlotItem().setMenuEnabled(False)
        self.plot.getPlotItem().layout.setContentsMargins(2, 2, 4, 8)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.legend = self.plot.addLegend(offset=(-5, 5), labelTextSize="8pt")
        self._curves = {
            name: self.plot.plot([], [], name=name, pen=pg.mkPen(color), symbol="o", symbolSize=4,
                                 symbolBrush=color, symbolPen=None)
            for name, color in _COLORS.items()
        }  # fmt: skip
        self._best = pg.InfiniteLine(angle=90, pen=pg.mkPen("#888888", style=Qt.PenStyle.DotLine))
        self._best.setVisible(False)
        self._best.setToolTip("The epoch of the lowest validation loss, whose weights are kept")
        self.plot.addItem(self._best, ignoreBounds=True)
        self.readout = QLabel(" ")
        self.readout.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.readout)

    def sizeHint(self) -> QSize:
        """Return a size that leaves the forms above it room."""
        return QSize(400, 220)

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        self.plot.setBackground(background)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(foreground)
            self.plot.getAxis(side).setTextPen(foreground)
        self.legend.setLabelTextColor(foreground)
        for _, label in self.legend.items:
            label.setText(label.text)  # which takes the colour

    def set_steps(self, name: str) -> None:
        """Say what the losses are drawn against, ``"Epoch"``."""
        self.plot.setLabel("bottom", name)

    def set_points(self, points: Sequence[LossPoint]) -> None:
        """Show these epochs and no others."""
        self._points = list(points)
        self._draw()

    def add_point(self, point: LossPoint) -> None:
        """Add an epoch; one that is there is replaced with all after it, as a resumed training does."""
        self._points = [*(each for each in self._points if each.epoch < point.epoch), point]
        self._draw()

    def points(self) -> tuple[LossPoint, ...]:
        """Return the epochs that are shown."""
        return tuple(self._points)

    @property
    def logarithmic(self) -> bool:
        """Whether the losses' axis is logarithmic."""
        return self._log

    def tell(self, text: str) -> None:
        """Say something below the curves."""
        self.readout.setText(text or " ")

    def _draw(self) -> None:
        epochs = np.array([point.epoch for point in self._points], dtype=float)
        losses = {
            name: np.array([getattr(point, name) for point in self._points], dtype=float) for name in _COLORS
        }
        known = np.concatenate(list(losses.values()))
        finite = known[np.isfinite(known)]
        log = bool(finite.size) and bool((finite > 0).all())
        if log != self._log:
            self._log = log
            self.plot.setLogMode(x=False, y=log)
        for name, values in losses.items():
            self._curves[name].setData(epochs, values)
        held = losses["validation"]
        self._best.setVisible(bool(np.isfinite(held).any()))
        if np.isfinite(held).any():
            self._best.setValue(float(epochs[int(np.nanargmin(held))]))


class _LossAxis(pg.AxisItem):  # type: ignore[misc]
    """Marks 1, 2 and 5 of each decade: pyqtgraph would write all nine over each other."""

    def logTickValues(
        self, low: float, high: float, size: float, ticks: object
    ) -> list[tuple[float | None, list[float]]]:
        decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        marks = [decade + float(np.log10(digit)) for decade in decades for digit in (1, 2, 5)]
        return [(None, [mark for mark in marks if low <= mark <= high])]
