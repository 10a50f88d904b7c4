"""Files and samples that are read behind the window: a layer stands for each until it is there."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from threading import Thread
from typing import Any
from weakref import WeakSet

import numpy as np

from napari_xrf.core.progress import Progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.layers.cubes import CUBE_KEY
from napari_xrf.plugin.layers.layer_data import (
    TURN_MS,
    LayerData,
    add_in_turns,
    call_in_turns,
    fit_view,
    moved,
    open_viewers,
    pixel_size_of_layer,
    spatial_keywords,
    with_keywords,
)
from napari_xrf.plugin.layers.loading import show_first_view, turn_to_peak
from napari_xrf.plugin.notices import tell_error
from napari_xrf.plugin.window import open_dock, settings

NOTHING_TO_ADD: list[Any] = [(None,)]  # as napari reads it
OPENING_KEY = "xrf_opening"  # of a layer that stands for what is being read
_SETTLED_MS = 300  # after which a new dock has its size
_HIGH = 0.7  # of the window, for the plot of a spectrum alone


def open_behind(openings: Iterable[Opening], *, by_napari: bool = False) -> list[Any]:
    """Open files or samples behind the window, and return what napari adds for them now.

    For each a layer stands until it is read, which stops when the user removes the layer. A single window
    gets them in turns of their own; of several, only napari knows which one asked. ``by_napari``: it adds
    them in any case, as it wants of a sample.
    """
    from qtpy.QtCore import QTimer

    _settle()
    openings = list(openings)
    layers, viewers = [opening.layer() for opening in openings], open_viewers()

    def start(added: Any = None) -> None:
        for opening in openings:
            opening.start()

    if len(viewers) == 1:
        if viewers[0].layers:  # napari warns of pixels beside lengths
            layers = [with_keywords(each, units=viewers[0].layers[-1].units[-2:]) for each in layers]
        if not by_napari:
            add_in_turns(viewers[0], layers, start)
            return NOTHING_TO_ADD
    QTimer.singleShot(0, start)
    return layers or NOTHING_TO_ADD


class Opening:
    """One file or sample on its way into a viewer; see :func:`open_behind`.

    ``title``: ``"Opening map.h5"``. ``work``: called as ``work(progress=...)`` in a worker thread, it returns
    the layers.
    """

    def __init__(self, title: str, work: Callable[..., list[LayerData]]) -> None:
        self.title, self._work = title, work
        self._viewer: Any = None
        self._layer: Any = None
        self._job: Any = None
        self._arrived = False

    def layer(self) -> LayerData:
        """Return the layer that stands for what is read."""
        keywords = {"name": f"{self.title}…", "metadata": {OPENING_KEY: self}, **spatial_keywords((1.0, 1.0))}
        return np.zeros((1, 1), dtype=np.uint8), keywords, "image"

    def start(self) -> None:
        """Start the work, once the layer that stands for it is in a viewer."""
        from qtpy.QtCore import QTimer

        for viewer in open_viewers():
            for layer in viewer.layers:
                if layer.metadata.get(OPENING_KEY) is self:
                    self._viewer, self._layer = viewer, layer
        if self._layer is not None:
            # napari handles events while it opens: this turn may be its own.
            QTimer.singleShot(TURN_MS, self._announce)

    def _announce(self) -> None:
        from qtpy.QtCore import QTimer

        # napari takes its time for the first text, and for each letter that is new.
        self._say(f"{self.title.split()[0]}…")
        QTimer.singleShot(TURN_MS, self._begin)

    def _begin(self) -> None:
        from napari_xrf.plugin.jobs.job import Job

        if self._layer not in self._viewer.layers:
            self._say("")
            return
        self._viewer.layers.events.removed.connect(_thaw)
        self._viewer.layers.events.removed.connect(self._removed)
        self._job = Job(self.title, _read, self._work, on_done=self._arrive, on_error=self._fail)
        self._job.progressed.connect(self._show)
        self._job.ended.connect(self._end)
        self._job.start()
        self._say(f"{self.title}…")

    def _show(self, done: int, total: int, what: str) -> None:
        # In steps: each draws the canvas anew.
        self._say(f"{self.title}… {done * 10 // total}0 %" if total else f"{self.title}…")

    def _say(self, text: str) -> None:
        overlay = self._viewer.canvas.overlays.text
        if overlay.text != text and self._viewer in open_viewers():
            overlay.text, overlay.visible = text, bool(text)

    def _removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._job.cancel()

    def _arrive(self, layers: list[LayerData]) -> None:
        self._arrived = True
        _settle()
        if layers and self._layer in self._viewer.layers:  # napari warns of two units side by side
            self._layer.units = layers[-1][1].get("units", self._layer.units)[-2:]
        show_layers(self._viewer, layers, self._take_away)

    def _fail(self, error: Exception) -> None:
        tell_error(error)

    def _end(self) -> None:
        self._say("")
        self._viewer.layers.events.removed.disconnect(self._removed)
        if not self._arrived:
            self._take_away()

    def _take_away(self, added: Any = None) -> None:
        if self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)


def _read(work: Callable[..., list[LayerData]], *, progress: Progress) -> list[LayerData]:
    # The docks load them: here the window does not wait.
    import napari_xrf.maps.calibrated_map
    import napari_xrf.plugin.docks.spectrum  # noqa: F401

    return work(progress=progress)


def _settle() -> None:
    """Spare the window the long waits of its first layers; each is paid once, and not by the user.

    Python's collector walks all that is loaded, 0.2 s, whenever a layer's thousands of objects are new: what
    is there before is left out from then on. A thread makes the first
    regions and labels, for which napari compiles.
    """
    if len(_settled) < _LOADED_BY_THEN:
        gc.freeze()
        _settled.append(Thread(target=_prepare_drawing, daemon=True))
        if len(_settled) == _LOADED_BY_THEN:
            _settled[-1].start()


def _thaw(event: Any) -> None:
    """Let the collector see what was left out: a layer among it would keep its counts."""
    if OPENING_KEY not in event.value.metadata:
        gc.unfreeze()


def _prepare_drawing() -> None:
    """Draw a region of each kind and a label, unseen: napari compiles, for 16 s after an installation."""
    from napari.layers import Labels, Shapes

    drawn = Shapes(ndim=2)
    corners = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [6.0, 3.0]])  # a dent is compiled for, too
    drawn.add_rectangles(corners[[0, 2]])
    drawn.add_polygons(corners)
    drawn.add_lines(corners[:2])
    Labels(np.ones((2, 2), dtype=np.uint8), colormap={1: "red", None: "black"}, features={"index": [0, 1]})


# Before the first layer that stands for a file, and after it was read, when what reads is loaded too.
_LOADED_BY_THEN = 2
_settled: list[Thread] = []


def show_layers(viewer: Any, layers: list[LayerData], then: Callable[[list[Any]], object]) -> None:
    """Add the layers of a file, the map of spectra beside those that are there, and call ``then(them)``.

    The first map of a viewer opens the Spectrum dock.
    """
    cube = next((data[1]["metadata"][CUBE_KEY] for data in reversed(layers) if _holds_cube(data)), None)
    shift = 0.0 if cube is None else _free_place(viewer)
    placed = [moved(data, 0.0, shift) for data in layers] if shift else layers
    # Hidden until the slider is where it belongs: napari reads and draws at once what a layer shows.
    hidden = [with_keywords(data, visible=False) if _holds(data, cube) else data for data in placed]
    add_in_turns(viewer, hidden, partial(_finish, viewer, cube, then))


def _finish(
    viewer: Any, cube: SpectralCube | None, then: Callable[[list[Any]], object], added: list[Any]
) -> None:
    steps: list[Callable[[], object]] = [partial(then, added)]
    layer = next((layer for layer in added if layer.metadata.get(CUBE_KEY) is cube), None)
    if cube is not None and layer is not None:
        steps += [
            partial(_turn_slider, viewer, layer, cube),
            partial(_show_first, viewer, layer, cube),
            partial(_offer_spectrum, viewer, cube),
        ]
    elif added:
        steps.append(partial(_show_alone, viewer, added))
    call_in_turns(steps)


def _turn_slider(viewer: Any, layer: Any, cube: SpectralCube) -> None:
    if viewer in open_viewers() and layer in viewer.layers:
        turn_to_peak(viewer, layer, cube)


def _show_first(viewer: Any, layer: Any, cube: SpectralCube) -> None:
    if viewer in open_viewers() and layer in viewer.layers:
        layer.visible = True
        show_first_view(viewer, layer, cube)


def _show_alone(viewer: Any, added: list[Any]) -> None:
    """Fit the view to maps or labels that nothing else is open beside: napari fitted what stood for them."""
    if viewer in open_viewers() and all(layer in added for layer in viewer.layers):
        viewer.canvas.overlays.scale_bar.visible = pixel_size_of_layer(added[-1]) is not None
        fit_view(viewer, [layer for layer in added if layer.visible])


def _offer_spectrum(viewer: Any, cube: SpectralCube) -> None:
    wanted = settings("opening")
    if cube.is_one_spectrum or (viewer not in _offered and (wanted is None or wanted.spectrum_dock)):
        _offered.add(viewer)
        call_in_turns([partial(_open_spectrum, viewer)])


def _open_spectrum(viewer: Any) -> None:
    from qtpy.QtCore import QTimer

    if viewer in open_viewers():
        dock = open_dock(viewer, "Spectrum")
        QTimer.singleShot(_SETTLED_MS, partial(_fit, viewer, dock))  # the dock takes its room first


# Viewers whose Spectrum dock was opened once: who closes it does not want it.
_offered: WeakSet[Any] = WeakSet()


def _fit(viewer: Any, dock: Any) -> None:
    from qtpy.QtCore import Qt

    if viewer not in open_viewers():
        return
    cubes = [layer.metadata[CUBE_KEY] for layer in viewer.layers if CUBE_KEY in layer.metadata]
    if cubes and all(cube.is_one_spectrum for cube in cubes):  # whose picture is a single pixel
        window = viewer.window._qt_window
        window.resizeDocks([dock.parent()], [int(_HIGH * window.height())], Qt.Orientation.Vertical)
    fit_view(viewer, [layer for layer in viewer.layers if layer.visible])


def _holds(data: LayerData, cube: SpectralCube | None) -> bool:
    return cube is not None and data[1].get("metadata", {}).get(CUBE_KEY) is cube


def _holds_cube(data: LayerData) -> bool:
    return isinstance(data[1].get("metadata", {}).get(CUBE_KEY), SpectralCube)


def _free_place(viewer: Any) -> float:
    """Return x right of the maps that are open, with a little space; 0 where there is none."""
    maps = [layer for layer in viewer.layers if CUBE_KEY in layer.metadata]
    if not maps:
        return 0.0
    left = min(float(layer.extent.world[0, -1]) for layer in maps)
    right = max(float(layer.extent.world[1, -1]) for layer in maps)
    return right + 0.05 * (right - left)
