"""A progress bar with a cancel button, for the foot of a dock."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_xrf.plugin.jobs import Job


class JobBar(QWidget):  # type: ignore[misc]
    """Runs one job at a time and shows how far it is; invisible while nothing runs."""

    busy = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None
        self.what = QLabel()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.what)
        layout.addLayout(row)
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
        if self.job is not None:
            self.cancel_button.setEnabled(False)
            self.cancel_button.setText("Stopping…")
            self.job.cancel()

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
