"""Cubes as layers, and back.

A cube keeps its energies last in memory; napari broadcasts two-dimensional layers over the last axes, so it
gets the same counts as a view (E, Y, X).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.counts import Counts
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import AuxiliaryImage, SpectralCube
from napari_xrf.plugin.layers.layer_data import (
    LayerData,
    converted,
    kind_of,
    map_layer,
    pixel_size_from,
    spatial_keywords,
)

CUBE_KEY = "xrf_cube"
CHANGED_KEY = "xrf_changed"  # its data are no longer those of its file
TRUTH_KEY = "xrf_truth"  # what is known of a synthetic map, for its file
PEAK_KEY = "xrf_peak"  # the channel that a map is first seen at

_ENERGY_FIRST, _ENERGY_LAST = (2, 0, 1), (1, 2, 0)  # the axes of the other order
HALF_WINDOW_KEV = 0.08  # to each side of the slider: a peak's width, where a single channel is noise
_FLANK_KEV = 0.32  # from a line to what lies beside it
_LOWEST_SHOWN_KEV = 0.25  # below it lie the zero peak and noise, which are brighter than any element


class Turned:
    """A view of a three-dimensional array that is read by slicing, with its axes in another order.

    ``array``: counts (Y, X, E) that are shown to napari, or a layer's data (E, Y, X) that are read as counts.
    ``order``: which of its axes come first, second and third.
    """

    def __init__(self, array: Any, order: tuple[int, int, int]) -> None:
        self.array, self.order = array, order
        self.dtype = np.dtype(array.dtype)
        rows, columns, depth = (int(array.shape[axis]) for axis in order)
        self.shape = (rows, columns, depth)
        self.ndim = 3
        self.size = int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = _three(key)
        part = np.asarray(self.array[tuple(parts[self.order.index(axis)] for axis in range(3))])
        # Integers drop an axis; those that are left come in this view's order.
        kept = [not isinstance(each, int | np.integer) for each in parts]
        left = [axis for axis, stays in zip(self.order, kept, strict=True) if stays]
        return part.transpose(np.argsort(np.argsort(left)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:, :, :], dtype)


def energy_first(counts: Counts) -> Any:
    """Return counts (Y, X, E) as an array-like (E, Y, X): a numpy view, or read by slicing."""
    return _turned(counts, _ENERGY_FIRST)


def energy_last(array: Any) -> Counts:
    """Return an array (E, Y, X) as counts (Y, X, E): the reverse of :func:`energy_first`."""
    return _turned(array, _ENERGY_LAST)


def cube_keywords(cube: SpectralCube) -> dict[str, Any]:
    """Return scale, translation, units and axis labels of a cube's layer (energy, y, x)."""
    flat = spatial_keywords(cube.pixel_size)
    return {
        "scale": (cube.energy.width, *flat["scale"]),
        "translate": (cube.energy.offset, *flat["translate"]),
        "units": ("keV", *flat["units"]),
        "axis_labels": ("energy (keV)", "y", "x"),
    }


def cube_layers(cube: SpectralCube) -> list[LayerData]:
    """Return the layers of a cube: its images, hidden, below the counts (E, Y, X)."""
    return [*(image_layer(image, cube) for image in cube.images), cube_layer(cube)]


def cube_layer(cube: SpectralCube) -> LayerData:
    """Return the layer of a cube's counts, (E, Y, X), a view of them."""
    peak, limit = brightest_channel(cube)
    keywords = {
        "name": cube.name,
        "metadata": {CUBE_KEY: cube, PEAK_KEY: peak},
        "contrast_limits": (0.0, limit),
        "colormap": "magma",
        "blending": "translucent_no_depth",
        "multiscale": False,
        "rgb": False,
        # The slider shows all counts of its window; see show_first_view.
        "projection_mode": "sum",
        **cube_keywords(cube),
    }
    return energy_first(cube.counts), keywords, "image"


def image_layer(image: AuxiliaryImage, cube: SpectralCube) -> LayerData:
    """Return the layer of an image taken with the map, hidden and in register with it."""
    look: dict[str, Any] = {} if image.data.ndim == 3 else {"colormap": "gray"}
    if image.pixel_size:
        look["translate"] = image.origin
    return map_layer(image.data, f"{image.name} ({cube.name})", image.pixel_size, visible=False, **look)


def holds_cube(layer: Any) -> bool:
    """Whether a layer is an image with an energy axis first."""
    if kind_of(layer) != "image" or layer.ndim != 3 or layer.rgb or layer.multiscale:
        return False
    return CUBE_KEY in layer.metadata or converted(1.0, layer.units[0], "keV") is not None


def cube_from(layer: Any) -> SpectralCube:
    """Return the cube that an image layer (E, Y, X) shows.

    Where the layer's data were replaced since, by a crop or a filter, they count, with what is known of the
    map. A layer that another program made counts too, when its first axis is in units of energy. Raises
    InvalidInput when the layer has no energy axis.
    """
    facts = {name: getattr(layer, name) for name in ("name", "metadata", "scale", "translate", "units")}
    cube, _ = shown_cube(layer.data, facts)
    if cube is not layer.metadata.get(CUBE_KEY):
        layer.metadata[CHANGED_KEY] = True
        layer.metadata[CUBE_KEY] = cube  # so that the same layer stays the same cube
    return cube


