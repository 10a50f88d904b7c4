"""Lists of names to tick."""

from collections.abc import Collection, Iterable
from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QWidget

from napari_xrf.plugin.forms.parts import column, write_in

_NAME = Qt.ItemDataRole.UserRole
_ON, _OFF = Qt.CheckState.Checked, Qt.CheckState.Unchecked
# An empty box is drawn black on a dark window.
_EMPTY_BOX = "QListView::indicator:unchecked { border: 1px solid #8a8a8a; border-radius: 2px }"


class TickBoxes(QListWidget):  # type: ignore[misc]
    """Names to tick, one below the other; ``itemChanged`` tells of a tick.

    ``hint``: the tooltip of the list, and what stands in it while it is empty.
    """

    def __init__(self, hint: str = "") -> None:
        super().__init__()
        self.setToolTip(hint)
        self.setStyleSheet(_EMPTY_BOX)

    def paintEvent(self, event: QEvent) -> None:
        """Paint the names, or the hint without one."""
        super().paintEvent(event)
        if not self.count():
            write_in(self, self.toolTip())

    def add(self, name: str, text: str, *, on: bool, hint: str = "") -> None:
        """List a name, and what is said of it."""
        item = QListWidgetItem(text)
        item.setToolTip(hint)
        item.setData(_NAME, name)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(_ON if on else _OFF)
        self.addItem(item)

    def set_entries(self, entries: Iterable[tuple[str, str, str]], ticked: Collection[str]) -> None:
        """List (name, text, tooltip) and no others, some of them ticked, without telling of each."""
        self.blockSignals(True)
        self.clear()
        for name, text, hint in entries:
            self.add(name, text, on=name in ticked, hint=hint)
        self.blockSignals(False)

    def items(self) -> list[Any]:
        """Return what is listed."""
        return [self.item(index) for index in range(self.count())]

    def names(self) -> tuple[str, ...]:
        """Return the names, in the order of the list."""
        return tuple(item.data(_NAME) for item in self.items())

    def ticked(self) -> tuple[str, ...]:
        """Return the ticked names, in the order of the list."""
        return tuple(item.data(_NAME) for item in self.items() if item.checkState() == _ON)

    def tick(self, names: Collection[str]) -> None:
        """Tick these names and no others."""
        for item in self.items():
            item.setCheckState(_ON if item.data(_NAME) in names else _OFF)

    def show_only(self, text: str) -> None:
        """Hide all but those that hold a text, in what is said of them too."""
        for item in self.items():
            item.setHidden(text.casefold() not in f"{item.text()} {item.toolTip()}".casefold())


class TickList(QWidget):  # type: ignore[misc]
    """Names to tick, with a filter above them."""

    changed = Signal()

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter")
        self.list = _ShortList(hint)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.filter.textChanged.connect(self.list.show_only)
        self.list.itemChanged.connect(lambda _: self.changed.emit())
        self.ticked, self.tick = self.list.ticked, self.list.tick
        self.setLayout(column(self.filter, self.list, flush=True, spacing=2))

    def set_entries(self, entries: Iterable[tuple[str, str]]) -> None:
        """List (name, what is said of it); names that stay keep their tick."""
        texts = ((name, f"{name}   {told}", "") for name, told in entries)
        self.list.set_entries(texts, self.ticked())
        self.list.show_only(self.filter.text())
        self.changed.emit()


class _ShortList(TickBoxes):
    """A list that asks for a few lines only: it stands in a page that scrolls itself."""

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), 8 * self.fontMetrics().lineSpacing())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()
