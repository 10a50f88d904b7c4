"""Networks that read spectra: data sets, training, prediction, evaluation, weights. The only room with torch."""
