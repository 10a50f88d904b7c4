"""The trials of a search: the study's file, the candidates, and the training of each.

Candidates come from a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011); trials whose best
figure lies below the median of the earlier ones at the same epoch are given up.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from napari_xrf.core.errors import Cancelled, FileError, InvalidInput, XrfError
from napari_xrf.core.progress import Progress
from napari_xrf.learning.registry import network_options
from napari_xrf.learning.search_space import Dimension, value_of
from napari_xrf.learning.sources.source import Source
from napari_xrf.learning.training import Epoch, train
from napari_xrf.learning.training_recipes import TrainingRecipe

STUDY = "study.sqlite3"
LOSS = "loss"
_RANDOM_TRIALS = 8  # before the estimator has something to go by, and before any is given up
_FIRST_EPOCHS = 2  # no trial is given up before


@dataclass(frozen=True)
class TrialReport:
    """What became of one trial.

    Attributes
    ----------
    number
        From 0.
    state
        ``"complete"``, ``"pruned"`` or ``"failed"``.
    value
        Best validation figure that it reached, or None.
    values
        What was tried: ``{"network": {…}, "options": {…}}``.
    best
        The best figure of all complete trials so far, or None.
    """

    number: int
    state: str
    value: float | None
    values: Mapping[str, Mapping[str, Any]]
    best: float | None


class _OutOfTime(Exception):
    """Ends a trial whose time is over."""


class _NoFigure(InvalidInput):
    """The figure that was asked for does not exist; no trial could have it."""


@dataclass(frozen=True, eq=False)
class Search:
    """One study on one recipe; the fields are as :func:`~napari_xrf.learning.tuning.tune` takes them.

    Attributes
    ----------
    deadline
        On :func:`time.monotonic`.
    """

    optuna: ModuleType
    study: Any
    recipe: TrainingRecipe
    space: tuple[Dimension, ...]
    seed: int
    figure: str
    device: str
    deadline: float
    trials: int
    progress: Progress
    source: Source

    @property
    def finished(self) -> int:
        """Complete, given-up and failed trials."""
        states = self.optuna.trial.TrialState
        ended = (states.COMPLETE, states.PRUNED)
        failed = [each for each in self.study.trials if each.user_attrs.get("error")]
        return len(self.study.get_trials(deepcopy=False, states=ended)) + len(failed)

    def run_one(self) -> TrialReport | None:
        """Train with the next candidate; None when time was over before it ended."""
        states = self.optuna.trial.TrialState
        # A sampler of its own for each trial: a search that was interrupted goes on as if it had not been.
        number = self.finished
        self.study.sampler = self.optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]),
            n_startup_trials=_RANDOM_TRIALS,
            multivariate=False,
        )
        trial = self.study.ask()
        drawn = {each.name: _suggest(trial, each) for each in self.space}
        values = _values(self.recipe, self.space, drawn)
        trial.set_user_attr("values", values)
        best = _Best(self.figure)
        try:
            train(
                with_values(self.recipe, values),
                seed=self.seed,
                device=self.device,
                source=self.source,
                progress=self._within(number),
                on_epoch=lambda epoch: self._judge(trial, epoch, best),
            )
        except self.optuna.TrialPruned:
            self.study.tell(trial, state=states.PRUNED)
            return self._report(trial.number, "pruned", best.value, values)
        except _OutOfTime:
            _repeat(self.study, states, trial.number)
            return None
        except (Cancelled, _NoFigure):
            _repeat(self.study, states, trial.number)
            raise
        except (XrfError, ArithmeticError, MemoryError, RuntimeError) as error:
            # Values that do not go together, or too large a network: the search goes on without them.
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=states.FAIL)
            return self._report(trial.number, "failed", None, values)
        if best.value is None or not math.isfinite(best.value):
            trial.set_user_attr("error", "no finite validation figure")
            self.study.tell(trial, state=states.FAIL)
            return self._report(trial.number, "failed", None, values)
        self.study.tell(trial, best.value)
        return self._report(trial.number, "complete", best.value, values)

    def _judge(self, trial: Any, epoch: Epoch, best: _Best) -> None:
        value = best.take(epoch)
        if math.isfinite(value):
            # The best so far, as the trial is judged by it in the end.
            trial.report(value if best.value is None else best.value, epoch.number)
            if trial.should_prune():
                raise self.optuna.TrialPruned
        if time.monotonic() > self.deadline:
            raise _OutOfTime

    def _within(self, number: int) -> Progress:
        def tell(done: int, total: int, what: str) -> None:
            scale = 1000
            here = round(scale * (number + done / max(total, 1)))
            self.progress(min(here, scale * self.trials), scale * self.trials, f"trial {number + 1}: {what}")

        return tell

    def _report(
        self, number: int, state: str, value: float | None, values: Mapping[str, Mapping[str, Any]]
    ) -> TrialReport:
        return TrialReport(number, state, value, values, best_value(self.study))


class _Best:
    """The best validation figure of a trial so far."""

    def __init__(self, figure: str) -> None:
        self.figure = figure
        self.value: float | None = None

    def take(self, epoch: Epoch) -> float:
        """Return an epoch's figure, and keep it when it is the best."""
        if self.figure == LOSS:
            value = float(epoch.validation_loss)
        elif self.figure in epoch.figures:
            value = float(epoch.figures[self.figure])
        else:
            there = ", ".join([LOSS, *epoch.figures])
            raise _NoFigure(f"there is no validation figure {self.figure!r}", f"Use one of {there}")
        better = min if self.figure == LOSS else max
        if math.isfinite(value):
            self.value = value if self.value is None else better(self.value, value)
        return value


