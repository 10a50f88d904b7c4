"""How much of each element there is."""
