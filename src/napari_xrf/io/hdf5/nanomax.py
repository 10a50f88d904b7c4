"""Where NanoMAX kept the places of its fly scans in 2017 and 2018: in the sample's file, beside the frames.

``scan_0192_xspress3_0000.hdf5`` holds the frames of scan 192, an entry for each row. ``sample.h5`` beside
it holds, in ``entry192/measurement``, the piezo's places in each row (``AdLinkAI_buff``, zeros behind) and
the stepped motor's (``samy``), both in µm (structure as the beamline's own scripts read it).
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError
from napari_xrf.io.hdf5 import file as hdf5_file

_FRAMES = re.compile(r"^scan_0*(\d+)_xspress3_\d+\.hdf5$")
_FAST, _SLOW = "AdLinkAI_buff", ("samy", "sy", "samx", "sx")
_MOST_FILES = 200


def places_beside(path: Path, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the places of the points in each row, (Y, X), and of the rows, (Y,), in µm; None where none are.

    ``path``: the file of the frames; ``rows``: how many it holds, of a scan that may have been stopped.
    """
    match = _FRAMES.match(path.name)
    for sample in sorted(path.parent.glob("*.h5"))[:_MOST_FILES] if match else ():
        try:
            with hdf5_file.opened(sample) as file:
                found = _places(file, f"/entry{match[1]}/measurement", rows) if match else None
        except (FileError, OSError):
            continue
        if found is not None:
            return found
    return None


def _places(file: Any, folder: str, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    fast = hdf5_file.dataset_at(file, f"{folder}/{_FAST}")
    if fast is None or fast.ndim != 2 or fast.shape[0] < rows or fast.dtype.kind not in "uif":
        return None
    across = np.asarray(hdf5_file.array_of(fast), dtype=np.float64)[:rows]
    filled = np.flatnonzero(across.any(axis=0))
    title = hdf5_file.text_of(hdf5_file.dataset_at(file, f"{folder.rpartition('/')[0]}/title")).split()
    for name in (*title[1:2], *_SLOW):
        slow = hdf5_file.dataset_at(file, f"{folder}/{name}") if "/" not in name else None
        if slow is not None and slow.ndim == 1 and slow.shape[0] >= rows and slow.dtype.kind in "uif":
            down = np.asarray(hdf5_file.array_of(slow), dtype=np.float64)[:rows]
            if filled.size > 1 and np.ptp(down) > 0 and np.all(np.isfinite(across)):
                return across[:, : filled[-1] + 1], down
    return None
