"""Maps along a drawn line, as curves in a window of their own."""

from collections.abc import Callable

import numpy as np
from qtpy.QtWidgets import QDialog, QWidget

import pyqtgraph as pg  # isort: skip - after qtpy, which must choose the Qt binding

from napari_xrf.maps.line_profile import LineProfile
from napari_xrf.plugin.forms.parts import button, column, row, tick_box
from napari_xrf.plugin.plots.line_markers import mark_color
from napari_xrf.plugin.plots.plot import Plot


class ProfileWindow(QDialog):  # type: ignore[misc]
    """Shows a profile; ``save()`` is called by its button."""

    def __init__(self, parent: QWidget, save: Callable[[], object]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Along the line")
        self.profile: LineProfile | None = None
        self.plot = Plot("", "", least=(420, 220), usual=(760, 380))
        self.plot.readout.hide()
        self.relative = tick_box("Each in parts of its highest value", False, "", self._draw)
        self.setLayout(
            column((self.plot, 1), row(self.relative, None, button("Save…", "Write the values (.csv)", save)))
        )

    def show_profile(self, profile: LineProfile) -> None:
        """Draw this profile in place of the last, and show the window."""
        self.profile = profile
        self._draw()
        self.show()
        self.raise_()

    def _draw(self) -> None:
        if self.profile is None:
            return
        self.plot.plot.clear()
        for number, (name, values) in enumerate(self.profile.values.items()):
            highest = float(np.nanmax(values, initial=0.0)) if self.relative.isChecked() else 1.0
            pen = pg.mkPen(mark_color(number), width=2)
            self.plot.plot.plot(self.profile.distance, values / (highest or 1.0), pen=pen, name=name)
        self.plot.plot.setLabel("bottom", f"Distance ({self.profile.unit})")
        self.plot.plot.setLabel("left", "part of the highest" if self.relative.isChecked() else "value")
        self.plot.color_legend()
