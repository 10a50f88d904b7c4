"""What a spectrum shows beside elements: continuum, scatter, pile-up, stray peaks, and deviations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.emission_lines import atomic_number, split_family
from napari_xrf.maps.spectra.background import estimate_background
from napari_xrf.maps.spectra.continuum import continuum_columns, pile_up_columns, pile_up_pairs
from napari_xrf.maps.spectra.families import subshell_columns
from napari_xrf.maps.spectra.scatter import scatter_columns
from napari_xrf.maps.spectra.setting import Setting

Array = NDArray[np.float64]

# What no model gets right, a quarter of a resolution at a time, as a part of the fitted counts: of
# everything, and of lines.
CHANNEL_ERROR = 0.003
LINE_ERROR = 0.015
# How far tabulated or calibrated values are trusted, one standard deviation.
_SHIFT_KEV = 0.005
_SOFT_KEV = 0.6  # where detectors that lose charge near their entrance put soft lines is known half as well
_WIDTH_PART = 0.05  # of the variance of a peak
_RATIO_PART = 0.08  # of the weaker lines against the main one
_SATELLITE_PART = 0.01  # of the counts of a family, in its low-energy tail
# Bumps beside each line: where, in standard deviations of the resolution, and which part of the family's
# counts. Incomplete charge collection blurs the lower side more.
_SHOULDERS = ((-4.0, 0.006), (-3.0, 0.008), (-2.0, 0.008), (2.0, 0.003), (3.0, 0.002), (4.0, 0.001))
_SHELF_PART = 0.004  # of the counts of a family, flat below its main line
_L_PART, _M_PART = 0.12, 0.25  # of the lines of a subshell
# Without 4f electrons (up to barium) Mζ is the main line, and what other M subshells add to it guesswork.
_OPEN_4F, _OPEN_M_PART = 57, 1.0
_LOOSE_PART = {"L": 0.25, "M": 0.5}  # of Lγ and Mζ: tables of rates differ by up to 70 % (Sn Lγ)
_SUM_PART, _SUM_SHIFT_KEV = 0.5, 0.05  # of each sum peak
# Scattered peaks are known less well than lines: what angles and light atoms really were, scatter twice.
_LOOSE = {"elastic": 2.0, "Compton": 5.0, "reflected": 3.0}
_TWICE_PART, _TWICE_KEV = 0.15, 0.9  # of Compton photons, scattered a second time: how far below they lie
_ESCAPE_PART = 1.0  # of the escape peaks: some instruments take them out of the spectrum
_STRAY_WIDTHS = (1.3, 2.0, 3.0, 4.5)  # of the resolution: the convergent beam broadens reflections
STRAY_RANGE_KEV = (1.2, 18.0)
_FARTHEST = 9.0  # standard deviations, of a stray peak


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What any spectrum of a setting shows beside elements."""

    names: tuple[str, ...]  # K names, "continuum 0", "Rh K Compton", "pile-up"
    columns: Array  # (K, E) each with a sum of 1, on the whole axis
    pairs: dict[str, Array]  # (P, E) what pairs of strong peaks add to "pile-up" and "pile-up soft"


@dataclass(frozen=True)
class Stray:
    """A peak of no element: its place in keV and its width in units of the resolution."""

    kev: float
    widths: float
    expected: bool = False  # whether the lattice of a metal reflects there

    @property
    def name(self) -> str:
        """What its column is called."""
        return f"stray {self.kev:.2f} keV" + " reflected" * self.expected


