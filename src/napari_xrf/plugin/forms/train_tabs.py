"""The tabs of the Train dock: train a recipe, tune it, adapt a model to a map, train for paintings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QComboBox

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.painting.options import PaintingTraining
from napari_xrf.learning.training_recipes import RECIPES, TrainingOptions, TrainingRecipe
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.map_choice import MapChoice
from napari_xrf.plugin.forms.model_choice import ModelChoice
from napari_xrf.plugin.forms.page import Page
from napari_xrf.plugin.forms.parameter_form import ParameterForm
from napari_xrf.plugin.forms.parts import button, expanding, wrapped
from napari_xrf.plugin.forms.recipe_choices import NetworkChoice, RegionsChoice, SyntheticChoice
from napari_xrf.plugin.forms.tables import Table
from napari_xrf.plugin.jobs.training import SearchParameters

_FIRST = "mineral-cnn"  # learns from regions too, and trains in minutes


class TrainTab(Page):
    """Which network learns what, and how long.

    ``dock``: the dock whose viewer's maps and labels can be learned.
    """

    title = action = "Train"

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.recipe = expanding(QComboBox())
        for name, each in RECIPES.items():
            self.recipe.addItem(name)
            self.recipe.setItemData(self.recipe.count() - 1, each.summary, 3)  # Qt.ToolTipRole
        self.add(self.recipe, label="Recipe")
        self.summary = self.add(wrapped())
        self.network: NetworkChoice = self.add(NetworkChoice(), label="Network")
        self.regions: RegionsChoice = self.add(RegionsChoice(dock), section="Own regions")
        self.synthetic: SyntheticChoice = self.add(
            SyntheticChoice(), section="Synthetic spectra", is_open=False
        )
        self.options: ParameterForm[TrainingOptions] = self.add(
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

        Raises InvalidInput when a value is wrong.
        """
        recipe = replace(self.base(), network=self.network.value(), options=self.options.value())
        return recipe if self.regions.alone else self.synthetic.applied_to(recipe)

    def take_values(self, recipe: TrainingRecipe) -> None:
        """Take the network and the options that a search has found; the number of epochs stays."""
        epochs = self.options.value().epochs
        self.recipe.setCurrentText(recipe.name)
        self._show(replace(recipe, options=replace(recipe.options, epochs=epochs)), tuned=True)

    def _choose(self) -> None:
        recipe = self.base()
        self._show(recipe, tuned=False)
        self.regions.show_for(recipe)
        self.synthetic.show_for(recipe)
        self._show_parts()

    def _show(self, recipe: TrainingRecipe, *, tuned: bool) -> None:
        self.network.show_value(recipe.network)
        self.options.show_value(recipe.options)
        told = recipe.summary[:1].upper() + recipe.summary[1:]
        self.summary.setText(told + ". Tuned: the search's best values stand below" * tuned)

    def _show_parts(self) -> None:
        # What is not learned is not asked for, and cannot be wrong.
        self.synthetic.setEnabled(not self.regions.alone)


class TuneTab(Page):
    """A search for hyper-parameters of the recipe that the first tab shows."""

    title, action = "Tune", "Search"

    def __init__(self, training: TrainTab) -> None:
        super().__init__()
        self._training = training
        self.what = self.add(wrapped())
        self.search: ParameterForm[SearchParameters] = self.add(
            ParameterForm(SearchParameters(), suggested=SearchParameters(minutes=60.0)), section="Search"
        )
        self.table: Table = self.add(
            Table(
                ("Trial", "State", "Value", "Tried"), "Pruned trials were worse than most and given up early"
            )
        )
        self.take = self.add(button("Take the best values", "Put them into the Train tab", self._take))
        self.show_result(None)
        training.recipe.currentTextChanged.connect(lambda _: self._tell())
        self._tell()

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        return self._training.problem() or super().problem()

    def show_result(self, result: Any) -> None:
        """Show what a search has found; None takes it away."""
        self.result = result
        self.take.setEnabled(result is not None)

    def show_trials(self, reports: Sequence[Any]) -> None:
        """Show what became of the trials of a search."""
        rows, best = trial_rows(reports, self.search.value().figure)
        self.table.show_rows(rows, () if best is None else (best,))
        if best is not None:
            self.table.scrollToItem(self.table.item(best, 0))

    def _tell(self) -> None:
        self.what.setText(
            f"Searches for hyper-parameters of {self._training.base().name}, with the spectra and options of "
            "the Train tab. The first trial takes the recipe's own values."
        )

    def _take(self) -> None:
        if self.result is not None:
            self._training.take_values(self.result.recipe)


