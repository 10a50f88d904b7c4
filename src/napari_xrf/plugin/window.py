"""Docks of a viewer's window, whoever opened them."""

from __future__ import annotations

from typing import Any

PLUGIN = "napari-xrf"


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
