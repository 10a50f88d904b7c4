"""One file per network; each holds ``Options`` and the network."""
