"""Choices that name files, presets and lists, for the Generate dock; what is wrong stands below each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xrf.core.errors import XrfError
from napari_xrf.plugin.forms.parts import button
from napari_xrf.plugin.forms.synthesis import ErrorLabel


class FileChoice(QWidget):  # type: ignore[misc]
    """A preset's name or the path of a file.

    Parameters
    ----------
    check
        Called with the text; raises :class:`~napari_xrf.core.errors.XrfError` when it will not do. An
        empty text is not checked unless there are presets.
    presets
        Names to choose from.
    files
        What the file dialog shows, ``"Picture (*.png)"``.
    folders
        Whether a folder may be chosen too.
    hint
        The tooltip.
    empty_text
        What stands there while nothing is chosen.
    """

    changed = Signal()

    def __init__(
        self,
        check: Callable[[str], object],
        *,
        presets: Sequence[str] = (),
        files: str,
        folders: bool = False,
        hint: str = "",
        empty_text: str = "",
    ) -> None:
        super().__init__()
        self._check = check
        self._files = files
        self._needed = bool(presets)
        self.problem = ""
        self.error = ErrorLabel()
        self.editor = _preset_box(presets) if presets else QLineEdit()
        self.line: QLineEdit = self.editor.lineEdit() if presets else self.editor
        self.line.setPlaceholderText(empty_text)
        self.editor.setToolTip(hint)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.editor, 1)
        line.addWidget(_narrow(button("File…", hint, self._ask_file)))
        if folders:
            line.addWidget(_narrow(button("Folder…", hint, self._ask_folder)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(line)
        layout.addWidget(self.error)
        # Files are not read at every keystroke.
        self.line.editingFinished.connect(self._judge)
        if presets:
            self.editor.textActivated.connect(lambda _: self._judge())
        self._last = self.text()

    def text(self) -> str:
        """Return what is chosen, empty for nothing."""
        return str(self.line.text()).strip()

    def set_text(self, text: str) -> None:
        """Choose a preset or a path."""
        self.line.setText(text)
        self._judge()

    def _judge(self) -> None:
        if self.text() == self._last and not self.problem:
            return
        self._last = self.text()
        self.problem = ""
        if self.text() or self._needed:
            try:
                self._check(self.text())
            except XrfError as error:
                self.problem = str(error)
        self.error.tell(self.problem)
        self.changed.emit()

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a file", "", self._files)
        if path:
            self.set_text(path)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a folder")
        if path:
            self.set_text(path)


class TickList(QWidget):  # type: ignore[misc]
    """Names to tick, with a filter above them."""

    changed = Signal()

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter")
        self.filter.textChanged.connect(self._filter)
        self.list = _ShortList()
        self.list.setToolTip(hint)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemChanged.connect(lambda _: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.filter)
        layout.addWidget(self.list)

    def set_entries(self, entries: Sequence[tuple[str, str]]) -> None:
        """List (name, what is said of it); names that stay keep their tick."""
        kept = set(self.ticked())
        self.list.blockSignals(True)
        self.list.clear()
        for name, told in entries:
            item = QListWidgetItem(f"{name}   {told}")
            item.setData(Qt.ItemDataRole.UserRole, name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if name in kept else Qt.CheckState.Unchecked)
            self.list.addItem(item)
        self.list.blockSignals(False)
        self._filter(self.filter.text())
        self.changed.emit()

    def ticked(self) -> tuple[str, ...]:
        """Return the ticked names, in the order of the list."""
        return tuple(
            item.data(Qt.ItemDataRole.UserRole)
            for item in self._items()
            if item.checkState() == Qt.CheckState.Checked
        )

    def tick(self, names: Sequence[str]) -> None:
        """Tick these names and no others."""
        for item in self._items():
            on = item.data(Qt.ItemDataRole.UserRole) in names
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _items(self) -> list[Any]:
        return [self.list.item(index) for index in range(self.list.count())]

    def _filter(self, text: str) -> None:
        for item in self._items():
            item.setHidden(text.casefold() not in item.text().casefold())


class _ShortList(QListWidget):  # type: ignore[misc]
    """A list that asks for a few lines only: it stands in a page that scrolls itself."""

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), 8 * self.fontMetrics().lineSpacing())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


def _preset_box(presets: Sequence[str]) -> QComboBox:
    box = QComboBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.addItems(list(presets))
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setMinimumContentsLength(10)
    return box


def _narrow(made: Any) -> Any:
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return made
