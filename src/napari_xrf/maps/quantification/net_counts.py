"""Counts of line families in the spectrum of a region, with errors and detection limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import one_thread_of
from napari_xrf.core.emission_lines import main_line, split_family
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, families_beside
from napari_xrf.maps.spectra.background import estimate_background
from napari_xrf.maps.spectra.candidates import Candidate, columns_of
from napari_xrf.maps.spectra.families import columns_of_lines, wanted_families
from napari_xrf.maps.spectra.setting import Setting, coarse
from napari_xrf.maps.spectra.spectrum_fit import Content, SpectrumFit
from napari_xrf.physics.forward import expect_spectrum, sample_lines
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material

_PASSES, _ROUNDS = 3, 4  # of the continuum's shape, and of each fit with its own variances and deviations
_SHAPE_ERROR, _MODEL_ERROR = 0.4, 0.1  # of the continuum between peaks, and of a composition's
# Of the counts beneath a family, neighbours' Kβ and tails and the continuum: what the fit believes to know
# better (minor elements of three glasses of one instrument, and of random compositions by other code).
_BENEATH_ERROR = 0.03
# Of a neighbour's counts, within so many standard deviations of its main line: satellites and flanks, as much
# as that up to 2 keV, by the square of energy less above (Krause & Ferreira, J. Phys. B 8 (1975) 2007).
# Silicon's leave 0.005 of its counts at phosphorus in a glass of 8e6 of them.
_FLANK_ERROR, _FLANK_REACH, _FLANK_KEV = 0.003, 8.0, 2.0
_DETECTION = 3.0  # standard deviations of the background
SEEN = 3.0  # standard errors from which a family has a say
_SCALED_FROM_KEV, _LEAST_SHAPE = 1.0, 0.01  # where a modelled continuum is scaled to the spectrum's


@dataclass(frozen=True)
class NetCounts:
    """Counts of one family in a spectrum."""

    # counts, error: net counts and one standard deviation, with what shapes of neighbours and continuum leave
    # open
    counts: float
    error: float
    # Counts that are 3 σ of all else under its main line, and of its error where it does not stand out
    limit: float
    counting_error: float = 0.0  # the part of the error that is of counting

    @property
    def relative_error(self) -> float:
        """The error over the counts; 1 at most, where nothing is seen."""
        return self.error / max(self.counts, self.error, 1e-9)


@dataclass(frozen=True, eq=False)
class Shapes:
    """What a composition makes of the shapes in its spectrum."""

    lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]  # of each family keV and photons
    continuum: NDArray[np.float64] | None = None  # (E,) where it is modelled
    hidden: Mapping[str, Hidden] = field(default_factory=dict)  # families that should not stand out


@dataclass(frozen=True)
class Hidden:
    """A family that another of its element makes too faint to be told from what lies over it."""

    beside: str  # the other family, which is seen
    part: float  # counts of it that are expected for one of the other's
    free: NetCounts  # what it takes where nothing holds it


def region_of(known: CalibratedMap, mask: NDArray[np.bool_], name: str) -> CalibratedMap:
    """Return a region's summed spectrum as a calibrated map of one pixel.

    Raises InvalidInput when it holds no counts.
    """
    spectrum = known.cube.region_spectrum(mask)
    live = known.cube.live_time
    seconds = None if live is None else np.full((1, 1), float(np.nansum(live[mask])))
    cube = replace(
        known.cube, counts=spectrum[None, None], name=name, pixel_size=None, live_time=seconds, images=()
    )
    return replace(known, cube=cube, sum_spectrum=spectrum.astype(np.float64)).checked()


def shown_beside(
    known: CalibratedMap, elements: Sequence[str], progress: Progress = ignore_progress
) -> tuple[str, ...]:
    """Return the elements that a map surely shows beside those that are named.

    Argon is looked for where it may be the air's.
    """
    shown = dict.fromkeys(split_family(family)[0] for family in families_beside(known, (), progress))
    return tuple(element for element in shown if element not in (*elements, "Ar"))


@one_thread_of("blas")
def net_counts(
    part: CalibratedMap,
    elements: Sequence[str],
    shapes: Shapes | None = None,
    progress: Progress = ignore_progress,
) -> dict[str, NetCounts]:
    """Return the net counts of the families of elements in a spectrum, by family.

    ``part``: a spectrum, as :func:`region_of` gives it. ``elements``: symbols. ``shapes``: of
    :func:`shapes_of`; otherwise lines share their photons as in a film, and the spectrum between its peaks
    tells the continuum.
    """
    known = shapes or Shapes({})
    shape = None if known.continuum is None else coarse(known.continuum, part.setting)[0]
    spectrum, setting = coarse(part.sum_spectrum, part.setting)
    shown = (setting.energy, setting.low, setting.high, setting.highest_kev)
    families = wanted_families(tuple(elements), *shown)
    profiles = np.array(columns_of(families, setting))
    matrix = [k for k, family in enumerate(families) if family in known.lines and profiles[k].any()]
    of_matrix = [known.lines[families[k]] for k in matrix]
    profiles[matrix] = columns_of_lines(of_matrix, setting.detector, setting.energy)
    hidden = {family: one for family, one in known.hidden.items() if {family, one.beside} <= {*families}}
    whole, alone = dict.fromkeys(families, 1.0), profiles.copy()
    for family, one in hidden.items():
        profiles[families.index(one.beside)] += one.part * profiles[families.index(family)]
        whole[one.beside] += one.part
    free = [k for k, family in enumerate(families) if family not in hidden]
    families, profiles, alone = tuple(families[k] for k in free), profiles[free], alone[free]
    pool = tuple(
        Candidate(name, (name,), own[None], 0.0) for name, own in zip(families, profiles, strict=True)
    )
    everything = Content(frozenset(range(len(families))))
    held, passes = (_SHAPE_ERROR, _PASSES) if shape is None else (_MODEL_ERROR, 1)
    for _ in range(passes):
        columns = SpectrumFit(spectrum, setting, pool, continuum=shape, held=held)
        found = columns.fit(everything, rounds=_ROUNDS)
        under = columns.continuum(found) / columns.sizes
        shape = np.interp(setting.energy.energies, columns.energies, under)
    fitted, alone = columns.columns[found.index], columns.grouped(alone)
    beside = found.fit.amplitudes @ fitted - found.fit.amplitudes[: len(families), None] * alone
    totals = found.problem.shared_counts(found.index, found.fit)
    counted = found.problem.counting_errors(found.index, found.fit)
    errors = found.fit.errors[: len(families)] * math.sqrt(found.usual_misfit)
    # What a family's column would take of all else under it, were nothing else fitted.
    beneath = (alone * beside).sum(axis=1) / np.maximum((alone * alone).sum(axis=1), 1e-300)
    errors = np.hypot(errors, _BENEATH_ERROR * beneath)
    errors = np.hypot(errors, _of_flanks(families, totals[: len(families)], setting))
    nets = {}
    for k, family in enumerate(families):
        limit, seen = _limit(columns, alone[k], beside[k]), _DETECTION * float(errors[k])
        if totals[k] < seen:  # its error is that of what it does not show, by overlaps and the model too
            limit = float(np.maximum(limit, seen))
        held = whole[family]
        nets[family] = NetCounts(float(totals[k]) / held, float(errors[k]), limit, float(counted[k]))
    return nets | {
        family: replace(one.free, counts=one.part * nets[one.beside].counts) for family, one in hidden.items()
    }


def _of_flanks(families: Sequence[str], counts: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Return what flanks of other elements' main lines may leave at each family, counts, (K,)."""
    lines = [main_line(*split_family(family)) for family in families]
    at = np.array([line.energy if line else 0.0 for line in lines])
    elements = np.array([split_family(family)[0] for family in families])
    reach = _FLANK_REACH * setting.detector.sigma(np.maximum(at, 0.05))
    near = (np.abs(at[:, None] - at) < reach) & (elements[:, None] != elements) & (at[:, None] > 0)
    parts = _FLANK_ERROR * np.minimum((_FLANK_KEV / np.maximum(at, 0.05)) ** 2, 1.0)
    return np.asarray(near @ (parts * np.maximum(counts, 0.0)))


