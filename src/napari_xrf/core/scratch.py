"""Arrays that live in memory or, when they are too large for it, in a scratch file."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def scratch_array(
    shape: tuple[int, ...], dtype: DTypeLike, memory_budget: int, folder: str | Path | None = None
) -> NDArray[Any]:
    """Return a zeroed array, in memory up to the budget in bytes, otherwise memory-mapped.

    The scratch file is removed when the array is no longer used or the program ends.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= memory_budget:
        return np.zeros(shape, dtype=dtype)
    handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 - the finalizer below closes it
        prefix="napari-xrf-", suffix=".counts", dir=folder
    )
    handle.truncate(size)
    array = np.memmap(handle.file, dtype=dtype, mode="r+", shape=shape)
    weakref.finalize(array._mmap, handle.close)  # type: ignore[attr-defined]
    return array
