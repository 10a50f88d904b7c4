"""What makes measured spectra differ from expected ones, in physical units: each distortion stands here once.

A distortion is a class below: its fields are the ranges from which it is drawn (None: off), ``draw`` draws
the values for N spectra, and ``steps`` puts them as compiled code takes them. From the fields come the
options of the command line and the window. To add one, write its class, name it among the bases of
:class:`Distortions`, and call what it does in :func:`distort_one`, which holds the order of a measurement.
Each field draws from random numbers of its own, so switching one on or off changes no other.
"""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.parameters import Limits, Range, parameters
from napari_xrf.synthesis.coarse_bins import lose_and_pile_up
from napari_xrf.synthesis.distortion_values import (
    Columns,
    DetectorTables,
    Distortion,
    DistortionValues,
    Draws,
    FwhmOfEnergy,
    Given,
    Switch,
    detector_tables,
    switches,
)
from napari_xrf.synthesis.sampling import draw_seed
from napari_xrf.synthesis.spectrum_kernels import (
    FAST,
    add_continuum,
    add_gaussians,
    broaden,
    recalibrate,
    total,
)

_MOST_BRAGG_PEAKS = 3


@parameters
class Miscalibration(Distortion):
    """Energies are recorded at (1 + gain) E + offset.

    Attributes
    ----------
    offset_ev
        Shift of the recorded energy, eV; −2000 to 2000.
    gain
        Relative stretch of the recorded energy, −0.2 to 0.2: E is recorded at (1 + gain) E + offset.
    offset_drift_ev, gain_drift
        How far offset and gain wander across a map, lowest to highest; a batch gets random places.
    """

    offset_ev: Annotated[Range | None, Limits(-2000, 2000, "eV"), Switch("offset", -30.0, 30.0)] = None
    gain: Annotated[Range | None, Limits(-0.2, 0.2), Switch("gain", -0.002, 0.002)] = None
    offset_drift_ev: Annotated[Range | None, Limits(0, 2000, "eV"), Switch("drift", 0.0, 10.0)] = None
    gain_drift: Annotated[Range | None, Limits(0, 0.2), Switch("drift", 0.0, 0.001)] = None

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``offset`` and ``gain``."""
        still = draws.column("offset", "offset_ev", 1e-3) | draws.column("gain", "gain")
        drift = draws.drift("offset", "offset_drift_ev", 1e-3) | draws.drift("gain", "gain_drift")
        return {
            name: np.sum([each[name] for each in (still, drift) if name in each], axis=0)
            for name in still | drift
        }

    @staticmethod
    def steps(given: Given) -> Columns:
        """Channel 0 holds what truly lies from (E - offset) / (1 + gain) on, E its lower edge."""
        tables = given.tables
        step = 1.0 / (1.0 + given.column("gain"))
        edge = tables.offset - 0.5 * tables.width
        return {"start": ((edge - given.column("offset")) * step - edge) / tables.width, "step": step}


@parameters
class Resolution(Distortion):
    """Peaks are broader than the detector's own.

    Attributes
    ----------
    noise_ev
        FWHM of electronic noise beyond the detector's own, added in quadrature, the same at all energies.
    width_factor
        Width of peaks as a multiple of the detector's, at least 1.
    """

    noise_ev: Annotated[Range | None, Limits(0, 3000, "eV"), Switch("resolution", 0.0, 60.0)] = None
    width_factor: Annotated[Range | None, Limits(1, 10), Switch("resolution", 1.0, 1.1)] = None

    needs_width = ("width_factor",)

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``noise`` and ``width_factor``."""
        return draws.column("noise", "noise_ev", 1e-3) | draws.column("width_factor", "width_factor")

    @staticmethod
    def steps(given: Given) -> Columns:
        """Variance of added noise in channels², and multiple of the detector's own that is added to it."""
        noise, factor = given.column("noise"), given.column("width_factor", 1.0)
        return {"noise": (noise / (FWHM_PER_SIGMA * given.tables.width)) ** 2, "extra": factor**2 - 1}


