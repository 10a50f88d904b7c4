"""What is chosen of a training recipe: options of the network, synthetic spectra, the user's own regions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLayout, QLineEdit, QSlider, QWidget

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.recipe_variants import (
    read_settings,
    settings_text,
    with_distortions,
    with_instrument,
    with_minerals,
)
from napari_xrf.learning.training_recipes import TrainingRecipe
from napari_xrf.physics.instrument import instrument_names, load_instrument
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import LabelsChoice
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.parameter_form import ErrorLabel, form_label
from napari_xrf.plugin.forms.parts import column, expanding, row, wrapped
from napari_xrf.plugin.forms.synthesis_choices import FileChoice
from napari_xrf.plugin.forms.tick_list import TickList
from napari_xrf.plugin.jobs.training import OwnRegions
from napari_xrf.plugin.layers.cubes import cube_from
from napari_xrf.reference.minerals import known_minerals, load_library

RECIPES_OWN = "as the recipe"
_SYNTHETIC, _MIXED, _ALONE = "synthetic spectra", "both, mixed", "the labelled regions alone"


_NETWORK_HINT = (
    "Options of the network that differ from its defaults, as on the command line: hidden=900 depth=4 "
    "widths=16,32. What there is stands in the message when one is unknown."
)


class NetworkChoice(QWidget):  # type: ignore[misc]
    """Options of a network, written as ``hidden=900 depth=4``."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = QLineEdit()
        self.text.setToolTip(_NETWORK_HINT)
        self.text.setPlaceholderText("the defaults")
        self.error = ErrorLabel()
        self.setLayout(column(self.text, self.error, flush=True, spacing=1))
        self.text.textChanged.connect(lambda _: self._changed())

    def value(self) -> dict[str, Any]:
        """Return the options by name.

        Raises InvalidInput when the text is no list of assignments.
        """
        return read_settings(self.text.text().split())

    def show_value(self, options: Mapping[str, Any]) -> None:
        """Show options."""
        self.text.setText(settings_text(options))

    def problem(self) -> str:
        """Return what is wrong, or an empty text."""
        try:
            self.value()
        except InvalidInput as error:
            return str(error)
        return ""

    def _changed(self) -> None:
        self.error.tell(self.problem())
        self.changed.emit()


