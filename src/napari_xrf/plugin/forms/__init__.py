"""Forms of the docks."""
