"""A user's hand in a Qt window: real clicks, drags and keys, and the waiting between them.

Events go in where the window system's own do, so that popups, grabs and focus work as they do for a user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QThread, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QMenuBar, QScrollArea, QTableWidget, QWidget

_KEPT_COLORS = 150
LEFT = Qt.MouseButton.LeftButton
Place = QPoint | tuple[float, float] | None


def click(widget: QWidget, place: Place = None, button: Any = LEFT) -> None:
    """Move to a place of a widget, (x, y), its middle by default, and click there."""
    window, at = _on_screen(widget, place)
    QTest.mouseMove(window, at)
    let_pass(0.02)
    QTest.mouseClick(window, button, Qt.KeyboardModifier.NoModifier, at)
    let_pass(0.05)


def drag(widget: QWidget, places: Iterable[Place]) -> None:
    """Press the left button at the first place, move through the others and let go at the last one."""
    first, *others = (_on_screen(widget, place) for place in places)
    window, at = first
    QTest.mouseMove(window, at)
    let_pass(0.02)
    QTest.mousePress(window, LEFT, Qt.KeyboardModifier.NoModifier, at)
    for _, at in others:
        # Without buttons, Qt would take a plain move for one that only passes by.
        QTest.mouseMove(window, at)
        let_pass(0.02)
    QTest.mouseRelease(window, LEFT, Qt.KeyboardModifier.NoModifier, at)
    let_pass(0.05)


def type_text(field: QWidget, text: str) -> None:
    """Click into a field, replace what it holds by a text, and press Enter."""
    click(field)
    QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)
    let_pass(0.05)


def click_row(table: QTableWidget, row: int, column: int = 1, button: Any = LEFT) -> None:
    """Click a cell of a table."""
    item = table.item(row, column)
    table.scrollToItem(item)
    click(table.viewport(), table.visualItemRect(item).center(), button)


def choose(bar: QMenuBar | QMenu, *names: str) -> None:
    """Click through a menu, by the beginnings of its entries' names."""
    taken = []  # PySide takes a menu away with the entry that it was asked of
    for name in names:
        action = next(each for each in bar.actions() if _plain(each.text()).startswith(name))
        taken.append(action)
        click(bar, bar.actionGeometry(action).center())
        if action.menu() is not None:
            bar = action.menu()
            until(bar.isVisible)


def popup() -> QMenu:
    """Return the menu that has popped up."""
    until(lambda: QApplication.activePopupWidget() is not None)
    return QApplication.activePopupWidget()


def finish(widget: Any) -> None:
    """Wait for a dock's job, and for the layers that it adds."""
    from napari_xrf.plugin.layers.layer_data import is_adding

    until(lambda: widget.job_bar.job is None and not is_adding())
    let_pass(0.2)


def until(condition: Callable[[], Any], limit: float = 3600.0) -> None:
    """Handle events until a condition holds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get ready")
        QApplication.processEvents()
        if QThread.currentThread().loopLevel() == 0:  # a loop would: what is gone is else drawn still
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        time.sleep(0.004)  # what is waited for needs the processor


def let_pass(seconds: float) -> None:
    """Handle events for a while."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def in_event_loop(work: Callable[[], None]) -> None:
    """Run work inside the application's event loop, as an action of the user."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told after the loop has ended
            failed.append(error)
        QApplication.instance().exit()

    QTimer.singleShot(0, run)
    QApplication.instance().exec()
    if failed:
        raise failed[0]


def save_picture(viewer: Any, path: Path) -> None:
    """Save the whole window, with what pops up over it, with few enough colours to stay small."""
    import io

    from PIL import Image
    from qtpy.QtCore import QBuffer

    let_pass(0.5)
    window = viewer.window._qt_window
    pixels = window.grab()
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    pixels.save(buffer, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(bytes(buffer.data()))).convert("RGB")
    for shown in [each for each in QApplication.topLevelWidgets() if each.isVisible() and each is not window]:
        corner = shown.mapToGlobal(QPoint(0, 0)) - window.mapToGlobal(QPoint(0, 0))
        over = QBuffer()
        over.open(QBuffer.OpenModeFlag.WriteOnly)
        shown.grab().save(over, "PNG")
        scale = pixels.devicePixelRatio()
        place = (round(corner.x() * scale), round(corner.y() * scale))
        picture.paste(Image.open(io.BytesIO(bytes(over.data()))).convert("RGB"), place)
    _few_colors(picture).save(path, optimize=True)
    print(path, flush=True)


def _few_colors(picture: Any) -> Any:
    """Return a picture of 256 colours: frequent ones are kept, and rare ones, as of regions, nearly so."""
    from PIL import Image

    frequent = sorted(picture.getcolors(2**24), reverse=True)[:_KEPT_COLORS]
    rare = picture.quantize(256 - _KEPT_COLORS, Image.Quantize.MAXCOVERAGE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, color in frequent for part in color] + rare)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _on_screen(widget: QWidget, place: Place) -> tuple[Any, QPoint]:
    """Return the window of a widget, and a place of the widget there; scrolls until the widget is seen."""
    let_pass(0.05)  # parts that appeared or went just now take their places
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget, 0, 0)
        above = above.parentWidget()
    at = widget.rect().center() if place is None else place
    at = at if isinstance(at, QPoint) else QPointF(*at).toPoint()
    window = widget.window()
    return window.windowHandle(), widget.mapTo(window, at)


def _plain(text: str) -> str:
    return text.replace("&", "")