class SyntheticChoice(QWidget):  # type: ignore[misc]
    """Instrument, minerals and distortions of a recipe's synthetic spectra, where it has them."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._kind = ""
        self.instrument = FileChoice(
            _check_instrument,
            presets=(RECIPES_OWN, *instrument_names()),
            files="Instrument (*.toml)",
            hint="For which instrument the spectra are made: a preset, or the .toml file of yours",
        )
        self.minerals = TickList("The classes; with none ticked, those of the recipe")
        self.library = FileChoice(
            load_library,
            files="Table (*.csv)",
            hint="Your minerals, added to those of the library: name,formula,density",
            empty_text="your minerals (.csv)",
        )
        self.distortions = QComboBox()
        self.distortions.addItems(["typical", "none"])
        self.distortions.setToolTip("What makes measured spectra differ from expected ones")
        self.none = wrapped("The spectra of this recipe are made without an instrument.")
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for part, text in (
            (self.instrument, "Instrument"),
            (self.minerals, "Minerals"),
            (self.library, "Own minerals"),
            (self.distortions, "Distortions"),
        ):
            self._form.addRow(form_label(text), part)
        self._form.addRow(self.none)
        self.library.changed.connect(self._list_minerals)
        for part in (self.instrument, self.minerals):
            part.changed.connect(self.changed.emit)
        self.distortions.currentIndexChanged.connect(lambda _: self.changed.emit())
        self._list_minerals()

    def show_for(self, recipe: TrainingRecipe) -> None:
        """Show the choices that a recipe has."""
        self._kind = recipe.source.kind
        named, made = self._kind == "minerals", self._kind in ("mixtures", "minerals")
        for part, on in (
            (self.instrument, made),
            (self.minerals, named),
            (self.library, named),
            (self.distortions, made),
        ):
            self._form.labelForField(part).setVisible(on)
            part.setVisible(on)
        self.none.setVisible(not made)

    def problem(self) -> str:
        """Return what is wrong, or an empty text."""
        if self._kind in ("mixtures", "minerals") and self.instrument.problem:
            return self.instrument.problem
        if self._kind == "minerals":
            if self.library.problem:
                return self.library.problem
            if len(self.minerals.ticked()) == 1:
                return "Tick at least two minerals, or none for those of the recipe"
        return ""

    def applied_to(self, recipe: TrainingRecipe) -> TrainingRecipe:
        """Return the recipe with what was chosen.

        Raises InvalidInput when a choice does not fit the recipe. Raises FileError when a file cannot be
        read.
        """
        if self._kind in ("mixtures", "minerals"):
            if self.instrument.text() != RECIPES_OWN:
                recipe = with_instrument(recipe, [self.instrument.text()])
            recipe = with_distortions(recipe, self.distortions.currentText())
        if self._kind == "minerals":
            library = Path(self.library.text()) if self.library.text() else None
            if library is not None or self.minerals.ticked():
                recipe = with_minerals(recipe, self.minerals.ticked() or None, library)
        return recipe

    def _list_minerals(self) -> None:
        known = known_minerals(None if self.library.problem else self.library.text() or None)
        self.minerals.set_entries([(mineral.name, mineral.formula) for mineral in known])


class RegionsChoice(QWidget):  # type: ignore[misc]
    """The user's own labelled regions: a label layer on a map, alone or mixed with synthetic spectra.

    ``dock``: the dock whose viewer's layers are offered.
    """

    changed = Signal()

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self._fits = True
        self.mode = expanding(QComboBox())
        self.mode.addItems([_SYNTHETIC, _MIXED, _ALONE])
        self.mode.setToolTip(
            "Paint some pixels of each class in a Labels layer; their names come from its features"
        )
        self.maps = MapChoice(dock)
        self.labels = LabelsChoice(dock, "no label layer yet")
        self.share = QSlider(Qt.Orientation.Horizontal)
        self.share.setRange(1, 99)
        self.share.setValue(50)
        self.share.setToolTip("Part of the training spectra that comes from the labelled pixels")
        self.percent = QLabel()
        self.percent.setMinimumWidth(40)
        self.unfit = wrapped("Only networks for minerals learn from labelled regions.")
        share = row(form_label("Share of regions"), self.share, self.percent)
        self._sharing = _boxed(QWidget(), share)
        maps, labels = row(form_label("Map"), self.maps), row(form_label("Labels"), self.labels)
        self._parts = _boxed(QWidget(), maps, labels, self._sharing)
        _boxed(self, row(form_label("Learn from"), self.mode), self.unfit, self._parts)
        self.mode.currentIndexChanged.connect(lambda _: self._show())
        self.share.valueChanged.connect(lambda _: self._show())
        self.maps.chosen.connect(lambda _: self.changed.emit())
        self.labels.chosen.connect(lambda _: self.changed.emit())
        self._show()

    def show_for(self, recipe: TrainingRecipe) -> None:
        """Offer regions to the recipes that can learn them."""
        self._fits = recipe.task == "minerals"
        self._show()

    @property
    def wanted(self) -> bool:
        """Whether regions are to be learned."""
        return self._fits and self.mode.currentText() != _SYNTHETIC

    @property
    def alone(self) -> bool:
        """Whether nothing else is to be learned."""
        return self._fits and self.mode.currentText() == _ALONE

    def problem(self) -> str:
        """Return what is missing, or an empty text."""
        if not self.wanted:
            return ""
        if self.maps.layer() is None:
            return "Open the map whose regions are labelled"
        return "" if self.labels.layer() is not None else "Add a Labels layer and paint pixels of each class"

    def value(self) -> OwnRegions | None:
        """Return the regions, None where they are not wanted.

        Raises InvalidInput when map or labels are missing, or the layers are none.
        """
        if not self.wanted:
            return None
        if self.problem():
            raise InvalidInput(self.problem())
        share = 1.0 if self.alone else self.share.value() / 100
        cube = cube_from(self.maps.layer())
        labels = self.labels.of_map(cube.map_shape)
        assert labels is not None  # or there were a problem
        return OwnRegions(cube, labels, share)

    def _show(self) -> None:
        self.unfit.setVisible(not self._fits)
        self.mode.setEnabled(self._fits)
        self._parts.setVisible(self.wanted)
        self._sharing.setVisible(self.wanted and not self.alone)
        self.percent.setText(f"{self.share.value()} %")
        self.changed.emit()


def _boxed(box: QWidget, *parts: QWidget | QLayout) -> QWidget:
    """Put parts below each other into a box without margins; returns it."""
    box.setLayout(column(*parts, flush=True))
    return box


def _check_instrument(text: str) -> None:
    if text != RECIPES_OWN:
        load_instrument(text)
