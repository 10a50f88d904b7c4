"""Spectra that a model has never seen the like of, and whether it notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.evaluation.ranking import rank_area
from napari_xrf.learning.evaluation.statements import Statements, sample_of, source_of, state
from napari_xrf.learning.evaluation.targets import class_positions
from napari_xrf.learning.model import Model
from napari_xrf.learning.rebinning import rebin_counts
from napari_xrf.learning.sources.mineral_bank import HELD_OUT_MINERALS, MineralBank
from napari_xrf.learning.sources.minerals import MineralSource
from napari_xrf.learning.sources.source import LabelledSpectra, SourceSpec, make_source
from napari_xrf.learning.training import TEST, generator_of
from napari_xrf.physics.forward import expect_lines_and_rest
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material

# In no mineral of the library and in no stranger of the trainings, but with lines that instruments see.
UNSEEN_ELEMENTS = (
    "Ru", "Pd", "In", "Pr", "Sm", "Eu", "Gd", "Dy", "Er", "Tm", "Lu", "Re", "Os", "Ir", "Tl",
)  # fmt: skip
OTHER_INSTRUMENTS = ("sem-eds", "pixl", "synchrotron")
_MATERIALS = 60
_MATRICES = ("SiO2", "Al2O3", "CaCO3", "Fe2O3", "FeS2")
_EMPTY_COUNTS = (1.0, 30.0)


@dataclass(frozen=True)
class Unfamiliar:
    """How well one kind of unfamiliar spectra is told from familiar ones.

    Attributes
    ----------
    area
        AUROC of the model's doubt.
    noticed
        Part of them that is called unknown (minerals), NaN elsewhere.
    spectra
        How many were shown.
    """

    area: float
    noticed: float
    spectra: int

    def as_row(self) -> dict[str, float]:
        """Return the figures by name."""
        return {"auroc": self.area, "called unknown": self.noticed, "spectra": float(self.spectra)}


def score_unfamiliar(
    model: Model,
    *,
    size: int = 2000,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> dict[str, Unfamiliar]:
    """Return the AUROC of each kind of unfamiliar spectra against those of the model's own source.

    Parameters
    ----------
    size
        Spectra of each kind.

    Raises
    ------
    InvalidInput
        When the model's source cannot be made again.
    """

    def ask(counts: NDArray[np.float32]) -> Statements:
        return state(
            model, sample_of(LabelledSpectra(counts, {}), model.description.axis, "").cube, device=device
        )

    familiar, strange = unfamiliar_spectra(model.description, size, seed, progress)
    known = doubt_of(ask(familiar))
    scores: dict[str, Unfamiliar] = {}
    for number, (name, counts) in enumerate(strange.items()):
        progress(number, len(strange), f"asking about {name}")
        said = ask(counts)
        doubt = doubt_of(said)
        labels = np.arange(len(known) + len(doubt)) >= len(known)
        unknown = len(model.description.names)
        noticed = float("nan") if said.classes is None else float((said.classes == unknown).mean())
        scores[name] = Unfamiliar(rank_area(np.concatenate([known, doubt]), labels), noticed, len(doubt))
    return scores


def doubt_of(said: Statements) -> NDArray[np.float64]:
    """Return how much a model doubts each spectrum, (N,).

    Minerals: the probability of "unknown". Lines and elements: the mean binary entropy of the presences,
    which is largest where all stand at one half.

    Raises
    ------
    InvalidInput
        When the model gives no probabilities.
    """
    if said.unknown is not None:
        return said.unknown.astype(np.float64)
    if said.probability is None:
        raise InvalidInput("a model without probabilities cannot doubt")
    chance = np.clip(said.probability.astype(np.float64), 1e-9, 1 - 1e-9)
    entropy = -chance * np.log(chance) - (1 - chance) * np.log(1 - chance)
    return np.asarray(entropy.mean(axis=1))


def unfamiliar_spectra(
    description: ModelDescription, size: int, seed: int, progress: Progress = ignore_progress
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Return familiar spectra (N, E) on the model's axis, and unfamiliar ones by their kind.

    Raises
    ------
    InvalidInput
        When the model's source is none of lines, mixtures and minerals.
    """
    kind = dict(description.training.get("source", {})).get("kind")
    if kind == "minerals":
        return _mineral_kinds(description, size, seed, progress)
    if kind in ("lines", "mixtures"):
        return _element_kinds(description, kind, size, seed, progress)
    raise InvalidInput(
        f"{description.name} learnt from {kind or 'nothing known'}: nothing is known as unfamiliar"
    )


