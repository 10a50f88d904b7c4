"""The life of a dock: one job at a time, the events it follows, and nothing left behind when it is closed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QWidget
from superqt.utils import qthrottled

from napari_xrf.plugin.jobs.job import JobBar
from napari_xrf.plugin.notices import errors_told, tell
from napari_xrf.plugin.writers import recognized_name


class Dock(QWidget):  # type: ignore[misc]
    """What all docks are; a new one is a subclass in a file of its own, and two rows in the manifest.

    Whatever of a dock listens to the viewer says so with :meth:`follow`, :meth:`throttled` or
    :meth:`when_closed`; then closing the dock, which stops its job, ends that too.

    Parameters
    ----------
    viewer
        The viewer whose layers it works on.
    """

    _docked = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.job_bar = JobBar()
        ends: list[Callable[[], object]] = [self.job_bar.release]
        self._ends = ends
        self.job_bar.busy.connect(lambda _: self._set_enabled())
        self.destroyed.connect(lambda: _call_once(ends))

    def when_closed(self, end: Callable[[], object]) -> None:
        """Call ``end()`` when the dock is closed or deleted."""
        self._ends.append(end)

    def follow(self, event: Any, slot: Callable[..., object]) -> None:
        """Connect an event of napari, or a signal of Qt, until the dock is closed."""
        event.connect(slot)
        self.when_closed(partial(event.disconnect, slot))

    def follow_layers(
        self,
        accepts: Callable[[Any], bool],
        names: Iterable[str],
        changed: Callable[[list[Any]], object],
        edited: Callable[[Any], object],
    ) -> None:
        """Follow the layers that fit, and events of each of them, until the dock is closed.

        ``changed(layers)`` is called when other ones fit, ``edited(event)`` at the named events.
        """
        layers, followed = self.viewer.layers, list[Any]()

        def emitters(some: Iterable[Any]) -> list[Any]:
            return [getattr(layer.events, name) for layer in some for name in names]

        def follow_fitting(event: Any = None) -> None:
            fitting = [layer for layer in layers if accepts(layer)]
            if fitting != followed:
                for emitter in emitters(layer for layer in followed if layer not in fitting):
                    emitter.disconnect(edited)
                for emitter in emitters(layer for layer in fitting if layer not in followed):
                    emitter.connect(edited)
                followed[:] = fitting
                changed(fitting)

        def forget() -> None:
            for emitter in emitters(followed):
                emitter.disconnect(edited)

        for event in (layers.events.inserted, layers.events.removed):
            self.follow(event, follow_fitting)
        self.when_closed(forget)
        follow_fitting()

    def throttled(self, function: Callable[..., object], milliseconds: int) -> Any:
        """Return the function, called at most once in so many milliseconds, until the dock is closed."""
        calling = qthrottled(function, timeout=milliseconds)
        self.when_closed(calling.cancel)
        return calling

    def follow_theme(self, take: Callable[[str, str], object]) -> None:
        """Call ``take(background, text)`` with the window's colours, now and when they change."""
        from napari.utils.theme import get_theme

        def tell(event: Any = None) -> None:
            theme = get_theme(self.viewer.theme)
            take(theme.background.as_hex(format="long"), theme.text.as_hex(format="long"))

        self.follow(self.viewer.events.theme, tell)
        tell()

    def save_as(self, title: str, name: str, kinds: str, write: Callable[[Path], object]) -> None:
        """Ask for a file, give it an ending of the chosen kind and write it; an error is one notification."""
        path, kind = QFileDialog.getSaveFileName(self, title, name, kinds)
        if path:
            with errors_told():
                write(Path(recognized_name(path, re.findall(r"\*(\.\w+)", kind or kinds))))

    def write_in_background(
        self, path: Path, write: Callable[..., Any], *content: Any, **options: Any
    ) -> None:
        """Run ``write(path, *content, progress=..., **options)`` as the dock's job; says when it is done."""

        def done(_: Any) -> None:
            tell(f"{path.name} is written")

        self.job_bar.run(f"Writing {path.name}", write, path, *content, on_done=done, **options)

    def event(self, event: QEvent) -> bool:
        """Notice that napari's close button takes the widget out of its dock, without a close event."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self._docked = False
                _call_once(self._ends)
                self.hide()
                self.deleteLater()
        return bool(super().event(event))

    def _set_enabled(self) -> None:
        """Enable what can be done now; called when a job starts and ends."""


def _call_once(ends: list[Callable[[], object]]) -> None:
    while ends:
        ends.pop()()