def hidden_families(
    counts: Mapping[str, NetCounts], expected: Mapping[str, float], deciding: Mapping[str, str]
) -> dict[str, Hidden]:
    """Return the families that should not stand out by what another family of their element shows.

    Left free they take what belongs to others: Rb L, of eight counts by Rb K, a fifth of Si K in a soil.

    ``counts``: of a fit that left all free. ``expected``: counts that a composition makes, of any scale.
    ``deciding``: element → the family that tells how much of it there is.
    """
    found = {}
    for family, net in counts.items():
        beside = deciding.get(split_family(family)[0], family)
        if beside == family or beside not in counts or expected.get(beside, 0.0) <= 0:
            continue
        part = expected.get(family, 0.0) / expected[beside]
        if part * max(counts[beside].counts, 0.0) < SEEN * net.error:
            found[family] = Hidden(beside, part, net)
    return found


def shapes_of(fractions: Mapping[str, float], part: CalibratedMap, instrument: Instrument) -> Shapes:
    """Return what a composition, element → weight fraction, makes of the shapes in a spectrum.

    A sample takes more of its softer lines: thick basalt shows Kβ of titanium by a sixth stronger than a film
    does, as much as a trace of vanadium.
    """
    lines = sample_lines(_material_of(fractions), instrument)
    return Shapes(lines, continuum_of(fractions, part, instrument))


def _material_of(fractions: Mapping[str, float]) -> Material:
    whole = sum(fractions.values())
    return Material("composition", {e: value / whole for e, value in fractions.items() if value > 0})


def continuum_of(
    fractions: Mapping[str, float], part: CalibratedMap, instrument: Instrument
) -> NDArray[np.float64] | None:
    """Return the continuum that a composition should show, (E,), scaled to a spectrum; None for photons.

    Between peaks that follow closely, as those of glasses do from 1 to 2 keV, no channel shows it.
    """
    if not isinstance(instrument.source, ElectronBeam):
        return None
    shape = expect_spectrum(_material_of(fractions), replace(instrument, energy=part.energy)).continuum
    seen = estimate_background(part.sum_spectrum, part.energy, fwhm=part.detector.fwhm)
    inside = (part.energy.energies > _SCALED_FROM_KEV) & (shape > _LEAST_SHAPE * shape.max())
    return shape * float(np.median(seen[inside] / shape[inside])) if inside.any() else None


def _limit(columns: SpectrumFit, own: NDArray[np.float64], beside: NDArray[np.float64]) -> float:
    """Return the counts of a family, (G,), that are 3 σ of all else within ±1 FWHM of its main peak.

    All else is what is fitted ``beside`` it: the rest of the spectrum less the family could be nothing, or
    less.
    """
    top = columns.energies[int(own.argmax())]
    half = float(columns.setting.detector.fwhm(top))
    inside = np.abs(columns.energies - top) <= half
    part = float(own[inside].sum() / max(float(own.sum()), 1e-300))
    if part <= 0:
        return math.nan
    return _DETECTION * math.sqrt(max(float(beside[inside].sum()), 1.0)) / part
