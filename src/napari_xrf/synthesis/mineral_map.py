"""Synthetic maps of rocks: grain textures of known minerals, their spectra, and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.memory import budget_of
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.distorted_spectra import MineralCounts
from napari_xrf.synthesis.distortion_values import FwhmOfEnergy
from napari_xrf.synthesis.distortions import Distortions, draw_map_values, without_bragg
from napari_xrf.synthesis.drawn_counts import DrawnCounts
from napari_xrf.synthesis.sampling import draw_seed
from napari_xrf.synthesis.textures import GrainMap, Occurrence, Texture, grow_grains

PALETTE = (
    "#e6e2d3", "#f4b6a6", "#8fb8de", "#7fc97f", "#b79fd0", "#2f3b52", "#f2d04b", "#a23b2a",
    "#d9822b", "#6b4a2b", "#3aa6a0", "#c64f8e", "#9aa53a", "#5566b8", "#e05a5a", "#79797f",
)  # fmt: skip


@parameters
class MapParameters:
    """Size and dose of a mineral map.

    Attributes
    ----------
    shape
        (Y, X) pixels.
    counts_per_pixel
        Mean of the map before distortions. Bright minerals get more, dark ones less.
    pixel_size
        (dy, dx) in µm.
    with_ideal
        Whether the same map without distortions is made too.
    with_twin
        Whether the map of a second detector is made too, in which no Bragg peak of the first shows.
    with_expected
        Whether the map without counting noise is given too: the expected counts of each pixel.
    name
        Of the map.
    """

    shape: Annotated[tuple[int, int], Limits(1, 100_000, ordered=False)] = (70, 50)
    counts_per_pixel: Annotated[float, Limits(0, 1e7)] = 1000.0
    pixel_size: Annotated[tuple[float, float], Limits(1e-3, 1e6, "µm", ordered=False)] = (50.0, 50.0)
    with_ideal: bool = False
    with_twin: bool = False
    with_expected: bool = False
    name: str = "synthetic map"


@dataclass(frozen=True, eq=False)
class PureSpectra:
    """Expected spectra of K materials, from the forward model or measured."""

    spectra: NDArray[np.float64]  # (K, E) counts for one dose
    energy: EnergyAxis  # their axis
    # Counts of each line family of each material for that dose, K mappings; empty where unknown
    families: tuple[Mapping[str, float], ...] = ()
    # Width of the detector's peaks, keV at keV, or None where no distortion needs it
    fwhm: FwhmOfEnergy | None = None
    excitation: Excitation = field(default_factory=Excitation)  # what excites the samples


@dataclass(frozen=True, eq=False)
class SyntheticMap:
    """A synthetic map and everything that is known about it."""

    cube: SpectralCube  # the map, as a detector would record it
    truth: LabelMap  # the material with the largest share of each pixel; class k + 1 is material k
    abundances: NDArray[np.float32]  # (Y, X, K) float32 share of each material in each pixel
    grains: NDArray[np.int32]  # (Y, X) int32 number of the grain in each pixel's middle
    materials: tuple[Material, ...]  # the K materials
    # Expected counts of every line family before distortions, with errors of 0, or None where the pure
    # spectra do not tell them
    line_counts: ElementMaps | None
    parameters: Mapping[str, Any]  # all that made the map, as JSON takes it
    # The same map, where it was asked for: "ideal", without the distortions (same random numbers); "twin", by
    # a second detector, which sees no Bragg peak, with noise of its own; "expected", without counting noise,
    # float32
    companions: Mapping[str, SpectralCube]

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.own.cube_files.write_cube`."""
        elements, fractions = element_fractions(self.materials)
        entries = {
            "labels": self.truth,
            "abundances": self.abundances,
            "grains": self.grains,
            "mass_fractions": self.abundances @ fractions,
            "parameters": {**self.parameters, "elements": list(elements)},
        }
        return entries if self.line_counts is None else {**entries, "line_counts": self.line_counts}


