"""Networks that know every mineral on spectra of other code and on measured ones, and the calibration of one.

    python -m benchmarks.mineral_network independent   minerals of the library on instruments of element_set
    python -m benchmarks.mineral_network rocks         rock maps as benchmarks.mineral_rocks has them
    python -m benchmarks.mineral_network grains        how much answers and lines of grains weigh
    python -m benchmarks.mineral_network measured      files of one spectrum: metals, oxides, glasses, soils
    python -m benchmarks.mineral_network calibrate -o WEIGHTS   temperature and level of sets on other spectra

Networks are shipped names or weights files (``--models``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.independent.element_set import Case, make_case
from benchmarks.independent.rock_maps import Draws
from benchmarks.mineral_rocks import calibration_error, rock_map, score, sureness
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

import napari_xrf as nx
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import UNKNOWN_NAME, members_of
from napari_xrf.core.progress import ignore_progress
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.description import ProbabilityCalibration
from napari_xrf.learning.evaluation.probability_calibration import fit_temperature
from napari_xrf.learning.evaluation.results import FigureTable
from napari_xrf.learning.model import Model
from napari_xrf.learning.prediction.answer_sets import fit_set_level, twins
from napari_xrf.learning.prediction.answers import predict
from napari_xrf.learning.prediction.grains import look_at_grains
from napari_xrf.learning.prediction.name_check import GRAIN_WEIGHTS, weighed
from napari_xrf.learning.prediction.views import label_map_of
from napari_xrf.learning.weights import load_model, save_model
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.minerals.search import search_minerals
from napari_xrf.reference.minerals import load_library, metals

_CALIBRATION, _TEST = range(73), range(1000, 1040)
_DOSES = (300.0, 1e6)
_TRACES = ("Mg", "Al", "Si", "K", "Ca", "Ti", "Mn", "Fe", "Zn", "Sr", "Ba", "Ce", "Pb", "Cu", "Ni", "Cr")
_PURE_GRAIN, _LAPSE = 0.8, 0.005  # area of a grain's mineral; chance that any answer is to be expected
_STRANGE = 0.2  # of the cases are samples of element_set, and no minerals
_MEASURED = (
    "standards/*_SEM*.msa", "standards/*_microXRF*.msa", "standards/*_Horiba*.txt", "standards/BHVO*.msa",
    "spectra/nist_microxrf/*", "spectra/horiba_xgt7200/*",
)  # fmt: skip
# What they are spectra of, by the beginning of their names; of soils, sediments and glasses there is no name.
_KNOWN_AS = {
    "Ge": "germanium", "MgO": "periclase", "SiO2": "quartz", "Zn": "zinc", "Zr": "zirconium",
    "Cr": "chromium",
    "Cu": "copper", "Fe": "iron", "Ni": "nickel", "S": "sulfur", "Si": "silicon", "Ti": "titanium",
    "Al": "aluminium", "Mg": "magnesium", "Acrylic": "acrylic resin", "acrylic": "acrylic resin",
}  # fmt: skip


def mineral_case(seed: int, folder: Path | None = None) -> tuple[str, Case]:
    """Return a mineral's name ("" of what is none), and its spectrum on a random instrument of other code."""
    generator = np.random.default_rng([seed, 77])
    dose = float(np.exp(generator.uniform(*np.log(_DOSES))))
    path = None if folder is None else folder / f"mineral-{seed:05d}.npz"
    name, fractions = "", None
    if generator.random() >= _STRANGE:
        library = load_library()
        mineral = library[int(generator.integers(len(library)))]
        shares = [generator.uniform(entry.low, entry.high) for entry in mineral.substitutions]
        parts = dict(mineral.composition(shares).mass_fractions)
        for element in generator.choice(_TRACES, size=int(generator.integers(0, 5)), replace=False):
            part = float(np.exp(generator.uniform(*np.log((2e-5, 1e-2)))))
            parts[str(element)] = parts.get(str(element), 0.0) + part
        total = sum(parts.values())
        name, fractions = mineral.name, {key: value / total for key, value in parts.items()}
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as kept:
            told = json.loads(str(kept["told"]))
            axis, excitation = EnergyAxis(**told["energy"]), Excitation(**told["excitation"])
            return name, Case(seed, told["sample"], kept["counts"], axis, excitation, (), (), told["told"])
    case = make_case(seed, dose, name, fractions)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = {**asdict(case), "counts": None}
        np.savez_compressed(path, counts=case.counts, told=np.array(json.dumps(fields)))
    return name, case


