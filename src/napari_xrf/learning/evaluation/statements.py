"""A model's statements on spectra whose truth is known, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.targets import align_targets
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction import Prediction, predict
from napari_xrf.learning.prediction_views import thresholds_of
from napari_xrf.learning.sources.sets import SpectrumSet
from napari_xrf.learning.sources.source import LabelledSpectra, Source, SourceSpec, held_out, make_source

HELD_OUT = "held-out"
LEAST_PROBABILITY = 0.5  # of a mineral; below it a pixel is unknown, as in label maps


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra and the truth of them in the order of a model's outputs.

    Attributes
    ----------
    cube
        (Y, X, E) spectra.
    targets
        As in :class:`~napari_xrf.learning.sources.source.LabelledSpectra`, of N = Y·X spectra.
    source
        Where they come from.
    notes
        What the user should know, one sentence each.
    """

    cube: SpectralCube
    targets: Mapping[str, NDArray[Any]]
    source: str
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """N."""
        return self.cube.map_shape[0] * self.cube.map_shape[1]

    @property
    def is_map(self) -> bool:
        """Whether the spectra are the pixels of an image."""
        return min(self.cube.map_shape) > 1

    @property
    def spectra(self) -> NDArray[np.generic]:
        """(N, E) counts."""
        return np.asarray(self.cube.counts).reshape(self.size, -1)

    def first(self, number: int) -> Sample:
        """Return the first spectra of a list; a map stays whole."""
        if self.is_map or number >= self.size:
            return self
        counts: Any = self.spectra[:number, np.newaxis, :]
        targets = {name: values[:number] for name, values in self.targets.items()}
        return replace(self, cube=replace(self.cube, counts=counts, live_time=None), targets=targets)


@dataclass(frozen=True, eq=False)
class Statements:
    """What a model says of N spectra.

    Attributes
    ----------
    probability
        (N, K) of presence, or of each mineral class; None where the model names nothing.
    named
        (N, K) decisions on presence.
    classes, confidence
        (N,) mineral class given, K for unknown, and the probability of what was given.
    best
        (N,) most probable mineral class, unknown aside.
    unknown
        (N,) probability that it is none of the classes.
    intensity
        (N, K) net counts.
    code, spectrum
        (N, L) and (N, E).
    counts
        (N,) on the model's axis.
    """

    probability: NDArray[np.float32] | None
    named: NDArray[np.bool_] | None
    classes: NDArray[np.intp] | None
    confidence: NDArray[np.float32] | None
    best: NDArray[np.intp] | None
    unknown: NDArray[np.float32] | None
    intensity: NDArray[np.float32] | None
    code: NDArray[np.float32] | None
    spectrum: NDArray[np.float32] | None
    counts: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def state(
    model: Model,
    cube: SpectralCube,
    *,
    every_output: bool = False,
    calibrate: bool = False,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> Statements:
    """Run a model and return its statements spectrum by spectrum, with its thresholds applied.

    Parameters
    ----------
    every_output
        Whether code and reconstructed spectrum are computed too.
    """
    description = model.description
    outputs = description.outputs if every_output else None
    found = predict(model, cube, outputs=outputs, calibrate=calibrate, device=device, progress=progress)
    size = found.map_shape[0] * found.map_shape[1]

    def flat(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        return None if values is None else values.reshape(size, -1)

    probability = flat(found.probability)
    named = None
    if probability is not None and description.task != "minerals":
        named = probability >= thresholds_of(description)
    classes, confidence, best = _decide(found, probability, size)
    return Statements(
        probability,
        named,
        classes,
        confidence,
        best,
        None if found.unknown is None else found.unknown.reshape(size),
        flat(found.intensity),
        flat(found.code),
        flat(found.spectrum),
        found.counts.reshape(size),
    )


def make_sample(
    model: Model,
    data: SpectrumSet | None,
    size: int,
    seed: int,
    progress: Progress = ignore_progress,
) -> Sample:
    """Return the spectra of a file, or those held out of a model's own training, ready to be judged.

    Raises
    ------
    InvalidInput
        When the data are of another task, share no name with the model, or its source cannot be made again.
    """
    description = model.description
    if data is None:
        return draw_sample(source_of(description, progress), size, seed)
    if description.task not in (data.task, "spectra"):
        raise InvalidInput(
            f"{description.name} is judged on {description.task}, and the data hold {data.task}",
            "Choose data of its task",
        )
    if description.task == "spectra":
        return Sample(data.cube, dict(data.targets), data.source)
    targets, notes = align_targets(data.targets, data.names, description)
    return Sample(data.cube, targets, data.source, notes)


def draw_sample(source: Source, size: int, seed: int, stream: int | None = None) -> Sample:
    """Draw spectra that no training has seen from a source."""
    from napari_xrf.learning.training import TEST, generator_of

    kept = held_out(source)
    batch = kept.draw(size, generator_of(seed, TEST if stream is None else stream))
    return sample_of(batch, kept.axis, f"{HELD_OUT} spectra of seed {seed}")


def sample_of(
    batch: LabelledSpectra, axis: EnergyAxis, source: str, excitation: Excitation | None = None
) -> Sample:
    """Return a batch as a sample."""
    counts: Any = batch.counts[:, np.newaxis, :]
    cube = SpectralCube(counts, axis, name="spectra", excitation=excitation or Excitation())
    return Sample(cube, batch.targets, source)


def source_of(description: ModelDescription, progress: Progress = ignore_progress, **changes: Any) -> Source:
    """Return the source that a model was trained on, with some of its options changed.

    Raises
    ------
    InvalidInput
        When the model does not say what it was trained on, or an option cannot be changed.
    """
    stored = description.training.get("source")
    if not isinstance(stored, Mapping) or "kind" not in stored:
        raise InvalidInput(
            f"{description.name} does not say what it was trained on", "Evaluate it on a file with truth"
        )
    options = {**dict(stored.get("options", {})), **changes}
    return make_source(SourceSpec(str(stored["kind"]), options), progress)


def _decide(
    found: Prediction, probability: NDArray[np.float32] | None, size: int
) -> tuple[NDArray[np.intp] | None, NDArray[np.float32] | None, NDArray[np.intp] | None]:
    """Return class, confidence and most probable known class, as label maps decide."""
    if found.unknown is None or probability is None:
        return None, None, None
    best = probability.argmax(axis=1)
    highest = probability[np.arange(size), best]
    strange = found.unknown.reshape(size)
    lost = (strange > highest) | (highest < LEAST_PROBABILITY)
    classes = np.where(lost, probability.shape[1], best).astype(np.intp)
    return classes, np.where(lost, np.maximum(strange, 1 - highest), highest), best
