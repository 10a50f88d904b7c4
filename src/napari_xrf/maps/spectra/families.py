"""What a detector counts for one photon family of an element."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import (
    SHELLS,
    EmissionLine,
    atomic_number,
    edge_energy,
    emission_lines,
    family_lines,
    family_name,
    main_line,
    parse_elements,
    split_family,
)
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.detector.detector import Detector, respond
from napari_xrf.physics.forward import film_lines
from napari_xrf.physics.instrument import Instrument

_SUBSHELL_OF = {"K": "K", "L": "L1", "M": "M1"}
_OVERVOLTAGE = 1.6  # a tube or a beam of electrons ionises a shell most at about this multiple of its edge
# Up to nickel, Lα and Lβ lie at their own absorption edge, and Ll below it.
_OPEN_3D, _OPEN_LOOSENESS = 29, 8.0


@lru_cache(maxsize=16)
def family_columns(
    families: tuple[str, ...],
    detector: Detector,
    energy: EnergyAxis,
    excitation_kev: float,
    monochromatic: bool = False,
    instrument: Instrument | None = None,
) -> NDArray[np.float64]:
    """Return the expected spectra of K line families, all lines in the ratios of a thin film.

    Parameters
    ----------
    families
        ``("Fe K", …)``.
    detector, energy
        What counts the photons, and on which axis.
    excitation_kev
        Highest energy of the exciting photons or electrons.
    monochromatic
        Whether all have that energy. Otherwise the subshells of L and M share the vacancies as for
        photons of 1.6 times the innermost edge, where broad spectra excite most.
    instrument
        Its source decides how lines share the photons, where it is known and emits photons.

    Returns
    -------
    (K, E) shares of each family's counts, summing to 1 over the channels above 0 keV; all 0 when no line
    can be excited or reaches the axis. Read-only.
    """
    found = [_lines(family, excitation_kev, monochromatic, instrument) for family in families]
    return columns_of_lines(found, detector, energy)


def columns_of_lines(
    found: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], detector: Detector, energy: EnergyAxis
) -> NDArray[np.float64]:
    """Return the columns, (K, E), of :func:`family_columns` from the lines and photons of each family."""
    lines = np.concatenate([np.zeros(0), *(at for at, _ in found)])
    shares = np.zeros((len(found), lines.size))
    start = 0
    for row, (at, own) in zip(shares, found, strict=True):
        row[start : start + at.size] = own
        start += at.size
    columns = _counted(lines, shares, detector, energy)
    columns /= np.maximum(columns.sum(axis=1, keepdims=True), 1e-300)
    columns.flags.writeable = False
    return columns


def subshell_columns(
    family: str,
    detector: Detector,
    energy: EnergyAxis,
    excitation_kev: float,
    monochromatic: bool = False,
    instrument: Instrument | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the parts of a family's column that vacancies of each subshell make, (S, E).

    And of them, (S, E), what the transitions make whose rates are known least: of L those from N and O (Lγ),
    of M those from N2 and N3 (Mζ), which lie far below Mα and are absorbed more. Of metals up to nickel also
    Ll, which the metal absorbs less than Lα: of titanium it is the higher peak.
    """
    lines, shares = _lines(family, excitation_kev, monochromatic, instrument)
    element, shell = split_family(family)
    known = [line for line in emission_lines(element) if line.shell == shell]
    at = np.array([line.energy for line in known])
    nearest = [known[int(np.abs(at - line).argmin())] for line in lines]
    of = np.array([line.subshell for line in nearest])
    loose = np.array([_looseness(line, atomic_number(element)) for line in nearest])
    by_subshell = np.where(of == np.array(sorted(set(of)))[:, None], shares, 0.0)
    parts = _counted(lines, np.concatenate([by_subshell, by_subshell * loose]), detector, energy)
    every, loosest = np.split(parts / max(float(parts[: len(by_subshell)].sum()), 1e-300), 2)
    return every, loosest


def _looseness(line: EmissionLine, number: int) -> float:
    """Return how wrong a line's rate may be, in units of how wrong Lγ and Mζ may be."""
    end = line.transition[2:]
    if line.shell == "L" and end == "M1" and number < _OPEN_3D:
        return _OPEN_LOOSENESS
    return float(end[0] in "NO" if line.shell == "L" else line.shell == "M" and end in ("N2", "N3"))


def _lines(
    family: str, excitation_kev: float, monochromatic: bool, instrument: Instrument | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energies of a family's lines and their shares of its photons."""
    element, shell = split_family(family)
    if instrument is not None:
        lines, photons = film_lines(element, instrument).get(family, (np.zeros(0), np.zeros(0)))
        return lines, photons / max(float(photons.sum()), 1e-300)
    exciting = excitation_kev
    if not monochromatic:
        innermost = edge_energy(element, _SUBSHELL_OF[shell])
        exciting = min(excitation_kev, _OVERVOLTAGE * innermost) if innermost > 0 else excitation_kev
    return family_lines(element, shell, exciting)


def _counted(
    lines: NDArray[np.float64], shares: NDArray[np.float64], detector: Detector, energy: EnergyAxis
) -> NDArray[np.float64]:
    seen = (lines > energy.edges[0]) & (lines < energy.edges[-1]) & (lines > 0.05)
    column = np.zeros((*shares.shape[:-1], energy.size))
    if seen.any():
        counted = respond(detector, energy, lines[seen], shares[..., seen])
        column[..., energy.positive] = counted[..., energy.positive]
    return column


def normalised(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a column scaled to a sum of 1 (all 0 stays so), read-only."""
    total = column.sum()
    scaled = column / total if total > 0 else np.zeros_like(column)
    scaled.flags.writeable = False
    return scaled


def families_of(
    element: str, energy: EnergyAxis, low: float, high: float, excitation_kev: float
) -> tuple[str, ...]:
    """Return the families of an element whose main line lies in ``[low, high]`` keV and can be excited."""
    atomic_number(element)
    found = []
    for shell in SHELLS:
        line = main_line(element, shell)
        if (
            line is not None
            and max(low, energy.energies[0]) <= line.energy <= min(high, energy.energies[-1])
            and edge_energy(element, line.subshell) < excitation_kev
        ):
            found.append(family_name(element, shell))
    return tuple(found)


def wanted_families(
    wanted: tuple[str, ...], energy: EnergyAxis, low: float, high: float, excitation_kev: float
) -> tuple[str, ...]:
    """Return the families that a user's list of elements ("Fe") and families ("Pb L") stands for.

    Raises InvalidInput for an unknown element, or one with no line that this map can show.
    """
    families: dict[str, None] = {}
    for name in parse_elements(",".join(wanted)):
        if len(name.split()) > 1:
            element, shell = split_family(name)
            chosen = tuple(
                family
                for family in families_of(element, energy, low, high, excitation_kev)
                if family == family_name(element, shell)
            )
        else:
            chosen = families_of(name, energy, low, high, excitation_kev)
        if not chosen:
            raise InvalidInput(
                f"{name} has no line from {low:.2f} to {high:.2f} keV that {excitation_kev:.3g} keV excite",
                "Leave it out",
            )
        families.update(dict.fromkeys(chosen))
    return tuple(families)
