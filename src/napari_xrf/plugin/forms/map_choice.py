"""The choice of a map of spectra, and what docks do with it: work on it, find its elements, draw regions."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QPushButton

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.dialogs import ask_elements
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.parts import button
from napari_xrf.plugin.layers.cubes import cube_from, holds_cube
from napari_xrf.plugin.layers.regions import add_region_layer
from napari_xrf.plugin.notices import errors_told


class MapChoice(LayerChoice):
    """The maps of spectra of one viewer; see :class:`LayerChoice`."""

    def __init__(self, dock: Dock) -> None:
        super().__init__(dock, holds_cube, "open a map of spectra", ("data",))
        self._worked_on: Any = None
        dock.follow(dock.viewer.layers.events.removed, self._stop)

    def cube(self) -> SpectralCube | None:
        """Return the chosen map, or None; a layer that has lost its energy axis is told."""
        layer = self.layer()
        if layer is not None:
            with errors_told():
                return cube_from(layer)
        return None

    def run(self, title: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Run ``work(calibrated map, *arguments, progress=..., **options)`` as the dock's job.

        The map is calibrated once for its layer; without a map nothing is done.
        """
        from napari_xrf.plugin.layers.calibration import on_calibrated

        layer, cube = self.layer(), self.cube()
        if cube is not None:
            self._worked_on = layer
            self._dock.job_bar.run(title, on_calibrated(work, layer, cube), *arguments, **options)

    def _stop(self, event: Any) -> None:
        """Stop the work on a map that the user has removed."""
        if event.value is self._worked_on and self._worked_on is not None:
            self._worked_on = None
            self._dock.job_bar.cancel()

    def found(self) -> tuple[Any, ...]:
        """Return the elements that any dock has found of the map already."""
        from napari_xrf.plugin.layers.calibration import found_elements

        cube = self.cube()
        return () if cube is None else found_elements(self.layer(), cube)

    def find_elements(self, show: Callable[[Any], object]) -> None:
        """Find the elements of the map and show them, if it is chosen still."""
        from napari_xrf.maps.calibrated_map import find_elements

        layer = self.layer()

        def done(found: Any) -> None:
            if self.layer() is layer:
                show(found)

        self.run("Finding elements", find_elements, on_done=done)

    def region_button(self, hint: str) -> QPushButton:
        """Return a button that adds a layer of regions in register with the chosen map."""

        def add() -> None:
            if self.layer() is not None:
                add_region_layer(self._viewer, self.layer())

        made = button("New ROI layer", hint, add)
        made.setEnabled(self.layer() is not None)
        self.chosen.connect(lambda layer: made.setEnabled(layer is not None))
        return made


def element_buttons(
    maps: MapChoice,
    find_text: str,
    show_found: Callable[[Any], object],
    take: Callable[[Sequence[str]], object],
    chosen: Callable[[], Sequence[str]],
) -> tuple[QPushButton, QPushButton, QPushButton]:
    """Return buttons that find a map's elements, take those of its file, and offer a periodic table.

    ``show_found``: gets what is found. ``take``: gets the symbols or line families that the file lists, or
    that the user chooses. ``chosen``: returns those that are ticked in the table at first.
    """

    def take_file() -> None:
        cube = maps.cube()
        if cube is not None:
            take(cube.elements)

    def ask() -> None:
        asked = ask_elements(chosen(), maps)
        if asked is not None:
            take(asked)

    def enable(layer: Any) -> None:
        cube = maps.cube()
        from_file.setEnabled(cube is not None and bool(cube.elements))

    find = button(find_text, "From the sum and the highest pixels", lambda: maps.find_elements(show_found))
    from_file = button("From file", "The elements that the file lists", take_file)
    maps.chosen.connect(enable)
    enable(maps.layer())
    return find, from_file, button("Table…", "Choose from the periodic table", ask)
