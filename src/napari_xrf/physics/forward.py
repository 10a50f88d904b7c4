"""The forward model: what an instrument is expected to count on a sample of known composition.

The unit of dose: of a tube, 1 mA for 1 s into 1 sr towards the sample; of a monochromatic or given source,
its own photons (1 photon, or those given); of an electron beam, 1 electron; in each case seen by a detector
of 1 sr. Only the shape of a spectrum matters to most callers, who scale it to their counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.physics.attenuation import Floats, Layer
from napari_xrf.physics.detector.detector import Detector, response_matrix
from napari_xrf.physics.electron import excite_by_electrons
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.fluorescence import LineTable, fluoresce
from napari_xrf.physics.illumination import FINEST_STEP_KEV, Illumination
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.physics.sample import require_excitable, sample_elements, sample_layers
from napari_xrf.physics.scatter import scatter
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import load_library, select_minerals

_CACHED_INSTRUMENTS = 4
_CACHED_SAMPLES = 4096  # a few kB each: more than all compositions of the library
_SHORTEST_NAME = 3  # letters: what is shorter was meant as a formula
_FILM_UM = 1e-4  # thin enough for no absorption in any element


@dataclass(frozen=True, eq=False)
class ExpectedSpectrum:
    """Expected counts of one sample per unit of dose; see the module for the unit."""

    counts: Floats  # (E,) everything: lines, scatter and continuum
    energy: EnergyAxis  # the energy axis
    # (energies in keV, detected intensities) of the sample's own lines, detector efficiency included
    lines: tuple[Floats, Floats]
    families: dict[str, float]  # detected intensity of each line family, "Fe K", without scatter and pile-up
    scatter: Floats  # (E,) the scattered part of counts: lines and continuum of the source
    continuum: Floats  # (E,) the bremsstrahlung of electrons in the sample; zero for photon sources


@dataclass(frozen=True, eq=False)
class _Emission:
    """Photons that reach the detector, before it counts them."""

    lines: LineTable
    line_photons: Floats
    scattered_lines: Floats
    smooth: Floats


def expect_spectrum(
    material: Material | Sequence[Layer],
    instrument: Instrument,
    *,
    thickness_um: float | None = None,
    structure: str | None = None,
) -> ExpectedSpectrum:
    """Return the expected spectrum of a sample.

    Raises InvalidInput when the source's energy lies below every absorption edge of the sample whose lines
    the detector sees, a thickness is not above 0, or the lattice of a polycrystal is not known.

    ``material``: one material, or layers from the surface down. ``instrument``: source, geometry, atmosphere,
    optic, detector and energy axis. ``thickness_um``: of a sample of one material, µm; infinitely thick
    without it. ``structure``: of a sample of one material, see
    :class:`~napari_xrf.physics.attenuation.Layer`; without it as
    :func:`~napari_xrf.physics.sample.usual_structure` has it. It changes the coherent scatter alone.
    """
    layers = sample_layers(material, thickness_um, structure)
    require_excitable(layers, instrument.source.highest_kev, instrument.detector)
    emission = _emit(layers, instrument, 3)
    smooth, scattered = _detect_smooth([emission], instrument)
    lines = _detect_lines(emission.lines.energies, emission.line_photons[None], instrument)[0]
    detected = emission.line_photons * instrument.detector.efficiency(emission.lines.energies)
    electrons = isinstance(instrument.source, ElectronBeam)
    return ExpectedSpectrum(
        counts=lines + smooth[0] + scattered[0],
        energy=instrument.energy,
        lines=(emission.lines.energies, detected),
        families=emission.lines.family_sums(detected),
        scatter=scattered[0] + (0.0 if electrons else smooth[0]),
        continuum=smooth[0] if electrons else np.zeros(instrument.energy.size),
    )


def expect_families(
    material: Material | Sequence[Layer], instrument: Instrument, *, thickness_um: float | None = None
) -> dict[str, float]:
    """Return the detected intensity of each line family, as :func:`expect_spectrum` does, sooner.

    However faint: what the air hides of an element must not be taken for its absence.
    """
    layers = sample_layers(material, thickness_um)
    require_excitable(layers, instrument.source.highest_kev, instrument.detector)
    lines, photons = _lines(layers, instrument, 3)
    return lines.family_sums(photons * instrument.detector.efficiency(lines.energies), 0.0)


def expect_spectra(
    materials: Sequence[Material | Sequence[Layer]],
    instrument: Instrument,
    *,
    order: int = 3,
    progress: Progress = ignore_progress,
) -> NDArray[np.float64]:
    """Return the expected spectra, (N, E), of many samples, infinitely thick or layered.

    The same as :func:`expect_spectrum` for each, but the detector folds all of them at once, a sample of
    which nothing can be excited gives a spectrum of scatter alone, and atoms of a material scatter one by
    one: shipped networks learnt from such spectra. Raises InvalidInput for a stack of layers that cannot be;
    for a thin sample under an electron beam.
    """
    expected = expect_samples(materials, instrument, order=order, progress=progress)
    return expected.lines + expected.rest


@dataclass(frozen=True, eq=False)
class ExpectedSamples:
    """Expected spectra of N samples in parts."""

    # lines, rest: (N, E) the samples' lines, and all else
    lines: NDArray[np.float64]
    rest: NDArray[np.float64]
    # Of each sample its lines, and the photons of each that reach the detector, (L,)
    emitted: tuple[tuple[LineTable, Floats], ...]


def expect_samples(
    materials: Sequence[Material | Sequence[Layer]],
    instrument: Instrument,
    *,
    order: int = 3,
    progress: Progress = ignore_progress,
) -> ExpectedSamples:
    """Return the expected spectra of many samples in parts; errors as :func:`expect_spectra`, their sum."""
    emissions = []
    for done, material in enumerate(materials):
        alone = "amorphous" if isinstance(material, Material) else None
        emissions.append(_emit(sample_layers(material, structure=alone), instrument, order))
        progress(done + 1, len(materials), "expected spectra")
    if not emissions:
        nothing = np.zeros((0, instrument.energy.size))
        return ExpectedSamples(nothing, nothing, ())
    smooth, scattered = _detect_smooth(emissions, instrument)
    energies, photons = _common_lines(emissions)
    emitted = tuple((each.lines, each.line_photons) for each in emissions)
    return ExpectedSamples(_detect_lines(energies, photons, instrument), smooth + scattered, emitted)


def simulate_spectrum(
    formula: str,
    instrument: str | Path | Instrument = "m4",
    *,
    counts: float | None = None,
    thickness_um: float | None = None,
    density: float | None = None,
    structure: str | None = None,
) -> tuple[Spectrum, dict[str, float]]:
    """Return the expected spectrum of a formula, and its detected line families, the strongest being 1.

    ``instrument`` may be one itself; the other parameters and errors as for :func:`napari_xrf.simulate`.
    """
    for name, value in (("thickness", thickness_um), ("density", density), ("counts", counts)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InvalidInput(f"the {name} must be above 0, not {value}")
    material = _material_of(formula, density, thickness_um is not None)
    used = instrument if isinstance(instrument, Instrument) else load_instrument(str(instrument))
    expected = expect_spectrum(material, used, thickness_um=thickness_um, structure=structure)
    scale = 1.0 if counts is None else counts / expected.counts.sum()
    families = sorted(expected.families.items(), key=lambda entry: -entry[1])
    strongest = families[0][1] if families else 1.0
    return (
        Spectrum(expected.counts * scale, used.energy, name=formula, excitation=excitation_of(used)),
        {family: value / strongest for family, value in families},
    )


def _material_of(text: str, density: float | None, needs_density: bool) -> Material:
    """Return the material of a formula, or of the one mineral, metal or pigment of that name."""
    try:
        material = Material.from_formula(text, density or 1.0)
    except InvalidInput:
        if not text.replace(" ", "").isalpha() or len(text) < _SHORTEST_NAME:
            raise
        named = select_minerals(load_library(), (text,))
        if len(named) > 1:
            listed = ", ".join(each.name for each in named)
            raise InvalidInput(f"{text!r} is the name of several minerals", f"Name one of {listed}") from None
        material = named[0].compositions()[0]
        return material if density is None else replace(material, density=density)
    if needs_density and density is None:
        raise InvalidInput("a thickness needs the density", "Give the density in g/cm³")
    return material


@lru_cache(maxsize=1024)
def film_lines(element: str, instrument: Instrument) -> dict[str, tuple[Floats, Floats]]:
    """Return what a thin film of one element sends to the detector, by family: energies in keV and photons.

    How lines of a family share its photons under the instrument's own source, without self-absorption
    and before the detector's efficiency. A family that nothing excites is left out.

    Raises
    ------
    InvalidInput
        Under an electron beam, whose model knows thick samples only.
    """
    if isinstance(instrument.source, ElectronBeam):
        raise InvalidInput("the electron model knows thick samples only", "Ask for the whole spectrum")
    film = (Layer(Material(element, {element: 1.0}), _FILM_UM),)
    light = illuminate(instrument)
    angles = instrument.incidence_deg, instrument.takeoff_deg
    found = fluoresce(film, light.beam((element,)), *angles, order=1)
    return _by_family(found.lines, found.primary * light.outward(found.lines.energies))


def sample_lines(material: Material, instrument: Instrument) -> dict[str, tuple[Floats, Floats]]:
    """Return what a thick sample sends to the detector, by family, as :func:`film_lines` does of a film.

    Lines of a family that the sample absorbs more are weaker in it: Kα against Kβ by tenths.
    """
    return _by_family(*_lines(sample_layers(material), instrument, 3))


def _by_family(lines: LineTable, photons: Floats) -> dict[str, tuple[Floats, Floats]]:
    families = {}
    for family in np.unique(lines.families):
        own = (lines.families == family) & (photons > 0)
        if own.any():
            families[str(family)] = (lines.energies[own], photons[own])
    return families


@lru_cache(maxsize=_CACHED_INSTRUMENTS)
def illuminate(instrument: Instrument) -> Illumination:
    """Return an instrument's source on the sample; the last few are kept."""
    return Illumination(instrument)


