"""Compiled moves and additions of counts within one spectrum, float32: what distortions are made of."""

import math

import numpy as np

from napari_xrf.core.compiled_code import compiled

# Sums keep their order ("reassoc" would not): it is another in code just compiled than in code from the disk,
# and one seed gave other counts the first time than ever after.
FAST = {"contract", "arcp", "nsz"}
TAPS = 8  # as many products as keep a core's vector units busy for each value stored
BLOCK = 16  # channels that share one width of the detector
REACH = 4.5  # of a Gaussian, in standard deviations; 7e-6 of it lies outside
_SAME_VARIANCE = 0.08  # a kernel is used along channels where the peaks' variance differs by less
_SMALLEST_VARIANCE = 0.0025  # in channels²; narrower broadening moves nothing


@compiled(fastmath=FAST)
def add_shifted(target, source, first, weights):  # type: ignore[no-untyped-def]  # compiled
    """Add to each ``target[k]`` the sum over the TAPS weights of ``weights[u] * source[first + u + k]``."""
    size = target.shape[0]
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    e, f, g, h = weights[4], weights[5], weights[6], weights[7]
    p, q = source[first : first + size], source[first + 1 : first + 1 + size]
    r, s = source[first + 2 : first + 2 + size], source[first + 3 : first + 3 + size]
    t, u = source[first + 4 : first + 4 + size], source[first + 5 : first + 5 + size]
    v, w = source[first + 6 : first + 6 + size], source[first + 7 : first + 7 + size]
    for k in range(size):
        target[k] += a * p[k] + b * q[k] + c * r[k] + d * s[k] + e * t[k] + f * u[k] + g * v[k] + h * w[k]


@compiled(fastmath=FAST)
def total(values):  # type: ignore[no-untyped-def]  # compiled
    """Return the sum of float32 values as such."""
    result = np.float32(0.0)
    for index in range(values.shape[0]):
        result += values[index]
    return result


@compiled()
def add_gaussians(spectrum, zero, width, energies, counts, sigmas):  # type: ignore[no-untyped-def]  # compiled
    """Add Gaussian peaks (P,) to a spectrum (E,) in place, integrated over the channels; energies in keV.

    What lies outside the axis, whose first channel lies at ``zero``, is lost.
    """
    channels = spectrum.shape[0]
    for peak in range(energies.shape[0]):
        if counts[peak] <= 0.0:
            continue
        sigma = max(sigmas[peak] / width, 1e-3)
        centre = (energies[peak] - zero) / width
        first = max(math.floor(centre - REACH * sigma), 0)
        last = min(math.ceil(centre + REACH * sigma), channels - 1)
        if sigma >= 1.0:
            # A Gaussian averaged over a channel is one of a larger variance, to 2e-4 of its height.
            inverse = 1.0 / (sigma * sigma + 1.0 / 12.0)
            weight = counts[peak] * math.sqrt(inverse / (2.0 * math.pi))
            weight *= math.exp(-0.5 * inverse * (first - centre) ** 2)
            # Each ratio of neighbours is the last one times exp(-1 / variance).
            ratio, step = math.exp(-inverse * (first - centre + 0.5)), math.exp(-inverse)
            for channel in range(first, last + 1):
                spectrum[channel] += weight
                weight *= ratio
                ratio *= step
            continue
        scale = 1.0 / (sigma * math.sqrt(2.0))
        below = math.erf((first - 0.5 - centre) * scale)
        for channel in range(first, last + 1):
            above = math.erf((channel + 0.5 - centre) * scale)
            spectrum[channel] += 0.5 * counts[peak] * (above - below)
            below = above


@compiled(fastmath=FAST, error_model="numpy")
def add_continuum(spectrum, zero, width, counts, onset, end, shape):  # type: ignore[no-untyped-def]  # compiled
    """Add a continuum (E₁ / E − 1) / (1 + (E₀ / E)⁴) of some counts; ``shape`` is room for the spectrum."""
    channels = spectrum.shape[0]
    first = max(math.ceil((width - zero) / width), 0)
    last = min(math.ceil((end - zero) / width), channels)
    fourth = np.float32(onset**4)
    zero_32, width_32, end_32 = np.float32(zero), np.float32(width), np.float32(end)
    for channel in range(first, last):
        energy = zero_32 + width_32 * np.float32(channel)
        square = energy * energy
        shape[channel] = (end_32 - energy) * energy * square / (square * square + fourth)
    if first < last:
        whole = total(shape[first:last])
        scale = np.float32(counts / whole) if whole > 0.0 else np.float32(0.0)
        for channel in range(first, last):
            spectrum[channel] += scale * shape[channel]


@compiled()
def reach_of(variance):  # type: ignore[no-untyped-def]  # compiled
    """Return how many channels to either side :func:`fill_kernel` fills for a variance in channels²."""
    return 2 if variance < 1.0 else math.ceil(REACH * math.sqrt(variance))


