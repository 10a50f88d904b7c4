"""Docks and their jobs, as tests wait for them."""

from napari_xrf.plugin.layers.layer_data import is_adding


def finish(dock, qtbot, seconds=60):
    """Wait until a dock's job has ended and its layers are there."""
    qtbot.waitUntil(lambda: dock.job_bar.job is None and not is_adding(), timeout=1000 * seconds)
