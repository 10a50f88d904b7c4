"""Making unsigned whole counts of the numbers that files hold."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGEST_NORMALISED = 1.0 + 1e-6  # fractions none of which is above it are normalised, not counted
RATE = re.compile(r"(/\s*|\bper )s(ec(onds?)?)?\b|\bcps\b|counts? ?s\^?-1", re.IGNORECASE)
MULTIPLIED = "The counts per second were multiplied by the live time, {:g} s."
RATES = (
    "The values are counts per second, and the file tells no live time of all: taken as counts, so that what "
    "is said of noise and errors does not hold; multiply them by the time."
)
# In a channel of a pixel: no detector counts more, and sums over maps stay within 64 bits.
_MOST_COUNTS = 2**48
_WHOLE = 0.02  # of a count: multiples of a step, or rates of few digits, miss whole numbers by less
_GOLDEN = (5**0.5 - 1) / 2
# Logarithms of counts: what they are looked for in, and how many different ones of few counts must be whole.
_LOOKED_AT, _LARGEST_LOGARITHM, _FEW_COUNTS, _LEAST_TESTED = 100_000, 25.0, 400.0, 12


@dataclass
class CountFaults:
    """What was wrong with the values seen so far."""

    negative: int = 0  # how many values were so
    not_finite: int = 0
    not_whole: int = 0
    too_large: int = 0
    logarithms: str = ""  # "10" or "e" where the values are logarithms of counts
    expected: bool = False  # whether the file says that they are expected counts

    def warnings(self, sampled: bool = False) -> tuple[str, ...]:
        """Return one sentence for each kind of fault; ``sampled`` when only a part was looked at."""
        where = " in the part looked at" if sampled else ""
        texts = []
        if self.negative:
            texts.append(f"{_values(self.negative, 'negative value', where)} set to 0.")
        if self.not_finite:
            texts.append(f"{_values(self.not_finite, 'value', where)} not finite and set to 0.")
        if self.too_large:
            texts.append(f"{_values(self.too_large, 'value', where)} too large for counts and cut.")
        if self.logarithms:
            texts.append(
                f"The values are logarithms of counts (base {self.logarithms}), not counts: nothing that is "
                "told of them is right; write the counts themselves into the file."
            )
        elif self.not_whole:
            what = (
                "The counts are expected ones, without noise"
                if self.expected
                else "The values are not whole counts (expected, corrected for dead time or normalised?)"
            )
            texts.append(
                f"{what}; they were made whole so that each sum over channels keeps its value to within "
                "one count."
            )
        return tuple(texts)


def whole_counts(
    values: NDArray[Any], first_pixel: int, dtype: DTypeLike, faults: CountFaults
) -> NDArray[Any]:
    """Return values (..., E) as unsigned counts of ``dtype``, never wrapped.

    Negative and non-finite values become 0. Fractions are carried along the energy axis from a start
    that differs from pixel to pixel (the golden-ratio sequence), that is systematic sampling: each
    sum over channels is kept to within one count, and the mean over pixels is not biased.

    ``values``: (..., E) integers or floats. ``first_pixel``: flat index of the first pixel, so that a map
    read in parts gives the same counts. ``dtype``: unsigned type of the result; larger values are held at its
    largest. ``faults``: what was found is added to it.
    """
    target = np.dtype(dtype)
    values = measured(values, faults)
    if values.dtype.kind in "ub":
        return (
            values.astype(target, copy=False)
            if target.itemsize >= values.dtype.itemsize
            else _held(values, target, faults)
        )
    if values.dtype.kind == "i":
        negative = values < 0
        found = int(np.count_nonzero(negative))
        faults.negative += found
        return _held(np.where(negative, 0, values) if found else values, target, faults)
    return _held(_whole(np.asarray(values), first_pixel, faults), target, faults)


def measured(values: NDArray[Any], faults: CountFaults, *, summed: bool = False) -> NDArray[Any]:
    """Return values in which −1 kept in an unsigned type, which marks what was not measured, is 0.

    ``summed``: values are added to others next, so that NaN and negative numbers hold no counts either. What
    is too large for counts, and would make sums of 64 bits run over, is cut.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "u" and size >= 4 and values.max(initial=0) == np.iinfo(values.dtype).max:
        marks = values == np.iinfo(values.dtype).max
    elif summed and kind == "i":
        marks = values < 0
    elif summed and kind == "f":
        marks = ~np.isfinite(values)
    else:
        marks = np.zeros((), dtype=bool)
    if found := int(np.count_nonzero(marks)):
        if kind == "f":
            faults.not_finite += found
        else:
            faults.negative += found
        values = np.where(marks, values.dtype.type(0), values)
    wide = (kind in "ui" and size == 8) or (kind == "f" and size >= 4 and summed)
    return _cut(values, _MOST_COUNTS, faults) if wide else values


