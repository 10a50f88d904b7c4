"""What an end of mixing is called, and what speaks against it."""
