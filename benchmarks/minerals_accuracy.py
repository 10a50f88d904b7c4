"""How often pixels get their mineral, how well strangers are told, and how quick it is.

Synthetic maps of compositions anywhere in the minerals' ranges, Poisson counts, and an energy axis that is
15 eV and 0.08 % off. Run: python benchmarks/minerals_accuracy.py [--all] [--size 40]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mineral_cubes import known_map, mineral_cube
from napari_xrf.core.label_map import UNKNOWN_LABEL
from napari_xrf.minerals.classification import Classification, ClassificationOptions, classify_minerals
from napari_xrf.reference.minerals import Mineral, load_library, select_minerals

SETS = {
    "pegmatite": "quartz albite K-feldspar muscovite lepidolite spodumene petalite schorl elbaite beryl "
    "fluorapatite spessartine cassiterite columbite-(Fe) tantalite-(Mn) zircon triphylite pollucite topaz",
    "igneous": "quartz plagioclase K-feldspar olivine orthopyroxene augite hornblende biotite magnetite "
    "ilmenite fluorapatite titanite zircon calcite pyrite chromite almandine epidote",
    "ore": "quartz calcite barite fluorite pyrite marcasite pyrrhotite chalcopyrite bornite chalcocite "
    "sphalerite galena arsenopyrite molybdenite pentlandite tetrahedrite gold magnetite hematite goethite",
}


def score(found: Classification, minerals: tuple[Mineral, ...], truth: np.ndarray) -> tuple[float, float]:
    """Share of pixels whose class names the true mineral, and share of unknown ones."""
    names = {entry.label: set(entry.name.split(" / ")) for entry in found.label_map.classes}
    labels = found.label_map.labels
    right = [minerals[i].name in names[label] for i, label in zip(truth.flat, labels.flat, strict=True)]
    return float(np.mean(right)), float(np.mean(labels == UNKNOWN_LABEL))


def strangers(
    minerals: tuple[Mineral, ...], counts: float, instrument: str, size: int
) -> tuple[float, float, float]:
    """Leave each third mineral out: AUROC of the misfit, and the strangers and the known called unknown."""
    cube, truth = mineral_cube(minerals, counts, instrument=instrument, shape=(size, size), seed=2)
    kept = tuple(each for index, each in enumerate(minerals) if index % 3)
    found = classify_minerals(known_map(cube, instrument), kept, ClassificationOptions(tolerance=0.1))
    strange = truth % 3 == 0
    order = np.argsort(np.argsort(found.misfit, axis=None)).reshape(truth.shape) + 1.0
    n, m = strange.sum(), (~strange).sum()
    area = (order[strange].sum() - n * (n + 1) / 2) / (n * m)
    unknown = found.label_map.labels == UNKNOWN_LABEL
    return float(area), float(unknown[strange].mean()), float(unknown[~strange].mean())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also the whole library")
    parser.add_argument("--size", type=int, default=40, help="side of the maps, pixels")
    arguments = parser.parse_args()
    library = load_library()
    sets = {name: select_minerals(library, names.split()) for name, names in SETS.items()}
    if arguments.all:
        sets["whole library"] = library
    side = arguments.size
    print(
        "set            instrument   counts  minerals  classes  accuracy  unknown   AUROC  strangers  known s"
    )
    for name, minerals in sets.items():
        for instrument in ("m4-tornado", "sem-eds"):
            for counts in (1_000, 10_000):
                cube, truth = mineral_cube(minerals, counts, instrument=instrument, shape=(side, side))
                start = time.perf_counter()
                found = classify_minerals(known_map(cube, instrument), minerals)
                seconds = time.perf_counter() - start
                right, unknown = score(found, minerals, truth)
                area, caught, lost = strangers(minerals, counts, instrument, side)
                classes = len(minerals) - sum(len(group) - 1 for group in found.groups)
                print(
                    f"{name:14s} {instrument:11s} {counts:7d} {len(minerals):9d} {classes:8d} {right:9.3f} "
                    f"{unknown:8.3f} {area:7.3f} {caught:10.3f} {lost:6.3f} {seconds:5.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
