"""Compiled steps 2 to 7 of the layers recipe, spectrum by spectrum."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.compiled_code import compiled
from napari_xrf.synthesis.line_basis import (
    BASIS_AXIS,
    BASIS_ELEMENTS,
    element_attenuation,
    line_basis,
    line_cross_sections,
    line_elements,
)
from napari_xrf.synthesis.sampling import GOLDEN, mix, over_threads, poisson, stream_key, unit

_SILICON_ESCAPE_KEV = 1.74
_PROMINENT = 0.05  # of the highest line: peaks that escape or add up
_ESCAPE_CHANCE, _ESCAPE_SHARE = 0.6, 0.14  # of the published escape, whose share is over σ√(2π)
_PUBLISHED_PROMINENT = 1 / 15
_REACH = 4.0  # of a Gaussian, in standard deviations
_BACKGROUND_SHARE = 1 / 5
_TUBE_SHARE = 1 / 15
_NOISE_SHARE = 1 / 1000  # of the sum, in each channel at the most
_JUDGED_COUNTS = 30_000  # for visibility where no counts are drawn


@dataclass(frozen=True, eq=False)
class LayerDraws:
    """What is random about N spectra beside sample, tube and counts."""

    # sigma, jitter: (N,) keV
    sigma: NDArray[np.float64]
    jitter: NDArray[np.float64]
    axis: NDArray[np.float64]  # (N, 3) a, b and c of the distorted axis
    window_shift: NDArray[np.int64]  # (N,) channels
    logistic: NDArray[np.float64]  # (N, 2) α and β
    background: NDArray[np.float64]  # (N,) p
    escape: tuple[float, float]  # chance, and largest share, of escape and of sums
    # (N,) whether a prominent peak escapes as in the published code, by a share over σ√(2π)
    by_height: NDArray[np.bool_]


def compose_spectra(
    draws: LayerDraws,
    layers: NDArray[np.int64],
    masses: NDArray[np.float64],
    continuum: NDArray[np.float32],
    tube_lines: NDArray[np.float32],
    air: NDArray[np.float32],
    efficiency: NDArray[np.float32],
    seed: np.uint64,
    keys: NDArray[np.uint64],
    counts: int,
    background: bool,
    equal_areas: bool,
    visibility: float,
    spectra: NDArray[np.float32],
    visible: NDArray[np.bool_],
) -> None:
    """Fill ``spectra`` (N, 300) and ``visible`` (N, 556).

    ``layers``, ``masses``: (N, M) elements from the top, −1 where none, and their mass per area in g/cm².
    ``continuum``, ``tube_lines``: (N, 300) photons of the tube. ``air``, ``efficiency``: (N, 300)
    transmission on the way out, and efficiency of the detector. ``seed``, ``keys``: of the set, and (N,)
    numbers of the spectra within it. ``equal_areas``: whether an element's peaks hold as many counts as its
    part of ``masses``, whatever its cross-sections.
    """
    tables = _tables()
    light = (continuum, tube_lines, air, efficiency)
    drawn = (draws.sigma, draws.jitter, draws.axis, draws.background, draws.by_height)
    rows = (layers, masses, *light, *drawn, keys, spectra, visible)
    settings = (*draws.escape, seed, counts, background, equal_areas, visibility)
    over_threads(len(spectra), lambda part: _compose(*(*tables, *(each[part] for each in rows), *settings)))


@cache
def _tables() -> tuple[Any, ...]:
    """Per line: energy, channel, cross-sections; per element: its lines; attenuation at the lines."""
    energies = np.array([line.energy for line in line_basis()])
    channels = np.clip(BASIS_AXIS.channel(energies), 1, BASIS_AXIS.size - 1).astype(np.int64)
    order = np.argsort(line_elements(), kind="stable").astype(np.int64)
    first = np.searchsorted(line_elements()[order], np.arange(len(BASIS_ELEMENTS) + 1)).astype(np.int64)
    attenuation = np.ascontiguousarray(element_attenuation(BASIS_ELEMENTS)[:, channels])
    return energies, channels, np.ascontiguousarray(line_cross_sections()), order, first, attenuation


@compiled(fastmath=True)
def _compose(  # type: ignore[no-untyped-def]  # compiled
    energies, channels, sections, order, first, attenuation,
    layers, masses, continuum, tube_lines, air, efficiency,
    sigmas, jitters, axes, background, by_height, keys, spectra, visible,
    chance, most, seed, counts, with_background, equal_areas, visibility,
):  # fmt: skip
    size = spectra.shape[1]
    heights = np.zeros(energies.shape[0])
    sums = np.zeros((64, 2))
    light = np.empty(size, np.float32)
    for row in range(spectra.shape[0]):
        state = stream_key(seed, keys[row])
        for channel in range(size):
            light[channel] = continuum[row, channel] + tube_lines[row, channel]
        heights[:] = 0.0
        _excite(heights, light, sections, order, first, layers[row], masses[row])
        if equal_areas:
            _equalise(heights, energies, order, first, layers[row], masses[row], jitters[row], sigmas[row])
        else:
            _absorb(heights, channels, order, first, attenuation, layers[row], masses[row], air[row])
        added = 0
        if not by_height[row]:
            added = _pile(heights, energies, sums, chance, most, state)
        ideal = np.zeros(size)
        for line in range(heights.shape[0]):
            if heights[line] > 0.0:
                _add_gaussian(ideal, energies[line] + jitters[row], heights[line], sigmas[row])
        for extra in range(added):
            _add_gaussian(ideal, sums[extra, 0] + jitters[row], sums[extra, 1], sigmas[row])
        noise = _NOISE_SHARE / 2 if with_background else 0.0
        seen = visible[row]
        _see(
            seen, heights, energies, channels, ideal, efficiency[row], sigmas[row], counts, visibility, noise
        )
        if by_height[row]:
            _escape_by_height(ideal, sigmas[row], mix(state + np.uint64(7)))
        measured = _distort_axis(ideal, axes[row])
        total = 0.0
        for channel in range(size):
            measured[channel] *= efficiency[row, channel]
            total += measured[channel]
        if counts > 0 and total > 0.0:
            _draw_multinomial(measured, total, counts, mix(state ^ GOLDEN))
        if with_background:
            _add_tube(measured, continuum[row], tube_lines[row], background[row], mix(state + GOLDEN))
        _scale(measured, spectra[row])


@compiled(fastmath=True)
def _excite(heights, light, sections, order, first, layers, masses):  # type: ignore[no-untyped-def]  # compiled
    size = light.shape[0]
    for layer in range(layers.shape[0]):
        element = layers[layer]
        if element < 0:
            break
        for position in range(first[element], first[element + 1]):
            line = order[position]
            section = sections[line]
            excited = np.float32(0.0)
            for channel in range(size):
                excited += light[channel] * section[channel]
            heights[line] = excited * masses[layer]


@compiled(fastmath=True)
def _absorb(heights, channels, order, first, attenuation, layers, masses, air):  # type: ignore[no-untyped-def]
    """Weaken lines on their way through the layers above theirs, and through air."""
    for layer in range(layers.shape[0]):
        element = layers[layer]
        if element < 0:
            break
        for position in range(first[element], first[element + 1]):
            line = order[position]
            above = 0.0
            for other in range(layer):
                above += attenuation[layers[other], line] * masses[other]
            escaping = (1.0 - math.exp(-above)) / above if above > 1e-9 else 1.0
            heights[line] *= escaping * air[channels[line]]


@compiled(fastmath=True)
def _equalise(heights, energies, order, first, layers, masses, jitter, sigma):  # type: ignore[no-untyped-def]
    """Scale each element's lines so that their sampled peaks add up to its part of the mass."""
    total = 0.0
    for layer in range(layers.shape[0]):
        if layers[layer] >= 0:
            total += masses[layer]
    for layer in range(layers.shape[0]):
        element = layers[layer]
        if element < 0:
            break
        area = 0.0
        for position in range(first[element], first[element + 1]):
            line = order[position]
            if heights[line] > 0.0:
                area += heights[line] * _sampled_area(energies[line] + jitter, sigma)
        scale = masses[layer] / total / area if area > 0.0 else 0.0
        for position in range(first[element], first[element + 1]):
            heights[order[position]] *= scale


