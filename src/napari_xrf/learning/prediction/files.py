"""Predictions in HDF5: plain datasets for scripts, NXdata groups on the same data for viewers.

``/names`` holds the K names; ``/probability`` and ``/intensity`` are (Y, X, K), ``/unknown`` and ``/counts``
(Y, X), ``/code`` (Y, X, L) with ``/code_names``, ``/spectrum`` (Y, X, E) with ``/energy`` in keV; all
float32, each only where the model gives it. ``/model`` is the model's description as JSON. ``/entry`` holds
one NXdata group per output, whose signal is a link to the dataset above and takes no room: silx and h5web
show it with its axes in µm.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xrf.core.errors import FileError, InvalidInput, XrfError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.description import description_as_json, description_from_json

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction

_MARK = "napari_xrf"
_KIND = "prediction"
_SUFFIXES = (".h5", ".hdf5")
_CHUNK_BYTES = 2**20
# Dataset → what its last axis is named by; the first that is there is what a viewer opens with.
_OUTPUTS = {
    "probability": "names",
    "intensity": "names",
    "unknown": "",
    "code": "code_names",
    "spectrum": "energy",
}
_UNITS = {"intensity": "counts", "spectrum": "counts"}


def write_prediction(
    path: str | Path, prediction: Prediction, *, progress: Progress = ignore_progress
) -> None:
    """Write a prediction to HDF5.

    Raises InvalidInput when the suffix is another.

    ``path``: ``.h5`` or ``.hdf5``. ``prediction``: what a model said of a map. ``progress``: told after each
    output.
    """
    import h5py

    from napari_xrf.io.hdf5.new_file import new_file

    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        raise InvalidInput(f"predictions are not written to {target.suffix!r} files", "Choose .h5")
    description = prediction.description
    texts = {"names": description.names, "code_names": description.code_names, "notes": prediction.notes}
    texts["doubts"] = prediction.doubts
    given = {name: values for name in _OUTPUTS if (values := getattr(prediction, name)) is not None}
    with replacing(target) as temporary, new_file(temporary) as (file, check):
        file.attrs.update(
            {"NX_class": "NXroot", "default": "entry", _MARK: _KIND, "source": prediction.source}
        )
        for name, entries in texts.items():
            file.create_dataset(name, data=list(entries), dtype=h5py.string_dtype())
        file.create_dataset("model", data=description_as_json(description))
        if "spectrum" in given:
            energy = file.create_dataset("energy", data=description.axis.energies)
            energy.attrs.update({"units": "keV", "long_name": "energy (keV)"})
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": next(iter(given), "counts")})
        entry.attrs["title"] = (
            f"{description.name} on {prediction.source}" if prediction.source else description.name
        )
        for done, (name, values) in enumerate({**given, "counts": prediction.counts}.items()):
            _put_output(file, entry, name, values, prediction.pixel_size)
            check()
            progress(done + 1, len(given) + 1, "writing the prediction")


def is_prediction_file(path: str | Path) -> bool:
    """Tell whether a file holds a prediction that :func:`write_prediction` wrote. Never raises."""
    from napari_xrf.io.hdf5 import file as hdf5_file

    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with hdf5_file.opened(target) as file:
            return hdf5_file.text_of(hdf5_file.attribute(file, _MARK)) == _KIND
    except XrfError:
        return False


def read_prediction(path: str | Path) -> Prediction:
    """Read what :func:`write_prediction` wrote.

    Raises FileError when the file holds no prediction or is damaged.
    """
    from napari_xrf.io.hdf5 import file as hdf5_file
    from napari_xrf.io.own.files import pixel_size_of
    from napari_xrf.learning.prediction.prediction import Prediction

    target = Path(path)
    with hdf5_file.opened(target) as file:
        if hdf5_file.text_of(hdf5_file.attribute(file, _MARK)) != _KIND:
            raise FileError(target, "holds no prediction", "Give a predictions.h5 that `predict` wrote")
        try:
            description = description_from_json(hdf5_file.text_of(file["model"]))
            counts = hdf5_file.array_of(file["counts"])
            outputs: dict[str, Any] = {
                name: hdf5_file.array_of(file[name]) if name in file else None for name in _OUTPUTS
            }
            notes = hdf5_file.texts_of(file["notes"])
            doubts = hdf5_file.texts_of(file["doubts"]) if "doubts" in file else ()
            pixel_size = pixel_size_of(file["entry/counts"])
            source = hdf5_file.text_of(hdf5_file.attribute(file, "source", ""))
            if counts.ndim != 2:
                raise InvalidInput(f"/counts is of shape {counts.shape}")
        except (KeyError, InvalidInput) as error:
            raise FileError(target, f"holds no whole prediction ({error})", "Make it again") from error
    length = {
        "names": len(description.names),
        "code_names": len(description.code_names),
        "energy": description.axis.size,
    }
    for name, last in _OUTPUTS.items():
        values = outputs[name]
        wanted = (
            counts.shape if values is None or not last else (*counts.shape, length[last] or values.shape[-1])
        )
        if values is not None and values.shape != wanted:
            raise FileError(target, f"/{name} is of shape {values.shape}, not {wanted}", "Make it again")
    told: dict[str, Any] = {"notes": notes, "doubts": doubts, "pixel_size": pixel_size, "source": source}
    return Prediction(description, counts, **told, **outputs)


def _put_output(file: Any, entry: Any, name: str, values: Any, pixel_size: Any) -> None:
    from napari_xrf.io.own.files import put_image_axes

    stored: dict[str, Any] = {}
    rows, columns = values.shape[:2]
    step = max(rows, 1)
    if 0 not in values.shape:
        row_bytes = 4 * math.prod(values.shape[1:])
        step = max(1, min(rows, _CHUNK_BYTES // row_bytes))
        chunk = (step, columns, *values.shape[2:])
        stored = {"chunks": chunk, "compression": "gzip", "compression_opts": 1, "shuffle": True}
    dataset = file.create_dataset(name, values.shape, np.float32, **stored)
    for low in range(0, rows, step):
        dataset[low : low + step] = values[low : low + step]
    dataset.attrs["interpretation"] = "image" if values.ndim == 2 else "spectrum"
    if name in _UNITS:
        dataset.attrs["units"] = _UNITS[name]
    group = entry.create_group(name)
    group.attrs.update({"NX_class": "NXdata", "signal": name, "title": name})
    group[name] = dataset
    axes = put_image_axes(group, values.shape[:2], pixel_size)
    last = _OUTPUTS.get(name, "")
    if last == "energy":
        group["energy"] = file["energy"]
        axes.append("energy")
    elif last:
        # Texts cannot be an axis; they stand beside it, in the axis's order.
        group[last] = file[last]
        axes.append(".")
    group.attrs["axes"] = axes
