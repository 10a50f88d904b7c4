"""What all our layers have in common: how they are described to napari, their units and their contrast.

Every layer gets its units from here: napari ignores the units of all layers as soon as one has other ones.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

REGION_KEY = "xrf_regions"
TURN_MS = 20  # in which the window draws one layer before the next is made

LayerData = tuple[Any, dict[str, Any], str]
"""(data, keyword arguments of the layer, type of the layer): what napari's readers return."""


def add_layers(viewer: Any, layers: Iterable[LayerData], over: Any = None) -> list[Any]:
    """Add layers to a viewer, from bottom to top but below the regions drawn on it, and return them.

    ``over``: the map's layer that they belong to: they lie where it lies.
    """
    from napari.layers import Layer

    added = []
    with _without_collecting():
        for data in layers:
            layer = Layer.create(*(data if over is None else _on(data, over)))
            added.append(viewer.add_layer(layer))
            regions = [other for other in viewer.layers if REGION_KEY in other.metadata]
            if regions and REGION_KEY not in layer.metadata:
                below = min(viewer.layers.index(other) for other in regions)
                viewer.layers.move(len(viewer.layers) - 1, below)
    return added


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Leave Python's collector out, which a layer's thousands of objects would start, for 0.2 s.

    It comes in a turn of its own, once the window has drawn the layer.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects and event_loop_runs():
            from qtpy.QtCore import QTimer

            QTimer.singleShot(TURN_MS, gc.enable)
        elif collects:
            gc.enable()


def event_loop_runs() -> bool:
    """Whether a user sits before a window, rather than a script before its end."""
    try:
        from qtpy.QtCore import QThread
        from qtpy.QtWidgets import QApplication
    except ImportError:  # no Qt: a headless ViewerModel
        return False
    return QApplication.instance() is not None and QThread.currentThread().loopLevel() > 0


def add_in_turns(
    viewer: Any, layers: Iterable[LayerData], done: Callable[[list[Any]], object], over: Any = None
) -> None:
    """Add layers as :func:`add_layers` does, one in each turn of the event loop; then call ``done(them)``.

    napari takes a tenth of a second and more for each: the window answers in between.
    """
    from qtpy.QtCore import QTimer

    waiting, added = list(layers), list[Any]()
    _adding.append(waiting)

    def turn() -> None:
        if waiting and viewer in open_viewers():
            place = over if over in viewer.layers else None
            added.extend(add_layers(viewer, [waiting.pop(0)], place))
            QTimer.singleShot(TURN_MS, turn)
            return
        _adding[:] = [other for other in _adding if other is not waiting]
        if viewer in open_viewers():
            done([layer for layer in added if layer in viewer.layers])

    QTimer.singleShot(TURN_MS, turn)


def call_in_turns(steps: Iterable[Callable[[], object]]) -> None:
    """Call functions one after the other, each in a turn of the event loop, so that the window answers.

    They wait for those that were given before: two in one turn would take the time of both. After an error
    those given with it are left out.
    """
    from qtpy.QtCore import QTimer

    def turn() -> None:
        waiting = _calling[0]
        try:
            waiting.pop(0)()
        except BaseException:
            waiting.clear()
            raise
        finally:
            if not waiting:
                _calling.pop(0)
            if _calling:
                QTimer.singleShot(TURN_MS, turn)

    if waiting := list(steps):
        _calling.append(waiting)
        if len(_calling) == 1:
            QTimer.singleShot(TURN_MS, turn)


def is_adding() -> bool:
    """Whether layers are being added in turns, or other steps wait for theirs."""
    return bool(_adding or _calling)


def open_viewers() -> list[Any]:
    """Return every open viewer; a reader is not told which one asked."""
    import napari

    return list(getattr(napari.Viewer, "_instances", ())) or [
        viewer for viewer in [napari.current_viewer()] if viewer is not None
    ]


def fit_view(viewer: Any, layers: Iterable[Any]) -> None:
    """Show whole layers in two dimensions; napari's own fitting fails for flat ones beside a hidden map."""
    if layers := list(layers):
        show_extent(viewer, *extent_of(layers, viewer.layers.extent.units))


def extent_of(layers: Iterable[Any], units: Any) -> NDArray[np.float64]:
    """Return the lowest and the highest (y, x) that layers reach, in units of y and x."""
    extents = np.array(
        [
            (layer.extent.world[:, -2:] + _half_pixels(layer)) * unit_factors(layer.units, units)
            for layer in layers
        ]
    )
    return np.array([extents[:, 0].min(axis=0), extents[:, 1].max(axis=0)])


def unit_factors(units: Any, to: Any) -> NDArray[np.float64]:
    """Return what (y, x) in some units are multiplied by to be in others; 1 where one is pixels.

    napari lays µm on mm in a picture, but tells places of each layer in its own units. ``to`` is None where
    its layers' are of different kinds, which it then ignores.
    """
    if units is None or to is None:
        return np.ones(2)
    pairs = zip(units[-2:], to[-2:], strict=True)
    return np.array([1.0 if one == other else converted(1.0, one, str(other)) or 1.0 for one, other in pairs])


def take_units(layer: Any, units: Any) -> None:
    """Give a layer (Y, X) other units, in which it lies where it lay; pixels become as many of them."""
    factors = unit_factors(layer.units, units)
    grown = np.diag([*factors, 1.0])
    layer.affine = grown @ np.asarray(layer.affine.affine_matrix) @ np.linalg.inv(grown)
    layer.scale = layer.scale * factors
    layer.translate = layer.translate * factors
    layer.units = tuple(str(unit) for unit in units[-2:])


