"""The painting generator: a learned weighting of pigments."""
