"""What the classification of a map starts from: calibration, energy range, minerals, counts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_xrf.core.emission_lines import atomic_number, edge_energy, family_lines, main_line
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, find_elements
from napari_xrf.maps.crystal_reflections import Reflections, calibrated_without
from napari_xrf.minerals.likelihood.templates import EnergyBins, bins_at_resolution
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.scatter import energy_after_compton
from napari_xrf.physics.source import ElectronBeam, MonochromaticSource, TubeSource
from napari_xrf.reference.minerals import Mineral, load_library, phases_by_name

# Below, coatings, contamination and windows decide: carbon Kα is at 0.28 keV, its tail and the zero
# peak reach to 0.4; fluorine Kα is at 0.68 keV.
LOWEST_KEV_ELECTRONS = 0.45
LOWEST_KEV_PHOTONS = 0.9
_LEAST_PART = 0.02  # an element of less weight in a mineral may escape notice
LANTHANIDES = range(57, 72)  # they occur together, and their L lines overlap: one found stands for all
LIGHTEST = 11  # lines of lighter elements are absorbed by windows, coatings and air
# Of sodium's photons windows and air leave few: a tube's map of albite mostly lacks its line.
_SURELY_SEEN_KEV = 1.2
_STRONG = 0.05  # of a family's photons: weaker lines of what surrounds the sample do no harm
_WINDOW = 0.9  # FWHM to either side of a line
_PRESENT = 0.5  # probability from which an element counts as found


@dataclass(frozen=True, eq=False)
class MineralSearch:
    """What is looked for in a map, and in which energies."""

    measured: CalibratedMap  # without its sure reflections
    bins: EnergyBins  # the energy bins to use
    minerals: tuple[Mineral, ...]  # what to look for
    counts_per_pixel: float  # median of the measured pixels, in the energies used
    notes: tuple[str, ...]  # one sentence each
    automatic: bool = False  # whether nobody chose the minerals
    reflections: Reflections | None = None  # of single grains; None where they were to stay


def search_minerals(
    measured: Measured,
    minerals: Sequence[Mineral] | None,
    library: Sequence[Mineral] | None = None,
    ignored: Sequence[str] = (),
    progress: Progress = ignore_progress,
    *,
    keep_reflections: bool = False,
) -> MineralSearch:
    """Choose the energies of a map to use and, if none are given, the minerals to look for.

    The lines of ``ignored`` elements are left out of the energies, and the elements out of those that decide
    which minerals are looked for; argon in particular, unless the map lies in vacuum. What single grains
    surely reflect is taken out of the map, unless it is to be kept. Raises InvalidInput when the map holds no
    counts in the energies that can be used.
    """
    known = calibrate_map(measured, progress=progress).checked()
    known, reflections = (known, None) if keep_reflections else calibrated_without(known, progress)
    instrument = known.instrument
    low, high = energy_range(instrument)
    elsewhere = {*ignored} if known.cube.excitation.atmosphere == "vacuum" else {*ignored, "Ar"}
    windows = line_windows(elsewhere, instrument)
    bins = bins_at_resolution(known.energy, known.detector, low, high).without(windows)
    counts = known.on_refined_axis.window_map(low, high, progress)
    if not counts.any():
        raise InvalidInput(f"the map {known.cube.name!r} holds no counts from {low:.2f} to {high:.2f} keV")
    notes = [
        known.message,
        f"energies from {low:.2f} to {high:.2f} keV are compared"
        + (f", without the lines of {', '.join(sorted(elsewhere))}" if elsewhere else ""),
    ]
    notes += () if reflections is None else reflections.notes
    automatic = minerals is None
    if minerals is None:
        minerals, note = _auto_minerals(known, _with_phases(library), elsewhere, progress)
        notes.append(note)
    return MineralSearch(
        known,
        bins,
        tuple(minerals),
        float(np.median(counts[counts > 0])),
        tuple(notes),
        automatic,
        reflections,
    )


def energy_range(instrument: Instrument) -> tuple[float, float]:
    """Return the energies in keV that tell minerals apart on an instrument.

    From above coatings and noise to the excitation's end; under a monochromatic beam to below its
    Compton peak, which depends on thickness and surroundings more than on the mineral.
    """
    source, axis = instrument.source, instrument.energy
    top = float(axis.energies[-1])
    lowest = LOWEST_KEV_PHOTONS
    if isinstance(source, ElectronBeam):
        lowest, top = LOWEST_KEV_ELECTRONS, min(top, source.energy_kev)
    elif isinstance(source, TubeSource):
        top = min(top, source.voltage_kv)
    elif isinstance(source, MonochromaticSource):
        compton = energy_after_compton(np.array(source.energy_kev), instrument.scatter_deg)
        top = min(top, float(compton - 2.5 * instrument.detector.fwhm(compton)))
    return max(lowest, float(axis.energies[0])), top


def visible_elements(mineral: Mineral, low: float, high: float, excitation_kev: float) -> frozenset[str]:
    """Return the elements of a mineral that a map must show if the mineral is a good part of it.

    These are its heavy elements that have a main K, L or M line between ``low`` and ``high`` keV that the
    excitation reaches.
    """
    heavy = heavy_elements(mineral)
    return frozenset(element for element in heavy if _shows(element, low, high, excitation_kev))


def heavy_elements(mineral: Mineral) -> frozenset[str]:
    """Return the elements from sodium on that make up at least 2 % by weight of each composition."""
    fractions = [material.mass_fractions for material in mineral.compositions()]
    return frozenset(
        element
        for element in mineral.elements
        if min(held[element] for held in fractions) >= _LEAST_PART and atomic_number(element) >= LIGHTEST
    )


def plausible_minerals(
    library: Iterable[Mineral], found: Collection[str], low: float, high: float, excitation_kev: float
) -> tuple[Mineral, ...]:
    """Return the minerals whose visible elements are all among the elements found.

    Of the lanthanides in a mineral it is enough to have found one.
    """
    return tuple(
        mineral
        for mineral in library
        if _explained(visible_elements(mineral, low, high, excitation_kev), frozenset(found))
    )


def line_windows(elements: Iterable[str], instrument: Instrument) -> list[tuple[float, float]]:
    """Return the windows in keV that hold the strong K and L lines of elements.

    Raises InvalidInput when there is no such element.
    """
    windows = []
    for element in sorted(elements):
        for shell in ("K", "L"):
            energies, shares = family_lines(element, shell, instrument.source.highest_kev)
            for energy in energies[shares > _STRONG]:
                half = _WINDOW * float(instrument.detector.fwhm(energy))
                windows.append((float(energy) - half, float(energy) + half))
    return windows


def _with_phases(library: Sequence[Mineral] | None) -> tuple[Mineral, ...]:
    """Return a library, the shipped one with what belongs to one kind of sample alone.

    Clinker without alite was wollastonite.
    """
    shipped = load_library()
    known = shipped if library is None else tuple(library)
    names = {mineral.name for mineral in known}
    whole = names.issuperset(mineral.name for mineral in shipped)
    return known + tuple(each for each in phases_by_name() if whole and each.name not in names)


def _auto_minerals(
    known: CalibratedMap, library: Sequence[Mineral], elsewhere: set[str], progress: Progress
) -> tuple[tuple[Mineral, ...], str]:
    found = [
        entry.element
        for entry in find_elements(known, progress=progress)
        if entry.probability >= _PRESENT and entry.element not in elsewhere
    ]
    listed = [element for element in known.cube.elements if element not in {*found, *elsewhere}]
    low, high = energy_range(known.instrument)
    if not isinstance(known.instrument.source, ElectronBeam):
        low = max(low, _SURELY_SEEN_KEV)
    highest = known.instrument.source.highest_kev
    chosen = plausible_minerals(library, {*found, *listed}, low, high, highest)
    also = f" and those that the file lists ({', '.join(listed)})" if listed else ""
    return chosen, (
        f"looked for are the {len(chosen)} minerals of the library whose visible elements are all among "
        f"those found ({', '.join(found) or 'none'}){also}"
    )


def _explained(visible: frozenset[str], found: frozenset[str]) -> bool:
    lanthanides = {element for element in visible if atomic_number(element) in LANTHANIDES}
    return visible - lanthanides <= found and (not lanthanides or bool(lanthanides & found))


def _shows(element: str, low: float, high: float, excitation_kev: float) -> bool:
    lines = (main_line(element, shell) for shell in ("K", "L", "M"))
    return any(
        line is not None
        and low <= line.energy <= high
        and edge_energy(element, line.subshell) < excitation_kev
        for line in lines
    )
