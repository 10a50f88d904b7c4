"""Whether what networks name has the lines of its name, in its proportions. No torch here.

A network that knows the minerals alone takes a glass of nearly a mineral's composition, or a salt that the
library lacks, for it. So the lines of each class are fitted freely, family by family, and compared with what
its mineral may hold: the library's range, and what others of the map's classes add to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.emission_lines import main_line
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.spectra.non_negative import fit_bounded
from napari_xrf.minerals.likelihood.templates import Templates, expect_templates
from napari_xrf.minerals.likelihood.traces import Expected, Families, line_families
from napari_xrf.minerals.naming.constraints import fit_lines
from napari_xrf.minerals.naming.names import unlisted_weight
from napari_xrf.minerals.search import MineralSearch
from napari_xrf.physics.source import ElectronBeam

if TYPE_CHECKING:
    from napari_xrf.learning.prediction.prediction import Prediction

# Relative errors of line families that stand beside one another, by what measured glasses and metals show:
# below 1.1 keV, below 2.5 keV, above; of L and M lines, whose yields are known worse. What a mineral may hold
# of others: per cent by weight, of the counts.
_SOFT_KEV, _HARD_KEV = 1.1, 2.5
_ELECTRONS, _PHOTONS, _OUTER = (0.5, 0.07, 0.07), (0.5, 0.5, 0.15), {"K": 0.0, "L": 0.3, "M": 0.6}
_OTHERS_PERCENT, _MOST_OF_OTHERS = {True: 1.0, False: 2.0}, 0.1
_SEEN_BESIDE = 0.1  # of a spectrum, what others of the map add to it
_STRONG, _ALIKE = 0.02, 0.3  # of the counts, and cosine of line families that hide one another
_SCATTERED = (0.88, 1.16)  # of the energy of the anode's Kα: from its Compton peak to its Kβ
_USUAL = 5.0  # chi-square that true names reach
_ROUNDS = 3
LEAST_ASKED = 0.002  # probability of a name whose lines are looked at
# How much what a network says of a grain, its lines, and that none of the names need be right, count under
# photons and under electrons: the likeliest on grains of rocks of other code (`python -m
# benchmarks.mineral_network grains`). Lines count 1 where their errors above are right: under photons they
# are 1.4 times too wide.
GRAIN_WEIGHTS, ELECTRON_GRAIN_WEIGHTS = (0.97, 1.96, -1.5), (1.21, 0.83, -0.38)
MOST_SQUARE, _TINY = 60.0, 1e-9


@dataclass(frozen=True, eq=False)
class _Setting:
    """What the spectra of a map are compared with."""

    expected: Expected
    found: frozenset[str]  # elements of the map
    electrons: bool
    anode: str | None

    @classmethod
    def of(cls, search: MineralSearch, templates: Templates) -> _Setting:
        """Return it for some expected spectra."""
        known = search.measured
        return cls(
            Expected.of(templates, line_families(known.instrument, search.bins)),
            frozenset(entry.element for entry in known.elements if entry.probability >= 0.5),
            isinstance(known.instrument.source, ElectronBeam),
            known.cube.excitation.anode,
        )


@dataclass(frozen=True)
class _Check:
    """What the lines say of a class: chi-square, and the family that misfits most, with its shares."""

    square: float
    family: str
    measured: float
    expected: float

    @property
    def factor(self) -> float:
        """By how much less likely the name is for it."""
        return float(np.exp(-0.5 * max(self.square - _USUAL, 0.0)))

    def note(self, name: str) -> str:
        """Return what speaks against a name."""
        return (
            f"{name} was doubted: {self.family} is {self.measured:.1%} of its counts, "
            f"and {self.expected:.1%} would be expected"
        )


def lines_against(
    said: Prediction, spectra: NDArray[np.number], search: MineralSearch, progress: Progress = ignore_progress
) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Return how much the lines of M spectra of a map speak against names, (M, K) chi-squares.

    Behind it name → what speaks against it, of names that were the first. Names that a network hardly thinks
    of are not looked at: as much speaks against them as against the worst of the others.

    ``said``: (1, M) what a network says of them, all names. ``spectra``: (M, E).
    """
    assert said.probability is not None
    probability = said.probability[0].astype(np.float64)
    library = {mineral.name: place for place, mineral in enumerate(search.minerals)}
    owner = np.array([library.get(name, -1) for name in said.names])
    asked = (probability >= LEAST_ASKED) & (owner >= 0)
    occurring = np.unique(owner[asked.any(axis=0)])
    minerals = tuple(search.minerals[place] for place in occurring.tolist())
    templates = expect_templates(minerals, search.measured.instrument, search.bins, progress)
    rows = {
        column: np.flatnonzero(templates.owner == np.searchsorted(occurring, owner[column]))
        for column in np.flatnonzero(asked.any(axis=0)).tolist()
    }
    setting, binned = (
        _Setting.of(search, templates),
        [search.bins.sum(each.astype(float)) for each in spectra],
    )
    first = [
        next((column for column in np.argsort(-row).tolist() if ask[column] and rows[column].size), -1)
        for row, ask in zip(probability, asked, strict=True)
    ]
    nearest = [
        _nearest(each, templates, rows[column]) if column >= 0 else -1
        for each, column in zip(binned, first, strict=True)
    ]
    squares, notes = np.full(probability.shape, np.nan), dict[str, str]()
    for place, spectrum in enumerate(binned):
        others = sorted({*nearest} - {nearest[place], -1})
        for column in np.flatnonzero(asked[place]).tolist():
            if rows[column].size:
                check = _check(spectrum, setting, rows[column], setting.expected.parts[others])
                squares[place, column] = check.square
                if check.factor < 0.5 and column == probability[place].argmax():
                    notes.setdefault(said.names[column], check.note(said.names[column]))
    worst = np.fmax.reduce(squares, axis=1, initial=0.0)
    return np.where(np.isnan(squares), worst[:, None], squares), notes


