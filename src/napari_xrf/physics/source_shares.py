"""What each part of a tube's spectrum makes of a sample's: scattered counts, and counts of families."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.physics.attenuation import Floats, Layer
from napari_xrf.physics.fluorescence import Beam, fluoresce
from napari_xrf.physics.forward import illuminate
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.sample import sample_elements, sample_layers
from napari_xrf.physics.scatter import scatter
from napari_xrf.reference.materials import Material


@dataclass(frozen=True, eq=False)
class SourceShares:
    """Shares of K parts of a source's spectrum, which add up to what the whole of it makes."""

    scatter: Floats  # (K, E) counts of scattered photons
    families: dict[str, Floats]  # family → (K,) counts of its primary fluorescence


def shares_at(energies_kev: Floats, knots_kev: Sequence[float]) -> Floats:
    """Return the share of each part, (K, E), at energies: roofs over knots in ln(energy)."""
    at, knots = np.log(np.maximum(energies_kev, 1e-3)), np.log(knots_kev)
    return np.array([np.interp(at, knots, row) for row in np.eye(len(knots))])


def scatter_of_lines(
    material: Material, instrument: Instrument
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what a thick sample scatters, (E,) counts each: Compton and Rayleigh of the tube's lines, rest.

    The rest is the tube's continuum, scattered both ways.
    """
    light, angles = illuminate(instrument), (instrument.incidence_deg, instrument.takeoff_deg)
    whole, layers = light.scatter_source, sample_layers(material)
    dark, out = np.zeros(whole.energies.shape), light.outward(whole.energies)
    of_lines = scatter(layers, replace(whole, rayleigh_photons=dark, compton_photons=dark), *angles)
    rest = scatter(layers, replace(whole, line_photons=np.zeros(whole.line_photons.shape)), *angles)
    compton, continuum = light.grid_response.fold(np.stack([of_lines.photons * out, rest.photons * out]))
    rayleigh = of_lines.line_photons * light.outward(whole.line_energies)
    return compton, light.line_response.fold(rayleigh[None])[0], continuum


def share_source(
    layers: Sequence[Layer],
    instrument: Instrument,
    knots_kev: Sequence[float],
    together: Callable[[Floats], Floats] = np.ones_like,
) -> SourceShares:
    """Return what the parts of a photon source around knots make of a sample.

    ``layers``: the sample, its atoms scattering one by one. ``knots_kev``: K rising energies, keV.
    ``together``: coherent scattering at energies in keV over that of single atoms; of lines that have a
    Compton peak it is 1.
    """
    light, angles = illuminate(instrument), (instrument.incidence_deg, instrument.takeoff_deg)
    whole = light.scatter_source
    smooth, lines, families = [], [], []
    beam = light.beam(sample_elements(layers))
    parts = [shares_at(at, knots_kev) for at in (whole.energies, whole.compton_energies, whole.line_energies)]
    of_beam = shares_at(beam.energies, knots_kev)
    detected = light.outward(whole.energies), light.outward(whole.line_energies)
    coherent, of_lines = together(whole.energies), together(whole.line_energies)
    for k in range(len(knots_kev)):
        part = replace(
            whole,
            rayleigh_photons=whole.rayleigh_photons * parts[0][k] * coherent,
            compton_photons=whole.compton_photons * parts[1][k],
            line_photons=whole.line_photons * parts[2][k] * of_lines,
        )
        scattered = scatter(layers, part, *angles)
        smooth.append(scattered.photons * detected[0])
        lines.append(scattered.line_photons * detected[1])
        found = fluoresce(layers, Beam(beam.energies, beam.photons * of_beam[k]), *angles, order=1)
        seen = light.outward(found.lines.energies) * instrument.detector.efficiency(found.lines.energies)
        families.append(found.lines.family_sums(found.primary * seen))
    names = dict.fromkeys(name for one in families for name in one)
    counts = light.grid_response.fold(np.stack(smooth))
    if whole.line_energies.size:
        counts = counts + light.line_response.fold(np.stack(lines))
    return SourceShares(counts, {name: np.array([one.get(name, 0.0) for one in families]) for name in names})
