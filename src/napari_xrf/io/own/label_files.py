"""Label maps as .tif, .h5 and .csv, and their outlines.

.tif
    Page 1: labels, unsigned integers (Y, X), pixels per cm in the resolution tags. Its description is JSON
    with the class table and the exact pixel size under ``napari_xrf``. Page 2, where there is one: the
    confidence, float32. Programs that read one image see the plain labels. GeoTIFF tags lay it out in µm.
.geojson
    The outlines of the classes, see :mod:`.region_files`; it is not read as labels.
.h5
    An NXdata group ``/labels`` with ``labels``, ``confidence``, ``y`` and ``x`` in µm, and the class table
    in ``/labels/classes``.
.csv
    Comment lines that begin with ``#`` and hold JSON, then ``y,x,label,name,confidence``, one line a pixel.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import neutral
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.own.files import (
    MARK,
    as_pair,
    marked_group,
    new_group,
    opened_tiff,
    pixel_size_of,
    put_image_axes,
    read_by_suffix,
    tiff_resolution,
    write_by_suffix,
    write_group,
)
from napari_xrf.io.own.region_files import SUFFIX as OUTLINES
from napari_xrf.io.own.region_files import write_label_outlines
from napari_xrf.io.own.zarr_files import SUFFIX as ZARR
from napari_xrf.io.own.zarr_files import write_labels_zarr

_KIND = "labels"
_CSV_HEADER = ["y", "x", "label", "name", "confidence"]
_TIFF_TYPES = ("u1", "u2", "u4")


def write_labels(path: str | Path, labels: LabelMap, *, progress: Progress = ignore_progress) -> None:
    """Write a label map to .tif, .h5, .csv or .geojson; InvalidInput for other suffixes."""
    other = {OUTLINES: write_label_outlines, ZARR: write_labels_zarr}.get(Path(path).suffix.lower())
    if other is not None:
        other(Path(path), labels)
        return
    writers = {".tif": _write_tiff, ".tiff": _write_tiff, ".h5": _write_hdf5, ".csv": _write_csv}
    write_by_suffix(path, labels, writers, "label maps", progress)


def read_labels(path: str | Path) -> LabelMap:
    """Read a label map that :func:`write_labels` wrote, or any TIFF of unsigned integers.

    Classes of a foreign TIFF are named ``"class 1"``, ``"class 2"`` … in grey. Raises FileError when the
    file holds no label map or is damaged.
    """
    readers = {".tif": _read_tiff, ".tiff": _read_tiff, ".h5": _read_hdf5, ".csv": _read_csv}
    return read_by_suffix(path, readers, "label map")


def is_label_file(path: str | Path) -> bool:
    """Tell whether :func:`write_labels` wrote a file."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return "classes" in _tiff_mark(target)
    if suffix == ".csv":
        with target.open(encoding="utf-8-sig", errors="replace") as handle:
            return handle.readline(200).startswith(f"# {MARK} {_KIND}")
    with hdf5_file.opened(target) as file:
        return marked_group(file, _KIND) is not None


def put_labels(parent: Any, name: str, labels: LabelMap) -> None:
    """Write a label map as the NXdata group ``name`` of an open HDF5 group."""
    group = new_group(parent, name, _KIND, "labels", source=labels.source)
    group.create_dataset("labels", data=labels.labels, compression="gzip", compression_opts=4, shuffle=True)
    if labels.confidence is not None:
        group.create_dataset("confidence", data=labels.confidence, compression="gzip", shuffle=True)
        group.attrs["auxiliary_signals"] = ["confidence"]
    group.attrs["axes"] = put_image_axes(group, labels.labels.shape, labels.pixel_size)
    table = group.create_group("classes")
    table.create_dataset("label", data=np.array([row.label for row in labels.classes], dtype=np.uint64))
    for column in ("name", "formula", "color"):
        texts = [getattr(row, column) for row in labels.classes]
        table.create_dataset(column, data=texts, dtype=h5py.string_dtype())
    densities = [np.nan if row.density is None else row.density for row in labels.classes]
    table.create_dataset("density", data=np.array(densities, dtype=np.float64)).attrs["units"] = "g/cm3"


def get_labels(group: Any) -> LabelMap:
    """Read a label map from its NXdata group."""
    table = group["classes"]
    if len({table[name].shape for name in ("label", "name", "formula", "color", "density")}) != 1:
        raise FileError(group.file.filename, "claims classes whose columns differ in length")
    columns = [hdf5_file.texts_of(table[name]) for name in ("name", "formula", "color")]
    classes = tuple(
        LabelClass(int(label), name, formula, color, None if np.isnan(density) else float(density))
        for label, name, formula, color, density in zip(
            hdf5_file.array_of(table["label"]), *columns, hdf5_file.array_of(table["density"]), strict=True
        )
    )
    confidence = hdf5_file.dataset_at(group, "confidence")
    return LabelMap(
        hdf5_file.array_of(group["labels"]),
        classes,
        None if confidence is None else hdf5_file.array_of(confidence),
        pixel_size_of(group),
        hdf5_file.text_of(hdf5_file.attribute(group, "source", "")),
    )


