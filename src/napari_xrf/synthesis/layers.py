"""Spectra of many elements in layers, labelled line by line: the training data of "Privileged bases".

The generator of García-Avello Bofías, Bombini, Ruberto & Taccetti (EasyChair preprint, December 2024; their
package MULTIEL_SPECTRA) in its seven steps, batched, with this package's tube and cross-sections. Labels are
joined by element, so no line is labelled for an element that is not there, and a second label tells
the lines that can be seen from those that are only present.

1. A tube: Mo at 30 kV, 46°, 0.127 mm Be, 10 mm air; now and then other settings.
2. Each line a Gaussian whose height is its cross-section summed over the tube's spectrum; one σ for all. Each
   element's peaks are then scaled to its weight fraction.
3. Each element is a layer; with physical intensities lines cross those above it with a mean transmission
   (1 − e^−q) / q, then air. With the published numbers q is next to nothing, and is left out.
4. Escape of some prominent peaks to 1.74 keV below, and sums of two.
5. A third of the spectra on a distorted energy axis, x' = a + (1 + b) x + c x².
6. A logistic curve of the detector's window, which is shifted at random.
7. 30 000 multinomial counts, then a little of the tube's own spectrum and flat noise, as shares of the sum.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Choices, Limits, Range, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.drawn_counts import spectra_as_cube
from napari_xrf.synthesis.layer_spectra import LayerDraws, compose_spectra
from napari_xrf.synthesis.line_basis import (
    ANGLES_DEG,
    ANODES,
    BASIS_AXIS,
    BASIS_ELEMENTS,
    FILTERS,
    TubeSettings,
    air_transmission,
    line_basis,
    line_elements,
    tube_light,
)
from napari_xrf.synthesis.sampling import draw_seed, log_uniform

_BLOCK = 8192
_MOST_ELEMENTS = 20
_USUAL_COUNTS = 30_000  # of a spectrum, as published
_WINDOW_UM = 8.0  # of beryllium: passes as the published curve does from 1 to 3 keV


@parameters
class LayersParameters:
    """What the layers recipe draws from; the defaults are the published ones where those are known.

    Attributes
    ----------
    elements
        Fewest and most elements in a spectrum, 1 to 20.
    areal_density
        Range of a sample's mass per area, g/cm², drawn evenly in the logarithm and shared by its layers
        as their weight fractions. Not published; the default spans thin glazes to thick paint.
    sigma_kev
        Range of the peaks' standard deviation.
    jitter_kev
        Largest shift of all peaks together.
    tube_changes
        Part of the spectra with other tube settings.
    escape_chance, escape_most
        Chance that a prominent peak escapes, or adds up with another, and the most of it that does.
    distorted_axis
        Part of the spectra with a distorted axis.
    axis_shift, axis_curvature
        Largest a (keV) and b, and largest c (1/keV).
    counts
        Multinomial counts of a spectrum; 0 leaves the expectation, and judges visibility at 30 000.
    intensities
        ``"equal areas"``, as published: each element's peaks together hold as much as its weight fraction,
        and cross-sections tell only how they share it. ``"physical"``: as the cross-sections, the masses and
        the absorption of layers and air have it, so that light and rare elements drown.
    escape_by_height
        Part of the spectra whose escape peaks follow the published code: the share that leaves the highest
        peaks is over σ√(2π), so narrow ones may vanish.
    background
        Whether tube spectrum and noise are added.
    visibility
        A line is visible where its expected counts exceed so many times the square root of all expected
        counts within ±2σ of it, and itself as many counts squared.
    """

    elements: Annotated[tuple[int, int], Limits(1, _MOST_ELEMENTS)] = (3, 13)
    areal_density: Annotated[Range, Limits(1e-6, 10, "g/cm²")] = (5e-4, 5e-2)
    sigma_kev: Annotated[Range, Limits(0.01, 1, "keV")] = (0.02, 0.2)
    jitter_kev: Annotated[float, Limits(0, 0.5, "keV")] = 0.01
    tube_changes: Annotated[float, Limits(0, 1)] = 0.2
    escape_chance: Annotated[float, Limits(0, 1)] = 0.3
    escape_most: Annotated[float, Limits(0, 0.5)] = 0.14
    distorted_axis: Annotated[float, Limits(0, 1)] = 1 / 3
    axis_shift: Annotated[float, Limits(0, 0.2)] = 0.03
    axis_curvature: Annotated[float, Limits(0, 1e-3, "1/keV")] = 5e-5
    counts: Annotated[int, Limits(0, 10_000_000)] = _USUAL_COUNTS
    intensities: Annotated[str, Choices(("equal areas", "physical"))] = "equal areas"
    escape_by_height: Annotated[float, Limits(0, 1)] = 0.0
    background: bool = True
    visibility: Annotated[float, Limits(0.1, 100)] = 3.0


@dataclass(frozen=True, eq=False)
class LayerSpectra:
    """Spectra with their truth."""

    spectra: NDArray[np.float32]  # (N, 300) float32, the highest channel of each 1
    energy: EnergyAxis  # their axis, 0 to 29.9 keV
    present: NDArray[np.bool_]  # (N, 556) whether the line's element is in the sample
    visible: NDArray[np.bool_]  # (N, 556) whether the line can be seen; never where it is not present
    fractions: NDArray[np.float32]  # (N, 41) float32 weight fractions of the elements
    # lines, elements: names of the columns: "Fe ka1", "Fe"
    lines: tuple[str, ...]
    elements: tuple[str, ...]
    parameters: Mapping[str, Any]  # all that made them, as JSON takes it

    def as_cube(self) -> SpectralCube:
        """Return the spectra as a map of N rows and one column, in whole counts of the published number each.

        Fractions, of noise that was added to the counts, are carried to the next channel, so that sums stay.
        The truth beside them has the spectra as they are.
        """
        counts = int(self.parameters["counts"]) or _USUAL_COUNTS
        sums = np.cumsum(self.spectra, axis=1, dtype=np.float64)
        whole = np.diff(np.rint(sums * (counts / sums[:, -1:])), axis=1, prepend=0.0)
        whole = whole.astype(np.min_scalar_type(int(whole.max(initial=0))))
        return spectra_as_cube(whole, self.energy, "layers", self.elements)

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.own.cube_files.write_cube`."""
        return {
            "spectra": self.spectra,
            "present": self.present,
            "visible": self.visible,
            "fractions": self.fractions,
            "lines": list(self.lines),
            "parameters": dict(self.parameters),
            "elements": list(self.elements),
        }


