"""The trials of a search: the study's file, the candidates, and the training of each."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.core.errors import Cancelled, FileError, InvalidInput, XrfError
from napari_xrf.core.extras import optional_package
from napari_xrf.core.progress import Progress
from napari_xrf.learning.sources.source import Source
from napari_xrf.learning.training import Epoch, train
from napari_xrf.learning.training_recipes import TrainingRecipe
from napari_xrf.learning.tuning.search_space import Dimension, drawn_values, own_values, with_values

STUDY = "study.sqlite3"
LOSS = "loss"
_RANDOM_TRIALS = 8  # before the estimator has something to go by, and before any is given up
_FIRST_EPOCHS = 2  # no trial is given up before
_PROGRESS_STEPS = 1000  # of a trial


@dataclass(frozen=True)
class TrialReport:
    """What became of one trial."""

    number: int  # from 0
    state: str  # "complete", "pruned" or "failed"
    value: float | None  # best validation figure that it reached
    values: Mapping[str, Mapping[str, Any]]  # what was tried: {"network": {…}, "options": {…}}
    best: float | None  # figure of all complete trials so far


class _OutOfTime(Exception):
    """Ends a trial whose time is over."""


class _NoFigure(InvalidInput):
    """The figure that was asked for does not exist; no trial could have it."""


@dataclass(eq=False)
class Search:
    """One study on one recipe, in a folder; see :func:`~napari_xrf.learning.tuning.search.tune`.

    Its first candidate is the recipe's own values; what a kill interrupted is the next one. Raises FileError
    when the study's file cannot be used. Raises InvalidInput when it holds another search, or optuna is not
    installed.
    """

    recipe: TrainingRecipe
    folder: Path
    space: tuple[Dimension, ...]
    seed: int
    figure: str

    def __post_init__(self) -> None:
        self.optuna = optional_package("optuna", "tune")
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.states = self.optuna.trial.TrialState
        self.better = min if self.figure == LOSS else max
        self.study = self._open()
        for trial in self.study.get_trials(deepcopy=False, states=(self.states.RUNNING,)):
            self._repeat(trial.number)  # what a kill left behind

    def finished(self) -> int:
        """Return how many trials were completed, given up or failed."""
        return len(self.reports())

    def reports(self) -> tuple[TrialReport, ...]:
        """Return what became of each trial that ended; interrupted ones count where they were repeated."""
        named = {self.states.COMPLETE: "complete", self.states.PRUNED: "pruned", self.states.FAIL: "failed"}
        found: list[TrialReport] = []
        best: float | None = None
        for each in self.study.trials:
            interrupted = each.state == self.states.FAIL and not each.user_attrs.get("error")
            if each.state not in named or interrupted:
                continue
            reached = list(each.intermediate_values.values())
            value = self.better(reached) if reached else None
            if each.state == self.states.COMPLETE:
                value = float(each.value)
                best = value if best is None else self.better(best, value)
            values = each.user_attrs.get("values", {})
            found.append(TrialReport(each.number, named[each.state], value, values, best))
        return tuple(found)

    def run_one(
        self, source: Source, device: str, deadline: float, trials: int, progress: Progress
    ) -> TrialReport | None:
        """Train with the next candidate; None when time (:func:`time.monotonic`) was over before it ended."""
        # A sampler of its own for each trial: a search that was interrupted goes on as if it had not been.
        number = self.finished()
        self.study.sampler = self.optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]),
            n_startup_trials=_RANDOM_TRIALS,
            multivariate=False,
        )
        trial = self.study.ask()
        drawn = {each.name: each.draw(trial) for each in self.space}
        values = drawn_values(self.recipe, self.space, drawn)
        trial.set_user_attr("values", values)
        reached: list[float] = []

        def judge(epoch: Epoch) -> None:
            value = self._value_of(epoch)
            if math.isfinite(value):
                reached.append(value)
                # The best so far, as the trial is judged by it in the end.
                trial.report(self.better(reached), epoch.number)
                if trial.should_prune():
                    raise self.optuna.TrialPruned
            if time.monotonic() > deadline:
                raise _OutOfTime

        def tell(done: int, total: int, what: str) -> None:
            here = round(_PROGRESS_STEPS * (number + done / max(total, 1)))
            most = _PROGRESS_STEPS * trials
            progress(min(here, most), most, f"trial {number + 1}: {what}")

        try:
            recipe = with_values(self.recipe, values)
            train(recipe, seed=self.seed, device=device, source=source, progress=tell, on_epoch=judge)
            if not reached:
                raise InvalidInput("no finite validation figure")
            self.study.tell(trial, self.better(reached))
        except self.optuna.TrialPruned:
            self.study.tell(trial, state=self.states.PRUNED)
        except _OutOfTime:
            self._repeat(trial.number)
            return None
        except (Cancelled, _NoFigure):
            self._repeat(trial.number)
            raise
        except (XrfError, ArithmeticError, MemoryError, RuntimeError) as error:
            # Values that do not go together, or too large a network: the search goes on without them.
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=self.states.FAIL)
        return next(each for each in self.reports() if each.number == trial.number)

    def _open(self) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = (self.folder / STUDY).resolve()
        storage, optuna = f"sqlite:///{path}", self.optuna
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_RANDOM_TRIALS, n_warmup_steps=_FIRST_EPOCHS)
        about = json.loads(json.dumps(self._about()))
        try:
            study = optuna.create_study(
                study_name=self.recipe.name,
                storage=storage,
                load_if_exists=True,
                direction="minimize" if self.figure == LOSS else "maximize",
                pruner=pruner,
            )
            before, names = study.user_attrs.get("about"), optuna.get_all_study_names(storage=storage)
        except Exception as error:  # whatever the data base says: the file is of no use
            raise FileError(path, f"holds no search ({error})", "Choose another folder") from error
        if before not in (None, about) or names != [self.recipe.name]:
            raise InvalidInput(
                f"{self.folder} holds another search (of another model, seed, figure or options)",
                "Choose another folder",
            )
        if before is None:
            study.set_user_attr("about", about)
            study.enqueue_trial(own_values(self.recipe, self.space))
        return study

    def _about(self) -> dict[str, Any]:
        """Return all that two calls must have in common to go on with one search."""
        recipe = self.recipe
        return {
            "recipe": recipe.name,
            "architecture": recipe.architecture,
            "source": {"kind": recipe.source.kind, "options": dict(recipe.source.options)},
            "preprocessing": asdict(recipe.preprocessing),
            "network": dict(recipe.network),
            "options": asdict(recipe.options),
            "space": [each.as_json() for each in self.space],
            "seed": self.seed,
            "figure": self.figure,
        }

    def _repeat(self, number: int) -> None:
        """Give up an interrupted trial and let its candidate be the next one."""
        stopped = self.study.trials[number]
        params = dict(stopped.params) or dict(stopped.system_attrs.get("fixed_params", {}))
        self.study.tell(number, state=self.states.FAIL)
        if params:
            self.study.enqueue_trial(params)

    def _value_of(self, epoch: Epoch) -> float:
        figures = {LOSS: epoch.validation_loss, **epoch.figures}
        if self.figure not in figures:
            raise _NoFigure(
                f"there is no validation figure {self.figure!r}", f"Use one of {', '.join(figures)}"
            )
        return float(figures[self.figure])
