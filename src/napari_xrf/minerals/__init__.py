"""From spectra to minerals: library, classification, clean-up, modal table."""
