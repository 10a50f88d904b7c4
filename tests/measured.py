"""Real measured files, for the tests that can use them; they are not part of the product."""

import os
from pathlib import Path

import pytest

# Beside the checkout, unless NAPARI_XRF_DATA names the folder.
FOLDER = Path(os.environ.get("NAPARI_XRF_DATA", Path(__file__).parents[2] / "shared" / "data"))


def measured_file(name: str) -> Path:
    """Return the path of a measured file, or skip the test where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no measured file {name} (set NAPARI_XRF_DATA to its folder)")
    return path
