"""What a network says of spectra and maps."""
