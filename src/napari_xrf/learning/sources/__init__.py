"""What training draws from: spectra with their truth, made on the fly or taken from a user's regions."""
