"""What features are worth where few pixels are labelled, on measured counts: pca, vae, a masked network.

    python -m benchmarks.few_labels --data ../shared/data

Classes are measured spectra of one material each. Their counts are parted at random into two halves; labelled
pixels of 300 counts are drawn from one half, judged ones from the other. Of materials that two instruments
measured the second one is only judged (*other instrument*). Each kind of features goes to the same classifier
(logistic regression; `fine-tuned` networks learn all their weights), with 1, 10 and 100 pixels a class; means
over three draws. *baseline* is the twin of a row whose spectra had a smooth baseline taken off first.

The masked network fills in a third of a spectrum, in windows, from the rest. It learns from spectra without
labels: the first halves, pixels of the measured maps, and synthetic mixtures.

A second table has `mineral-cnn` from chance, with squeeze-and-excitation and without, in stratified parts of
the pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from benchmarks.mineral_network import _MEASURED
from numpy.typing import NDArray
from torch import nn

import napari_xrf as nx
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.model import Model, network_inputs
from napari_xrf.learning.preprocessing import Preprocessing, prepare
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.registry import build_network
from napari_xrf.learning.sources.source import SourceSpec, make_source
from napari_xrf.learning.weights import load_model

AXIS = EnergyAxis(0.02, 0.02, 1024)  # of pca and vae
_POOLED = 4  # channels of a bin of the masked network
_MAPS = ("*.bcf", "*/*.bcf", "*/*Laguna*.h5", "*/*GeoPIXE*.h5", "*Laguna*.h5", "*GeoPIXE*.h5")
_LABELS = (1, 10, 100)
_JUDGED = 100  # pixels of a class
_STEPS = 100  # of a convolutional network
_WIDTH, _CODE, _MASKED, _WINDOW = 256, 64, 0.33, 8
Random = np.random.Generator
Spectra = NDArray[np.float32]


def measured_halves(data: Path, generator: Random) -> dict[tuple[str, str], tuple[Spectra, Spectra]]:
    """Return (material, file) → halves of its counts on the axis."""
    found = {}
    for path in sorted({path for pattern in _MEASURED for path in data.glob(pattern)}):
        try:
            cube = nx.read(path)
        except XrfError:
            continue
        counts = rebin_counts(cube.sum_spectrum()[None], cube.energy, AXIS)[0].astype(np.int64)
        first = generator.binomial(counts, 0.5)
        material = path.stem.partition("_")[0].casefold()
        found[material, path.name] = (first.astype(np.float32), (counts - first).astype(np.float32))
    return found


def pixels(half: Spectra, number: int, counts: int, generator: Random) -> Spectra:
    """Return spectra (N, E) of so many of a half's counts."""
    return generator.multinomial(counts, half / half.sum(dtype=np.float64), size=number).astype(np.float32)


def unlabelled(data: Path, halves: list[Spectra], counts: int, generator: Random) -> Spectra:
    """Return spectra that nobody named: of the halves, of measured maps, and of the simulator."""
    parts = [pixels(half, 100, counts, generator) for half in halves]
    for path in sorted({path for pattern in _MAPS for path in data.glob(pattern)}):
        try:
            cube = nx.read(path)
            flat = np.asarray(cube.counts[:20]).reshape(-1, cube.energy.size)[:1000]
        except (XrfError, MemoryError):
            continue
        parts.append(rebin_counts(flat, cube.energy, AXIS).astype(np.float32))
    options = {"axis": [AXIS.offset, AXIS.width, AXIS.size], "instruments": ["m4-tornado", "synchrotron"]}
    made = make_source(SourceSpec("mixtures", {**options, "counts": [counts, 30 * counts]}))
    parts.append(made.draw(3000, generator).counts.astype(np.float32))
    every = np.concatenate(parts)
    return every[every.sum(axis=1) > 0]


def pooled_roots(spectra: Spectra, baseline: bool) -> torch.Tensor:
    """Return roots of shares of the counts, in bins of 80 eV, (N, 256)."""
    bins = spectra.reshape(len(spectra), -1, _POOLED).sum(axis=2)
    chosen = Preprocessing(scale="sum", transform="sqrt", baseline=baseline)
    return torch.from_numpy(prepare(bins, chosen, _POOLED * AXIS.width))