def shown_cube(data: Any, keywords: Mapping[str, Any]) -> tuple[SpectralCube, tuple[str, ...]]:
    """Return the cube that an image layer's data (E, Y, X) and keywords show, and what of it no longer fits.

    It is the very cube of the metadata where the data are still its own; otherwise the data count, with what
    is known of the map and still fits. Raises InvalidInput when the layer has no energy axis.
    """
    known = keywords["metadata"].get(CUBE_KEY)
    if not isinstance(known, SpectralCube):
        return _cube_by_units(data, keywords), ()
    size, counts = pixel_size_from(keywords), energy_last(data)
    if size is not None and known.pixel_size is not None and not np.allclose(size, known.pixel_size):
        known = replace(known, pixel_size=size, images=())
    if _shows(data, known) or _equal(counts, known.counts):
        return known, ()
    if tuple(counts.shape) == known.shape:
        return replace(known, counts=counts), ()
    lost = {"live times": known.live_time is not None, "images": bool(known.images)}
    if data.shape[0] == known.energy.size:
        cube = replace(known, counts=counts, live_time=None, images=())
    else:
        cube = replace(_cube_by_units(data, keywords), excitation=known.excitation, elements=known.elements)
        lost["the file's energy axis (the layer's scale and place tell it now)"] = True
    return cube, tuple(name for name, there in lost.items() if there)


def brightest_channel(cube: SpectralCube) -> tuple[int, float]:
    """Return the channel of an element's strongest peak, judged on a few rows, and a limit to show it up to.

    A peak is what a line's width holds above what lies beside it, so that neither a continuum nor a broad
    Compton peak is taken for a line; peaks of the scattered beam count only where there is no other.
    """
    from napari_xrf.maps.spectra.scatter import scatter_ranges  # with the library of lines: 0.1 s

    rows = np.unique(np.linspace(0, cube.shape[0] - 1, 5 if cube.is_loaded else 3).astype(int))
    sample = np.stack([np.asarray(cube.counts[int(row)]) for row in rows])
    net = _above_flanks(sample.sum(axis=(0, 1), dtype=np.float64), cube.energy.width)
    net[: max(int(cube.energy.channel(_LOWEST_SHOWN_KEV)), 0)] = 0
    energies = cube.energy.energies
    scattered = np.zeros(net.size, dtype=bool)
    for low, high in scatter_ranges(cube.excitation):
        scattered |= (energies >= low) & (energies <= high)
    of_elements = np.where(scattered, 0, net)
    best = of_elements if of_elements.max() > 0 else net
    channel = int(best.argmax()) if best.max() > 0 else cube.shape[2] // 2
    return channel, max(float(np.percentile(sample[:, :, channel], 99.8)), 1.0)


def _above_flanks(spectrum: NDArray[np.float64], width_kev: float) -> NDArray[np.float64]:
    """Return the counts of a line's width around each channel, less the mean of as many on either side."""
    half = round(HALF_WINDOW_KEV / width_kev)
    away = max(round(_FLANK_KEV / width_kev), 1)
    padded = np.pad(spectrum, half + away, mode="edge")
    sums = np.convolve(padded, np.ones(2 * half + 1), mode="valid")
    return sums[away : away + spectrum.size] - 0.5 * (sums[: spectrum.size] + sums[2 * away :])


def _turned(array: Any, order: tuple[int, int, int]) -> Any:
    if isinstance(array, np.ndarray):
        return array.transpose(order)
    # Turned back, it is the array itself.
    return array.array if isinstance(array, Turned) and array.order != order else Turned(array, order)


def _three(key: Any) -> list[Any]:
    parts = list(key) if isinstance(key, tuple) else [key]
    at = next((place for place, part in enumerate(parts) if part is Ellipsis), None)
    if at is not None:
        parts[at : at + 1] = [slice(None)] * (4 - len(parts))
    return parts + [slice(None)] * (3 - len(parts))


def _shows(data: Any, cube: SpectralCube) -> bool:
    if tuple(data.shape) != (cube.shape[2], *cube.map_shape):
        return False
    if isinstance(data, np.ndarray) and isinstance(cube.counts, np.ndarray):
        return np.may_share_memory(data, cube.counts)
    if isinstance(data, Turned):
        return data.array is cube.counts
    return isinstance(cube.counts, Turned) and cube.counts.array is data


def _equal(counts: Any, known: Any) -> bool:
    """Whether arrays in memory, as those of a duplicated layer, hold the same counts."""
    both = isinstance(counts, np.ndarray) and isinstance(known, np.ndarray)
    return both and bool(np.array_equal(counts, known))


def _cube_by_units(data: Any, keywords: Mapping[str, Any]) -> SpectralCube:
    name, scale, units = keywords["name"], keywords["scale"], keywords["units"]
    factor = converted(1.0, units[0], "keV")
    if factor is None or data.ndim != 3:
        raise InvalidInput(f"layer {name!r} has no energy axis", "Choose a map that napari-xrf opened")
    axis = EnergyAxis(float(keywords["translate"][0]) * factor, float(scale[0]) * factor, int(data.shape[0]))
    return SpectralCube(energy_last(data), axis, name, pixel_size_from(keywords))
