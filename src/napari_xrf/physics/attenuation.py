"""Photon cross-sections of elements and materials, quick enough to call for every spectrum.

The values are xraylib's (Schoonjans et al., Spectrochim. Acta B 66 (2011) 776): total attenuation, photo-
ionisation, Rayleigh and Compton scattering from its EPDL97-based tables, ionisation of single subshells from
Kissel. Each element is tabulated once on a fine logarithmic grid that stands on both sides of every
absorption edge, and read by interpolation of the logarithms; that is within 0.1 % of xraylib. Where
one of xraylib's two sources errs the other stands in, see docs/physics.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType

import numpy as np
import xraylib
import xraylib_np  # type: ignore[import-not-found]
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import atomic_number, edge_energy
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.physics.vacancies import SUBSHELLS, photons_per_vacancy
from napari_xrf.reference.materials import Material

Floats = NDArray[np.float64]

LOWEST_KEV, HIGHEST_KEV = 0.1, 200.0  # xraylib's tables begin at 0.1 keV

STRUCTURES = ("amorphous", "oxide", "polycrystal", "single-crystal")

_STEP = 1.015  # ratio of neighbouring energies of the tables
_TINY = 1e-30
_FEW = 4  # energies, as of a beam: only what lies beside them is tabulated
# xraylib's EPDL97 spline leaves XCOM's values by 3 to 14 % above these K edges; from this multiple of an edge
# to 2.5 times it Kissel's photo-ionisation stands in, which stays within 1.5 %.
_SPLINE_SWINGS = {"Si": 1.08, "Cl": 1.06, "Ti": 1.0, "Cr": 1.0}
# At 20 °C and 1013 hPa; ICRU 37, by weight.
AIR = Material("air", {"N": 0.75527, "O": 0.23178, "Ar": 0.01283, "C": 0.00012}, 1.2041e-3)
ATMOSPHERES: Mapping[str, Material | None] = MappingProxyType(
    {"vacuum": None, "air": AIR, "helium": Material("helium", {"He": 1.0}, 1.664e-4)}
)


@dataclass(frozen=True)
class Layer:
    """A sheet of one material.

    Raises InvalidInput for a thickness that is not above 0, or an unknown structure.
    """

    material: Material  # what it is made of, with its density
    thickness_um: float  # µm, above 0; inf for a substrate that lets nothing through
    # How its atoms scatter together: "amorphous" (each for itself), "oxide" (as powders of oxides do on the
    # average), "polycrystal" (with the Bragg reflections of a powder, known for some elements),
    # "single-crystal" (what lies between them).
    structure: str = "amorphous"

    def __post_init__(self) -> None:
        if math.isnan(self.thickness_um) or self.thickness_um <= 0:
            raise InvalidInput(
                f"the thickness of {self.material.name!r} must be above 0 µm, not {self.thickness_um}"
            )
        check_name("structure", self.structure, STRUCTURES)

    @property
    def mass_per_area(self) -> float:
        """Density × thickness, g/cm²."""
        return self.material.density * self.thickness_um * 1e-4


def mass_attenuation(material: Material, energies_kev: ArrayLike) -> Floats:
    """Return the total mass attenuation coefficient in cm²/g at energies in keV, any shape."""
    return _mix(material, energies_kev, "total")


def mass_photo_absorption(material: Material, energies_kev: ArrayLike) -> Floats:
    """Return the photo-ionisation cross-section of all shells in cm²/g at energies in keV, any shape."""
    return _mix(material, energies_kev, "photo")


def mass_scattering(material: Material, energies_kev: ArrayLike) -> Floats:
    """Return the Rayleigh and Compton cross-section, over all angles, in cm²/g at energies in keV."""
    return _mix(material, energies_kev, "scatter")


def fluorescence_production(element: str, energies_kev: ArrayLike) -> Floats:
    """Return the fluorescence photons that each subshell emits, cm² per g of the element.

    Photo-ionisation of the subshell, the vacancies that Coster-Kronig, Auger and radiative transitions
    bring to it from inner subshells, and its fluorescence yield: the full cascade of
    :mod:`napari_xrf.physics.vacancies`. Times the radiative rate of a line it is that line's production.

    ``element``: symbol. ``energies_kev``: (E,) keV. Returns (9, E) for the subshells of :data:`SUBSHELLS`.
    """
    return _table(element).production(np.asarray(energies_kev, dtype=np.float64))


def transmission(layers: Sequence[Layer], energies_kev: ArrayLike) -> Floats:
    """Return the part of the photons that passes all layers at right angles, at energies in keV."""
    energies = np.asarray(energies_kev, dtype=np.float64)
    depth = np.zeros(energies.shape)
    for layer in layers:
        depth += mass_attenuation(layer.material, energies) * layer.mass_per_area
    return np.asarray(np.exp(-depth))


def absorption_edges(elements: Sequence[str], low: float, high: float) -> Floats:
    """Return the absorption edges of the elements between two energies in keV, rising, each once."""
    edges = {edge for element in elements for edge in _edges(element) if low < edge < high}
    return np.array(sorted(edges))


class _Table:
    """One element's cross-sections on a grid, as logarithms."""

    def __init__(self, element: str) -> None:
        self._element, self._number = element, np.array([atomic_number(element)])
        self._k_edge, self._is_asked = edge_energy(element, "K"), False
        self.energies = energies = _grid(_edges(element))
        self._at = _beside_jumps(self._number, energies, _edges(element))
        self._photo = xraylib_np.CS_Photo(self._number, self._at)[0]
        if element in _SPLINE_SWINGS:
            above = energies / self._k_edge
            swings = (above > _SPLINE_SWINGS[element]) & (above < 2.5)
            self._photo = np.where(swings, self._kissel(np.arange(energies.size)), self._photo)
        rayleigh = xraylib_np.CS_Rayl(self._number, energies)[0]
        scatter = rayleigh + xraylib_np.CS_Compt(self._number, energies)[0]
        self.rows = {
            "photo": np.log(np.maximum(self._photo, _TINY)),
            "scatter": np.log(np.maximum(scatter, _TINY)),
            "total": np.log(np.maximum(self._photo + scatter, _TINY)),
        }
        self._log_energies = np.log(energies)

    def read(self, quantity: str, energies: Floats) -> Floats:
        return np.exp(np.interp(np.log(energies), self._log_energies, self.rows[quantity]))

    def production(self, energies: Floats) -> Floats:
        found = np.zeros((len(SUBSHELLS), *energies.shape))
        logs = np.log(energies)
        for index, edge, at, values in self._subshells_for(energies):
            found[index] = np.where(energies > edge, np.exp(np.interp(logs, at, values)), 0.0)
        return found

    def _subshells_for(self, energies: Floats) -> list[tuple[int, float, Floats, Floats]]:
        """Return the subshells as tabulated beside a few energies that are asked first, then those of all."""
        first, self._is_asked = not self._is_asked, True
        if not first or energies.size > _FEW or energies.max(initial=0.0) >= 3 * self._k_edge:
            return self._subshells
        after = np.searchsorted(self.energies, energies.ravel())
        return self._subshells_at(np.unique(np.clip([after - 1, after], 0, self.energies.size - 1)))

    @cached_property
    def _subshells(self) -> list[tuple[int, float, Floats, Floats]]:
        return self._subshells_at(np.arange(self.energies.size))

    @one_thread_of("openmp")
    def _subshells_at(self, places: NDArray[np.intp]) -> list[tuple[int, float, Floats, Floats]]:
        """Return index, edge, and logarithms of energies above it and of the production there, of each."""
        production = photons_per_vacancy(self._element) @ self._ionised_share(places) * self._photo[places]
        found = []
        for index, subshell in enumerate(SUBSHELLS):
            edge = edge_energy(self._element, subshell)
            beyond = self.energies[places] > edge
            if edge > 0 and production[index, beyond].any():
                logs = np.log(np.maximum(production[index, beyond], _TINY))
                found.append((index, edge, self._log_energies[places[beyond]], logs))
        return found

    def _kissel(self, places: NDArray[np.intp]) -> Floats:
        return np.maximum(xraylib_np.CS_Photo_Total(self._number, self._at[places])[0], _TINY)

    def _ionised_share(self, places: NDArray[np.intp]) -> Floats:
        """(9, P) part of the photo-ionisations that each subshell has, at rising places of the grid."""
        kissel, energies = self._kissel(places), self.energies[places]
        shells = np.array([getattr(xraylib, f"{subshell}_SHELL") for subshell in SUBSHELLS])
        share = xraylib_np.CS_Photo_Partial(self._number, shells, energies)[0] / kissel
        # Kissel's tables of light elements fall to nothing at high energies: hold the last sound share.
        agreeing = np.abs(kissel / np.exp(self.rows["photo"][places]) - 1) < 0.1
        sound = np.flatnonzero((energies < 3 * self._k_edge) | agreeing)
        last = np.searchsorted(sound, np.arange(energies.size), side="right") - 1
        return np.asarray(share[:, sound[np.maximum(last, 0)]])


