"""The life of a dock: its place, one job at a time, what it follows, and nothing left when it is closed."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QFrame,
    QLayout,
    QMainWindow,
    QScrollArea,
    QTabBar,
    QWidget,
)
from superqt.utils import qthrottled

from napari_xrf.core.extras import networks_missing
from napari_xrf.plugin.forms.parts import Part, button, column, row, wrapped
from napari_xrf.plugin.jobs.job import JobBar
from napari_xrf.plugin.layers.layer_data import TURN_MS
from napari_xrf.plugin.notices import errors_told, tell, warn
from napari_xrf.plugin.window import are_settings_read, bind_keys, settings, show_dock

_BAR, _WIDEST = 20, 470  # pixels: of a scroll bar, and the width that a dock may ask for
_PADDING = 6  # pixels above and below a message, which the window's style takes
_LINES = 4  # of a dock's message that are seen at once
_WARNING = "_Message { border-left: 3px solid #e69f00 }"
_LOW = 290  # pixels of a dock at the bottom, which leave the map the larger part of a small screen


class Dock(QWidget):  # type: ignore[misc]
    """What all docks are; a new one is a subclass in a file of its own, and two rows in the manifest.

    Whatever of a dock listens to the viewer says so with :meth:`follow`, :meth:`throttled` or
    :meth:`when_closed`; then closing the dock, which stops its job, ends that too.

    ``viewer``: the viewer whose layers it works on.
    """

    title = ""
    area = Qt.DockWidgetArea.RightDockWidgetArea
    networks = False  # whether all that it does needs them
    _docked, _sight = False, "seen"
    _inner: QWidget | None = None
    _scroll: QScrollArea | None = None
    _in_sight: QWidget | None = None
    _needed = 0  # pixels of width that its parts needed last

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.job_bar = JobBar()
        self.said = _Message()
        self.offered = _Offer()
        self._placed = _remembered_places(self.title)
        lost = networks_missing() if self.networks else ""
        self.lost = f"{lost[:1].upper()}{lost[1:]}"  # what of the dock does not work
        ends: list[Callable[[], object]] = [self.job_bar.release]
        self._ends = ends
        self.job_bar.busy.connect(self._turn_busy)
        self.follow(viewer.layers.events.removed, self._forget)
        self.destroyed.connect(lambda: _call_once(ends))

    def lay_out(self, *parts: Part, foot: QLayout) -> None:
        """Stack parts in a column that scrolls where the window is small, over the bar of the dock's job.

        The foot, with the buttons that start what the dock is there for, is always seen.
        """
        inner = _Column()
        inner.setLayout(column(*([wrapped(self.lost)] if self.lost else []), *parts))
        inner.laid_out.connect(self.while_open(self._widen))
        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._inner, self._scroll = inner, scroll
        self.setLayout(column((scroll, 1), column(foot), self.offered, self.said, self.job_bar, flush=True))

    def see(self, part: QWidget) -> None:
        """Scroll to a part, as to a table that has results now; it stays in sight when there is less room."""
        if self._scroll is not None:
            scroll, self._in_sight = self._scroll, part
            # A message, or the part where it was hidden, takes its room first.
            QTimer.singleShot(TURN_MS, self.while_open(partial(_scroll_to, scroll, part)))

    def resizeEvent(self, event: QEvent) -> None:
        """Keep results in sight, as when the Spectrum dock opens below."""
        super().resizeEvent(event)
        if self._in_sight is not None and event.size().height() < event.oldSize().height():
            self.see(self._in_sight)

    def tell(self, message: str) -> None:
        """Say something below the dock's parts, and as a notification while the dock is not seen."""
        self._say(message)
        if not self.isVisible():
            tell(message)

    def warn(self, message: str) -> None:
        """Say a warning below the dock's parts, marked, and as a notification while the dock is not seen."""
        self._say(message)
        self.said.setStyleSheet(_WARNING)
        if not self.isVisible():
            warn(message)

    def offer(self, text: str, name: str = "", act: Callable[[], object] = tuple) -> None:
        """Say what the user may want to do, with a button that does it; an empty text takes it back."""
        self.offered.show_offer(text, name, act)

    def offer_dock(self, text: str, title: str) -> None:
        """Say what is missing, with a button that opens the dock that makes it."""
        self.offer(text, title, partial(show_dock, self.viewer, title))

    def when_closed(self, end: Callable[[], object]) -> None:
        """Call ``end()`` when the dock is closed or deleted."""
        self._ends.append(end)

    def while_open(self, call: Callable[..., object]) -> Callable[..., object]:
        """Return the function, which does nothing once the dock is closed."""
        return lambda *arguments: call(*arguments) if self._ends else None

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

    def remember(self, section: str, **controls: QComboBox | QCheckBox) -> None:
        """Set controls as the user left them, and keep in napari's settings what the user chooses.

        Unless napari has its plugins' settings yet, it reads all their manifests: in a turn of its own.
        """
        before = {name: _value(control) for name, control in controls.items()}

        def recall() -> None:
            kept = settings(section)
            for name, control in controls.items() if kept is not None else ():
                if _value(control) == before[name]:  # nobody has chosen yet
                    _set_value(control, getattr(kept, name))
                chosen = control.textActivated if isinstance(control, QComboBox) else control.clicked
                chosen.connect(partial(_keep, kept, name, control))

        if are_settings_read():
            recall()
        else:
            QTimer.singleShot(TURN_MS, self.while_open(recall))

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
        from napari_xrf.plugin.writers import recognized_name

        path, kind = QFileDialog.getSaveFileName(self, title, name, kinds)
        if path:
            self._say("")  # of a file before, beside an error of this one
            with errors_told():
                target = Path(recognized_name(path, re.findall(r"\*(\.\w+)", kind or kinds)))
                write(target)
                if self.job_bar.job is None:
                    self.tell(f"{target} is written")

    def write_in_background(
        self, path: Path, write: Callable[..., Any], *content: Any, **options: Any
    ) -> None:
        """Run ``write(path, *content, progress=..., **options)`` as the dock's job; says when it is done."""

        def done(_: Any) -> None:
            self.tell(f"{path} is written")

        self.job_bar.run(f"Writing {path.name}", write, path, *content, on_done=done, **options)

    def event(self, event: QEvent) -> bool:
        """Notice that napari's close button takes the widget out of its dock, without a close event."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
                QTimer.singleShot(0, self._place)
            elif self._docked:
                self._docked = False
                _call_once(self._ends)
                self.hide()
                self.deleteLater()
        return bool(super().event(event))

    def _place(self) -> None:
        """Go where docks of this kind belong: beside the others in tabs; unless the user moved it before."""
        if not self._ends:  # closed at once
            return
        dock = self.parent()
        window = dock.parent() if isinstance(dock, QDockWidget) else None
        if not isinstance(window, QMainWindow) or dock.isFloating():
            return
        bind_keys(self.viewer, window)
        # The column of layers keeps its height when a dock stands at the bottom.
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        if getattr(dock, "name", "") not in self._placed and window.dockWidgetArea(dock) != self.area:
            window.addDockWidget(self.area, dock)
        area = window.dockWidgetArea(dock)
        beside = [
            other
            for other in window.findChildren(QDockWidget)
            if other is not dock and isinstance(other.widget(), Dock) and window.dockWidgetArea(other) == area
        ]
        if not beside and self._is_low():  # in later sessions too, where napari has put it there
            window.resizeDocks([dock], [_LOW], Qt.Orientation.Vertical)
        if beside:
            window.tabifyDockWidget(beside[-1], dock)
            for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
                bar.setElideMode(Qt.TextElideMode.ElideNone)  # many tabs scroll: cut names tell nothing
                bar.setUsesScrollButtons(True)
        dock.setWindowTitle(dock.windowTitle().partition(" (")[0])  # a tab has no room for the plugin's name
        dock.show()
        dock.raise_()
        dock.visibilityChanged.connect(self.while_open(self._follow_sight))
        QTimer.singleShot(0, self._widen)

    def _follow_sight(self, seen: bool) -> None:
        """Come to the front where the menu shows it, or hides it behind another: napari knows no tabs."""
        dock = self.parent()
        window = dock.parent() if isinstance(dock, QDockWidget) else None
        if not isinstance(window, QMainWindow):  # dock or window is being closed
            return
        before, self._sight = self._sight, "hidden" if dock.isHidden() else "seen" if seen else "behind"
        beside = window.tabifiedDockWidgets(dock)

        def come_back() -> None:
            if any(other.isVisible() for other in beside):  # unless all were hidden together
                dock.show()

        if before == "hidden" != self._sight:
            QTimer.singleShot(0, self.while_open(dock.raise_))
        elif (before, self._sight) == ("behind", "hidden"):
            QTimer.singleShot(0, self.while_open(come_back))

    def _is_low(self) -> bool:
        """Whether the dock stands below or above the map."""
        low = (Qt.DockWidgetArea.BottomDockWidgetArea, Qt.DockWidgetArea.TopDockWidgetArea)
        return self.parent().parent().dockWidgetArea(self.parent()) in low

    def _widen(self) -> None:
        """Give the dock, and so the tabs that it shares its place with, the width that its parts need."""
        if not self._ends:
            return
        inner = self._inner  # it scrolls up and down only, as long as it has a usual width
        usual = 0 if inner is None else min(inner.minimumSizeHint().width() + _BAR, _WIDEST)
        dock, needed = self.parent(), max(self.minimumWidth(), self.minimumSizeHint().width(), usual)
        before, self._needed = (
            self._needed,
            needed,
        )  # a user may make it narrower, but parts that grow are seen
        placed = isinstance(dock, QDockWidget) and isinstance(dock.parent(), QMainWindow)
        if placed and needed > before and not dock.isFloating() and dock.width() < needed:
            dock.parent().resizeDocks([dock], [needed], Qt.Orientation.Horizontal)

    def _turn_busy(self, busy: bool) -> None:
        if busy:
            self._say("")
        self._set_enabled()

    def _forget(self, event: Any) -> None:
        """Take back what was said of a layer that is gone."""
        named = re.search(rf"(?<!\w){re.escape(event.value.name)}(?!\w)", self.said.text())
        if named or not self.viewer.layers:
            self._say("")

    def _say(self, text: str) -> None:
        self.said.setStyleSheet("")
        self.said.setText(text)

    def _set_enabled(self) -> None:
        """Enable what can be done now; called when a job starts and ends."""


class _Message(QScrollArea):  # type: ignore[misc]
    """What a dock says: as high as its text, but long ones scroll and leave their room to the parts."""

    def __init__(self) -> None:
        super().__init__()
        self._label = wrapped()
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setWidget(self._label)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setText("")

    def text(self) -> str:
        """Return what is said."""
        return str(self._label.text())

    def setText(self, text: str) -> None:
        """Say something else, or nothing."""
        self._label.setText(text)
        self.setVisible(bool(text))
        self._fit()

    def resizeEvent(self, event: QEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        needed = self._label.heightForWidth(max(self.width() - _BAR, 1))
        most = _LINES * self._label.fontMetrics().lineSpacing()
        self.setFixedHeight(_PADDING + min(max(needed, 0), most))


class _Offer(QWidget):  # type: ignore[misc]
    """A sentence and a button that does what it says, hidden while there is none.

    Of docks that offer the same, the one that was seen last does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = wrapped()
        self._act: Callable[[], object] = tuple
        self.button = button("", "", lambda: self._act())
        self.setLayout(row(self.text, self.button))
        self.layout().setStretch(0, 1)
        self.hide()

    def show_offer(self, text: str, name: str, act: Callable[[], object]) -> None:
        """Show another offer, or none."""
        self.text.setText(text)
        self.button.setText(name)
        self._act = act
        self.setVisible(bool(text))

    def showEvent(self, event: QEvent) -> None:
        super().showEvent(event)
        for other in self._same():
            if other.isVisible():
                other.hide()

    def hideEvent(self, event: QEvent) -> None:
        super().hideEvent(event)
        if not self.isHidden():  # its dock went, behind another or for good
            for other in self._same():
                other.show()

    def _same(self) -> list[QWidget]:
        """Return what offers the same in other docks."""
        others: list[_Offer] = self.window().findChildren(_Offer)
        return [other for other in others if other is not self and other.text.text() == self.text.text()]


