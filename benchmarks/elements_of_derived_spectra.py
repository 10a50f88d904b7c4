"""Elements found in spectra made of measured ones: weaker, mixed, and of parts of maps.

    python -m benchmarks.elements_of_derived_spectra FOLDER [--number 60] [--kind thinned|mixed|region]

FOLDER is that of ``elements_of_measured_files``. *thinned*: a file with 20 to 0.1 % of its counts; *mixed*:
two to four files of one instrument, added in random parts; *region*: rectangles of measured maps. True lines,
tails, reflections and scatter, and no file that anything was tuned on. Elements of files that make a tenth of
a mixture must be found; others may be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.elements_of_measured_files import (
    TRUTH,
    Score,
    print_score,
    reliability,
    score_cube,
    summary,
)

import napari_xrf
from napari_xrf.core.spectral_cube import SpectralCube

INSTRUMENTS = (
    ("nist_microxrf/", "Zr_metal"),
    ("horiba_xgt7200/",),
    ("2586", "LKSD", "Till"),
    ("K411", "K412", "MgO"),
    ("SiO2_SEM", "Zn_metal", "Ge_SEM"),
)
_MAPS = ("Laguna", "P45", "30x30", "bcf_v2", "Hitachi", "i_galena")
_LEAST_PART = 0.1
# A spectrum, its name, elements that must and that may be found, and the instrument.
Derived = tuple[SpectralCube, str, tuple[str, ...], tuple[str, ...], str]


def measured_by(name: str) -> str:
    """Return one name for all files of an instrument; a file's own where it is the only one."""
    return next((parts[0] for parts in INSTRUMENTS if any(part in name for part in parts)), name)


def derived_spectra(folder: Path, number: int, kind: str = "") -> Iterator[Derived]:
    """Yield spectra made of measured files."""
    for seed in range(number):
        generator = np.random.default_rng([seed, 11])
        chosen = ("mixed", "mixed", "thinned", "region")[seed % 4]
        if kind in chosen:
            made = {"mixed": _mixed, "thinned": _thinned, "region": _region}[chosen](folder, generator)
            yield made[0], f"{seed} {made[1]}", *made[2:]


def _thinned(folder: Path, generator: np.random.Generator) -> Derived:
    name = str(generator.choice(list(TRUTH)))
    part = float(np.exp(generator.uniform(np.log(1e-3), np.log(0.2))))
    cube = summed(folder / name)
    weaker = replace(cube, counts=generator.binomial(np.asarray(cube.counts, dtype=np.int64), part))
    return weaker, f"{part:.1e} of {Path(name).name}", (), _all_of(name), measured_by(name)


def _mixed(folder: Path, generator: np.random.Generator) -> Derived:
    parts = INSTRUMENTS[int(generator.choice(len(INSTRUMENTS), p=(0.5, 0.2, 0.1, 0.1, 0.1)))]
    files = [name for name in TRUTH if any(part in name for part in parts) and not name.endswith(".spx")]
    chosen = generator.choice(files, size=min(int(generator.integers(2, 5)), len(files)), replace=False)
    weights = np.exp(generator.uniform(np.log(0.05), 0.0, size=len(chosen)))
    cubes = [summed(folder / str(name)) for name in chosen]
    counts = [
        generator.binomial(np.asarray(cube.counts, dtype=np.int64), weight)
        for cube, weight in zip(cubes, weights, strict=True)
    ]
    total = sum(float(one.sum()) for one in counts)
    must, may = set(), set()
    for name, own in zip(chosen, counts, strict=True):
        may |= set(_all_of(str(name)))
        must |= set(TRUTH[str(name)][0].split()) if own.sum() > _LEAST_PART * total else set()
    told = " + ".join(f"{w:.2f} {Path(str(n)).stem[:8]}" for w, n in zip(weights, chosen, strict=True))
    mixed = replace(cubes[0], counts=np.sum(counts, axis=0), elements=())
    return mixed, told, tuple(sorted(must)), tuple(sorted(may)), parts[0]


def _region(folder: Path, generator: np.random.Generator) -> Derived:
    part = str(generator.choice(_MAPS))
    name = next(name for name in TRUTH if part in name)
    cube = napari_xrf.read(folder / name)
    rows, columns = cube.map_shape
    height, width = (max(1, int(size * generator.uniform(0.1, 0.5))) for size in (rows, columns))
    top, left = int(generator.integers(rows - height + 1)), int(generator.integers(columns - width + 1))
    mask = np.zeros(cube.map_shape, dtype=bool)
    mask[top : top + height, left : left + width] = True
    region = replace(cube, counts=cube.region_spectrum(mask)[None, None], images=(), live_time=None)
    told = f"{Path(name).name[:12]} {top}:{top + height},{left}:{left + width}"
    return region, told, (), _all_of(name), measured_by(name)


def _all_of(name: str) -> tuple[str, ...]:
    return tuple(" ".join(TRUTH[name]).split())


def summed(path: Path) -> SpectralCube:
    """Return a file's sum spectrum as a map of one pixel."""
    cube = napari_xrf.read(path)
    return replace(cube, counts=cube.sum_spectrum()[None, None], images=(), live_time=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--kind", default="")
    options = parser.parse_args()
    scores: list[tuple[str, Score]] = []
    for cube, name, must, may, _ in derived_spectra(options.folder, options.number, options.kind):
        score = score_cube(cube, name.replace("/", "_"), must, may)
        scores.append((name, score))
        print_score(score, f"[{name}]")
    print("| spectra | number | true + allowed | false (p > 0.995) | missed | processor seconds |")
    print("|---|---|---|---|---|---|")
    print(summary([score for _, score in scores], "derived"))
    print(reliability([score for _, score in scores], traces=True))


if __name__ == "__main__":
    main()
