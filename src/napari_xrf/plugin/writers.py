"""What happens when napari saves layers: label maps, element maps, maps of spectra and regions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.layers.cubes import CUBE_KEY, TRUTH_KEY, shown_cube
from napari_xrf.plugin.layers.element_maps import changed_maps, element_maps_from
from napari_xrf.plugin.layers.labels import label_map_from
from napari_xrf.plugin.layers.layer_data import LayerData
from napari_xrf.plugin.layers.regions import regions_from
from napari_xrf.plugin.notices import tell

# The first is for names without an ending; they are the manifest's.
LABEL_ENDINGS = (".labels.tif", ".labels.csv", ".h5", ".geojson")
MAP_ENDINGS = (".h5", ".maps.ome.tif", ".maps.csv")


def write_labels(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write the Labels layer among ``layers`` with its class table; returns the written path.

    Raises InvalidInput when the layer is no label map. Raises FileError when the file cannot be written.
    """
    from napari_xrf import io

    data, keywords = next((data, keywords) for data, keywords, kind in layers if kind == "labels")
    label_map = label_map_from(data, keywords)
    target = recognized_name(path, LABEL_ENDINGS)
    io.write(target, label_map)
    return [target]


def write_images(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write element maps, or one map of spectra (.h5); returns the written path.

    Raises InvalidInput when the layers are neither. Raises FileError when the file cannot be written.
    """
    from napari_xrf import io
    from napari_xrf.io.own.cube_files import write_cube

    if any(CUBE_KEY in (keywords.get("metadata") or {}) for _, keywords, _ in layers):
        if len(layers) > 1:
            raise InvalidInput("a file holds one map of spectra", "Select that layer alone")
        cube, truth = _cube_to_save(*layers[0][:2])
        target = recognized_name(path, (".h5",))
        write_cube(target, cube, truth=truth)
    else:
        maps = element_maps_from(layers)
        target = recognized_name(path, MAP_ENDINGS)
        io.write(target, maps)
        if changed := changed_maps(layers):
            tell(f"Saved without the standard errors of {', '.join(changed)}: these maps were changed")
    return [target]


def write_shapes(path: str, data: Any, keywords: dict[str, Any]) -> list[str]:
    """Write the regions of a Shapes layer as GeoJSON; returns the written path."""
    from napari_xrf.io.own.region_files import SUFFIX, write_regions

    target = recognized_name(path, (SUFFIX,))
    write_regions(target, regions_from(data, keywords))
    return [target]


def _cube_to_save(data: Any, keywords: dict[str, Any]) -> tuple[SpectralCube, Any]:
    """Return the cube that a layer shows and its truth; what no longer fits is left out, and said."""
    metadata = keywords["metadata"]
    cube, lost = shown_cube(data, keywords)
    truth, same = metadata.get(TRUTH_KEY), cube.counts is metadata[CUBE_KEY].counts
    if not same and not all(block.min(initial=0) >= 0 for _, block in cube.blocks()):
        raise InvalidInput(
            f"layer {keywords['name']!r} holds negative values or none (NaN), which are no counts",
            "Save the map that it was made from",
        )
    if not same and truth is not None:
        truth, lost = None, (*lost, "the synthetic truth")
    if lost:
        tell(f"Saved as the layer is now, without {', '.join(lost)}")
    return cube, truth


def recognized_name(path: str, endings: Sequence[str]) -> str:
    """Return the path with an ending that our reader is asked for; napari's dialog does not add any.

    ``rock`` and ``rock.tif`` become ``rock.labels.tif``. Raises FileError when a file of the changed name
    exists: nobody was asked whether to replace it.
    """
    file = Path(path)
    name = file.name.lower()
    if any(name.endswith(ending.lstrip(".")) for ending in endings):
        return path
    suffix = {".tiff": ".tif"}.get(file.suffix.lower(), file.suffix.lower())
    same = next((ending for ending in endings if suffix and ending.endswith(suffix)), None)
    stem = file.name[: -len(file.suffix)].removesuffix(".ome") if same is not None else file.name
    target = file.with_name(stem + (same or endings[0]))
    if target.exists():
        raise FileError(target, "exists already", f"Choose the name {target.name} itself to replace it")
    tell(f"Saved as {target.name}: the ending tells napari-xrf what the file holds")
    return str(target)
