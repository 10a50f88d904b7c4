"""Files of single spectra."""
