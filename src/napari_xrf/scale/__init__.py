"""Many files, many processes, many machines: batches, and one map in parts."""
