"""Coherent scattering by crystals, relative to the same atoms scattering one by one.

Atoms of a crystal scatter in step. At a momentum transfer s = sin(θ)/λ between the reflections only what
their thermal motion puts out of step is left, 1 - exp(-2Bs²) of independent vibrations; the rest stands in
Bragg reflections. Averaged over all orientations, a reflection of multiplicity m and structure factor S (of
n point atoms in a cell of volume V) holds m |S|² exp(-2Bs²) / (32 π n V s²) of the scattering, integrated
over s: the powder's intensity of energy-dispersive diffraction (B. E. Warren, X-Ray Diffraction, 1969,
chapters 4 and 11). Where reflections run together they average to exp(-2Bs²): at high s a crystal scatters
like single atoms.

Grains are taken to be many and to lie at random, without extinction. Few or oriented grains make single
reflections several times stronger or weaker.
"""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import xraylib
import xraylib_np  # type: ignore[import-not-found]

from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.attenuation import Floats
from napari_xrf.reference.crystals import lattices, oxide_scatter
from napari_xrf.reference.materials import Material

_HIGHEST = 2.5  # sin(θ)/λ in 1/Å, beyond which reflections have run together
_REACH = 5.0  # spreads to both sides in which a reflection is looked for
_TYPICAL_B = 0.5  # Å², of elements without a value: between oxides and silicates (0.3) and sulphides (0.8)
_SILICATE = 0.05  # weight fraction of silicon
_PHASES = 2  # of a sample, on the average: rocks and soils hold more, ores and pigments one
_FACES = ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
_ATOMS = {
    "bcc": ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "fcc": _FACES,
    "diamond": _FACES + tuple((x + 0.25, y + 0.25, z + 0.25) for x, y, z in _FACES),
    "hcp": ((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)),
}


def diffuse_part(material: Material, transfers: Floats) -> Floats:
    """Return the part of the coherent scattering that thermal motion puts between the reflections.

    Vibrations of the atoms are taken as independent of each other, and a solid solution as ordered. Elements
    whose crystal is not in :func:`lattices` get a B of 0.5 Å², and so do all elements of a compound.

    ``material``: what the crystal is made of. ``transfers``: sin(θ)/λ in 1/Å, θ being half the angle of
    scattering; any shape.
    """
    pure = len(material.mass_fractions) == 1
    parts = []
    for element, fraction in material.mass_fractions.items():
        b = lattices()[element].b if pure and element in lattices() else _TYPICAL_B
        parts.append((fraction * _form_factor_squared(element, transfers), b))
    diffuse = sum(weight * -np.expm1(-2 * b * transfers**2) for weight, b in parts)
    return np.asarray(diffuse / sum(weight for weight, _ in parts))


def powder_factor(material: Material, transfers: Floats, spread: float) -> Floats:
    """Return the coherent scattering of a polycrystal, reflections included, over that of single atoms.

    ``material``: an element of :func:`lattices`. ``transfers``: sin(θ)/λ in 1/Å, any shape. ``spread``:
    standard deviation of the transfers over the transfer, by the range of scattering angles; above 0. Raises
    InvalidInput for a material whose lattice is not known.
    """
    element = next(iter(material.mass_fractions))
    if len(material.mass_fractions) > 1 or element not in lattices():
        raise InvalidInput(
            f"the reflections of {material.name!r} as a polycrystal are not known",
            f"Use one of {', '.join(lattices())}, or 'single-crystal' for what lies between reflections",
        )
    flat = np.ravel(transfers)
    at, strengths = reflections(element)
    reflected = np.zeros(flat.size)
    for position, transfer in enumerate(flat):
        width = spread * transfer
        first, last = np.searchsorted(at, [transfer - _REACH * width, transfer + _REACH * width])
        apart = (at[first:last] - transfer) / width
        reflected[position] = strengths[first:last] @ np.exp(-0.5 * apart**2) / width
    reflected /= math.sqrt(2 * math.pi)
    reflected[flat > _HIGHEST / (1 + _REACH * spread)] = 1.0
    diffuse = diffuse_part(material, flat)
    return np.asarray(diffuse + (1 - diffuse) * reflected).reshape(np.shape(transfers))


def oxide_factor(fractions: Mapping[str, float], transfers: Floats) -> tuple[Floats, Floats]:
    """Return the coherent scattering of an oxide over that of single atoms, and by what it may depart.

    The mean of four crystals, silicates or others, which glasses are like, smeared by 7 %; the departures,
    (4, ...), are relative, one standard deviation each, of a sample of two of them.

    ``fractions``: element → weight fraction. ``transfers``: sin(θ)/λ in 1/Å, any shape.
    """
    of_each = oxide_scatter().of(fractions.get("Si", 0.0) > _SILICATE)
    mean = of_each.mean(axis=0)
    away = (of_each / mean - 1) / math.sqrt((len(of_each) - 1) * _PHASES)
    at, known = 4 * math.pi * transfers, oxide_scatter().transfers
    departures = [np.interp(at, known, row, right=0.0) for row in away]
    return np.interp(at, known, mean, right=1.0), np.array(departures)


@cache
def reflections(element: str) -> tuple[Floats, Floats]:
    """Return sin(θ)/λ of an element's reflections, rising, in 1/Å, and their strengths.

    The strength is the integral over s of the scattering in the reflection, relative to single atoms and
    without thermal motion.
    """
    lattice = lattices()[element]
    most = int(2 * _HIGHEST * max(lattice.a, lattice.c)) + 1
    indices = np.mgrid[-most : most + 1, -most : most + 1, -most : most + 1].reshape(3, -1)
    plane = indices[0] ** 2 + indices[1] ** 2
    if lattice.kind == "hcp":
        plane = 4 / 3 * (plane + indices[0] * indices[1])
    transfers = 0.5 * np.sqrt(plane / lattice.a**2 + indices[2] ** 2 / lattice.c**2)
    inside = (transfers > 0) & (transfers < _HIGHEST)
    indices, transfers = indices[:, inside], transfers[inside]
    atoms = np.array(_ATOMS[lattice.kind])
    amplitude = np.exp(2j * math.pi * (atoms @ indices)).sum(axis=0)
    strength = np.abs(amplitude) ** 2 / (32 * math.pi * len(atoms) * lattice.volume * transfers**2)
    at, family = np.unique(np.round(transfers, 6), return_inverse=True)
    strengths = np.bincount(family, strength)
    allowed = strengths > 1e-9 * strengths.max()
    return at[allowed], strengths[allowed]


@one_thread_of("openmp")  # as xraylib_np is
def _form_factor_squared(element: str, transfers: Floats) -> Floats:
    """Square of the form factor (xraylib) per unit of mass, any shape."""
    number = atomic_number(element)
    factors = xraylib_np.FF_Rayl(np.array([number]), np.ravel(transfers))[0]
    return np.asarray(factors**2 / xraylib.AtomicWeight(number)).reshape(np.shape(transfers))