def weighed(
    answers: NDArray[np.float32],
    squares: NDArray[np.float64],
    weights: tuple[float, float, float] = GRAIN_WEIGHTS,
) -> NDArray[np.float32]:
    """Return answers (N, K + 1), "unknown" last, with what lines say of their names, chi-squares (N, K).

    A network is sure of what the instruments that it learnt from have in common, and knows this one's lens
    less well than its lines are expected: it took diopside for hedenbergite at 0.9, whose iron misfits.
    """
    of_network, of_lines, of_stranger = weights
    likely = of_network * np.log(np.maximum(answers.astype(np.float64), _TINY))
    likely[:, :-1] -= of_lines / 2 * np.minimum(squares, MOST_SQUARE)
    likely[:, -1] += of_stranger
    values = np.exp(likely - likely.max(axis=1, keepdims=True))
    return np.asarray(values / values.sum(axis=1, keepdims=True), dtype=np.float32)


def checked_names(
    told: Prediction,
    labels: LabelMap,
    search: MineralSearch,
    templates: Templates,
    compositions: Mapping[str, NDArray[np.intp]],
    progress: Progress = ignore_progress,
) -> tuple[Prediction, tuple[str, ...]]:
    """Return a prediction whose names are doubted as far as their lines speak against them, and notes.

    The probabilities are changed in place.

    ``told``: of a map whose classes are formed. ``labels``: the mineral map that it gives; its classes have
    the names of the prediction's. ``search``: the calibrated map. ``templates``, ``compositions``: expected
    spectra, and class → rows of its minerals.
    """
    named = [entry for entry in labels.classes if entry.name in compositions]
    if not named or told.probability is None or told.unknown is None:
        return told, ()
    setting = _Setting.of(search, templates)
    sums = sum_classes(search.measured.on_refined_axis, _inside_grains(labels.labels), progress)
    factors, notes = np.ones(len(told.names), dtype=np.float32), []
    spectra = {each.name: search.bins.sum(sums[each.label].astype(np.float64)) for each in named}
    nearest = {name: _nearest(each, templates, compositions[name]) for name, each in spectra.items()}
    alone = len(named) == 1
    for entry in named:
        beside = setting.expected.parts[[point for name, point in nearest.items() if name != entry.name]]
        check = min(
            (
                _check(spectra[entry.name], setting, rows, beside)
                for rows in _by_mineral(templates, compositions[entry.name])
            ),
            key=lambda each: each.square,
        )
        minerals = np.unique(templates.owner[compositions[entry.name]]).tolist()
        at = np.array([nearest[entry.name]])
        unlisted = unlisted_weight(setting.expected, at, minerals) if alone else 0.0
        factors[told.names.index(entry.name)] = check.factor / (1 + unlisted)
        if check.factor < 0.5:
            notes.append(check.note(entry.name))
        elif unlisted > 1:
            notes.append(
                f"{entry.name} was doubted: one element shows, and it may be its metal or another salt"
            )
    probability, unknown = told.probability, told.unknown.copy()
    for band in told.bands():  # in place: of a large map they may lie in a scratch file
        before = probability[band]
        unknown[band] += (before * (1 - factors)).sum(axis=-1)
        probability[band] = before * factors
    return replace(told, unknown=unknown), tuple(notes)


