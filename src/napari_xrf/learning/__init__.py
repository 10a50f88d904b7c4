"""Networks that read spectra: what they learn from, training, prediction, evaluation, weights."""