def _mix(material: Material, energies_kev: ArrayLike, quantity: str) -> Floats:
    energies = np.clip(np.asarray(energies_kev, dtype=np.float64), LOWEST_KEV, HIGHEST_KEV)
    total = np.zeros(energies.shape)
    for element, fraction in material.mass_fractions.items():
        total += fraction * _table(element).read(quantity, energies)
    return total


@cache
@one_thread_of("openmp")  # as xraylib_np is
def _table(element: str) -> _Table:
    return _Table(element)


@cache
def _edges(element: str) -> tuple[float, ...]:
    found = {edge_energy(element, subshell) for subshell in SUBSHELLS}
    return tuple(sorted(edge for edge in found if edge > 0))


def _grid(edges: Sequence[float]) -> Floats:
    # Just below and just above each edge, so that no interpolation crosses one.
    inside = np.array([edge for edge in edges if LOWEST_KEV * 1.001 < edge < HIGHEST_KEV])
    return np.unique(np.concatenate([_even_grid(), inside * (1 - 1e-7), inside * (1 + 1e-7)]))


@cache
def _even_grid() -> Floats:
    count = math.ceil(math.log(HIGHEST_KEV / LOWEST_KEV) / math.log(_STEP))
    return np.geomspace(LOWEST_KEV, HIGHEST_KEV, count)


