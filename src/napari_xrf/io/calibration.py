"""Energy axes from what files hold: polynomials, lists of energies, points, and what of it is plausible."""

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import CurvedAxis, EnergyAxis
from napari_xrf.core.errors import InvalidInput

USUAL_WIDTH = 0.01  # keV per channel: the usual setting of synchrotron pulse processors (Xspress3, xMAP)
_WIDTHS = (2e-4, 0.5)  # keV per channel: finer or coarser ones are of no X-ray detector
_LOWEST = -5.0  # keV: the first channels of real spectra lie above it
_FARTHEST = 500.0  # keV: no X-ray spectrum begins or ends beyond it
_KEV_PER = {"ev": 1e-3, "electronvolt": 1e-3, "electronvolts": 1e-3, "kev": 1.0, "kiloelectronvolt": 1.0}
_NO_ENERGY = re.compile(r"angstr|å|met(er|re)|^[nuµm]?m$|deg|rad|sec|^m?s$|hz|pixel")
_OFFSET, _GAIN = (re.compile(rf"(^|[_ ])({words})$", re.IGNORECASE)
                  for words in ("offset|zero|intercept", "gain|slope|k?ev_?per_?ch(annel)?"))  # fmt: skip
_FEWEST_EV = 2000  # where an axis of 1 eV per channel ends at least; a shorter one numbers its channels
_NUMBERED = 1e-6  # channel numbers differ by 1 to within this
_STRAIGHT = 0.5  # channels that an axis may bend and is taken as straight
_DIGITS = 15  # a step computed from rounded energies is taken to this many digits

Calibration = tuple[EnergyAxis, tuple[str, ...]]
CHOOSE_MAP = "choose by map=N (--map N; in napari File > IO Utilities > Open another map of a file)"
GIVE_AXIS = "give the energy axis (energy=(offset, width), --energy OFFSET:WIDTH, keV)"
_ASSUMED = "No energy calibration in "
CURVED = "The file's energy axis is curved"
TURNED = "The file's energies fall from channel to channel: the channels were turned round."


def assumed_axis(size: int, what: str = "the file", reason: str = "") -> Calibration:
    """Return the usual axis of 0.01 keV per channel from 0, with the warning that it is assumed."""
    note = (
        f"{_ASSUMED}{what}{f' that makes sense ({reason})' if reason else ''}: {USUAL_WIDTH} "
        f"keV per channel from 0 keV is assumed; check it against known peaks, or {GIVE_AXIS}."
    )
    return EnergyAxis(0.0, USUAL_WIDTH, size), (note,)


def or_assumed(find: Callable[[], Calibration | None], size: int, what: str = "the file") -> Calibration:
    """Return what ``find`` finds, else the assumed axis with the reason."""
    try:
        return find() or assumed_axis(size, what)
    except InvalidInput as error:
        return assumed_axis(size, what, str(error))


def of_detectors(found: Sequence[Calibration], names: Sequence[str]) -> list[Calibration]:
    """Return the calibrations of detectors; those with none take that of the first that has one."""
    own = [at for at, (_, notes) in enumerate(found) if not any(note.startswith(_ASSUMED) for note in notes)]
    if not own or len(own) == len(found):
        return list(found)
    first, taken, settled = found[own[0]][0], names[own[0]], list(found)
    for at, (axis, _) in enumerate(found):
        if at not in own:
            note = f"Detector {names[at]} has no energy calibration that makes sense: {taken}'s is used."
            same = first if first.size == axis.size else EnergyAxis(first.offset, first.width, axis.size)
            settled[at] = same, (note,)
    return settled


def parse_axis(text: str) -> tuple[float, float]:
    """Return (offset, width) in keV of ``"OFFSET:WIDTH"``; raise InvalidInput where it is none."""
    try:
        offset, width = (float(part) for part in text.split(":"))
        if not width > 0 or not np.isfinite([offset, width]).all():
            raise ValueError
    except ValueError:
        raise InvalidInput(f"{text!r} is no energy axis", "Write OFFSET:WIDTH in keV, as 0:0.01") from None
    return offset, width


