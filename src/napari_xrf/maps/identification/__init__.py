"""Which elements a spectrum and the pixels of its map hold."""
