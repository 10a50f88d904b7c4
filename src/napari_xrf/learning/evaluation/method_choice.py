"""Ways of naming minerals compared on twins of a map, and the one that wins there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.core.label_map import UNKNOWN_LABEL, LabelMap, members_of
from napari_xrf.core.named_files import is_file, is_folder
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.prediction.network_method import check_method, classify_by, read_mineral_model
from napari_xrf.learning.prediction.suitability import unsuited_to
from napari_xrf.learning.weights import models_giving
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.minerals.classification import AS_USUAL, Classification, ClassificationOptions
from napari_xrf.minerals.method_choice import BEST, LIKELIHOOD, MethodChoice, MethodFigures
from napari_xrf.reference.minerals import Mineral, known_minerals, merge_libraries, select_minerals

if TYPE_CHECKING:
    from napari_xrf.synthesis.map_twin import MapTwin

TWINS, SIDE = 2, 40  # of them, and pixels of each

_STRICT, _SURE = 3, 0.9
_BLOCK = 8  # pixels: grains are as right or wrong as a whole
_BEYOND = 2.0  # standard errors by which another method must win over the first
_MEANT = 0.5  # of a class's pixels, from which it means what another map names there


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """Methods compared on twins of one map, and what each says of the map itself."""

    choice: MethodChoice
    answers: Mapping[str, Classification]  # method → its mineral map
    twins: tuple[MapTwin, ...]

    @property
    def best(self) -> Classification:
        """What the chosen method says, with the reason why it was chosen."""
        return replace(self.answers[self.choice.chosen], choice=self.choice)


def methods_of(text: str) -> tuple[str, ...]:
    """Return the methods of ``"best"`` (the likelihood, and what names any mineral) or ``"one,another"``.

    A file whose name holds a comma is one method.
    """
    if text == BEST:
        return (
            LIKELIHOOD,
            *(name for name in models_giving("minerals") if read_mineral_model(name).conditions),
        )
    if "," not in text or is_file(text) or is_folder(text):
        return (text,)
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))


def check_methods(text: str, minerals: Sequence[Mineral] | None, options: ClassificationOptions) -> None:
    """Look whether methods can do what is asked; options are the likelihood's where several are compared.

    Errors as :func:`~napari_xrf.learning.prediction.network_method.check_method`.
    """
    methods = methods_of(text)
    for method in methods:
        several = len(methods) > 1 and method != LIKELIHOOD
        if text != BEST or not several:  # what the best of all cannot be is told in its notes
            known = options.of_the_map if several else options
            check_method(method, None, known)
            check_method(method, _asked(method, minerals) if several else minerals, known)


def classify_by_choice(
    text: str,
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> Classification:
    """Name the mineral of each pixel by a method, or by the best of several on twins of the map.

    ``text``: as for :func:`methods_of`. The other parameters and errors are those of
    :func:`~napari_xrf.learning.prediction.network_method.classify_by`.
    """
    methods = methods_of(text)
    common: dict[str, Any] = {"memory_budget": memory_budget, "progress": progress}
    if len(methods) == 1:
        return classify_by(methods[0], measured, minerals, options, **common)
    check_methods(text, minerals, options)
    return compare_methods(methods, measured, minerals, options, **common).best


def compare_methods(
    methods: Sequence[str],
    measured: Measured,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    twins: int = TWINS,
    side: int = SIDE,
    seed: int = 0,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> MethodComparison:
    """Compare methods on twins of a map; each twin is made after what one of them, in turn, sees in the map.

    The first method is taken unless another leads it by more than two standard errors of the lead, which are
    the larger of that over blocks of 8 × 8 pixels and that over twins.

    Raises InvalidInput when none of the methods can be asked, or a number makes no sense.

    Parameters
    ----------
    methods
        Names as for :func:`~napari_xrf.learning.prediction.network_method.classify_by`. One that cannot be
        asked about this map is left out, with a note.
    measured, minerals
        The map, and what to look for in it.
    options
        Of the likelihood; networks take what is done to the map before.
    twins, side
        How many, and their pixels.
    seed
        Of the twins.
    """
    from napari_xrf.synthesis.map_twin import make_twin

    if twins < 1 or side < 8:
        raise InvalidInput(f"{twins} twins of {side} pixels cannot be made", "Make one of 8 or more")
    known = calibrate_map(measured, progress=progress).checked()
    library = known_minerals()
    for more in (options.library, minerals):
        library = library if more is None else merge_libraries(library, more)

    def ask(method: str, of: Measured) -> Classification:
        own = options if method == LIKELIHOOD else options.of_the_map
        asked = _asked(method, minerals)
        return classify_by(method, of, asked, own, memory_budget=memory_budget, progress=progress)

    answers, seconds, notes = _answers(methods, known, ask, len(methods))
    meanings = {name: _meanings(found.label_map, answers, library) for name, found in answers.items()}
    notes += _translated(meanings)
    teachers = [name for name, found in answers.items() if _names_minerals(found.label_map, library)]
    made: list[MapTwin] = []
    told: dict[str, list[TwinScore]] = {name: [] for name in answers}
    for number in range(twins if len(answers) > 1 and teachers else 0):
        progress(number, twins, "comparing methods on twins of the map")
        generator = np.random.default_rng([seed, number])
        after = answers[teachers[number % len(teachers)]].label_map
        try:
            twin = make_twin(
                known, after, library, listed=minerals, side=side, generator=generator, progress=progress
            )
        except InvalidInput as error:
            notes.append(f"no twin of the map: {error}")
            break
        made.append(twin)
        for name in answers:
            try:
                labels = ask(name, twin.cube).label_map
            except XrfError as error:
                notes.append(f"{name} cannot name twin {number + 1}, and has nothing right there: {error}")
                labels = None
            told[name].append(score_labels(twin, labels, meanings[name]))
    rows = tuple(_figures(name, told, next(iter(answers)), seconds[name]) for name in answers)
    return MethodComparison(_choice(rows, len(made), tuple(notes)), answers, tuple(made))


def _asked(method: str, minerals: Sequence[Mineral] | None) -> Sequence[Mineral] | None:
    """Return what a method is asked for: what a user taught from regions of a map has its own classes."""
    own = method != LIKELIHOOD and read_mineral_model(method).source_kind in ("regions", "shares")
    return None if own else minerals


def _answers(
    methods: Sequence[str], known: CalibratedMap, ask: Any, number: int
) -> tuple[dict[str, Classification], dict[str, float], list[str]]:
    """Return what each method that can be asked says of the map, its seconds, and why others cannot."""
    answers: dict[str, Classification] = {}
    seconds: dict[str, float] = {}
    notes: list[str] = []
    for method in methods:
        start = time.process_time()
        try:
            if method != LIKELIHOOD and (doubts := unsuited_to(read_mineral_model(method), known)):
                raise InvalidInput(doubts[0])
            answers[method] = ask(method, known)
        except XrfError as error:
            notes.append(f"{method} is left out: {error}")
            continue
        seconds[method] = time.process_time() - start
    if not answers:
        raise InvalidInput(f"none of {number} methods can name this map: {'; '.join(notes)}")
    return answers, seconds, notes


Meanings = dict[str, tuple[str, ...]]


def _meanings(
    labels: LabelMap, answers: Mapping[str, Classification], library: Sequence[Mineral]
) -> Meanings:
    """Return which minerals each class's name means.

    Names are looked up, synonyms too. A class of a user's own, whose name is no mineral's, means what another
    method names most of its pixels.
    """
    found: Meanings = {}
    for entry in labels.classes:
        names: list[str] = []
        for name in members_of(entry.name):
            try:
                names += [each.name for each in select_minerals(library, [name])]
            except InvalidInput:
                continue
        found[entry.name] = tuple(names)
        if names or entry.label == UNKNOWN_LABEL:
            continue
        here = labels.labels == entry.label
        for other in answers.values():
            if other.label_map is labels or other.label_map.labels.shape != here.shape or not here.any():
                continue
            given, number = np.unique(other.label_map.labels[here], return_counts=True)
            label = int(given[number.argmax()])
            meant = next((each for each in other.label_map.classes if each.label == label), None)
            if meant and label != UNKNOWN_LABEL and number.max() > _MEANT * here.sum():
                found[entry.name] = members_of(meant.name)
                break
    return found


def _translated(meanings: Mapping[str, Meanings]) -> list[str]:
    """Return a sentence on each method whose classes' names are no minerals'."""
    notes = []
    for method, found in meanings.items():
        own = {
            name: meant
            for name, meant in found.items()
            if meant and {each.casefold() for each in members_of(name)}.isdisjoint(map(str.casefold, meant))
        }
        if own:
            pairs = ", ".join(f"{name} for {' / '.join(meant)}" for name, meant in own.items())
            notes.append(f"classes of {method} are taken for minerals: {pairs}")
    return notes


def _names_minerals(labels: LabelMap, library: Sequence[Mineral]) -> bool:
    known = {mineral.name.casefold() for mineral in library}
    return any(each.casefold() in known for entry in labels.classes for each in members_of(entry.name))


@dataclass(frozen=True, eq=False)
class TwinScore:
    """What a method has right where the truth is known; of pixels (Y, X)."""

    worth: NDArray[np.float64]  # 1 where right by few names, −1 where surely wrong
    figures: dict[str, float]
    confidence: NDArray[np.float64]  # of the named pixels
    right: NDArray[np.bool_]  # whether these are


def score_labels(twin: MapTwin, labels: LabelMap | None, meanings: Meanings) -> TwinScore:
    """Compare labels, or none, with a twin's truth."""
    shape, main = twin.main.shape, twin.main
    strange = np.array([name in twin.strangers for name in twin.names])
    right, short, named = (np.zeros(shape, dtype=bool) for _ in range(3))
    confidence = np.zeros(shape)
    shares: dict[str, float] = dict.fromkeys((*twin.names, ""), 0.0)
    if labels is not None:
        unknown = labels.labels <= UNKNOWN_LABEL
        named = ~unknown
        confidence = np.ones(shape) if labels.confidence is None else labels.confidence.astype(np.float64)
        for entry in labels.classes:
            here = named & (labels.labels == entry.label)
            meant = meanings.get(entry.name) or members_of(entry.name)
            held = np.array([name in meant for name in twin.names])
            right |= here & (held & ~strange)[main]
            short |= here & (len(meant) <= _STRICT)
            true = [name for name, each in zip(twin.names, held & ~strange, strict=True) if each]
            for name in true or [""]:
                shares[name] += float(here.mean()) / max(len(true), 1)
    stranger, few = strange[main], right & short
    good = np.where(stranger, ~named & (labels is not None), few)
    wrong = named & ~right & (confidence >= _SURE)
    modes = twin.fractions.mean(axis=(0, 1), dtype=float)
    known = twin.pure & ~stranger
    errors = [abs(shares[name] - mode) for name, mode in zip(twin.names, modes, strict=True)]
    return TwinScore(
        good.astype(float) - wrong,
        {
            "pure": _mean(right[known]),
            "strict": _mean(few[known]),
            "all": _mean(good),
            "modes": 100
            * float(np.mean([each for each, odd in zip(errors, strange, strict=True) if not odd])),
            "sure_wrong": _mean(wrong),
            "strangers": _mean(~named[twin.pure & stranger]) if labels is not None else 0.0,
        },
        confidence[named],
        right[named],
    )