class _Column(QWidget):  # type: ignore[misc]
    """What scrolls: as high as its parts need; one line that wraps would make them as high as they like."""

    laid_out = Signal()

    def event(self, event: QEvent) -> bool:
        """Tell when parts have come, gone or changed, as behind another tab."""
        done = bool(super().event(event))
        if event.type() == QEvent.Type.LayoutRequest:
            self.laid_out.emit()
        return done

    def heightForWidth(self, width: int) -> int:
        return int(self.layout().minimumHeightForWidth(width))


def _scroll_to(scroll: QScrollArea, part: QWidget) -> None:
    """Show the whole of a part, or its top: Qt's own way shows the current row of a table alone."""
    top = part.mapTo(scroll.widget(), QPoint(0, 0)).y()
    for y in (top + part.height(), top):
        scroll.ensureVisible(0, y, 0, 0)


def _keep(kept: Any, name: str, control: QComboBox | QCheckBox, *_: object) -> None:
    setattr(kept, name, _value(control))


def _value(control: QComboBox | QCheckBox) -> Any:
    return control.currentText() if isinstance(control, QComboBox) else control.isChecked()


def _set_value(control: QComboBox | QCheckBox, value: Any) -> None:
    (control.setCurrentText if isinstance(control, QComboBox) else control.setChecked)(value)


def _call_once(ends: list[Callable[[], object]]) -> None:
    while ends:
        # PySide raises where a part of the dock is gone already, which then hears nothing any more.
        with suppress(RuntimeError, SystemError):
            ends.pop()()


def _remembered_places(title: str) -> frozenset[str]:
    """Return the names under which napari remembers a dock; the menu and we give it different ones."""
    from napari.settings import get_settings

    places = get_settings().application.plugin_widget_positions
    return frozenset(name for name in places if title and name.startswith(f"{title} ("))
