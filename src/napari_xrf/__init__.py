"""X-ray fluorescence maps in napari: read them, see their elements, name their minerals.

Importing this package is light: napari, Qt and torch are loaded only where they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_xrf.io import read, write

__all__ = ["__version__", "read", "write"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("read", "write"):
        from napari_xrf import io

        return getattr(io, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
