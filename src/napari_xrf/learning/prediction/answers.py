"""Any model on any cube: counts rebinned to the model's axis, block by block, and its outputs as maps."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import scratch_array
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.learning.conditions import conditions_of
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.model import Model, choose_device, network_inputs
from napari_xrf.learning.prediction.element_check import checked_presence
from napari_xrf.learning.prediction.one_element import shared_out
from napari_xrf.learning.prediction.prediction import Prediction
from napari_xrf.learning.prediction.suitability import unsuited_to
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, cube_of

_Ask = Callable[[NDArray[np.generic], EnergyAxis, int], dict[str, NDArray[np.float32]]]
_BATCH = 512
_BLOCK_BYTES = 8 * 2**20
_NO_DENOISING = "its spectra hold what its training showed, nothing else: take denoise to denoise a map"
_LEAST_COVERED, _LEAST_TOLD = 0.5, 0.1  # of the model's axis that a cube must cover


def predict(
    model: Model,
    measured: Measured,
    *,
    outputs: Collection[str] | None = None,
    calibrate: bool = True,
    check: bool = True,
    conditions: NDArray[np.float32] | None = None,
    device: str = "auto",
    memory_budget: int | None = None,
    first_row: int | None = None,
    progress: Progress = ignore_progress,
) -> Prediction:
    """Run a model on every pixel of a cube; errors as :func:`napari_xrf.predict`.

    Parameters
    ----------
    measured
        Any map; read in blocks of bounded size, so memory holds the results and little more.
    outputs, device
        As for :func:`napari_xrf.predict`.
    calibrate
        Whether the refined energy axis is used, of a map that is not calibrated yet found first.
    check
        Whether elements are then held against the sum spectrum (:mod:`~.element_check`).
    conditions
        (Y·X, C) what the network is told of the instrument of each spectrum; None: what the map states.
    memory_budget
        Bytes: where what a model says of its names takes more than a quarter of it, it lies in scratch files
        and is read by slicing. None: in memory.
    first_row
        Of rows of a larger map, the number of the first. The bits are those of the whole map where it is a
        multiple of :func:`rows_of_a_batch`; what is told of the dose waits for the whole
        (:func:`told_of_dose`).
    """
    chosen = chosen_outputs(model.description, outputs)
    cube, notes, doubts = cube_of(measured), tuple[str, ...](), tuple[str, ...]()
    told = cube.excitation
    if calibrate:
        known = calibrate_map(measured, progress=progress).checked()
        cube, notes = known.on_refined_axis, _axis_notes(known)
        doubts = (*unsuited_to(model.description, known), *filter(None, (known.doubt, *known.blind_windows)))
        told = excitation_found(known)
    elif told.kind is not None:  # what a file does not say, and no peak shows, cannot be held against a model
        doubts = unsuited_to(model.description, cube)
    if model.description.task == "spectra" and "spectrum" in chosen:
        doubts = (*doubts, _NO_DENOISING)
    check_range(cube.energy, model.description)
    ask = _asked(model, chosen, device, told if conditions is None else conditions)
    kept = math.inf if memory_budget is None else budget_of(memory_budget) / 4 / len(chosen)
    maps = _said_of(cube, ask, kept, first_row or 0, progress)
    if calibrate and "minerals" in chosen and model.description.conditions:
        maps["probability"] = shared_out(maps["probability"], model.description.names, known)
    if calibrate and check and "presence" in chosen and model.description.task == "elements":
        names, summed = model.description.names, ask(known.sum_spectrum[None], cube.energy, 0)
        named = summed["probability"][0] >= model.description.thresholds
        maps["probability"], seen = checked_presence(maps["probability"], names, named, known, progress)
        notes += seen
    found = Prediction(
        model.description,
        **maps,
        notes=(*doubts, *notes),
        doubts=doubts,
        pixel_size=cube.pixel_size,
        source=cube.name,
    )
    return told_of_dose(found) if first_row is None else found


def _said_of(
    cube: SpectralCube, ask: _Ask, kept: float, first_row: int, progress: Progress
) -> dict[str, Any]:
    """Return what a model says of each pixel, by name; what takes more than ``kept`` bytes lies in files."""
    rows, columns = cube.map_shape
    maps: dict[str, Any] = {"counts": np.zeros((rows, columns), dtype=np.float32)}
    for row, batches in _batches(cube, rows_of_a_batch(columns)):
        progress(row, rows, "predicting")
        said: list[dict[str, NDArray[np.float32]]] = []
        done = (first_row + row) * columns
        for flat in batches:
            said.append(ask(flat, cube.energy, done))
            done += len(flat)
        for name in said[0]:
            values = np.concatenate([each[name] for each in said])
            together = values.reshape(-1, columns, *values.shape[1:])
            if name not in maps:
                shape = (rows, columns, *values.shape[1:])
                large = len(shape) == 3 and math.prod(shape) * 4 > kept
                maps[name] = scratch_array(shape, np.float32, 0) if large else np.empty(shape, np.float32)
            maps[name][row : row + len(together)] = together
    progress(rows, rows, "predicting")
    return maps


def excitation_found(known: CalibratedMap) -> Excitation:
    """Return what a file says of the excitation, with the resolution that its calibration found."""
    return replace(known.cube.excitation, fwhm_mn_ka_ev=1000 * float(known.detector.fwhm(MN_KA_KEV)))


def told_of_dose(prediction: Prediction) -> Prediction:
    """Return a whole map's prediction with a note where its counts are not those of the training."""
    more = _dose_notes(prediction.counts, prediction.description)
    return replace(prediction, notes=(*prediction.notes, *more), doubts=(*prediction.doubts, *more))


