"""What runs in worker threads."""
