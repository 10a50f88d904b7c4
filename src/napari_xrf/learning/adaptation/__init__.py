"""Domain adaptation: a model fitted to an unlabelled map."""