def _check(
    spectrum: NDArray[np.float64], setting: _Setting, rows: NDArray[np.intp], beside: NDArray[np.float64]
) -> _Check:
    """Compare lines with those of a mineral, anywhere in its range, with lines of other classes beside it."""
    expected, electrons = setting.expected, setting.electrons
    families = expected.families
    held = expected.parts[rows].max(axis=0) > 0
    foreign = np.array([name in setting.found for name in families.elements]) & _best_of_elements(families)
    looked = np.flatnonzero(
        (held | foreign) & ~lines_beneath(expected, rows) & ~_scattered(families, setting.anode)
    )
    if not looked.size:
        return _Check(0.0, "", 0.0, 0.0)
    nearest = np.array([_nearest(spectrum, expected.templates, rows)])
    free = fit_lines(spectrum, expected, nearest, np.ones(1), looked)
    own, held = expected.parts[np.ix_(rows, looked)], held[looked]
    energy = [_energy(families.names[place]) for place in looked]
    kind = np.searchsorted((_SOFT_KEV, _HARD_KEV), energy)
    relative = np.array(_ELECTRONS if electrons else _PHOTONS)[kind]
    relative = np.maximum(relative, [_OUTER[families.names[place][-1]] for place in looked])
    total = float(np.median(expected.templates.totals[rows]))
    others = np.minimum(_OTHERS_PERCENT[electrons] * families.per_percent[looked] / total, _MOST_OF_OTHERS)
    columns, mean = np.vstack([own, beside[:, looked]]), own.mean(axis=0)
    little = np.eye(len(columns))[len(own) :] / _SEEN_BESIDE  # what lies beside hides no wrong name
    soft = held & (kind == 0)
    for _ in range(_ROUNDS):
        size = np.where(soft, np.maximum(free.amounts, mean), mean)
        deviation = np.sqrt(free.errors**2 + (relative * size) ** 2 + others**2)
        shares = fit_bounded(
            np.vstack([(columns / deviation).T, little]),
            np.concatenate([free.amounts / deviation, np.zeros(len(little))]),
        )
        mean = shares @ columns
    residual = (free.amounts - mean) / deviation
    worst = int(np.abs(residual).argmax())
    name = families.names[looked[worst]]
    return _Check(float(residual @ residual), name, float(free.amounts[worst]), float(mean[worst]))


def _scattered(families: Families, anode: str | None) -> NDArray[np.bool_]:
    """Return which families (F,) lie where a tube's own lines are scattered."""
    lines = [
        (element, _energy(name)) for element, name in zip(families.elements, families.names, strict=True)
    ]
    main = main_line(anode, "K") if anode else None
    low, high = (_SCATTERED[0] * main.energy, _SCATTERED[1] * main.energy) if main else (np.inf, np.inf)
    return np.array([element == anode or low < energy < high for element, energy in lines])


def _best_of_elements(families: Families) -> NDArray[np.bool_]:
    """Return which families (F,) show their element best; of foreign ones the others say little."""
    best: dict[str, int] = {}
    for place, element in enumerate(families.elements):
        if families.per_percent[place] > families.per_percent[best.get(element, place)]:
            best[element] = place
        best.setdefault(element, place)
    return np.isin(np.arange(len(families.names)), list(best.values()))


def lines_beneath(expected: Expected, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which families (F,) lie among a mineral's strong lines: what a fit gives them may be theirs.

    Others, and its own weak ones: Rb L of a feldspar lies 46 eV below Si K, and shapes are not known so well.
    """
    shapes = expected.families.shapes
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    strong = expected.parts[rows].mean(axis=0) > _STRONG
    return np.asarray((shapes @ shapes[strong].T > _ALIKE).any(axis=1) & ~strong)


def _energy(family: str) -> float:
    element, shell = family.split()
    line = main_line(element, shell)
    assert line is not None
    return line.energy


def _by_mineral(templates: Templates, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    owner = templates.owner[rows]
    return [rows[owner == mineral] for mineral in np.unique(owner)]


def _nearest(spectrum: NDArray[np.float64], templates: Templates, rows: NDArray[np.intp]) -> int:
    made = templates.lines[rows] + templates.continuum[rows]
    return int(rows[((spectrum / spectrum.sum() - made) ** 2).sum(axis=1).argmin()])


def _inside_grains(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return labels without pixels beside another class, but where a class has no others."""
    padded = np.pad(labels, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    inner = np.all([each == labels for each in around], axis=0)
    kept = np.unique(labels[inner])
    return np.where(inner | ~np.isin(labels, kept), labels, 0)
