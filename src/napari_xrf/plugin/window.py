"""Docks of a viewer's window, whoever opened them, their keys, and the settings that outlive it."""

from functools import partial
from typing import Any

PLUGIN = "napari-xrf"

# With Alt, in the order of work; napari takes no keys from a plugin's manifest.
KEYS = {
    "1": "Spectrum",
    "2": "Preparation",
    "3": "Element maps",
    "4": "Compose maps",
    "5": "Scatter",
    "6": "Regions",
    "7": "Quantities",
    "8": "Minerals",
    "9": "Clean up labels",
}
DRAW_KEY = "R"  # a new layer of regions
_BOUND = "napari-xrf keys"


def open_dock(viewer: Any, title: str) -> Any:
    """Return the dock of a title, opened as the menu does where there is none yet."""
    from npe2 import PluginManager

    # The menu, a script and we ourselves may each have opened one, under other names.
    for name, dock in viewer.window.dock_widgets.items():
        if name.startswith(f"{title} ("):
            return dock
    manifest = PluginManager.instance().get_manifest(PLUGIN)
    widgets = manifest.contributions.widgets or []
    dock = next(each for each in widgets if each.display_name == title).get_callable()(viewer)
    viewer.window.add_dock_widget(dock, name=f"{title} ({manifest.display_name})")
    return dock


def bind_keys(viewer: Any, window: Any) -> None:
    """Let keys in a viewer's main window open docks, or bring them to the front; does so once."""
    from npe2 import PluginManager
    from qtpy.QtGui import QKeySequence
    from qtpy.QtWidgets import QShortcut

    if window.property(_BOUND):
        return
    window.setProperty(_BOUND, True)
    uses = {key: partial(show_dock, viewer, title) for key, title in KEYS.items()}
    commands = PluginManager.instance().commands
    uses[DRAW_KEY] = partial(commands.execute, f"{PLUGIN}.new_roi_layer", (viewer,))
    for key, use in uses.items():
        QShortcut(QKeySequence(f"Alt+{key}"), window).activated.connect(use)


def show_dock(viewer: Any, title: str) -> None:
    """Open the dock of a title, and bring it before those that share its place."""
    outer = open_dock(viewer, title).parent()
    if outer is not None:
        outer.show()
        outer.raise_()


def are_settings_read() -> bool:
    """Whether :func:`settings` answers at once: napari reads the manifests of all plugins for the first."""
    import napari.settings

    return bool(getattr(napari.settings, "_PLUGIN_SETTINGS", True))


def settings(section: str) -> Any:
    """Return a section of the settings of our manifest, which napari keeps; None in a window without us."""
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(PLUGIN), section)
    except KeyError:
        return None
