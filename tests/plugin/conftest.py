"""napari's test plugin hides installed plugins: these tests need ours and napari's own."""

import pytest
from napari.layers import Layer
from npe2 import PluginManager, PluginManifest

from napari_xrf.plugin.layers.cubes import cube_layers


@pytest.fixture(autouse=True)
def plugins(npe2pm: PluginManager, plugin_settings: None) -> PluginManager:
    """Register napari's builtin plugin and napari-xrf in a fresh plugin manager, with settings of its own."""
    for distribution in ("napari", "napari-xrf"):
        npe2pm.register(PluginManifest.from_distribution(distribution))
    return npe2pm


@pytest.fixture
def viewer(make_napari_viewer, cube):
    """Return a viewer with the module's map as its one layer."""
    viewer = make_napari_viewer()
    viewer.add_layer(Layer.create(*cube_layers(cube)[-1]))
    return viewer
