"""Pixels as mixtures of what their map is made of."""
