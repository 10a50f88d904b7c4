"""Opening TIFF files that may be damaged."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tifffile

from napari_xrf.core.errors import FileError

# What tifffile lets through when offsets, counts or compressed data are damaged.
_DAMAGED = (
    tifffile.TiffFileError,
    struct.error,
    zlib.error,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OSError,
    RuntimeError,
    ZeroDivisionError,
    MemoryError,
    AssertionError,
    SyntaxError,  # of OME-XML
)


@contextmanager
def opened(path: str | Path) -> Iterator[tifffile.TiffFile]:
    """Give a TIFF file, open for reading; whatever fails inside becomes FileError."""
    target = Path(path)
    try:
        with tifffile.TiffFile(target) as tiff:
            yield tiff
    except FileError:
        raise
    except _DAMAGED as error:
        raise FileError(target, f"is a damaged or no TIFF file ({error})") from error