def surroundings(
    spectrum: Array, setting: Setting, spacing: float, background: Array | None = None
) -> Surroundings:
    """Return continuum, scatter and pile-up columns of a summed spectrum, (E,).

    ``spectrum``: (E,) counts. ``setting``: what it was measured with. ``spacing``: distance in keV of the
    continuum's free points at 5 keV. ``background``: (E,) shape of the continuum between the free points;
    without it, the SNIP background.
    """
    if background is None:
        background = estimate_background(spectrum, setting.energy, fwhm=setting.detector.fwhm)
    smooth = continuum_columns(background, setting.energy, setting.low, setting.high, spacing)
    named = {f"continuum {number}": column for number, column in enumerate(smooth)}
    named |= scatter_columns(
        setting.kind,
        setting.highest_kev,
        setting.anode,
        setting.scatter_deg,
        setting.detector,
        setting.energy,
        setting.spread_deg,
    )
    net = np.maximum(spectrum - background, 0)
    piled = pile_up_columns(net, setting.energy, setting.low)
    pairs = pile_up_pairs(net, setting.energy, setting.low)
    named |= {name: column for name, column in piled.items() if column[setting.fitted].any()}
    columns = np.array(list(named.values())).reshape(len(named), setting.energy.size)
    return Surroundings(tuple(named), columns, pairs)


def stray_places(setting: Setting) -> tuple[Stray, ...]:
    """Return where peaks of no element may stand: anywhere, 1.3 to 4.5 times as wide as a line.

    Crystals reflect the tube's continuum into the detector (Bragg); they compete with the elements
    for a peak of odd place or width. Electrons make none.
    """
    if setting.kind == "electron":
        return ()
    low, high = max(STRAY_RANGE_KEV[0], setting.low), min(STRAY_RANGE_KEV[1], setting.high)
    found = []
    for factor in _STRAY_WIDTHS:
        at = low
        while at < high:
            found.append(Stray(at, factor))
            at += 0.4 * factor * float(setting.detector.fwhm(np.array(at)))
    return tuple(found)


def stray_columns(strays: tuple[Stray, ...], setting: Setting) -> Array:
    """Return stray peaks, (M, E) each with a sum of 1."""
    if not strays:
        return np.zeros((0, setting.energy.size))
    at = np.array([one.kev for one in strays])
    sigmas = setting.detector.sigma(at) * np.array([one.widths for one in strays])
    columns = np.zeros((at.size, setting.energy.size))
    first, stop = np.searchsorted(setting.energy.energies, [at - _FARTHEST * sigmas, at + _FARTHEST * sigmas])
    for column, kev, sigma, start, end in zip(columns, at, sigmas, first, stop, strict=True):
        distance = (setting.energy.energies[start:end] - kev) / sigma
        column[start:end] = np.exp(-0.5 * distance**2) * (setting.energy.width / (sigma * np.sqrt(2 * np.pi)))
    return columns


def deviations_of(name: str, column: Array, setting: Setting) -> Array:
    """Return how a column may be wrong, (D, E), each as large as one standard deviation of one count.

    Its place, its width, the ratios of its subshells or of the lines beside the main peak, its low-energy
    tail and shelf, its escape peak, and bumps beside its lines. None leaves the column's sum in doubt where
    the column can hold it.

    ``name``, ``column``: a family or a scattered peak, and its (E,) expected spectrum.
    """
    loose = next((value for kind, value in _LOOSE.items() if name.endswith(kind)), 1.0)
    energies, width = setting.energy.energies, setting.energy.width
    top = float(energies[int(column.argmax())])
    sigma = float(setting.detector.fwhm(np.array(top))) / FWHM_PER_SIGMA
    slope = np.gradient(column) / width
    shift = loose * _SHIFT_KEV * softness(np.array(top))
    found = [shift * slope, 0.5 * loose * _WIDTH_PART * sigma**2 * np.gradient(slope) / width]
    found.extend(_ratio_deviations(name, column, setting, top, sigma, loose))
    # A tail that starts at the main peak and falls over three resolutions.
    below = np.minimum(energies - top, 0)
    decay = np.where(energies < top - sigma, np.exp(below / (6 * sigma)), 0.0)
    found.append(loose * _SATELLITE_PART * decay / max(decay.sum(), 1e-300))
    if name.endswith("Compton"):
        twice = np.where(energies < top - sigma, np.exp(below / _TWICE_KEV), 0.0)
        found.append(_TWICE_PART * twice / max(twice.sum(), 1e-300))
    shelf = np.where((energies > 0) & (energies < top), 1.0, 0.0)
    found.append(_SHELF_PART * shelf / max(shelf.sum(), 1.0))
    for lost, fraction in setting.detector.escape(np.array([top])).items():
        escaped = np.interp(energies + lost, energies, np.where(np.abs(energies - top) < lost, column, 0))
        found.append(_ESCAPE_PART * float(fraction[0]) * escaped)
    found.extend(part * np.interp(energies - shift * sigma, energies, column) for shift, part in _SHOULDERS)
    return np.array(found)


