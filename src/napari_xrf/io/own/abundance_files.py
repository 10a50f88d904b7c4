"""Abundances as HDF5: ``/names`` (K) of the classes, ``/abundances`` (Y, X, K) parts of the pixels' areas."""

from pathlib import Path

import h5py
import numpy as np

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import replacing
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.new_file import new_file


def write_abundances(
    path: str | Path, abundances: Abundances, *, progress: Progress = ignore_progress
) -> None:
    """Write abundances to .h5; InvalidInput for other suffixes."""
    if Path(path).suffix.lower() != ".h5":
        raise InvalidInput(f"abundances are written as .h5, not {Path(path).suffix!r}")
    with replacing(path) as temporary, new_file(temporary) as (file, _):
        names = [entry.name for entry in abundances.classes]
        file.create_dataset("names", data=names, dtype=h5py.string_dtype())
        file.create_dataset("labels", data=np.array([entry.label for entry in abundances.classes], np.uint32))
        values = file.create_dataset("abundances", data=abundances.values, compression="gzip", shuffle=True)
        values.attrs["long_name"] = "part of the pixel's area"
        file.attrs["source"] = abundances.source
        if abundances.pixel_size is not None:
            file.attrs["pixel_size_um"] = abundances.pixel_size
    progress(1, 1, "writing abundances")


def read_abundances(path: str | Path) -> Abundances:
    """Read what :func:`write_abundances` wrote; formulas and colours stand with the label map.

    Raises FileError when the file holds no abundances.
    """
    target = Path(path)
    with hdf5_file.opened(target) as file:
        stored, named = (hdf5_file.dataset_at(file, name) for name in ("abundances", "names"))
        if stored is None or named is None or stored.ndim != 3:
            raise FileError(target, "holds no abundances: there is no /abundances (Y, X, K) with /names")
        values = hdf5_file.array_of(stored).astype(np.float32)
        names = hdf5_file.texts_of(named)
        numbers = hdf5_file.dataset_at(file, "labels")
        labels = range(1, len(names) + 1) if numbers is None else hdf5_file.array_of(numbers).tolist()
        size = hdf5_file.attribute(file, "pixel_size_um")
        classes = tuple(LabelClass(int(label), name) for label, name in zip(labels, names, strict=True))
        pixel_size = None if size is None else (float(size[0]), float(size[1]))
        return Abundances(values, classes, pixel_size, hdf5_file.text_attribute(file, "source"))