def with_values(recipe: TrainingRecipe, values: Mapping[str, Mapping[str, Any]]) -> TrainingRecipe:
    """Return a recipe with other hyper-parameters.

    Raises
    ------
    InvalidInput
        When one is unknown or out of range.
    """
    network = {**recipe.network, **values.get("network", {})}
    network_options(recipe.architecture, dict(network))
    try:
        options = replace(recipe.options, **values.get("options", {}))
    except TypeError as error:
        raise InvalidInput(f"{recipe.name}: {error}") from error
    return replace(recipe, network=network, options=options)


def open_study(
    optuna: ModuleType,
    recipe: TrainingRecipe,
    folder: Path,
    space: tuple[Dimension, ...],
    seed: int,
    figure: str,
) -> Any:
    """Return the study of a folder, a new one where there is none.

    Its first candidate is the recipe's own values; what a kill interrupted is the next one.

    Raises
    ------
    FileError
        When the file cannot be used.
    InvalidInput
        When it holds another search.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / STUDY).resolve()
    about = json.loads(json.dumps(_about(recipe, space, seed, figure)))
    try:
        study = optuna.create_study(
            study_name=recipe.name,
            storage=f"sqlite:///{path}",
            load_if_exists=True,
            direction="minimize" if figure == LOSS else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_RANDOM_TRIALS, n_warmup_steps=_FIRST_EPOCHS),
        )
        before = study.user_attrs.get("about")
        summaries = optuna.get_all_study_names(storage=f"sqlite:///{path}")
    except Exception as error:  # whatever the data base says: the file is of no use
        raise FileError(path, f"holds no search ({error})", "Choose another folder") from error
    if before not in (None, about) or summaries != [recipe.name]:
        raise InvalidInput(
            f"{folder} holds another search (of another model, seed, figure or options)",
            "Choose another folder",
        )
    if before is None:
        study.set_user_attr("about", about)
        study.enqueue_trial(own_values(recipe, space))
    states = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        # What a kill left behind.
        _repeat(study, states, trial.number)
    return study


def _repeat(study: Any, states: Any, number: int) -> None:
    """Give up an interrupted trial and let its candidate be the next one."""
    stopped = study.trials[number]
    params = dict(stopped.params) or dict(stopped.system_attrs.get("fixed_params", {}))
    study.tell(number, state=states.FAIL)
    if params:
        study.enqueue_trial(params)


def _about(recipe: TrainingRecipe, space: tuple[Dimension, ...], seed: int, figure: str) -> dict[str, Any]:
    """Return all that two calls must have in common to go on with one search."""
    return {
        "recipe": recipe.name,
        "architecture": recipe.architecture,
        "source": {"kind": recipe.source.kind, "options": dict(recipe.source.options)},
        "preprocessing": asdict(recipe.preprocessing),
        "network": dict(recipe.network),
        "options": asdict(recipe.options),
        "space": [each.as_json() for each in space],
        "seed": seed,
        "figure": figure,
    }


def best_value(study: Any) -> float | None:
    """Return the best figure of the complete trials, or None without one."""
    try:
        return float(study.best_value)
    except ValueError:
        return None


def trial_reports(optuna: ModuleType, study: Any, figure: str) -> tuple[TrialReport, ...]:
    """Return what became of each trial that ended; an interrupted one has the number of its repetition."""
    states = optuna.trial.TrialState
    named = {states.COMPLETE: "complete", states.PRUNED: "pruned", states.FAIL: "failed"}
    better = min if figure == LOSS else max
    found: list[TrialReport] = []
    best: float | None = None
    for each in study.trials:
        interrupted = each.state == states.FAIL and not each.user_attrs.get("error")
        if each.state not in named or interrupted:
            continue
        reached = list(each.intermediate_values.values())
        value = each.value if each.state == states.COMPLETE else (better(reached) if reached else None)
        if each.state == states.COMPLETE:
            best = float(each.value) if best is None else better(best, float(each.value))
        values = each.user_attrs.get("values", {})
        found.append(TrialReport(each.number, named[each.state], value, values, best))
    return tuple(found)


def load_optuna() -> ModuleType:
    """Return optuna.

    Raises
    ------
    InvalidInput
        When it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InvalidInput(
            "a search for hyper-parameters needs optuna", 'Install it: pip install "napari-xrf[tune]"'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    module: ModuleType = optuna
    return module


def _suggest(trial: Any, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, list(dimension.choices))
    if dimension.whole:
        step = 1 if dimension.log else dimension.step
        return trial.suggest_int(name, int(low), int(high), step=step, log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def own_values(recipe: TrainingRecipe, space: tuple[Dimension, ...]) -> dict[str, Any]:
    """Return what a search must draw to get the recipe's own values; what it cannot draw is left to it."""
    found = {}
    for each in space:
        default = _default(recipe, each)
        if each.name == "network.widths":
            default = 1.0
        if default in each.choices if each.choices else each.low <= default <= each.high:
            found[each.name] = default
    return found


def _default(recipe: TrainingRecipe, dimension: Dimension) -> Any:
    place, _, name = dimension.name.partition(".")
    if place == "options":
        return getattr(recipe.options, name)
    return getattr(network_options(recipe.architecture, dict(recipe.network)), name)


def _values(
    recipe: TrainingRecipe, space: tuple[Dimension, ...], drawn: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {"network": {}, "options": {}}
    for each in space:
        place, _, name = each.name.partition(".")
        value = value_of(each, drawn[each.name], _default(recipe, each))
        values[place][name] = list(value) if isinstance(value, tuple) else value
    if "batch_size" in values["options"]:
        seen = recipe.options.steps_per_epoch * recipe.options.batch_size
        values["options"]["steps_per_epoch"] = max(1, round(seen / values["options"]["batch_size"]))
    return values
