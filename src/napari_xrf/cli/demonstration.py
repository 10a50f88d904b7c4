"""The verb that shows the main job on a synthetic rock: demo."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.cli.analysis import write_element_maps, write_mineral_files
from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import output_folder
from napari_xrf.core.label_map import LabelMap, members_of

SEED = 20
CLEAN_UP = "majority:3"
ONE_MINERAL = 0.95  # share of a pixel


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``demo`` to the parser's verbs."""
    demo = verbs.add_parser("demo", parents=[common], help="a synthetic rock from cube to mineral report")
    demo.add_argument("--headless", action="store_true", help="leave the files, open no window")
    demo.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("demo-output"))
    demo.add_argument("--seed", type=int, default=SEED, help=f"of the random rock (default {SEED})")
    demo.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace, console: Console) -> Answer:
    """Make a synthetic pegmatite, and take it from file to element maps and a mineral report."""
    from napari_xrf import io
    from napari_xrf.io.own.cube_files import write_cube
    from napari_xrf.maps.calibrated_map import calibrate_map
    from napari_xrf.minerals.classification import classify_minerals
    from napari_xrf.minerals.labels.cleanup import parse_clean_up
    from napari_xrf.synthesis.pegmatite import synthesize_pegmatite
    from napari_xrf.synthesis.recipes import seeded

    generator = seeded(arguments.seed)
    folder = output_folder(arguments.output)
    console.say("making a synthetic pegmatite …")
    rock = synthesize_pegmatite(generator=generator, progress=console.progress)
    file = folder / "pegmatite.h5"
    write_cube(file, rock.cube, truth=rock.truth_entries(), progress=console.progress)
    cube = io.read(file, progress=console.progress).load(progress=console.progress)
    console.say(f"{file}: {cube.shape[0]} × {cube.shape[1]} pixels, {int(cube.sum_spectrum().sum())} counts")
    console.say("finding elements and fitting their maps …")
    measured = calibrate_map(cube, progress=console.progress)
    maps = write_element_maps(measured, None, "fit", folder, console)
    console.say("naming the minerals …")
    named = classify_minerals(measured, progress=console.progress)
    minerals = write_mineral_files(named, cube, parse_clean_up(CLEAN_UP), folder, console)
    labels = io.read_labels(folder / "labels.h5")
    everywhere = agreement_with_truth(labels, rock.truth)
    inside = agreement_with_truth(labels, rock.truth, rock.abundances.max(axis=2) > ONE_MINERAL)
    console.say(
        f"of the pixels that hold one mineral {100 * inside:.1f} % carry its name or that of its group, "
        f"of all pixels, grain boundaries included, {100 * everywhere:.1f} %"
    )
    if not arguments.headless:
        open_in_napari(file, folder / "labels.h5")
    data = {
        "files": [str(file), *maps.data["files"], *minerals.data["files"]],
        "seed": arguments.seed,
        "agreement": {"one_mineral": inside, "all": everywhere},
        "classes": minerals.data["classes"],
    }
    return Answer(data, minerals.text)


def agreement_with_truth(labels: LabelMap, truth: LabelMap, where: NDArray[np.bool_] | None = None) -> float:
    """Return the share of pixels whose class, or group of classes, names the pixel's true class.

    ``where``: (Y, X) pixels to judge; all by default.
    """
    right = np.zeros(labels.labels.shape, dtype=bool)
    for entry in labels.classes:
        members = {name.lower() for name in members_of(entry.name)}
        numbers = [true.label for true in truth.classes if true.name.lower() in members]
        right |= (labels.labels == entry.label) & np.isin(truth.labels, numbers)
    return float(right.mean() if where is None else right[where].mean())


def open_in_napari(*files: Path) -> None:
    """Open files in a napari window with the Spectrum dock, and wait until it is closed."""
    command = [sys.executable, "-m", "napari", *map(str, files), "--plugin", "napari-xrf"]
    subprocess.run([*command, "--with", "napari-xrf", "Spectrum"], check=False, env=os.environ)
