"""Parameters of training sought by trials."""
