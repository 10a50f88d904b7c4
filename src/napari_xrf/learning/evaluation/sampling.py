"""Samples to judge a model on, from a file or its own source, in the order of its outputs; and asking it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.sample import Sample, SpectrumPredictions
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.sources.sets import SpectrumSet
from napari_xrf.learning.sources.source import LabelledSpectra, Source, SourceSpec, held_out, make_source
from napari_xrf.learning.tasks.task import task_of
from napari_xrf.learning.training import TEST, generator_of

HELD_OUT = "held-out"
_MOST_LISTED = 8
_CLASSES_OF_SOURCE = {"minerals": "classes", "mineral-instruments": "minerals"}  # the option that names them


def predict_sample(
    model: Model,
    cube: SpectralCube,
    *,
    every_output: bool = False,
    calibrate: bool = False,
    conditions: NDArray[np.float32] | None = None,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> SpectrumPredictions:
    """Run a model and return its predictions spectrum by spectrum, with its task's decisions.

    ``every_output``: whether code and reconstructed spectrum are computed too. ``conditions``: of the
    spectra, as in :class:`~.sample.Sample`.
    """
    outputs = model.description.outputs if every_output else None
    found = predict(
        model,
        cube,
        outputs=outputs,
        calibrate=calibrate,
        conditions=conditions if model.description.conditions else None,
        device=device,
        progress=progress,
    )
    size = found.counts.size
    names = ("probability", "intensity", "code", "spectrum")
    given = {name: values.reshape(size, -1) for name in names if (values := getattr(found, name)) is not None}
    if found.unknown is not None:
        given["unknown"] = found.unknown.reshape(size)
    task = task_of(model.description.task)
    return task.decide(model.description, SpectrumPredictions(found.counts.reshape(size), **given))


def make_sample(
    model: Model, data: SpectrumSet | None, size: int, seed: int, progress: Progress = ignore_progress
) -> Sample:
    """Return the spectra of a file, or those held out of a model's own training, ready to be judged.

    Raises InvalidInput when the data are of another task, share no name with the model, or its source cannot
    be made again.
    """
    description = model.description
    if data is None:
        return draw_sample(source_of(description, progress), size, seed)
    if not description.names:
        return Sample(data.cube, dict(data.targets), data.source)
    if description.task != data.task:
        raise InvalidInput(
            f"{description.name} is judged on {description.task}, and the data hold {data.task}",
            "Choose data of its task",
        )
    targets, notes = align_targets(data.targets, data.names, description)
    return Sample(data.cube, targets, data.source, notes)


def draw_sample(source: Source, size: int, seed: int, stream: int | None = None) -> Sample:
    """Draw spectra that no training has seen from a source."""
    kept = held_out(source)
    batch = kept.draw(size, generator_of(seed, TEST if stream is None else stream))
    return sample_of(batch, kept.axis, f"{HELD_OUT} spectra of seed {seed}")


def sample_of(batch: LabelledSpectra, axis: EnergyAxis, source: str = "") -> Sample:
    """Return a batch as a sample."""
    counts: Any = batch.counts[:, np.newaxis, :]
    cube = SpectralCube(counts, axis, name="spectra")
    return Sample(cube, batch.targets, source, conditions=batch.conditions)


def source_of(description: ModelDescription, progress: Progress = ignore_progress, **changes: Any) -> Source:
    """Return the source that a model was trained on, with some of its options changed.

    Its mineral classes are the model's: formed anew they would follow what became of the library.

    Raises InvalidInput when the model does not say what it was trained on, or an option cannot be changed.
    """
    if not description.source_kind:
        raise InvalidInput(
            f"{description.name} does not say what it was trained on",
            "Take a model that does, or its spectra",
        )
    options = {**description.source_options, **changes}
    if description.source_kind in _CLASSES_OF_SOURCE and description.names:
        options[_CLASSES_OF_SOURCE[description.source_kind]] = list(description.names)
    return make_source(SourceSpec(description.source_kind, options), progress)


def align_targets(
    targets: Mapping[str, NDArray[Any]], names: Sequence[str], description: ModelDescription
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return targets by the model's names, and what the user should know, one sentence each.

    Names that the set does not know count as absent; minerals that the model does not know as "unknown".

    ``targets``, ``names``: of the set, as in :class:`~napari_xrf.learning.sources.sets.SpectrumSet`. Raises
    InvalidInput when set and model have no name in common.
    """
    if "label" in targets:
        return _align_classes(targets, names, description)
    position = {name: index for index, name in enumerate(names)}
    common = [name for name in description.names if name in position]
    _check_common(bool(common), "names", description)
    columns = [position.get(name, len(names)) for name in description.names]
    aligned = {
        key: np.pad(np.asarray(values, dtype=np.float32), ((0, 0), (0, 1)))[:, columns]
        for key, values in targets.items()
    }
    foreign = [name for name in names if name not in set(description.names)]
    notes = [f"the model does not know {_listed(foreign)} of the data"] if foreign else []
    missing = len(description.names) - len(common)
    if missing:
        notes.append(f"{missing} of the model's names never occur in the data")
    return aligned, tuple(notes)


def class_positions(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.intp]:
    """Return for each name the class that shares most members with it, len(classes) where none does.

    A name or a class may be a group, ``"quartz / opal"``.
    """
    members = [set(members_of(each)) for each in classes]
    places = []
    for name in names:
        shared = [len(set(members_of(name)) & each) for each in members]
        places.append(int(np.argmax(shared)) if any(shared) else len(classes))
    return np.array(places, dtype=np.intp)


def _align_classes(
    targets: Mapping[str, NDArray[Any]], names: Sequence[str], description: ModelDescription
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    unknown = len(description.names)
    position = class_positions(names, description.names)
    _check_common(bool((position < unknown).any()), "classes", description)
    # −1 is "nothing known", K of a source's own draws "unknown".
    label = np.asarray(targets["label"])
    aligned = {**targets, "label": np.where(label < 0, -1, np.append(position, unknown)[label])}
    foreign = [name for name, place in zip(names, position, strict=True) if place == unknown]
    notes = (f"the model does not know {_listed(foreign)}: they count as unknown",) if foreign else ()
    return aligned, notes


def _check_common(common: bool, what: str, description: ModelDescription) -> None:
    if not common:
        raise InvalidInput(
            f"none of the {what} of {description.name} stands in the data", "Choose another model or file"
        )


def _listed(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:_MOST_LISTED]), len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
