"""Spectra of several elements on a substrate, as mixtures of Gaussians, for detectors of low resolution.

The recipe of Zarębski, *Vision transformers for enhanced analysis of X-ray fluorescence spectra in cultural
heritage* (poster, AGH Kraków): theoretical lines and, for a gas electron multiplier (GEM) filled with argon,
an escape peak 2.96 keV below each; elements in random amounts over a substrate; augmentation; targets for
classification (which elements) and regression (how many counts of each).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, Range, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.physics.instrument import Instrument
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortions import Distortions, draw_values, largest_addition
from napari_xrf.synthesis.drawn_counts import spectra_as_cube
from napari_xrf.synthesis.sampling import count_dtype, draw_poisson, draw_seed, log_uniform
from napari_xrf.synthesis.spectrum_kernels import add_gaussians
from napari_xrf.synthesis.substrates import SUBSTRATES, substrate_material

ARGON_EDGE_KEV = 3.206
ARGON_ESCAPE_KEV = 2.96
MIXTURE_ELEMENTS = (
    "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "As", "Sr", "Ag", "Cd", "Sn", "Sb", "Ba",
    "Au", "Hg", "Pb",
)  # fmt: skip
_FILM_UM = 0.1  # thin enough for lines without absorption
_BLOCK_BYTES = 16 * 2**20
_CACHED_SETS = 16
_WIDTH_STEP = 1.08  # between two of them a sum of both is a peak of the width between
_CACHED = 1000  # elements and substrates on the instruments of a session


def augmentation() -> Distortions:
    """Return the distortions that a GEM imager shows over its field and from run to run.

    Gain differs by some per cent between strips; the resolution by a quarter.
    """
    return Distortions(
        offset_ev=(-60.0, 60.0),
        gain=(-0.03, 0.03),
        width_factor=(1.0, 1.25),
        tail=(0.0, 0.05),
        tail_width_ev=(200.0, 900.0),
        continuum_level=(0.0, 0.1),
        continuum_end_kev=(20.0, 40.0),
    )


def _known_elements(elements: tuple[str, ...]) -> tuple[str, ...]:
    for element in elements:
        atomic_number(element)
    if not elements or len(set(elements)) != len(elements):
        raise InvalidInput("elements must be named, each once")
    return elements


def _known_substrates(substrates: tuple[str, ...]) -> tuple[str, ...]:
    if not substrates:
        raise InvalidInput("at least one substrate must be named", "Write none for no substrate")
    for name in substrates:
        if name != "none":
            substrate_material(name)
    return substrates


@parameters
class MixtureParameters:
    """What the mixtures recipe draws from.

    Attributes
    ----------
    elements
        Symbols that may be in a spectrum, each once.
    present
        Fewest and most of them in a spectrum; 0 gives bare substrates.
    substrates
        Names that may lie under them: ``"none"``, or of
        :data:`~napari_xrf.synthesis.substrates.SUBSTRATES`.
    substrate_share
        Range of the substrate's part of the counts, where there is one and an element too.
    counts
        Range of the expected counts of a spectrum, drawn evenly in the logarithm.
    escape
        Range of the escape peak as a part of each line above the argon edge; (0, 0) for other detectors.
    distortions
        Augmentation, or None.
    """

    elements: Annotated[tuple[str, ...], AfterValidator(_known_elements)] = MIXTURE_ELEMENTS
    present: tuple[int, int] = (1, 4)
    substrates: Annotated[tuple[str, ...], AfterValidator(_known_substrates)] = ("none", *SUBSTRATES)
    substrate_share: Annotated[Range, Limits(0, 1)] = (0.05, 0.6)
    counts: Annotated[Range, Limits(0, 1e7)] = (300.0, 30_000.0)
    escape: Annotated[Range, Limits(0, 0.5)] = (0.06, 0.12)
    distortions: Distortions | None = field(default_factory=augmentation)

    def __post_init__(self) -> None:
        fewest, most = self.present
        if not 0 <= fewest <= most <= len(self.elements):
            raise InvalidInput(f"present must run from 0 up to {len(self.elements)}, not {self.present}")
        if fewest == 0 and "none" in self.substrates:
            raise InvalidInput(
                "a spectrum of no element on no substrate is empty", "Leave out none, or raise present to 1"
            )


@dataclass(frozen=True, eq=False)
class MixtureSpectra:
    """Spectra with their truth."""

    counts: NDArray[np.unsignedinteger[Any]]  # (N, E) counts
    energy: EnergyAxis  # their axis
    # (N, K) float32 expected counts of each element, escape peaks included, before distortions: the target of
    # regression
    net_counts: NDArray[np.float32]
    substrates: NDArray[np.intp]  # (N,) position of the substrate in the parameters' list
    elements: tuple[str, ...]  # K symbols
    excitation: Excitation  # of the instrument
    parameters: Mapping[str, Any]  # all that made them, as JSON takes it

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, K) whether the element is there: the target of classification."""
        return self.net_counts > 0

    def as_cube(self) -> SpectralCube:
        """Return the spectra as a map of N rows and one column."""
        return spectra_as_cube(self.counts, self.energy, "mixtures", self.elements, self.excitation)

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.own.cube_files.write_cube`."""
        return {
            "present": self.present,
            "net_counts": self.net_counts,
            "substrates": self.substrates,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, eq=False)
class MixtureTemplates:
    """Shapes from which mixtures are made."""

    lines: NDArray[np.float32]  # (K, E) all lines of an element, summing to 1
    # escaping, escapes: (K, E) those of them above the argon edge, and the same 2.96 keV lower
    escaping: NDArray[np.float32]
    escapes: NDArray[np.float32]
    substrates: NDArray[np.float32]  # (S, E) summing to 1; a row of zeros for "none"


def synthesize_mixtures(
    size: int,
    instrument: Instrument,
    *,
    generator: np.random.Generator,
    parameters: MixtureParameters | None = None,
    progress: Progress = ignore_progress,
) -> MixtureSpectra:
    """Draw spectra of random elements on random substrates.

    Raises InvalidInput when nothing is to be drawn, or an element has no line that the instrument excites and
    detects.

    ``size``: how many, at least 1. ``instrument``: ``load_instrument("gem")``, or any other that photons
    excite. ``generator``: the same state gives the same spectra, whatever the number of cores.
    """
    if size < 1:
        raise InvalidInput(f"at least one spectrum must be drawn, not {size}")
    chosen = parameters or MixtureParameters()
    mixing, distortion, noise = generator.spawn(3)
    net, below, rows = _mix(size, chosen, mixing)
    escape = mixing.uniform(*chosen.escape, size=size)
    ranges = chosen.distortions
    values = None if ranges is None else draw_values(ranges, size, distortion)
    reach = (1.0, 1.0) if ranges is None or ranges.width_factor is None else ranges.width_factor
    shapes = _shapes_between(tuple(chosen.elements), tuple(chosen.substrates), instrument, *reach)
    widths = np.ones(size)
    if values is not None and values.width_factor is not None:
        # Peaks are made in their width: broadening afterwards takes the width of the place where a photon was
        # recorded, which skews peaks as wide as a tenth of their energy.
        widths, values = values.width_factor, values.without("width_factor")
    seed = draw_seed(noise)
    # A spectrum may put all its counts into one channel.
    added = 0.0 if values is None else largest_addition(values)
    dtype = count_dtype(float((net.sum(axis=1) + below).max(initial=0.0)) * (1 + added))
    counts = np.empty((size, instrument.energy.size), dtype=dtype)
    step = max(1, _BLOCK_BYTES // (4 * instrument.energy.size))
    for start in range(0, size, step):
        part = np.arange(start, min(start + step, size))
        level = shapes.levels(widths[part])
        expected = _expect(shapes, level, net[part], below[part], rows[part], escape[part])
        if values is not None:
            expected = distort(expected, instrument.energy, values.take(part), instrument.detector.fwhm)
        counts[part] = draw_poisson(expected, seed, part, dtype)
        progress(int(part[-1]) + 1, size, "drawing spectra")
    return MixtureSpectra(
        counts,
        instrument.energy,
        net,
        rows,
        chosen.elements,
        excitation_of(instrument),
        {
            "recipe": "mixtures",
            "size": size,
            "instrument": instrument.name,
            "seed": str(seed),
            **asdict(chosen),
        },
    )


def make_templates(
    elements: Sequence[str],
    substrates: Sequence[str],
    instrument: Instrument,
    progress: Progress = ignore_progress,
    *,
    width_factor: float = 1.0,
) -> MixtureTemplates:
    """Return the shapes of elements and substrates on an instrument.

    Lines have the intensities of a thin film and the detector's width; substrates are those of the
    forward model, scatter included.

    Raises InvalidInput when an element has no line that the instrument excites and detects.

    ``width_factor``: width of peaks as a multiple of the detector's.
    """
    axis, wide = instrument.energy, _widened(instrument, width_factor)
    lines = np.zeros((len(elements), axis.size), dtype=np.float32)
    escaping, escapes = np.zeros_like(lines), np.zeros_like(lines)
    for row, element in enumerate(elements):
        progress(row, len(elements) + len(substrates), "shapes of the elements")
        energies, intensities = _film_lines(element, instrument)
        lines[row] = _gaussians(energies, intensities, wide)
        total = float(lines[row].sum())
        if not total > 0:
            raise InvalidInput(
                f"{instrument.name} sees no line of {element}", "Leave it out, or raise the energy"
            )
        above = energies > ARGON_EDGE_KEV
        escaping[row] = _gaussians(energies[above], intensities[above], wide) / total
        # The rest of a pulse is as sharp as a line of its energy.
        escapes[row] = _gaussians(energies[above] - ARGON_ESCAPE_KEV, intensities[above], wide) / total
        lines[row] /= total
    under = np.zeros((len(substrates), axis.size), dtype=np.float32)
    for row, name in enumerate(substrates):
        progress(len(elements) + row, len(elements) + len(substrates), "shapes of the substrates")
        if name != "none":
            under[row] = _substrate_shape(name, wide)
    return MixtureTemplates(lines, escaping, escapes, under)


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Templates of several widths, one below the other: (L·K, E) elements and (L·S, E) substrates."""

    factors: NDArray[np.float64]
    lines: NDArray[np.float32]
    moved: NDArray[np.float32]
    substrates: NDArray[np.float32]

    def levels(self, widths: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return how much of each template's width there is in some width factors (N,), as (N, L)."""
        share = np.zeros((len(widths), len(self.factors)), dtype=np.float32)
        if len(self.factors) == 1:
            share[:] = 1.0
            return share
        above = np.clip(np.searchsorted(self.factors, widths), 1, len(self.factors) - 1)
        low, high = self.factors[above - 1], self.factors[above]
        part = np.clip((widths - low) / (high - low), 0, 1)
        row = np.arange(len(widths))
        share[row, above - 1], share[row, above] = 1 - part, part
        return share


@lru_cache(maxsize=_CACHED_SETS)
def _shapes_between(
    elements: tuple[str, ...], substrates: tuple[str, ...], instrument: Instrument, low: float, high: float
) -> _Shapes:
    number = math.ceil(math.log(high / low) / math.log(_WIDTH_STEP) - 1e-9) + 1
    factors = np.geomspace(low, high, number)
    made = [
        make_templates(elements, substrates, instrument, width_factor=float(factor)) for factor in factors
    ]
    return _Shapes(
        factors,
        np.concatenate([each.lines for each in made]),
        np.concatenate([each.escapes - each.escaping for each in made]),
        np.concatenate([each.substrates for each in made]),
    )


@lru_cache(maxsize=_CACHED)
def _film_lines(element: str, instrument: Instrument) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return expect_spectrum(Material(element, {element: 1.0}), instrument, thickness_um=_FILM_UM).lines


@lru_cache(maxsize=_CACHED)
def _substrate_shape(name: str, instrument: Instrument) -> NDArray[np.float64]:
    spectrum = expect_spectrum(substrate_material(name), instrument, structure="amorphous").counts
    return spectrum / spectrum.sum()


def _widened(instrument: Instrument, factor: float) -> Instrument:
    """Return an instrument with peaks wider by a factor at all energies."""
    if factor == 1:
        return instrument
    detector = instrument.detector
    wide = replace(detector, noise_fwhm_ev=factor * detector.noise_fwhm_ev, fano=factor**2 * detector.fano)
    return replace(instrument, detector=wide)


def _gaussians(
    energies: NDArray[np.float64], intensities: NDArray[np.float64], instrument: Instrument
) -> NDArray[np.float32]:
    spectrum = np.zeros((1, instrument.energy.size), dtype=np.float32)
    if not energies.size or not intensities.max() > 0:
        return spectrum[0]
    add_gaussians(
        spectrum[0],
        instrument.energy.offset,
        instrument.energy.width,
        energies,
        intensities / intensities.sum(),
        instrument.detector.fwhm(energies) / FWHM_PER_SIGMA,
    )
    return np.asarray(spectrum[0] * np.float32(intensities.sum()))


def _mix(
    size: int, chosen: MixtureParameters, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Return expected counts of the elements (N, K) and of the substrate (N,), and which substrate (N,)."""
    number = generator.integers(*chosen.present, endpoint=True, size=size)
    rank = generator.random((size, len(chosen.elements))).argsort(axis=1).argsort(axis=1)
    parts = np.where(
        rank < number[:, np.newaxis], generator.exponential(size=(size, len(chosen.elements))), 0.0
    )
    rows = generator.integers(len(chosen.substrates), size=size)
    bare = np.array([name == "none" for name in chosen.substrates])[rows]
    share = np.where(bare, 0.0, generator.uniform(*chosen.substrate_share, size=size))
    share = np.where(number == 0, 1.0, share)
    dose = log_uniform(generator, np.maximum(chosen.counts, 1e-9), size)
    dose = np.where(dose <= 1e-8, 0.0, dose)
    total = np.maximum(parts.sum(axis=1, keepdims=True), 1e-30)
    net = parts / total * ((1 - share) * dose)[:, np.newaxis]
    return net.astype(np.float32), (share * dose).astype(np.float32), rows.astype(np.intp)


def _expect(
    shapes: _Shapes,
    level: NDArray[np.float32],
    net: NDArray[np.float32],
    below: NDArray[np.float32],
    rows: NDArray[np.intp],
    escape: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return expected counts (N, E); what escapes leaves its line, so the counts stay."""
    size = len(net)
    amount = (level[:, :, np.newaxis] * net[:, np.newaxis]).reshape(size, -1)
    spectra = amount @ shapes.lines
    spectra += (amount * escape[:, np.newaxis].astype(np.float32)) @ shapes.moved
    under = np.zeros((size, level.shape[1], len(shapes.substrates) // level.shape[1]), dtype=np.float32)
    under[np.arange(size), :, rows] = level * below[:, np.newaxis]
    spectra += under.reshape(size, -1) @ shapes.substrates
    return np.asarray(np.maximum(spectra, 0.0), dtype=np.float32)
