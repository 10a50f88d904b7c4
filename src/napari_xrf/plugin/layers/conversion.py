"""What napari shows of the nouns: cubes, element maps and label maps as layers, and back.

A cube keeps its energies last in memory; napari broadcasts two-dimensional layers over the last axes, so it
gets the same counts as a view (E, Y, X). Every layer gets its units from here: napari ignores the units of
all layers as soon as one of them has other ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import AuxiliaryImage, SpectralCube
from napari_xrf.plugin.layers.energy_first import EnergyFirst, EnergyLast, energy_first, energy_last

LayerData = tuple[Any, dict[str, Any], str]
"""(data, keyword arguments of the layer, type of the layer): what napari's readers return."""

CUBE_KEY = "xrf_cube"
TRUTH_KEY = "xrf_truth"  # what is known of a synthetic map, for its file
FAMILY_KEY = "xrf_family"
ELEMENT_MAP_KEY = "xrf_element_map"
FOUND_KEY = "xrf_found_elements"

_CUBE_COLORMAP = "magma"
_MAP_COLORMAP = "viridis"
_LOWEST_SHOWN_KEV = 0.25  # below it lie the zero peak and noise, which are brighter than any element


def add_layers(viewer: Any, layers: Iterable[LayerData]) -> list[Any]:
    """Add layers to a viewer, from bottom to top, and return them."""
    from napari.layers import Layer

    return [viewer.add_layer(Layer.create(*data)) for data in layers]


def spatial_keywords(
    pixel_size: tuple[float, float] | None, origin: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any]:
    """Return scale, translation, units and axis labels of a two-dimensional layer.

    Parameters
    ----------
    pixel_size
        (dy, dx) in µm; None gives pixels as the unit.
    origin
        (y, x) of the first pixel's centre in µm.
    """
    return {
        "scale": pixel_size or (1.0, 1.0),
        "translate": origin,
        "units": ("um", "um") if pixel_size else ("pixel", "pixel"),
        "axis_labels": ("y", "x"),
    }


def cube_keywords(cube: SpectralCube) -> dict[str, Any]:
    """Return scale, translation, units and axis labels of a cube's layer (energy, y, x)."""
    flat = spatial_keywords(cube.pixel_size)
    return {
        "scale": (cube.energy.width, *flat["scale"]),
        "translate": (cube.energy.offset, *flat["translate"]),
        "units": ("keV", *flat["units"]),
        "axis_labels": ("energy", "y", "x"),
    }


def cube_layers(cube: SpectralCube) -> list[LayerData]:
    """Return the layers of a cube: its images, hidden, below the counts (E, Y, X)."""
    return [*(image_layer(image, cube) for image in cube.images), cube_layer(cube)]


def cube_layer(cube: SpectralCube) -> LayerData:
    """Return the layer of a cube's counts, (E, Y, X), a view of them."""
    keywords = {
        "name": cube.name,
        "metadata": {CUBE_KEY: cube},
        "contrast_limits": (0.0, brightest_channel(cube)[1]),
        "colormap": _CUBE_COLORMAP,
        "blending": "translucent_no_depth",
        "multiscale": False,
        "rgb": False,
        **cube_keywords(cube),
    }
    return energy_first(cube.counts), keywords, "image"


def image_layer(image: AuxiliaryImage, cube: SpectralCube) -> LayerData:
    """Return the layer of an image taken with the map, in register with it."""
    color = image.data.ndim == 3
    keywords = {
        "name": f"{image.name} ({cube.name})",
        "visible": False,
        "rgb": color,
        "multiscale": False,
        **spatial_keywords(image.pixel_size, image.origin if image.pixel_size else (0.0, 0.0)),
    }
    if not color:
        keywords |= {"contrast_limits": _limits(image.data), "colormap": "gray"}
    return image.data, keywords, "image"


def element_map_layers(maps: ElementMaps) -> list[LayerData]:
    """Return one image layer per line family, the last one visible."""
    layers: list[LayerData] = []
    for position, family in enumerate(maps.families):
        keywords = {
            "name": family,
            "metadata": {
                FAMILY_KEY: family,
                ELEMENT_MAP_KEY: {
                    "standard_errors": maps.standard_errors[position],
                    "method": maps.method,
                    "source": maps.source,
                },
            },
            "contrast_limits": _limits(maps.counts[position]),
            "colormap": _MAP_COLORMAP,
            "visible": position == len(maps) - 1,
            "rgb": False,
            "multiscale": False,
            **spatial_keywords(maps.pixel_size),
        }
        layers.append((maps.counts[position], keywords, "image"))
    return layers


def map_layer(values: NDArray[np.generic], name: str, cube: SpectralCube) -> LayerData:
    """Return the layer of any map (Y, X) computed from a cube."""
    keywords = {
        "name": name,
        "contrast_limits": _limits(values),
        "colormap": _MAP_COLORMAP,
        "rgb": False,
        "multiscale": False,
        **spatial_keywords(cube.pixel_size),
    }
    return values, keywords, "image"


