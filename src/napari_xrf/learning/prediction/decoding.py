"""A privileged basis in the user's hands: the code of a spectrum, edited line by line, made a spectrum again.

Where each unit of a code is an emission line (García-Avello Bofías et al., EasyChair preprint, 2024),
an element can be turned down, up or in, and the decoder shows the spectrum that would then be measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_xrf.core.emission_lines import emission_lines, split_family, usual_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.model import Model, choose_device, network_inputs
from napari_xrf.learning.networks.line_autoencoder import LineAutoencoder
from napari_xrf.learning.prediction.answers import check_range
from napari_xrf.learning.prediction.suitability import unsuited_to
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, cube_of
from napari_xrf.synthesis.line_basis import TRANSITIONS

_BATCH = 512
_LEAST_SHARE = 1e-4  # of a map's code, below which an element is not listed


@dataclass(frozen=True, eq=False)
class Decoded:
    """A map made from its edited code."""

    # Expected counts on the model's axis; a pixel without changes keeps its number of counts
    cube: SpectralCube
    code: Mapping[str, float]  # element → mean share of the code before the changes, the largest first
    # Part of the variance of the sum spectrum that the code without changes explains, at most 1
    explained: float
    notes: tuple[str, ...] = ()  # why not to trust it, and changes that change nothing, in sentences


def decode(
    model: Model,
    measured: Measured,
    *,
    factors: Mapping[str, float] | None = None,
    added: Mapping[str, float] | None = None,
    calibrate: bool = True,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> Decoded:
    """Make a map from the code that a model gives its spectra, after changes to the code.

    Raises InvalidInput when the model's code has no names, a name is not in it, or a value is below 0.

    Parameters
    ----------
    model
        One whose code is emission lines (``line-autoencoder``).
    measured
        Any map.
    factors
        Element or line (``"Pb"``, ``"Fe ka1"``) → factor of its units, from 0.
    added
        Element → what is added to its units, as a share of a spectrum's counts, over the lines of its usual
        family in the proportion of their emission rates.
    calibrate, device
        As of :func:`~napari_xrf.learning.prediction.answers.predict`.
    """
    description, network = model.description, model.network
    if not isinstance(network, LineAutoencoder):
        raise InvalidInput(f"the code of {description.name} has no names to edit", "Use line-autoencoder")
    factor = torch.from_numpy(_factor(description, factors or {}))
    more = torch.from_numpy(_offset(description, added or {}))
    known = calibrate_map(measured, progress=progress).checked() if calibrate else measured
    cube = known.on_refined_axis if isinstance(known, CalibratedMap) and calibrate else cube_of(known)
    check_range(cube.energy, description)
    place = choose_device(device)
    network = network.eval().to(place)
    factor, more = factor.to(place), more.to(place)
    rows, columns = cube.map_shape
    size = description.axis.size
    made = np.zeros((rows * columns, size), dtype=np.float32)
    total, before, seen, done = np.zeros(len(description.names)), np.zeros(size), np.zeros(size), 0
    for _, block in cube.blocks():
        flat = block.reshape(-1, block.shape[-1])
        for start in range(0, len(flat), _BATCH):
            progress(done, rows * columns, "decoding")
            counts = rebin_counts(flat[start : start + _BATCH], cube.energy, description.axis, first=done)
            with torch.inference_mode():
                _, units, state = network.encode(*network_inputs(description, counts, place))
                plain, edited = _decoded(network, units, state, factor, more)
            each = counts.sum(axis=1) / np.maximum(plain.sum(dim=1).cpu().numpy(), 1e-9)
            made[done : done + len(counts)] = edited.cpu().numpy() * each[:, None]
            total += units.sum(dim=0).cpu().numpy()
            before += (plain.cpu().numpy() * each[:, None]).sum(axis=0)
            seen += counts.sum(axis=0)
            done += len(counts)
    left = float(((seen - before) ** 2).sum() / max(((seen - seen.mean()) ** 2).sum(), 1e-12))
    changes = " ".join(
        [f"{name}×{value:g}" for name, value in (factors or {}).items()]
        + [f"{name}+{value:g}" for name, value in (added or {}).items()]
    )
    provenance = Provenance(cube.provenance.path, f"decoded by {description.name} {changes}".strip())
    decoded = SpectralCube(
        made.reshape(rows, columns, size),
        description.axis,
        f"{cube.name} (decoded{': ' + changes if changes else ''})",
        cube.pixel_size,
        excitation=cube.excitation,
        provenance=provenance,
    )
    notes = (*unsuited_to(description, known), *_of_no_effect(description, factors or {}, total))
    return Decoded(decoded, _by_element(description, total), 1 - left, notes)


def _decoded(
    network: LineAutoencoder, units: Tensor, state: Tensor, factor: Tensor, more: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the spectra of a code as it is and after its changes."""
    plain, edited, put_in = (
        network.decode(code, state) ** 2 for code in (units, units * factor, units * factor + more)
    )
    # Spectra are linear in the code, but on a scale of the instrument's own.
    gained = (put_in - edited).sum(dim=1, keepdim=True).clamp(min=1e-12)
    wanted = more.sum() * plain.sum(dim=1, keepdim=True)
    return plain, edited + (put_in - edited) * (wanted / gained)


