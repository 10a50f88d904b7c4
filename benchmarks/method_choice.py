"""Whether the method that wins on twins of a map wins on the map, and what our physics is off by.

    python -m benchmarks.method_choice ranking   methods on rocks of other code, and on twins of each
    python -m benchmarks.method_choice physics   our spectra of minerals beside those of other code

Twins are made of a map without its truth; so their figures may be compared with those on the map itself.
Rocks are those of ``benchmarks.mineral_rocks``, without secondary fluorescence, which takes most of their
time; their axes are right. ``--own N`` teaches a network from N pixels of each listed mineral that a user
would paint (pure ones of the upper half of the map), and compares it too.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from benchmarks.independent.element_set import stopped_light
from benchmarks.independent.m4_response import respond
from benchmarks.independent.rock_maps import Draws, RockMap, photons_of, preset_of
from benchmarks.mineral_rocks import rock_map
from numpy.typing import NDArray

import napari_xrf as nx
from napari_xrf.cli import main as main_of_cli
from napari_xrf.core.label_map import LabelClass, LabelMap, members_of
from napari_xrf.learning.evaluation.method_choice import compare_methods, score_labels
from napari_xrf.minerals.likelihood.templates import bins_at_resolution
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import known_minerals, load_library, select_minerals
from napari_xrf.synthesis.map_twin import MapTwin

_EDGES_KEV = (0.45, 1.4, 2.6, 3.5, 5.0, 7.0, 10.0, 16.0, 25.0)
_SHORT = ("--epochs", "6", "--steps", "60", "--batch-size", "128", "--validation-size", "512")
_SHOWN, _LINES = 2e-3, 0.7  # of a spectrum's counts in a bin, and of the bin's that lines make


def ranking(options: argparse.Namespace) -> None:
    """Print, for each map and method, what it has right on the map and on twins of it."""
    agreed, maps = 0, 0
    print(
        f"{'map':30s}{'method':14s}{'map: all':>9s}{'score':>7s}"
        f"{'  twins: all':>12s}{'score':>7s}{'lead':>14s}"
    )
    for preset in options.presets.split(","):
        for rock in options.rocks.split(","):
            for counts in map(float, options.counts.split(",")):
                draws = Draws(counts, options.size, preset=preset, secondary=False)
                made = rock_map(rock, options.seed, draws, options.keep)
                agreed += _ranked(f"{preset} {rock} {counts:g}", made, options)
                maps += 1
    print(f"the method taken is the best on the map, or within a point of it, in {agreed} of {maps}")


def _ranked(title: str, made: RockMap, options: argparse.Namespace) -> bool:
    listed = select_minerals(known_minerals(), made.listed)
    with tempfile.TemporaryDirectory() as folder:
        methods = ["likelihood", "mineral-mlp"]
        if options.own:
            methods.append(_taught(made, options.own, Path(folder)))
        found = compare_methods(methods, made.cube, listed, twins=options.twins, side=options.side)
    truth = MapTwin(made.cube, made.names, made.fractions, frozenset(made.strangers))
    scores = {}
    for row in found.choice.rows:
        labels = found.answers[row.method].label_map
        meanings = {entry.name: members_of(entry.name) for entry in labels.classes}
        told = score_labels(truth, labels, meanings)
        scores[row.method] = float(told.worth.mean())
        print(
            f"{title:30s}{Path(row.method).stem[:13]:14s}{told.figures['all']:9.3f}{scores[row.method]:7.3f}"
            f"{row.all:12.3f}{row.score:7.3f}{100 * row.lead:+8.1f} ± {100 * row.lead_error:.1f}",
            flush=True,
        )
    print(f"  {found.choice.reason} {' '.join(found.choice.notes)}", flush=True)
    return scores[found.choice.chosen] > max(scores.values()) - 0.01


def _taught(made: RockMap, pixels: int, folder: Path) -> str:
    """Return the weights of a network that learnt from pixels of each listed mineral."""
    main, half = made.fractions.argmax(axis=2), made.fractions.shape[0] // 2
    labels, classes = np.zeros(main.shape, dtype=np.uint8), []
    for place, name in enumerate(made.names):
        here = np.flatnonzero((made.pure & (main == place))[:half])
        if name in made.listed and here.size >= 5:
            classes.append(LabelClass(len(classes) + 1, name))
            labels.reshape(-1)[here[:pixels]] = len(classes)
    regions = LabelMap(labels, tuple(classes))
    nx.write(folder / "regions.tif", regions)
    nx.write(folder / "map.h5", made.cube)
    files = ["--regions", str(folder / "regions.tif"), "--map", str(folder / "map.h5")]
    if main_of_cli(["train", "mineral-pca", *files, *_SHORT, "-o", str(folder / "own")]):
        raise SystemExit("the training failed")
    return str(folder / "own" / "model.safetensors")


def physics(options: argparse.Namespace) -> None:
    """Print what all minerals share of the difference, and what each has of its own, by energy."""
    generator = np.random.default_rng(options.seed)
    library = load_library()
    minerals = [library[index] for index in generator.choice(len(library), 36, replace=False)]
    materials = [mineral.compositions()[0] for mineral in minerals]
    for name in options.presets.split(","):
        instrument, preset = load_instrument(name), preset_of(name)
        electrons = preset["source"]["kind"] == "electron"
        if electrons:
            light = [stopped_light(preset, dict(each.mass_fractions))[1].sum(axis=0) for each in materials]
        else:
            angles = (preset["geometry"]["incidence_deg"], preset["geometry"]["takeoff_deg"])
            light = [
                photons_of(preset, each.density, [dict(each.mass_fractions)], angles, False)[0]
                for each in materials
            ]
        theirs = np.maximum(respond(preset, np.array(light)), 0)
        low, high = (0.45, 20.0) if electrons else (0.9, 25.0)
        bins = bins_at_resolution(instrument.energy, instrument.detector, low, high)
        ours = expect_samples(materials, instrument, order=2)
        lines, rest, other = bins.sum(ours.lines), bins.sum(ours.rest), bins.sum(theirs)
        _print_differences(name, bins.energies, lines, rest, other)


def _print_differences(
    name: str,
    energies: NDArray[np.float64],
    lines: NDArray[np.float64],
    rest: NDArray[np.float64],
    other: NDArray[np.float64],
) -> None:
    total = lines + rest
    share = total / total.sum(axis=1, keepdims=True)
    ratio = np.log(np.maximum(other / other.sum(axis=1, keepdims=True), 1e-9) / np.maximum(share, 1e-9))
    ratio = np.where(share > _SHOWN, ratio, np.nan)
    ratio -= np.nanmedian(ratio, axis=1, keepdims=True)
    of_lines = np.where(lines > _LINES * total, ratio, np.nan)
    seen = np.isfinite(of_lines).any(axis=0)
    shared = np.full(energies.size, np.nan)
    shared[seen] = np.nanmedian(of_lines[:, seen], axis=0)
    own = of_lines - shared
    for low, high in pairwise(_EDGES_KEV):
        here = (energies >= low) & (energies < high)
        told = own[:, here][np.isfinite(own[:, here])]
        if told.size > 4:
            print(
                f"{name:12s}{low:6.2f} to {high:5.2f} keV: shared {np.nanmean(shared[here]):+.2f}, "
                f"own {1.48 * np.median(np.abs(told)):.3f}"
            )
    background = np.where(rest > 0.8 * total, ratio, np.nan)
    kept = np.isfinite(background).any(axis=1)
    print(f"{name:12s}continuum: {np.std(np.nanmedian(background[kept], axis=1)):.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=["ranking", "physics"])
    parser.add_argument("--presets", default="m4-tornado,sem-eds")
    parser.add_argument("--rocks", default="granite,carbonatite,sulphide,pegmatite")
    parser.add_argument("--counts", default="1000,10000")
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--side", type=int, default=40, help="of twins")
    parser.add_argument("--twins", type=int, default=2)
    parser.add_argument(
        "--own", type=int, default=0, help="pixels of each mineral that a network learns from"
    )
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder of maps that are made once")
    options = parser.parse_args()
    {"ranking": ranking, "physics": physics}[options.table](options)


if __name__ == "__main__":
    main()
