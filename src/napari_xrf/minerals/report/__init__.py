"""The whole job on one map, and the page that tells it."""
