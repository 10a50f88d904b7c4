"""The Regions dock: every region and class by every element, as a table and a file."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication, QComboBox, QHeaderView, QInputDialog, QLabel, QLineEdit

from napari_xrf.core.emission_lines import parse_elements
from napari_xrf.core.errors import InvalidInput
from napari_xrf.maps.line_profile import profile_along, write_profile
from napari_xrf.maps.quantification.region_counts import (
    RegionCounts,
    count_regions,
    families_of_rows,
    write_region_counts,
)
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.docks.quantities import CLASSES, REGIONS, Masks, weights_of
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.parts import button, row, tick_box
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.region_spectra import Region, RegionSpectra
from napari_xrf.plugin.layers.regions import last_line, name_region, single_names
from napari_xrf.plugin.layers.script import Step, script_from, step_from, step_of, written
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.profile_plot import ProfileWindow
from napari_xrf.plugin.window import open_dock, show_dock

_NEEDS = (
    "from napari_xrf.io.own.region_files import shape_mask",
    "from napari_xrf.maps.quantification.region_counts import count_regions, write_region_counts",
)
_COUNTS, _PER_SECOND, _PER_PIXEL, _WEIGHT = _UNITS = (
    "net counts", "counts per second", "counts per pixel", "weight percent",
)  # fmt: skip


class RegionsDock(Dock):
    """Counts elements in drawn regions and in the classes of a label map."""

    title = "Regions"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.rows: tuple[RegionCounts, ...] = ()
        self._known: dict[tuple[str, str], str] = {}
        self._counted: Masks = {}
        self._step: Step | None = None
        self.maps = MapChoice(self)
        self.labels = LabelsChoice(self)
        self.elements = QLineEdit()
        self.elements.setPlaceholderText("elements; empty: those found")
        self.shapes = tick_box("Drawn regions", True, "Rows for the shapes drawn on the map", tuple)
        self.classes = tick_box("Classes of", True, "Rows for the classes of a label map", tuple)
        self.unit = QComboBox()
        self.unit.addItems(_UNITS)
        self.unit.currentTextChanged.connect(lambda _: self._show())
        self.table = Table(
            ("Region",),
            "Net counts ± one standard error; < below the detection limit, which is told. "
            "Double-click a region that is drawn to name it",
            empty="Draw regions on the map, or choose a label map, and Count",
        )
        self.table.cellDoubleClicked.connect(self._ask_name)
        self.run = button("Count", "Fit the spectrum of each region", self._count)
        self.save = button(
            "Save…", "Write counts, errors and limits (.csv)",
            lambda: self.save_as("Save the regions", "regions.csv", "Table (*.csv)", self.write),
        )  # fmt: skip
        self.copy = button("Copy as Python", "What counts these regions without a window", self._copy)
        self.regions = RegionSpectra(self)
        self.along = button(
            "Along a line", "The element maps along the last line or path that is drawn", self._follow_line
        )
        self.profile = ProfileWindow(
            self, lambda: self.save_as("Save the profile", "profile.csv", "Table (*.csv)", self.write_profile)
        )
        self.follow_theme(self.profile.plot.set_colors)
        self.lay_out(
            row(QLabel("Map"), self.maps),
            row(self.maps.region_button("Draw regions; each has a row"), self.shapes, None),
            row(self.classes, self.labels),
            row(self.elements, self.unit),
            (self.table, 1),
            foot=row(self.run, self.save, self.copy, self.along, None),
        )
        self.maps.chosen.connect(lambda _: self._take({}, None, ()))
        self._take({}, None, ())

    def write(self, path: Path) -> None:
        """Write the table that is shown, with errors and detection limits."""
        write_region_counts(path, self.rows)

    def write_profile(self, path: Path) -> None:
        """Write the profile that is shown."""
        if self.profile.profile is not None:
            write_profile(path, self.profile.profile)

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Return name → mask (Y, X) of the regions and classes that are asked for."""
        return {name: mask for name, (mask, _) in self._asked().items()}

    def _asked(self) -> dict[str, tuple[NDArray[np.bool_], str]]:
        """Return name → mask (Y, X), and how a script writes it, of what is asked for."""
        cube = self.maps.cube()
        if cube is None:
            return {}
        found: list[tuple[str, NDArray[np.bool_], str]] = []
        for one in self._drawn() if self.shapes.isChecked() else ():
            text = f"shape_mask({one.outline.tolist()}, {one.kind!r}, {{0}}.map_shape)"
            found.append((one.name, one.mask, text))
        label_map = self.labels.of_map(cube.map_shape) if self.classes.isChecked() else None
        if label_map is not None:
            for each in label_map.classes:
                mask = label_map.labels == each.label
                if mask.any():
                    found.append((each.name, mask, f"{{1}}.labels == {each.label}"))
        names = single_names(name for name, *_ in found)
        return {name: (mask, text) for name, (_, mask, text) in zip(names, found, strict=True)}

    def _count(self) -> None:
        with errors_told():
            asked = self._asked()
            if not asked:
                raise InvalidInput("there is no region", "Draw one, or choose a label map of this map")
            elements = parse_elements(self.elements.text()) or None
            masks = {name: mask for name, (mask, _) in asked.items()}
            take = partial(self._take, masks, self._written(asked, elements))
            self.maps.run("Counting regions", count_regions, masks, elements, on_done=take)

    def _written(self, asked: Mapping[str, tuple[Any, str]], elements: Any) -> Step | None:
        """Return the step that counts these regions, None where the map or the labels are of no file."""
        regions = ", ".join(f"{written(name)}: {text}" for name, (_, text) in asked.items())
        sources = [step_of(self.maps.layer())]
        if "{1}" in regions:
            sources.append(step_of(self.labels.layer()))
        call = f"count_regions({{0}}, {{{{{regions}}}}}, {elements and list(elements)})"
        return step_from("regions", call, *sources, needs=_NEEDS)

    def _copy(self) -> None:
        if self._step is None:
            self.warn("A script cannot make this map or these labels anew: save them, and open the file")
            return
        QApplication.clipboard().setText(
            script_from([self._step]) + "write_region_counts('regions.csv', regions)\n"
        )
        self.tell("Python of the table is on the clipboard")

    def _open_quantities(self) -> None:
        show_dock(self.viewer, "Quantities")
        dock = open_dock(self.viewer, "Quantities")
        drawn = self.shapes.isChecked() and bool(self._drawn())
        dock.where.setCurrentText(REGIONS if drawn else CLASSES)

    def _drawn(self) -> list[Region]:
        cube = self.maps.cube()
        return [] if cube is None else self.regions.masks(self.maps.layer(), cube.map_shape)

    def _ask_name(self, row: int, column: int) -> None:
        """Name the region of a row, where it is drawn and still as it was."""
        name = self.rows[row].region
        same = [one for one in self._drawn() if np.array_equal(one.mask, self._counted[name])]
        if not same:
            self.tell("Regions that are drawn have names here; classes of labels have theirs in Minerals")
            return
        given, taken = QInputDialog.getText(self, "Rename", "Name of the region", text=name)
        if taken and given.strip():
            self.name_row(row, same[-1], given.strip())

    def name_row(self, row: int, region: Region, name: str) -> None:
        """Give a drawn region, and its row, another name."""
        name_region(*region.place, name)
        names = [each.region for each in self.rows]
        old, names[row] = names[row], single_names([*names[:row], *names[row + 1 :], name])[-1]
        masks = dict(zip(names, self._counted.values(), strict=True))
        rows = [replace(each, region=new) for each, new in zip(self.rows, names, strict=True)]
        step = self._step
        if step is not None:
            call = step.call.replace(f"{written(old)}: ", f"{written(names[row])}: ", 1)
            step = replace(step, call=call)
        self._take(masks, step, tuple(rows))

    def _follow_line(self) -> None:
        layer, cube = self.maps.layer(), self.maps.cube()
        line = None if layer is None else last_line(self.viewer.layers, layer)
        if line is None or cube is None:
            self.warn("Draw a line or a path on the map first, with the tools of a layer of regions")
            return
        with errors_told():
            maps = {
                each.name: each.data
                for each in self.viewer.layers
                if FAMILY_KEY in each.metadata and each.data.shape == cube.map_shape
            }
            self.profile.show_profile(profile_along(maps, line, cube.pixel_size))

    def _take(self, masks: Masks, step: Step | None, rows: tuple[RegionCounts, ...]) -> None:
        self.rows, self._counted, self._step = tuple(rows), masks, step
        self._show()
        self._set_enabled()
        if self.rows:
            self.see(self.table)

    def _show(self) -> None:
        families = families_of_rows(self.rows)
        self.offer("")
        if self.unit.currentText() == _WEIGHT:
            self._known = weights_of(self.maps.layer(), self._counted)
            if self.rows and not any(
                (each.region, _element(f)) in self._known for each in self.rows for f in families
            ):
                self.offer(
                    "None of these regions is quantified as it is now.", "Quantify…", self._open_quantities
                )
        self.table.set_heads(("Region", "Pixels", *families))
        # Names are read whole; the table scrolls.
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.table.show_rows(
            [
                (each.region, f"{each.pixels:,}", *(self._cell(each, family) for family in families))
                for each in self.rows
            ]
        )

    def _cell(self, each: RegionCounts, family: str) -> str:
        if self.unit.currentText() == _WEIGHT:
            return self._known.get((each.region, _element(family)), "–")
        net = each.families.get(family)
        if net is None:
            return "–"
        divisors: dict[str, Any] = {_COUNTS: 1, _PER_SECOND: each.seconds, _PER_PIXEL: each.pixels}
        divisor = divisors[self.unit.currentText()]
        if not divisor:
            return "?"  # the map holds no live times
        value, error, limit = (part / divisor for part in (net.counts, net.error, net.limit))
        if value < limit:
            return f"< {limit:,.{_decimals(limit)}f}"
        return f"{value:,.{_decimals(error)}f} ± {error:,.{_decimals(error)}f}"

    def _set_enabled(self) -> None:
        free = self.job_bar.job is None
        self.run.setEnabled(free and self.maps.layer() is not None)
        for widget in (self.save, self.copy):
            widget.setEnabled(free and bool(self.rows))


def _decimals(error: float) -> int:
    """Return the decimals of an error's first two digits: they tell how many of a value mean anything."""
    return max(0, 1 - math.floor(math.log10(error))) if 0 < error < 1 else 0


def _element(family: str) -> str:
    return family.partition(" ")[0]
