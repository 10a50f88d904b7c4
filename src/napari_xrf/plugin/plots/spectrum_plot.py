"""A plot of spectra with emission lines and an energy window; knows Qt, but not napari."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtWidgets import QSizePolicy

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.plugin.plots.line_markers import LineMarkers
from napari_xrf.plugin.plots.plot import Plot, vertical_line

LINEAR, ROOT, LOG = SCALES = ("linear", "√", "log")
_RESIDUAL_HEIGHT = 60  # pixels
_RESIDUAL_PADDING = 0.15  # of what is shown: the numbers of its axis are seen whole
_GRIP_PIXELS = 28  # the least that can be caught of an energy window, at any zoom


@dataclass(frozen=True, eq=False)
class Curve:
    """One spectrum in the plot."""

    name: str  # for the legend
    counts: NDArray[np.floating]  # (E,) counts, summed or per pixel
    energy: EnergyAxis  # its axis
    color: str  # "#rrggbb"
    # By how much summed counts were divided. Zero is drawn at half of one count on a logarithmic axis
    divisor: float = 1.0
    dashed: bool = False  # whether the line is broken
    dotted: bool = False  # as well, since another one has nearly its colour
    # (E,) what is drawn in place of the counts, when they are smoothed
    drawn: NDArray[np.floating] | None = None
    pixels: int = 1  # how many were summed
    expected: bool = False  # whether it is no whole number of counts


class SpectrumPlot(Plot):
    """Spectra against energy, with line markers, a crosshair and an energy window to drag."""

    windowChanged = Signal(float, float)
    windowReleased = Signal(float, float)
    sliceMoved = Signal(float)
    clicked = Signal(float)

    def __init__(self) -> None:
        self._counts_axis = _CountsAxis("left")
        super().__init__("Energy (keV)", "", least=(220, 120), usual=(430, 300), left=self._counts_axis)
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._shown: list[Curve] = []
        self._scale = LINEAR
        self._zoomed_by_hand = False
        self.plot.getViewBox().sigRangeChangedManually.connect(self._take_zoom)
        self.plot.setDownsampling(auto=True, mode="peak")
        self.plot.setClipToView(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.markers = LineMarkers(self.plot)
        self.region = _EnergyWindow(brush=(230, 159, 0, 50), pen=(230, 159, 0))
        self.region.setZValue(20)  # above the mark of the slider, which would be caught in its place
        self.region.setVisible(False)
        self._window_placed = False
        self.plot.addItem(self.region, ignoreBounds=True)
        self.region.sigRegionChanged.connect(lambda: self.windowChanged.emit(*self.window()))
        self.region.sigRegionChangeFinished.connect(lambda: self.windowReleased.emit(*self.window()))
        self.slice = vertical_line(
            self.plot, "#b0b0b0", Qt.PenStyle.DashLine, movable=True, hoverPen="#ffffff"
        )
        self.slice.sigDragged.connect(lambda line: self.sliceMoved.emit(float(line.value())))
        self.plot.scene().sigMouseClicked.connect(self._click)
        self.residual = pg.PlotWidget(enableMenu=False)
        self.residual.setFixedHeight(_RESIDUAL_HEIGHT)
        self.residual.hideButtons()
        self.residual.setMouseEnabled(x=False, y=False)
        self.residual.getPlotItem().hideAxis("bottom")
        self.residual.setLabel("left", "σ")
        self.residual.setXLink(self.plot)
        self.residual.hide()
        self.plot.getViewBox().sigResized.connect(self._align_residual)
        self.layout().insertWidget(1, self.residual)
        self._crosshair = vertical_line(self.plot, "#888888", Qt.PenStyle.DotLine)
        self._pointer = pg.SignalProxy(self.plot.scene().sigMouseMoved, rateLimit=30, slot=self._point)
        self.readout.setMinimumHeight(2 * self.readout.fontMetrics().lineSpacing())
        self.readout.setAlignment(Qt.AlignmentFlag.AlignTop)

    def set_curves(self, curves: Sequence[Curve], unit: str = "counts") -> None:
        """Show these spectra and no others; curves that stay keep the zoom."""
        names = [curve.name for curve in curves]
        if names != list(self._curves):
            self._rebuild(curves)
        first_time = not self._shown
        self._shown = list(curves)
        for curve in curves:
            heights = self._heights(curve)
            item = self._curves[curve.name]
            style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            style = Qt.PenStyle.DotLine if curve.dotted else style
            item.setPen(pg.mkPen(curve.color, width=1, style=style))
            item.setData(curve.energy.energies, np.asarray(heights, dtype=float))
        if not first_time and not self._zoomed_by_hand and self._overflows():
            self.show_heights()
        if unit != self.plot.getAxis("left").labelText:
            self.plot.setLabel("left", unit)
        if curves:
            energies = curves[0].energy.energies
            self.region.setBounds((float(energies[0]), float(energies[-1])))
        if first_time and curves:
            self.show_main()

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        super().set_colors(background, foreground)
        self.markers.set_background(background)
        self.residual.setBackground(background)
        self.residual.getAxis("left").setPen(foreground)
        self.residual.getAxis("left").setTextPen(foreground)

    def set_residual(self, energies: NDArray[np.floating], residual: NDArray[np.floating] | None) -> None:
        """Show what a fit leaves over, in standard deviations, in a strip below; None hides it."""
        self.residual.clear()
        self.residual.setVisible(residual is not None)
        if residual is not None:
            self.residual.plot(energies, np.nan_to_num(residual), pen=pg.mkPen("#8da0ff"))
            self.residual.addItem(pg.InfiniteLine(0, angle=0, pen=pg.mkPen("#888888")))
            reach = float(np.nanpercentile(np.abs(residual), 99.5))
            self.residual.setYRange(-reach, reach, padding=_RESIDUAL_PADDING)
            self._align_residual()

    def _align_residual(self, *_: object) -> None:
        """Let an energy of the strip stand below the same one, whatever room the counts take."""
        self.residual.getAxis("left").setWidth(self.plot.getAxis("left").width())

    def curves(self) -> tuple[Curve, ...]:
        """Return the spectra that are shown."""
        return tuple(self._shown)

    def set_scale(self, scale: str) -> None:
        """Draw counts on a linear axis, one of their square roots, or a logarithmic one."""
        if scale != self._scale:
            self._scale = self._counts_axis.scale_name = scale
            energies = self.plot.getViewBox().viewRange()[0]
            self.plot.setLogMode(x=False, y=scale == LOG)  # which forgets the zoom
            self.plot.setXRange(*energies, padding=0)
            self.set_curves(self._shown, self.plot.getAxis("left").labelText)
            self.show_heights()

    def _overflows(self) -> bool:
        """Whether a curve, as of a region that was just drawn, goes beyond the counts' axis."""
        reach = _reach(self._shown[0]) if self._shown else 0.0
        seen = [(each.energy.energies > 0.1) & (each.energy.energies < reach) for each in self._shown]
        tops = [
            self._heights(each)[part].max(initial=0) for each, part in zip(self._shown, seen, strict=True)
        ]
        top = 10 ** self.plot.viewRange()[1][1] if self._scale == LOG else self.plot.viewRange()[1][1]
        return max(tops, default=0) > top

    def show_main(self) -> None:
        """Zoom to the energies where nearly all counts lie."""
        self._zoomed_by_hand = False
        if self._shown:
            self._show_energies(max(float(self._shown[0].energy.energies[0]), 0.0), _reach(self._shown[0]))

    def _take_zoom(self, *_: object) -> None:
        self._zoomed_by_hand = True

    def show_all(self) -> None:
        """Zoom out to all energies."""
        if self._shown:
            energies = self._shown[0].energy.energies
            self._show_energies(float(energies[0]), float(energies[-1]))

    def show_heights(self) -> None:
        """Zoom the counts' axis to the spectra; rare single counts may lie below a logarithmic one."""
        reach = _reach(self._shown[0]) if self._shown else 0.0
        heights = [
            curve.counts[(curve.energy.energies > 0.1) & (curve.energy.energies < reach)]
            for curve in self._shown
        ]
        positive = np.concatenate([part[part > 0] for part in heights]) if heights else np.zeros(0)
        if positive.size == 0:
            return
        highest = float(positive.max())
        if self._scale == LOG:
            low = max(float(np.percentile(positive, 2)), highest * 1e-6)
            self.plot.setYRange(np.log10(low / 2), np.log10(highest * 3), padding=0)
        else:
            top = 1.15 * highest
            self.plot.setYRange(0, np.sqrt(top) if self._scale == ROOT else top, padding=0)

    def set_slice(self, energy: float | None) -> None:
        """Mark the energy in keV that the map shows now; None hides the mark."""
        self.slice.setVisible(energy is not None)
        if energy is not None:
            self.slice.setValue(energy)

    def show_window(self, visible: bool) -> None:
        """Show or hide the energy window; the first time it stands on the highest peak."""
        if visible and not self._window_placed:
            self.set_window(*self._highest_peak())
        self.region.setVisible(visible)

    def set_window(self, low: float, high: float) -> None:
        """Move the energy window to ``low`` … ``high`` keV."""
        self._window_placed = True
        self.region.setRegion((low, high))

    def window(self) -> tuple[float, float]:
        """Return the energy window's (low, high) in keV."""
        low, high = self.region.getRegion()
        return float(low), float(high)

    def _heights(self, curve: Curve) -> NDArray[np.floating]:
        counts = curve.counts if curve.drawn is None else curve.drawn
        if self._scale == LOG:
            return np.maximum(counts, 0.5 / curve.divisor)
        return np.sqrt(np.maximum(counts, 0)) if self._scale == ROOT else counts

    def _click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and not event.double():
            box = self.plot.getViewBox()
            if box.sceneBoundingRect().contains(event.scenePos()):
                self.clicked.emit(float(box.mapSceneToView(event.scenePos()).x()))

    def _show_energies(self, low: float, high: float) -> None:
        self.plot.setXRange(low, high, padding=0.02)
        self.show_heights()

    def _rebuild(self, curves: Sequence[Curve]) -> None:
        for item in self._curves.values():
            self.plot.removeItem(item)
        self._curves = {curve.name: self.plot.plot([], [], name=curve.name) for curve in curves}
        self.color_legend()

    def _highest_peak(self) -> tuple[float, float]:
        if not self._shown:
            return 6.3, 6.5
        curve = self._shown[0]
        counts = np.where(curve.energy.energies > 1.0, curve.counts, 0)
        center = float(curve.energy.energies[int(counts.argmax())])
        return center - 0.1, center + 0.1

    def _point(self, event: tuple[object]) -> None:
        position = event[0]
        box = self.plot.getViewBox()
        inside = self.plot.getPlotItem().sceneBoundingRect().contains(position)
        self._crosshair.setVisible(bool(inside))
        if not inside:
            self.readout.setText(" ")
            return
        energy = float(box.mapSceneToView(position).x())
        self._crosshair.setPos(energy)
        self.readout.setText(self.describe(energy))

    def describe(self, energy: float) -> str:
        """Return the readout at an energy in keV: the curves' counts and the nearest marked line."""
        parts = [f"{energy:.3f} keV"]
        for curve in self._shown[:4]:
            channel = int(curve.energy.channel(energy))
            if 0 <= channel < curve.energy.size:
                parts.append(f"{curve.name}: {float(curve.counts[channel]):.4g}")
        return "   ".join([*parts, self.markers.near(energy)]).rstrip()


