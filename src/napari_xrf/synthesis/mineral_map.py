"""Synthetic maps of rocks: grain textures of known minerals, their spectra, and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.materials import Material
from napari_xrf.core.memory import default_memory_budget
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, Provenance, SpectralCube
from napari_xrf.physics.instrument import Instrument
from napari_xrf.synthesis.distortions import Distortions, FwhmOfEnergy, draw_map_values
from napari_xrf.synthesis.drawn_counts import DrawnCounts
from napari_xrf.synthesis.excitation import excitation_of
from napari_xrf.synthesis.ranges import check_range
from napari_xrf.synthesis.sampling import draw_seed
from napari_xrf.synthesis.textures import GrainMap, Phase, Texture, grow_grains

PALETTE = (
    "#e6e2d3", "#f4b6a6", "#8fb8de", "#7fc97f", "#b79fd0", "#2f3b52", "#f2d04b", "#a23b2a",
    "#d9822b", "#6b4a2b", "#3aa6a0", "#c64f8e", "#9aa53a", "#5566b8", "#e05a5a", "#79797f",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SyntheticMap:
    """A synthetic map and everything that is known about it.

    Attributes
    ----------
    cube
        The map, as a detector would record it.
    truth
        The material with the largest share of each pixel; class ``k + 1`` is material ``k``.
    abundances
        (Y, X, K) float32 share of each material in each pixel.
    grains
        (Y, X) int32 number of the grain in each pixel's middle.
    materials
        The K materials.
    parameters
        All that made the map, as JSON takes it.
    ideal
        The same map without the distortions (same random numbers), or None.
    twin
        The same map by a second detector, where other grains show Bragg peaks, or None.
    """

    cube: SpectralCube
    truth: LabelMap
    abundances: NDArray[np.float32]
    grains: NDArray[np.int32]
    materials: tuple[Material, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ideal: SpectralCube | None = None
    twin: SpectralCube | None = None

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.cube_files.write_cube`."""
        elements, fractions = element_fractions(self.materials)
        return {
            "labels": self.truth,
            "abundances": self.abundances,
            "grains": self.grains,
            "mass_fractions": self.abundances @ fractions,
            "parameters": {**self.parameters, "elements": list(elements)},
        }