class AdaptTab(Page):
    """Adaptation of a model to an unlabelled map.

    ``dock``: the dock whose viewer's maps are offered.
    """

    title = action = "Adapt"

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.models: ModelChoice = self.add(ModelChoice(dock), label="Model")
        self.maps: MapChoice = self.add(MapChoice(dock), label="Map")
        self.options: ParameterForm[AdaptationOptions] = self.add(
            ParameterForm(AdaptationOptions()), section="Adaptation", is_open=False
        )
        self.table: Table = self.add(
            Table(
                ("Figure", "Before", "After", "Error"),
                "Held-out spectra are synthetic: they tell what was not lost, not what was won on the map",
            )
        )
        for choice in (self.models, self.maps):
            choice.chosen.connect(lambda _: self.changed.emit())

    def problem(self) -> str:
        """Return what is wrong or missing, or an empty text."""
        if not self.models.model():
            return "Choose a model to adapt"
        if self.maps.layer() is None:
            return "Open the map that the model is to be adapted to"
        return super().problem()

    def cube(self) -> SpectralCube:
        """Return the chosen map.

        Raises InvalidInput when there is none.
        """
        cube = self.maps.cube()
        if cube is None:
            raise InvalidInput("no map is chosen", "Open a map of spectra")
        return cube


class PaintingsTab(Page):
    """The painting generator, which chooses pigments for the colours of a picture."""

    title, action = "Paintings", "Train"

    def __init__(self) -> None:
        super().__init__()
        self.add(
            wrapped(
                "A generator of paintings: which pigments a painter may have mixed for a colour. Generate "
                "synthetic data takes it under Painting, with learned weighting. Trained on the processor."
            )
        )
        self.options: ParameterForm[PaintingTraining] = self.add(
            ParameterForm(PaintingTraining(), skip=("supports",)), section="Training"
        )


def trial_rows(reports: Sequence[Any], figure: str) -> tuple[list[tuple[str, ...]], int | None]:
    """Return (trial, state, figure, values) of each trial of a search, and which one is the best."""
    rows: list[tuple[str, ...]] = []
    scored: list[tuple[float, int]] = []
    for place, each in enumerate(reports):
        value = "" if each.value is None else f"{each.value:.4g}"
        rows.append((str(each.number + 1), str(each.state), value, values_text(each.values)))
        if each.state == "complete" and each.value is not None:
            scored.append((each.value if figure == "loss" else -each.value, place))
    return rows, min(scored)[1] if scored else None


def values_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return hyper-parameters as a line, ``"hidden 900, learning rate 0.002"``."""
    flat = {name: value for part in values.values() for name, value in part.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in flat.items()
    )


def adaptation_rows(result: Any) -> list[tuple[str, ...]]:
    """Return (figure, before, after, error) of an adaptation: on held-out spectra, then on the map."""
    from napari_xrf.learning.adaptation.figures import judged_on

    rows = [
        (f"{name}, {judged_on(name)}", change.before, change.after, f"{change.standard_error:.4f}")
        for name, change in result.figures.items()
    ]
    before, after = vars(result.before), vars(result.after)
    rows += [
        (f"{name}, the map", value, after[name], "")
        for name, value in before.items()
        if isinstance(value, int | float) and isinstance(after[name], int | float)
    ]
    return [(row[0].replace("_", " "), f"{row[1]:.4f}", f"{row[2]:.4f}", row[3]) for row in rows]