class _EnergyWindow(pg.LinearRegionItem):  # type: ignore[misc]
    """An energy window that is wide enough to catch, however far the plot is zoomed out.

    The band is what is summed; a fainter one beside it only makes it wide enough.
    """

    def boundingRect(self) -> QRectF:
        band = super().boundingRect()
        lacking = max(0.0, _GRIP_PIXELS * self.pixelWidth() - band.width())
        return band.adjusted(-lacking / 2, 0, lacking / 2, 0)

    def viewTransformChanged(self) -> None:
        # Its rectangle depends on the zoom, which Qt must be told before it changes.
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(self, painter: Any, *_: Any) -> None:
        painter.setPen(pg.mkPen(None))
        painter.setBrush(pg.mkBrush(230, 159, 0, 25))
        painter.drawRect(self.boundingRect())
        painter.setBrush(self.currentBrush)
        painter.drawRect(super().boundingRect())


class _CountsAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis of counts that are drawn as they are, as their square roots or logarithms."""

    scale_name = LINEAR

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
        if self.scale_name == ROOT:
            return [f"{value * abs(value):.3g}" for value in values]
        return list(super().tickStrings(values, scale, spacing))


def _reach(curve: Curve) -> float:
    """Return the energy below which nearly all counts lie, and a little more."""
    counts = np.where(curve.energy.energies > 0, curve.counts, 0)
    total = float(counts.sum())
    if total <= 0:
        return float(curve.energy.energies[-1])
    last = int(np.searchsorted(np.cumsum(counts), 0.985 * total))
    return float(curve.energy.energies[min(int(last * 1.05) + 20, curve.energy.size - 1)])
