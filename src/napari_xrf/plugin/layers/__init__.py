"""Between napari layers and the nouns of the package."""
