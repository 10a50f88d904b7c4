"""Label maps as .tif, .h5 and .csv.

.tif
    Page 1: labels, unsigned integers (Y, X), pixels per cm in the resolution tags. Its description is JSON
    with the class table and the exact pixel size under ``napari_xrf``. Page 2, where there is one: the
    confidence, float32. Programs that read one image see the plain labels.
.h5
    An NXdata group ``/labels`` with ``labels``, ``confidence``, ``y`` and ``x`` in µm, and the class table
    in ``/labels/classes``.
.csv
    Comment lines that begin with ``#`` and hold JSON, then ``y,x,label,name,confidence``, one line a pixel.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import replacing

_MARK = "napari_xrf"
_KIND = "labels"
_UM_PER_CM = 1e4
_CSV_HEADER = ["y", "x", "label", "name", "confidence"]
_TIFF_TYPES = ("u1", "u2", "u4")


def write_labels(path: str | Path, labels: LabelMap, *, progress: Progress = ignore_progress) -> None:
    """Write a label map to .tif, .h5 or .csv.

    Raises
    ------
    InvalidInput
        When the suffix is none of these.
    FileError
        When the file cannot be written.
    """
    target = Path(path)
    writers = {".tif": _write_tiff, ".tiff": _write_tiff, ".h5": _write_hdf5, ".csv": _write_csv}
    try:
        writer = writers[target.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"label maps are not written to {target.suffix!r} files", "Choose .tif, .h5 or .csv"
        ) from None
    progress(0, 1, "writing labels")
    with replacing(target) as temporary:
        writer(temporary, labels)
    progress(1, 1, "writing labels")


def read_labels(path: str | Path) -> LabelMap:
    """Read a label map that :func:`write_labels` wrote, or any TIFF of unsigned integers.

    Classes of a foreign TIFF are named ``"class 1"``, ``"class 2"`` … in grey.

    Raises
    ------
    FileError
        When the file holds no label map or is damaged.
    """
    target = Path(path)
    readers = {".tif": _read_tiff, ".tiff": _read_tiff, ".h5": _read_hdf5, ".csv": _read_csv}
    reader = readers.get(target.suffix.lower())
    if reader is None:
        raise FileError(target, "is no label map", "Label maps are .tif, .h5 or .csv files")
    try:
        return reader(target)
    except FileError:
        raise
    except (InvalidInput, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError) as error:
        raise FileError(target, f"holds no usable label map ({error})") from error


def is_label_file(path: str | Path) -> bool:
    """Tell whether :func:`write_labels` wrote a file."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return "classes" in _tiff_mark(target)
    if suffix == ".csv":
        with target.open(encoding="utf-8", errors="replace") as handle:
            return handle.readline(200).startswith(f"# {_MARK} {_KIND}")
    if suffix == ".h5":
        from napari_xrf.io.hdf5 import file as hdf5_file

        with hdf5_file.opened(target) as file:
            group = hdf5_file.group_at(file, _KIND)
            return group is not None and hdf5_file.text_of(hdf5_file.attribute(group, _MARK)) == _KIND
    return False


def put_labels(parent: Any, name: str, labels: LabelMap) -> None:
    """Write a label map as the NXdata group ``name`` of an open HDF5 group."""
    from napari_xrf.io.hdf5.nexus import put_image_axes

    group = parent.create_group(name)
    group.attrs.update({"NX_class": "NXdata", "signal": "labels", _MARK: _KIND, "source": labels.source})
    group.create_dataset("labels", data=labels.labels, compression="gzip", compression_opts=4, shuffle=True)
    if labels.confidence is not None:
        group.create_dataset("confidence", data=labels.confidence, compression="gzip", shuffle=True)
        group.attrs["auxiliary_signals"] = ["confidence"]
    group.attrs["axes"] = put_image_axes(group, labels.labels.shape, labels.pixel_size)
    table = group.create_group("classes")
    table.create_dataset("label", data=np.array([row.label for row in labels.classes], dtype=np.uint64))
    for column in ("name", "formula", "color"):
        table.create_dataset(
            column, data=[getattr(row, column) for row in labels.classes], dtype=_string_type()
        )
    densities = [np.nan if row.density is None else row.density for row in labels.classes]
    table.create_dataset("density", data=np.array(densities, dtype=np.float64)).attrs["units"] = "g/cm3"