def as_counts(
    values: NDArray[Any], *, expected: bool = False
) -> tuple[NDArray[np.unsignedinteger[Any]], tuple[str, ...]]:
    """Return values (Y, X, E) as whole counts in the narrowest type, and what was wrong with them."""
    faults = CountFaults(expected=expected)
    factor = scale_of(values)
    scaled, notes = (values, ()) if factor == 1 else (values * factor, (scale_note(factor),))
    scaled = measured(scaled, faults)
    finite = scaled[np.isfinite(scaled)] if scaled.dtype.kind == "f" else scaled
    largest = int(max(finite.max(initial=0), 0))
    counts = whole_counts(scaled, 0, narrowest(largest + 1), faults)
    return counts, (*notes, *faults.warnings())


def counted(
    values: NDArray[np.float64], live_time: float | None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the counts of counts per second, and what is told of them; rates where no live time is known."""
    if not live_time:
        return values, (RATES,)
    counts = values * live_time
    whole = np.where(np.abs(counts - np.rint(counts)) < _WHOLE, np.rint(counts), counts)
    return whole, (MULTIPLIED.format(live_time),)


def scale_of(sample: NDArray[Any]) -> float:
    """Return the factor by which normalised values, none above 1, become counts; 1 for counts.

    Where all are multiples of the smallest, that is one count; else a power of ten makes one or more of it,
    as far as the largest stays within 32 bits.
    """
    if sample.dtype.kind != "f":
        return 1.0
    filled = sample[np.isfinite(sample) & (sample > 0)].astype(np.float64)
    if not filled.size or filled.max() > _LARGEST_NORMALISED or np.all(filled == np.rint(filled)):
        return 1.0
    steps = filled / filled.min()
    if steps.max() < 1 / np.finfo(sample.dtype).eps * _WHOLE and np.all(
        np.abs(steps - np.rint(steps)) < _WHOLE
    ):
        return float(1 / filled.min())
    wanted = np.ceil(-np.log10(filled.min()))
    return float(10.0 ** min(wanted, np.floor(9 - np.log10(filled.max()))))


def scale_note(factor: float) -> str:
    """Return the sentence that tells of a scale."""
    return f"The values are normalised, none above 1: they were multiplied by {factor:g} to become counts."


def narrowest(largest: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest of uint16, uint32 and uint64 that holds a value."""
    for kind in (np.uint16, np.uint32):
        if largest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.uint64)


def _whole(values: NDArray[Any], first_pixel: int, faults: CountFaults) -> NDArray[Any]:
    floats = values if values.dtype.kind == "f" and values.dtype.itemsize >= 4 else values.astype(np.float64)
    bad = ~np.isfinite(floats)
    negative = floats < 0
    if bad.any() or negative.any():
        faults.not_finite += int(np.count_nonzero(bad))
        faults.negative += int(np.count_nonzero(negative & ~bad))
        floats = np.where(bad | negative, 0, floats)
    fractional = int(np.count_nonzero(floats != np.rint(floats)))
    if not fractional:
        return floats
    faults.not_whole += fractional
    faults.logarithms = faults.logarithms or _base_of_logarithms(floats)
    channels = floats.shape[-1]
    rows = floats.reshape(-1, channels)
    start = np.modf((np.arange(rows.shape[0], dtype=np.float64) + first_pixel + 0.5) * _GOLDEN)[0]
    # The tiny shift keeps sums of floats that miss a whole number by rounding on its right side.
    climbed = np.floor(np.cumsum(rows, axis=1, dtype=np.float64) + start[:, None] + 1e-9)
    return np.diff(climbed, axis=1, prepend=0.0).reshape(floats.shape)


def _base_of_logarithms(values: NDArray[Any]) -> str:
    """Return the base, "10" or "e", where values are logarithms of whole numbers; else nothing."""
    sample = np.unique(values.ravel()[:_LOOKED_AT])
    if sample[-1] > _LARGEST_LOGARITHM:
        return ""
    for base, raised in (("10", 10.0**sample), ("e", np.exp(sample))):
        few = raised[(raised > 1.5) & (raised < _FEW_COUNTS)]
        if few.size >= _LEAST_TESTED and np.all(np.abs(few - np.rint(few)) < _WHOLE):
            return base
    return ""


def _held(values: NDArray[Any], target: np.dtype[Any], faults: CountFaults) -> NDArray[Any]:
    return _cut(values, min(int(np.iinfo(target).max), _MOST_COUNTS), faults).astype(target)


def _cut(values: NDArray[Any], largest: int, faults: CountFaults) -> NDArray[Any]:
    if not (values.size and values.max() > largest):
        return values
    faults.too_large += int(np.count_nonzero(values > largest))
    values = values.astype(np.float64) if values.dtype.kind == "f" else values  # holds every largest one
    return np.minimum(values, values.dtype.type(largest))


def _values(number: int, what: str, where: str) -> str:
    return f"{number} {what}{where} was" if number == 1 else f"{number} {what}s{where} were"