class Masked(nn.Module):
    """A perceptron with a code, and a layer that fills in what was hidden of a spectrum."""

    def __init__(self) -> None:
        super().__init__()
        size = AXIS.size // _POOLED
        self.code = nn.Sequential(nn.Linear(size, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, _CODE), nn.GELU())
        self.fill = nn.Linear(_CODE, size)


def pretrained(spectra: torch.Tensor, steps: int) -> Masked:
    """Return a network that has learnt to fill in spectra."""
    network = Masked()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(steps):
        batch = spectra[torch.randint(len(spectra), (256,))]
        hidden = torch.rand(len(batch), batch.shape[1] // _WINDOW) < _MASKED
        hidden = hidden.repeat_interleave(_WINDOW, dim=1)
        given = network.fill(network.code(torch.where(hidden, 0.0, batch)))
        loss = ((given - batch)[hidden] ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def logistic(features: torch.Tensor, label: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """Return the classes of judged features by logistic regression."""
    mean, spread = features.mean(0), features.std(0, correction=0).clamp_min(1e-3)
    layer = nn.Linear(features.shape[1], int(label.max()) + 1)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")
    known = (features - mean) / spread

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(layer(known), label) + 1e-3 * (layer.weight**2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.inference_mode():
        return layer((judged - mean) / spread).argmax(1)


def fine_tuned(start: Masked | None) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return training of all weights, from those of a masked network or from chance."""

    def classify(inputs: torch.Tensor, label: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
        network = Masked()
        if start is not None:
            network.load_state_dict(start.state_dict())
        layer = nn.Linear(_CODE, int(label.max()) + 1)
        whole = nn.Sequential(network.code, layer)
        optimizer = torch.optim.AdamW(whole.parameters(), 1e-3, weight_decay=1e-2)
        for _ in range(150):
            chosen = torch.randint(len(inputs), (min(256, len(inputs)),))
            optimizer.zero_grad()
            nn.functional.cross_entropy(whole(inputs[chosen]), label[chosen]).backward()
            optimizer.step()
        with torch.inference_mode():
            return whole(judged).argmax(1)

    return classify


def code_of(name: str, baseline: bool) -> Callable[[Spectra], torch.Tensor]:
    """Return a shipped network's features as a function of counts."""
    model = load_model(name)
    chosen = Preprocessing(scale="sum", transform="sqrt", baseline=baseline)
    model = model.with_description(replace(model.description, preprocessing=chosen))

    def features(spectra: Spectra) -> torch.Tensor:
        inputs, dose = network_inputs(model.description, spectra, torch.device("cpu"))
        with torch.inference_mode():
            return model.network(inputs, dose)["code"]

    return features


def convolutional(excitation: int, names: tuple[str, ...]) -> Model:
    """Return an untrained `mineral-cnn`, with squeeze-and-excitation where that is not 0."""
    known = load_model("mineral-cnn").description
    options = {**known.network, "excitation": excitation}
    description = replace(known, names=names, classes=(), network=options)
    return Model(description, build_network(description))


def cross_validated(model: Model, spectra: Spectra, label: NDArray[np.intp], folds: int) -> list[float]:
    """Return what part of each fold is right where the network learns from the others."""
    start = {name: value.clone() for name, value in model.network.state_dict().items()}
    inputs, dose = network_inputs(model.description, spectra, torch.device("cpu"))
    fold, wanted = np.arange(len(label)) % folds, torch.from_numpy(label)  # in each class in turn
    right = []
    for number in range(folds):
        model.network.load_state_dict(start)
        model.network.train()
        optimizer = torch.optim.AdamW(model.network.parameters(), 2e-3)
        learnt, judged = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        for _ in range(_STEPS):
            chosen = torch.from_numpy(learnt)[torch.randint(len(learnt), (128,))]
            optimizer.zero_grad()
            said = model.network(inputs[chosen], dose[chosen])["minerals"][:, :-1]
            nn.functional.cross_entropy(said, wanted[chosen]).backward()
            optimizer.step()
        model.network.eval()
        with torch.inference_mode():
            said = model.network(inputs[judged], dose[judged])["minerals"][:, :-1].argmax(1).numpy()
        right.append(float((said == label[judged]).mean()))
    return right


def attend(options: argparse.Namespace) -> FigureTable:
    """Return squeeze-and-excitation beside none, in stratified parts of the same pixels."""
    generator = np.random.default_rng(options.seed)
    halves = measured_halves(options.data, generator)
    learnt = dict(sorted(halves, reverse=True))
    names = tuple(sorted(learnt))
    drawn = [pixels(halves[name, learnt[name]][0], _JUDGED, options.counts, generator) for name in names]
    label = np.repeat(np.arange(len(names)), _JUDGED)
    rows = {}
    for excitation in (0, 8):
        torch.manual_seed(options.seed)
        parts = cross_validated(convolutional(excitation, names), np.concatenate(drawn), label, options.folds)
        rows["squeeze-and-excitation" if excitation else "mineral-cnn"] = {
            "right": float(np.mean(parts)),
            "standard deviation": float(np.std(parts, ddof=1)),
        }
    return FigureTable(f"{options.folds} stratified parts of {len(label)} measured pixels", rows)


def compare(options: argparse.Namespace) -> FigureTable:
    """Return the table."""
    generator = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    halves = measured_halves(options.data, generator)
    learnt = dict(sorted(halves, reverse=True))
    names = sorted(learnt)
    firsts = [halves[name, learnt[name]][0] for name in names]
    same = [halves[name, learnt[name]][1] for name in names]
    others = [
        (names.index(key[0]), each[1]) for key, each in sorted(halves.items()) if learnt[key[0]] != key[1]
    ]
    free = unlabelled(options.data, firsts, options.counts, generator)
    print(f"{len(names)} materials, {len(others)} on another instrument, {len(free)} spectra without labels")
    masks = {base: pretrained(pooled_roots(free, base), options.steps) for base in (False, True)}
    methods = {}
    for base in (False, True):
        twin = ", baseline" if base else ""

        def plain(spectra: Spectra, base: bool = base) -> torch.Tensor:
            return pooled_roots(spectra, base)

        def masked(spectra: Spectra, base: bool = base) -> torch.Tensor:
            with torch.inference_mode():
                return masks[base].code(pooled_roots(spectra, base))

        methods["spectrum" + twin] = (plain, logistic)
        methods["pca" + twin] = (code_of("pca", base), logistic)
        methods["vae" + twin] = (code_of("vae", base), logistic)
        methods["masked, its code" + twin] = (masked, logistic)
        methods["masked, fine-tuned" + twin] = (plain, fine_tuned(masks[base]))
        methods["the same from chance" + twin] = (plain, fine_tuned(None))
    judged = np.concatenate([pixels(each, _JUDGED, options.counts, generator) for each in same])
    strange = np.concatenate([pixels(each, _JUDGED, options.counts, generator) for _, each in others])
    truth = np.repeat(np.arange(len(names)), _JUDGED)
    elsewhere = np.repeat([place for place, _ in others], _JUDGED)
    rows: dict[str, dict[str, float]] = {name: {} for name in methods}
    for number in _LABELS:
        right: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
        for _ in range(3):
            given = np.concatenate([pixels(each, number, options.counts, generator) for each in firsts])
            label = torch.from_numpy(np.repeat(np.arange(len(names)), number))
            for name, (features, classify) in methods.items():
                said = classify(features(given), label, features(np.concatenate([judged, strange]))).numpy()
                here, there = said[: len(truth)] == truth, said[len(truth) :] == elsewhere
                right[name].append((float(here.mean()), float(there.mean())))
        for name, each in right.items():
            mean = np.mean(each, axis=0)
            rows[name][f"{number} a class"] = float(mean[0])
            rows[name][f"{number}, other instrument"] = float(mean[1])
    return FigureTable(f"Right of measured pixels of {options.counts} counts", rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--counts", type=int, default=300)
    parser.add_argument("--steps", type=int, default=1500, help="of the masked training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=3)
    options = parser.parse_args()
    for table in (compare, attend):
        print(table(options).as_markdown(), flush=True)


if __name__ == "__main__":
    main()
