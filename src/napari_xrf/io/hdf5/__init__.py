"""HDF5 maps of many programs."""
