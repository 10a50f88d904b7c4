"""Label maps as napari's Labels layers, and back, hand-drawn ones included."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.colors import are_alike, distinct_color, spread_color
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import NOT_MEASURED, UNKNOWN_LABEL, LabelClass, LabelMap, labels_in
from napari_xrf.plugin.layers.layer_data import (
    LayerData,
    add_layers,
    hex_color,
    kind_of,
    pixel_size_from,
    spatial_keywords,
)

if TYPE_CHECKING:
    from napari_xrf.minerals.labels.modal_table import ModalRow

LABEL_MAP_KEY = "xrf_label_map"
CLASSIFICATION_KEY = "xrf_classification"  # (cube, classification) that labels came from

# Okabe & Ito's colours, told apart by colour-blind eyes too, for classes that come without one.
_SPARE_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_SPARE_LABELS = 64  # that have colours of their own beyond the highest label
_OTHER_COLOR = "#b0b0b0"
_NAME_COLUMNS = ("name", "mineral", "class", "phase", "label name")


def label_layer(label_map: LabelMap, name: str = "") -> LayerData:
    """Return the Labels layer of a label map: its colours, and names and formulas in the features table.

    ``label_map``: what to show. ``name``: the layer's name; without one it names the map the labels were made
    from.
    """
    keywords = {
        "name": name or (f"Minerals of {label_map.source}" if label_map.source else "Minerals"),
        "colormap": label_colormap(label_map),
        "features": class_features(label_map),
        "metadata": {LABEL_MAP_KEY: label_map},
        "opacity": 1.0,
        "multiscale": False,
        **spatial_keywords(label_map.pixel_size),
    }
    # A copy: painting in the layer must not change the label map that it came from.
    return label_map.labels.copy(), keywords, "labels"


def is_deep(layer: Any) -> bool:
    """Whether a layer is labels with an energy axis, as napari's own button makes on a map of spectra."""
    return bool(kind_of(layer) == "labels" and layer.ndim == 3)


def flatten(viewer: Any, layer: Any) -> None:
    """Put a label map (Y, X) in the place of a Labels layer with an energy axis.

    What was painted at any energy counts, at the highest energy where several are.
    """
    data = np.asarray(layer.data)
    flat = np.zeros(data.shape[1:], dtype=data.dtype)
    for channel in (channel for channel in data if channel.any()):
        flat = np.where(channel > 0, channel, flat)
    keywords = {
        "name": f"{layer.name} (flat)",
        "scale": tuple(layer.scale[1:]),
        "translate": tuple(layer.translate[1:]),
        "units": tuple(str(unit) for unit in layer.units[1:]),
        "axis_labels": ("y", "x"),
    }
    (made,) = add_layers(viewer, [(flat, keywords, "labels")])
    made.selected_label, made.mode = layer.selected_label, layer.mode
    viewer.layers.remove(layer)
    viewer.layers.selection.active = made


def label_colormap(label_map: LabelMap) -> Any:
    """Return napari's colormap with the colour of each class; pixels not measured are clear."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, str] = {entry.label: entry.color for entry in label_map.classes}
    # A class that the user paints anew has a colour at once, and a table shows the same.
    highest = max((entry.label for entry in label_map.classes), default=0)
    given: dict[int | None, str] = {None: _OTHER_COLOR, NOT_MEASURED: "transparent"}
    spare = (*range(1, _SPARE_LABELS), *range(highest + 1, highest + _SPARE_LABELS))
    for label in spare:
        color = spare_color(label)
        # Beside a class of nearly the same colour it would seem to be one with it.
        alike = any(are_alike(color, other) for other in colors.values())
        wanted = [spare_color(label + highest + _SPARE_LABELS)]
        given[label] = distinct_color(wanted, colors.values()) if alike else color
    return DirectLabelColormap(color_dict=given | colors)


def class_features(label_map: LabelMap) -> Any:
    """Return the class table as a features table, which napari's status bar reads out by ``index``."""
    import pandas as pd

    classes = label_map.classes
    return pd.DataFrame(
        {
            "index": [entry.label for entry in classes],
            "name": [entry.name for entry in classes],
            "formula": [entry.formula for entry in classes],
            "density": [math.nan if entry.density is None else entry.density for entry in classes],
        }
    )


def color_of(label: int, colormap: Any) -> str:
    """Return the colour that a Labels layer's colormap gives a class, ``"#rrggbb"``; a spare one for none."""
    rgba = np.zeros(4) if colormap is None else np.ravel(colormap.map(label))
    return hex_color(rgba) if rgba[3] else spare_color(label)


