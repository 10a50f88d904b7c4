"""Long work in napari's worker threads, with progress, a cancel that works, and a bar that shows both."""

from __future__ import annotations

import atexit
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, QThreadPool, QTimer, Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QWidget

from napari_xrf.core.compiled_code import compiling_told
from napari_xrf.core.errors import Cancelled, XrfError
from napari_xrf.core.extras import networks_told
from napari_xrf.plugin.forms.parts import button, column, row
from napari_xrf.plugin.layers.layer_data import is_adding
from napari_xrf.plugin.notices import tell_error

_REPORT_EVERY_S = 0.05
_BAR_AFTER_MS = 300  # napari takes up to 0.1 s for a bar: work that is done by then has none


class Job(QObject):  # type: ignore[misc]
    """A function that runs in a worker thread and tells how far it is.

    ``title``: what the user reads, ``"Mapping elements"``. ``function``: called in the worker thread with
    ``arguments`` and ``progress=...``; it stops soon after :meth:`cancel`, because its progress calls raise
    :class:`~napari_xrf.core.errors.Cancelled`. ``on_done``: called in the main thread with what the function
    returned, unless it was cancelled or failed. ``on_error``: called in the main thread with the exception;
    default: one notification. ``subject``: what it works on, for :func:`running_on`.
    """

    progressed = Signal(int, int, str)
    ended = Signal()
    _over = Signal(bool, object)

    def __init__(
        self,
        title: str,
        function: Callable[..., Any],
        *arguments: Any,
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
        subject: Any = None,
        **keywords: Any,
    ) -> None:
        super().__init__()
        self.title = title
        self.subject = subject
        self.running = False
        self._work: tuple[Callable[..., Any], Any, Any] | None = (function, arguments, keywords)
        self._on_done = on_done
        self._on_error = on_error or tell_error
        self._last_report = 0.0
        self._worker: Any = None
        self._bar: Any = None
        self._cancelled = False
        self._drawing = self._telling = False
        queued = Qt.ConnectionType.QueuedConnection
        self._over.connect(self._finish, queued)
        self.progressed.connect(self._show, queued)

    def start(self) -> Job:
        """Start the work; returns at once."""
        from napari.qt.threading import create_worker

        self.running = True
        _running.add(self)
        QTimer.singleShot(_BAR_AFTER_MS, self._make_bar)
        self._worker = create_worker(_Task(self), _start_thread=False)
        self._worker.finished.connect(self._leave)
        # Qt has a thread per core: on two, a training and a mineral map would keep a file from being opened.
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(pool.maxThreadCount(), len(_running) + 1))
        self._worker.start()
        return self

    def _make_bar(self) -> None:
        from napari.utils import cancelable_progress

        if is_adding() or _making_bars:  # napari handles events, and so draws, while it makes one
            QTimer.singleShot(_BAR_AFTER_MS, self._make_bar)
        elif self.running:
            _making_bars.append(self)
            try:
                self._bar = cancelable_progress(total=0, desc=self.title)
            finally:
                _making_bars.clear()
            if not self.running:  # it ended meanwhile
                self._close_bar()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def cancel(self) -> None:
        """Ask the work to stop; it does at its next progress call."""
        self._cancelled = True
        if self._worker is not None:
            self._worker.quit()

    @property
    def cancelled(self) -> bool:
        """Whether the user or a closing viewer asked the work to stop."""
        bar = self._bar  # its cancel button only leaves a note
        return (
            self._cancelled
            or (self._worker is not None and self._worker.abort_requested)
            or (bar is not None and bar.is_canceled)
        )

    def _run(self) -> None:
        assert self._work is not None
        function, arguments, keywords = self._work
        try:
            with networks_told(), compiling_told(partial(self.progressed.emit, 0, 0)):
                result = function(*arguments, progress=self._report, **keywords)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - every error of the work reaches the user
            self._over.emit(False, error)
        else:
            self._over.emit(True, result)

    def _report(self, done: int, total: int, what: str) -> None:
        if self.cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._last_report >= _REPORT_EVERY_S or done >= total:
            self._last_report = now
            # Qt's int has 32 bits; pixels and bytes may have more.
            share = round(1000 * done / total) if total else 0
            self.progressed.emit(share, 1000 if total else 0, what)

    def _show(self, done: int, total: int, what: str) -> None:
        # napari's bar handles events while it draws: the next report, or the end, may come in between, and
        # what is left for turns of their own would be done in this one.
        bar = self._bar
        if bar is None or self._drawing or is_adding():
            return
        self._drawing = True
        try:
            if total and bar.total != total:
                bar.total = total
            bar.set_description(what or self.title)
            if self._bar is bar:
                bar.update(done - bar.n)
        finally:
            self._drawing = False

    def _finish(self, done: bool, content: Any) -> None:
        self._telling = True  # napari handles events while it adds layers: the thread may end in between
        tell = self._on_done if done else self._on_error
        try:
            if not self.cancelled and tell is not None:
                tell(content)
        except XrfError as error:
            self._on_error(error)
        finally:
            self._telling = False
            self._end()  # in this turn, whenever its thread ends: who sees the result can work on it

    def _end(self) -> None:
        if self._telling or not self.running:
            return
        self.running = False
        self._close_bar()
        self._on_done, self._on_error = None, tell_error
        self.ended.emit()

    def _leave(self) -> None:
        """Let go of what the thread worked with, which has ended; the job itself dies later, and here."""
        self._end()
        self._work = None
        _running.discard(self)
        _left.append(self)