def show_extent(
    viewer: Any, low: NDArray[np.float64], high: NDArray[np.float64], margin: float = 0.05
) -> None:
    """Show what lies between two places (y, x) in two dimensions, with a margin of the canvas around it."""

    def fit() -> None:
        camera, canvas = viewer.scene.camera, np.array(viewer.canvas.size)
        camera.center = (0.0, *(0.5 * (low + high)))
        camera.zoom = float((1.0 - margin) * np.min(canvas / np.maximum(high - low, 1e-9)))

    if viewer.dims.ndisplay == 2:
        keep_fitted(viewer, fit)


def keep_fitted(viewer: Any, fit: Callable[[], object]) -> None:
    """Fit the view, and again when a dock or the window changes the canvas, until anything else moves it."""
    camera = viewer.scene.camera

    def place() -> tuple[Any, ...]:
        return (viewer.dims.ndisplay, tuple(camera.center), camera.zoom)

    def follow(event: Any = None) -> None:
        if event is not None and place() != fitted[-1]:
            viewer.canvas.events.size.disconnect(follow)
            return
        fit()
        fitted[:] = [place()]

    fitted: list[tuple[Any, ...]] = []
    follow()
    viewer.canvas.events.size.connect(follow)


def _half_pixels(layer: Any) -> NDArray[np.float64]:
    """Return what pixels reach beyond their centres, (low and high, y and x); a single one has no extent."""
    half = 0.5 * np.abs(layer.scale[-2:]) * (kind_of(layer) in ("image", "labels"))
    return np.array([-half, half])


def kind_of(layer: Any) -> str:
    """Return of which type a layer is, ``"image"``, ``"labels"``, ``"shapes"``; empty for what is none."""
    bases = (each for each in layer.__class__.__mro__ if each.__module__.startswith("napari.layers."))
    return next((each.__name__.lower() for each in bases), "")


def moved(layer: LayerData, y: float, x: float) -> LayerData:
    """Return a layer's data with its place moved, in the units of its last two axes."""
    data, keywords, kind = layer
    before = keywords.get("translate") or (0.0,) * len(keywords["scale"])
    return data, keywords | {"translate": (*before[:-2], before[-2] + y, before[-1] + x)}, kind


def with_keywords(layer: LayerData, **keywords: Any) -> LayerData:
    """Return a layer's data with other keyword arguments; those of its metadata are added."""
    data, before, kind = layer
    metadata = before.get("metadata", {}) | keywords.pop("metadata", {})
    return data, before | keywords | ({"metadata": metadata} if metadata else {}), kind


def map_layer(
    values: NDArray[Any], name: str, pixel_size: tuple[float, float] | None, **keywords: Any
) -> LayerData:
    """Return the layer of a map (Y, X), or of a picture (Y, X, 3), with further keywords of the layer."""
    color = values.ndim == 3
    look = {} if color else {"contrast_limits": good_limits(values), "colormap": "viridis"}
    shared = {"name": name, "rgb": color, "multiscale": False, **spatial_keywords(pixel_size)}
    return values, shared | look | keywords, "image"


def spatial_keywords(pixel_size: tuple[float, float] | None) -> dict[str, Any]:
    """Return scale, translation, units and axis labels of a two-dimensional layer.

    ``pixel_size``: (dy, dx) in µm; None gives pixels as the unit.
    """
    return {
        "scale": pixel_size or (1.0, 1.0),
        "translate": (0.0, 0.0),
        "units": ("um", "um") if pixel_size else ("pixel", "pixel"),
        "axis_labels": ("y", "x"),
    }


def pixel_size_from(keywords: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (dy, dx) in µm from a layer's scale and units, None where the unit is no length."""
    scale, units = keywords.get("scale"), keywords.get("units")
    if scale is None or units is None or len(units) < 2:
        return None
    y, x = (converted(float(size), unit, "um") for size, unit in zip(scale[-2:], units[-2:], strict=True))
    return None if y is None or x is None else (y, x)


def pixel_size_of_layer(layer: Any) -> tuple[float, float] | None:
    """Return (dy, dx) in µm of a layer of a viewer."""
    return pixel_size_from({"scale": layer.scale, "units": layer.units})


def converted(value: float, unit: Any, to: str) -> float | None:
    """Return a value in another unit, None where the unit is of another kind."""
    import pint

    try:
        return float(pint.get_application_registry().Quantity(value, str(unit)).to(to).magnitude)
    except (pint.errors.DimensionalityError, pint.errors.UndefinedUnitError):
        return None


def hex_color(rgba: NDArray[np.floating]) -> str:
    """Return a colour of parts from 0 to 1 as ``"#rrggbb"``."""
    red, green, blue = (round(255 * float(np.clip(part, 0, 1))) for part in rgba[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


# What waits for its turn: layers, and other steps.
_adding: list[list[Any]] = []
_calling: list[list[Callable[[], object]]] = []


def good_limits(image: NDArray[np.generic]) -> tuple[float, float]:
    """Return contrast limits in which a few hot pixels hide nothing else."""
    values = np.asarray(image)[np.isfinite(image)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.8)))
    low = min(low, 0.0) if low < 0 else (0.0 if low < 0.5 * high else low)
    return (low, high) if high > low else (low, low + 1.0)


def _on(layer: LayerData, over: Any) -> LayerData:
    return moved(layer, *(float(place) for place in over.translate[-2:]))