def _figures(name: str, told: Mapping[str, Sequence[TwinScore]], first: str, seconds: float) -> MethodFigures:
    from napari_xrf.learning.evaluation.probability_calibration import reliability_curve

    own = told[name]
    means = {
        key: float(np.nanmean([each.figures[key] for each in own])) if own else float("nan")
        for key in ("pure", "strict", "all", "modes", "sure_wrong", "strangers")
    }
    leads = [mine.worth - theirs.worth for mine, theirs in zip(own, told[first], strict=True)]
    lead, error = _lead(leads)
    confidence = np.concatenate([each.confidence for each in own]) if own else np.zeros(0)
    right = np.concatenate([each.right for each in own]) if own else np.zeros(0, dtype=bool)
    calibration = reliability_curve(confidence, right).expected_error if right.size else float("nan")
    score = means["all"] - means["sure_wrong"]
    return MethodFigures(
        method=name,
        **means,
        calibration=calibration,
        seconds=seconds,
        score=score,
        lead=lead,
        lead_error=error,
    )


def _lead(leads: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the mean of differences (Y, X) of twins, and its standard error."""
    if not leads:
        return float("nan"), float("nan")
    blocks = np.concatenate([_blocks(each) for each in leads])
    error = float(blocks.std(ddof=1) / np.sqrt(blocks.size)) if blocks.size > 1 else float("inf")
    means = np.array([each.mean() for each in leads])
    if means.size > 1:
        error = max(error, float(means.std(ddof=1) / np.sqrt(means.size)))
    return float(means.mean()), error


def _blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = range(0, values.shape[0], _BLOCK)
    columns = range(0, values.shape[1], _BLOCK)
    return np.array([values[y : y + _BLOCK, x : x + _BLOCK].mean() for y in rows for x in columns])


def _choice(rows: tuple[MethodFigures, ...], twins: int, notes: tuple[str, ...]) -> MethodChoice:
    first = rows[0]
    if len(rows) == 1 or not twins:
        why = "nothing else could be asked" if len(rows) == 1 else "no twin of the map could be made"
        return MethodChoice(first.method, f"{first.method} is taken: {why}", rows, notes)
    winners = [row for row in rows[1:] if row.lead > _BEYOND * row.lead_error]
    best = max(winners, key=lambda row: row.lead, default=first)
    on = f"on {twins} twin{'s' if twins > 1 else ''} of this map"
    if best is not first:
        reason = (
            f"{best.method} is taken: {on} it leads {first.method} by "
            f"{100 * best.lead:.1f} ± {100 * best.lead_error:.1f} points"
        )
    else:
        near = max(rows[1:], key=lambda row: row.lead)
        reason = (
            f"{first.method} is taken: {on} no other leads it by more than two standard errors; "
            f"nearest is {near.method} with {100 * near.lead:+.1f} ± {100 * near.lead_error:.1f} points"
        )
    return MethodChoice(best.method, reason, rows, notes)


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")
