"""Element maps as one image layer per line family, and back."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.plugin.layers.layer_data import LayerData, map_layer, pixel_size_from

FAMILY_KEY = "xrf_family"
ELEMENT_MAP_KEY = "xrf_element_map"


def element_map_layer(
    values: NDArray[Any],
    family: str,
    pixel_size: tuple[float, float] | None,
    *,
    errors: NDArray[Any] | None = None,
    method: str,
    source: str,
    unit: str = "counts",
    **keywords: Any,
) -> LayerData:
    """Return the layer of one map (Y, X), as the writer of element maps takes it; errors may be unknown."""
    facts: dict[str, Any] = {
        "standard_errors": np.broadcast_to(np.float32(np.nan), values.shape) if errors is None else errors,
        "method": method,
        "source": source,
        "unit": unit,
        "seen": _checksum(values),
    }
    metadata = {FAMILY_KEY: family, ELEMENT_MAP_KEY: facts}
    return map_layer(values, family, pixel_size, metadata=metadata, **keywords)


def element_map_layers(maps: ElementMaps, *, by_strength: bool = False) -> list[LayerData]:
    """Return one image layer per line family, the strongest visible, and on top where ``by_strength``."""
    sums = np.nansum(maps.counts, axis=(1, 2), dtype=np.float64)
    rising = np.argsort(sums, kind="stable")
    return [
        element_map_layer(
            maps.counts[at],
            maps.families[at],
            maps.pixel_size,
            errors=maps.standard_errors[at],
            method=maps.method,
            source=maps.source,
            unit=maps.unit,
            visible=bool(at == rising[-1]),
        )
        for at in (rising if by_strength else range(len(maps)))
    ]


def element_maps_from(layers: Sequence[LayerData]) -> ElementMaps:
    """Return the element maps that image layers show.

    Raises InvalidInput when a layer was not made by :func:`element_map_layers`, or the layers differ in
    shape.
    """
    if not layers:
        raise InvalidInput("no element map is selected", "Select the layers to save")
    for _, keywords, _ in layers:
        if not {FAMILY_KEY, ELEMENT_MAP_KEY} <= set(keywords.get("metadata") or {}):
            raise InvalidInput(
                f"layer {keywords.get('name', '')!r} is no element map",
                "Select only layers made by the Element maps dock",
            )
    kept = [keywords["metadata"] for _, keywords, _ in layers]
    facts = [each[ELEMENT_MAP_KEY] for each in kept]
    sizes = [pixel_size_from(keywords) for _, keywords, _ in layers]
    of_what = zip((np.shape(data) for data, _, _ in layers), sizes, facts, strict=True)
    if len({(shape, size, one["source"], one.get("unit")) for shape, size, one in of_what}) > 1:
        raise InvalidInput(
            "the selected element maps are of different maps, sizes or units", "Save those of each map alone"
        )
    return ElementMaps(
        tuple(each[FAMILY_KEY] for each in kept),
        np.stack([np.asarray(data, dtype=np.float32) for data, _, _ in layers]),
        np.stack([_errors_of(data, each) for (data, _, _), each in zip(layers, facts, strict=True)]),
        str(facts[-1]["method"]),
        sizes[0],
        str(facts[-1]["source"]),
        str(facts[-1].get("unit", "counts")),
    )


def changed_maps(layers: Sequence[LayerData]) -> tuple[str, ...]:
    """Return the families of the maps that were changed since they were made, whose errors are lost."""
    kept = [(data, keywords["metadata"]) for data, keywords, _ in layers]
    return tuple(each[FAMILY_KEY] for data, each in kept if _changed(data, each[ELEMENT_MAP_KEY]))


def _errors_of(values: Any, facts: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the standard errors of a layer's map; NaN where the map is no longer the one they belong to."""
    if _changed(values, facts):
        return np.full(np.shape(values), np.nan, dtype=np.float32)
    return np.asarray(facts["standard_errors"], dtype=np.float32)


def _changed(values: Any, facts: Mapping[str, Any]) -> bool:
    same = np.shape(values) == np.shape(facts["standard_errors"])
    return not same or _checksum(values) != facts.get("seen", _checksum(values))


def _checksum(values: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float32).tobytes())
