"""After opening: what is seen of a map first, and decoding a lazily read one in the background."""

from functools import partial
from typing import Any

import numpy as np

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.layers.cubes import CUBE_KEY, HALF_WINDOW_KEV, PEAK_KEY, energy_first
from napari_xrf.plugin.layers.layer_data import call_in_turns, good_limits, keep_fitted, open_viewers
from napari_xrf.plugin.layers.sight import follow_sight, is_seen

_JUDGED_SIDE = 120  # pixels of a side that a contrast is judged on


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


def turn_to_peak(viewer: Any, layer: Any, cube: SpectralCube) -> None:
    """Turn the slider to the strongest line of a cube's layer, and show all counts of its window."""
    dims = viewer.dims
    if dims.ndim >= 3:
        axis = dims.ndim - 3
        if cube.energy.width < HALF_WINDOW_KEV and not dims.margin_left[axis]:
            margin = tuple(HALF_WINDOW_KEV if at == axis else 0.0 for at in range(dims.ndim))
            dims.margin_left = dims.margin_right = margin
        dims.set_point(axis, float(cube.energy.energies[layer.metadata[PEAK_KEY]]))


def show_first_view(viewer: Any, layer: Any, cube: SpectralCube) -> None:
    """Show a cube's layer at the energy of the slider, fitted to what is visible."""
    overlays = viewer.canvas.overlays

    def show_scale() -> None:
        overlays.scale_bar.visible = cube.pixel_size is not None

    viewer.layers.selection.active = layer
    follow_energy(viewer, layer)
    keep_fitted(
        viewer, lambda: viewer.fit_to_view(layers=[other for other in viewer.layers if other.visible])
    )
    call_in_turns(
        [show_scale, partial(tell_energy, viewer)]
    )  # each draws its first letters, which takes a tenth of a second


def tell_energy(viewer: Any, _: bool = True) -> None:
    """Write the energy on the canvas while spectra are seen there: it would be taken for an element map's."""
    viewer.canvas.overlays.current_slice.visible = any(
        CUBE_KEY in layer.metadata and is_seen(viewer, layer) for layer in viewer.layers
    )


def follow_energy(viewer: Any, layer: Any) -> None:
    """Show each energy in a contrast of its own, judged on some pixels, until the user chooses one.

    The energy is told while the layer is seen, from the next change of that on.
    """
    follow_sight(viewer, layer, partial(tell_energy, viewer))
    step = max(1, max(layer.data.shape[-2:]) // _JUDGED_SIDE)
    chosen: list[tuple[float, ...]] = []

    def follow(event: Any = None) -> None:
        cube = layer.metadata.get(CUBE_KEY)
        theirs = bool(chosen) and tuple(layer.contrast_limits) != chosen[-1]
        if theirs or layer not in viewer.layers or not isinstance(cube, SpectralCube):
            viewer.dims.events.point.disconnect(follow)
        elif cube.is_loaded and layer.visible and viewer.dims.ndim >= 3:
            axis = viewer.dims.ndim - 3
            energy, margin = viewer.dims.point[axis], viewer.dims.margin_left[axis]
            half = max(margin, 0.5 * cube.energy.width)
            window = cube.energy.window(energy - half, energy + half)
            some = np.asarray(cube.counts[::step, ::step, window]).sum(axis=2)
            layer.contrast_limits_range = layer.contrast_limits = good_limits(some)
            chosen[:] = [tuple(layer.contrast_limits)]

    viewer.dims.events.point.connect(follow)
    follow()


def replace_counts(viewer: Any, lazy: SpectralCube, loaded: SpectralCube) -> None:
    """Give every layer of a viewer that shows a lazily read cube its decoded counts."""
    for layer in _layers_of(viewer, lazy):
        layer.metadata[CUBE_KEY] = loaded
        layer.data = energy_first(loaded.counts)


def load_in_background(cube: SpectralCube) -> None:
    """Decode a lazily read cube in a thread and show the counts in all its layers; does so once at a time."""
    from napari_xrf.plugin.jobs.job import Job, running_on

    if cube.is_loaded or running_on(cube):
        return

    def done(loaded: SpectralCube) -> None:
        for viewer in open_viewers():
            replace_counts(viewer, cube, loaded)

    Job(f"Decoding {cube.name}", cube.load, on_done=done, subject=cube).start()


def _when_open(cube: SpectralCube) -> None:
    showing = [viewer for viewer in open_viewers() if _layers_of(viewer, cube)]
    for viewer in showing:
        layer = _layers_of(viewer, cube)[-1]
        turn_to_peak(viewer, layer, cube)
        show_first_view(viewer, layer, cube)
    if showing:
        load_in_background(cube)


def _layers_of(viewer: Any, cube: SpectralCube) -> list[Any]:
    return [layer for layer in viewer.layers if layer.metadata.get(CUBE_KEY) is cube]
