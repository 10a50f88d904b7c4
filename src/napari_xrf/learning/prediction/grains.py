"""Pixels of a map as mixtures of what a network names in its grains.

A network knows minerals, and no mixtures: quartz beside magnetite seems an iron silicate to it. So what lies
well inside grains is named, by the counts of all its pixels together, and all pixels are mixtures of that
(:mod:`~napari_xrf.minerals.mixing`), as they are to the likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_xrf.core.cores import in_threads, one_thread_of
from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelMap, members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answer_sets import (
    MOST_PIXELS,
    AnswerClasses,
    answer_sets,
    answers_of,
    set_level,
)
from napari_xrf.learning.prediction.answers import excitation_found, predict
from napari_xrf.learning.prediction.name_check import (
    ELECTRON_GRAIN_WEIGHTS,
    GRAIN_WEIGHTS,
    LEAST_ASKED,
    MOST_SQUARE,
    lines_against,
    weighed,
)
from napari_xrf.learning.prediction.one_element import shared_out
from napari_xrf.learning.prediction.prediction import Prediction
from napari_xrf.learning.prediction.unlearnt import shared_with_unlearnt, with_unlearnt
from napari_xrf.learning.prediction.views import label_map_of
from napari_xrf.minerals.likelihood.binned_map import BinnedMap, merged_bins
from napari_xrf.minerals.likelihood.independent_pixels import independent_pixels
from napari_xrf.minerals.mixing.ends import End, belief_in_ends, learn_ends
from napari_xrf.minerals.mixing.mixtures import MOST_MISFIT, Mixing, Mixtures
from napari_xrf.minerals.search import MineralSearch
from napari_xrf.physics.source import ElectronBeam

_LEAST = 1e-6  # probability of a name
_BESIDE = 0.1  # of how likely a grain's likeliest class is, from which another is named with it
_COHERENT = 0.3  # of what neighbours could agree in more than by chance: less is no map of grains


@dataclass(frozen=True, eq=False)
class GrainInteriors:
    """What lies well inside the grains of a map, and what a network and the lines say of it."""

    binned: BinnedMap
    ends: tuple[End, ...]  # M of them
    places: NDArray[np.int16]  # (Y, X) of which end each pixel is; -1 of none
    answers: NDArray[np.float32]  # (M, K + 1) of its counts and, as much, of its pixels
    squares: NDArray[np.float64]  # (M, K) how much its lines speak against names
    doubted: dict[str, str]  # what speaks against names that were the first
    sampled: NDArray[np.intp]  # (n,) in which end some pixels lie; -1 of none
    of_pixels: NDArray[np.float32]  # (n, K + 1) what is said of them
    believed: float  # how far names are, for the size of grains
    notes: tuple[str, ...]
    weights: tuple[float, float, float]  # that answers, lines and strangers have under this excitation


def named_by_grains(
    model: Model,
    said: Prediction,
    search: MineralSearch,
    narrowed: Callable[[Prediction], Prediction],
    progress: Progress = ignore_progress,
    asked: NDArray[np.bool_] | None = None,
) -> tuple[Prediction, dict[str, str]] | None:
    """Return classes of a map whose pixels are mixtures of its grains; None of a map without grains of two.

    Behind them what speaks against names that grains had at first. Pixels that no mixture explains keep what
    the network says of them.

    ``said``: what the model says of each pixel, to be ``narrowed`` to what may be; it may hold names that the
    model never learnt, behind its own, of which some are ``asked`` for.
    """
    level = set_level(said)
    if level is None:  # classes that were formed in training hold mixtures
        return None
    possible = narrowed(said)
    grains = look_at_grains(model, said, label_map_of(possible), search, progress, asked)
    if grains is None and len(said.names) > len(model.description.names):  # all may be strangers
        grains = look_at_grains(model, said, label_map_of(said), search, progress, asked)
    if grains is None:
        return None
    names = _narrowed(weighed(grains.answers, grains.squares, grains.weights), said, narrowed)
    at = np.vstack([grains.squares, np.zeros_like(grains.squares[:1])])[grains.sampled]
    inside = grains.sampled[:, None] >= 0
    by_lines = weighed(grains.of_pixels, at, grains.weights)
    seen = _narrowed(np.where(inside, by_lines, grains.of_pixels), said, narrowed)
    classes, kinds, sure = _named(AnswerClasses.of(said.description, seen, level), names, level)
    named = kinds < len(classes.description.names)
    if np.unique(kinds[named]).size < 2:
        return None
    parts = np.eye(len(classes.description.names) + 1, dtype=np.float32)[kinds]
    belief = (sure * grains.believed).astype(np.float32)
    mixing = Mixing.learned(grains.binned, grains.ends, parts, grains.places, belief, named)
    told = classes.told(possible)
    _put_mixtures(told, grains.binned, mixing, level, progress)
    return replace(told, notes=(*told.notes, *grains.notes)), grains.doubted


def look_at_grains(
    model: Model,
    said: Prediction,
    labels: LabelMap,
    search: MineralSearch,
    progress: Progress,
    asked: NDArray[np.bool_] | None = None,
) -> GrainInteriors | None:
    """Return what lies in grains of a map, and what is said of it; None of a map without grains of two.

    ``said``: what the model says of each pixel, of names that it never learnt, too, for which ``asked`` tells
    which of its own are looked for. ``labels``: the map of what is the likeliest.
    """
    known, winner = search.measured, labels.labels.astype(np.intp) - 1
    binned = BinnedMap(known.cube, merged_bins(search.bins, known.sum_spectrum, winner.size))
    taught = independent_pixels(binned)
    down, across = taught.steps
    thin = np.where(taught.binned.held(slice(0, taught.binned.shape[0])), winner[::down, ::across], -1)
    if _coherence(thin) < _COHERENT:
        return None
    ends, places = learn_ends(taught.binned, thin, progress)
    if len(ends) < 2:
        return None
    believed, doubts = belief_in_ends(ends, places, thin)
    places = taught.spread(places, binned.shape)
    cube = known.on_refined_axis
    sums = sum_classes(cube, places.astype(np.intp) + 1, progress)
    spectra = np.array([sums[place] for place in range(1, len(ends) + 1)])
    of_sums = SpectralCube(spectra[None], cube.energy, name="grains", excitation=excitation_found(known))
    answers = predict(model, of_sums, outputs=("minerals",), calibrate=False)
    assert answers.probability is not None
    answers = replace(answers, probability=shared_out(answers.probability, answers.names, known))
    sampled, of_pixels = _sampled(said, places)
    if asked is not None:
        answers = _with_unlearnt(answers, said, search, asked)
        of_pixels[sampled >= 0] = shared_with_unlearnt(of_pixels[sampled >= 0], asked)
    squares, doubted = lines_against(answers, spectra, search, progress)
    # Of many counts a network heeds what nobody models as well: the scatter of goethite and magnetite.
    both = (answers_of(answers, slice(0, 1))[0] + _means(of_pixels, sampled, len(ends))) / 2
    by_lines = np.arange(squares.shape[1]) >= len(model.description.names)
    both[:, :-1][by_lines & (squares >= MOST_SQUARE)] = 0  # nothing else speaks for these names
    electrons = isinstance(known.instrument.source, ElectronBeam)
    return GrainInteriors(
        binned,
        ends,
        places,
        both,
        squares,
        doubted,
        sampled,
        of_pixels,
        believed,
        notes=(*taught.notes, *doubts),
        weights=ELECTRON_GRAIN_WEIGHTS if electrons else GRAIN_WEIGHTS,
    )


def _with_unlearnt(
    answers: Prediction, said: Prediction, search: MineralSearch, asked: NDArray[np.bool_]
) -> Prediction:
    """Return answers (1, M) with the names that ``said`` holds besides, likely enough to be looked at."""
    library, number = {each.name: each for each in search.minerals}, len(answers.names)
    wider = with_unlearnt(answers, [library[name] for name in said.names[number:]])
    shared = shared_with_unlearnt(answers_of(wider, slice(0, 1))[0], asked)
    shared[:, number:-1] = np.maximum(shared[:, number:-1], LEAST_ASKED)
    return replace(wider, probability=shared[None, :, :-1], unknown=shared[None, :, -1])


def _named(
    classes: AnswerClasses, names: NDArray[np.float32], level: float
) -> tuple[AnswerClasses, NDArray[np.intp], NDArray[np.float64]]:
    """Return classes, those that several of them form behind, and which each grain is, the last "unknown".

    Behind them how sure that is. ``names``: (M, K + 1) how likely each is in each grain.
    """
    # Root: what grains tell of how common classes are is what each of them says already.
    of_grains = replace(classes, factors=np.sqrt(classes.factors)).of_answers(names)
    named = of_grains.argmax(axis=1) < of_grains.shape[1] - 1
    own = (names @ classes.membership)[:, :-1]  # how common it is elsewhere in the map excludes no class
    first = np.eye(of_grains.shape[1], dtype=bool)[of_grains.argmax(axis=1)]
    sets = answer_sets(of_grains, level)[:, :-1] & (own >= _BESIDE * own.max(axis=1, keepdims=True))
    sets = (sets | first[:, :-1]) & named[:, None]
    classes, kinds = classes.with_sets(sets)
    # Of few names each is commoner, and strangers are not; half believed, since lists lack what is there.
    listed = np.sqrt((names[:, :-1] > 0).any(axis=0).mean())
    strange = of_grains[:, -1] * np.where(named, listed, 1.0)
    chosen = np.where(named, (of_grains[:, :-1] * sets).sum(axis=1), strange)
    kinds[~named] = len(classes.description.names)
    return classes, kinds, chosen / (of_grains[:, :-1].sum(axis=1) + strange)


def _sampled(said: Prediction, places: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return in which grains (n,), -1 of none, some pixels lie, and what is said of them, (n, K + 1)."""
    measured = np.flatnonzero(said.counts > 0)
    chosen = np.zeros(places.shape, dtype=bool)
    chosen.flat[measured[:: max(1, measured.size // MOST_PIXELS)]] = True
    chosen.flat[np.unique(places, return_index=True)[1]] = True  # one of each grain
    found = [answers_of(said, band)[chosen[band]] for band in said.bands()]
    return places[chosen].astype(np.intp), np.concatenate(found)


def _means(answers: NDArray[np.float32], grain: NDArray[np.intp], number: int) -> NDArray[np.float32]:
    """Return what the pixels of so many grains say together, as sure as one of them, (M, K + 1)."""
    total = np.zeros((number, answers.shape[1]))
    inside = grain >= 0
    np.add.at(total, grain[inside], np.log(np.maximum(answers[inside], _LEAST)))
    mean = np.exp(total / np.bincount(grain[inside], minlength=number)[:, None])
    return np.asarray(mean / mean.sum(axis=1, keepdims=True), dtype=np.float32)


def _narrowed(
    answers: NDArray[np.float32], like: Prediction, narrowed: Callable[[Prediction], Prediction]
) -> NDArray[np.float32]:
    """Return answers (N, K + 1), narrowed to what may be."""
    counts = np.ones((1, len(answers)), dtype=np.float32)
    said = replace(like, probability=answers[None, :, :-1], unknown=answers[None, :, -1], counts=counts)
    return answers_of(narrowed(said), slice(0, 1))[0]


def _put_mixtures(
    told: Prediction, binned: BinnedMap, mixing: Mixing, level: float, progress: Progress
) -> None:
    """Put in place, in the probabilities of all pixels that mixtures explain, what these say."""
    assert told.probability is not None
    assert told.unknown is not None
    held = [frozenset(members_of(name)) for name in (*told.names, UNKNOWN_NAME)]
    within = np.array([[one < other for other in held] for one in held])

    def found_in(band: slice) -> tuple[slice, Mixtures]:
        return band, mixing.unmix(binned, band)

    with one_thread_of("blas"):
        bands = (band for band, _, _ in binned.wide_bands(0, "unmixing pixels", progress))
        for band, found in in_threads(found_in, bands):
            explained = found.misfit <= MOST_MISFIT
            at = binned.held(band)
            at[at] = explained
            values = answers_of(told, band)
            values[at] = said_of_mixtures(found, within, level)[explained]
            told.probability[band], told.unknown[band] = values[..., :-1], values[..., -1]


def said_of_mixtures(found: Mixtures, within: NDArray[np.bool_], level: float) -> NDArray[np.float32]:
    """Return how likely each class, "unknown" last, is the largest in pixels, (n, G + 1).

    ``within``: (G + 1, G + 1) whose names another class holds, too: that one is meant where it is as likely
    to be the largest, up to the ``level`` of sets.
    """
    pixels = np.arange(found.lead.size)
    second, first = np.argsort(found.areas, axis=1)[:, -2:].T
    leads = ndtr(found.lead).astype(np.float32)
    beside = found.areas[pixels, second] > 0
    probability = np.zeros_like(found.areas)
    wider = within[first, second] & beside & (leads < level)
    np.add.at(probability, (pixels, np.where(wider, second, first)), leads * found.sure)
    np.add.at(probability, (pixels, np.where(within[second, first], first, second)), (1 - leads) * beside)
    probability[:, -1] += np.maximum(1 - probability.sum(axis=1), 0)
    return probability


def _coherence(winner: NDArray[np.intp]) -> float:
    """Return how much more often neighbours (Y, X) are of one class than chance has it, of what could be."""
    pairs = [(winner[1:], winner[:-1]), (winner[:, 1:], winner[:, :-1])]
    both = np.concatenate([np.stack(pair, axis=-1).reshape(-1, 2) for pair in pairs])
    both = both[(both >= 0).all(axis=1)]
    if not both.size:
        return 0.0
    shares = np.bincount(both.ravel()) / both.size
    chance = float((shares**2).sum())
    return float((both[:, 0] == both[:, 1]).mean() - chance) / (1 - chance) if chance < 1 else 0.0
