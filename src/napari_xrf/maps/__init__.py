"""From counts to element maps: calibration, background, fit."""