def synthesize_mineral_map(
    materials: Sequence[Material],
    instrument: Instrument,
    *,
    progress: Progress = ignore_progress,
    **options: Any,
) -> SyntheticMap:
    """Make a map of minerals, with their expected spectra on an instrument.

    The other parameters are those of :func:`draw_mineral_map`. Raises InvalidInput when a parameter is out of
    range, or the source excites nothing.
    """
    check_materials(materials)
    pure = expect_pure_spectra(materials, instrument, progress)
    return draw_mineral_map(materials, pure, progress=progress, **options)


def draw_mineral_map(
    materials: Sequence[Material],
    pure: PureSpectra,
    *,
    generator: np.random.Generator,
    texture: Texture | None = None,
    phases: Sequence[Occurrence] | None = None,
    distortions: Distortions | None = None,
    formulas: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
    **parameters: Any,
) -> SyntheticMap:
    """Make a map with known truth from the spectra of its materials, expected or measured ones.

    Raises InvalidInput when a parameter is out of range, or the spectra hold nothing.

    Parameters
    ----------
    materials
        K minerals, each name once.
    pure
        Their spectra.
    generator
        The same state gives the same map, whatever the number of cores.
    texture, phases
        How grains look, and how each material occurs; by default all as grains in equal parts.
    distortions
        Ranges from which the map's distortions are drawn.
    formulas, colors
        Of the truth's classes, K each; by default none, and a palette.
    memory_budget
        Bytes that the counts may take in memory; a larger map stays undrawn and draws what is read.
        Default: half of the free memory.
    **parameters
        The fields of :class:`MapParameters`: ``shape``, ``counts_per_pixel``, ``pixel_size``,
        ``with_ideal``, ``with_twin``, ``name``.
    """
    chosen, texture = MapParameters(**parameters), texture or Texture()
    check_materials(materials)
    phases = _phases_of(materials, pure, phases)
    growth, distortion, noise = generator.spawn(3)
    progress(0, 1, "growing grains")
    grown = grow_grains(chosen.shape, phases, texture, growth, progress)
    dose = _dose(grown, pure, chosen.counts_per_pixel)
    counts = MineralCounts(
        grown.abundances,
        np.ascontiguousarray(pure.spectra * dose, dtype=np.float32),
        pure.energy,
        draw_seed(noise),
        fwhm=pure.fwhm,
    )
    labels = _label(grown, materials, formulas, colors, chosen)
    cubes = _draw_cubes(
        _variants(counts, distortions, grown, chosen, distortion, noise),
        chosen,
        pure,
        element_fractions(materials)[0],
        memory_budget,
        progress,
    )
    return SyntheticMap(
        cube=cubes.pop("cube"),
        truth=labels,
        abundances=grown.abundances,
        grains=grown.grains,
        materials=tuple(materials),
        line_counts=_line_counts(grown, pure, dose, chosen),
        parameters={
            "recipe": "minerals",
            **asdict(chosen),
            "materials": [_described(each) for each in materials],
            "seed": str(counts.seed),
            "texture": asdict(texture),
            "phases": [asdict(phase) for phase in phases],
            "distortions": None if distortions is None else asdict(distortions),
        },
        companions=cubes,
    )


def expect_pure_spectra(
    materials: Sequence[Material], instrument: Instrument, progress: Progress = ignore_progress
) -> PureSpectra:
    """Return the expected spectra of thick samples of each material, on an instrument."""
    expected = []
    for done, material in enumerate(materials):
        progress(done, len(materials), "expected spectra")
        expected.append(expect_spectrum(material, instrument))
    return PureSpectra(
        np.stack([each.counts for each in expected]),
        instrument.energy,
        tuple(each.families for each in expected),
        instrument.detector.fwhm,
        excitation_of(instrument),
    )


def _described(material: Material) -> dict[str, Any]:
    fractions = dict(material.mass_fractions)
    return {"name": material.name, "density": material.density, "mass_fractions": fractions}


def _phases_of(
    materials: Sequence[Material], pure: PureSpectra, given: Sequence[Occurrence] | None
) -> tuple[Occurrence, ...]:
    """Return how each material occurs: as given, or all as grains in equal parts."""
    phases = tuple(given) if given is not None else (Occurrence(),) * len(materials)
    if len(phases) != len(materials) or len(pure.spectra) != len(materials):
        raise InvalidInput(
            f"{len(phases)} phases and {len(pure.spectra)} spectra do not fit {len(materials)} materials"
        )
    return phases


