"""Searches for hyper-parameters: an Optuna study, kept in a file and taken up where it stopped.

Akiba et al., KDD 2019 (arXiv:1907.10902); candidates by a tree-structured Parzen estimator (Bergstra et
al., NeurIPS 2011), trials below the median of the earlier ones at the same epoch are given up.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import held_folder, replacing, write_json
from napari_xrf.learning.registry import network_options
from napari_xrf.learning.sources.source import Source, make_source
from napari_xrf.learning.training_recipes import TrainingRecipe
from napari_xrf.learning.tuning.search_space import own_values, search_space, with_values
from napari_xrf.learning.tuning.trials import LOSS, Search, TrialReport

BEST = "best.json"


@dataclass(frozen=True, eq=False)
class TuningResult:
    """What a search found."""

    # recipe, values: the recipe with the best values, and them alone, as in best.json
    recipe: TrainingRecipe
    values: Mapping[str, Mapping[str, Any]]
    # figure, value, default: what was compared ("loss", the lower the better, or a validation figure, the
    # higher), the best one, and that of the recipe's own values, the first trial, or None where it did not
    # end
    figure: str
    value: float
    default: float | None
    # Share of the good trials' difference that each hyper-parameter explains, summing to 1, largest first
    # (PED-ANOVA: Watanabe et al., IJCAI 2023); empty with too few trials
    importance: Mapping[str, float]
    trials: tuple[TrialReport, ...]

    def table(self, most: int = 10) -> list[dict[str, Any]]:
        """Return the best complete trials as rows, best first."""
        sign = 1.0 if self.figure == LOSS else -1.0
        done = [each for each in self.trials if each.state == "complete" and each.value is not None]
        done.sort(key=lambda each: sign * float(each.value or 0.0))
        return [{"trial": each.number, self.figure: each.value, **_flat(each.values)} for each in done[:most]]


def tune(
    recipe: TrainingRecipe,
    folder: str | Path,
    *,
    trials: int = 30,
    timeout: float | None = None,
    seed: int = 0,
    figure: str = LOSS,
    choices: Mapping[str, tuple[Any, ...]] | None = None,
    device: str = "auto",
    source: Source | None = None,
    progress: Progress = ignore_progress,
    on_trial: Callable[[TrialReport], None] | None = None,
) -> TuningResult:
    """Search for hyper-parameters that train a recipe better.

    The first trial takes the recipe's own values, so that the best is never worse than they are under the
    same training. Everything is kept in ``study.sqlite3``; the same call again, after a kill too, repeats
    what was interrupted and goes on until ``trials`` are done. One process at a time works on a folder.

    Raises InvalidInput when optuna is not installed, the folder holds another search or one that runs, or no
    trial could be completed. Raises Cancelled when progress raises it; the trial is repeated in a next call.

    Parameters
    ----------
    recipe
        What is trained; its training options set how long each trial may take. Trials with larger batches
        take as many steps fewer, so that all see as many spectra.
    folder
        Made where it is missing; gets ``study.sqlite3``, ``best.json`` and ``trials.csv``.
    trials
        Complete and given-up trials together, those of earlier calls included.
    timeout
        Seconds after which no trial starts; a running one stops after its epoch and is repeated in a next
        call.
    seed
        Of the training of each trial, and of the choice of candidates.
    figure
        ``"loss"``, or one of the recipe's validation figures, which is then maximised.
    choices
        Values to choose from by name, ``{"network.hidden": (100, 900)}``, in place of the usual ranges.
    device, source
        As :func:`~napari_xrf.learning.training.train` takes them.
    progress, on_trial
        Told after each step, and after each trial.
    """
    if trials < 1:
        raise InvalidInput(f"a search needs at least 1 trial, not {trials}")
    space = search_space(network_options(recipe.architecture, dict(recipe.network)), recipe.options, choices)
    if recipe.architecture == "pca":
        raise InvalidInput(f"{recipe.name} has nothing to tune")
    with held_folder(folder, "search") as place:
        search = Search(recipe, place, space, seed, figure)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        drawn = source or make_source(recipe.source, progress)
        while (done := search.finished()) < trials and time.monotonic() < deadline:
            progress(done, trials, "searching")
            report = search.run_one(drawn, device, deadline, trials, progress)
            if report is None:
                break
            if on_trial is not None:
                on_trial(report)
        result = _result(search)
        _write(result, place)
        return result


def _result(search: Search) -> TuningResult:
    study, recipe, reports = search.study, search.recipe, search.reports()
    if not any(each.state == "complete" for each in reports):
        errors = [each.user_attrs["error"] for each in study.trials if each.user_attrs.get("error")]
        reason = f" ({errors[-1]})" if errors else ""
        raise InvalidInput(
            f"no trial of {recipe.name} was completed{reason}", "Give it more time or other options"
        )
    values, own = study.best_trial.user_attrs["values"], own_values(recipe, search.space)
    same = [each for each in study.trials if each.value is not None and each.params == own]
    return TuningResult(
        with_values(recipe, values),
        values,
        search.figure,
        float(study.best_trial.value),
        float(same[0].value) if same else None,
        _importance(search.optuna, study),
        reports,
    )


def _importance(optuna: ModuleType, study: Any) -> dict[str, float]:
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < 4:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {}
    return {name: float(value) for name, value in sorted(found.items(), key=lambda item: -item[1])}


def _write(result: TuningResult, folder: Path) -> None:
    import pandas as pd

    best = {
        "recipe": result.recipe.name,
        **{part: dict(result.values[part]) for part in ("network", "options")},
        "figure": result.figure,
        "value": result.value,
        "of_the_recipe": result.default,
        "trials": len(result.trials),
        "importance": dict(result.importance),
    }
    write_json(folder / BEST, best)
    rows = [
        {"trial": each.number, "state": each.state, result.figure: each.value, **_flat(each.values)}
        for each in result.trials
    ]
    with replacing(folder / "trials.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _flat(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{place}.{name}": value for place, part in values.items() for name, value in part.items()}
