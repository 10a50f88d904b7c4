"""What one spectrum shows, and its fit: background, families, scatter, peaks."""
