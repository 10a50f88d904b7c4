"""How well a network learns from 20 painted pixels of each class of a map, in under a minute.

    python -m benchmarks.painted_pixels --rocks granite,gabbro --seeds 31,32
    python -m benchmarks.painted_pixels --measured ../shared/data

Rock maps whose spectra other code made (``benchmarks/independent/rock_maps.py``). Painted are pure pixels of
the minerals that cover a hundred pixels at least, drawn at random; judged are all other pure pixels of them.
With ``--measured`` the pixels of a map are drawn from the counts of one instrument's measured spectra: plates
and acrylic by NIST, plates and soils by Horiba.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.independent.rock_maps import Draws, RockMap
from benchmarks.mineral_rocks import rock_map
from numpy.typing import NDArray

import napari_xrf as nx
from napari_xrf.core.label_map import LabelClass, LabelMap, members_of
from napari_xrf.io import write_cube
from napari_xrf.io.own.label_files import write_labels
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.views import label_map_of
from napari_xrf.learning.recipe_variants import with_regions
from napari_xrf.learning.training import train
from napari_xrf.learning.training_recipes import training_recipe

_FEWEST = 100  # pure pixels of a class that is painted
_INSTRUMENTS = {
    "NIST's Bruker": ("spectra/nist_microxrf/*_D1*.msa",),
    "Horiba XGT-7200": ("spectra/horiba_xgt7200/*.txt", "standards/*_Horiba*.txt"),
}


def painted(made: RockMap, number: int, generator: np.random.Generator) -> tuple[LabelMap, NDArray[np.bool_]]:
    """Return labels of ``number`` pixels of each class, and which pure pixels of the classes are left."""
    main = made.fractions.argmax(axis=2)
    labels = np.zeros(main.shape, dtype=np.uint16)
    left = np.zeros(main.shape, dtype=bool)
    classes = []
    for place, name in enumerate(made.names):
        here = np.flatnonzero(made.pure & (main == place))
        if len(here) < _FEWEST:
            continue
        classes.append(LabelClass(len(classes) + 2, name))
        chosen = generator.choice(here, number, replace=False)
        labels.flat[chosen] = classes[-1].label
        left.flat[here] = True
    left &= labels == 0
    return LabelMap(labels, tuple(classes)), left


def learned(made: RockMap, given: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train on painted pixels of a map, and return how many of the others get the right name."""
    labels, left = painted(made, given.pixels, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        cube, drawn = Path(folder) / "map.h5", Path(folder) / "labels.tif"
        write_cube(cube, made.cube)
        write_labels(drawn, labels)
        recipe = with_regions(training_recipe("mineral-cnn"), cube, drawn, seed=seed)
        options = replace(recipe.options, start=given.start, epochs=given.epochs, steps_per_epoch=given.steps)
        recipe = replace(recipe, options=replace(options, batch_size=given.batch, validation_size=512))
        wall, processor = time.perf_counter(), time.process_time()
        model = train(recipe, seed=seed)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "classes": float(len(labels.classes)),
        "held-out pixels": float(left.sum()),
        "right": _right(model, made, left),
        "processor seconds": processor,
        "seconds": wall,
    }


def _right(model: Model, made: RockMap, left: NDArray[np.bool_]) -> float:
    found = label_map_of(predict(model, made.cube))
    main = made.fractions.argmax(axis=2)
    right = np.zeros(main.shape, dtype=bool)
    for entry in found.classes:
        for name in members_of(entry.name):
            if name in made.names:
                right |= (main == made.names.index(name)) & (found.labels == entry.label)
    return float(right[left].mean())


def mosaic(files: Sequence[Path], counts: float, side: int, generator: np.random.Generator) -> RockMap:
    """Return a map of measured spectra of one instrument: a stripe of pixels of each, of so many counts."""
    cubes = [nx.read(path) for path in files]
    rows = max(side // len(files), 2)
    stripes, fractions = [], np.zeros((rows * len(files), side, len(files)), dtype=np.float32)
    for place, cube in enumerate(cubes):
        spectrum = np.asarray(cube.sum_spectrum(), dtype=np.float64)
        stripes.append(generator.multinomial(int(counts), spectrum / spectrum.sum(), size=(rows, side)))
        fractions[place * rows : (place + 1) * rows, :, place] = 1
    drawn: Any = np.concatenate(stripes).astype(np.uint16)
    cube = replace(cubes[0], counts=drawn, live_time=None, name="measured spectra")
    names = tuple(path.stem.partition("_")[0] for path in files)
    return RockMap(cube, names, fractions, names, {}, {}, {})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rocks", default="granite,ultramafic,carbonatite,gabbro")
    parser.add_argument("--seeds", default="31")
    parser.add_argument("--counts", type=float, default=1000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--pixels", type=int, default=20, help="painted of each class")
    parser.add_argument("--start", default="mineral-cnn", help="weights to begin from")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--measured", type=Path, help="folder of measured files, in place of rocks")
    parser.add_argument("--keep", type=Path, help="folder of maps that are made once")
    given = parser.parse_args()
    rows = {}
    for instrument, patterns in _INSTRUMENTS.items() if given.measured else ():
        files = sorted(path for pattern in patterns for path in given.measured.glob(pattern))
        for seed in map(int, given.seeds.split(",")):
            made = mosaic(files, given.counts, given.size, np.random.default_rng(seed))
            rows[f"{instrument}, seed {seed}"] = learned(made, given, seed)
            print(instrument, seed, rows[f"{instrument}, seed {seed}"], flush=True)
    for rock in given.rocks.split(",") if not given.measured else ():
        for seed in map(int, given.seeds.split(",")):
            made = rock_map(rock, seed, Draws(given.counts, given.size), given.keep)
            rows[f"{rock}, seed {seed}"] = learned(made, given, seed)
            print(rock, seed, rows[f"{rock}, seed {seed}"], flush=True)
    print(FigureTable("Painted pixels", rows).as_markdown())


if __name__ == "__main__":
    main()