@parameters
class Bragg(Distortion):
    """One to three narrow peaks, the same in all pixels of a grain.

    Attributes
    ----------
    bragg_strength
        Counts of each Bragg peak as a share of the spectrum's.
    bragg_share
        Part of the grains (of the spectra, in a batch) that reflect into the detector, 0 to 1.
    bragg_energy_kev, bragg_width_ev
        Where the peaks lie, and their FWHM before the detector's own.
    """

    bragg_strength: Annotated[Range | None, Limits(0, 10), Switch("bragg", 0.0005, 0.05)] = None
    bragg_share: Annotated[float, Limits(0, 1)] = 0.6
    bragg_energy_kev: Annotated[Range, Limits(0.1, 100, "keV")] = (2.0, 16.0)
    bragg_width_ev: Annotated[Range, Limits(0, 2000, "eV")] = (10.0, 150.0)

    needs_width = adds = ("bragg_strength",)

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``bragg_energy``, ``bragg_strength`` and ``bragg_width``, (N, 3)."""
        grains = draws.grains
        if draws.ranges.bragg_strength is None:
            return {}
        generator = draws.generator("bragg")
        number = draws.size if grains is None else int(grains.max(initial=0)) + 1
        shape = (number, _MOST_BRAGG_PEAKS)
        energy = draws.uniform(generator, "bragg_energy_kev", shape)
        strength = draws.uniform(generator, "bragg_strength", shape)
        width = draws.uniform(generator, "bragg_width_ev", shape) * 1e-3
        peaks = generator.integers(1, _MOST_BRAGG_PEAKS, endpoint=True, size=number)
        peaks[generator.random(number) >= draws.ranges.bragg_share] = 0
        strength[np.arange(_MOST_BRAGG_PEAKS) >= peaks[:, np.newaxis]] = 0.0
        drawn = {"bragg_energy": energy, "bragg_strength": strength, "bragg_width": width}
        return drawn if grains is None else {key: each[grains.reshape(-1)] for key, each in drawn.items()}

    @staticmethod
    def steps(given: Given) -> Columns:
        """(N, 3) keV, share of the counts, standard deviation in keV."""
        energy = given.column("bragg_energy", shape=(_MOST_BRAGG_PEAKS,))
        width = np.hypot(given.column("bragg_width", shape=(_MOST_BRAGG_PEAKS,)), given.width_at(energy))
        share = given.column("bragg_strength", shape=(_MOST_BRAGG_PEAKS,))
        return {"bragg_energy": energy, "bragg_share": share, "bragg_sigma": width / FWHM_PER_SIGMA}


@parameters
class Pulses(Distortion):
    """Pulses pile up and are lost, as often as their rate makes them.

    Attributes
    ----------
    pulse_pair_us
        Pulses closer than this pile up, µs.
    dead_time_us
        Dead time per pulse (non-paralysable), µs.
    dwell_ms
        Time a spectrum takes; with its counts it gives the rate that pile-up and dead time follow.
    """

    pulse_pair_us: Annotated[Range | None, Limits(0, 50, "µs"), Switch("pile-up", 0.05, 0.5)] = None
    dead_time_us: Annotated[Range | None, Limits(0, 500, "µs"), Switch("dead time", 0.3, 3.0)] = None
    dwell_ms: Annotated[Range, Limits(1e-3, 1e7, "ms")] = (10.0, 100.0)

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``pulse_pair``, ``dead_time`` and ``dwell``, seconds."""
        drawn = draws.column("pulse_pair", "pulse_pair_us", 1e-6)
        drawn |= draws.column("dead_time", "dead_time_us", 1e-6)
        return drawn | draws.column("dwell", "dwell_ms", 1e-3) if drawn else {}

    @staticmethod
    def steps(given: Given) -> Columns:
        """Both as a share of the time that a spectrum takes."""
        dwell = given.column("dwell", 1.0)
        return {name: given.column(name) / dwell for name in ("pulse_pair", "dead_time")}


