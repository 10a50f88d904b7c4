"""What happens to a dock when it is closed: it lets go of the viewer and of its jobs."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


def when_closed(widget: QWidget, release: Callable[[], None]) -> None:
    """Call ``release`` once, when a dock's widget is taken out of its dock or deleted.

    napari's close button takes the widget out of the dock and forgets it, without a close event.
    """
    _Undocking(widget, release)


class _Undocking(QObject):  # type: ignore[misc]
    def __init__(self, widget: QWidget, release: Callable[[], None]) -> None:
        super().__init__(widget)
        self._release: Callable[[], None] | None = release
        self._docked = False
        widget.installEventFilter(self)
        widget.destroyed.connect(lambda: self._call())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange:
            if watched.parent() is not None:
                self._docked = True
            elif self._docked and self._release is not None:
                self._call()
                watched.hide()
                watched.deleteLater()
        return False

    def _call(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()
