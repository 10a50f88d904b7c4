"""What the Model inference dock asks in worker threads: a region's spectrum, or a whole map. No Qt here."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.weights import find_weights
from napari_xrf.maps.calibrated_map import Measured, cube_of

if TYPE_CHECKING:
    from napari_xrf.learning.model import Model
    from napari_xrf.learning.prediction.prediction import Prediction
    from napari_xrf.learning.prediction.views import RankedName

_NAMING = ("presence", "intensity", "minerals")  # outputs that give a ranked list


@dataclass(frozen=True)
class Request:
    """What the user asks of a model."""

    outputs: tuple[str, ...] = _NAMING  # of the model's outputs
    refined: bool = True  # whether the map's energy axis is refined on its sum spectrum first
    # Probability from which a name counts as present; None takes the model's own thresholds
    threshold: float | None = None
    decided: bool = False  # whether maps show what is present, 1 or 0, in place of its calibrated probability
    by_element: bool = True  # whether the lines of an element share a map
    device: str = "auto"  # "auto", "cpu", "cuda" or "mps"


@dataclass(frozen=True)
class RegionAnswer:
    """What a model says of the spectrum of a region, the likeliest name first."""

    region: str
    description: ModelDescription
    ranked: tuple[RankedName, ...]
    # pixels, counts: of the region
    pixels: int
    counts: float
    seconds: float  # from the map to the list, with the loading of the model where that was necessary
    notes: tuple[str, ...] = ()  # what the user should know


def loaded_model(name: str) -> Model:
    """Return a model by name or path; the last one is kept, until its file changes.

    Raises InvalidInput when there is no such model. Raises FileError when its file is damaged.
    """
    path = find_weights(name)
    state = path.stat()
    # A file replaced within one tick of the clock has another inode.
    return _load(str(path), state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=1)
def _load(path: str, *state: int) -> Model:
    from napari_xrf.learning.weights import load_model

    return load_model(path)


def answer_region(
    name: str,
    measured: Measured,
    region: str,
    mask: NDArray[np.bool_] | None,
    request: Request,
    progress: Progress = ignore_progress,
) -> RegionAnswer:
    """Return what a model says of the summed spectrum of a region.

    An energy axis that is to be refined is used as the file has it until that is done: answers do not wait.

    ``measured``: the map, calibrated where that is done already. ``mask``: (Y, X) true in the region; None is
    the whole map. Raises InvalidInput when the region holds no counts, or the model names nothing. Raises
    FileError when the model's file is damaged.
    """
    from napari_xrf.learning.prediction.answers import predict_spectra
    from napari_xrf.learning.prediction.views import ranked

    start = time.perf_counter()
    cube, model = cube_of(measured), loaded_model(name)
    description = model.description
    outputs = tuple(output for output in _NAMING if output in description.outputs)
    if not outputs:
        raise InvalidInput(
            f"{description.name} names nothing: it gives {' and '.join(description.outputs)}",
            "Ask for the whole map, or choose another model",
        )
    chosen = np.ones(cube.map_shape, dtype=bool) if mask is None else mask
    counts = cube.region_spectrum(chosen, progress)
    if not counts.any():
        raise InvalidInput(f"{region} holds no counts", "Choose a place where the map was measured")
    prediction = predict_spectra(
        model,
        counts[None],
        (measured if request.refined else cube).energy,
        excitation=cube.excitation,
        outputs=outputs,
        device=request.device,
    )
    prediction = replace(prediction, description=decided_by(request, description))
    total, fewest = float(counts.sum()), description.counts_range[0]
    notes: tuple[str, ...] = ()
    if total < fewest:
        notes += (f"it was trained on spectra of {fewest:,.0f} counts and more",)
    if description.task in ("elements", "minerals") and description.conditions:
        notes += ("names are checked by their lines when the whole map is read",)
    taken = time.perf_counter() - start
    return RegionAnswer(region, description, ranked(prediction), int(chosen.sum()), total, taken, notes)


def predict_map(
    measured: Measured, name: str, request: Request, progress: Progress = ignore_progress
) -> Prediction:
    """Return what a model says of every pixel of a map; names of minerals are checked as a mineral map's are.

    Raises InvalidInput when the map holds no counts, or nothing is asked. Raises FileError when the model's
    file is damaged.
    """
    from napari_xrf.learning.prediction.answers import predict
    from napari_xrf.learning.prediction.network_method import with_checked_names

    model = loaded_model(name)
    if not request.outputs:
        raise InvalidInput("no output is chosen", f"Tick one that {model.description.name} gives")
    prediction = predict(
        model,
        measured,
        outputs=request.outputs,
        calibrate=request.refined,
        device=request.device,
        progress=progress,
    )
    if not np.any(prediction.counts):
        name = cube_of(measured).name
        raise InvalidInput(f"the map {name} holds no counts in the energies of {model.description.name}")
    return with_checked_names(model, prediction, measured, progress) if request.refined else prediction


def decided_by(request: Request, description: ModelDescription) -> ModelDescription:
    """Return a description with the threshold that was asked for in place of its own ones."""
    if request.threshold is None:
        return description
    return description.with_calibration(replace(description.calibration, thresholds=(request.threshold,)))
