"""Forms made from parameter dataclasses: one row for each field, with what is wrong with it below."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QSizePolicy, QToolButton, QWidget

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import InvalidParameters, ParameterField, parameter_fields
from napari_xrf.plugin.forms.parts import Part, column, row

T = TypeVar("T")

_WRONG_TEXT = "color: #f0604d;"
_WRONG_FRAME = "QLineEdit { border: 1px solid #f0604d; }"
_LABEL_WIDTH = 135  # the same in all forms of a tab, so that their values stand below each other


# How the last word of a field's name is written as a unit.
_UNITS = {"ev": "eV", "kev": "keV", "us": "µs", "ms": "ms", "um": "µm"}


@dataclass(frozen=True)
class Judgement(Generic[T]):
    """What became of the values of a form."""

    value: T | None  # the dataclass, or None where a value is wrong
    # Name of the field → what is wrong with it; "" is the name of what concerns the form as a whole
    errors: Mapping[str, str]


def judge(base: T, values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> Judgement[T]:
    """Put values into a dataclass, and find the fields that it does not take.

    ``base``: a valid instance, with the values of all fields that are not in ``values``. ``values``: field →
    value. ``errors``: fields whose text could not be read.
    """
    wrong = dict(errors or {})
    try:
        value = replace(base, **values)  # type: ignore[type-var]
    except InvalidParameters as error:
        return Judgement(None, error.errors | wrong)
    return Judgement(None if wrong else value, wrong)


def label_of(field: ParameterField) -> str:
    """Return a field's name as a form shows it, without the unit that stands behind the value."""
    words = field.name.split("_")
    if len(words) > 1 and words[-1] in _UNITS:
        words = words[:-1]
    return " ".join(words).capitalize()


def unit_of(field: ParameterField) -> str:
    """Return the unit that stands behind a field's value, maybe empty."""
    if field.limits is not None and field.limits.unit:
        return field.limits.unit
    last = field.name.rpartition("_")[2]
    return _UNITS.get(last, "") if "_" in field.name else ""


def hint_of(field: ParameterField) -> str:
    """Return the tooltip of a field: what it is, and where it must lie."""
    parts = [field.text]
    if field.limits is not None:
        limits = field.limits
        parts.append(f"From {limits.low:g} to {limits.high:g} {limits.unit}".rstrip() + ".")
    if field.form == "list":
        parts.append("Names with commas between them.")
    return " ".join(part for part in parts if part)


def texts_of(field: ParameterField, value: Any) -> tuple[str, ...]:
    """Return the texts of a value: two for a pair, else one. Numbers read back are the same."""
    if field.form == "pair":
        return tuple(_text(part) for part in value)
    if field.form == "list":
        return (", ".join(value),)
    return (_text(value),)


def value_from(field: ParameterField, texts: tuple[str, ...]) -> Any:
    """Return the value that texts stand for.

    Raises InvalidInput when a number cannot be read.
    """
    if field.form == "list":
        return tuple(part.strip() for part in texts[0].split(",") if part.strip())
    if field.kind is str:
        return texts[0].strip()
    parts = tuple(_number(text, field.kind) for text in texts)
    return parts if field.form == "pair" else parts[0]