class JobBar(QWidget):  # type: ignore[misc]
    """Runs one job at a time and shows how far it is; invisible while nothing runs.

    A job that is cancelled ends at its next progress call, which may take seconds: the bar is free at once,
    but where ``waits``, as for work that goes on in the same files.
    """

    busy = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.waits = False
        self.job: Job | None = None
        self.what = QLabel()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = button("Cancel", "", self.cancel)
        self.setLayout(column(self.what, row(self.bar, self.cancel_button), flush=True))
        self.hide()

    def run(self, title: str, function: Any, *arguments: Any, on_done: Any, **keywords: Any) -> Job | None:
        """Start ``function(*arguments, progress=..., **keywords)`` unless something runs already."""
        if self.job is not None:
            return None
        self.job = Job(title, function, *arguments, on_done=on_done, **keywords)
        self.job.progressed.connect(self._show)
        self.job.ended.connect(self._end)
        self.what.setText(title)
        self.bar.setRange(0, 0)
        self.cancel_button.setEnabled(True)
        self.cancel_button.setText("Cancel")
        self.show()
        self.busy.emit(True)
        return self.job.start()

    def cancel(self) -> None:
        """Stop what runs."""
        if self.job is None:
            return
        if self.waits:
            self.cancel_button.setEnabled(False)
            self.cancel_button.setText("Stopping…")
            self.job.cancel()
        else:
            self.release()
            self._end()

    def release(self) -> None:
        """Stop what runs and hear no more of it; for docks that are closed."""
        if self.job is not None:
            self.job.cancel()
            self.job.progressed.disconnect(self._show)
            self.job.ended.disconnect(self._end)
            self.job = None

    def _show(self, done: int, total: int, what: str) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        if self.job is not None:
            self.what.setText(f"{self.job.title}: {what}" if what else self.job.title)

    def _end(self) -> None:
        self.job = None
        self.hide()
        self.busy.emit(False)


def running_on(subject: Any) -> Job | None:
    """Return the job that works on this object now, or None."""
    return next((job for job in _running if job.running and job.subject is subject), None)


@atexit.register
def _stop_all() -> None:
    """Stop what still runs when a script ends without an event loop: Qt frees jobs under their threads."""
    for job in tuple(_running):
        job.cancel()
    if _running:
        QThreadPool.globalInstance().waitForDone()


class _Task:
    """What napari's task manager calls and names when it asks whether to close."""

    def __init__(self, job: Job) -> None:
        self._run: Callable[[], Any] = job._run
        self._title = job.title

    def __call__(self) -> None:
        run, self._run = self._run, tuple  # or the thread, which ends last, would be the last to hold the job
        run()

    def __str__(self) -> str:
        return self._title


# Qt frees an object that nobody holds; a job lives until its thread has ended. It and its worker must die in
# the window's thread: the last ones are kept until their threads are surely gone.
_running: set[Job] = set()
_left: deque[Job] = deque(maxlen=8)
_making_bars: list[Job] = []  # the one whose bar napari makes