def _beside_jumps(number: NDArray[np.int_], energies: Floats, edges: Sequence[float]) -> Floats:
    """Move energies off the gap between an edge's energy and the place where xraylib's table jumps.

    The two differ by some eV; read at the moved energies, the cross-section jumps at the edge.
    """
    at = np.array(edges)
    scans = at[:, None] * np.linspace(0.975, 1.025, 51)
    coarse = _jumps(number, scans, at)
    moved = energies.copy()
    found = np.flatnonzero(coarse[:, 0] > 0)  # not where nothing jumps
    fine = _jumps(number, np.linspace(coarse[found, 0], coarse[found, 1], 6, axis=1), at[found])
    for edge, (below, above) in zip(at[found], fine, strict=True):
        moved[(energies > edge) & (energies < above)] = above
        moved[(energies < edge) & (energies > below)] = below
    return moved


def _jumps(number: NDArray[np.int_], scans: Floats, edges: Floats) -> Floats:
    """Return the two energies of each rising scan (J, S) between which the table jumps nearest to its edge.

    (J, 2); not a number where it does not jump.
    """
    values = xraylib_np.CS_Photo(number, scans.ravel())[0].reshape(scans.shape)
    jumping = values[:, 1:] > 1.02 * values[:, :-1]
    distances = np.where(jumping, np.abs(scans[:, :-1] - edges[:, None]), np.inf)
    nearest = distances.argmin(axis=1)
    rows = np.arange(edges.size)
    found = np.stack([scans[rows, nearest], scans[rows, nearest + 1]], axis=1)
    found[~jumping.any(axis=1)] = np.nan
    return np.asarray(found)
