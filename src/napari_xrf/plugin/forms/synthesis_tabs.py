"""The four tabs of the Generate dock: each collects what its recipe takes."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QLabel

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.memory import lack_of_room
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.core.progress import Progress
from napari_xrf.learning.painting.weighting import paint
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LayerChoice
from napari_xrf.plugin.forms.page import Page
from napari_xrf.plugin.forms.parameter_form import ParameterForm
from napari_xrf.plugin.forms.parts import expanding
from napari_xrf.plugin.forms.synthesis_choices import NONE, TYPICAL, DistortionsChoice, FileChoice
from napari_xrf.plugin.forms.tick_list import TickList
from napari_xrf.plugin.layers.layer_data import kind_of
from napari_xrf.reference.minerals import known_minerals, load_library
from napari_xrf.reference.pigments import load_pigments
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.distortions import typical_distortions
from napari_xrf.synthesis.layers import LayersParameters
from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.mixtures import MixtureParameters, augmentation
from napari_xrf.synthesis.painting import PaintingParameters
from napari_xrf.synthesis.pigment_files import read_measured_pigments
from napari_xrf.synthesis.recipes import Synthetic, make_layers, make_minerals, make_mixtures, read_picture
from napari_xrf.synthesis.substrates import GROUNDS, SUBSTRATES
from napari_xrf.synthesis.textures import Texture

Recipe = Callable[..., Synthetic]
"""Called in a worker thread with ``progress=...``."""

_PEGMATITE = "A pegmatite: veins, zoned grains"
_CHOSEN = "The ticked minerals in equal parts"
_TABLE, _WEIGHTS = "Table (*.csv)", "Weights (*.safetensors)"
_PICTURES = "Pictures (*.png *.jpg *.jpeg *.tif *.tiff *.bmp *.webp);;All files (*)"
_CHANNELS = 4096  # of most instruments, with two bytes a count


@parameters
class SetSize:
    """How many spectra a set has.

    Attributes
    ----------
    size
        Number of spectra.
    """

    size: Annotated[int, Limits(1, 10_000_000)] = 1000


@parameters
class Support:
    """What lies below the paint.

    Attributes
    ----------
    ground
        The preparation under the paint, 0.2 mm.
    substrate
        What it is painted on.
    """

    ground: Annotated[str, Choices(("none", *GROUNDS))] = "chalk"
    substrate: Annotated[str, Choices(tuple(SUBSTRATES))] = "wood"


class RecipeTab:
    """A page of forms, and the work that they describe."""

    title = ""

    def __init__(self) -> None:
        self.page = Page()
        self.missing = ""  # as a sentence, which the dock shows

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        problem = self.missing or self.page.problem()
        return problem or lack_of_room(self.pixels() * _CHANNELS * 2)

    def pixels(self) -> int:
        """Return how many spectra are asked for; 0 where that is not known before."""
        return 0

    def recipe(self, seed: int, *, small: bool = False) -> Recipe:
        """Return the work that the tab describes, or the same for one spectrum."""
        raise NotImplementedError

    def preview(self, seed: int) -> Recipe:
        """Return the same work for one spectrum."""
        return self.recipe(seed, small=True)

    def _add_form(
        self, values: Any, section: str = "", *, skip: tuple[str, ...] = (), is_open: bool = True
    ) -> ParameterForm[Any]:
        form: ParameterForm[Any] = ParameterForm(values, skip=skip)
        return cast("ParameterForm[Any]", self.page.add(form, section=section, is_open=is_open))

    def _add_file(
        self,
        label: str,
        check: Callable[[str], object],
        hint: str,
        empty: str,
        files: str = _TABLE,
        **options: Any,
    ) -> FileChoice:
        choice = FileChoice(check, files=files, hint=hint, empty_text=empty, **options)
        return cast("FileChoice", self.page.add(choice, label=label))

    def _add_instrument(self, preset: str) -> FileChoice:
        hint = "A preset, or the .toml file of your instrument"
        files, presets = "Instrument (*.toml)", instrument_names()
        choice = self._add_file("Instrument", load_instrument, hint, "", files, presets=presets)
        choice.set_text(preset)
        return choice


class SetTab(RecipeTab):
    """A set of single spectra."""

    size: ParameterForm[Any]

    def pixels(self) -> int:
        """Return the number of spectra."""
        return int(self.size.value().size)


class MineralsTab(RecipeTab):
    """Maps of mineral grains."""

    title = "Minerals"

    def __init__(self) -> None:
        super().__init__()
        self.instrument = self._add_instrument("m4-tornado")
        self.scene = QComboBox()
        self.scene.addItems([_PEGMATITE, _CHOSEN])
        self.page.add(expanding(self.scene), label="Sample")
        self.minerals = self.page.add(TickList("Each ticked mineral takes an equal part of the map"))
        hint = "Your minerals, added to those of the library: name,formula,density"
        self.library = self._add_file("Own minerals", load_library, hint, "your minerals (.csv)")
        self.map = self._add_form(MapParameters(), "Map")
        self.texture = self._add_form(Texture(), "Grains", is_open=False)
        self.texture.setToolTip("Left as it is, the pegmatite has larger grains of its own")
        self.distortions = self.page.add(DistortionsChoice(typical_distortions(), NONE))
        self.library.changed.connect(self._list_minerals)
        self.scene.currentIndexChanged.connect(lambda _: self._choose_scene())
        self.minerals.changed.connect(self._choose_scene)
        self._list_minerals()

    def recipe(self, seed: int, *, small: bool = False) -> Recipe:
        """Return the work that the tab describes, or the same for one pixel."""
        parameters = self.map.value()
        if small:
            parameters = replace(parameters, shape=(1, 1), with_ideal=False, with_twin=False)
        texture = self.texture.value()
        own = self._chooses() and self.library.text()
        return partial(
            make_minerals,
            self.minerals.ticked() if self._chooses() else None,
            seed=seed,
            instrument=self.instrument.text(),
            library=Path(own) if own else None,
            parameters=parameters,
            # The pegmatite has a texture of its own, unless the user asks for another.
            texture=None if texture == Texture() else texture,
            distortions=self.distortions.value(),
        )

    def pixels(self) -> int:
        """Return the pixels of the map."""
        return math.prod(self.map.value().shape)

    def _chooses(self) -> bool:
        return bool(self.scene.currentText() == _CHOSEN)

    def _choose_scene(self) -> None:
        chooses = self._chooses()
        for part in (self.minerals, self.library):
            part.setEnabled(chooses)
        self.minerals.setVisible(chooses)
        self.missing = "Tick at least one mineral" if chooses and not self.minerals.ticked() else ""
        self.page.changed.emit()

    def _list_minerals(self) -> None:
        known = known_minerals(None if self.library.problem else self.library.text() or None)
        self.minerals.set_entries([(mineral.name, mineral.formula) for mineral in known])
        self._choose_scene()


class LayersTab(SetTab):
    """Spectra of random elements in layers, with the labels of 556 lines."""

    title = "Layers"

    def __init__(self) -> None:
        super().__init__()
        self.size = self._add_form(SetSize())
        self.parameters = self._add_form(LayersParameters(), "Spectra")

    def recipe(self, seed: int, *, small: bool = False) -> Recipe:
        """Return the work that the tab describes, or the same for one spectrum."""
        size = 1 if small else self.pixels()
        return partial(make_layers, size, seed=seed, parameters=self.parameters.value())


class MixturesTab(SetTab):
    """Spectra of a few elements on a substrate."""

    title = "Mixtures"

    def __init__(self) -> None:
        super().__init__()
        self.instrument = self._add_instrument("gem")
        self.size = self._add_form(SetSize())
        self.parameters = self._add_form(MixtureParameters(), "Spectra", skip=("distortions",))
        self.distortions = self.page.add(DistortionsChoice(augmentation(), TYPICAL))

    def recipe(self, seed: int, *, small: bool = False) -> Recipe:
        """Return the work that the tab describes, or the same for one spectrum."""
        size = 1 if small else self.pixels()
        parameters = replace(self.parameters.value(), distortions=self.distortions.value())
        return partial(
            make_mixtures, size, seed=seed, instrument=self.instrument.text(), parameters=parameters
        )


class PaintingTab(RecipeTab):
    """The map of a painting from its picture."""

    title = "Painting"

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.layer = LayerChoice(dock, _is_picture, "no colour image is open")
        self.page.add(self.layer, label="Image layer")
        hint = "A picture file, in place of the layer"
        self.file = self._add_file("or a file", _check_file, hint, "in place of the layer", _PICTURES)
        self.instrument = self._add_instrument("m4-tornado")
        self.page.add(QLabel("Pigments; with none ticked, all take part"))
        self.pigments = self.page.add(TickList("Pigments that the painter had"))
        hint = "A table in place of these pigments: name,formula,color,density"
        self.table = self._add_file("Own pigments", load_pigments, hint, "your pigments (.csv)")
        hint, empty = "Measured spectra in place of expected ones: a table or a folder", "table or folder"
        self.measured = self._add_file("Measured spectra", read_measured_pigments, hint, empty, folders=True)
        self.support = self._add_form(Support())
        self.parameters = self._add_form(PaintingParameters(), "Counts", skip=("clusters",))
        hint = "For learned weighting: your own painting generator in place of the shipped one"
        self.generator = self._add_file("Generator", _check_file, hint, "the shipped one", _WEIGHTS)
        self.clusters = self._add_form(ClusterParameters(), "Colours", is_open=False)
        self.distortions = self.page.add(DistortionsChoice(typical_distortions(), NONE))
        self.layer.chosen.connect(lambda _: self._choose_source())
        self.file.changed.connect(self._choose_source)
        self.table.changed.connect(self._list_pigments)
        self.measured.changed.connect(self._choose_spectra)
        self.parameters.changed.connect(self._choose_weighting)
        self._list_pigments()
        self._choose_weighting()
        self._choose_source()

    def recipe(self, seed: int, *, small: bool = False) -> Recipe:
        """Return the work that the tab describes, or the same for the pixel in the middle of the picture."""
        measured, table = self.measured.text(), self.table.text()
        parameters = replace(self.parameters.value(), clusters=self.clusters.value())
        own = self.generator.text() if parameters.weighting == "learned" else ""
        return partial(
            _paint_one_pixel if small else paint,
            self._picture(),
            seed=seed,
            instrument=self.instrument.text(),
            pigments=None if measured else self.pigments.ticked() or None,
            pigment_file=Path(table) if table and not measured else None,
            measured_pigments=Path(measured) if measured else None,
            ground=self.support.value().ground,
            substrate=self.support.value().substrate,
            parameters=parameters,
            generator=Path(own) if own else None,
            distortions=self.distortions.value(),
        )

    def _picture(self) -> Path | NDArray[Any]:
        if self.file.text():
            return Path(self.file.text())
        layer = self.layer.layer()
        if layer is None:
            raise InvalidInput("there is no picture", "Open one as a layer, or name a file")
        return np.asarray(layer.data[0] if layer.multiscale else layer.data)

    def _choose_source(self) -> None:
        self.layer.setEnabled(not self.file.text())
        nothing = not self.file.text() and self.layer.layer() is None
        self.missing = "Open a colour image as a layer, or choose a file" if nothing else ""
        self.page.changed.emit()

    def _list_pigments(self) -> None:
        own = self.table.text() if not self.table.problem else ""
        self.pigments.set_entries([(each.name, each.formula) for each in load_pigments(own or None)])
        self._choose_spectra()

    def _choose_weighting(self) -> None:
        shown = self.parameters.judgement.value
        if shown is not None:
            learned = shown.weighting == "learned"
            self.generator.setEnabled(learned)
            for name in ("similarity", "threshold"):
                self.parameters.rows[name].setEnabled(not learned)

    def _choose_spectra(self) -> None:
        for part in (self.pigments, self.table, self.instrument, self.support):
            part.setEnabled(not self.measured.text())
        self.page.changed.emit()


def _paint_one_pixel(picture: Path | NDArray[Any], *, progress: Progress, **options: Any) -> Synthetic:
    pixels = picture if isinstance(picture, np.ndarray) else read_picture(picture)
    if pixels.ndim == 3 and pixels.size:
        middle = tuple(slice(size // 2, size // 2 + 1) for size in pixels.shape[:2])
        pixels = pixels[middle]
    return paint(pixels, progress=progress, **options)


def _check_file(text: str) -> None:
    if not Path(text).is_file():
        raise InvalidInput(f"there is no file {text}")


def _is_picture(layer: Any) -> bool:
    return bool(kind_of(layer) == "image" and layer.rgb and layer.ndim == 2)