@parameters
class Continuum(Distortion):
    """More continuum.

    Attributes
    ----------
    continuum_level
        Counts of an added continuum, as a share of the spectrum's.
    continuum_onset_kev, continuum_end_kev
        Its shape (E₁ / E − 1) / (1 + (E₀ / E)⁴): absorbed below the onset E₀, Kramers' law up to the end E₁.
    """

    continuum_level: Annotated[Range | None, Limits(0, 20), Switch("continuum", 0.0, 0.3)] = None
    continuum_onset_kev: Annotated[Range, Limits(0, 50, "keV")] = (1.0, 6.0)
    continuum_end_kev: Annotated[Range, Limits(1, 200, "keV")] = (30.0, 50.0)

    adds = ("continuum_level",)

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``continuum_level``, ``continuum_onset`` and ``continuum_end``."""
        drawn = draws.column("continuum_level", "continuum_level")
        shape = draws.column("continuum_onset", "continuum_onset_kev")
        return drawn | shape | draws.column("continuum_end", "continuum_end_kev") if drawn else {}

    @staticmethod
    def steps(given: Given) -> Columns:
        """Share of the counts, and shape in keV."""
        shape = {name: given.column(f"continuum_{name}", 1.0) for name in ("onset", "end")}
        return {"continuum": given.column("continuum_level"), **shape}


@parameters
class Artefacts(Distortion):
    """Incomplete charge collection, and the peak of noise.

    Attributes
    ----------
    shelf, tail
        Share of the counts that incomplete charge collection moves to a flat shelf from 0 keV up, and to
        an exponential tail below each peak.
    tail_width_ev
        Mean loss of energy in the tail.
    zero_peak
        Counts of the noise peak at 0 keV as a share of the spectrum's.
    """

    shelf: Annotated[Range | None, Limits(0, 0.4), Switch("artefacts", 0.0, 0.01)] = None
    tail: Annotated[Range | None, Limits(0, 0.4), Switch("artefacts", 0.0, 0.03)] = None
    tail_width_ev: Annotated[Range, Limits(1, 5000, "eV")] = (100.0, 500.0)
    zero_peak: Annotated[Range | None, Limits(0, 10), Switch("artefacts", 0.0, 0.02)] = None

    needs_width = adds = ("zero_peak",)

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return ``shelf``, ``tail``, ``tail_width`` and ``zero_peak``."""
        tail = draws.column("tail", "tail")
        if tail:
            tail |= draws.column("tail_width", "tail_width_ev", 1e-3)
        return draws.column("shelf", "shelf") | tail | draws.column("zero_peak", "zero_peak")

    @staticmethod
    def steps(given: Given) -> Columns:
        """Shares of the counts; mean loss and the zero peak's standard deviation in keV."""
        shares = {name: given.column(name) for name in ("shelf", "tail")}
        zero = given.column("zero_peak")[:, np.newaxis]
        sigma = given.width_at(np.zeros_like(zero)) / FWHM_PER_SIGMA
        return {
            **shares,
            "tail_width": given.column("tail_width", 1.0),
            "zero_share": zero,
            "zero_sigma": sigma,
        }


@parameters
class Distortions(Artefacts, Continuum, Pulses, Bragg, Resolution, Miscalibration):
    """The ranges (lower, upper) from which distortions are drawn; None leaves one out.

    Raises InvalidInput when a range is reversed or reaches beyond what makes sense.
    """

    def only(self, *names: str) -> Distortions:
        """Return these distortions with all but the named ones (of DISTORTION_NAMES) off."""
        return self.without(*(name for name in DISTORTION_NAMES if name not in _known(names)))

    def without(self, *names: str) -> Distortions:
        """Return these distortions with the named ones (of DISTORTION_NAMES) off."""
        off: dict[str, Any] = {
            field: None for field, switch in _SWITCHES.items() if switch.name in _known(names)
        }
        return replace(self, **off)

    @property
    def active(self) -> tuple[str, ...]:
        """The names of the distortions that are on."""
        on = [switch.name for field, switch in _SWITCHES.items() if getattr(self, field) is not None]
        return tuple(dict.fromkeys(on))


_KINDS: tuple[type[Distortion], ...] = Distortions.__bases__[::-1]
_SWITCHES = switches(Distortions)
DISTORTION_NAMES = tuple(dict.fromkeys(switch.name for switch in _SWITCHES.values()))


def typical_distortions() -> Distortions:
    """Return all distortions at the sizes that micro-XRF maps show.

    Offsets as in measured .bcf files (20 to 40 eV); pulse-pair and dead times of silicon drift detectors
    with digital pulse processors; Bragg peaks from those of powders (0.02 to 0.25 % of the counts) up to
    single crystals.
    """
    usual: dict[str, Any] = {field: (switch.low, switch.high) for field, switch in _SWITCHES.items()}
    return Distortions(**usual)


def draw_values(distortions: Distortions, size: int, generator: np.random.Generator) -> DistortionValues:
    """Draw independent distortions for a batch of ``size`` spectra."""
    return _draw(Draws(distortions, draw_seed(generator), size))


