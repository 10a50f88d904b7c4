"""A plot of spectra with emission lines and an energy window; knows Qt, but not napari."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.core.emission_lines import EmissionLine
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.plugin.plots.line_markers import LineMarkers


@dataclass(frozen=True, eq=False)
class Curve:
    """One spectrum in the plot.

    Attributes
    ----------
    name
        For the legend.
    counts
        (E,) counts, summed or per pixel.
    energy
        Its axis.
    color
        ``"#rrggbb"``.
    divisor
        By how much summed counts were divided. Zero is drawn at half of one count on a logarithmic axis.
    dashed
        Whether the line is broken, for expectations.
    """

    name: str
    counts: NDArray[np.floating]
    energy: EnergyAxis
    color: str
    divisor: int = 1
    dashed: bool = False


class SpectrumPlot(QWidget):  # type: ignore[misc]
    """Spectra against energy, with line markers, a crosshair and an energy window to drag."""

    windowChanged = Signal(float, float)
    windowReleased = Signal(float, float)
    sliceMoved = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._shown: list[Curve] = []
        self._log = False
        self._foreground = "#dddddd"
        self.plot = pg.PlotWidget()
        self.plot.setMinimumSize(260, 220)
        # pyqtgraph asks for 640 pixels, which would leave a dock's neighbour, the map, too little.
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.plot.setLabel("bottom", "Energy (keV)")
        self.plot.getAxis("bottom").enableAutoSIPrefix(False)
        # pyqtgraph draws the axis' name a little below its place.
        self.plot.getPlotItem().layout.setContentsMargins(2, 2, 4, 8)
        self.plot.getAxis("left").enableAutoSIPrefix(False)
        self.plot.getPlotItem().setMenuEnabled(False)
        self.plot.setDownsampling(auto=True, mode="peak")
        self.plot.setClipToView(True)
        self.legend = self.plot.addLegend(offset=(-5, 5), labelTextSize="8pt")
        self.legend.setZValue(100)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.markers = LineMarkers(self.plot)
        self.region = pg.LinearRegionItem(brush=(230, 159, 0, 50), pen=(230, 159, 0))
        self.region.setZValue(-10)
        self.region.setVisible(False)
        self._window_placed = False
        self.plot.addItem(self.region, ignoreBounds=True)
        self.region.sigRegionChanged.connect(lambda: self.windowChanged.emit(*self.window()))
        self.region.sigRegionChangeFinished.connect(lambda: self.windowReleased.emit(*self.window()))
        self.slice = pg.InfiniteLine(
            angle=90, movable=True, pen=pg.mkPen("#b0b0b0", style=Qt.PenStyle.DashLine), hoverPen="#ffffff"
        )
        self.slice.setVisible(False)
        self.slice.sigDragged.connect(lambda line: self.sliceMoved.emit(float(line.value())))
        self.plot.addItem(self.slice, ignoreBounds=True)
        self._crosshair = pg.InfiniteLine(angle=90, pen=pg.mkPen("#888888", style=Qt.PenStyle.DotLine))
        self._crosshair.setVisible(False)
        self.plot.addItem(self._crosshair, ignoreBounds=True)
        self._pointer = pg.SignalProxy(self.plot.scene().sigMouseMoved, rateLimit=30, slot=self._point)
        self.readout = QLabel(" ")
        self.readout.setWordWrap(True)
        self.readout.setMinimumHeight(2 * self.readout.fontMetrics().lineSpacing())
        self.readout.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.readout)

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        self._foreground = foreground
        self.plot.setBackground(background)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(foreground)
            self.plot.getAxis(side).setTextPen(foreground)
        self.legend.setLabelTextColor(foreground)
        self.legend.setBrush(pg.mkBrush(background))

    def set_curves(self, curves: Sequence[Curve], unit: str = "counts") -> None:
        """Show these spectra and no others; curves that stay keep the zoom."""
        names = [curve.name for curve in curves]
        if names != list(self._curves):
            self._rebuild(curves)
        first_time = not self._shown
        self._shown = list(curves)
        for curve in curves:
            heights = np.maximum(curve.counts, 0.5 / curve.divisor) if self._log else curve.counts
            item = self._curves[curve.name]
            style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            item.setPen(pg.mkPen(curve.color, width=1, style=style))
            item.setData(curve.energy.energies, np.asarray(heights, dtype=float))
        if unit != self.plot.getAxis("left").labelText:
            self.plot.setLabel("left", unit)
        if first_time and curves:
            self.show_main()

    def curves(self) -> tuple[Curve, ...]:
        """Return the spectra that are shown."""
        return tuple(self._shown)

    def set_log(self, log: bool) -> None:
        """Draw counts on a logarithmic axis, or a linear one."""
        if log != self._log:
            self._log = log
            energies = self.plot.getViewBox().viewRange()[0]
            self.plot.setLogMode(x=False, y=log)  # which forgets the zoom
            self.plot.setXRange(*energies, padding=0)
            self.set_curves(self._shown, self.plot.getAxis("left").labelText)
            self.show_heights()

    def set_markers(self, elements: Sequence[str]) -> None:
        """Mark the emission lines of these elements (``"Fe"``) or line families (``"Pb L"``)."""
        self.markers.show(elements)

    def set_evidence(self, lines: Sequence[EmissionLine]) -> None:
        """Mark the lines that speak for a model's answer, beside those of :meth:`set_markers`."""
        self.markers.show_evidence(lines)

    def show_main(self) -> None:
        """Zoom to the energies where nearly all counts lie."""
        if self._shown:
            start = max(float(self._shown[0].energy.energies[0]), 0.0)
            self.plot.setXRange(start, _reach(self._shown[0]), padding=0.02)
            self.show_heights()

    def show_all(self) -> None:
        """Zoom out to all energies."""
        if self._shown:
            energies = self._shown[0].energy.energies
            self.plot.setXRange(float(energies[0]), float(energies[-1]), padding=0.02)
            self.show_heights()

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
        if self._log:
            low = max(float(np.percentile(positive, 2)), highest * 1e-6)
            self.plot.setYRange(np.log10(low / 2), np.log10(highest * 3), padding=0)
        else:
            self.plot.setYRange(0, highest * 1.15, padding=0)

    def sizeHint(self) -> QSize:
        """Return a size that leaves the map beside it room."""
        return QSize(430, 420)

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

    def _rebuild(self, curves: Sequence[Curve]) -> None:
        for item in self._curves.values():
            self.plot.removeItem(item)
        self._curves = {curve.name: self.plot.plot([], [], name=curve.name) for curve in curves}
        self.legend.setLabelTextColor(self._foreground)

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
        near = self.markers.nearest(energy)
        if near is not None:
            parts.append(_line_text(near))
        return "   ".join(parts)


def _reach(curve: Curve) -> float:
    """Return the energy below which nearly all counts lie, and a little more."""
    counts = np.where(curve.energy.energies > 0, curve.counts, 0)
    total = float(counts.sum())
    if total <= 0:
        return float(curve.energy.energies[-1])
    last = int(np.searchsorted(np.cumsum(counts), 0.985 * total))
    return float(curve.energy.energies[min(int(last * 1.05) + 20, curve.energy.size - 1)])


def _line_text(line: EmissionLine) -> str:
    return f"{line.element} {line.siegbahn} {line.energy:.3f} keV"