def row_of_numbers(energies: ArrayLike) -> NDArray[np.float64]:
    """Return what was given for an energy axis as a row of numbers; raise InvalidInput where it is none."""
    try:
        values = np.asarray(energies, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(())
    if values.ndim != 1:
        raise InvalidInput(
            f"{energies!r} is no energy axis", "Give (offset, width) in keV, or the energies of all channels"
        )
    return values


def axis_from_energies(
    energies: ArrayLike, units: str = "", size: int | None = None, *, may_fall: bool = False
) -> Calibration:
    """Return the linear axis through the energies of all channels.

    ``energies``: centres of the channels, or their edges, one more. ``units``: ``"eV"`` or ``"keV"``; without
    it, whichever makes sense. ``size``: number of channels; as many as energies when not given. ``may_fall``:
    whether the caller turns the channels round where the energies fall, and ``TURNED`` is in the notes.
    Raises InvalidInput when they are no energies: they do not rise, are not finite, or number the channels.
    """
    values = row_of_numbers(energies)
    if values.size < 2 or not np.all(np.isfinite(values)):
        raise InvalidInput(f"{values.shape} energies are no energy axis")
    if size is not None and values.size == size + 1 > 2:
        values = (values[:-1] + values[1:]) / 2
    turned = may_fall and np.all(np.diff(values) < 0)
    values = values[::-1] if turned else values
    steps = np.diff(values)
    if not np.all(steps > 0):
        raise InvalidInput("its energies do not rise")
    in_ev = _KEV_PER.get(units.strip().lower()) == 1e-3
    numbered = 0 <= values[0] <= 1 and np.all(np.abs(steps - 1) < _NUMBERED)
    if numbered and not (in_ev and values[-1] > _FEWEST_EV):
        raise InvalidInput("its energies are channel numbers")
    factor, notes = _kev_per_unit(float(values[0]), float(steps.mean()), values.size, units)
    values = values * factor
    width = float((values[-1] - values[0]) / (values.size - 1))
    rounded = float(f"{width:.{_DIGITS - 3}g}")
    # A step such as 0.01 comes back from a list of energies with rounding errors in its last digits.
    if abs(rounded - width) * values.size < 1e-9 * abs(values[-1] - values[0]) / values.size:
        width = rounded
    axis, bent = _bent(EnergyAxis(float(values[0]), width, values.size), values, _between(values))
    return axis, (*([TURNED] if turned else []), *notes, *bent)


def axis_from_polynomial(
    coefficients: Sequence[float], size: int, units: str = "keV", first: float = 0.0, step: float = 1.0
) -> Calibration:
    """Return the linear axis of a calibration E = a + b·channel + c·channel².

    The stored channel ``i`` is number ``first + i·step`` of the analyser.

    Higher terms are replaced by the straight line that fits best over all channels; where that would move a
    channel by more than half its width the axis is a curved one, with a warning.

    Raises InvalidInput when no X-ray detector has such a calibration, in keV or in eV: not finite, not
    rising, or with the slope 1 of a spectrum that was never calibrated.
    """
    offset, slope, *higher = (float(value) for value in coefficients)
    said = f"{offset:g} + {slope:g}·channel"
    if not np.all(np.isfinite([offset, slope, *higher])):
        raise InvalidInput(f"{said} is not finite")
    in_ev = _KEV_PER.get(units.strip().lower()) == 1e-3
    numbered = abs(slope - 1) < _NUMBERED and not any(higher)
    if (first, step) != (0, 1):
        polynomial = np.polynomial.Polynomial([offset, slope, *higher])(
            np.polynomial.Polynomial([first, step])
        )
        offset, slope, *higher = (float(value) for value in polynomial.coef)
    if numbered and not (in_ev and size + offset > _FEWEST_EV):
        raise InvalidInput(f"{said} only numbers the channels")
    if not any(higher):
        factor, notes = _kev_per_unit(offset, slope, size, units)
        return EnergyAxis(offset * factor, slope * factor, size), notes
    channels = np.arange(size, dtype=np.float64)
    curve, bounds = (np.polynomial.polynomial.polyval(at, [offset, slope, *higher])
                     for at in (channels, np.arange(size + 1.0) - 0.5))  # fmt: skip
    slope, offset = np.polyfit(channels, curve, 1) if size > 1 else (slope, curve[0])
    factor, notes = _kev_per_unit(float(offset), float(slope), size, units)
    axis = EnergyAxis(float(offset * factor), float(slope * factor), size)
    axis, bent = _bent(axis, np.float64(factor) * curve, np.float64(factor) * bounds)
    return axis, (*notes, *bent)


def axis_from_points(channels: ArrayLike, energies: ArrayLike, size: int, units: str = "keV") -> Calibration:
    """Return the line that fits calibration points, channel → energy, best.

    Raises InvalidInput when there are fewer than two different channels, or the line makes no sense.
    """
    at = np.asarray(channels, dtype=np.float64)
    values = np.asarray(energies, dtype=np.float64)
    if at.shape != values.shape or np.unique(at).size < 2:
        raise InvalidInput("a calibration needs two points")
    if at.size == 2:  # exactly the line through both
        slope = (values[1] - values[0]) / (at[1] - at[0])
        return axis_from_polynomial([values[0] - slope * at[0], slope], size, units)
    slope, offset = np.polyfit(at, values, 1)
    return axis_from_polynomial([offset, slope], size, units)


def common_axis(axes: Sequence[EnergyAxis]) -> EnergyAxis:
    """Return the first axis, even, longer as far as the others reach, so that rebinning loses no count."""
    first = axes[0].even if isinstance(axes[0], CurvedAxis) else axes[0]
    if all(axis == axes[0] for axis in axes):
        return first
    low = min(float(axis.edges[0]) for axis in axes)
    high = max(float(axis.edges[-1]) for axis in axes)
    below = max(0, int(np.ceil((first.edges[0] - low) / first.width - 1e-6)))
    size = below + max(first.size, int(np.ceil((high - first.edges[0]) / first.width - 1e-6)))
    return EnergyAxis(first.offset - below * first.width, first.width, size)


def terms_among(names: Iterable[str]) -> tuple[str, str]:
    """Return the names of a stated offset and gain of energies among others, empty where there is none."""
    listed = list(names)
    offset, gain = (next(filter(word.search, listed), "") for word in (_OFFSET, _GAIN))
    return offset, gain


def energy_in_kev(value: float, units: str = "") -> float:
    """Return a beam energy in keV; without units, a value above 200 is in eV."""
    return value * _KEV_PER.get(units.strip().lower(), 1e-3 if value > 200 else 1.0)


def _kev_per_unit(offset: float, width: float, size: int, units: str) -> tuple[float, tuple[str, ...]]:
    """Return keV per unit of a calibration, with a warning when that is not the unit it says."""
    said = _KEV_PER.get(units.strip().lower())
    if said is None and _NO_ENERGY.search(units.lower()):
        raise InvalidInput(f"its unit is {units}")
    for factor in (said, 1.0, 1e-3):
        if factor is not None and _plausible(offset * factor, width * factor, size):
            if said in (None, factor):
                return factor, ()
            right, wrong = ("keV", "eV") if factor == 1 else ("eV", "keV")
            note = (
                f"The energy calibration, {offset:g} + {width:g}·channel, makes sense in {right}, "
                f"not in {wrong}: it is taken as {right}."
            )
            return factor, (note,)
    raise InvalidInput(f"{offset:g} + {width:g}·channel {units}".strip() + " is no energy axis of X-rays")


def _plausible(offset: float, width: float, size: int) -> bool:
    last = offset + width * size
    if offset < _LOWEST and offset + last < 0:  # most channels below 0: an offset in eV beside a width in keV
        return False
    return _WIDTHS[0] <= width <= _WIDTHS[1] and abs(offset) < _FARTHEST and last < _FARTHEST


def _bent(axis: EnergyAxis, centres: NDArray[np.float64], bounds: NDArray[np.float64]) -> Calibration:
    """Return the axis of these channels: the straight one where it is near enough, else a curved one."""
    off = float(np.abs(centres - axis.energies).max() / axis.width)
    if off <= _STRAIGHT:
        return axis, ()
    if not np.all(np.diff(bounds) > 0):
        raise InvalidInput("its energies do not rise")
    note = f"{CURVED}, by up to {off:.1f} channels: its counts were moved to an even axis, none of them lost."
    return CurvedAxis(axis.offset, axis.width, axis.size, tuple(bounds.tolist())), (note,)


def _between(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of channels, (E + 1,), halfway between their centres."""
    inner = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])
