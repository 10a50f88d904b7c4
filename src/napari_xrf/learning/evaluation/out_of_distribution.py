"""Out-of-distribution spectra, such as a model has never seen the like of, and whether it notices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.presence_scores import rank_area
from napari_xrf.learning.evaluation.sample import SpectrumPredictions
from napari_xrf.learning.evaluation.sampling import class_positions, predict_sample, sample_of, source_of
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.mineral_bank import HELD_OUT_MINERALS, MineralBank
from napari_xrf.learning.sources.minerals import MineralSource
from napari_xrf.learning.sources.source import LabelledSpectra, Source, SourceSpec, make_source
from napari_xrf.learning.training import TEST, generator_of
from napari_xrf.physics.forward import expect_spectra
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.sampling import log_uniform

# In no mineral of the library and in no stranger of the trainings, but with lines that instruments see.
UNSEEN_ELEMENTS = (
    "Ru", "Pd", "In", "Pr", "Sm", "Eu", "Gd", "Dy", "Er", "Tm", "Lu", "Re", "Os", "Ir", "Tl",
)  # fmt: skip
OTHER_INSTRUMENTS = ("sem-eds", "pixl", "synchrotron")
_COMMON_ELEMENTS = ("Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn")
_MATERIALS = 60
_MATRICES = ("SiO2", "Al2O3", "CaCO3", "Fe2O3", "FeS2")
_EMPTY_COUNTS = (1.0, 30.0)

Kinds = dict[str, NDArray[np.float32]]


def score_out_of_distribution(
    model: Model,
    *,
    size: int = 2000,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> dict[str, dict[str, float]]:
    """Return how well each kind of strange spectra is told from those of the model's own source.

    Raises InvalidInput when the model's source cannot be made again.

    ``size``: spectra of each kind.

    Returns
    -------
    Kind → AUROC of the model's doubt, the part of them that is called unknown (minerals; NaN elsewhere) and
    their number.
    """

    def ask(counts: NDArray[np.float32]) -> SpectrumPredictions:
        return predict_sample(
            model, sample_of(LabelledSpectra(counts, {}), model.description.axis).cube, device=device
        )

    familiar, strange = out_of_distribution_spectra(model.description, size, seed, progress)
    known = doubt_of(ask(familiar))
    rows = {}
    for number, (name, counts) in enumerate(strange.items()):
        progress(number, len(strange), f"asking about {name}")
        said = ask(counts)
        doubt = doubt_of(said)
        labels = np.arange(len(known) + len(doubt)) >= len(known)
        unknown = len(model.description.names)
        rows[name] = {
            "auroc": rank_area(np.concatenate([known, doubt]), labels),
            "called unknown": float("nan")
            if said.classes is None
            else float((said.classes == unknown).mean()),
            "spectra": float(len(doubt)),
        }
    return rows


def doubt_of(said: SpectrumPredictions) -> NDArray[np.float64]:
    """Return how much a model doubts each spectrum, (N,).

    Minerals: the probability of "unknown". Lines and elements: the mean binary entropy of the presences,
    which is largest where all stand at one half. Raises InvalidInput when the model gives no probabilities.
    """
    if said.unknown is not None:
        return said.unknown.astype(np.float64)
    chance = np.clip(said.given("probability").astype(np.float64), 1e-9, 1 - 1e-9)
    entropy = -chance * np.log(chance) - (1 - chance) * np.log(1 - chance)
    return np.asarray(entropy.mean(axis=1))


def out_of_distribution_spectra(
    description: ModelDescription, size: int, seed: int, progress: Progress = ignore_progress
) -> tuple[NDArray[np.float32], Kinds]:
    """Return spectra (N, E) of the training's kind on the model's axis, and strange ones by their kind.

    Raises InvalidInput when the model's source is none of lines, mixtures and minerals.
    """
    kinds = {"minerals": _mineral_kinds, "lines": _element_kinds, "mixtures": _element_kinds}
    learnt = description.source_kind
    if learnt not in kinds:
        raise InvalidInput(
            f"{description.name} learnt from {learnt or 'nothing known'}: "
            "which spectra are out of its distribution is not known"
        )
    familiar, strange = kinds[learnt](description, size, seed, progress)
    return familiar, {**strange, "empty pixels": _empty(description, size, seed)}


def _mineral_kinds(
    description: ModelDescription, size: int, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], Kinds]:
    own = source_of(description, progress, stranger_share=0.0)
    assert isinstance(own, MineralSource)
    options = description.source_options
    instrument = str(options.get("instrument", "m4-tornado"))
    kinds: Kinds = {}
    held_back = options.get("held_out") or (HELD_OUT_MINERALS if options.get("minerals") is None else ())
    if held_back:
        unseen = _bank_of_unseen(own, options, held_back, progress)
        kinds["unseen minerals"] = _draw(replace(own, bank=unseen), size, seed, 6)
    strange = _bank_of(_unseen_materials(seed), instrument, progress)
    kinds["unseen elements"] = _draw(replace(own, bank=strange), size, seed, 1)
    middles = [mineral.compositions()[0] for mineral in own.bank.minerals]
    for number, name in enumerate(OTHER_INSTRUMENTS):
        if name != instrument:
            other = _bank_of(middles, name, progress)
            kinds[f"instrument {name}"] = _draw(replace(own, bank=other), size, seed, 2 + number)
    return _draw(own, size, seed), kinds


def _bank_of_unseen(
    own: MineralSource, options: Mapping[str, Any], held_back: Sequence[str], progress: Progress
) -> MineralBank:
    """Return minerals that were kept back; those that nobody could tell from a class are left out."""
    names = [mineral.name for mineral in own.bank.minerals]
    both = {**options, "minerals": [*names, *held_back], "held_out": [], "stranger_share": 0.0}
    source = make_source(SourceSpec("minerals", both), progress)
    assert isinstance(source, MineralSource)
    foreign = class_positions(source.names, own.names) == len(own.names)
    rows = np.flatnonzero(foreign[source.bank.owner])
    if not rows.size:
        raise InvalidInput("no mineral that was kept back can be told from those that were learnt")
    owner = np.unique(source.bank.owner[rows], return_inverse=True)[1]
    spectra = source.bank.spectra[rows]
    return replace(source.bank, spectra=spectra, owner=owner, classes=_numbered(int(owner.max()) + 1))


def _element_kinds(
    description: ModelDescription, size: int, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], Kinds]:
    own = source_of(description, progress)
    axis, options = own.axis, description.source_options
    mixed = description.source_kind == "mixtures"
    instruments = [str(name) for name in options.get("instruments", ("m4-tornado",))]
    known = {name.split()[0] for name in description.names}
    common = {
        "axis": [axis.offset, axis.width, axis.size],
        "counts": options.get("counts", [300.0, 30_000.0]) if mixed else [3e4, 3e4],
        "distortions": options.get("distortions", "recipe") if mixed else "recipe",
    }

    def mixtures(elements: Sequence[str], instrument: str, stream: int) -> NDArray[np.float32]:
        more = {"instruments": [instrument], "elements": [*elements]}
        return _draw(make_source(SourceSpec("mixtures", {**common, **more}), progress), size, seed, stream)

    unseen = [element for element in UNSEEN_ELEMENTS if element not in known]
    kinds = {"unseen elements": mixtures(unseen, instruments[0] if mixed else "m4-tornado", 1)}
    seen = [name for name in _COMMON_ELEMENTS if name in known]
    others = [name for name in ("m4-tornado", "gem", "synchrotron") if name not in instruments]
    for number, name in enumerate(others if mixed else ("m4-tornado", "gem")):
        kinds[f"instrument {name}"] = mixtures(seen, name, 2 + number)
    return _draw(own, size, seed), kinds


def _unseen_materials(seed: int) -> list[Material]:
    """Return materials in which an unseen element takes 5 to 60 % of the weight of a common matrix."""
    generator = np.random.default_rng([seed, 11])
    materials = []
    for number in range(_MATERIALS):
        element = UNSEEN_ELEMENTS[number % len(UNSEEN_ELEMENTS)]
        matrix = str(generator.choice(_MATRICES))
        part = float(generator.uniform(5, 60))
        materials.append(
            Material.from_mixture({element: part, matrix: 100 - part}, 4.0, f"{element} in {matrix}")
        )
    return materials


def _bank_of(materials: Sequence[Material], instrument_name: str, progress: Progress) -> MineralBank:
    instrument = load_instrument(instrument_name)
    spectra = expect_spectra(materials, instrument, order=2, progress=progress)
    spectra = spectra[spectra.sum(axis=1) > 0]
    return MineralBank(
        (spectra / spectra.sum(axis=1, keepdims=True)).astype(np.float32),
        np.arange(len(spectra)),
        _numbered(len(spectra)),
        np.zeros((0, spectra.shape[1]), dtype=np.float32),
        instrument.energy,
        instrument.detector.fwhm,
        (),
    )


def _numbered(number: int) -> tuple[LabelClass, ...]:
    return tuple(LabelClass(index + 2, f"stranger {index + 1}") for index in range(number))


def _draw(source: Source, size: int, seed: int, *stream: int) -> NDArray[np.float32]:
    return source.draw(size, generator_of(seed, TEST, *stream)).counts


def _empty(description: ModelDescription, size: int, seed: int) -> NDArray[np.float32]:
    """Return spectra of 1 to 30 counts anywhere: noise and scatter where the beam met nothing."""
    generator = np.random.default_rng([seed, 13])
    axis = description.axis
    dose = log_uniform(generator, _EMPTY_COUNTS, (size, 1))
    counts = generator.poisson(dose / axis.size, size=(size, axis.size)).astype(np.uint32)
    # A spectrum without any count is no question.
    counts[counts.sum(axis=1) == 0, axis.size // 2] = 1
    return rebin_counts(counts, axis, axis)
