"""Maps, element maps and labels as OME-Zarr 0.4, written by hand: a folder of JSON and zlib chunks.

A cube is an image (energy, y, x) whose scale and translation are keV and µm; element maps are one (c, y, x)
with a name for each channel, their errors another in ``standard_errors``; labels carry colours and names as
``image-label``. What is ours alone stands in the attribute ``napari_xrf``.
"""

import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import replacing_folder
from napari_xrf.io.own.files import MARK

SUFFIX = ".zarr"
_VERSION = "0.4"
_CHUNK = {"energy": 256, "c": 1, "y": 64, "x": 64}
_ENERGY: Mapping[str, str] = {"name": "energy", "type": "energy", "unit": "keV"}
_FAMILY: Mapping[str, str] = {"name": "c", "type": "channel"}


def write_cube_zarr(path: Path, cube: SpectralCube, progress: Progress = ignore_progress) -> None:
    """Write a map of spectra, band by band."""
    rows, columns, channels = cube.shape
    beam = asdict(replace(cube.excitation, description=None))
    told = {"kind": "cube", "energy": asdict(cube.energy), "excitation": beam}
    scale, start = (cube.energy.width, *_size(cube)), (cube.energy.offset, 0.0, 0.0)
    with replacing_folder(path, ".zgroup") as folder:
        _put_group(folder, cube.name, [_ENERGY], scale, start, _known_size(cube), {MARK: told})
        chunks = _chunks(("energy", "y", "x"), (channels, rows, columns))

        def bands() -> Iterator[NDArray[Any]]:
            for first in range(0, rows, chunks[1]):
                progress(first, rows, "writing spectra")
                yield np.moveaxis(np.asarray(cube.counts[first : first + chunks[1]]), -1, 0)

        _put_array(folder / "0", (channels, rows, columns), chunks, cube.counts.dtype, bands())
    progress(rows, rows, "writing spectra")


def write_maps_zarr(path: Path, maps: ElementMaps) -> None:
    """Write element maps and their standard errors."""
    told = {"kind": "element_maps", "method": maps.method, "source": maps.source, "unit": maps.unit}
    names = {"omero": {"channels": [_channel(name, each) for name, each in maps.items()]}}
    with replacing_folder(path, ".zgroup") as folder:
        for place, values in ((folder, maps.counts), (folder / "standard_errors", maps.standard_errors)):
            place.mkdir(exist_ok=True)
            name = "net counts" if place == folder else "standard errors"
            _put_group(
                place, name, [_FAMILY], (1.0, *_size(maps)), None, _known_size(maps), {MARK: told, **names}
            )
            chunks = _chunks(("c", "y", "x"), values.shape)
            bands = (values[:, first : first + chunks[1]] for first in range(0, values.shape[1], chunks[1]))
            _put_array(place / "0", values.shape, chunks, values.dtype, bands)


def write_labels_zarr(path: Path, labels: LabelMap) -> None:
    """Write a label map, its classes as the properties of an image-label."""
    colors = [{"label-value": row.label, "rgba": _rgba(row.color)} for row in labels.classes]
    told = [{"label-value": row.label, "name": row.name, "formula": row.formula} for row in labels.classes]
    image = {"version": _VERSION, "colors": colors, "properties": told}
    more = {"image-label": image, MARK: {"kind": "labels", "source": labels.source}}
    with replacing_folder(path, ".zgroup") as folder:
        _put_group(folder, labels.source or "labels", [], _size(labels), None, _known_size(labels), more)
        shape = labels.labels.shape
        chunks = _chunks(("y", "x"), shape)
        bands = (labels.labels[first : first + chunks[0]] for first in range(0, shape[0], chunks[0]))
        _put_array(folder / "0", shape, chunks, labels.labels.dtype, bands)


def _put_group(
    folder: Path,
    name: str,
    first_axes: list[Mapping[str, str]],
    scale: tuple[float, ...],
    start: tuple[float, ...] | None,
    in_um: bool,
    more: Mapping[str, Any],
) -> None:
    unit = {"unit": "micrometer"} if in_um else {}
    axes = [*first_axes, *({"name": each, "type": "space", **unit} for each in "yx")]
    moves: list[dict[str, Any]] = [{"type": "scale", "scale": list(scale)}]
    if start is not None:
        moves.append({"type": "translation", "translation": list(start)})
    datasets = [{"path": "0", "coordinateTransformations": moves}]
    image = {"version": _VERSION, "name": name, "axes": axes, "datasets": datasets}
    _put_json(folder / ".zgroup", {"zarr_format": 2})
    _put_json(folder / ".zattrs", {"multiscales": [image], **more})


def _put_array(
    folder: Path, shape: tuple[int, ...], chunks: tuple[int, ...], kind: Any, bands: Iterable[NDArray[Any]]
) -> None:
    """Write an array, of which bands of the last but one axis come, each as high as a chunk."""
    little = np.dtype(kind).newbyteorder("<")
    told = {"zarr_format": 2, "shape": list(shape), "chunks": list(chunks), "dtype": little.str, "order": "C"}
    told |= {"compressor": {"id": "zlib", "level": 1}, "fill_value": 0, "filters": None}
    folder.mkdir()
    _put_json(folder / ".zarray", told | {"dimension_separator": "/"})
    for number, band in enumerate(bands):
        steps = [range(0, size, step) for size, step in zip(band.shape, chunks, strict=True)]
        for corner in itertools.product(*steps):
            part = band[tuple(slice(at, at + step) for at, step in zip(corner, chunks, strict=True))]
            whole = np.zeros(chunks, dtype=little)
            whole[tuple(slice(size) for size in part.shape)] = part
            at = [first // step for first, step in zip(corner, chunks, strict=True)]
            at[-2] = number
            target = folder.joinpath(*map(str, at))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(zlib.compress(whole.tobytes(), 1))


def _chunks(axes: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(min(_CHUNK[axis], size), 1) for axis, size in zip(axes, shape, strict=True))


def _size(noun: SpectralCube | ElementMaps | LabelMap) -> tuple[float, float]:
    return noun.pixel_size or (1.0, 1.0)


def _known_size(noun: SpectralCube | ElementMaps | LabelMap) -> bool:
    return noun.pixel_size is not None


def _channel(name: str, values: NDArray[np.float32]) -> dict[str, Any]:
    high = float(np.nanmax(values, initial=1.0))
    return {"label": name, "color": "FFFFFF", "active": True,
            "window": {"min": 0.0, "start": 0.0, "end": high, "max": high}}  # fmt: skip


def _rgba(color: str) -> list[int]:
    return [*(int(color[at : at + 2], 16) for at in (1, 3, 5)), 255]


def _put_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