def rows_of_a_batch(columns: int) -> int:
    """Return how many rows of a map go through a network at once: where a map may be cut."""
    return max(1, _BATCH // columns)


def _batches(cube: SpectralCube, group: int) -> Iterator[tuple[int, list[NDArray[np.generic]]]]:
    """Yield the first row of each group of rows, and its spectra in batches."""
    for band, block in cube.blocks(_BLOCK_BYTES, group):
        for row in range(0, len(block), group):
            flat = block[row : row + group].reshape(-1, block.shape[-1])
            yield band.start + row, [flat[start : start + _BATCH] for start in range(0, len(flat), _BATCH)]


def predict_spectra(
    model: Model,
    counts: NDArray[np.generic],
    axis: EnergyAxis,
    *,
    excitation: Excitation | None = None,
    outputs: Collection[str] | None = None,
    device: str = "auto",
) -> Prediction:
    """Run a model on spectra (N, E) that were excited in some way; the result's maps have one column.

    Errors as :func:`predict`.
    """
    spectra: Any = np.asarray(counts)[:, np.newaxis, :]
    cube = SpectralCube(spectra, axis, name="spectra", excitation=excitation or Excitation())
    return predict(model, cube, outputs=outputs, calibrate=False, device=device)


def chosen_outputs(description: ModelDescription, outputs: Collection[str] | None) -> tuple[str, ...]:
    """Return the outputs that will be computed, in the model's order.

    Raises InvalidInput when one is not the model's.
    """
    if outputs is None:
        small = tuple(name for name in description.outputs if name not in ("code", "spectrum"))
        return small or description.outputs
    for name in outputs:
        if name not in description.outputs:
            raise InvalidInput(
                f"{description.name} gives no {name!r}", f"It gives {', '.join(description.outputs)}"
            )
    return tuple(name for name in description.outputs if name in outputs)


def check_range(axis: EnergyAxis, description: ModelDescription) -> None:
    """Raise InvalidInput when an axis covers too little of a model's energies.

    That is half of them, or less where the model is told which are recorded.
    """
    low, high = max(description.axis.edges[0], 0.0), description.axis.edges[-1]
    covered = min(axis.edges[-1], high) - max(axis.edges[0], low)
    least = _LEAST_TOLD if description.conditions else _LEAST_COVERED
    if covered < least * (high - low):
        raise InvalidInput(
            f"the spectra run from {axis.edges[0]:.2f} to {axis.edges[-1]:.2f} keV, and "
            f"{description.name} needs {low:.2f} to {high:.2f}",
            "Choose another model, or check the energy axis",
        )


def _asked(
    model: Model, outputs: tuple[str, ...], device_name: str, told: Excitation | NDArray[np.float32]
) -> _Ask:
    """Return a model on a device as a function of counts, their axis and the number of the first spectrum."""
    description, device = model.description, choose_device(device_name)
    network = model.network.eval().to(device)
    # Half the bits are enough for convolutions to decide, and twice as fast where the processor has them.
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    half = device.type == "cpu" and "minerals" in description.outputs and bool(fast())

    def ask(counts: NDArray[np.generic], axis: EnergyAxis, first: int) -> dict[str, NDArray[np.float32]]:
        moved = rebin_counts(counts, axis, description.axis, first=first)
        known = (
            conditions_of(told, axis) if isinstance(told, Excitation) else told[first : first + len(counts)]
        )
        inputs, dose = network_inputs(description, moved, device, known)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            given = network(inputs, dose)
        maps = _as_maps({name: given[name].float().cpu() for name in outputs}, description, moved)
        filled = maps["counts"] > 0  # of an empty spectrum nothing is asked
        if not all(np.isfinite(values[filled]).all() for values in maps.values()):
            raise InvalidInput(
                f"{description.name} gives values that are no finite numbers",
                "Train it anew, or take another",
            )
        return maps

    return ask


def _as_maps(
    outputs: Mapping[str, Tensor], description: ModelDescription, counts: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    temperature, total = description.calibration.temperature, counts.sum(axis=1)
    maps = {"counts": total}
    if "presence" in outputs:
        probability = torch.sigmoid(outputs["presence"] / temperature).numpy()
        # Of an empty spectrum nothing is known.
        maps["probability"] = np.where(total[:, None] > 0, probability, np.float32(0))
    if "minerals" in outputs:
        probability = torch.softmax(outputs["minerals"] / temperature, dim=1).numpy()
        probability = np.where(total[:, None] > 0, probability, np.float32(0))
        maps["probability"] = probability[:, :-1]
        maps["unknown"] = np.where(total > 0, probability[:, -1], np.float32(1))
    if "intensity" in outputs:
        maps["intensity"] = outputs["intensity"].numpy() * total[:, None]
    if "code" in outputs:
        maps["code"] = outputs["code"].numpy()
    if "spectrum" in outputs:
        maps["spectrum"] = _as_counts(outputs["spectrum"].numpy(), description, counts)
    return maps


def _as_counts(
    spectra: NDArray[np.float32], description: ModelDescription, counts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Undo the preprocessing of reconstructed spectra; a baseline that was taken off stays off.

    A mean of square roots is less than the root of the mean, so the total is set to the spectrum's own.
    """
    chosen, total = description.preprocessing, counts.sum(axis=1)
    values = np.maximum(spectra, 0)
    if chosen.transform == "sqrt":
        values = values**2
    elif chosen.transform == "log":
        values = (np.float32(101.0) ** values - 1) / 100
    if chosen.scale == "sum":
        values = values * (total / counts.shape[1])[:, None]
    elif chosen.scale == "max":
        values = values * counts.max(axis=1, keepdims=True)
    if not chosen.baseline:
        values = values * (total / np.maximum(values.sum(axis=1), 1e-12))[:, None]
    return np.asarray(values, dtype=np.float32)


def _axis_notes(known: CalibratedMap) -> tuple[str]:
    read, refined = known.cube.energy, known.energy
    if refined == read:
        return ("the file's energy axis was used as it is",)
    shift, gain = 1000 * (refined.offset - read.offset), refined.width / read.width - 1
    shift = round(shift) + 0.0  # of -0.2 no "-0"
    if not shift and abs(gain) < 5e-5:
        return ("the map's peaks lie where the file's energy axis has them",)
    return (f"the energy axis was refined by {shift:+.0f} eV and {gain:+.2%}",)


def _dose_notes(counts: NDArray[np.float32], description: ModelDescription) -> tuple[str, ...]:
    measured = counts[counts > 0]
    if not measured.size:
        return ("no pixel holds counts in the model's energies",)
    low, high = description.counts_range
    middle = float(np.median(measured))
    if low <= middle <= high:
        return ()
    return (
        f"half of the pixels hold {'fewer' if middle < low else 'more'} than {middle:.3g} counts, "
        f"and the model was trained on {low:.3g} to {high:.3g}",
    )
