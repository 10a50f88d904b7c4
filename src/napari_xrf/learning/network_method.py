"""Classification by a network, in the form of every other method's. No torch until it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.weights import read_description, shipped_models
from napari_xrf.maps.calibration import Calibration
from napari_xrf.minerals.map_setting import MapSetting, setting_of_map
from napari_xrf.minerals.mean_spectra import ClassSpectrum, class_spectra
from napari_xrf.minerals.templates import expect_templates
from napari_xrf.reference.minerals import Mineral, load_library

_BETWEEN = " / "  # of the names of minerals that a class holds


@dataclass(frozen=True, eq=False)
class NetworkLabels:
    """What a network says of a map, and what a report needs beside it.

    Attributes
    ----------
    label_map
        1 is "unknown", the classes that occur follow from 2 on by falling area.
    description
        The model.
    classes
        The names of the classes that were looked for.
    spectra
        Mean measured spectrum of each class that occurs, with what its minerals explain of it.
    setting
        Calibration and energies of the map.
    notes
        One sentence each.
    """

    label_map: LabelMap
    description: ModelDescription
    classes: tuple[str, ...]
    spectra: tuple[ClassSpectrum, ...]
    setting: MapSetting
    notes: tuple[str, ...]


def mineral_models() -> tuple[str, ...]:
    """Return the names of the shipped models that name minerals."""
    return tuple(name for name in shipped_models() if read_description(name).task == "minerals")


def is_model(name: str) -> bool:
    """Tell whether a method's name means a network: a shipped model's, or a weights file that is there."""
    return name in shipped_models() or Path(name).exists()


def read_mineral_model(model: str) -> ModelDescription:
    """Return the description of a model that names minerals, by name or weights file.

    Raises
    ------
    FileError
        When it is no weights file.
    InvalidInput
        When the model is for another task.
    """
    description = read_description(model)
    if description.task != "minerals":
        raise InvalidInput(
            f"the model {model} names {description.task}, not minerals",
            f"Use {', '.join(['likelihood', *mineral_models()])}, or another mineral model's weights file",
        )
    return description


def label_by_network(
    cube: SpectralCube,
    minerals: Sequence[Mineral] | None,
    model: str,
    *,
    calibration: Calibration | None = None,
    progress: Progress,
) -> NetworkLabels:
    """Name the mineral of each pixel by a network.

    Parameters
    ----------
    cube
        The map.
    minerals
        Which of the model's minerals may be there: the probabilities of all other classes are set to zero and
        the rest scaled to a sum of 1, as Bayes' rule has it. None: all.
    model
        A shipped model's name or a weights file.
    calibration
        Of the map, where it is known already.
    progress
        Told often.

    Raises
    ------
    InvalidInput
        When the model names no minerals, or does not know one that is looked for.
    """
    from napari_xrf.learning.prediction import predict
    from napari_xrf.learning.prediction_views import label_map_of
    from napari_xrf.learning.weights import load_model

    description = read_mineral_model(model)
    kept = wanted_classes(description, minerals)
    trained = load_model(model)
    known = _members(description)
    setting = setting_of_map(cube, known, calibration=calibration, progress=progress)
    calibrated = replace(cube, energy=setting.instrument.energy)
    prediction = predict(trained, calibrated, outputs=("minerals",), calibrate=False, progress=progress)
    if prediction.probability is None or prediction.unknown is None:
        raise InvalidInput(f"the model {model} gives no probabilities of minerals", "Train it anew")
    if not kept.all():
        probability = prediction.probability * kept.astype(np.float32)
        total = np.maximum(probability.sum(axis=-1) + prediction.unknown, np.finfo(np.float32).tiny)
        prediction = replace(
            prediction, probability=probability / total[..., None], unknown=prediction.unknown / total
        )
    label_map = label_map_of(prediction)
    spectra = _spectra(calibrated, label_map, setting, progress)
    names = tuple(name for name, wanted in zip(description.names, kept, strict=True) if wanted)
    return NetworkLabels(label_map, description, names, spectra, setting, prediction.notes)


def wanted_classes(description: ModelDescription, minerals: Sequence[Mineral] | None) -> NDArray[np.bool_]:
    """Return which of a model's K classes hold one of some minerals, (K,); all without any.

    Raises
    ------
    InvalidInput
        When the model does not know one of them.
    """
    if minerals is None:
        return np.ones(len(description.names), dtype=bool)
    wanted = {mineral.name.casefold() for mineral in minerals}
    held = [{member.casefold() for member in members_of(name)} for name in description.names]
    missing = sorted(wanted - set[str]().union(*held))
    if missing:
        raise InvalidInput(
            f"the model {description.name} does not know {', '.join(missing)}",
            "Use --method likelihood for them, or train a model with them",
        )
    return np.array([bool(members & wanted) for members in held])


def members_of(name: str) -> tuple[str, ...]:
    """Return the names of the minerals that a class holds: ``"quartz / opal"`` holds two."""
    return tuple(each.strip() for each in name.split(_BETWEEN))


def _members(description: ModelDescription) -> tuple[Mineral, ...]:
    """Return those minerals of the classes that the library holds; a user's own classes have none."""
    library: Mapping[str, Mineral] = {mineral.name.casefold(): mineral for mineral in load_library()}
    names = [member.casefold() for name in description.names for member in members_of(name)]
    return tuple(library[name] for name in dict.fromkeys(names) if name in library)


def _spectra(
    cube: SpectralCube, label_map: LabelMap, setting: MapSetting, progress: Progress
) -> tuple[ClassSpectrum, ...]:
    occurring = {member.casefold() for entry in label_map.classes for member in members_of(entry.name)}
    minerals = tuple(mineral for mineral in setting.minerals if mineral.name.casefold() in occurring)
    templates = expect_templates(minerals, setting.instrument, setting.bins, progress)
    index = {mineral.name.casefold(): number for number, mineral in enumerate(minerals)}
    compositions = {}
    for entry in label_map.classes:
        members = [index[name] for member in members_of(entry.name) if (name := member.casefold()) in index]
        chosen = np.flatnonzero(np.isin(templates.owner, members))
        if chosen.size:
            compositions[entry.label] = chosen
    return class_spectra(cube, label_map, templates, compositions, progress)
