"""The classes of a label map: table, legend, and where they are named, coloured, merged and selected."""

import math
from functools import partial
from typing import Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QInputDialog, QMenu

from napari_xrf.core.label_map import UNKNOWN_LABEL
from napari_xrf.minerals.labels.modal_table import ModalRow, held_rows
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.tables import Table, number_text
from napari_xrf.plugin.layers.labels import change_class, merge_classes, modal_rows, undecided_pixels

# What changes the table; set_data comes with undo and redo.
TABLED = ("data", "paint", "labels_update", "features", "colormap", "set_data")
_LABEL = Qt.ItemDataRole.UserRole
_COLOR, _NAME, _PIXELS = 0, 1, 5
_UNDECIDED = "of it undecided"
_WHY_UNDECIDED = "Several minerals explain these pixels, and none well enough; “Why this pixel?” shows which"
_HINT = "Select a row to paint with its class; double-click to rename or recolour; right-click for more"


class ClassTable(Table):
    """The classes of the chosen label map, with their colours and percentages; see :class:`LabelsChoice`.

    ``dock``: whose life it shares. ``labels``: the choice of the label map; it must watch :data:`TABLED`.
    """

    def __init__(self, dock: Dock, labels: LabelsChoice) -> None:
        heads = ("", "Mineral", "Area %", "Weight %", "mm²", "Pixels", "Conf.")
        super().__init__(heads, _HINT, stretched=1, empty="Classes of the chosen labels stand here")
        self._labels = labels
        self._order, self._descending = _PIXELS, True
        self._filling = False
        self.itemSelectionChanged.connect(self._select)
        self.cellDoubleClicked.connect(self._edit)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.horizontalHeader().setSectionsClickable(True)
        self.horizontalHeader().sectionClicked.connect(self._sort)
        labels.chosen.connect(lambda _: self.show_classes())
        labels.edited.connect(dock.throttled(self.show_classes, 200))
        self.show_classes()

    def show_classes(self) -> None:
        """Show the classes that the label map holds."""
        label_map = self._labels.label_map()
        layer = self._labels.layer()
        rows = [] if label_map is None else held_rows(modal_rows(layer, label_map))
        shown: list[ModalRow | None] = [*sorted(rows, key=self._key, reverse=self._descending)]
        texts = [_texts(row) for row in shown if row is not None]
        undecided = undecided_pixels(layer) if rows else 0
        unknown = next((at for at, row in enumerate(shown) if row and row.label == UNKNOWN_LABEL), -1) + 1
        if undecided and unknown:
            shown.insert(unknown, None)
            # Areas are of what pixels hold, and undecided ones hold named classes: only pixels are told.
            texts.insert(unknown, ("", _UNDECIDED, "", "", "", f"{undecided:,}", ""))
        kept = self.selected()
        self._filling = True
        self.show_rows(texts)
        self.clearSelection()
        for place, row in enumerate(shown):
            if row is None:
                self._only_tell(place)
                continue
            # A decoration, because a selected row hides its background.
            self.item(place, _COLOR).setData(Qt.ItemDataRole.DecorationRole, QColor(row.color))
            self.item(place, _COLOR).setData(_LABEL, row.label)
            self.item(place, _NAME).setToolTip("\n".join(filter(None, (row.name, row.formula))))
            if row.label in kept[:1]:
                self.selectRow(place)
        self._filling = False

    def selected(self) -> tuple[int, ...]:
        """Return the labels of the selected rows, the current one first."""
        model = self.selectionModel()
        rows = [index.row() for index in model.selectedRows()] if model is not None else []
        rows.sort(key=lambda row: row != self.currentRow())
        labels = [self.item(row, _COLOR).data(_LABEL) for row in rows]
        return tuple(int(label) for label in labels if label is not None)

    def rename(self, label: int, name: str) -> None:
        """Give a class another name."""
        change_class(self._labels.layer(), label, name=name)

    def recolor(self, label: int, color: str) -> None:
        """Give a class another colour, ``"#rrggbb"``."""
        change_class(self._labels.layer(), label, color=color)

    def merge(self, labels: tuple[int, ...]) -> None:
        """Give the pixels of all these classes to the first; napari's undo takes it back."""
        merge_classes(self._labels.layer(), labels[0], labels[1:])

    def _only_tell(self, row: int) -> None:
        """Make a row that is no class: nothing is painted, named or merged by it."""
        for column in range(self.columnCount()):
            self.item(row, column).setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.item(row, column).setToolTip(_WHY_UNDECIDED)

    def _key(self, row: ModalRow) -> Any:
        keys: tuple[Any, ...] = (
            row.color, row.name.casefold(), row.area_percent, row.weight_percent, row.area_mm2, row.pixels,
            row.mean_confidence,
        )  # fmt: skip
        key = keys[self._order]
        return -math.inf if key is None else key

    def _sort(self, column: int) -> None:
        self._descending = not self._descending if column == self._order else column > _NAME
        self._order = column
        self.show_classes()

    def _select(self) -> None:
        layer, chosen = self._labels.layer(), self.selected()
        if not self._filling and layer is not None and chosen:
            layer.selected_label = chosen[0]

    def _edit(self, row: int, column: int) -> None:
        label = self.item(row, _COLOR).data(_LABEL)
        if label is None:
            return
        if column == _COLOR:
            self._ask_color(label, self.item(row, _COLOR).data(Qt.ItemDataRole.DecorationRole))
        else:
            self._ask_name(label, self.item(row, _NAME).text())

    def _ask_name(self, label: int, name: str) -> None:
        given, taken = QInputDialog.getText(self, "Rename", "Name of the class", text=name)
        if taken and given.strip():
            self.rename(label, given.strip())

    def _ask_color(self, label: int, color: QColor) -> None:
        chosen = QColorDialog.getColor(color, self, "Colour of the class")
        if chosen.isValid():
            self.recolor(label, chosen.name())

    def _open_menu(self, place: QPoint) -> None:
        chosen = self.selected()
        if not chosen:
            return
        labels = [self.item(row, _COLOR).data(_LABEL) for row in range(self.rowCount())]
        row = labels.index(chosen[0])
        name = self.item(row, _NAME).text()
        menu = QMenu(self)
        menu.addAction("Rename…", partial(self._ask_name, chosen[0], name))
        menu.addAction("Colour…", partial(self._edit, row, _COLOR))
        menu.addAction(f"Merge the selected ones into {name}", partial(self.merge, chosen)).setEnabled(
            len(chosen) > 1
        )
        menu.popup(self.viewport().mapToGlobal(place))


def _texts(row: ModalRow) -> tuple[str, ...]:
    return (
        "",
        row.name,
        number_text(row.area_percent, ".1f"),
        number_text(row.weight_percent, ".1f"),
        number_text(row.area_mm2, ".3g"),
        f"{row.pixels:,}",
        number_text(row.mean_confidence, ".2f"),
    )