def synthesize_layers(
    size: int,
    *,
    generator: np.random.Generator,
    parameters: LayersParameters | None = None,
    progress: Progress = ignore_progress,
) -> LayerSpectra:
    """Draw spectra of random elements in layers.

    Raises InvalidInput when nothing is to be drawn.

    ``size``: how many, at least 1. ``generator``: the same state gives the same spectra, whatever the number
    of cores.
    """
    if size < 1:
        raise InvalidInput(f"at least one spectrum must be drawn, not {size}")
    chosen = parameters or LayersParameters()
    seed = draw_seed(generator)
    result = LayerSpectra(
        spectra=np.empty((size, BASIS_AXIS.size), dtype=np.float32),
        energy=BASIS_AXIS,
        present=np.empty((size, len(line_basis())), dtype=bool),
        visible=np.empty((size, len(line_basis())), dtype=bool),
        fractions=np.empty((size, len(BASIS_ELEMENTS)), dtype=np.float32),
        lines=tuple(line.label for line in line_basis()),
        elements=BASIS_ELEMENTS,
        parameters={"recipe": "layers", "size": size, "seed": str(seed), **asdict(chosen)},
    )
    for start in range(0, size, _BLOCK):
        part = slice(start, min(start + _BLOCK, size))
        # A generator for each block: a long run begins like a short one.
        block = np.random.default_rng([seed, start])
        _draw_block(part, block, seed, chosen, result)
        progress(part.stop, size, "drawing spectra")
    return result


