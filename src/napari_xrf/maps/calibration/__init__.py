"""Energy axis, resolution and source, refined on a spectrum."""