def check_materials(materials: Sequence[Material]) -> None:
    """Raise InvalidInput when there is no material or a name stands twice."""
    if not materials:
        raise InvalidInput("a map needs at least one material")
    names = [material.name for material in materials]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{', '.join(twice)} stands twice among the materials")


def element_fractions(materials: Sequence[Material]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the elements of some materials by rising Z, and their (K, elements) mass fractions."""
    present = {element for material in materials for element in material.mass_fractions}
    elements = sorted(present, key=atomic_number)
    table = np.array(
        [[material.mass_fractions.get(element, 0.0) for element in elements] for material in materials],
        dtype=np.float32,
    )
    return tuple(elements), table


def _dose(grown: GrainMap, pure: PureSpectra, counts_per_pixel: float) -> float:
    rate = float(grown.abundances.mean(axis=(0, 1)) @ pure.spectra.sum(axis=1))
    if not rate > 0:
        raise InvalidInput("the source excites nothing in these materials", "Raise the tube voltage")
    return counts_per_pixel / rate


def _variants(
    counts: MineralCounts,
    distortions: Distortions | None,
    grown: GrainMap,
    chosen: MapParameters,
    distortion: np.random.Generator,
    noise: np.random.Generator,
) -> dict[str, DrawnCounts]:
    values = None if distortions is None else draw_map_values(distortions, grown.grains, distortion)
    made = {"cube": counts.distorted(values).drawn()}
    if chosen.with_expected:
        made["expected"] = counts.distorted(values).undrawn()
    if chosen.with_ideal:
        made["ideal"] = counts.drawn()
    if chosen.with_twin:
        without = None if values is None else without_bragg(values)
        made["twin"] = counts.distorted(without, seed=draw_seed(noise)).drawn()
    return made


def _draw_cubes(
    variants: Mapping[str, DrawnCounts],
    chosen: MapParameters,
    pure: PureSpectra,
    elements: tuple[str, ...],
    memory_budget: int | None,
    progress: Progress,
) -> dict[str, SpectralCube]:
    budget = budget_of(memory_budget) // len(variants)
    return {
        kind: SpectralCube(
            counts.load_within(budget, progress),
            pure.energy,
            name=chosen.name if kind == "cube" else f"{chosen.name} ({kind})",
            pixel_size=chosen.pixel_size,
            excitation=pure.excitation,
            elements=elements,
            provenance=Provenance(layout="synthetic"),
        )
        for kind, counts in variants.items()
    }


def _line_counts(
    grown: GrainMap, pure: PureSpectra, dose: float, chosen: MapParameters
) -> ElementMaps | None:
    names = tuple(sorted({family for families in pure.families for family in families}))
    if not names:
        return None
    table = np.array([[families.get(name, 0.0) for name in names] for families in pure.families])
    maps = np.moveaxis(grown.abundances @ np.asarray(table * dose, dtype=np.float32), 2, 0)
    return ElementMaps(
        names, np.ascontiguousarray(maps), np.zeros_like(maps), "truth", chosen.pixel_size, chosen.name
    )


def _label(
    grown: GrainMap,
    materials: Sequence[Material],
    formulas: Sequence[str] | None,
    colors: Sequence[str] | None,
    chosen: MapParameters,
) -> LabelMap:
    for what, given in (("formulas", formulas), ("colours", colors)):
        if given is not None and len(given) != len(materials):
            raise InvalidInput(f"{len(given)} {what} do not fit {len(materials)} materials")
    classes = tuple(
        LabelClass(
            index + 1,
            material.name,
            formulas[index] if formulas is not None else "",
            colors[index] if colors is not None else PALETTE[index % len(PALETTE)],
            material.density,
        )
        for index, material in enumerate(materials)
    )
    dtype = np.uint8 if len(materials) < 255 else np.uint16
    labels = (grown.abundances.argmax(axis=2) + 1).astype(dtype)
    return LabelMap(labels, classes, pixel_size=chosen.pixel_size, source=chosen.name)