def _draw_block(
    part: slice, generator: np.random.Generator, seed: int, chosen: LayersParameters, result: LayerSpectra
) -> None:
    size = part.stop - part.start
    layers, fractions, densities = _draw_samples(size, generator, chosen)
    settings = _draw_tubes(size, generator, chosen)
    continuum, tube_lines = tube_light(settings)
    draws = _draw_distortions(size, generator, chosen)
    compose_spectra(
        draws,
        layers,
        fractions * densities[:, np.newaxis],
        continuum,
        tube_lines,
        air_transmission(settings.air_mm),
        _window_curves(draws),
        np.uint64(seed),
        np.arange(part.start, part.stop).astype(np.uint64),
        chosen.counts,
        chosen.background,
        chosen.intensities == "equal areas",
        chosen.visibility,
        result.spectra[part],
        result.visible[part],
    )
    table = np.zeros((size, len(BASIS_ELEMENTS)), dtype=np.float32)
    rows, columns = np.nonzero(layers >= 0)
    table[rows, layers[rows, columns]] = fractions[rows, columns]
    result.fractions[part] = table
    result.present[part] = table[:, line_elements()] > 0


def _draw_samples(
    size: int, generator: np.random.Generator, chosen: LayersParameters
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the elements of the layers from the top (N, M), −1 where none, their fractions, g/cm²."""
    most = chosen.elements[1]
    order = generator.random((size, len(BASIS_ELEMENTS))).argsort(axis=1)[:, :most]
    number = generator.integers(*chosen.elements, endpoint=True, size=size)
    parts = np.where(np.arange(most) < number[:, np.newaxis], generator.random((size, most)) + 1e-6, 0.0)
    return (
        np.where(parts > 0, order, -1).astype(np.int64),
        parts / parts.sum(axis=1, keepdims=True),
        log_uniform(generator, chosen.areal_density, size),
    )


def _draw_tubes(size: int, generator: np.random.Generator, chosen: LayersParameters) -> TubeSettings:
    changed = generator.random(size) < chosen.tube_changes
    filters = generator.uniform(0, 0.3, size=(size, len(FILTERS)))
    # One further filter at most, as on real tubes.
    filters[np.arange(len(FILTERS)) != generator.integers(len(FILTERS), size=size)[:, np.newaxis]] = 0.0
    return TubeSettings(
        anode=np.where(changed, generator.integers(len(ANODES), size=size), 0),
        angle=np.where(changed, generator.uniform(*ANGLES_DEG, size=size), 46.0),
        beryllium_mm=np.where(changed, generator.uniform(0, 0.4, size=size), 0.127),
        air_mm=np.where(changed, generator.uniform(0, 15, size=size), 10.0),
        filters_mm=np.where(changed[:, np.newaxis], filters, 0.0),
    )


def _draw_distortions(size: int, generator: np.random.Generator, chosen: LayersParameters) -> LayerDraws:
    distorted = generator.random(size) < chosen.distorted_axis
    shift = generator.uniform(-chosen.axis_shift, chosen.axis_shift, size=(size, 2))
    curvature = generator.uniform(-chosen.axis_curvature, chosen.axis_curvature, size=size)
    return LayerDraws(
        sigma=generator.uniform(*chosen.sigma_kev, size=size),
        jitter=generator.uniform(-chosen.jitter_kev, chosen.jitter_kev, size=size),
        axis=np.where(distorted[:, np.newaxis], np.column_stack([shift, curvature]), 0.0),
        window_shift=generator.integers(0, 49, endpoint=True, size=size),
        logistic=generator.uniform(0.01, 40, size=(size, 2)),
        background=generator.random(size),
        escape=(chosen.escape_chance, chosen.escape_most),
        by_height=generator.random(size) < chosen.escape_by_height,
    )


def _window_curves(draws: LayerDraws) -> NDArray[np.float32]:
    """Detector efficiency (N, 300): a logistic curve of a drift detector's own, shifted to higher energies.

    The logistic takes the curve's value, so it never falls to zero but to 1 / (1 + β).
    """
    window = (Layer(Material("beryllium", {"Be": 1.0}, density=1.848), _WINDOW_UM),)
    detector = replace(load_instrument("m4-tornado").detector, window=window)
    curve = np.asarray(detector.efficiency(np.maximum(BASIS_AXIS.energies, 0.1)), dtype=np.float32)
    columns = np.arange(BASIS_AXIS.size) - draws.window_shift[:, np.newaxis]
    shifted = np.where(columns >= 0, curve[np.maximum(columns, 0)], np.float32(0))
    alpha, beta = draws.logistic.astype(np.float32).T[:, :, np.newaxis]
    return np.asarray(1 / (1 + beta * np.exp(-alpha * shifted)), dtype=np.float32)
