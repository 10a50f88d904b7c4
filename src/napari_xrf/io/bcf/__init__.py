"""Bruker .bcf maps."""
