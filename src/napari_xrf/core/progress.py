"""How long jobs tell their caller how far they are, and how the caller stops them."""

from typing import Protocol


class Progress(Protocol):
    """Called with (done, total, what) from time to time by a long job.

    A caller cancels the job by raising :class:`napari_xrf.core.errors.Cancelled` in the call; jobs
    let it pass and leave nothing half-written. Always called from the thread that started the job.
    """

    def __call__(self, done: int, total: int, what: str) -> None:
        """Report that ``done`` of ``total`` steps are done, and of what."""
        ...


def ignore_progress(done: int, total: int, what: str) -> None:
    """Take a progress report and do nothing: the default of every ``progress`` parameter."""
