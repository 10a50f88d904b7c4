"""How a model's figures change with one property of the spectra, all others held."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.results import RobustnessCurve
from napari_xrf.learning.evaluation.sample import Sample
from napari_xrf.learning.evaluation.sampling import draw_sample, predict_sample, sample_of, source_of
from napari_xrf.learning.model import Model
from napari_xrf.learning.sources.source import LabelledSpectra
from napari_xrf.learning.tasks.task import task_of
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortion_values import DistortionValues

_FIXED_COUNTS = 10_000.0
_LINE_FWHM_KEV = 0.2  # of Bragg peaks on the coarse axis of line networks
_BRAGG_KEV = (3.0, 9.0)
_DEAD_FROM_KEV = 5.0


@dataclass(frozen=True)
class _Property:
    """Which values a property takes, and how the source is changed for one."""

    name: str
    unit: str
    values: tuple[float, ...]
    change: Callable[[float], dict[str, Any]]
    # (spectra, value, seed) → the spectra, where the source cannot make them
    alter: Callable[[Sample, float, int], Sample] | None = None


def robustness_curves(
    model: Model,
    *,
    names: Sequence[str] | None = None,
    size: int = 1000,
    seed: int = 0,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    progress: Progress = ignore_progress,
) -> tuple[RobustnessCurve, ...]:
    """Return a model's figure against counts, shifts, resolution, Bragg peaks and missing energies.

    The spectra are those of its training's source with that one distortion at a given size. The others
    are off, at 10 000 counts; against counts they are as in training. The figure is the task's; NaN where the
    model refuses to answer, as too little of its energies is recorded.

    ``names``: some of the properties; None takes all that the source knows. ``size``: spectra per point; the
    same seed gives each point the same samples. ``options``: of the source, in place of those of the model's
    training: so models that were trained on different spectra are shown the same ones. Raises InvalidInput
    when the model's source is none of lines, mixtures or minerals, or knows no such property.
    """
    description, task = model.description, task_of(model.description.task)
    known = _properties(description)
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise InvalidInput(f"there is no curve against {unknown[0]!r}", f"Use {', '.join(known)}")
    if task.score is None:
        raise InvalidInput(f"{description.name} has no figure for curves")
    if options is not None:
        source = {"kind": description.source_kind, "options": dict(options)}
        description = description.with_training(source=source)
    chosen = [known[name] for name in names or known]
    total = sum(len(each.values) for each in chosen)
    curves, done = [], 0
    for each in chosen:
        scores = []
        for value in each.values:
            progress(done, total, f"figure against {each.name}")
            sample = draw_sample(source_of(description, **each.change(value)), size, seed)
            if each.alter is not None:
                sample = each.alter(sample, value, seed)
            try:
                said = predict_sample(model, sample.cube, device=device)
            except InvalidInput:  # too little of its energies is left: it refuses to answer
                scores.append(math.nan)
            else:
                scores.append(task.score(said, sample.targets))
            done += 1
        curves.append(RobustnessCurve(each.name, each.unit, task.figure, each.values, tuple(scores)))
    progress(total, total, "figures")
    return tuple(curves)


def _properties(description: ModelDescription) -> dict[str, _Property]:
    kind = description.source_kind
    if kind == "lines":
        found = _line_properties()
    elif kind == "mixtures":
        found = _distortion_properties(lambda counts: {"counts": [counts, counts]}, {})
    elif kind == "minerals":
        only_known = {"stranger_share": 0.0, "mixed_share": 0.0}
        found = _distortion_properties(lambda counts: {"counts_range": [counts, counts]}, only_known)
    else:
        raise InvalidInput(
            f"{description.name} learnt from {kind or 'nothing known'}, which has no distortions to vary"
        )
    return {each.name: each for each in found}


def _distortion_properties(
    counts_of: Callable[[float], dict[str, Any]], always: dict[str, Any]
) -> tuple[_Property, ...]:
    fixed = {**always, **counts_of(_FIXED_COUNTS)}

    def alone(field: str, **more: Any) -> Callable[[float], dict[str, Any]]:
        return lambda value: {**fixed, "distortions": {field: [value, value], **more}}

    doses = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 100_000.0)
    shifts = (-60.0, -30.0, -15.0, 0.0, 15.0, 30.0, 60.0)
    gains = (-0.02, -0.01, -0.004, 0.0, 0.004, 0.01, 0.02)
    strengths = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
    bragg = alone("bragg_strength", bragg_share=1.0)
    return (
        _Property("counts", "", doses, lambda value: {**always, **counts_of(value)}),
        _Property("calibration shift", "eV", shifts, alone("offset_ev")),
        _Property("gain error", "", gains, alone("gain")),
        _Property("resolution", "× FWHM", (1.0, 1.1, 1.2, 1.35, 1.5), alone("width_factor")),
        _Property("Bragg peaks", "of the counts each", strengths, bragg),
        *_missing_energies({**fixed, "distortions": None}),
    )


def _line_properties() -> tuple[_Property, ...]:
    still: dict[str, Any] = {"distorted_axis": 0.0, "low_dose_share": 0.0}

    def counted(value: float) -> dict[str, Any]:
        return {"counts": int(value), "low_dose_share": 0.0}

    def shifted(value: float) -> dict[str, Any]:
        return {**still, "distorted_axis": 1.0, "axis_shift": value}

    def widened(value: float) -> dict[str, Any]:
        return {**still, "sigma_kev": [value, value]}

    doses = (300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0)
    widths = (0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25)
    shifts = (0.0, 0.01, 0.02, 0.03, 0.05)
    return (
        _Property("counts", "", doses, counted),
        _Property("calibration shift", "keV and relative, at most", shifts, shifted),
        _Property("resolution", "keV (σ)", widths, widened),
        _Property("Bragg peaks", "of the counts", (0.0, 0.01, 0.02, 0.05, 0.1), lambda _: still, _with_bragg),
        *_missing_energies(still),
    )


def _missing_energies(options: dict[str, Any]) -> tuple[_Property, ...]:
    ends, widths = (30.0, 20.0, 16.0, 12.0, 10.0, 8.0), (0.0, 0.5, 1.0, 2.0, 4.0)
    return (
        _Property("end of the spectrum", "keV", ends, lambda _: options, _cut_off),
        _Property(
            f"dead window from {_DEAD_FROM_KEV:g} keV", "keV wide", widths, lambda _: options, _deadened
        ),
    )


def _cut_off(sample: Sample, end: float, _: int) -> Sample:
    """Return spectra that end at an energy, keV: the rest was not recorded."""
    axis = sample.cube.energy
    kept = max(int((axis.edges[1:] <= end + 1e-6).sum()), 1)
    counts: Any = sample.cube.counts[..., :kept]
    return replace(sample, cube=replace(sample.cube, counts=counts, energy=replace(axis, size=kept)))


def _deadened(sample: Sample, width: float, _: int) -> Sample:
    """Return spectra without counts in a window of a width, keV."""
    counts: Any = np.array(sample.cube.counts)
    if width:
        counts[..., sample.cube.energy.window(_DEAD_FROM_KEV, _DEAD_FROM_KEV + width)] = 0
    return replace(sample, cube=replace(sample.cube, counts=counts))


def _with_bragg(sample: Sample, strength: float, seed: int) -> Sample:
    """Add one peak of no element, 3 to 9 keV, to spectra of a recipe that knows none."""
    size = sample.size
    energy = np.random.default_rng([seed, 7]).uniform(*_BRAGG_KEV, size=(size, 1))
    nothing = np.zeros((size, 2))
    values = DistortionValues(
        bragg_energy=np.hstack([energy, nothing]),
        bragg_strength=np.hstack([np.full((size, 1), strength), nothing]),
        bragg_width=np.zeros((size, 3)),
    )
    spectra = np.asarray(sample.spectra, dtype=np.float32)
    moved = distort(spectra, sample.cube.energy, values, lambda at: np.full(np.shape(at), _LINE_FWHM_KEV))
    return sample_of(LabelledSpectra(moved, sample.targets), sample.cube.energy, sample.source)
