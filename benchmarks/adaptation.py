"""Adaptation to a map beyond the training's distortions: accuracy before and after, where the truth is known.

``python benchmarks/adaptation.py [--model mineral-cnn] [--steps 300] [--seeds 1]``

A synthetic rock is recorded with a gain and a resolution that the model has never seen, and the model is
adapted to the map without its labels. Printed for several ways of adapting: pixel accuracy on the map
against its truth, the figures that the adaptation itself sees (accuracy on held-out labelled spectra,
distance of the features, entropy), how far the weights went to the adapted ones and which gain was found.
With ``--model small`` a small classifier of a few minerals is trained first, in minutes, and kept in
``--folder``.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_xrf.learning.adaptation.adaptation import AdaptationOptions, adapt
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.sources.source import SourceSpec
from napari_xrf.learning.training import train
from napari_xrf.learning.training_recipes import TrainingOptions, training_recipe
from napari_xrf.learning.weights import load_model
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.minerals import load_library, select_minerals
from napari_xrf.synthesis.distortions import Distortions
from napari_xrf.synthesis.mineral_map import SyntheticMap, synthesize_mineral_map

ROCK = ("quartz", "K-feldspar", "biotite", "almandine", "titanite", "fluorapatite", "ilmenite", "pyrite")
SMALL = (*ROCK, "calcite", "hematite", "sphalerite", "barite", "rutile", "zircon", "olivine", "spessartine")


def main() -> None:
    arguments = parse_arguments()
    model = (
        small_model(arguments.epochs, arguments.folder)
        if arguments.model == "small"
        else load_model(arguments.model)
    )
    number = len(model.description.names)
    print(f"{model.description.name}, {number} classes, {arguments.counts:g} counts per pixel")
    recorded = f"gain {100 * arguments.gain:+g} %, width × {arguments.width:g}"
    print(f"map: {recorded}; training: {described(model.description)}")
    wrong = Distortions(gain=(arguments.gain,) * 2, width_factor=(arguments.width,) * 2)
    for seed in range(arguments.seeds):
        ideal, distorted = (
            rock(arguments.counts, seed, None),
            rock(arguments.counts, seed, wrong),
        )
        print(f"seed {seed}: accuracy without those distortions {accuracy(model, ideal):.4f}")
        print(
            f"{'':24s} accuracy   held-out          likelihood                   "
            "distance       entropy        share   gain CPU s"
        )
        before = accuracy(model, distorted)
        print(f"{'before':24s} {before:8.4f}")
        for name, options in ways(arguments.steps).items():
            if arguments.ways and name not in arguments.ways:
                continue
            begun = time.process_time()
            result = adapt(model, distorted.cube, seed=seed, options=options)
            spent = time.process_time() - begun
            held, likely = result.figures["accuracy"], result.figures["likelihood"]
            now = accuracy(result.model, distorted)
            print(
                f"{name:24s} {now:8.4f}   {held.before:.4f} → {held.after:.4f}   "
                f"{likely.before:.4f} → {likely.after:.4f} ± {likely.standard_error:.4f}   "
                f"{result.before.distance:.3f} → {result.after.distance:.3f}  "
                f"{result.before.entropy:.3f} → {result.after.entropy:.3f}  "
                f"{result.share:4.2f} {result.gain:+6.3f} {spent:5.0f}",
                flush=True,
            )


def ways(steps: int) -> dict[str, AdaptationOptions]:
    """Return what is compared: the default, the other method, and the default without each of its parts."""
    usual = AdaptationOptions(steps=steps)
    still = {"offset_ev": 0.0, "gain": 0.0, "broadening_ev": 0.0}
    return {
        "coral": usual,
        "adversarial": replace(usual, method="adversarial"),
        "statistics of the map": replace(usual, statistics="map"),
        "no search for the gain": replace(usual, search_gain=0.0),
        "no alignment": replace(usual, alignment=0.0),
        "no other recordings": replace(usual, **still),
        "other recordings only": replace(usual, alignment=0.0, consistency=0.0, entropy=0.0),
    }


def rock(counts: float, seed: int, distortions: Distortions | None) -> SyntheticMap:
    minerals = select_minerals(load_library(), ROCK)
    materials = [replace(mineral.compositions()[0], name=mineral.name) for mineral in minerals]
    return synthesize_mineral_map(
        materials,
        load_instrument("m4-tornado"),
        generator=np.random.default_rng(seed),
        shape=(80, 80),
        counts_per_pixel=counts,
        distortions=distortions,
    )


def accuracy(model: Model, made: SyntheticMap) -> float:
    """Return the share of pixels whose class holds their mineral, of those that see one to 90 % at least.

    What is called unknown counts as wrong.
    """
    prediction = predict(model, made.cube, outputs=("minerals",))
    assert prediction.probability is not None
    assert prediction.unknown is not None
    names = model.description.names
    found = prediction.probability.argmax(axis=2)
    known = prediction.probability.max(axis=2) >= prediction.unknown
    class_of = {member: number for number, name in enumerate(names) for member in name.split(" / ")}
    true = np.array([-1, *(class_of[each.name] for each in made.truth.classes)])[made.truth.labels]
    clear = made.abundances.max(axis=2) >= 0.9
    return float(((found == true) & known)[clear].mean())


def small_model(epochs: int, folder: Path | None) -> Model:
    if folder is not None and (folder / "model.safetensors").exists():
        return load_model(str(folder / "model.safetensors"))
    recipe = training_recipe("mineral-cnn")
    source = SourceSpec(
        "minerals", {**recipe.source.options, "minerals": list(SMALL), "axis": [0.02, 0.04, 512]}
    )
    options = TrainingOptions(
        epochs=epochs, steps_per_epoch=100, batch_size=128, learning_rate=2e-3, validation_size=2048
    )
    network = {"widths": [16, 24, 32], "hidden": 96, "squeeze": 12}

    def told(epoch: object) -> None:
        print(epoch, file=sys.stderr, flush=True)

    return train(
        replace(recipe, name="small", source=source, options=options, network=network),
        folder=folder,
        on_epoch=told,
    )


def described(description: ModelDescription) -> str:
    source = description.training.get("source", {})
    return str(source.get("options", {}).get("distortions", "typical"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="small", help="a shipped model, a weights file, or small")
    parser.add_argument("--epochs", type=int, default=12, help="of the small model's training")
    parser.add_argument("--folder", type=Path, help="where the small model is kept for the next time")
    parser.add_argument("--ways", nargs="*", help="which ways of adapting, all when left out")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--counts", type=float, default=2000.0)
    parser.add_argument("--gain", type=float, default=0.03, help="of the map's recording")
    parser.add_argument("--width", type=float, default=2.0, help="of its peaks, as a multiple of the usual")
    parser.add_argument("--seeds", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
