"""Synthetic spectra and maps with known truth."""
