"""The napari face: readers, writers, sample data, widgets."""
