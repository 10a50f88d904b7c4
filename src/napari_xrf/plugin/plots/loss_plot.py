"""Losses of a training against its epochs; knows Qt, but not napari."""

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import Qt

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.plugin.jobs.training import LossPoint
from napari_xrf.plugin.plots.plot import Plot, vertical_line

_COLORS = {"training": "#56b4e9", "validation": "#e69f00"}


class LossPlot(Plot):
    """Curves of training and validation loss, logarithmic where all losses are above 0."""

    def __init__(self) -> None:
        super().__init__("Epoch", "Loss", least=(200, 120), usual=(400, 220), left=_LossAxis("left"))
        self._points: list[LossPoint] = []
        self._log = False
        self._curves = {
            name: self.plot.plot([], [], name=name, pen=pg.mkPen(color), symbol="o", symbolSize=4,
                                 symbolBrush=color, symbolPen=None)
            for name, color in _COLORS.items()
        }  # fmt: skip
        self._best = vertical_line(self.plot, "#888888", Qt.PenStyle.DotLine)
        self._best.setToolTip("The epoch of the lowest validation loss, whose weights are kept")

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
