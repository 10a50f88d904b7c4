"""One sentence to the user: what went wrong and what to do."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from napari_xrf.core.errors import Cancelled, XrfError

_MS_TO_READ_A_LETTER = 100
_LINE = 38  # letters that a notification shows
_log = logging.getLogger("napari_xrf")


def tell_error(error: Exception) -> None:
    """Show an error as one notification; a cancelled job says nothing."""
    from napari.utils.notifications import show_error

    if isinstance(error, Cancelled):
        return
    if isinstance(error, XrfError):
        show_error(str(error))
    else:
        _log.error("unexpected error", exc_info=error)
        show_error(f"{type(error).__name__}: {error}. This is a fault of napari-xrf: please report it")
    _open_out()


@contextmanager
def errors_told() -> Iterator[None]:
    """Show an error of the block that is meant for users as one notification."""
    try:
        yield
    except XrfError as error:
        tell_error(error)


def tell(message: str) -> None:
    """Show a message."""
    from napari.utils.notifications import show_info

    show_info(message)


def warn(message: str) -> None:
    """Show a warning."""
    from napari.utils.notifications import show_warning

    show_warning(message)
    _open_out()


def _open_out() -> None:
    """Show the last notification whole, as long as reading takes: napari shows a line, for four seconds."""
    dialogs = sys.modules.get("napari._qt.dialogs.qt_notification")
    if dialogs is None:  # no window
        return
    from qtpy.QtCore import QCoreApplication
    from superqt.utils import ensure_main_thread

    if QCoreApplication.instance() is None:  # a script, for which napari has loaded what a window needs
        return

    def open_out() -> None:
        shown = dialogs.NapariQtNotification._instances
        if shown and len(shown[-1].message.text()) > _LINE and not shown[-1].property("expanded"):
            shown[-1].expand()
            shown[-1].timer.setInterval(_MS_TO_READ_A_LETTER * len(shown[-1].message.text()))
            if shown[-1].timer.isActive():
                shown[-1].timer.start()

    ensure_main_thread(open_out)()  # from a worker's thread, after what shows it
