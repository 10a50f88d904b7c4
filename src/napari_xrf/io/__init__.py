"""Readers and writers, one file per format.

Importing this package is light: a format's own module is imported when a file of that format is read or
written.
"""

from napari_xrf.io.formats import *  # noqa: F403
from napari_xrf.io.formats import __all__ as __all__