@compiled(fastmath=True)
def _sampled_area(energy, sigma):  # type: ignore[no-untyped-def]  # compiled
    if sigma > 0.1:
        return sigma * 25.066282746  # √(2π) σ over channels of 0.1 keV, which sample it well
    low = max(int((energy - _REACH * sigma) * 10.0), 0)
    high = int((energy + _REACH * sigma) * 10.0) + 1
    area = 1e-12
    scale = -0.5 / (sigma * sigma)
    for channel in range(low, high + 1):
        distance = 0.1 * channel - energy
        area += math.exp(scale * distance * distance)
    return area


@compiled()
def _escape_by_height(spectrum, sigma, state):  # type: ignore[no-untyped-def]  # compiled
    """Let prominent peaks escape as the published code does: a share of the height over σ√(2π)."""
    size = spectrum.shape[0]
    least = spectrum.max() * _PUBLISHED_PROMINENT
    peaks = np.empty(size, np.int64)
    number = 0
    for channel in range(18, size - 1):
        higher = spectrum[channel] > spectrum[channel - 1] and spectrum[channel] >= spectrum[channel + 1]
        if higher and spectrum[channel] > least:
            peaks[number] = channel
            number += 1
    if number == 0:
        return
    middle = np.median(spectrum[peaks[:number]])
    before = spectrum.copy()
    for index in range(number):
        channel = peaks[index]
        state += GOLDEN
        if before[channel] < middle or unit(state) >= _ESCAPE_CHANCE:
            continue
        state += GOLDEN
        share = math.ceil(unit(state) * 100 * _ESCAPE_SHARE) / 100 / (sigma * 2.5066282746)
        energy = 0.1 * channel
        _add_gaussian(spectrum, energy, -share * before[channel], sigma)
        left = before[channel] * (1.0 - share)
        _add_gaussian(spectrum, energy - _SILICON_ESCAPE_KEV, 0.5 * share * left, 2.0 * sigma)
    for channel in range(size):
        spectrum[channel] = max(spectrum[channel], 0.0)