class ErrorLabel(QLabel):  # type: ignore[misc]
    """A red sentence, invisible while there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setStyleSheet(_WRONG_TEXT)
        self.hide()

    def tell(self, message: str) -> None:
        """Say what is wrong; an empty message says that nothing is."""
        self.setText(message)
        self.setVisible(bool(message))


class FieldRow(QWidget):  # type: ignore[misc]
    """The editors of one field.

    ``field``: what is edited. ``suggested``: what an optional field starts with when it is switched on.
    """

    changed = Signal()

    def __init__(self, field: ParameterField, suggested: Any = None) -> None:
        super().__init__()
        self.field = field
        self.error = ErrorLabel()
        self.switch = CheckBox(text=label_of(field)) if field.optional else None
        self.editors = _editors(field)
        line: list[Part] = []
        for editor in self.editors:
            line += [QLabel("to" if _is_range(field) else "×")] if line else []
            line.append((editor.native, 1))
            editor.native.setToolTip(hint_of(field))
            editor.changed.connect(lambda _: self.changed.emit())
        line += [QLabel(unit_of(field))] if unit_of(field) else []
        self.setLayout(column(row(*line, flush=True), self.error, flush=True, spacing=1))
        if self.switch is not None:
            self.switch.native.setToolTip(hint_of(field))
            self.switch.changed.connect(self._switch)
            self._fill(suggested)
        self.show_value(field.default)

    def value(self) -> Any:
        """Return the value.

        Raises InvalidInput when a number cannot be read.
        """
        if self.switch is not None and not self.switch.value:
            return None
        if self.field.kind is bool:
            return bool(self.editors[0].value)
        return value_from(self.field, tuple(str(editor.value) for editor in self.editors))

    def show_value(self, value: Any) -> None:
        """Show a value; None switches an optional field off and leaves its texts."""
        if self.switch is not None:
            self.switch.value = value is not None
            self._switch(value is not None)
        self._fill(value)

    def tell(self, message: str) -> None:
        """Say what is wrong with the field."""
        self.error.tell(message)
        for editor in self.editors:
            editor.native.setStyleSheet(_WRONG_FRAME if message else "")

    def _fill(self, value: Any) -> None:
        if value is None:
            return
        if self.field.kind is bool:
            self.editors[0].value = value
            return
        for editor, text in zip(self.editors, texts_of(self.field, value), strict=True):
            editor.value = text
            if isinstance(editor, LineEdit):
                editor.native.setCursorPosition(0)

    def _switch(self, on: bool) -> None:
        for editor in self.editors:
            editor.enabled = on
        self.changed.emit()


class ParameterForm(QWidget, Generic[T]):  # type: ignore[misc]
    """A form over a parameter dataclass.

    ``base``: the values that it starts with, and keeps for the fields that it leaves out. ``skip``: fields
    that get no row. ``suggested``: another instance: with what optional fields start when they are switched
    on.
    """

    changed = Signal()

    def __init__(self, base: T, *, skip: tuple[str, ...] = (), suggested: T | None = None) -> None:
        super().__init__()
        self._base = base
        self._filling = False
        self.rows: dict[str, FieldRow] = {}
        self.error = ErrorLabel()
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for field in parameter_fields(type(base), skip=skip):
            entry = FieldRow(field, getattr(suggested, field.name, None))
            entry.show_value(getattr(base, field.name))
            entry.changed.connect(self._edited)
            self.rows[field.name] = entry
            self._layout.addRow(_label(entry), entry)
        self._layout.addRow(self.error)
        self.judgement = self._judge()

    def value(self) -> T:
        """Return the dataclass that the form shows.

        Raises InvalidInput when a field is wrong; the message names it.
        """
        if self.judgement.value is None:
            raise InvalidInput(self.problem())
        return self.judgement.value

    def show_value(self, value: T) -> None:
        """Show an instance; values that have no row stay as they were."""
        self._filling = True
        for name, entry in self.rows.items():
            entry.show_value(getattr(value, name))
        self._filling = False
        self._edited()

    def problem(self) -> str:
        """Return what is wrong first, with the name of the field, or an empty text."""
        for name, message in self.judgement.errors.items():
            if not name or message.lower().startswith(name.replace("_", " ")):
                return message
            return f"{label_of(self.rows[name].field)}: {message}"
        return ""

    def _edited(self) -> None:
        if not self._filling:
            self.judgement = self._judge()
            self.changed.emit()

    def _judge(self) -> Judgement[T]:
        values: dict[str, Any] = {}
        unread: dict[str, str] = {}
        for name, entry in self.rows.items():
            try:
                values[name] = entry.value()
            except InvalidInput as error:
                unread[name] = str(error)
        judgement = judge(self._base, values, unread)
        errors: Mapping[str, str] = judgement.errors
        for name, entry in self.rows.items():
            entry.tell(errors.get(name, ""))
        self.error.tell(errors.get("", ""))
        return judgement


class Section(QWidget):  # type: ignore[misc]
    """A heading that opens and closes a form below it, and opens when the form is wrong."""

    def __init__(self, title: str, content: ParameterForm[Any], *, is_open: bool = True) -> None:
        super().__init__()
        self.content = content
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setCheckable(True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.heading.setStyleSheet("QToolButton { border: none; font-weight: bold; text-align: left; }")
        self.heading.toggled.connect(self._open)
        content.changed.connect(self._show_problem)
        self.setLayout(column(self.heading, content, flush=True, spacing=4))
        self.heading.setChecked(is_open)
        self._open(is_open)

    def _open(self, is_open: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self.content.setVisible(is_open)

    def _show_problem(self) -> None:
        if self.content.problem():
            self.heading.setChecked(True)


def form_label(text: str, hint: str = "") -> QLabel:
    """Return the label of a row, as wide as those of the forms."""
    label = QLabel(text)
    label.setToolTip(hint)
    label.setFixedWidth(_LABEL_WIDTH)
    return label


def _label(entry: FieldRow) -> QWidget:
    if entry.switch is not None:
        native: QWidget = entry.switch.native
        native.setFixedWidth(_LABEL_WIDTH)
        return native
    if entry.field.kind is bool:
        return form_label("")
    return form_label(label_of(entry.field), hint_of(entry.field))


def _editors(field: ParameterField) -> list[Any]:
    if field.kind is bool:
        return [CheckBox(text=label_of(field))]
    if field.choices:
        return [ComboBox(choices=field.choices)]
    count = 2 if field.form == "pair" else 1
    editors = [LineEdit() for _ in range(count)]
    for editor in editors:
        editor.native.setMinimumWidth(60)
    return editors


def _is_range(field: ParameterField) -> bool:
    return field.limits is None or field.limits.ordered  # sizes are pairs too: rows by columns


def _number(text: str, kind: type) -> Any:
    plain = text.strip().replace("−", "-")
    try:
        if kind is int:
            return int(plain)
        return float(plain)
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise InvalidInput(f"{text.strip()!r} is no {what}" if plain else f"a {what} is missing") from None


def _text(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:.9g}"
        return short if float(short) == value else repr(value)
    return str(value)
