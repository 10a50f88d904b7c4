"""Minerals by a method's name: the likelihood, or a network in its form. No torch until it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput, nearest_of
from napari_xrf.core.extras import check_networks
from napari_xrf.core.label_map import LabelMap, members_of
from napari_xrf.core.named_files import is_file, is_folder
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.prediction.one_element import shared_out
from napari_xrf.learning.prediction.suitability import unsuited_to
from napari_xrf.learning.weights import models_giving, read_description, shipped_models
from napari_xrf.maps.calibrated_map import Measured
from napari_xrf.minerals.class_spectra import class_spectra
from napari_xrf.minerals.classification import (
    AS_USUAL,
    Classification,
    ClassificationOptions,
    classify_minerals,
)
from napari_xrf.minerals.likelihood.templates import Templates, expect_templates
from napari_xrf.minerals.method_choice import BEST, LIKELIHOOD
from napari_xrf.minerals.search import MineralSearch, search_minerals, visible_elements
from napari_xrf.reference.minerals import Mineral, load_library, metals

_TAUGHT_BY_USERS = ("regions", "shares")  # whose names are what somebody meant by them

if TYPE_CHECKING:
    from napari_xrf.learning.model import Model
    from napari_xrf.learning.prediction.prediction import Prediction


def classify_by(
    method: str,
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> Classification:
    """Find the mineral of each pixel by a method chosen by name.

    Raises FileError, InvalidInput as :func:`check_method`, and for a map without counts.

    ``method``: ``"likelihood"`` (:func:`~napari_xrf.minerals.classification.classify_minerals`), or a
    network: the name of a shipped model that names minerals, or a weights file. It looks for all its classes,
    or for those of them that hold one of ``minerals`` (a note names those that it lacks), and takes no
    options but :attr:`~napari_xrf.minerals.classification.ClassificationOptions.of_the_map`.
    ``memory_budget``: bytes, of which what a network says of its names takes a quarter at most; the rest lies
    on disk.
    """
    check_method(method, minerals, options)
    if method == LIKELIHOOD:
        return classify_minerals(measured, minerals, options, progress=progress)
    return _classify_by_network(method, measured, minerals, options, memory_budget, progress)


def check_method(name: str, minerals: Sequence[Mineral] | None, options: ClassificationOptions) -> None:
    """Look whether a method can do what is asked; no network is loaded yet.

    Raises FileError when it is a file, but not of weights. Raises InvalidInput when there is none of that
    name, or it is a model that names no minerals, knows none of those looked for, is given an option that
    only the likelihood knows, or PyTorch is missing.
    """
    if minerals is not None and not minerals:
        raise InvalidInput("there is no mineral to look for", "Name at least one")
    if name == LIKELIHOOD:
        return
    if name not in shipped_models() and not (is_file(name) or is_folder(name)):
        known = [LIKELIHOOD, BEST, *models_giving("minerals")]
        remedy = nearest_of(name, known, "a mineral model's weights file")
        raise InvalidInput(f"there is no method {name!r}", remedy)
    wanted_classes(read_mineral_model(name), minerals)
    check_networks()
    for option in options.of_the_likelihood():
        remedy = "Leave it out, or use the method likelihood"
        raise InvalidInput(f"a network takes no {option.replace('_', ' ')}", remedy)


def read_mineral_model(model: str) -> ModelDescription:
    """Return the description of a model that names minerals, by name or weights file.

    Raises FileError when it is no weights file. Raises InvalidInput when the model is for another task.
    """
    description = read_description(model)
    if description.task != "minerals":
        raise InvalidInput(
            f"the model {model} names {description.task}, not minerals",
            f"Use {', '.join([LIKELIHOOD, *models_giving('minerals')])}, or another mineral model's weights",
        )
    return description


def _classify_by_network(
    model: str,
    measured: Measured,
    minerals: Sequence[Mineral] | None,
    options: ClassificationOptions,
    memory_budget: int | None,
    progress: Progress,
) -> Classification:
    """Name the minerals by a network, of those that may be there (:func:`~.answer_sets.restricted`)."""
    from napari_xrf.learning.prediction.answers import excitation_found, predict
    from napari_xrf.learning.prediction.views import label_map_of
    from napari_xrf.learning.weights import load_model

    description = read_mineral_model(model)
    kept = wanted_classes(description, minerals)
    trained = load_model(model)
    unlearnt = _unlearnt(description, minerals)
    known = (*_members(description), *unlearnt)
    keep = options.keep_reflections
    search = search_minerals(measured, known, progress=progress, keep_reflections=keep)
    cube = search.measured.on_refined_axis
    unfit = () if cube.excitation.kind else unsuited_to(description, search.measured)  # else predict tells
    unfit = (*unfit, *_told_of_unlearnt(description, unlearnt))
    cube = replace(cube, excitation=excitation_found(search.measured))
    prediction = predict(
        trained, cube, outputs=("minerals",), calibrate=False, memory_budget=memory_budget, progress=progress
    )
    if prediction.probability is None or prediction.unknown is None:
        raise InvalidInput(f"the model {model} gives no probabilities of minerals", "Train it anew")
    if description.conditions:
        shared = shared_out(prediction.probability, description.names, search.measured)
        prediction = replace(prediction, probability=shared)
    told, templates, rows, doubts = _named(trained, prediction, search, kept, unlearnt, progress)
    label_map = label_map_of(told)
    of_labels = {each.label: rows[each.name] for each in label_map.classes if each.name in rows}
    wanted = [name for name, each in zip(description.names, kept, strict=True) if each]
    asked = {member for name in wanted for member in members_of(name)} | {each.name for each in unlearnt}
    classes = [members for name in told.names if asked.intersection(members := members_of(name))]
    return Classification(
        label_map=label_map,
        groups=tuple(members for members in classes if len(members) > 1),
        minerals=tuple(dict.fromkeys(member for members in classes for member in members)),
        spectra=class_spectra(cube, label_map, templates, of_labels, progress),
        misfit=np.full(cube.map_shape, np.nan, dtype=np.float32),
        counts_per_pixel=search.counts_per_pixel,
        energy_range=(float(search.bins.energies[0]), float(search.bins.energies[-1])),
        method=description.name,
        notes=(
            *unfit,
            search.notes[0],
            *(search.reflections.notes if search.reflections else ()),
            *told.notes,
            *doubts,
            *_seen_by_one_element(label_map, search),
        ),
        doubts=(*unfit, *prediction.doubts),
        reflections=search.reflections,
    )


def with_checked_names(
    model: Model, prediction: Prediction, measured: Measured, progress: Progress = ignore_progress
) -> Prediction:
    """Return what a network says of a map's minerals as :func:`classify_by` tells it.

    Its pixels are mixtures of what lies in grains, and names are doubted where the lines speak against them;
    names that the map cannot tell apart are one. Only networks that know every mineral need it, those of one
    instrument are returned as they are.
    """
    description = prediction.description
    if description.task != "minerals" or not description.conditions:
        return prediction
    search = search_minerals(measured, _members(description), progress=progress)
    every = np.ones(len(description.names), dtype=bool)
    told, _, _, doubts = _named(model, prediction, search, every, (), progress)
    return replace(told, notes=(*told.notes, *doubts))


def _named(
    model: Model,
    prediction: Prediction,
    search: MineralSearch,
    kept: NDArray[np.bool_],
    unlearnt: Sequence[Mineral],
    progress: Progress,
) -> tuple[Prediction, Templates, dict[str, NDArray[np.intp]], tuple[str, ...]]:
    """Return a prediction of classes of the names ``kept``, expected spectra, rows of each, and notes.

    ``unlearnt``: what is looked for though the model never learnt it; what lies in grains may be named so.
    """
    from napari_xrf.learning.prediction.answer_sets import grouped, restricted
    from napari_xrf.learning.prediction.grains import named_by_grains
    from napari_xrf.learning.prediction.name_check import checked_names
    from napari_xrf.learning.prediction.unlearnt import with_unlearnt
    from napari_xrf.learning.prediction.views import label_map_of

    description, every = prediction.description, bool(kept.all())

    def narrowed(said: Prediction) -> Prediction:
        possible = np.append(kept, np.ones(len(said.names) - kept.size, dtype=bool))
        return said if every else restricted(said, possible)

    of_grains = None
    if description.conditions:
        wider = with_unlearnt(prediction, unlearnt)
        of_grains = named_by_grains(model, wider, search, narrowed, progress, asked=kept)
    told = of_grains[0] if of_grains else grouped(narrowed(prediction))
    label_map = label_map_of(told)
    templates, rows = _compared(label_map, search, progress)
    if of_grains:
        may_be = {name for name, each in zip(description.names, kept, strict=True) if each}
        return told, templates, rows, tuple(note for name, note in of_grains[1].items() if name in may_be)
    doubts: tuple[str, ...] = ()
    if description.source_kind not in _TAUGHT_BY_USERS:
        told, doubts = checked_names(told, label_map, search, templates, rows, progress)
    return told, templates, rows, doubts


def wanted_classes(description: ModelDescription, minerals: Sequence[Mineral] | None) -> NDArray[np.bool_]:
    """Return which of a model's K classes hold one of some minerals, (K,); all without any.

    Raises InvalidInput when the model knows none of them.
    """
    if minerals is None:
        return np.ones(len(description.names), dtype=bool)
    wanted = {mineral.name.casefold() for mineral in minerals}
    kept = np.array(
        [any(each.casefold() in wanted for each in members_of(name)) for name in description.names]
    )
    if not kept.any():
        raise InvalidInput(
            f"the model {description.name} knows none of {', '.join(sorted(wanted))}",
            "Use --method likelihood for them, or train a model with them",
        )
    return kept


def _unlearnt(description: ModelDescription, minerals: Sequence[Mineral] | None) -> tuple[Mineral, ...]:
    """Return the minerals asked for that a model never learnt."""
    known = {each.casefold() for name in description.names for each in members_of(name)}
    return tuple(each for each in minerals or () if each.name.casefold() not in known)


def _told_of_unlearnt(description: ModelDescription, unlearnt: Sequence[Mineral]) -> tuple[str, ...]:
    """Return a sentence on the minerals asked for that a model never learnt, if there are any."""
    if not unlearnt:
        return ()
    by_lines = "in grains their lines alone name them, else " if description.conditions else ""
    return (
        f"the model {description.name} does not know {', '.join(sorted(each.name for each in unlearnt))}: "
        f"{by_lines}it says unknown or the name of what looks like them; use --method likelihood to look for "
        "them",
    )


def _members(description: ModelDescription) -> tuple[Mineral, ...]:
    """Return those classes' minerals and metals that are known here; a user's own classes have none."""
    known = (*load_library(), *metals())
    library: Mapping[str, Mineral] = {mineral.name.casefold(): mineral for mineral in known}
    names = [member.casefold() for name in description.names for member in members_of(name)]
    return tuple(library[name] for name in dict.fromkeys(names) if name in library)


def _seen_by_one_element(label_map: LabelMap, search: MineralSearch) -> tuple[str, ...]:
    """Return a sentence on the classes of which one element can be seen, if there are any."""
    low, high = float(search.bins.energies[0]), float(search.bins.energies[-1])
    highest = search.measured.instrument.source.highest_kev
    library = {mineral.name.casefold(): mineral for mineral in search.minerals}
    alone = []
    for entry in label_map.classes:
        members = [library[name] for each in members_of(entry.name) if (name := each.casefold()) in library]
        seen = frozenset[str]().union(*(visible_elements(each, low, high, highest) for each in members))
        if len(seen) == 1:
            alone.append(f"{entry.name} ({next(iter(seen))})")
    if not alone:
        return ()
    return (
        "only one element of these can be seen, and its metal, oxides and carbonates look much the same: "
        + ", ".join(alone),
    )


def _compared(
    label_map: LabelMap, search: MineralSearch, progress: Progress
) -> tuple[Templates, dict[str, NDArray[np.intp]]]:
    """Return expected spectra of the minerals that occur, and name → those of its class."""
    occurring = {member.casefold() for entry in label_map.classes for member in members_of(entry.name)}
    minerals = tuple(mineral for mineral in search.minerals if mineral.name.casefold() in occurring)
    templates = expect_templates(minerals, search.measured.instrument, search.bins, progress)
    index = {mineral.name.casefold(): number for number, mineral in enumerate(minerals)}
    compositions = {}
    for entry in label_map.classes:
        members = [index[name] for member in members_of(entry.name) if (name := member.casefold()) in index]
        chosen = np.flatnonzero(np.isin(templates.owner, members))
        if chosen.size:
            compositions[entry.name] = chosen
    return templates, compositions