def label_map_from(data: Any, keywords: Mapping[str, Any]) -> LabelMap:
    """Return the label map that a Labels layer shows.

    Names come from the features table, colours from the layer; a label without a name is called
    ``"label 3"``. Where the layer was painted since it was made, the confidence is 1: a person said so.

    ``data``: (Y, X) integers. ``keywords``: the layer's attributes as napari gives them to writers:
    ``colormap``, ``features``, ``scale``, ``units``, ``metadata``, ``name``. Raises InvalidInput when the
    layer is not two-dimensional, or holds negative numbers.
    """
    labels = _unsigned(np.asarray(data), str(keywords.get("name", "labels")))
    known: LabelMap | None = (keywords.get("metadata") or {}).get(LABEL_MAP_KEY)
    if known is not None and known.labels.shape != labels.shape:
        known = None
    classes = _classes(labels, keywords, known)
    confidence = None
    if known is not None and known.confidence is not None:
        confidence = np.where(labels == known.labels, known.confidence, 1.0).astype(np.float32)
    return LabelMap(
        labels, classes, confidence, pixel_size_from(keywords), known.source if known is not None else ""
    )


def change_class(layer: Any, label: int, **changed: Any) -> None:
    """Give a class of a Labels layer another ``name``, ``color``, ``formula`` or ``density``."""
    label_map = label_map_of_layer(layer)
    classes = tuple(
        replace(entry, **changed) if entry.label == label else entry for entry in label_map.classes
    )
    known = replace(label_map, classes=classes)
    layer.features = class_features(known)
    layer.colormap = label_colormap(known)


def merge_classes(layer: Any, label: int, others: Iterable[int]) -> None:
    """Give the pixels of other classes to one; the layer's undo takes it back, names and colours stay."""
    data = np.asarray(layer.data)
    layer.data_setitem(np.nonzero(np.isin(data, list(others))), label)


def label_map_of_layer(layer: Any) -> LabelMap:
    """Return the label map that a Labels layer of a viewer shows; see :func:`label_map_from`."""
    data, keywords, _ = layer.as_layer_data_tuple()
    return label_map_from(data, keywords)


def modal_rows(layer: Any, label_map: LabelMap) -> tuple[ModalRow, ...]:
    """Return the modal table of a layer's label map; of what its pixels hold, while nothing was painted."""
    from napari_xrf.minerals.labels.modal_table import modal_table  # with the library of minerals

    _, found = layer.metadata.get(CLASSIFICATION_KEY, (None, None))
    return modal_table(label_map, None if found is None else found.abundances_of(label_map))


def undecided_pixels(layer: Any) -> int:
    """Return how many pixels of a layer are unknown since several minerals explain them, as it was made."""
    _, found = layer.metadata.get(CLASSIFICATION_KEY, (None, None))
    open_ = None if found is None else found.undecided
    if open_ is None or open_.shape != layer.data.shape:
        return 0
    return int(np.count_nonzero(np.asarray(layer.data)[open_] == UNKNOWN_LABEL))


def is_as_made(layer: Any) -> bool:
    """Whether nothing was painted in a layer since it was made; other layers than labels are as they were."""
    known = layer.metadata.get(LABEL_MAP_KEY)
    return not isinstance(known, LabelMap) or np.array_equal(layer.data, known.labels)


def spare_color(label: int) -> str:
    """Return the colour of a class that came without one."""
    return _SPARE_COLORS[label] if label < len(_SPARE_COLORS) else spread_color(label)


def _unsigned(data: NDArray[Any], name: str) -> NDArray[np.unsignedinteger[Any]]:
    if data.ndim != 2:
        raise InvalidInput(
            f"layer {name!r} has {data.ndim} dimensions, a label map has 2", "Choose a layer (Y, X)"
        )
    if data.size and int(data.min()) < 0:
        raise InvalidInput(f"layer {name!r} holds negative labels", "Labels start at 0, not measured")
    if data.dtype.kind == "u":
        return data
    highest = int(data.max()) if data.size else 0
    return data.astype(np.min_scalar_type(highest))


def _classes(
    labels: NDArray[np.unsignedinteger[Any]], keywords: Mapping[str, Any], known: LabelMap | None
) -> tuple[LabelClass, ...]:
    rows = _feature_rows(keywords.get("features"))
    if not rows and known is not None:
        rows = {e.label: {"name": e.name, "formula": e.formula, "density": e.density} for e in known.classes}
    present = labels_in(labels) - {NOT_MEASURED}
    classes = []
    for label in sorted(present | set(rows)):
        row = rows.get(label, {})
        classes.append(
            LabelClass(
                label,
                str(row.get("name") or f"label {label}"),
                str(row.get("formula") or ""),
                color_of(label, keywords.get("colormap")),
                _density(row.get("density")),
            )
        )
    return tuple(classes)


def _feature_rows(features: Any) -> dict[int, dict[str, Any]]:
    """Label → name, formula, density, from a features table with an ``index`` column."""
    if features is None or "index" not in getattr(features, "columns", ()):
        return {}
    columns = {str(column).lower(): column for column in features.columns}
    naming = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    rows: dict[int, dict[str, Any]] = {}
    for record in features.to_dict("records"):
        try:
            label = int(record["index"])
        except (TypeError, ValueError):
            continue
        if label > NOT_MEASURED:
            rows[label] = {
                "name": _text(record.get(naming)) if naming is not None else "",
                "formula": _text(record.get("formula")),
                "density": record.get("density"),
            }
    return rows


def _text(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _density(value: Any) -> float | None:
    try:
        density = float(value)
    except (TypeError, ValueError):
        return None
    return density if math.isfinite(density) and density > 0 else None
