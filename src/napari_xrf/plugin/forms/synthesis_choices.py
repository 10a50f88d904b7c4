"""Choices of files, presets and distortions, for the Generate dock; what is wrong stands below each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit, QSizePolicy, QWidget

from napari_xrf.core.errors import XrfError
from napari_xrf.plugin.forms.parameter_form import ErrorLabel, ParameterForm, Section, form_label
from napari_xrf.plugin.forms.parts import button, column, row
from napari_xrf.synthesis.distortions import Distortions, typical_distortions

NONE, TYPICAL, OWN = "none", "typical", "as set below"


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
        asking = [("File…", self._ask_file), *([("Folder…", self._ask_folder)] if folders else [])]
        buttons = (_narrow(button(text, hint, ask)) for text, ask in asking)
        self.setLayout(column(row((self.editor, 1), *buttons, flush=True), self.error, flush=True, spacing=1))
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


class DistortionsChoice(QWidget):  # type: ignore[misc]
    """A choice of sets above a form in which each distortion is switched and shaped.

    ``typical``: what stands under that name for the recipe. ``chosen``: the set to start with: ``"none"`` or
    ``"typical"``.
    """

    changed = Signal()

    def __init__(self, typical: Distortions, chosen: str) -> None:
        super().__init__()
        self._sets = {NONE: Distortions(), TYPICAL: typical}
        self.sets = QComboBox()
        self.sets.addItems([NONE, TYPICAL, OWN])
        self.sets.setToolTip("What makes measured spectra differ from expected ones")
        self.form: ParameterForm[Distortions] = ParameterForm(self._sets[chosen], suggested=_filled(typical))
        self.details = Section("Each distortion: lowest to highest", self.form, is_open=False)
        self.setLayout(column(row(form_label("Distortions"), self.sets), self.details, flush=True))
        self.sets.setCurrentText(chosen)
        self.sets.activated.connect(lambda _: self.choose(self.sets.currentText()))
        self.form.changed.connect(self._edited)

    def choose(self, name: str) -> None:
        """Take a set; the last entry only opens the form."""
        if name in self._sets:
            self.form.show_value(self._sets[name])
        else:
            self.details.heading.setChecked(True)

    def value(self) -> Distortions | None:
        """Return the distortions, None where all are off.

        Raises InvalidInput when a range is wrong.
        """
        chosen = self.form.value()
        return None if chosen == Distortions() else chosen

    def problem(self) -> str:
        """Return what is wrong first, or an empty text."""
        return self.form.problem()

    def _edited(self) -> None:
        value = self.form.judgement.value
        name = next((name for name, each in self._sets.items() if each == value), OWN)
        self.sets.setCurrentText(name)
        self.changed.emit()


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


def _filled(typical: Distortions) -> Distortions:
    """Return the set with a range for every distortion, from the usual ones where it has none."""
    given = {name: value for name, value in asdict(typical).items() if value is not None}
    return replace(typical_distortions(), **given)
