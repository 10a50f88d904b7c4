"""Adaptation of a model to a user's map without labels.

The network learns on from its own labelled synthetic spectra while its penultimate features of the map's
spectra are brought together with theirs, by the distance of their moments (Deep CORAL, Sun & Saenko,
arXiv:1607.01719) or by a classifier of their origin with reversed gradient (Ganin et al., J. Mach. Learn.
Res. 17 (2016) 59), and while its predictions for the map have to stay the same under other calibrations,
resolutions and doses, and become sure.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import made_folder, write_json
from napari_xrf.learning.adaptation.figures import (
    FigureChange,
    MapFigures,
    compare,
    find_gain,
    judged_on,
    map_likelihood,
    run,
    scores,
)
from napari_xrf.learning.adaptation.options import AdaptationOptions
from napari_xrf.learning.adaptation.recordings import sample_map
from napari_xrf.learning.adaptation.steps import FineTuning
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.sampling import source_of
from napari_xrf.learning.model import Model, choose_device
from napari_xrf.learning.sources.source import Source, held_out
from napari_xrf.learning.training_loop import TrainingStep, run_steps
from napari_xrf.learning.weights import save_model

_SHARES = (1.0, 0.75, 0.5, 0.25)

__all__ = ["AdaptationOptions", "AdaptationResult", "adapt"]


@dataclass(frozen=True, eq=False)
class AdaptationResult:
    """An adapted model, and what speaks for it."""

    model: Model  # the adapted one, or the original where it was not kept
    # Of the held-out spectra, before and after; they are synthetic: they tell what was not lost, not what was
    # won on the map. "likelihood" is of the map's own spectra, see map_likelihood
    figures: Mapping[str, FigureChange]
    # before, after: figures on the map, of the original and of the adapted weights, kept or not
    before: MapFigures
    after: MapFigures
    pixels: int  # of the map, that were looked at
    # How far the weights went from the original ones, 0, to the adapted ones, 1, without a figure on the
    # held-out spectra falling beyond the tolerance
    share: float = 1.0
    # By how much the map's energies were found to be stretched; 0 where that was not looked for
    gain: float = 0.0
    notes: tuple[str, ...] = ()  # what the user should know, one sentence each

    @property
    def kept(self) -> bool:
        """Whether adapted weights were kept, all the way or a part of it."""
        return self.share > 0

    def as_json(self) -> dict[str, Any]:
        """Return all but the model as JSON takes it."""
        return {
            "model": self.model.description.name,
            "kept": self.kept,
            "held_out": {name: asdict(change) for name, change in self.figures.items()},
            "map": {"before": asdict(self.before), "after": asdict(self.after)},
            "pixels": self.pixels,
            "share": self.share,
            "gain": self.gain,
            "notes": list(self.notes),
        }


def adapt(
    model: Model,
    cube: SpectralCube,
    folder: str | Path | None = None,
    *,
    seed: int = 0,
    options: AdaptationOptions | None = None,
    source: Source | None = None,
    device: str = "auto",
    progress: Progress = ignore_progress,
    on_step: Callable[[TrainingStep], None] | None = None,
) -> AdaptationResult:
    """Adapt a model to a map whose truth is not known.

    Each spectrum of the map is brought together with a labelled one that holds what the model sees in it,
    so that a map of three minerals is not made to look like forty. Figures on held-out labelled spectra,
    the same for the same seed, and how well a mineral model's names explain the map are compared before and
    after; where one fell by more than ``tolerance`` standard errors of its change, the weights go back
    towards the original ones, in steps of a quarter of the way (between fine-tuned and original weights lie
    ones that are good on both: Wortsman et al., arXiv:2109.01903); where no step will do, the original is
    returned and ``kept`` is False.

    Raises InvalidInput when the model decides nothing (task "spectra") or does not say what it was trained
    on, the source has other names or another axis, or the map has too few counts.

    Parameters
    ----------
    model
        For lines, elements or minerals; it stays as it is.
    cube
        The map, on any energy axis. It is read once; at most ``pixels`` of its spectra stay in memory.
    folder
        Where ``model.safetensors`` and ``adaptation.json`` go; None writes nothing.
    seed
        Of all choices; on one machine the same seed gives the same model.
    source
        Labelled spectra; by default those of the model's own training.
    """
    chosen, description = options or AdaptationOptions(), model.description
    labelled = _labelled(description, source, progress)
    spectra = sample_map(cube, description, most=chosen.pixels, seed=seed, progress=progress)
    where = choose_device(device)
    held = _judging(labelled).draw(chosen.held_out, np.random.default_rng([seed, 7]))
    original = Model(description, copy.deepcopy(model.network).to(where))

    def judge(each: Model) -> dict[str, NDArray[np.float64]]:
        figures = scores(each.description, run(each, held.counts, where), held.targets)
        return figures | map_likelihood(each, spectra, where)

    first = judge(original)
    torch.manual_seed(seed)
    gain = 0.0
    if chosen.search_gain and description.task == "minerals":
        gain = find_gain(original, spectra, where, reach=chosen.search_gain, seed=seed, progress=progress)
    tuning = FineTuning(original, labelled, spectra, chosen, where, seed, gain)
    before = tuning.map_figures(original)
    for step in run_steps(tuning.step, chosen.steps, phase="adapting", progress=progress):
        if on_step is not None:
            on_step(step)
    progress(chosen.steps, chosen.steps, "judging")
    fitting = _judging(labelled).draw(chosen.held_out, np.random.default_rng([seed, 8]))
    adapted, figures, worse, share = _furthest(
        lambda share: tuning.calibrated(fitting, share), lambda each: compare(first, judge(each)), chosen
    )
    after = tuning.map_figures(adapted)
    kept = model if worse else adapted
    result = AdaptationResult(
        Model(kept.description, copy.deepcopy(kept.network).cpu().eval()),
        figures,
        before,
        after,
        len(spectra),
        share,
        gain,
    )
    result = replace(result, notes=_notes(result, worse))
    if not worse:
        story = {"map": cube.name, "seed": seed, "options": asdict(chosen), **result.as_json()}
        result = replace(
            result, model=result.model.with_description(adapted.description.with_training(adaptation=story))
        )
    if folder is not None:
        save_model(made_folder(folder) / "model.safetensors", result.model)
        write_json(Path(folder) / "adaptation.json", result.as_json())
    return result


def _labelled(description: ModelDescription, source: Source | None, progress: Progress) -> Source:
    """Return the labelled spectra that a model is held to: those given, or of its own training."""
    if description.task == "spectra":
        raise InvalidInput(
            f"{description.name} decides nothing that could be adapted", "Train it on the map's kind"
        )
    labelled = source_of(description, progress) if source is None else source
    if labelled.names != description.names or labelled.axis != description.axis:
        raise InvalidInput(f"the labelled spectra are not those of {description.name}", "Give its own source")
    return labelled


def _furthest(
    adapted_by: Callable[[float], Model],
    judge: Callable[[Model], Mapping[str, FigureChange]],
    options: AdaptationOptions,
) -> tuple[Model, Mapping[str, FigureChange], list[str], float]:
    """Return the model furthest from the original one of which no figure is worse, and what it is like.

    Behind it stand its figures, those that are worse, and its share of the way; where all shares make one
    worse, the last of them and 0.
    """
    for share in _SHARES:
        adapted = adapted_by(share)
        figures = judge(adapted)
        worse = [name for name, change in figures.items() if change.is_worse(options.tolerance)]
        if not worse:
            return adapted, figures, worse, share
    return adapted, figures, worse, 0.0


def _judging(source: Source) -> Source:
    """Return the source of spectra that no training has seen or was judged by, as far as there is one."""
    return getattr(source, "test", None) or held_out(source)


def _notes(result: AdaptationResult, worse: list[str]) -> tuple[str, ...]:
    figures, before, after, share = result.figures, result.before, result.after, result.share
    notes = [
        f"the {name} on {judged_on(name)} fell from {figures[name].before:.4f} to {figures[name].after:.4f}, "
        "more than its error allows: the original weights are kept"
        for name in worse
    ]
    if 0 < share < 1:
        notes.append(
            f"what judges it allows {100 * share:.0f} % of the way from the original to the adapted weights"
        )
    if not worse and after.distance > before.distance and after.entropy > before.entropy:
        notes.append("on the map the features lie no closer and decisions are no surer than before")
    if result.gain:
        notes.append(
            f"the map's energies look {100 * result.gain:+.1f} % off: calibrating it helps every method"
        )
    return tuple(notes)
