"""Curves and marks against energy; they know Qt, but not napari."""
