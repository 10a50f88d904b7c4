"""The Spectrum dock: spectra of the map, of a pixel and of drawn regions, lines, and an energy window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.viewer
import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QMenu, QSizePolicy

from napari_xrf.core.counts import SumsRegions
from napari_xrf.core.cube_spectra import CubeSpectra, sum_classes, summarize
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import EmissionLine, parse_elements
from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.calibration import GIVE_AXIS
from napari_xrf.plugin import window
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice, element_buttons
from napari_xrf.plugin.forms.page import BesideOrBelow
from napari_xrf.plugin.forms.parts import button, column, energy_field, menu_button, row, tick_box
from napari_xrf.plugin.jobs.job import Job, running_on
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.layer_data import TURN_MS, add_layers
from napari_xrf.plugin.layers.loading import load_in_background
from napari_xrf.plugin.layers.region_spectra import RegionSpectra
from napari_xrf.plugin.layers.regions import pixel_under
from napari_xrf.plugin.layers.script import made_by
from napari_xrf.plugin.layers.window_map import WindowMap
from napari_xrf.plugin.notices import errors_told, tell_error
from napari_xrf.plugin.plots.curves import (
    PER_PIXEL,
    PER_SECOND,
    UNITS,
    ClassSums,
    ExpectedCurve,
    counts_behind,
    draw_curves,
    expect_spectrum_of,
)
from napari_xrf.plugin.plots.spectrum_plot import SCALES, SpectrumPlot

if TYPE_CHECKING:
    from napari_xrf.maps.fitted_spectrum import FittedSpectrum
    from napari_xrf.maps.identification.elements import FoundElement
    from napari_xrf.maps.identification.peak_candidates import PeakCandidate


class SpectrumDock(Dock):
    """Shows spectra of the chosen map and follows every region that is drawn on it."""

    title = "Spectrum"
    area = Qt.DockWidgetArea.BottomDockWidgetArea

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._foreground = ""
        self._summary: CubeSpectra | None = None
        self._pixel: tuple[int, int] | None = None
        self._expected: ExpectedCurve | None = None
        self._asked: tuple[str, CubeSpectra | None] = ("", None)
        self._wrong: str | None = None  # what was written for elements and could not be read
        self._classes: ClassSums | None = None
        self._fit: FittedSpectrum | None = None
        self._summing: Job | None = None
        self._expecting: Job | None = None
        self._wanted: SpectralCube | None = None
        self.maps = MapChoice(self)
        self.plot = SpectrumPlot()
        self.regions = RegionSpectra(self)
        self.window_map = WindowMap(viewer)
        self._make_views()
        self._make_marks()
        self._place_controls()
        self.maps.chosen.connect(lambda _: self._data_changed())
        self.maps.edited.connect(self._data_changed)
        self.regions.changed.connect(self.refresh)
        self.plot.windowChanged.connect(self.throttled(partial(self._map_window, dragged=True), 60))
        self.plot.windowReleased.connect(self._map_window)
        self._move = self.throttled(self._follow_cursor, 40)
        self.plot.windowChanged.connect(self._show_bounds)
        self.plot.clicked.connect(self._ask_peak)
        self.labels.chosen.connect(lambda _: self._sum_classes())
        self.labels.edited.connect(self.throttled(self._sum_classes, 500))
        self.plot.sliceMoved.connect(self._move_slider)
        self.follow(viewer.dims.events.point, self._follow_slider)
        viewer.mouse_move_callbacks.append(self._mouse_moved)
        self.when_closed(partial(viewer.mouse_move_callbacks.remove, self._mouse_moved))
        self.when_closed(self.window_map.keep)
        self.when_closed(self._stop_jobs)
        self.follow_theme(self._take_colors)
        self.remember("spectrum", scale=self.scale, unit=self.unit, smooth=self.smooth)
        self._data_changed()

    def refresh(self) -> None:
        """Draw the spectra anew."""
        layer, summary = self.maps.layer(), self._summary
        if layer is None or summary is None:
            self.plot.set_curves([])
            return
        curves = draw_curves(
            summary,
            self.regions.spectra(summary, layer),
            total=self.show_sum.isChecked(),
            highest=self.show_max.isChecked(),
            unit=self.unit.currentText(),
            pixel=self._pixel if self.show_pixel.isChecked() else None,
            expected=self._expected,
            classes=self._classes if self.show_classes.isChecked() else None,
            background=self.show_background.isChecked(),
            fit=self._fit,
            smooth=self.smooth.isChecked(),
            color=self._foreground,
        )
        unit = self.unit.currentText()
        alone = summary.cube.is_one_spectrum and unit == PER_PIXEL
        self.plot.set_curves(curves, "counts" if alone else unit)

    def set_elements(self, text: str) -> None:
        """Mark the lines of elements given as text, ``"Fe, Ca, Pb L"``."""
        self.elements.setText(text)
        self.elements.setCursorPosition(0)  # the first are read, where not all have room
        self._mark()

    def save_curve(self, name: str, path: Path) -> None:
        """Write the summed spectrum behind a curve as .csv or .msa.

        Raises FileError when the file cannot be written, or its suffix is unknown.
        """
        from napari_xrf import io

        cube = self.maps.cube()
        curve = next((curve for curve in self.plot.curves() if curve.name == name), None)
        if cube is None or curve is None:
            raise InvalidInput(f"there is no curve {name!r}")
        io.write(path, counts_behind(curve, cube))

    def save_curves(self, path: Path) -> None:
        """Write all spectra that are shown into one table (.csv): energies, and summed counts of each.

        Raises FileError when the file cannot be written.
        """
        from napari_xrf.io.spectra.files import write_spectra

        cube = self.maps.cube()
        if cube is None or not self.plot.curves():
            raise InvalidInput("no spectrum is shown", "Open a map first")
        write_spectra(path, {each.name: counts_behind(each, cube) for each in self.plot.curves()})

    def peak_candidates(self, energy: float) -> tuple[PeakCandidate, ...]:
        """Return what the peak at an energy in keV of the first curve may be, the likeliest first."""
        from napari_xrf.maps.identification.peak_candidates import rank_lines
        from napari_xrf.maps.spectra.scatter import scatter_ranges

        cube, curves = self.maps.cube(), self.plot.curves()
        if cube is None or not curves:
            return ()
        counts = counts_behind(curves[0], cube).counts
        highest = cube.excitation.energy_kev or 40.0
        return rank_lines(
            energy, counts, curves[0].energy, highest_kev=highest, listed=cube.elements,
            scattered=scatter_ranges(cube.excitation),
        )  # fmt: skip

    def map_family(self, family: str) -> None:
        """Add the map of a line family's net counts, above the others."""
        from napari_xrf.maps.pixels.element_mapping import map_elements

        layer = self.maps.layer()

        def show(maps: ElementMaps) -> None:
            call = f"nx.map_elements({{0}}, {[family]!r}, method='window')"
            recipe = {"maps": {"elements": [family], "method": "window"}}
            layers = made_by(element_map_layers(maps), "maps", call, layer, recipe=recipe)
            add_layers(self.viewer, layers, over=layer)

        self.maps.run(f"Mapping {family}", map_elements, [family], method="window", on_done=show)

    def _ask_peak(self, energy: float) -> None:
        """Offer what a clicked peak may be."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        unlikely = QMenu("Unlikely", menu)
        for place, candidate in enumerate(self.peak_candidates(energy)):
            shown = unlikely if place and candidate.is_unlikely else menu
            text = f"{candidate.name}   {candidate.energy:.3f} keV   {candidate.evidence}"
            if not candidate.family:
                shown.addAction(text).setEnabled(False)
                continue
            choices = shown.addMenu(text)
            choices.addAction("Map it", partial(self.map_family, candidate.family))
            choices.addAction("Mark its lines", partial(self._mark_too, candidate.family))
        if not unlikely.isEmpty():
            menu.addMenu(unlikely)
        if not menu.isEmpty():
            menu.popup(QCursor.pos())

    def _mark_too(self, family: str) -> None:
        self.set_elements(", ".join(dict.fromkeys((*self._marked(), family))))

    def _make_views(self) -> None:
        """Make what chooses the curves and how they are drawn."""
        self.show_sum = tick_box("Sum", True, "The spectrum of all pixels", self.refresh)
        self.show_max = tick_box(
            "Max pixel", False, "The highest count of any pixel in each channel", self.refresh
        )
        self.show_pixel = tick_box("Cursor", False, "The pixel under the mouse pointer", self.refresh)
        self.show_background = tick_box("Background", False, "The continuum under the peaks", self.refresh)
        self.show_classes = tick_box(
            "Classes", False, "A curve for each class of the label map", self._sum_classes
        )
        self.labels = LabelsChoice(self, watched=("data", "paint", "set_data", "features", "colormap"))
        self.unit = QComboBox()
        self.unit.addItems(UNITS)
        self.unit.setCurrentText(PER_PIXEL)
        self.unit.setToolTip(
            "What counts are divided by; seconds are those of live time, where the file tells"
        )
        self.unit.currentTextChanged.connect(lambda _: self._rescale())
        self.show_fit = tick_box(
            "Fit", False, "The fit of the map's sum with its elements, and what it leaves over", self._ask_fit
        )
        self.show_artefacts = tick_box(
            "Artefacts",
            False,
            "Where the strongest peaks have their escape peaks and pile-up",
            self._mark_artefacts,
        )
        self.smooth = tick_box("Smooth", False, "Draw curves smoothed by half a peak's width", self.refresh)
        self.scale = QComboBox()
        self.scale.addItems(SCALES)
        self.scale.setToolTip("How counts are drawn")
        self.scale.currentTextChanged.connect(self.plot.set_scale)
        self.save = menu_button("Save…", "Write spectra as .csv or .msa, or the plot as a picture")
        self.save.menu().aboutToShow.connect(self._list_curves)

    def _make_marks(self) -> None:
        """Make what marks lines, an expected spectrum, regions and an energy window."""
        self.elements = QLineEdit()
        self.elements.setPlaceholderText("lines of: Fe, Ca, Pb L")
        self.elements.editingFinished.connect(self._mark)
        self.formula = QLineEdit()
        self.formula.setPlaceholderText("expected spectrum of: CaCO3")
        self.formula.setToolTip("A formula; its expected spectrum is scaled to the counts of the map")
        self.formula.editingFinished.connect(self._expect)
        self.find, self.from_file, self.table = element_buttons(
            self.maps,
            "Find",
            self._mark_found,
            lambda names: self.set_elements(", ".join(names)),
            self._marked,
        )
        self.new_regions = self.maps.region_button("Draw regions; each shows its spectrum")
        self.window = button(
            "Energy window", "Drag a window: its map is a layer that follows", self._toggle_window
        )
        self.window.setCheckable(True)
        self.keep = button(
            "Keep its map", "Keep the map of the window; the next drag makes a new one", self.window_map.keep
        )
        self.bounds = (energy_field("From"), energy_field("To"))
        for widget in (self.keep, *self.bounds):
            widget.setEnabled(False)
        for place, field in enumerate(self.bounds):
            field.editingFinished.connect(partial(self._type_window, place))

    def _place_controls(self) -> None:
        zoom_out = button("Whole", "Show the whole spectrum", self.plot.show_all)
        controls = column(
            row(QLabel("Map"), self.maps),
            row(self.show_sum, self.show_max, self.show_pixel, self.show_background, None),
            row(self.show_fit, self.show_artefacts, self.show_classes, self.labels),
            row(self.unit, self.scale, self.smooth, zoom_out, self.save),
            row(self.elements, self.find, self.from_file, self.table),
            self.formula,
            row(self.new_regions, self.window, self.keep),
            row(QLabel("keV"), *self.bounds, None),
            None,
        )
        self.parts = BesideOrBelow(self.plot, controls)
        self.setLayout(column((self.parts, 1), self.offered, self.said, self.job_bar, flush=True))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _data_changed(self) -> None:
        cube = self.maps.cube()
        if self._summary is not None and self._summary.cube is cube:
            return
        self._summary = self._expected = self._classes = None
        self._drop_fit()
        self.show_fit.setChecked(False)
        self.plot.markers.show_artefacts(())
        self.job_bar.cancel()
        self.offer("")
        self.plot.readout.setText(" ")
        for widget in (self.find, self.window, self.save, self.show_fit):
            widget.setEnabled(cube is not None)
        timed = cube is not None and cube.live_time is not None
        self.unit.model().item(UNITS.index(PER_SECOND)).setEnabled(timed)
        if not timed and self.unit.currentText() == PER_SECOND:
            self.unit.setCurrentText(PER_PIXEL)
        elif timed and (kept := window.settings("spectrum")) is not None and kept.unit == PER_SECOND:
            self.unit.setCurrentText(PER_SECOND)
        self.refresh()
        if cube is not None:
            load_in_background(cube)
            self._summarize_when_ready(cube)

    def _summarize_when_ready(self, cube: SpectralCube) -> None:
        decoding = running_on(cube)
        if decoding is None or isinstance(cube.counts, SumsRegions):
            self._wanted = cube
            self._start_wanted()
            return
        # Reading the file twice at once would only be slower; what is decoded comes as new data.
        self.plot.readout.setText("Spectra appear as soon as the map is decoded.")
        decoding.ended.connect(self._decoding_ended)

    def _decoding_ended(self) -> None:
        """Read the map's spectra as it is when the user cancelled the decoding."""
        cube = self.maps.cube()
        if cube is not None and not cube.is_loaded and self._summary is None:
            self._wanted = cube
            self._start_wanted()

    def _set_enabled(self) -> None:
        self._start_wanted()

    def _start_wanted(self) -> None:
        """Sum the wanted cube now, or when the job that was told to stop has ended."""
        cube = self._wanted
        if cube is None or self.job_bar.job is not None:
            return
        self._wanted = None
        if self.maps.cube() is cube:
            self.job_bar.run("Summing spectra", summarize, cube, on_done=self._take_summary)

    def _take_summary(self, summary: CubeSpectra) -> None:
        if self.maps.cube() is summary.cube:
            self._summary = summary
            warnings = summary.cube.provenance.warnings
            self._say("\n".join(warnings))
            if any(GIVE_AXIS in warning for warning in warnings):
                self.offer_dock("The file does not tell its energies for sure.", "Preparation")
            self.refresh()
            self.plot.show_main()
            self._follow_slider()
            self._sum_classes()
            self._mark_artefacts()
            if self.formula.text().strip():
                self._expect()

    def _ask_fit(self) -> None:
        """Fit the map's sum in a worker, or take the fit away."""
        from napari_xrf.maps.fitted_spectrum import fit_sum

        if self.show_fit.isChecked():
            self.maps.run("Fitting the sum", fit_sum, on_done=self._take_fit)
        else:
            self._drop_fit()
            self.refresh()

    def _take_fit(self, fit: FittedSpectrum) -> None:
        if self.show_fit.isChecked():
            self._fit = fit
            self.plot.set_residual(fit.energy.energies, fit.residual)
            self.refresh()

    def _drop_fit(self) -> None:
        self._fit = None
        self.plot.set_residual(np.zeros(0), None)

    def _mark_artefacts(self) -> None:
        from napari_xrf.maps.identification.peak_candidates import detector_artefacts

        shown = self._summary if self.show_artefacts.isChecked() else None
        found = () if shown is None else detector_artefacts(shown.total, shown.cube.energy)
        self.plot.markers.show_artefacts(found)

    def _rescale(self) -> None:
        self.refresh()
        self.plot.show_heights()

    def _mark(self) -> None:
        text, told = self.elements.text(), self._wrong
        self._wrong = None
        try:
            names = parse_elements(text)
        except XrfError as error:
            names = ()  # marks of what was written before would seem to be those of this
            self._wrong = text
            if text != told:  # Qt says "finished" at Enter, and again when the field is left
                tell_error(error)
        self.plot.markers.show(names)

    def _marked(self) -> tuple[str, ...]:
        try:
            return parse_elements(self.elements.text())
        except XrfError:
            return ()

    def _mark_found(self, found: Sequence[FoundElement]) -> None:
        self.set_elements(", ".join(entry.element for entry in found))

    def _expect(self) -> None:
        text, summary = self.formula.text().strip(), self._summary
        if self._asked == (text, summary):  # Qt says "finished" at Enter, and again when the field is left
            return
        self._asked = (text, summary)
        self._expected = None
        self.refresh()
        if not text or summary is None:
            return

        def done(curve: ExpectedCurve) -> None:
            if self.formula.text().strip() == curve.formula and self._summary is summary:
                self._expected = curve
                self.refresh()

        if self._expecting is not None:
            self._expecting.cancel()
        self._expecting = Job("Expected spectrum", expect_spectrum_of, text, summary, on_done=done).start()

    def _sum_classes(self) -> None:
        """Sum the spectra of the label map's classes, in a thread: it reads the whole map."""
        layer, cube = self.labels.layer(), self.maps.cube()
        if self._summing is not None:
            self._summing.cancel()
            self._summing = None
        label_map = None
        if self.show_classes.isChecked() and cube is not None and self._summary is not None:
            with errors_told():
                label_map = self.labels.of_map(cube.map_shape)
        if label_map is None:
            self._classes = None
            self.refresh()
            return

        def done(sums: Any) -> None:
            if self.maps.cube() is cube and self.labels.layer() is layer:
                self._classes = ClassSums(label_map, sums)
                self.refresh()
                self.plot.show_heights()

        self._summing = Job("Spectra of classes", sum_classes, cube, label_map.labels, on_done=done).start()

    def _toggle_window(self) -> None:
        shown = self.window.isChecked()
        self.plot.blockSignals(True)  # its first place is no drag
        self.plot.show_window(shown)
        self.plot.blockSignals(False)
        for widget in (self.keep, *self.bounds):
            widget.setEnabled(shown)
        if shown:
            self._show_bounds(*self.plot.window())
            # The plot is drawn first: the layer takes its time.
            QTimer.singleShot(TURN_MS, self.while_open(lambda: self._map_window(*self.plot.window())))
        else:
            self.window_map.keep()

    def _show_bounds(self, low: float, high: float) -> None:
        for field, value in zip(self.bounds, (low, high), strict=True):
            field.blockSignals(True)
            field.setValue(value)
            field.blockSignals(False)

    def _type_window(self, place: int) -> None:
        """Move the window to what is typed; a bound beyond the other takes it along."""
        low, high = (field.value() for field in self.bounds)
        before = self.plot.window()
        if low >= high:
            width = before[1] - before[0]
            low, high = (low, low + width) if place == 0 else (high - width, high)
        self.plot.set_window(low, high)
        if np.ptp(self.plot.window()) == 0:  # beyond the axis, whose end it cannot leave
            self.plot.set_window(*before)
        self._show_bounds(*self.plot.window())  # which stays on the axis

    def _map_window(self, low: float, high: float, *, dragged: bool = False) -> None:
        layer, cube = self.maps.layer(), self.maps.cube()
        if cube is not None and self.window.isChecked():
            self.window_map.show(cube, layer, low, high, dragged=dragged)

    def _list_curves(self) -> None:
        menu = self.save.menu()
        menu.clear()
        for curve in self.plot.curves():
            menu.addAction(curve.name, partial(self._ask_file, curve.name))
        menu.addSeparator()
        table = partial(self.save_as, "Save all", "spectra.csv", "Table (*.csv)", self.save_curves)
        for action in (
            menu.addAction("All in one table…", table),
            menu.addAction("Copy as picture", self._copy_picture),
        ):
            action.setEnabled(bool(self.plot.curves()))

    def _copy_picture(self) -> None:
        QApplication.clipboard().setPixmap(self.plot.grab())
        self.tell("The plot is on the clipboard")

    def _ask_file(self, name: str) -> None:
        kinds = "Table (*.csv);;EMSA/MAS spectrum (*.msa)"
        self.save_as(f"Save {name}", f"{name}.csv", kinds, partial(self.save_curve, name))

    def _stop_jobs(self) -> None:
        for job in (self._summing, self._expecting):
            if job is not None:
                job.cancel()

    def _mouse_moved(self, viewer: Any, event: Any) -> None:
        if self.show_pixel.isChecked():
            self._move()

    def _follow_cursor(self) -> None:
        layer, cube = self.maps.layer(), self.maps.cube()
        if layer is None or cube is None or self._summary is None:
            return
        pixel = pixel_under(self.viewer, self.viewer.cursor.position, layer, cube.map_shape)
        if pixel != self._pixel:
            self._pixel = pixel
            self.refresh()

    def _follow_slider(self, event: Any = None) -> None:
        dims, cube = self.viewer.dims, self.maps.cube()
        shown = cube is not None and dims.ndim >= 3 and dims.ndisplay == 2
        self.plot.set_slice(float(dims.point[dims.ndim - 3]) if shown else None)

    def _move_slider(self, energy: float) -> None:
        dims = self.viewer.dims
        if dims.ndim >= 3:
            dims.set_point(dims.ndim - 3, energy)

    def _take_colors(self, background: str, text: str) -> None:
        self._foreground = text
        self.plot.set_colors(background, text)
        self.refresh()


def show_evidence(viewer: Any, lines: Sequence[EmissionLine], *, open_dock: bool = False) -> None:
    """Mark lines on the Spectrum docks of a viewer, and open one where there is none and ``open_dock``."""
    docks = spectrum_docks(viewer)
    if not docks and open_dock and lines:
        docks = (window.open_dock(viewer, SpectrumDock.title),)
    for dock in docks:
        dock.plot.markers.show_evidence(lines)


def spectrum_docks(viewer: Any) -> tuple[Any, ...]:
    """Return the open Spectrum docks of a viewer; the menu and a script may each have opened one."""
    return tuple(dock for dock in viewer.window.dock_widgets.values() if isinstance(dock, SpectrumDock))
