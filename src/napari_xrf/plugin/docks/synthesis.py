"""The Generate synthetic data dock: four recipes, a preview of one spectrum, and the result as layers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import napari.viewer
import numpy as np
from qtpy.QtWidgets import QWidget

from napari_xrf.core.errors import LARGEST_SEED, InvalidInput
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.core.progress import Progress
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.page import TabsOverPlot
from napari_xrf.plugin.forms.parameter_form import ErrorLabel, ParameterForm, form_label
from napari_xrf.plugin.forms.parts import button, column, row, tick_box
from napari_xrf.plugin.forms.synthesis_tabs import (
    LayersTab,
    MineralsTab,
    MixturesTab,
    PaintingTab,
    Recipe,
    RecipeTab,
)
from napari_xrf.plugin.layers.cubes import TRUTH_KEY, cube_from
from napari_xrf.plugin.layers.opening import show_layers
from napari_xrf.plugin.layers.synthesis import synthetic_layers
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.spectrum_plot import Curve, SpectrumPlot
from napari_xrf.synthesis.recipes import Synthetic

_PREVIEW_COLOR = "#56b4e9"
_PLOT_HEIGHT = 150  # the least; leaves the forms more room than the plot's own choice
_PLOT_SHARE = 290  # at first; the bar above the plot moves


@parameters
class Seed:
    """Where the random numbers start.

    Attributes
    ----------
    seed
        The same one gives the same counts, here and with napari-xrf synthesize on the command line.
    """

    seed: Annotated[int, Limits(0, LARGEST_SEED)] = 0


class SynthesisDock(Dock):
    """Makes maps and spectra with known truth, as layers and as files."""

    title = "Generate synthetic data"

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.minerals, self.layers = MineralsTab(), LayersTab()
        self.mixtures, self.painting = MixturesTab(), PaintingTab(self)
        self.recipes: tuple[RecipeTab, ...] = (self.minerals, self.layers, self.mixtures, self.painting)
        self.plot = SpectrumPlot()
        self.plot.plot.setMinimumHeight(_PLOT_HEIGHT)
        self.plot.readout.setMinimumHeight(0)
        self.parts = TabsOverPlot(((tab.title, tab.page) for tab in self.recipes), self.plot, _PLOT_SHARE)
        self.tabs = self.parts.tabs
        for tab in self.recipes:
            tab.page.changed.connect(self._set_enabled)
        self.seed: ParameterForm[Seed] = ParameterForm(Seed())
        self.shares = tick_box("shares", True, "A layer for the share of each mineral or pigment", _nothing)
        self.line_counts = tick_box(
            "line counts", False, "A layer for the expected counts of each line family", _nothing
        )
        self._common = QWidget()
        truth = row(form_label("Truth as layers"), self.shares, self.line_counts, None)
        self._common.setLayout(column(self.seed, truth, flush=True))
        self.preview = button("Preview", "Make one spectrum", self._preview)
        self.run = button("Generate", "Make the map or the spectra as layers", self._run)
        self.problem = ErrorLabel()
        self.results = LayerChoice(self, lambda layer: TRUTH_KEY in layer.metadata, "nothing made yet")
        self.save = button("Save…", "Write the map with its truth (.h5)", self._ask_file)
        self.lay_out(
            (self.parts, 1),
            self.problem,
            row(form_label("Result"), self.results, self.save),
            foot=row(self.run, self.preview, None),
        )
        self.setMinimumWidth(400)
        self.tabs.currentChanged.connect(lambda _: self._turn())
        self.seed.changed.connect(self._set_enabled)
        self.results.chosen.connect(lambda _: self._set_enabled())
        self.follow_theme(self.plot.set_colors)
        self._turn()

    def tab(self) -> RecipeTab:
        """Return the tab in front."""
        return self.recipes[self.tabs.currentIndex()]

    def write(self, path: Path) -> None:
        """Write the chosen result with its truth, as the command line does, in a worker thread."""
        from napari_xrf.io.own.cube_files import write_cube

        layer = self.results.layer()
        cube, truth = cube_from(layer), layer.metadata[TRUTH_KEY]
        self.write_in_background(path, write_cube, cube, truth=truth)

    def _run(self) -> None:
        self._start(self.tab().title, lambda tab, seed: tab.recipe(seed), self._show)

    def _preview(self) -> None:
        name = f"{self.tab().title}: one spectrum"
        self._start("Preview", lambda tab, seed: tab.preview(seed), partial(self._draw, name))

    def _start(
        self, title: str, described: Callable[[RecipeTab, int], Recipe], done: Callable[[Synthetic], None]
    ) -> None:
        with errors_told():
            recipe = described(self.tab(), self.seed.value().seed)
            self.job_bar.run(title, _within_memory, recipe, on_done=done)

    def _show(self, made: Synthetic) -> None:
        options = {"shares": self.shares.isChecked(), "line_counts": self.line_counts.isChecked()}
        show_layers(
            self.viewer, synthetic_layers(made, **options), self.while_open(partial(self._tell_made, made))
        )

    def _tell_made(self, made: Synthetic, added: list[Any]) -> None:
        main = next(layer for layer in reversed(added) if TRUTH_KEY in layer.metadata)
        self.results.choose(main)
        rows, columns, channels = made.cube.shape
        self.tell(f"{main.name}: {rows} × {columns} × {channels}")

    def _draw(self, name: str, made: Synthetic) -> None:
        counts = np.asarray(made.cube.counts[0, 0], dtype=float)
        self.parts.show_plot()
        self.see(self.plot)
        self.plot.set_curves([Curve(name, counts, made.cube.energy, _PREVIEW_COLOR)])
        self.plot.show_main()

    def _turn(self) -> None:
        self.tab().page.carry(self._common)
        self._set_enabled()

    def _set_enabled(self) -> None:
        problem = self.seed.problem() or self.tab().problem()
        self.problem.tell(problem)
        free = self.job_bar.job is None
        for made in (self.run, self.preview):
            made.setEnabled(free and not problem)
        self.save.setEnabled(free and self.results.layer() is not None)

    def _ask_file(self) -> None:
        name = f"{self.results.layer().name}.h5"
        self.save_as("Save map and truth", name, "HDF5 (*.h5 *.hdf5)", self.write)


def _within_memory(recipe: Recipe, *, progress: Progress) -> Synthetic:
    try:
        return recipe(progress=progress)
    except MemoryError as error:
        raise InvalidInput("there is not enough memory for so many spectra", "Make fewer") from error


def _nothing() -> None:
    """Tick boxes that are only read when the work starts."""