def _mineral_kinds(
    description: ModelDescription, size: int, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    own = source_of(description, progress, stranger_share=0.0)
    assert isinstance(own, MineralSource)
    options = dict(description.training["source"]["options"])
    familiar = own.draw(size, generator_of(seed, TEST)).counts
    kinds: dict[str, NDArray[np.float32]] = {}
    held_back = options.get("held_out") or (HELD_OUT_MINERALS if options.get("minerals") is None else ())
    if held_back:
        kinds["unseen minerals"] = _unseen_minerals(own, options, held_back, size, seed, progress)
    strange = _bank_of(_unseen_materials(seed), str(options.get("instrument", "m4-tornado")), progress)
    kinds["unseen elements"] = _draw(replace(own, bank=strange), size, seed, 1)
    middles = [mineral.compositions()[0] for mineral in own.bank.minerals]
    for number, name in enumerate(OTHER_INSTRUMENTS):
        if name != options.get("instrument", "m4-tornado"):
            other = _bank_of(middles, name, progress)
            kinds[f"instrument {name}"] = _draw(replace(own, bank=other), size, seed, 2 + number)
    kinds["empty pixels"] = _empty(description, size, seed)
    return familiar, kinds


def _unseen_minerals(
    own: MineralSource,
    options: dict[str, Any],
    held_back: Sequence[str],
    size: int,
    seed: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Draw minerals that were kept back; those that nobody could tell from a class are left out."""
    names = [mineral.name for mineral in own.bank.minerals]
    both = {**options, "minerals": [*names, *held_back], "held_out": [], "stranger_share": 0.0}
    source = make_source(SourceSpec("minerals", both), progress)
    position = class_positions(source.names, own.names)
    assert isinstance(source, MineralSource)
    rows = np.flatnonzero((position == len(own.names))[source.bank.owner])
    if not rows.size:
        raise InvalidInput("no mineral that was kept back can be told from those that were learnt")
    owner = np.unique(source.bank.owner[rows], return_inverse=True)[1]
    bank = replace(
        source.bank,
        spectra=source.bank.spectra[rows],
        owner=owner,
        classes=tuple(_numbered(int(owner.max()) + 1)),
    )
    return _draw(replace(own, bank=bank), size, seed, 6)


def _element_kinds(
    description: ModelDescription, kind: str, size: int, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    own = source_of(description, progress)
    options = dict(description.training["source"].get("options", {}))
    instruments = [str(name) for name in options.get("instruments", ("m4-tornado",))]
    first = "m4-tornado" if kind == "lines" else instruments[0]
    familiar = own.draw(size, generator_of(seed, TEST)).counts
    axis = own.axis
    known = {name.split()[0] for name in description.names}
    unseen = [element for element in UNSEEN_ELEMENTS if element not in known]

    def mixtures(elements: Sequence[str], instrument: str, stream: int) -> NDArray[np.float32]:
        spec = SourceSpec(
            "mixtures",
            {
                "instruments": [instrument],
                "axis": [axis.offset, axis.width, axis.size],
                "elements": list(elements),
                "counts": options.get("counts", [300.0, 30_000.0]) if kind == "mixtures" else [3e4, 3e4],
                "distortions": options.get("distortions", "recipe") if kind == "mixtures" else "recipe",
            },
        )
        return _draw(make_source(spec, progress), size, seed, stream)

    kinds = {"unseen elements": mixtures(unseen, first, 1)}
    common = [name for name in ("Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn") if name in known]
    others = [name for name in ("m4-tornado", "gem", "synchrotron") if name not in instruments]
    for number, name in enumerate(others if kind == "mixtures" else ("m4-tornado", "gem")):
        kinds[f"instrument {name}"] = mixtures(common, name, 2 + number)
    kinds["empty pixels"] = _empty(description, size, seed)
    return familiar, kinds


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
    lines, rest = expect_lines_and_rest(materials, instrument, order=2, progress=progress)
    spectra = lines + rest
    spectra = spectra[spectra.sum(axis=1) > 0]
    return MineralBank(
        (spectra / spectra.sum(axis=1, keepdims=True)).astype(np.float32),
        np.arange(len(spectra)),
        tuple(_numbered(len(spectra))),
        np.zeros((0, spectra.shape[1]), dtype=np.float32),
        instrument.energy,
        instrument.detector.fwhm,
        (),
    )


def _numbered(number: int) -> list[LabelClass]:
    return [LabelClass(index + 2, f"unfamiliar {index + 1}") for index in range(number)]


def _draw(source: Any, size: int, seed: int, stream: int) -> NDArray[np.float32]:
    counts: NDArray[np.float32] = source.draw(size, generator_of(seed, TEST, stream)).counts
    return counts


def _empty(description: ModelDescription, size: int, seed: int) -> NDArray[np.float32]:
    """Return spectra of 1 to 30 counts anywhere: noise and scatter where the beam met nothing."""
    generator = np.random.default_rng([seed, 13])
    axis = description.axis
    low, high = np.log(_EMPTY_COUNTS)
    dose = np.exp(generator.uniform(low, high, size=(size, 1)))
    counts = generator.poisson(dose / axis.size, size=(size, axis.size)).astype(np.uint32)
    # A spectrum without any count is no question.
    counts[counts.sum(axis=1) == 0, axis.size // 2] = 1
    return rebin_counts(counts, axis, axis)
