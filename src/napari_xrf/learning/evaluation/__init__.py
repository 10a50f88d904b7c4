"""How well a network reads spectra: the papers' measures, baselines, robustness, doubt about itself."""
