"""Files that this package writes, and reads back."""