def sum_deviations(column: Array, pairs: Array, setting: Setting) -> Array:
    """Return how a ``"pile-up"`` column may be wrong, (D, E): each pair's share, place and width.

    Pulses of low energy are told apart less well, and two that do not quite coincide count for less.
    """
    slope = np.gradient(column) / setting.energy.width
    width = 0.5 * 0.05**2 * np.gradient(slope) / setting.energy.width
    return np.array([*(_SUM_PART * pairs), _SUM_SHIFT_KEV * slope, width])


def softness(energies: Array) -> Array:
    """Return how many times larger errors are at energies in keV than those of hard photons."""
    return 1 + (_SOFT_KEV / np.maximum(energies, 0.1)) ** 2


def _ratio_deviations(
    name: str, column: Array, setting: Setting, top: float, sigma: float, loose: float
) -> list[Array]:
    energies = setting.energy.energies
    family = name.removesuffix(" elastic")
    element, shell = split_family(family) if family[-1] in "KLM" else ("", "K")
    open_m = shell == "M" and atomic_number(element) < _OPEN_4F
    part_of = {"L": _L_PART, "M": _OPEN_M_PART if open_m else _M_PART}.get(shell)
    if part_of is None:
        rest = np.where(np.abs(energies - top) < 3.2 * sigma, 0, column)
        return [loose * _RATIO_PART * part for part in _split(rest, energies, sigma)]
    parts, rarer = subshell_columns(
        family, setting.detector, setting.energy, setting.highest_kev, setting.monochromatic, setting.source
    )
    # They sum to nothing: otherwise they would leave the family's amplitude open.
    wrong = [part_of * part for part in parts] if len(parts) > 1 else []
    wrong += [_LOOSE_PART[shell] * part for part in rarer if part.any()]
    return [loose * (part - part.sum() * column) for part in wrong]


def continuum_bumps(energies: Array, setting: Setting) -> Array:
    """Return bumps as wide as what may be wrong of a continuum, (D, G) at energies (G,), each up to 1 high.

    Hats of six times the resolution: wider than a line, so that they cannot
    take one for their own.
    """
    at = np.sqrt(np.clip(energies, 1e-3, None))
    # The resolution grows about as the square root of energy: even steps in it are even steps in FWHM.
    step = 6 * float(setting.detector.fwhm(np.array(5.0))) / (2 * np.sqrt(5.0))
    knots = np.arange(np.sqrt(setting.low), np.sqrt(setting.high) + step, step)
    return np.array([np.interp(at, knots, unit) for unit in np.eye(knots.size)])


def _split(rest: Array, energies: Array, sigma: float) -> list[Array]:
    """Split what a family holds beside its main peak into the runs of lines that stand apart."""
    counted = np.flatnonzero(rest > 1e-3 * max(float(rest.max()), 1e-300))
    if counted.size == 0 or rest.max() <= 0:
        return []
    gap = max(2, int(2 * sigma / (energies[1] - energies[0])))
    runs = np.split(counted, np.flatnonzero(np.diff(counted) > gap) + 1)
    parts = []
    for run in runs:
        part = np.zeros_like(rest)
        part[run[0] : run[-1] + 1] = rest[run[0] : run[-1] + 1]
        parts.append(part)
    return parts