@compiled()
def fill_kernel(variance, kernel):  # type: ignore[no-untyped-def]  # compiled
    """Set the first values of ``kernel`` to a Gaussian that sums to 1, and the others to 0.

    Below a standard deviation of one channel, where samples of a Gaussian lose their variance, weights of
    five channels keep second and fourth moment (the fourth as far as no weight is negative).
    """
    reach = reach_of(variance)
    kernel[:] = np.float32(0.0)
    if variance < 1.0:
        far = max((3.0 * variance - 1.0) * variance / 24.0, 0.0)
        near = 0.5 * variance - 4.0 * far
        kernel[0] = kernel[4] = far
        kernel[1] = kernel[3] = near
        kernel[2] = 1.0 - 2.0 * (near + far)
        return reach
    # exp(-d² / 2v) from the middle outwards: each ratio of neighbours is the last one times exp(-1 / v).
    ratio, step = math.exp(-0.5 / variance), math.exp(-1.0 / variance)
    weight = 1.0
    total = 1.0
    for _ in range(reach):
        weight *= ratio
        ratio *= step
        total += 2.0 * weight
    weight, ratio = 1.0 / total, math.exp(-0.5 / variance)
    kernel[reach] = weight
    for distance in range(1, reach + 1):
        weight *= ratio
        ratio *= step
        kernel[reach - distance] = kernel[reach + distance] = weight
    return reach


@compiled(fastmath=FAST)
def broaden(spectrum, own, added, extra, margin, kernel, run, spread):  # type: ignore[no-untyped-def]  # compiled
    """Set ``spread[margin + c]`` to the broadened spectrum.

    ``own``: variance of the detector's peaks, channels², for each BLOCK of channels. ``added``, ``extra``:
    the variance added is ``added + extra * own``. ``margin``: at least the reach of the widest kernel, and 2
    TAPS. ``kernel``, ``run``: room for 2 ``margin`` and for the spectrum and 2 TAPS values.
    """
    channels = spectrum.shape[0]
    spread[:] = np.float32(0.0)
    block = 0
    while block < own.shape[0]:
        first = added + extra * own[block]
        slack = _SAME_VARIANCE * (first + own[block])
        stop = block + 1
        while stop < own.shape[0] and abs(extra * (own[stop] - own[block])) <= slack:
            stop += 1
        variance = 0.5 * (first + added + extra * own[stop - 1])
        low, high = block * BLOCK, min(stop * BLOCK, channels)
        if variance < _SMALLEST_VARIANCE:
            spread[margin + low : margin + high] += spectrum[low:high]
        else:
            reach = fill_kernel(variance, kernel)
            size = high - low
            run[: TAPS - 1] = np.float32(0.0)
            run[TAPS - 1 : TAPS - 1 + size] = spectrum[low:high]
            run[TAPS - 1 + size : 2 * TAPS - 2 + size] = np.float32(0.0)
            for tap in range(0, 2 * reach + 1, TAPS):
                # The kernel is the same from either end, so its order does not matter.
                at = margin + low + reach - tap - TAPS + 1
                add_shifted(spread[at : at + size + TAPS - 1], run, 0, kernel[tap : tap + TAPS])
        block = stop


@compiled(fastmath=FAST)
def recalibrate(source, start, step, scale, target):  # type: ignore[no-untyped-def]  # compiled
    """Set ``target[i]`` to ``scale`` times the source's counts between ``start + i step`` and one step on.

    Positions are in channels, counts even over each; beyond the source there are none.
    """
    channels = source.shape[0]
    stretch = step - 1.0
    channel = 0
    while channel < channels:
        # As long as source and target stay in step, each target channel meets the same two neighbours.
        shift = math.floor(start + channel * stretch)
        stop = channels
        if stretch > 0.0:
            stop = min(stop, math.ceil(min((shift + 1 - start) / stretch, channels + 1.0)) - 1)
        elif stretch < 0.0:
            stop = min(stop, math.floor(min((shift - start) / stretch, channels + 1.0)))
        low, high = max(channel, -shift), min(stop, channels - 1 - shift)
        if low < high:
            for edge in range(channel, low):
                target[edge] = scale * _between(source, start + edge * step, start + (edge + 1) * step)
            first = np.float32(start + low * stretch - shift)
            slope, factor, one = np.float32(stretch), np.float32(scale), np.float32(1.0)
            left, right = source[low + shift : high + shift], source[low + shift + 1 : high + shift + 1]
            moved = target[low:high]
            for k in range(high - low):
                part = first + slope * np.float32(k)
                value = left[k] * (one - part) + right[k] * (part + slope)
                moved[k] = factor * max(value, np.float32(0.0))
            channel = high
            if channel == channels:
                break
        target[channel] = scale * _between(source, start + channel * step, start + (channel + 1) * step)
        channel += 1


@compiled()
def _between(source, low, high):  # type: ignore[no-untyped-def]  # compiled
    channels = source.shape[0]
    low, high = max(low, 0.0), min(high, float(channels))
    if high <= low:
        return 0.0
    first, last = int(low), int(high)
    if first == last:
        return source[first] * (high - low)
    counts = source[first] * (first + 1 - low)
    for channel in range(first + 1, last):
        counts += source[channel]
    if last < channels:
        counts += source[last] * (high - last)
    return counts
