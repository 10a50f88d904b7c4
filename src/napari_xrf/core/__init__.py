"""The nouns: energy axis, spectral cube, element maps, label map, emission lines, materials."""
