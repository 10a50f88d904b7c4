"""Element maps: the fit of every pixel."""
