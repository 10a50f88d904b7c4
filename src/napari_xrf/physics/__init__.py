"""Tube, attenuation, fluorescence, scatter and detector."""