def units_of(description: ModelDescription, name: str) -> list[int]:
    """Return which units of a model's code an element or line has.

    Raises InvalidInput when there is none.
    """
    wanted = name.strip()
    found = [at for at, unit in enumerate(description.names) if wanted in (unit, unit.partition(" ")[0])]
    if not found:
        elements = dict.fromkeys(unit.partition(" ")[0] for unit in description.names)
        raise InvalidInput(f"{description.name} has no unit {name!r}", f"It knows {', '.join(elements)}")
    return found


def _factor(description: ModelDescription, factors: Mapping[str, float]) -> NDArray[np.float32]:
    scale = np.ones(len(description.names), dtype=np.float32)
    for name, factor in factors.items():
        if not factor >= 0:
            raise InvalidInput(f"the factor of {name} must be at least 0, not {factor:g}")
        scale[units_of(description, name)] = factor
    return scale


def _of_no_effect(
    description: ModelDescription, factors: Mapping[str, float], code: NDArray[np.float64]
) -> tuple[str, ...]:
    names = [name for name, factor in factors.items() if factor != 1]
    silent = [name for name in names if not code[units_of(description, name)].any()]
    if not silent:
        return ()
    return (f"the code holds no {', '.join(silent)}, so that no factor changes it: add it, or name another",)


def _offset(description: ModelDescription, added: Mapping[str, float]) -> NDArray[np.float32]:
    """Return what is added to each unit, as a share of the counts."""
    offset = np.zeros(len(description.names), dtype=np.float32)
    for name, share in added.items():
        if not share >= 0:
            raise InvalidInput(f"what is added to {name} must be at least 0, not {share:g}")
        units = units_of(description, name)
        element = description.names[units[0]].partition(" ")[0]
        shell = split_family(usual_family(element))[1]
        rates = {line.transition: line.rate for line in emission_lines(element) if line.subshell[0] == shell}
        weights = np.array(
            [rates.get(TRANSITIONS[description.names[at].partition(" ")[2]], 0.0) for at in units]
        )
        if not weights.any():
            raise InvalidInput(f"{description.name} has no {shell} line of {element} to add to")
        offset[units] += (share * weights / weights.sum()).astype(np.float32)
    return offset


def _by_element(description: ModelDescription, code: NDArray[np.float64]) -> dict[str, float]:
    total = max(float(code.sum()), 1e-12)
    shares: dict[str, float] = {}
    for name, value in zip(description.names, code, strict=True):
        element = name.partition(" ")[0]
        shares[element] = shares.get(element, 0.0) + float(value) / total
    ordered = sorted(shares.items(), key=lambda pair: -pair[1])
    return {element: share for element, share in ordered if share >= _LEAST_SHARE}
