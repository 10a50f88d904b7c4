"""napari's test plugin hides installed plugins: these tests need ours and napari's own."""

import pytest
from npe2 import PluginManager, PluginManifest


@pytest.fixture(autouse=True)
def plugins(npe2pm: PluginManager) -> PluginManager:
    """Register napari's builtin plugin and napari-xrf in a fresh plugin manager."""
    for distribution in ("napari", "napari-xrf"):
        npe2pm.register(PluginManifest.from_distribution(distribution))
    return npe2pm
