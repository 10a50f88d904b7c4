"""What networks are trained for: a file per task, each with a ``TASK``."""
