"""The three tabs of the Train dock: train a recipe, tune its hyper-parameters, adapt a model to a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QComboBox, QLabel

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.training_recipes import RECIPES, TrainingOptions, TrainingRecipe
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.layer_choice import MapChoice
from napari_xrf.plugin.forms.model_choice import ModelChoice
from napari_xrf.plugin.forms.network_choice import NetworkChoice
from napari_xrf.plugin.forms.page import Page, shrinking
from napari_xrf.plugin.forms.parts import button
from napari_xrf.plugin.forms.spectra_choice import RegionsChoice, SyntheticChoice
from napari_xrf.plugin.forms.synthesis import ErrorLabel, ParameterForm
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.training_plan import OwnRegions, SearchParameters

_FIRST = "mineral-cnn"  # learns from regions too, and trains in minutes


class TrainTab:
    """Which network learns what, and how long.

    Parameters
    ----------
    dock
        The dock whose viewer's maps and labels can be learned.
    """

    title = "Train"
    action = "Train"

    def __init__(self, dock: Dock) -> None:
        self.page = Page()
        self._tuned = False
        self.recipe = shrinking(QComboBox())
        for name, each in RECIPES.items():
            self.recipe.addItem(name)
            self.recipe.setItemData(self.recipe.count() - 1, each.summary, 3)  # Qt.ToolTipRole
        self.page.add(self.recipe, label="Recipe")
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.page.add(self.summary)
        self.network: NetworkChoice = self.page.add(NetworkChoice(), label="Network")
        self.regions: RegionsChoice = self.page.add(RegionsChoice(dock), section="Own regions")
        self.synthetic: SyntheticChoice = self.page.add(
            SyntheticChoice(), section="Synthetic spectra", is_open=False
        )
        self.options: ParameterForm[TrainingOptions] = self.page.add(
            ParameterForm(TrainingOptions()), section="Training"
        )
        self.recipe.currentTextChanged.connect(lambda _: self._choose())
        self.regions.changed.connect(self._show_parts)
        self.recipe.setCurrentText(_FIRST)
        self._choose()

    def base(self) -> TrainingRecipe:
        """Return the chosen recipe as it is."""
        return RECIPES[self.recipe.currentText()]

    def chosen(self) -> TrainingRecipe:
        """Return the recipe with everything that the forms say.

        Raises
        ------
        InvalidInput
            When a value is wrong.
        """
        recipe = replace(self.base(), network=self.network.value(), options=self.options.value())
        return recipe if self.regions.alone else self.synthetic.applied_to(recipe)

    def own_regions(self) -> OwnRegions | None:
        """Return the labelled regions that are to be learned, or None."""
        return self.regions.value()

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        return self.page.problem()

    def take_values(self, recipe: TrainingRecipe) -> None:
        """Take the network and the options that a search has found; the number of epochs stays."""
        epochs = self.options.value().epochs
        self.recipe.setCurrentText(recipe.name)
        self._tuned = True
        self.network.show_value(recipe.network)
        self.options.show_value(replace(recipe.options, epochs=epochs))
        self._tell()

    def _choose(self) -> None:
        self._tuned = False
        recipe = self.base()
        self.network.show_value(recipe.network)
        self.options.show_value(recipe.options)
        self.regions.show_for(recipe)
        self.synthetic.show_for(recipe)
        self._tell()
        self._show_parts()

    def _tell(self) -> None:
        recipe = self.base()
        told = recipe.summary[:1].upper() + recipe.summary[1:]
        if self._tuned:
            told += ". Tuned: the search's best values stand below"
        self.summary.setText(told)

    def _show_parts(self) -> None:
        # What is not learned is not asked for, and cannot be wrong.
        self.synthetic.setEnabled(not self.regions.alone)


class TuneTab:
    """A search for hyper-parameters of the recipe that the first tab shows."""

    title = "Tune"
    action = "Search"

    def __init__(self, training: TrainTab) -> None:
        self._training = training
        self.page = Page()
        self.what = QLabel()
        self.what.setWordWrap(True)
        self.page.add(self.what)
        self.search: ParameterForm[SearchParameters] = self.page.add(
            ParameterForm(SearchParameters(), suggested=SearchParameters(minutes=60.0)), section="Search"
        )
        self.table = Table(
            ("Trial", "State", "Value", "Tried"), "Pruned trials were worse than most and given up early"
        )
        self.page.add(self.table)
        self.take = button("Take the best values", "Put them into the Train tab", self._take)
        self.page.add(self.take)
        self.take.setEnabled(False)
        self.result: Any = None
        training.page.changed.connect(self._tell)
        training.recipe.currentTextChanged.connect(lambda _: self._tell())
        self._tell()

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        return self._training.problem() or self.page.problem()

    def show_result(self, result: Any) -> None:
        """Show what a search has found; None takes it away."""
        self.result = result
        self.take.setEnabled(result is not None)

    def _tell(self) -> None:
        recipe = self._training.base()
        self.what.setText(
            f"Searches for hyper-parameters of {recipe.name}, with the spectra and options of the Train tab. "
            "The first trial takes the recipe's own values."
        )

    def _take(self) -> None:
        if self.result is not None:
            self._training.take_values(self.result.recipe)


class AdaptTab:
    """Adaptation of a model to an unlabelled map.

    Parameters
    ----------
    dock
        The dock whose viewer's maps are offered.
    """

    title = "Adapt"
    action = "Adapt"

    def __init__(self, dock: Dock) -> None:
        self.page = Page()
        self.models = ModelChoice(dock)
        self.page.add(self.models, label="Model")
        self.maps = MapChoice(dock)
        self.page.add(self.maps, label="Map")
        self.missing = self.page.add(ErrorLabel())
        self.options: ParameterForm[AdaptationOptions] = self.page.add(
            ParameterForm(AdaptationOptions()), section="Adaptation", is_open=False
        )
        self.table = Table(
            ("Figure", "Before", "After", "Error"),
            "Held-out spectra are synthetic: they tell what was not lost, not what was won on the map",
        )
        self.page.add(self.table)
        self.models.chosen.connect(lambda _: self.page.changed.emit())
        self.maps.chosen.connect(lambda _: self.page.changed.emit())

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        if not self.models.model():
            return "Choose a model to adapt"
        if self.maps.layer() is None:
            return "Open the map that the model is to be adapted to"
        return self.page.problem()

    def cube(self) -> SpectralCube:
        """Return the chosen map.

        Raises
        ------
        InvalidInput
            When there is none.
        """
        cube = self.maps.cube()
        if cube is None:
            raise InvalidInput("no map is chosen", "Open a map of spectra")
        return cube


def trial_rows(reports: Sequence[Any], figure: str) -> tuple[list[tuple[str, ...]], int | None]:
    """Return (trial, state, figure, values) of each trial of a search, and which one is the best."""
    rows: list[tuple[str, ...]] = [
        (
            str(each.number + 1),
            str(each.state),
            "" if each.value is None else f"{each.value:.4g}",
            values_text(each.values),
        )
        for each in reports
    ]
    done = [(place, each.value) for place, each in enumerate(reports) if each.state == "complete"]
    scored = [(place, value) for place, value in done if value is not None]
    if not scored:
        return rows, None
    better = min if figure == "loss" else max
    return rows, better(scored, key=lambda entry: entry[1])[0]


def values_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return hyper-parameters as a line, ``"hidden 900, learning rate 0.002"``."""
    flat = {name: value for part in values.values() for name, value in part.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in flat.items()
    )


def adaptation_rows(result: Any) -> list[tuple[str, ...]]:
    """Return (figure, before, after, error) of an adaptation: on held-out spectra, then on the map."""
    rows: list[tuple[str, ...]] = [
        (
            f"{name.replace('_', ' ')}, held-out spectra",
            f"{change.before:.4f}",
            f"{change.after:.4f}",
            f"{change.standard_error:.4f}",
        )
        for name, change in result.figures.items()
    ]
    before, after = vars(result.before), vars(result.after)
    return rows + [
        (f"{name.replace('_', ' ')}, the map", f"{value:.4f}", f"{after[name]:.4f}", "")
        for name, value in before.items()
        if isinstance(value, int | float) and isinstance(after[name], int | float)
    ]
