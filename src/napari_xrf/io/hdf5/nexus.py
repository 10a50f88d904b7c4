"""The parts of NeXus that all HDF5 files written here share: image axes in µm."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_xrf.io.hdf5.file import attribute

_NO_AXIS = "."  # NeXus: this dimension has no axis dataset


def put_image_axes(
    group: Any, map_shape: tuple[int, ...], pixel_size: tuple[float, float] | None
) -> list[str]:
    """Write the axes ``y`` and ``x`` of pixel centres in µm; return what the ``axes`` attribute says of them.

    The exact pixel size is kept in the attribute ``pixel_size_um`` (dy, dx) of the group.
    """
    if pixel_size is None:
        return [_NO_AXIS, _NO_AXIS]
    group.attrs["pixel_size_um"] = np.asarray(pixel_size, dtype=np.float64)
    for name, count, size in zip(("y", "x"), map_shape, pixel_size, strict=True):
        axis = group.create_dataset(name, data=np.arange(count) * size)
        axis.attrs.update({"units": "um", "long_name": f"{name} (µm)"})
    return ["y", "x"]


def pixel_size_of(group: Any) -> tuple[float, float] | None:
    """Return the pixel size (dy, dx) in µm that :func:`put_image_axes` wrote."""
    size = attribute(group, "pixel_size_um")
    return None if size is None else (float(size[0]), float(size[1]))
