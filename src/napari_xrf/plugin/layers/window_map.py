"""The map of an energy window, as a layer that follows the window."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.jobs.job import Job
from napari_xrf.plugin.layers.layer_data import add_layers, map_layer

_QUICK_BYTES = 60 * 2**20  # summed in about 30 ms, so that the map follows while the window is dragged


class WindowMap:
    """Keeps one layer of a viewer at the counts of an energy window.

    ``viewer``: the viewer that gets the layer.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Any = None
        self._job: Job | None = None

    def show(self, cube: SpectralCube, over: Any, low: float, high: float, *, dragged: bool = False) -> None:
        """Show the map of ``low`` … ``high`` keV, above the layer ``over``.

        Slow ones are made in a thread, once the window is no longer dragged, and the first of a layer is.
        """
        quick = _is_quick(cube, low, high)
        missing = self._layer is None or self._layer not in self._viewer.layers
        if dragged and (not quick or (missing and self._job is not None)):
            return
        self._stop()
        # The first comes from a thread, too: to add its layer takes the window long enough.
        if quick and not missing:
            self._draw(cube.window_map(low, high), cube, over, low, high)
            return

        done = partial(self._draw, cube=cube, over=over, low=low, high=high)
        self._job = Job("Energy window", cube.window_map, low, high, on_done=done).start()

    def keep(self) -> None:
        """Leave the layer as it is; the next window gets a new one."""
        self._stop()
        self._layer = None

    def _stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _draw(
        self, counts: NDArray[np.uint64], cube: SpectralCube, over: Any, low: float, high: float
    ) -> None:
        self._job = None
        name = f"{low:.2f}–{high:.2f} keV ({over.name})"
        data, keywords, kind = map_layer(_narrow(counts), name, cube.pixel_size)
        layer = self._layer
        if layer is None or layer not in self._viewer.layers or layer.data.shape != data.shape:
            selected = set(self._viewer.layers.selection)
            above = over if over in self._viewer.layers else None
            (self._layer,) = add_layers(self._viewer, [(data, keywords, kind)], over=above)
            # The new layer must not take the tools away from the region that is being drawn.
            self._viewer.layers.selection = selected or {self._layer}
            return
        layer.data = data
        layer.name = keywords["name"]
        layer.contrast_limits_range = layer.contrast_limits = keywords["contrast_limits"]


def _is_quick(cube: SpectralCube, low: float, high: float) -> bool:
    window = cube.energy.window(low, high)
    size = int(np.prod(cube.map_shape)) * (window.stop - window.start) * cube.counts.dtype.itemsize
    return cube.is_loaded and size <= _QUICK_BYTES


def _narrow(counts: NDArray[np.uint64]) -> NDArray[np.unsignedinteger[Any]]:
    fits = counts.size == 0 or int(counts.max()) < 2**32
    return counts.astype(np.uint32) if fits else counts
