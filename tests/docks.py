"""Docks and their jobs, as tests wait for them."""


def finish(dock, qtbot, seconds=60):
    """Wait until a dock's job has ended."""
    qtbot.waitUntil(lambda: dock.job_bar.job is None, timeout=1000 * seconds)