def _cases(seeds: Iterable[int], folder: Path | None) -> Iterator[tuple[str, Case]]:
    for seed in seeds:
        name, case = mineral_case(seed, folder)
        if name or case.sample not in ("pigment", "mineral"):  # which are no strangers
            yield name, case


def independent(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Tell how often an answer holds the mineral, with how many names, and what is wrong with confidence."""
    rows: dict[str, dict[str, float]] = {}
    for path, model in zip(options.models, models, strict=True):
        answers = []
        for name, case in _cases(options.seeds or _TEST, options.folder):
            try:
                answers.append((name, *_answer(path, case.cube), case))
            except XrfError:
                continue
        kinds = {
            "tube": lambda c: not c.told.startswith("e "),
            "electrons": lambda c: c.told.startswith("e "),
        }
        for kind, chosen in kinds.items():
            rows[f"{kind}, {model.description.name}"] = _figures(
                [row[:3] for row in answers if chosen(row[3])], options.verbose
            )
    return [FigureTable("Minerals of independent spectra", rows)]


def _figures(answers: Sequence[tuple[str, str, float]], verbose: bool) -> dict[str, float]:
    known = [(name, members_of(said), sure) for name, said, sure in answers if name]
    strange = [(said, sure) for name, said, sure in answers if not name]
    right = np.array([name in said for name, said, _ in known])
    lost = np.array([said == (UNKNOWN_NAME,) for _, said, _ in known])
    length = np.array([len(said) for _, said, _ in known])
    named = [(name in members_of(said), sure) for name, said, sure in answers if said != UNKNOWN_NAME]
    sure = np.array([each for _, each in named])
    good = np.array([each for each, _ in named])
    if verbose:
        for name, said, each in answers:
            if name not in members_of(said) and (name or said != UNKNOWN_NAME):
                print(f"  {name or 'stranger'} → {said} {each:.2f}")
    return {
        "minerals": float(len(known)),
        "right": float(right.mean()),
        "right by at most 3 names": float((right & (length <= 3)).mean()),
        "unknown": float(lost.mean()),
        "wrong": float((~right & ~lost).mean()),
        "strangers": float(len(strange)),
        "strangers unknown": float(np.mean([said == UNKNOWN_NAME for said, _ in strange])),
        "calibration error": calibration_error(sure, good),
        "wrong at 0.9 and more": float((~good & (sure >= 0.9)).mean()),
    }


def _answer(model: str, cube: nx.SpectralCube) -> tuple[str, float]:
    """Return the name of a single spectrum's class, and its confidence, as `minerals --method` gives them."""
    labels = nx.map_minerals(cube, method=model).label_map
    entry = next(each for each in labels.classes if each.label == int(labels.labels[0, 0]))
    assert labels.confidence is not None
    return entry.name, float(labels.confidence[0, 0])


def rocks(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Judge the rock maps of other code, with minerals given and with all of them."""
    rows: dict[str, dict[str, float]] = {}
    without_list = []
    for rock, seed in product(options.rocks.split(","), options.seeds or [options.seed]):
        for counts in map(float, options.counts.split(",")):
            draws = Draws(counts, options.size, preset=options.preset)
            made = rock_map(rock, seed, draws, options.folder)
            for model in options.models:
                for told, names in (("given", made.listed), ("all", None)):
                    try:
                        found = nx.map_minerals(made.cube, names, method=model)
                    except XrfError as error:
                        print(f"{rock} {told} {model}: {error}")
                        continue
                    figures = asdict(score(made, found.label_map, names is None))
                    if names is None:
                        without_list.append(sureness(made, found.label_map))
                    rows[f"{rock} {seed}, {counts:g}, {told}, {Path(model).stem}"] = figures
    confidence, right = map(np.concatenate, zip(*without_list, strict=True))
    sure = confidence >= 0.9
    together = {
        "pixels": float(confidence.size),
        "calibration error": calibration_error(confidence, right),
        "of 0.9 and more": float(sure.mean()),
        "confidence of these": float(confidence[sure].mean()),
        "right of these": float(right[sure].mean()),
    }
    return [FigureTable("Rock maps", rows), FigureTable("All maps together, no list", {"all": together})]


Grain = tuple[
    NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]
]  # answers, chi-squares, what is right


def grains(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Fit how much the answer for a grain and its lines count on all rocks but one, and judge that one."""
    (model,) = models
    cases = {rock: _grains_of(model, rock, options) for rock in options.rocks.split(",")}
    rows = {}
    for rock, own in cases.items():
        weights = _fit_weights([each for name in cases if name != rock for each in cases[name]])
        rows[f"without {rock}"] = _told_of_weights(weights, own)
    everything = [each for few in cases.values() for each in few]
    rows["all"] = _told_of_weights(_fit_weights(everything), everything)
    return [FigureTable("How answer and lines of grains weigh", rows)]


def _grains_of(model: Model, rock: str, options: argparse.Namespace) -> list[Grain]:
    """Return what a network says of the nearly pure grains of a rock map, and which names are right."""
    draws = Draws(1000.0, options.size, secondary=False, preset=options.preset)
    made = rock_map(rock, options.seed, draws, options.folder)
    known = calibrate_map(made.cube).checked()
    said = predict(model, known, outputs=("minerals",))
    search = search_minerals(known, (*load_library(), *metals()))
    found = look_at_grains(model, said, label_map_of(said), search, ignore_progress)
    if found is None:
        return []
    alike, names, kept = twins(said.names), said.names, []
    for place, (answers, squares) in enumerate(zip(found.answers, found.squares, strict=True)):
        parts = made.fractions[found.places == place]
        main = made.names[int(np.bincount(parts.argmax(axis=1)).argmax())]
        if parts.max(axis=1).mean() > _PURE_GRAIN:
            known_to_it = main in names
            right = alike[names.index(main)] if known_to_it else np.zeros(len(names), dtype=bool)
            kept.append((answers, squares, np.append(right, not known_to_it)))
    return kept


def _fit_weights(cases: Sequence[Grain]) -> tuple[float, float, float]:
    found = minimize(lambda weights: _surprise(tuple(weights), cases), GRAIN_WEIGHTS, method="Nelder-Mead")
    return tuple(map(float, found.x))  # type: ignore[return-value]  # three


def _surprise(weights: tuple[float, float, float], cases: Sequence[Grain]) -> float:
    """Return the mean logarithm of how unlikely the right name is said to be."""
    answers, squares, right = (np.array(each) for each in zip(*cases, strict=True))
    likely = (weighed(answers, squares, weights) * right).sum(axis=1)
    return float(-np.log(likely * (1 - _LAPSE) + _LAPSE).mean())


def _told_of_weights(weights: tuple[float, float, float], cases: Sequence[Grain]) -> dict[str, float]:
    told = dict(zip(("of the network", "of lines", "of a stranger"), weights, strict=True))
    return {
        "grains": float(len(cases)),
        **told,
        "surprise": _surprise(weights, cases) if cases else float("nan"),
        "of the network alone": _surprise((1.0, 0.0, 0.0), cases) if cases else float("nan"),
    }


def measured(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Judge what networks say of measured spectra of known composition, and print it."""
    rows: dict[str, dict[str, float]] = {
        f"{model.description.name}{kind}": dict.fromkeys(_JUDGED, 0.0)
        for model in models
        for kind in ("", ", tubes", ", electrons")
    }
    for path in sorted({path for pattern in _MEASURED for path in options.data.glob(pattern)}):
        truth = _KNOWN_AS.get(path.stem.partition("_")[0], "")
        try:
            cube = nx.read(path)
            answers = [_answer(name, cube) for name in options.models]
        except XrfError as error:
            print(f"{path.name}: {error}")
            continue
        for model, (said, sure) in zip(models, answers, strict=True):
            names, name = members_of(said), model.description.name
            kind = ", electrons" if "_SEM" in path.stem else ", tubes"
            if said == UNKNOWN_NAME:
                verdict = (
                    "unknown, but known to it" if truth in model.description.names else "rightly unknown"
                )
            else:
                verdict = "right" if truth in names else "wrong"
            for row in (rows[name], rows[name + kind]):
                row[verdict] += 1
                row["wrong at 0.9 and more"] += verdict == "wrong" and sure >= 0.9
                row["names of a right answer"] += len(names) if verdict == "right" else 0
            print(f"{path.name[:40]:40s}  {verdict:16s}  {said} {sure:.2f}", flush=True)
    for row in rows.values():
        row["names of a right answer"] /= max(row["right"], 1)
    return [FigureTable("Measured spectra of one material", rows)]


_JUDGED = (
    "right", "names of a right answer", "rightly unknown", "unknown, but known to it", "wrong",
    "wrong at 0.9 and more",
)  # fmt: skip


def calibrate(options: argparse.Namespace, models: Sequence[Model]) -> list[FigureTable]:
    """Fit temperature and level of sets on independent spectra, and write the network with them."""
    (model,) = models
    plain = model.with_description(model.description.with_calibration(ProbabilityCalibration()))
    seeds = options.seeds or _CALIBRATION
    logits, label = _independent_logits(plain, seeds, options.folder)
    temperature = fit_temperature(logits, label, "minerals")
    level = fit_set_level(softmax(logits / temperature, axis=1), label)
    calibration = ProbabilityCalibration(temperature, set_level=level)
    description = model.description.with_calibration(calibration)
    description = description.with_training(
        calibrated_on=f"benchmarks.mineral_network {seeds.start}:{seeds.stop}"
    )
    save_model(options.output, model.with_description(description))
    said = {"spectra": float(len(label)), "temperature": temperature, "level": level}
    return [FigureTable("Calibration", {description.name: said})]


def _independent_logits(
    model: Model, seeds: Iterable[int], folder: Path | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    logits, label, names = [], [], model.description.names
    for name, case in _cases(seeds, folder):
        try:
            said = predict(model, case.cube)
        except XrfError:
            continue
        assert said.probability is not None
        assert said.unknown is not None
        logits.append(np.log(np.clip(np.append(said.probability[0, 0], said.unknown[0, 0]), 1e-12, 1)))
        label.append(names.index(name) if name else len(names))
    return np.array(logits, dtype=np.float64), np.array(label)


TABLES = {
    "independent": independent,
    "rocks": rocks,
    "grains": grains,
    "measured": measured,
    "calibrate": calibrate,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--models", nargs="*", default=["mineral-mlp"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of measured files")
    parser.add_argument("--folder", type=Path, help="where independent spectra and maps are kept")
    parser.add_argument("--seeds", type=lambda text: range(*map(int, text.split(":"))), help="FIRST:END")
    parser.add_argument("--rocks", default="granite,sulphide,ultramafic,carbonatite")
    parser.add_argument("--counts", default="1000,10000")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", default=Draws.preset, help="instrument of the rock maps, or sem-eds")
    parser.add_argument("--verbose", action="store_true", help="wrong answers one by one")
    parser.add_argument("-o", "--output", type=Path, default=Path("calibrated.safetensors"))
    options = parser.parse_args()
    for table in TABLES[options.table](options, [load_model(name) for name in options.models]):
        print(table.as_markdown())


if __name__ == "__main__":
    main()