def _emit(layers: tuple[Layer, ...], instrument: Instrument, order: int) -> _Emission:
    light = illuminate(instrument)
    angles = instrument.incidence_deg, instrument.takeoff_deg
    if isinstance(instrument.source, ElectronBeam):
        lines, made, smooth = excite_by_electrons(layers, instrument.source, angles, light.grid)
        photons, scattered_lines = _on_the_way(lines, made, instrument), np.zeros(0)
    else:
        lines, photons = _lines(layers, instrument, order)
        smooth, scattered_lines = scatter(layers, light.scatter_source, *angles)
    return _Emission(
        lines,
        photons,
        scattered_lines * light.outward(light.scatter_source.line_energies),
        smooth * light.outward(light.grid),
    )


def _lines(layers: tuple[Layer, ...], instrument: Instrument, order: int) -> tuple[LineTable, Floats]:
    """Return the sample's lines, and the photons of each that reach the detector."""
    return _emitted_lines(layers, _before_detection(instrument), order)


@lru_cache(maxsize=_CACHED_INSTRUMENTS)
def _before_detection(instrument: Instrument) -> Instrument:
    """Return one instrument for all that differ only in what counts the photons, as after a calibration."""
    axis = EnergyAxis(0.0, max(instrument.energy.width, FINEST_STEP_KEV), 2)
    detector = Detector("sdd", Material("silicon", {"Si": 1.0}, 2.33), 450.0)
    return replace(instrument, name="", detector=detector, energy=axis)


