"""Networks for elements on spectra of other code and on maps, and the calibration of one.

    python -m benchmarks.element_network independent  elements of independent/element_set, seeds 60 to 119
    python -m benchmarks.element_network maps         pixels of a map where a fit sees an element at 5 σ
    python -m benchmarks.element_network instruments  instruments that it knows, and new ones
    python -m benchmarks.element_network calibrate -o WEIGHTS   temperature and threshold on seeds 0 to 59

Networks are shipped names or weights files (``--models``); measured files are ``benchmarks.networks files``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.independent.element_set import stored_case
from benchmarks.networks_files import Tally, named_elements
from numpy.typing import NDArray
from scipy.special import expit, logit

import napari_xrf
from napari_xrf.learning.description import ProbabilityCalibration
from napari_xrf.learning.evaluation.probability_calibration import fit_temperature, fit_thresholds
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.model import Model, network_inputs
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.sources.source import SourceSpec, held_out, make_source
from napari_xrf.learning.weights import load_model, save_model
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.pixels.element_mapping import map_elements

_MAP = "hdf5/LagunaSalinas_PIXL_25x25x4096.h5"
_MAPPED = ("Si", "K", "Ca", "Ti", "Fe", "Sr")
_SEEN_SIGMAS = 5.0
_CALIBRATION_SEEDS, _TEST_SEEDS = range(60), range(60, 120)
_AIR = "Ar"
_PRECISION = 0.95  # as of the other networks' thresholds


def independent(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Compare on spectra of random samples and instruments by other code."""
    tallies: dict[str, Tally] = {}
    for seed in options.seeds or _TEST_SEEDS:
        case = stored_case(seed, options.folder)
        allowed = {*case.there, _AIR, *filter(None, [case.excitation.anode])} - set(case.visible)
        for method, named in named_elements(calibrate_map(case.cube), models, not options.without_finder):
            tallies.setdefault(method, Tally()).add(named, set(case.visible), allowed)
    return [
        FigureTable("Elements of independent spectra", {name: each.row for name, each in tallies.items()})
    ]


def maps(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Tell in how many of the pixels where a fit sees an element at 5 σ a network finds it, and where not."""
    cube = calibrate_map(napari_xrf.read(options.data / _MAP))
    fitted = map_elements(cube, _MAPPED)
    rows: dict[str, dict[str, float]] = {}
    for model in models:
        prediction = predict(model, cube)
        assert prediction.probability is not None
        assert prediction.intensity is not None
        present = prediction.probability >= model.description.thresholds
        for family in fitted.families:
            element = family.split()[0]
            if element not in model.description.names:
                continue
            place = model.description.names.index(element)
            seen = fitted[family] > _SEEN_SIGMAS * fitted.standard_error(family)
            counts, said = fitted[family][seen], prediction.intensity[..., place][seen]
            rows[f"{element}, {model.description.name}"] = {
                "pixels": float(seen.sum()),
                "found": float(present[..., place][seen].mean()) if seen.any() else float("nan"),
                "counts over those of the fit": float(said.sum() / max(counts.sum(), 1)),
            }
    return [FigureTable("Pixels of Laguna Salinas", rows)]


def instruments(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Compare a network on new spectra of the instruments that it learnt from, and on other instruments."""
    rows: dict[str, dict[str, float]] = {}
    for model in models:
        description = model.description
        spec = SourceSpec.from_json(description.training["source"])
        if spec.kind != "instruments":
            continue
        source = make_source(spec)
        for told, drawn_from in (("known", source), ("new", held_out(source))):
            drawn = drawn_from.draw(options.size, np.random.default_rng([options.seed, 17]))
            inputs = network_inputs(description, drawn.counts, torch.device("cpu"), drawn.conditions)
            with torch.inference_mode():
                logits = model.network(*inputs)["presence"].numpy()
            named = expit(logits / description.calibration.temperature) >= description.thresholds
            truth = drawn.targets["presence"]
            seen, allowed = truth > 0.9, truth > 0.1
            true, false = (named & seen).sum(), (named & ~allowed).sum()
            missed = (seen & ~named).sum()
            rows[f"{told} instruments, {description.name}"] = {
                "spectra": float(options.size),
                "precision": float(true / max(true + false, 1)),
                "sensitivity": float(true / max(true + missed, 1)),
                "f1": float(2 * true / max(2 * true + false + missed, 1)),
            }
    return [FigureTable("Instruments of its own simulator", rows)]


def calibrate(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Fit temperature and threshold on independent spectra, and write the network with them."""
    (model,) = models
    logits, truth = _independent_logits(model, options.seeds or _CALIBRATION_SEEDS, options.folder)
    judged = np.isfinite(truth)
    temperature = fit_temperature(logits[judged][:, None], truth[judged][:, None], "presence")
    probability = expit(logits[judged] / temperature)
    (threshold,) = fit_thresholds(probability[:, None], truth[judged][:, None], _PRECISION, shared=True)
    calibration = ProbabilityCalibration(temperature, (threshold,))
    description = model.description.with_calibration(calibration)
    said = {"spectra": len(logits), "temperature": temperature, "threshold": threshold}
    description = description.with_training(calibrated_on="benchmarks.independent.element_set 0:60")
    save_model(options.output, model.with_description(description))
    return [FigureTable("Calibration", {description.name: said})]


def _independent_logits(
    model: Model, seeds: Iterable[int], folder: Path | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logits (N, K), and truth: 1 of what an eye sees, 0 of what is not there, nan of the rest."""
    logits, truth = [], []
    names = model.description.names
    plain = model.with_description(model.description.with_calibration(ProbabilityCalibration()))
    for seed in seeds:
        case = stored_case(seed, folder)
        said = predict(plain, case.cube, check=False)
        assert said.probability is not None
        logits.append(logit(np.clip(said.probability[0, 0].astype(np.float64), 1e-12, 1 - 1e-7)))
        unsure = {*case.there, _AIR, case.excitation.anode} - set(case.visible)
        truth.append([np.nan if name in unsure else float(name in case.visible) for name in names])
    return np.array(logits), np.array(truth)


TABLES = {
    "independent": independent,
    "maps": maps,
    "instruments": instruments,
    "calibrate": calibrate,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--models", nargs="*", default=["element-mlp", "maxrf-cnn"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of measured files")
    parser.add_argument("--folder", type=Path, help="where independent spectra are kept")
    parser.add_argument("--seeds", type=lambda text: range(*map(int, text.split(":"))), help="FIRST:END")
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-finder", action="store_true", help="networks alone, which is quicker")
    parser.add_argument("-o", "--output", type=Path, default=Path("calibrated.safetensors"))
    options = parser.parse_args()
    for table in TABLES[options.table](options, [load_model(name) for name in options.models]):
        print(table.as_markdown())


if __name__ == "__main__":
    main()
