"""What happens when napari saves layers: label maps, element maps and maps of spectra."""

from __future__ import annotations

from collections.abc import Sequence

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.label_layers import label_map_from
from napari_xrf.plugin.layers import CUBE_KEY, LayerData, element_maps_from


def write_labels(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write the Labels layer among ``layers`` with its class table; returns the written path.

    Raises
    ------
    InvalidInput
        When the layer is no label map.
    FileError
        When the file cannot be written.
    """
    from napari_xrf import io

    data, keywords = next((data, keywords) for data, keywords, kind in layers if kind == "labels")
    io.write(path, label_map_from(data, keywords))
    return [path]


def write_images(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write element maps, or one map of spectra (.h5); returns the written path.

    Raises
    ------
    InvalidInput
        When the layers are neither.
    FileError
        When the file cannot be written.
    """
    from napari_xrf import io

    cubes = [(keywords.get("metadata") or {}).get(CUBE_KEY) for _, keywords, _ in layers]
    if any(isinstance(cube, SpectralCube) for cube in cubes):
        if len(layers) > 1:
            raise InvalidInput("a file holds one map of spectra", "Select that layer alone")
        if not path.lower().endswith(".h5"):
            raise InvalidInput("maps of spectra are saved as .h5", f"Name the file {path}.h5")
        io.write(path, cubes[0])
    else:
        io.write(path, element_maps_from(layers))
    return [path]
