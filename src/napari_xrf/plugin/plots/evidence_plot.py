"""Why something has its mineral, drawn: the spectrum, the two nearest candidates, the lines that decide."""

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QWidget

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.minerals.evidence import MineralEvidence
from napari_xrf.plugin.forms.parts import column
from napari_xrf.plugin.plots.names import Names, PlacedName
from napari_xrf.plugin.plots.plot import Plot

BEST_COLOR, SECOND_COLOR = "#56b4e9", "#e69f00"
_LEAST_PART = 1e-4  # of the highest count: nothing below is drawn


class EvidencePlot(Plot):
    """Counts on a logarithmic axis, with both candidates; what is left over below."""

    def __init__(self) -> None:
        super().__init__("Energy (keV)", "counts", least=(420, 200), usual=(760, 420))
        self.plot.setLogMode(y=True)
        self.residual = pg.PlotWidget()
        self.residual.setFixedHeight(90)
        self.residual.setLabel("left", "σ")
        self.residual.getViewBox().setDefaultPadding(0.12)  # the numbers of its axis are seen whole
        self.residual.setXLink(self.plot)
        self.residual.getPlotItem().hideAxis("bottom")
        for plot in (self.plot, self.residual):
            plot.getAxis("left").setWidth(54)
        self.layout().insertWidget(1, self.residual)
        self.readout.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._names = Names(self.plot)
        self._shown: MineralEvidence | None = None

    def set_colors(self, background: str, foreground: str) -> None:
        """Take the window's colours, ``"#rrggbb"``."""
        super().set_colors(background, foreground)
        self.residual.setBackground(background)
        for side in ("left", "bottom"):
            self.residual.getAxis(side).setPen(foreground)
            self.residual.getAxis(side).setTextPen(foreground)
        if self._shown is not None:  # what was measured has the colour of the text
            self.show_evidence(self._shown)

    def show_evidence(self, evidence: MineralEvidence) -> None:
        """Draw this evidence in place of the last."""
        self._shown = evidence
        self.plot.clear()
        self.residual.clear()
        least = max(float(evidence.measured.max(initial=1.0)) * _LEAST_PART, 0.1)
        candidates = [(evidence.best, BEST_COLOR)]
        if evidence.second is not None:
            candidates.append((evidence.second, SECOND_COLOR))
        drawn = [("measured", evidence.measured, self._foreground)]
        drawn += [(f"{one.name} (off by {one.misfit:.0%})", one.expected, color) for one, color in candidates]
        for name, counts, color in drawn:
            self.plot.plot(evidence.energies, np.maximum(counts, least), pen=pg.mkPen(color), name=name)
        names = []
        for line in evidence.lines:
            color = BEST_COLOR if line.weight > 0 else SECOND_COLOR
            pen = pg.mkPen(color, style=Qt.PenStyle.DotLine)
            self.plot.addItem(pg.InfiniteLine(line.energy, angle=90, pen=pen), ignoreBounds=True)
            names.append(PlacedName(line.family, line.energy, color))
        for one, color in candidates:
            left = (evidence.measured - one.expected) / np.sqrt(np.maximum(evidence.measured, 1))
            self.residual.plot(evidence.energies, left, pen=pg.mkPen(color))
        self.color_legend()
        self._names.show(names)
        self.readout.setText(str(evidence))


class EvidenceWindow(QDialog):  # type: ignore[misc]
    """A window of its own, as wide as the user likes, that stays while others are asked for."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.plot = EvidencePlot()
        self.setLayout(column((self.plot, 1)))

    def show_evidence(self, evidence: MineralEvidence) -> None:
        """Show this evidence, and the window."""
        self.setWindowTitle(f"Why {evidence.name}?")
        self.plot.show_evidence(evidence)
        self.show()
        self.raise_()
