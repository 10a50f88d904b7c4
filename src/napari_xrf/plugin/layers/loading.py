"""After opening: decode a lazily read map in the background, and show it where it is bright."""

from __future__ import annotations

from typing import Any

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.layers.cubes import CUBE_KEY, brightest_channel, energy_first


def follow_opening(cube: SpectralCube) -> None:
    """Once the layers of a cube are in a window, go to its brightest channel and decode it in a thread.

    Without a Qt application there is nothing to do: slices are read as they are asked for.
    """
    try:
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication
    except ImportError:
        return
    if QApplication.instance() is not None:
        QTimer.singleShot(0, lambda: _when_open(cube))


def show_brightest(viewer: Any, cube: SpectralCube) -> None:
    """Move the energy slider to the strongest peak of a cube."""
    if viewer.dims.ndim >= 3:
        viewer.dims.set_point(viewer.dims.ndim - 3, float(cube.energy.energies[brightest_channel(cube)[0]]))


def replace_counts(viewer: Any, lazy: SpectralCube, loaded: SpectralCube) -> None:
    """Give every layer of a viewer that shows a lazily read cube its decoded counts."""
    for layer in _layers_of(viewer, lazy):
        layer.metadata[CUBE_KEY] = loaded
        layer.data = energy_first(loaded.counts)


def _when_open(cube: SpectralCube) -> None:
    showing = [viewer for viewer in _viewers() if _layers_of(viewer, cube)]
    for viewer in showing:
        show_brightest(viewer, cube)
    if showing:
        load_in_background(cube)


def load_in_background(cube: SpectralCube) -> None:
    """Decode a lazily read cube in a thread and show the counts in all its layers; does so once at a time."""
    from napari_xrf.plugin.jobs.job import Job, running_on

    if cube.is_loaded or running_on(cube):
        return

    def done(loaded: SpectralCube) -> None:
        for viewer in _viewers():
            replace_counts(viewer, cube, loaded)

    Job(f"Decoding {cube.name}", cube.load, on_done=done, subject=cube).start()


def _layers_of(viewer: Any, cube: SpectralCube) -> list[Any]:
    return [layer for layer in viewer.layers if layer.metadata.get(CUBE_KEY) is cube]


def _viewers() -> list[Any]:
    """Every open viewer; a reader is not told which one asked."""
    import napari

    return list(getattr(napari.Viewer, "_instances", ())) or [
        viewer for viewer in [napari.current_viewer()] if viewer is not None
    ]