@compiled()
def _pile(heights, energies, sums, chance, most, state):  # type: ignore[no-untyped-def]  # compiled
    """Move shares of prominent peaks to escape and sum peaks; return how many of those there are."""
    highest = heights.max()
    prominent = np.empty(sums.shape[0] // 2, np.int64)
    number = 0
    for line in range(heights.shape[0]):
        if heights[line] > _PROMINENT * highest and number < prominent.shape[0]:
            prominent[number] = line
            number += 1
    added = 0
    for index in range(number):
        line = prominent[index]
        state += GOLDEN
        if unit(state) < chance and energies[line] > _SILICON_ESCAPE_KEV:
            state += GOLDEN
            moved = unit(state) * most * heights[line]
            heights[line] -= moved
            sums[added, 0], sums[added, 1] = energies[line] - _SILICON_ESCAPE_KEV, moved
            added += 1
        state += GOLDEN
        if unit(state) < chance:
            state += GOLDEN
            partner = prominent[int(unit(state) * number)]
            state += GOLDEN
            moved = unit(state) * most * min(heights[line], heights[partner])
            heights[line] -= 0.5 * moved
            heights[partner] -= 0.5 * moved
            sums[added, 0], sums[added, 1] = energies[line] + energies[partner], moved
            added += 1
    return added


@compiled(fastmath=True)
def _add_gaussian(spectrum, energy, height, sigma):  # type: ignore[no-untyped-def]  # compiled
    # Bins of 0.1 keV from 0: sampled at their energies, the height stays whatever the width.
    low = max(int((energy - _REACH * sigma) * 10.0), 0)
    high = min(int((energy + _REACH * sigma) * 10.0) + 1, spectrum.shape[0] - 1)
    scale = -0.5 / (sigma * sigma)
    for channel in range(low, high + 1):
        distance = 0.1 * channel - energy
        spectrum[channel] += height * math.exp(scale * distance * distance)


@compiled(fastmath=True)
def _see(  # type: ignore[no-untyped-def]  # compiled
    visible, heights, energies, channels, ideal, efficiency, sigma, counts, visibility, noise
):
    size = ideal.shape[0]
    detected = np.empty(size + 1)
    detected[0] = 0.0
    for channel in range(size):
        detected[channel + 1] = detected[channel] + ideal[channel] * efficiency[channel]
    dose = (counts if counts > 0 else _JUDGED_COUNTS) / detected[size] if detected[size] > 0.0 else 0.0
    width = sigma * math.sqrt(2.0 * math.pi) * 10.0
    reach = max(int(2.0 * sigma * 10.0 + 0.5), 1)
    for line in range(heights.shape[0]):
        channel = channels[line]
        own = heights[line] * width * efficiency[channel] * dose
        low, high = max(channel - reach, 0), min(channel + reach + 1, size)
        around = max((detected[high] - detected[low]) * dose, own)
        # Flat noise up to twice its mean µ in a channel has a variance of µ² / 3.
        around += (high - low) * (noise * counts) ** 2 / 3.0
        visible[line] = own > visibility * math.sqrt(around) and own > visibility * visibility


@compiled(fastmath=True)
def _distort_axis(ideal, axis):  # type: ignore[no-untyped-def]  # compiled
    size = ideal.shape[0]
    if axis[0] == 0.0 and axis[1] == 0.0 and axis[2] == 0.0:
        return ideal
    moved = np.zeros(size)
    for channel in range(size):
        energy = 0.1 * channel
        position = (axis[0] + (1.0 + axis[1]) * energy + axis[2] * energy * energy) * 10.0
        left = math.floor(position)
        part = position - left
        if left >= 0 and left < size - 1:
            moved[channel] = (1.0 - part) * ideal[left] + part * ideal[left + 1]
    return moved


@compiled()
def _draw_multinomial(spectrum, total, counts, state):  # type: ignore[no-untyped-def]  # compiled
    """Replace an expectation by exactly ``counts`` multinomial counts.

    Poisson counts given their sum are multinomial: draw a few less than needed, then the rest one by one.
    """
    size = spectrum.shape[0]
    cumulative = np.empty(size)
    running = 0.0
    for channel in range(size):
        running += spectrum[channel]
        cumulative[channel] = running
    scale = max(counts - 4.0 * math.sqrt(counts), 0.0) / total
    drawn = np.empty(size, np.int64)
    found = counts + 1
    while found > counts:
        found = 0
        for channel in range(size):
            state += GOLDEN
            drawn[channel] = poisson(spectrum[channel] * scale, state)
            found += drawn[channel]
    for _ in range(counts - found):
        state += GOLDEN
        drawn[np.searchsorted(cumulative, unit(state) * running, side="right")] += 1
    for channel in range(size):
        spectrum[channel] = drawn[channel]


@compiled()
def _add_tube(spectrum, continuum, tube_lines, share, state):  # type: ignore[no-untyped-def]  # compiled
    """Scale a spectrum to a sum of 1; add parts of the tube's continuum and whole light, and flat noise."""
    total = max(spectrum.sum(), 1e-300)
    braking = max(continuum.sum(), np.float32(1e-30))
    whole = max(continuum.sum() + tube_lines.sum(), np.float32(1e-30))
    for channel in range(spectrum.shape[0]):
        state += GOLDEN
        scattered = _BACKGROUND_SHARE * continuum[channel] / braking
        scattered += _TUBE_SHARE * (continuum[channel] + tube_lines[channel]) / whole
        spectrum[channel] = spectrum[channel] / total + share * scattered + _NOISE_SHARE * unit(state)


@compiled()
def _scale(measured, spectrum):  # type: ignore[no-untyped-def]  # compiled
    top = measured.max()
    for channel in range(measured.shape[0]):
        spectrum[channel] = measured[channel] / top if top > 0.0 else 0.0
