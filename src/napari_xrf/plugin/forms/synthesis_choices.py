"""Choices that name files, presets and lists, for the Generate dock; what is wrong stands below each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xrf.core.errors import XrfError
from napari_xrf.plugin.forms.parameter_form import ErrorLabel
from napari_xrf.plugin.forms.parts import button


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