def synthesize_mineral_map(
    materials: Sequence[Material],
    instrument: Instrument,
    *,
    shape: tuple[int, int] = (70, 50),
    counts_per_pixel: float = 1000.0,
    generator: np.random.Generator,
    texture: Texture | None = None,
    phases: Sequence[Phase] | None = None,
    distortions: Distortions | None = None,
    pixel_size: tuple[float, float] = (50.0, 50.0),
    formulas: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    with_ideal: bool = False,
    with_twin: bool = False,
    name: str = "synthetic map",
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SyntheticMap:
    """Make a map of minerals with known truth.

    Parameters
    ----------
    materials
        K minerals, each name once.
    instrument
        Gives the expected spectra and the energy axis.
    shape
        (Y, X) pixels.
    counts_per_pixel
        Mean of the map before distortions, 0 to 1e7. Bright minerals get more, dark ones less.
    texture, phases
        How grains look, and how each material occurs; by default all in equal parts.
    distortions
        Ranges from which the map's distortions are drawn.
    pixel_size
        (dy, dx) in µm.
    formulas, colors
        Of the truth's classes.
    with_ideal, with_twin
        Whether to add the undistorted map, and the one of a second detector.
    memory_budget
        Bytes that each cube's counts may take in memory; larger maps stay undrawn and draw what is
        read. Default: half of the free memory, shared by the cubes.

    Returns
    -------
    SyntheticMap
        The same for the same generator's state, whatever the machine's number of cores.

    Raises
    ------
    InvalidInput
        When a parameter is out of range, or the source excites nothing in any material.
    """
    from napari_xrf.physics.forward import expect_spectra

    check_materials(materials)
    progress(0, 1, "expected spectra")
    spectra = np.asarray(expect_spectra(materials, instrument), dtype=np.float64)
    return draw_mineral_map(
        materials,
        spectra,
        instrument.energy,
        shape=shape,
        counts_per_pixel=counts_per_pixel,
        generator=generator,
        texture=texture,
        phases=phases,
        distortions=distortions,
        fwhm=instrument.detector.fwhm,
        excitation=excitation_of(instrument),
        pixel_size=pixel_size,
        formulas=formulas,
        colors=colors,
        with_ideal=with_ideal,
        with_twin=with_twin,
        name=name,
        memory_budget=memory_budget,
        progress=progress,
    )


def draw_mineral_map(
    materials: Sequence[Material],
    spectra: NDArray[np.float64],
    energy: EnergyAxis,
    *,
    shape: tuple[int, int],
    counts_per_pixel: float,
    generator: np.random.Generator,
    texture: Texture | None = None,
    phases: Sequence[Phase] | None = None,
    distortions: Distortions | None = None,
    fwhm: FwhmOfEnergy | None = None,
    excitation: Excitation | None = None,
    pixel_size: tuple[float, float] = (50.0, 50.0),
    formulas: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    with_ideal: bool = False,
    with_twin: bool = False,
    name: str = "synthetic map",
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SyntheticMap:
    """Make a map from expected spectra (K, E), measured ones for instance.

    As :func:`synthesize_mineral_map`; ``fwhm`` gives the detector's width in keV at energies in keV.
    """
    check_materials(materials)
    check_range("counts per pixel", counts_per_pixel, 0, 1e7)
    texture = texture or Texture()
    phases = tuple(phases) if phases is not None else (Phase(),) * len(materials)
    if len(phases) != len(materials) or len(spectra) != len(materials):
        raise InvalidInput(
            f"{len(phases)} phases and {len(spectra)} spectra do not fit {len(materials)} materials"
        )
    texture_generator, distortion_generator, count_generator = generator.spawn(3)
    grown = grow_grains(shape, phases, texture, texture_generator)
    counts = _expect_counts(grown, spectra, energy, counts_per_pixel, draw_seed(count_generator), fwhm)
    values = None if distortions is None else draw_map_values(distortions, grown.grains, distortion_generator)
    distorted = counts.distorted(values)
    cubes = [distorted]
    if with_ideal:
        cubes.append(counts)
    if with_twin:
        # A second detector has its own noise.
        twin_values = None if values is None else values.without_bragg()
        cubes.append(counts.distorted(twin_values, seed=draw_seed(count_generator)))
    budget = (default_memory_budget() if memory_budget is None else memory_budget) // len(cubes)
    made = [
        SpectralCube(
            _drawn(part, budget, progress),
            energy,
            name=name,
            pixel_size=pixel_size,
            excitation=excitation or Excitation(),
            elements=element_fractions(materials)[0],
            provenance=Provenance(layout="synthetic", warnings=("This map is synthetic.",)),
        )
        for part in cubes
    ]
    return SyntheticMap(
        cube=made[0],
        truth=_label(grown, materials, formulas, colors, pixel_size, name),
        abundances=grown.abundances,
        grains=grown.grains,
        materials=tuple(materials),
        parameters={
            "recipe": "minerals",
            "materials": [_describe(material) for material in materials],
            "shape": list(shape),
            "counts_per_pixel": counts_per_pixel,
            "seed": str(counts.seed),
            "texture": asdict(texture),
            "phases": [asdict(phase) for phase in phases],
            "distortions": None if distortions is None else asdict(distortions),
        },
        ideal=made[1] if with_ideal else None,
        twin=made[-1] if with_twin else None,
    )


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
    elements = sorted(
        {element for material in materials for element in material.mass_fractions}, key=atomic_number
    )
    table = np.array(
        [[material.mass_fractions.get(element, 0.0) for element in elements] for material in materials],
        dtype=np.float32,
    )
    return tuple(elements), table


def _expect_counts(
    grown: GrainMap,
    spectra: NDArray[np.float64],
    energy: EnergyAxis,
    counts_per_pixel: float,
    seed: int,
    fwhm: FwhmOfEnergy | None,
) -> DrawnCounts:
    rates = grown.abundances.mean(axis=(0, 1)) @ spectra.sum(axis=1)
    if not rates > 0:
        raise InvalidInput("the source excites nothing in these materials", "Raise the tube voltage")
    scaled = np.ascontiguousarray(spectra * (counts_per_pixel / rates), dtype=np.float32)
    return DrawnCounts(grown.abundances, scaled, energy, seed, None, fwhm)


def _drawn(counts: DrawnCounts, budget: int, progress: Progress) -> Any:
    size = int(np.prod(counts.shape, dtype=np.int64)) * counts.dtype.itemsize
    return counts.load(budget, progress) if size <= budget else counts


def _label(
    grown: GrainMap,
    materials: Sequence[Material],
    formulas: Sequence[str] | None,
    colors: Sequence[str] | None,
    pixel_size: tuple[float, float],
    source: str,
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
    return LabelMap(labels, classes, pixel_size=pixel_size, source=source)


def _describe(material: Material) -> dict[str, Any]:
    return {
        "name": material.name,
        "density": material.density,
        "mass_fractions": dict(material.mass_fractions),
    }
