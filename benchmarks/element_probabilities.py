"""Whether elements are there as often as their probability says: a diagram, a table, and the scale behind it.

    python -m benchmarks.element_probabilities FOLDER [--derived 60] [--seeds 0:60] [--cases CASES]
        [--picture docs/images/element-probabilities.png] [--kept FOUND.pkl]

Measured files (FOLDER, see ``elements_of_measured_files``), spectra made of them, and spectra of other code.
The probabilities of a spectrum are those of a scale fitted without any spectrum of its instrument, so that
none is judged by itself. Where it is not certain whether a measured file holds an element, it counts neither
way.
Last come the factors fitted to all, which ``napari_xrf.maps.identification.judgement`` uses. They are
fitted to all elements that may be reported, also those whose probability is too low for it.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from benchmarks.elements_of_derived_spectra import derived_spectra, measured_by, summed
from benchmarks.elements_of_measured_files import TRUTH
from benchmarks.independent.element_set import stored_case
from numpy.typing import NDArray

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.identification.explanation import explain
from napari_xrf.maps.identification.judgement import (
    ElementEvidence,
    may_be_reported,
    probability_of,
    terms_of,
)

Array = NDArray[np.float64]

KINDS = ("measured", "derived", "independent")
_EDGES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
_RIDGE = 0.3  # keeps factors small that few elements tell


@dataclass(frozen=True)
class Named:
    """An element that may be named in a spectrum, and whether it is there."""

    kind: str
    group: str  # instrument, or seed
    evidence: ElementEvidence
    there: bool


def named_in(
    cube: SpectralCube, there: tuple[str, ...], unknown: tuple[str, ...], kind: str, group: str
) -> Iterator[Named]:
    """Yield the elements that may be named in a spectrum; those of which nobody knows, not.

    None of a spectrum whose axis is in doubt, which says so.
    """
    known = calibrate_map(cube)
    if known.doubt:
        return
    for seen in explain(known.sum_spectrum, known.setting, cube.elements).weighed:
        if seen.element not in unknown and may_be_reported(seen):
            yield Named(kind, group, seen, seen.element in there)


def collect(folder: Path, derived: int, seeds: range, cases: Path | None) -> list[Named]:
    """Explain all spectra."""
    found: list[Named] = []
    for name, (seen, allowed) in TRUTH.items():
        may = tuple(one for one in allowed.split() if one not in seen.split())
        found += named_in(summed(folder / name), tuple(seen.split()), may, "measured", measured_by(name))
        print(name, flush=True)
    for cube, name, must, may, instrument in derived_spectra(folder, derived):
        found += named_in(cube, (*must, *may), (), "derived", instrument)
        print(name, flush=True)
    for seed in seeds:
        case = stored_case(seed, cases)
        found += named_in(case.cube, (*case.there, "Ar"), (), "independent", f"seed {seed}")
        print(seed, flush=True)
    return found


def fit_scale(named: list[Named]) -> Array:
    """Return the factors of a logistic function of :func:`terms_of` that fits best."""
    terms = np.array([terms_of(one.evidence) for one in named])
    there = np.array([one.there for one in named], dtype=float)
    factors = np.zeros(terms.shape[1])
    ridge = _RIDGE * np.diag([0.0] + [1.0] * (terms.shape[1] - 1))
    for _ in range(50):
        likely = 1 / (1 + np.exp(-terms @ factors))
        slope = terms.T @ (there - likely) - ridge @ factors
        bend = (terms * (likely * (1 - likely))[:, None]).T @ terms + ridge
        factors = factors + np.linalg.solve(bend, slope)
    return factors


def left_out(named: list[Named]) -> Array:
    """Return the probability of each element by a scale fitted without its spectrum's group."""
    found = np.zeros(len(named))
    for group in {one.group for one in named}:
        inside = [one.group == group for one in named]
        scale = fit_scale([one for one, own in zip(named, inside, strict=True) if not own])
        for k in np.flatnonzero(inside):
            found[k] = probability_of(named[k].evidence, tuple(scale.tolist()))
    return found


def table(named: list[Named], probability: Array) -> str:
    """Return how often elements are there by their probability, as text of a table."""
    lines = ["| called | " + " | ".join(KINDS) + " | all: called, there |", "|---|---|---|---|---|"]
    there = np.array([one.there for one in named])
    kind = np.array([one.kind for one in named])
    for low, high in pairwise(_EDGES):
        inside = (probability >= low) & ((probability < high) | (high == 1.0))
        cells = [f"{low:.2f}-{high:.2f}"]
        for one in KINDS:
            own = inside & (kind == one)
            cells.append(f"{there[own].sum()} of {own.sum()}" if own.any() else "-")
        cells.append(f"{probability[inside].mean():.3f}, {there[inside].mean():.3f}" if inside.any() else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def called(named: list[Named], probability: Array) -> tuple[list[Named], Array]:
    """Print how often those are there that have a probability, and return them."""
    kept = probability > 0
    named, probability = [one for one, own in zip(named, kept, strict=True) if own], probability[kept]
    print(table(named, probability))
    sure = np.array([one.there for one in named])[probability >= 0.95]
    print(f"Called 0.95 or more: {sure.sum()} of {sure.size} there, {100 * sure.mean():.1f} %")
    return named, probability


def draw(named: list[Named], probability: Array, path: Path) -> None:
    """Draw the diagram: part that is there, with its standard error, against what was called."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4.4), layout="constrained")
    axes.plot([0.5, 1], [0.5, 1], color="0.6", linewidth=1)
    there = np.array([one.there for one in named])
    kind = np.array([one.kind for one in named])
    for shift, one in zip((-0.003, 0.0, 0.003), KINDS, strict=True):
        points = []
        for low, high in pairwise(_EDGES):
            inside = (probability >= low) & ((probability < high) | (high == 1.0)) & (kind == one)
            if inside.sum() > 1:
                part = float(there[inside].mean())
                error = np.sqrt((part * inside.sum() + 1) * ((1 - part) * inside.sum() + 1)) / (
                    (inside.sum() + 2) ** 1.5
                )
                points.append((float(probability[inside].mean()) + shift, part, error))
        at, part, errors = np.array(points).T
        axes.errorbar(at, part, errors, marker="o", linestyle="none", capsize=3, label=one)
    axes.set(xlabel="probability called", ylabel="part that is there", xlim=(0.48, 1.02), ylim=(0.0, 1.05))
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--derived", type=int, default=60)
    parser.add_argument("--seeds", default="0:60", help="FIRST:END of the independent spectra")
    parser.add_argument("--cases", type=Path, help="where independent spectra are kept")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--kept", type=Path, help="elements found, to be kept or used again")
    options = parser.parse_args()
    first, end = (int(part) for part in options.seeds.split(":"))
    if options.kept is not None and options.kept.exists():
        named = pickle.loads(options.kept.read_bytes())
    else:
        named = collect(options.folder, options.derived, range(first, end), options.cases)
        if options.kept is not None:
            options.kept.write_bytes(pickle.dumps(named))
    scale = fit_scale(named)
    in_use = np.array([probability_of(one.evidence) for one in named])
    print("By the scale in use, which earlier runs on these spectra gave:")
    called(named, in_use)
    print("By scales fitted without the instrument:")
    named, probability = called(named, left_out(named))
    if options.picture is not None:
        draw(named, probability, options.picture)
    print("Fitted to all:", np.round(scale, 2).tolist())


if __name__ == "__main__":
    main()