def draw_map_values(
    distortions: Distortions, grains: NDArray[np.integer], generator: np.random.Generator
) -> DistortionValues:
    """Draw the distortions of a map.

    One value for the whole map of what belongs to the instrument, smooth fields for drift, and Bragg
    peaks that are the same in all pixels of a grain.

    ``grains``: (Y, X) number of the grain in each pixel, from 0. Returns DistortionValues of Y·X spectra, row
    by row.
    """
    return _draw(Draws(distortions, draw_seed(generator), grains.size, grains))


def without_bragg(values: DistortionValues) -> DistortionValues:
    """Return the values a second detector sees: the same, but other grains reflect into it."""
    return values.without("bragg_strength", "bragg_energy", "bragg_width")


def largest_addition(values: DistortionValues) -> float:
    """Return how many counts may be added to a spectrum, as a share of its own."""
    added = [values.columns[name] for kind in _KINDS for name in kind.adds if name in values.columns]
    return sum(float(each.reshape(len(each), -1).sum(axis=1).max(initial=0.0)) for each in added)


def distortion_steps(
    tables: DetectorTables, values: DistortionValues, fwhm: FwhmOfEnergy | None, size: int
) -> Any:
    """Return the values of N spectra as :func:`distort_one` takes them, :data:`DistortionSteps`.

    Raises InvalidInput when the detector's width is needed and missing.
    """
    if fwhm is None and any(name in values.columns for kind in _KINDS for name in kind.needs_width):
        raise InvalidInput("these distortions need the width of the detector's peaks", "Give fwhm")
    steps = _steps(Given(values, tables, fwhm, size))
    widest = (steps["noise"] + steps["extra"] * tables.variance.max()).max(initial=0.0)
    made: Any = DistortionSteps
    return made(**steps, widest=float(widest))


@compiled(fastmath=FAST)
def distort_one(spectrum, tables, steps, row, work):  # type: ignore[no-untyped-def]  # compiled
    """Distort a spectrum (E,) in place with a row of the steps, in the order of a measurement."""
    counts = total(spectrum)
    if counts <= 0.0:
        return
    zero, width = tables.offset, tables.width
    bragg = counts * steps.bragg_share[row]
    add_gaussians(spectrum, zero, width, steps.bragg_energy[row], bragg, steps.bragg_sigma[row])
    add_gaussians(spectrum, zero, width, _AT_ZERO, counts * steps.zero_share[row], steps.zero_sigma[row])
    if steps.continuum[row] > 0.0:
        add_continuum(
            spectrum, zero, width, counts * steps.continuum[row], steps.onset[row], steps.end[row], work.run
        )
    shelf, tail, pair = steps.shelf[row], steps.tail[row], steps.pulse_pair[row]
    if shelf > 0.0 or tail > 0.0 or pair > 0.0:
        keep = math.exp(-width / steps.tail_width[row])
        lose_and_pile_up(spectrum, tables.bins, shelf, tail, keep, pair, work)
    alive = 1.0
    if steps.dead_time[row] > 0.0:
        alive = 1.0 / (1.0 + total(spectrum) * steps.dead_time[row])
    noise, extra, start, step = steps.noise[row], steps.extra[row], steps.start[row], steps.step[row]
    margin = (work.spread.shape[0] - spectrum.shape[0]) // 2
    moved = start != 0.0 or step != 1.0
    source = work.spread[margin : margin + spectrum.shape[0]]
    if noise > 0.0 or extra > 0.0:
        broaden(spectrum, tables.variance, noise, extra, margin, work.kernel, work.run, work.spread)
    elif moved:
        source[:] = spectrum
    else:
        if alive != 1.0:
            spectrum *= np.float32(alive)
        return
    if moved:
        recalibrate(source, start, step, alive, spectrum)
    else:
        spectrum[:] = source * np.float32(alive)


def _draw(draws: Draws) -> DistortionValues:
    return DistortionValues(**{name: each for kind in _KINDS for name, each in kind.draw(draws).items()})


def _steps(given: Given) -> Columns:
    return {name: each for kind in _KINDS for name, each in kind.steps(given).items()}


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        check_name("distortion", name, DISTORTION_NAMES)
    return names


_AT_ZERO = np.zeros(1)
_NONE = Given(DistortionValues(), detector_tables(EnergyAxis(0.0, 1.0, 16), None), None, 0)
# What is done to N spectra: the distortions' columns, and the variance of the widest kernel in channels².
DistortionSteps = namedtuple("DistortionSteps", [*_steps(_NONE), "widest"])  # type: ignore[misc]