def _write_tiff(path: Path, labels: LabelMap) -> None:
    # Programs that open labels know 8, 16 and 32 bit; the type in memory is kept in the description.
    import tifffile

    largest = int(labels.labels.max(initial=0))
    stored = next((kind for kind in _TIFF_TYPES if largest <= np.iinfo(kind).max), None)
    if stored is None:
        raise InvalidInput("labels above 4294967295 do not fit a TIFF", "Write .h5")
    mark = _describe(labels)
    with tifffile.TiffWriter(path) as tiff:
        common = {"compression": "zlib", "photometric": "minisblack", **tiff_resolution(labels.pixel_size)}
        place = _geotiff_tags(labels.pixel_size)
        tiff.write(
            labels.labels.astype(stored), metadata={"axes": "YX", MARK: mark}, extratags=place, **common
        )
        if labels.confidence is not None:
            tiff.write(labels.confidence, metadata={"axes": "YX", "name": "confidence"}, **common)


def _geotiff_tags(pixel_size: tuple[float, float] | None) -> list[tuple[Any, ...]]:
    """Return the tags by which GIS programs lay the map out in µm, y upwards from the top: a local system."""
    if pixel_size is None:
        return []
    dy, dx = pixel_size
    keys = (1, 1, 0, 2, 1024, 0, 1, 32767, 1025, 0, 1, 1)  # a model of the user's own, pixels are areas
    return [
        (33550, "d", 3, (dx, dy, 0.0), True),
        (33922, "d", 6, (0.0,) * 6, True),
        (34735, "H", len(keys), keys, True),
    ]


def _read_tiff(path: Path) -> LabelMap:
    mark = _tiff_mark(path)
    with opened_tiff(path) as tiff:
        labels = tiff.pages[0].asarray()
        if "classes" not in mark:
            return _foreign_labels(path, labels)
        confidence = tiff.pages[1].asarray() if mark["has_confidence"] else None
    return _restored(labels.astype(np.dtype(mark["dtype"])), confidence, mark)


def _tiff_mark(path: Path) -> dict[str, Any]:
    """Return what our description of a TIFF says, empty for other programs' files."""
    with opened_tiff(path) as tiff:
        description = tiff.pages[0].description
    try:
        mark = json.loads(description)[MARK]
    except (ValueError, KeyError, TypeError):
        return {}
    return mark if isinstance(mark, dict) and mark.get("kind") == _KIND else {}


def _foreign_labels(path: Path, labels: NDArray[np.generic]) -> LabelMap:
    if labels.ndim != 2 or labels.dtype.kind not in "ui" or (labels.size and labels.min() < 0):
        raise FileError(path, f"holds {labels.dtype} of shape {labels.shape}, not labels (Y, X)")
    unsigned = labels.astype(np.dtype(f"u{labels.dtype.itemsize}"))
    present = [int(label) for label in np.unique(unsigned) if label > 0]
    return LabelMap(
        unsigned, tuple(LabelClass(label, f"class {label}") for label in present), source=path.stem
    )


def _write_hdf5(path: Path, labels: LabelMap) -> None:
    write_group(path, _KIND, put_labels, labels)


def _read_hdf5(path: Path) -> LabelMap:
    with hdf5_file.opened(path) as file:
        group = hdf5_file.group_at(file, _KIND)
        if group is None:
            raise FileError(path, "holds no label map: there is no group /labels")
        return get_labels(group)


def _write_csv(path: Path, labels: LabelMap) -> None:
    mark = {**_describe(labels), "shape": list(labels.labels.shape)}
    names = {0: "", **{row.label: neutral(row.name) for row in labels.classes}}
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write(f"# {MARK} {_KIND}\n# {json.dumps(mark, ensure_ascii=False)}\n")
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(_CSV_HEADER)
        for y, row in enumerate(labels.labels.tolist()):
            sure = (
                [""] * len(row)
                if labels.confidence is None
                else [repr(p) for p in labels.confidence[y].tolist()]
            )
            table.writerows((y, x, label, names[label], sure[x]) for x, label in enumerate(row))


def _read_csv(path: Path) -> LabelMap:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    first, _, rest = text.partition("\n")
    comment, _, body = rest.partition("\n")
    if not first.startswith(f"# {MARK} {_KIND}"):
        raise FileError(path, "holds no label map", "Give one that minerals or phases wrote")
    mark = json.loads(comment.removeprefix("# "))
    rows = csv.reader(io.StringIO(body))
    if next(rows, None) != _CSV_HEADER:
        raise FileError(path, f"holds no label map: the columns are not {','.join(_CSV_HEADER)}")
    cells = list(rows)
    shape = tuple(int(size) for size in mark["shape"])
    if len(shape) != 2 or len(cells) != shape[0] * shape[1]:
        raise FileError(path, f"holds {len(cells)} pixels, not the {shape} it announces", "Is it cut short?")
    labels = np.zeros(shape, dtype=np.dtype(mark["dtype"]))
    confidence = np.zeros(shape, dtype=np.float32) if mark["has_confidence"] else None
    for y, x, label, _, sure in cells:
        at = (int(y), int(x))
        labels[at] = int(label)
        if confidence is not None:
            confidence[at] = float(sure)
    return _restored(labels, confidence, mark)


def _describe(labels: LabelMap) -> dict[str, Any]:
    return {
        "kind": _KIND,
        "classes": [asdict(row) for row in labels.classes],
        "pixel_size_um": labels.pixel_size,
        "source": labels.source,
        "dtype": labels.labels.dtype.str,
        "has_confidence": labels.confidence is not None,
    }


def _restored(labels: NDArray[Any], confidence: NDArray[Any] | None, mark: Mapping[str, Any]) -> LabelMap:
    return LabelMap(
        labels,
        tuple(LabelClass(**row) for row in mark["classes"]),
        None if confidence is None else confidence.astype(np.float32, copy=False),
        as_pair(mark["pixel_size_um"]),
        str(mark["source"]),
    )