@lru_cache(maxsize=_CACHED_SAMPLES)
def _emitted_lines(layers: tuple[Layer, ...], instrument: Instrument, order: int) -> tuple[LineTable, Floats]:
    light, angles = illuminate(instrument), (instrument.incidence_deg, instrument.takeoff_deg)
    if isinstance(instrument.source, ElectronBeam):
        lines, photons, _ = excite_by_electrons(layers, instrument.source, angles, light.grid)
    else:
        found = fluoresce(layers, light.beam(sample_elements(layers)), *angles, order=order)
        lines, photons = found.lines, found.intensities
    return lines, _on_the_way(lines, photons, instrument)


def _on_the_way(lines: LineTable, photons: Floats, instrument: Instrument) -> Floats:
    """Photons after the atmosphere, by what standards tell of each family."""
    if instrument.sensitivities.factors:
        names, index = np.unique(lines.families, return_inverse=True)
        photons = photons * np.array([instrument.sensitivities.factor(str(name)) for name in names])[index]
    return np.asarray(photons * illuminate(instrument).outward(lines.energies))


def _detect_smooth(emissions: Sequence[_Emission], instrument: Instrument) -> tuple[Floats, Floats]:
    """(N, E) counts of the smooth part, and (N, E) of the scattered lines."""
    light = illuminate(instrument)
    smooth = light.grid_response.fold(np.stack([emission.smooth for emission in emissions]))
    if not light.scatter_source.line_energies.size:
        return smooth, np.zeros(smooth.shape)
    scattered = light.line_response.fold(np.stack([emission.scattered_lines for emission in emissions]))
    return smooth, scattered


def _detect_lines(energies: Floats, photons: Floats, instrument: Instrument) -> Floats:
    """(N, E) counts of (N, L) photons at L energies; hydrogen has none."""
    if not energies.size:
        return np.zeros((len(photons), instrument.energy.size))
    return response_matrix(instrument.detector, instrument.energy, energies).fold(photons)


def _common_lines(emissions: Sequence[_Emission]) -> tuple[Floats, Floats]:
    """All lines of all samples, (L,) keV, each energy once, and the photons (N, L)."""
    energies = np.unique(np.concatenate([emission.lines.energies for emission in emissions]))
    photons = np.zeros((len(emissions), energies.size))
    for row, emission in enumerate(emissions):
        np.add.at(photons[row], np.searchsorted(energies, emission.lines.energies), emission.line_photons)
    return energies, photons
