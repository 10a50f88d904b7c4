"""Pile-up and charge loss on coarse bins, against the same channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.coarse_bins import make_coarse_bins, restoring_weights
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortion_values import DistortionValues
from pure_spectra import peaks, width

FINE = EnergyAxis(-0.955, 0.01, 2048)
ENERGIES = [1.25, 1.74, 3.69, 6.40, 7.06, 14.1]


def pile_up(spectrum, axis, chance):
    """Every pair of channels by itself, between channels in a straight line."""
    pairs = np.convolve(spectrum, spectrum) / spectrum.sum()
    at = np.arange(pairs.size) + axis.offset / axis.width
    return (1 - chance) * spectrum + chance * np.interp(np.arange(axis.size), at, pairs, 0.0, 0.0)


def lose_charge(spectrum, axis, shelf, tail, loss):
    """Every channel by itself."""
    zero = int(axis.channel(0.0))
    keep = np.exp(-axis.width / loss)
    lost = np.zeros_like(spectrum)
    for channel in range(zero, axis.size):
        below = np.arange(zero, channel + 1)
        lost[below] += shelf * spectrum[channel] / below.size
        lost[below] += tail * spectrum[channel] * (1 - keep) * keep ** (channel - below)
    kept = np.where(np.arange(axis.size) < zero, 1.0, 1 - shelf - tail)
    # What the tail brings below zero is lost, in both.
    return kept * spectrum + lost


def unlike(found, expected):
    """How far Poisson counts of one spectrum could tell the two apart: χ² summed over all channels."""
    return float(((found - expected) ** 2 / np.maximum(expected, 1e-3)).sum())


@pytest.mark.parametrize("axis", [FINE, EnergyAxis(-0.955, 0.008, 2600), EnergyAxis(0.0, 0.02, 1024)])
def test_pile_up_of_a_third_of_10_000_counts_cannot_be_told_from_the_exact_one(axis):
    assert make_coarse_bins(axis, float(width(0.0))).ratio > 1
    spectrum = peaks(ENERGIES, 10_000.0, axis)
    values = DistortionValues(pulse_pair=np.array([0.4e-6]), dwell=np.array([0.01]))
    found = distort(spectrum[np.newaxis], axis, values, width)[0].astype(float)
    expected = pile_up(spectrum, axis, 1 - np.exp(-0.4))
    assert unlike(found, expected) < 0.1 < unlike(spectrum, expected)
    assert found.sum() == pytest.approx(expected.sum(), rel=1e-6)


def test_charge_loss_of_10_000_counts_cannot_be_told_from_the_exact_one():
    spectrum = peaks(ENERGIES, 10_000.0, FINE)
    one = np.ones(1)
    values = DistortionValues(shelf=0.02 * one, tail=0.05 * one, tail_width=0.1 * one)
    found = distort(spectrum[np.newaxis], FINE, values, width)[0].astype(float)
    expected = lose_charge(spectrum, FINE, 0.02, 0.05, 0.1)
    assert unlike(found, expected) < 0.1 < unlike(spectrum, expected)


def test_without_a_width_nothing_is_approximated():
    axis = EnergyAxis(-0.3, 0.03, 200)  # sums of channels meet channels
    spectrum = np.random.default_rng(1).exponential(50.0, axis.size)
    one = np.ones(1)
    piled = distort(spectrum[np.newaxis], axis, DistortionValues(pulse_pair=1e-6 * one, dwell=0.1 * one))[0]
    chance = 1 - np.exp(-spectrum.sum() / 0.1 * 1e-6)
    np.testing.assert_allclose(piled, pile_up(spectrum, axis, chance), rtol=1e-4)
    values = DistortionValues(shelf=0.1 * one, tail=0.1 * one, tail_width=0.1 * one)
    lost = distort(spectrum[np.newaxis], axis, values)[0]
    np.testing.assert_allclose(lost, lose_charge(spectrum, axis, 0.1, 0.1, 0.1), rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    ratio=st.integers(1, 8),
    boxes=st.sampled_from([1, 2]),
    channel=st.floats(-3, 12),
    powers=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
)
def test_restored_channels_of_polynomials_are_exact(ratio, boxes, channel, powers):
    def value(at):
        return np.polynomial.Polynomial(powers)(np.asarray(at) / 50.0)

    first = int(channel // ratio) - 3
    weights = restoring_weights(ratio, boxes, channel, first, 8)
    sums = []
    for number in range(first, first + 8):
        inside = [ratio * number + place for place in range(ratio)]
        if boxes == 2:
            inside = [at + place for at in inside for place in range(ratio)]
        sums.append(np.sum(value(inside)) / (1 if boxes == 1 else ratio))
    assert weights @ sums == pytest.approx(float(value(channel)), abs=1e-6)


def test_bins_follow_the_resolution():
    assert make_coarse_bins(FINE, 0.0).ratio == 1
    assert make_coarse_bins(FINE, 0.01).ratio == 1
    assert make_coarse_bins(FINE, 0.0754).ratio == 4
