"""Random counts from expected spectra, drawn exactly and the same whatever the threads or chunks.

Every random number is a hash of (seed, spectrum, channel): SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)
used as a counter. A pixel therefore has the same counts whether it is drawn alone, in a chunk or on
another number of cores, and two maps of one seed have the same counts wherever their expectations agree.
"""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.cores import core_count, do_in_threads
from napari_xrf.core.errors import InvalidInput

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # from one state to the next
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53
_INVERSION_BELOW = 12.0  # sequential search is quicker than rejection up to about here
_MOST_STEPS = 200
_RECIPROCALS = 1 / np.arange(_MOST_STEPS + 1, dtype=np.float64).clip(1)
_PARTS_PER_CORE = 4
_BLOCK = 256  # channels whose random numbers stay in a core's first cache


def draw_seed(generator: np.random.Generator) -> int:
    """Return a 64-bit seed for the functions of this module, taken from a generator."""
    return int(generator.integers(0, 2**64, dtype=np.uint64))


def log_uniform(
    generator: np.random.Generator, limits: ArrayLike, size: int | tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    """Return numbers between two limits, even in the logarithm."""
    low, high = np.log(limits)
    return np.asarray(np.exp(generator.uniform(low, high, size=size)))


def count_dtype(largest_expectation: float) -> type[np.unsignedinteger[Any]]:
    """Return the narrowest of uint16 and uint32 that Poisson counts of an expectation never exceed."""
    reach = largest_expectation + 12 * math.sqrt(largest_expectation) + 40
    if reach >= 2**32:
        raise InvalidInput(f"{largest_expectation:.3g} counts in one channel are too many", "Lower the dose")
    return np.uint16 if reach < 2**16 else np.uint32


def draw_poisson(
    expected: NDArray[np.floating],
    seed: int,
    indices: ArrayLike | None = None,
    dtype: type[np.unsignedinteger[Any]] | None = None,
) -> NDArray[np.unsignedinteger[Any]]:
    """Draw Poisson counts of expected spectra.

    Small expectations by inversion, large ones by Hörmann's transformed rejection PTRS (Insurance:
    Mathematics and Economics 12 (1993) 39); both exact.

    Raises InvalidInput when an expectation is negative or not finite.

    ``expected``: (N, E) expected counts, finite, from 0. ``seed``: of the whole map or set. ``indices``: (N,)
    numbers of the spectra within the map or set, the key of their random numbers; 0 … N-1 when left out.
    ``dtype``: of the counts; chosen from the largest expectation when left out.

    Returns
    -------
    (N, E) counts.
    """
    spectra = np.ascontiguousarray(expected)
    if spectra.dtype not in (np.float32, np.float64):
        spectra = spectra.astype(np.float64)
    low, high = (float(spectra.min()), float(spectra.max())) if spectra.size else (0.0, 0.0)
    if not (low >= 0 and math.isfinite(high)):
        raise InvalidInput("expected counts must be finite and not negative")
    keys = np.arange(len(spectra)) if indices is None else np.asarray(indices)
    counts = np.empty(spectra.shape, dtype=dtype or count_dtype(high))
    start = np.uint64(seed & (2**64 - 1))
    numbers = keys.astype(np.uint64)
    over_threads(len(spectra), lambda part: _fill_poisson(spectra[part], start, numbers[part], counts[part]))
    return counts


def over_threads(size: int, work: Any) -> None:
    """Call ``work(part)`` on slices of ``range(size)``, in as many threads as there are cores.

    For compiled functions that release the interpreter's lock.
    """
    workers = min(core_count(), max(size, 1))
    # More parts than threads: a core that others use too then keeps nobody waiting.
    bounds = np.linspace(0, size, min(_PARTS_PER_CORE * workers if workers > 1 else 1, max(size, 1)) + 1)
    parts = [slice(low, high) for low, high in itertools.pairwise(bounds.astype(int).tolist())]
    do_in_threads(work, parts)


@compiled()
def mix(value):  # type: ignore[no-untyped-def]  # compiled
    """Hash 64 bits to 64 bits (the finalizer of SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@compiled()
def unit(state):  # type: ignore[no-untyped-def]  # compiled
    """Return the uniform number in [0, 1) that belongs to a state."""
    return np.float64(mix(state) >> np.uint64(11)) * _TO_UNIT


@compiled()
def stream_key(seed, index):  # type: ignore[no-untyped-def]  # compiled
    """Return where the random numbers of one spectrum start."""
    return mix(seed + mix(index * GOLDEN + _MIX_2))


@compiled()
def poisson(mean, state):  # type: ignore[no-untyped-def]  # compiled
    """Return a Poisson number of an expectation, from the random numbers of a state."""
    uniform = unit(state)
    if uniform < 1.0 - mean:  # exp(-mean) is never below 1 - mean
        return np.int64(0)
    if mean < _INVERSION_BELOW:
        return _poisson_by_inversion(mean, uniform)
    return _poisson_by_rejection(mean, mix(state ^ _MIX_1))


@compiled()
def _poisson_by_inversion(mean, uniform):  # type: ignore[no-untyped-def]  # compiled
    chance = math.exp(-mean)
    count = np.int64(0)
    while uniform >= chance and count < _MOST_STEPS:
        uniform -= chance
        count += 1
        chance *= mean * _RECIPROCALS[count]
    return count


@compiled()
def _poisson_by_rejection(mean, state):  # type: ignore[no-untyped-def]  # compiled
    # Constants b, a, 1/alpha and v_r as in Hörmann's algorithm PTRS.
    spread = 0.931 + 2.53 * math.sqrt(mean)
    slope = -0.059 + 0.02483 * spread
    inverse = 1.1239 + 1.1328 / (spread - 3.4)
    quick = 0.9277 - 3.6224 / (spread - 2.0)
    log_mean = math.log(mean)
    while True:
        state += GOLDEN
        u = unit(state) - 0.5
        state += GOLDEN
        v = 1.0 - unit(state)
        distance = 0.5 - abs(u)
        count = math.floor((2.0 * slope / distance + spread) * u + mean + 0.43) if distance > 0 else -1.0
        if distance >= 0.07 and v <= quick:
            return np.int64(count)
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        bound = math.log(v * inverse / (slope / (distance * distance) + spread))
        if bound <= count * log_mean - mean - math.lgamma(count + 1.0):
            return np.int64(count)


@compiled()
def fill_counts(expected, state, counts):  # type: ignore[no-untyped-def]  # compiled
    """Draw the Poisson counts (E,) of one spectrum from the random numbers that follow a state."""
    channels = expected.shape[0]
    uniforms, means = np.empty(_BLOCK, np.float64), np.empty(_BLOCK, np.float64)
    chances, found = np.empty(_BLOCK, np.float64), np.empty(_BLOCK, np.int64)
    busy = np.empty(_BLOCK, np.int64)
    for start in range(0, channels, _BLOCK):
        size = min(_BLOCK, channels - start)
        first = state + np.uint64(start) * GOLDEN
        for index in range(size):
            uniforms[index] = unit(first + np.uint64(index + 1) * GOLDEN)
        # Most channels of most spectra hold nothing, which needs no more than a comparison.
        part, drawn = expected[start : start + size], counts[start : start + size]
        number = 0
        for index in range(size):
            drawn[index] = 0
            busy[number] = index
            number += uniforms[index] >= 1.0 - np.float64(part[index])
        small = 0
        for position in range(number):
            index = busy[position]
            mean = np.float64(part[index])
            if mean < _INVERSION_BELOW:
                busy[small], means[small], uniforms[small] = index, mean, uniforms[index]
                small += 1
            else:
                key = mix((first + np.uint64(index + 1) * GOLDEN) ^ _MIX_1)
                drawn[index] = _poisson_by_rejection(mean, key)
        if small > 0:
            _invert(means[:small], uniforms[:small], chances[:small], found[:small])
            for position in range(small):
                drawn[busy[position]] = found[position]


@compiled(fastmath={"contract"})
def _invert(means, uniforms, chances, found):  # type: ignore[no-untyped-def]  # compiled
    """Sequential search as in :func:`_poisson_by_inversion`, for many means side by side."""
    size = means.shape[0]
    for index in range(size):
        # exp(-mean) as the 32nd power of a Taylor series, right to some 1e-14.
        minus = means[index] * (-1.0 / 32.0)
        power = 1.0
        for order in range(13, 0, -1):
            power = 1.0 + power * minus * _RECIPROCALS[order]
        power *= power
        power *= power
        power *= power
        power *= power
        chances[index] = power * power
        found[index] = 0
    for step in range(1, _MOST_STEPS):
        going = 0
        factor = _RECIPROCALS[step]
        for index in range(size):
            beyond = uniforms[index] >= chances[index]
            # Whoever has arrived stays below every chance from then on.
            uniforms[index] = uniforms[index] - chances[index] if beyond else -1.0
            chances[index] *= means[index] * factor
            found[index] += 1 if beyond else 0
            going += 1 if beyond else 0
        if going == 0:
            break


@compiled()
def _fill_poisson(expected, seed, indices, counts):  # type: ignore[no-untyped-def]  # compiled
    for row in range(expected.shape[0]):
        fill_counts(expected[row], stream_key(seed, indices[row]), counts[row])
