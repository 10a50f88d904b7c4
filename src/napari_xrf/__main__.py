"""``python -m napari_xrf`` is the command line."""

import sys

from napari_xrf.cli import main

sys.exit(main())
