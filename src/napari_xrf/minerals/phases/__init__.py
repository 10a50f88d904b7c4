"""Phases of a map without a library."""
