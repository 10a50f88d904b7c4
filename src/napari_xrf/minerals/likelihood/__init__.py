"""How well each mineral explains the counts of each pixel."""
