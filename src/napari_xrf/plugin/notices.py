"""One sentence to the user: what went wrong and what to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from napari_xrf.core.errors import Cancelled, XrfError

_log = logging.getLogger("napari_xrf")


def tell_error(error: Exception) -> None:
    """Show an error as one notification; a cancelled job says nothing."""
    from napari.utils.notifications import show_error

    if isinstance(error, Cancelled):
        return
    if isinstance(error, XrfError):
        show_error(str(error))
        return
    _log.error("unexpected error", exc_info=error)
    show_error(f"{type(error).__name__}: {error}. This is a fault of napari-xrf: please report it")


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