def get_labels(group: Any) -> LabelMap:
    """Read a label map from its NXdata group."""
    from napari_xrf.io.hdf5 import file as hdf5_file
    from napari_xrf.io.hdf5.nexus import pixel_size_of

    table = group["classes"]
    columns = [hdf5_file.texts_of(table[name]) for name in ("name", "formula", "color")]
    classes = tuple(
        LabelClass(int(label), name, formula, color, None if np.isnan(density) else float(density))
        for label, name, formula, color, density in zip(
            table["label"][()], *columns, table["density"][()], strict=True
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
    import tifffile

    # Programs that open labels know 8, 16 and 32 bit; the type in memory is kept in the description.
    largest = int(labels.labels.max(initial=0))
    stored = next((kind for kind in _TIFF_TYPES if largest <= np.iinfo(kind).max), None)
    if stored is None:
        raise InvalidInput("labels above 4294967295 do not fit a TIFF", "Write .h5")
    mark = {
        **_describe(labels),
        "dtype": labels.labels.dtype.str,
        "has_confidence": labels.confidence is not None,
    }
    resolution: dict[str, Any] = {}
    if labels.pixel_size is not None:
        dy, dx = labels.pixel_size
        resolution = {"resolution": (_UM_PER_CM / dx, _UM_PER_CM / dy), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        common = {"compression": "zlib", "photometric": "minisblack", **resolution}
        tiff.write(labels.labels.astype(stored), metadata={"axes": "YX", _MARK: mark}, **common)
        if labels.confidence is not None:
            tiff.write(labels.confidence, metadata={"axes": "YX", "name": "confidence"}, **common)


def _read_tiff(path: Path) -> LabelMap:
    from napari_xrf.io.own import tiff_file

    mark = _tiff_mark(path)
    with tiff_file.opened(path) as tiff:
        labels = tiff.pages[0].asarray()
        if "classes" not in mark:
            return _foreign_labels(path, labels)
        confidence = tiff.pages[1].asarray() if mark["has_confidence"] else None
    return _restored(labels.astype(np.dtype(mark["dtype"])), confidence, mark)


def _tiff_mark(path: Path) -> dict[str, Any]:
    """Return what our description of a TIFF says, empty for other programs' files."""
    from napari_xrf.io.own import tiff_file

    with tiff_file.opened(path) as tiff:
        description = tiff.pages[0].description
    try:
        mark = json.loads(description)[_MARK]
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
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": _KIND})
        put_labels(file, _KIND, labels)


def _read_hdf5(path: Path) -> LabelMap:
    from napari_xrf.io.hdf5 import file as hdf5_file

    with hdf5_file.opened(path) as file:
        group = hdf5_file.group_at(file, _KIND)
        if group is None:
            raise FileError(path, "holds no label map: there is no group /labels")
        return get_labels(group)


def _write_csv(path: Path, labels: LabelMap) -> None:
    mark = _describe(labels)
    mark.update(shape=list(labels.labels.shape), dtype=labels.labels.dtype.str)
    mark["has_confidence"] = labels.confidence is not None
    names = {0: "", **{row.label: row.name for row in labels.classes}}
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write(f"# {_MARK} {_KIND}\n# {json.dumps(mark, ensure_ascii=False)}\n")
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
    text = path.read_text(encoding="utf-8", errors="replace")
    first, _, rest = text.partition("\n")
    comment, _, body = rest.partition("\n")
    if not first.startswith(f"# {_MARK} {_KIND}"):
        raise FileError(path, "holds no label map: its first line is not one of ours")
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
    classes = [
        {
            "label": row.label,
            "name": row.name,
            "formula": row.formula,
            "color": row.color,
            "density": row.density,
        }
        for row in labels.classes
    ]
    return {
        "kind": _KIND,
        "classes": classes,
        "pixel_size_um": labels.pixel_size,
        "source": labels.source,
    }


def _restored(labels: NDArray[Any], confidence: NDArray[Any] | None, mark: Mapping[str, Any]) -> LabelMap:
    size = mark["pixel_size_um"]
    return LabelMap(
        labels,
        tuple(LabelClass(**row) for row in mark["classes"]),
        None if confidence is None else confidence.astype(np.float32, copy=False),
        None if size is None else (float(size[0]), float(size[1])),
        str(mark["source"]),
    )


def _string_type() -> Any:
    import h5py

    return h5py.string_dtype()
