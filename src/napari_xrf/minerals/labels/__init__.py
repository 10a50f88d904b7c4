"""Label maps: clean-up, grains, modal tables, comparison."""