def element_maps_from(layers: Sequence[LayerData]) -> ElementMaps:
    """Return the element maps that image layers show.

    Raises
    ------
    InvalidInput
        When a layer was not made by :func:`element_map_layers`, or the layers differ in shape.
    """
    families, counts, errors = [], [], []
    facts: Mapping[str, Any] = {}
    for data, keywords, _ in layers:
        metadata = keywords.get("metadata") or {}
        if FAMILY_KEY not in metadata or ELEMENT_MAP_KEY not in metadata:
            raise InvalidInput(
                f"layer {keywords.get('name', '')!r} is no element map",
                "Select only layers made by the Element maps dock",
            )
        facts = metadata[ELEMENT_MAP_KEY]
        families.append(metadata[FAMILY_KEY])
        counts.append(np.asarray(data, dtype=np.float32))
        errors.append(np.asarray(facts["standard_errors"], dtype=np.float32))
    if not families:
        raise InvalidInput("no element map is selected", "Select the layers to save")
    if len({image.shape for image in counts}) > 1:
        raise InvalidInput("the selected element maps have different shapes", "Save them one map at a time")
    keywords = layers[0][1]
    return ElementMaps(
        tuple(families),
        np.stack(counts),
        np.stack(errors),
        str(facts["method"]),
        pixel_size_from(keywords),
        str(facts["source"]),
    )


def holds_cube(layer: Any) -> bool:
    """Whether a layer is an image with an energy axis first."""
    if getattr(layer, "_type_string", "") != "image" or layer.ndim != 3 or layer.rgb or layer.multiscale:
        return False
    return CUBE_KEY in layer.metadata or _kev_per_unit(layer.units[0]) is not None


def cube_from(layer: Any) -> SpectralCube:
    """Return the cube that an image layer (E, Y, X) shows.

    Where the layer's data were replaced since, by a crop or a filter, they count, with what is known of the
    map. A layer that another program made counts too, when its first axis is in units of energy.

    Raises
    ------
    InvalidInput
        When the layer has no energy axis.
    """
    known = layer.metadata.get(CUBE_KEY)
    if isinstance(known, SpectralCube) and _shows(layer.data, known):
        return known
    if isinstance(known, SpectralCube) and layer.data.shape[0] == known.energy.size:
        cube = _with_counts(known, energy_last(layer.data))
    else:
        cube = _cube_by_units(layer)
    layer.metadata[CUBE_KEY] = cube  # so that the same layer stays the same cube
    return cube


def _shows(data: Any, cube: SpectralCube) -> bool:
    if tuple(data.shape) != (cube.shape[2], *cube.map_shape):
        return False
    if isinstance(data, EnergyFirst):
        return data.counts is cube.counts
    if isinstance(data, np.ndarray) and isinstance(cube.counts, np.ndarray):
        return np.may_share_memory(data, cube.counts)
    return isinstance(cube.counts, EnergyLast) and cube.counts.array is data


def _with_counts(cube: SpectralCube, counts: Any) -> SpectralCube:
    same = tuple(counts.shape[:2]) == cube.map_shape
    return replace(
        cube,
        counts=counts,
        live_time=cube.live_time if same else None,
        images=cube.images if same else (),
    )


def _cube_by_units(layer: Any) -> SpectralCube:
    factor = _kev_per_unit(layer.units[0])
    if factor is None or layer.data.ndim != 3:
        raise InvalidInput(f"layer {layer.name!r} has no energy axis", "Choose a map that napari-xrf opened")
    axis = EnergyAxis(
        float(layer.translate[0]) * factor, float(layer.scale[0]) * factor, int(layer.data.shape[0])
    )
    size = pixel_size_from({"scale": layer.scale[1:], "units": layer.units[1:]})
    return SpectralCube(energy_last(layer.data), axis, layer.name, size)


def pixel_size_from(keywords: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (dy, dx) in µm from a layer's scale and units, None where the unit is no length."""
    import pint

    scale, units = keywords.get("scale"), keywords.get("units")
    if scale is None or units is None or len(units) < 2:
        return None
    registry = pint.get_application_registry()
    try:
        y, x = (
            float(registry.Quantity(float(size), str(unit)).to("um").magnitude)
            for size, unit in zip(scale[-2:], units[-2:], strict=True)
        )
    except (pint.errors.DimensionalityError, pint.errors.UndefinedUnitError):
        return None
    return y, x


def brightest_channel(cube: SpectralCube) -> tuple[int, float]:
    """Return the channel of the strongest peak, judged on a few rows, and a good upper limit to show it."""
    rows = np.unique(np.linspace(0, cube.shape[0] - 1, 5 if cube.is_loaded else 3).astype(int))
    sample = np.stack([np.asarray(cube.counts[int(row)]) for row in rows])
    spectrum = sample.sum(axis=(0, 1), dtype=np.float64)
    spectrum[: max(int(cube.energy.channel(_LOWEST_SHOWN_KEV)), 0)] = 0
    channel = int(spectrum.argmax()) if spectrum.any() else cube.shape[2] // 2
    return channel, max(float(np.percentile(sample[:, :, channel], 99.8)), 1.0)


def _limits(image: NDArray[np.generic]) -> tuple[float, float]:
    values = np.asarray(image)[np.isfinite(image)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.8)))
    low = min(low, 0.0) if low < 0 else (0.0 if low < 0.5 * high else low)
    return (low, high) if high > low else (low, low + 1.0)


def _kev_per_unit(unit: Any) -> float | None:
    import pint

    try:
        return float(pint.get_application_registry().Quantity(1.0, str(unit)).to("keV").magnitude)
    except (pint.errors.DimensionalityError, pint.errors.UndefinedUnitError):
        return None
