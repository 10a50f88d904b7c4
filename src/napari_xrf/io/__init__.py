"""Readers and writers, one file per format.

Importing this package is light: a format's own module is imported when a file of that format is read or
written.
"""

from napari_xrf.io.formats import (
    is_element_map_file,
    is_label_file,
    list_datasets,
    list_monitors,
    read,
    read_abundances,
    read_element_maps,
    read_labels,
    read_monitor,
    read_spectrum,
    read_truth,
    recognizes,
    write,
    write_cube,
)

__all__ = [
    "is_element_map_file",
    "is_label_file",
    "list_datasets",
    "list_monitors",
    "read",
    "read_abundances",
    "read_element_maps",
    "read_labels",
    "read_monitor",
    "read_spectrum",
    "read_truth",
    "recognizes",
    "write",
    "write_cube",
]
