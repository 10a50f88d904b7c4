from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.synthesis.distorted_spectra import distort
from napari_xrf.synthesis.distortion_values import DistortionValues
from napari_xrf.synthesis.distortions import (
    DISTORTION_NAMES,
    Distortions,
    draw_map_values,
    draw_values,
    typical_distortions,
)
from pure_spectra import AXIS, peaks, width

RNG = np.random.default_rng


def moments(spectrum, axis=AXIS):
    total = spectrum.sum()
    mean = (spectrum * axis.energies).sum() / total
    return mean, np.sqrt((spectrum * (axis.energies - mean) ** 2).sum() / total)


def one(**values):
    return DistortionValues(
        **{
            name: np.atleast_2d(value) if np.ndim(value) else np.array([value])
            for name, value in values.items()
        }
    )


def apply(spectrum, axis=AXIS, **values):
    return distort(spectrum[np.newaxis], axis, one(**values), width)[0].astype(float)


def test_no_distortion_changes_nothing():
    spectrum = peaks([3.0, 6.4], 1000.0)
    assert np.allclose(apply(spectrum), spectrum, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(offset=st.floats(-0.3, 0.3), gain=st.floats(-0.05, 0.05))
def test_calibration_moves_peaks_and_keeps_counts(offset, gain):
    moved = apply(peaks([6.4], 1000.0), offset=offset, gain=gain)
    assert moved.sum() == pytest.approx(1000, rel=1e-4)
    assert moments(moved)[0] == pytest.approx(6.4 * (1 + gain) + offset, abs=2e-3)
    assert (moved >= 0).all()


@settings(max_examples=25, deadline=None)
@given(noise=st.floats(0.03, 0.4), factor=st.floats(1.0, 3.0))
def test_resolution_adds_in_quadrature_and_keeps_counts(noise, factor):
    spectrum = peaks([8.0], 1000.0)
    broad = apply(spectrum, noise=noise, width_factor=factor)
    own = moments(spectrum)[1]
    extra = (noise / FWHM_PER_SIGMA) ** 2 + (factor**2 - 1) * (width(8.0) / FWHM_PER_SIGMA) ** 2
    assert broad.sum() == pytest.approx(1000, rel=1e-4)
    assert moments(broad)[1] == pytest.approx(np.sqrt(own**2 + extra), rel=0.04)
    assert moments(broad)[0] == pytest.approx(8.0, abs=5e-3)


def test_bragg_peaks_have_the_stated_counts_place_and_width():
    spectrum = peaks([6.4], 1000.0)
    added = (
        apply(
            spectrum,
            bragg_energy=[3.4, 9.0, 1.0],
            bragg_strength=[0.05, 0.01, 0.0],
            bragg_width=[0.1, 0.02, 0.1],
        )
        - spectrum
    )
    low, high = added[AXIS.window(2.5, 4.5)], added[AXIS.window(8.0, 10.0)]
    assert low.sum() == pytest.approx(50, rel=1e-3)
    assert high.sum() == pytest.approx(10, rel=1e-2)
    assert AXIS.energies[added.argmax()] == pytest.approx(3.4, abs=0.02)
    assert np.abs(added[AXIS.window(0.5, 1.5)]).max() < 1e-3


def test_pile_up_puts_pairs_at_the_sum_of_the_energies():
    axis = EnergyAxis(-0.955, 0.01, 2048)
    spectrum = peaks([4.0, 6.0], 10_000.0, axis)
    piled = apply(spectrum, axis, pulse_pair=1e-6, dwell=0.1)
    share = 1 - np.exp(-0.1)
    assert piled.sum() == pytest.approx(10_000, rel=1e-3)
    for energy, part in ((8.0, 0.25), (10.0, 0.5), (12.0, 0.25)):
        window = piled[axis.window(energy - 0.6, energy + 0.6)]
        assert window.sum() == pytest.approx(10_000 * share * part, rel=1e-2)
        centre = (window * axis.energies[axis.window(energy - 0.6, energy + 0.6)]).sum() / window.sum()
        assert centre == pytest.approx(energy, abs=2e-3)


def test_dead_time_loses_the_non_paralysable_share():
    lost = apply(peaks([6.4], 20_000.0), dead_time=5e-6, dwell=0.1)
    assert lost.sum() == pytest.approx(20_000 / (1 + 20_000 / 0.1 * 5e-6), rel=1e-5)


def test_continuum_has_the_stated_counts_and_end():
    spectrum = peaks([6.4], 1000.0)
    added = apply(spectrum, continuum_level=0.5, continuum_onset=2.0, continuum_end=15.0) - spectrum
    assert added.sum() == pytest.approx(500, rel=1e-3)
    assert np.abs(added[AXIS.energies > 15.0]).max() < 1e-4
    assert 1.0 < AXIS.energies[added.argmax()] < 4.0


@settings(max_examples=25, deadline=None)
@given(shelf=st.floats(0, 0.2), tail=st.floats(0, 0.2), loss=st.floats(0.05, 0.5))
def test_incomplete_charge_collection_moves_counts_down_and_keeps_them(shelf, tail, loss):
    spectrum = peaks([8.0], 1000.0)
    moved = apply(spectrum, shelf=shelf, tail=tail, tail_width=loss)
    assert moved.sum() == pytest.approx(1000, rel=2e-3)
    flat = moved[AXIS.window(1.0, 3.0)].sum() / 2.0
    assert flat == pytest.approx(1000 * shelf / 8.0, rel=0.02, abs=0.05 + 1000 * tail * np.exp(-5 / loss))
    # The lost energy is half the peak's for the shelf and the mean loss for the tail.
    assert 8.0 - moments(moved)[0] == pytest.approx(shelf * 4.0 + tail * loss, abs=0.04)


def test_zero_peak():
    added = apply(peaks([6.4], 1000.0), zero_peak=0.1)
    assert added[AXIS.window(-0.2, 0.2)].sum() == pytest.approx(100, rel=1e-2)


@pytest.mark.parametrize("name", DISTORTION_NAMES)
def test_twins_differ_only_by_the_distortion_named(name):
    everything = typical_distortions()
    full = draw_values(everything, 50, RNG(4))
    without = draw_values(everything.without(name), 50, RNG(4))
    alone = draw_values(everything.only(name), 50, RNG(4))
    assert everything.only(name).active == (name,)
    changed = []
    for item in full.columns:
        a, b, c = (getattr(values, item) for values in (full, without, alone))
        if b is None or not np.array_equal(a, b):
            changed.append(item)
        if c is not None and item not in ("offset", "gain"):
            assert np.array_equal(a, c)
    assert changed
    belongs = {
        "offset": {"offset"},
        "gain": {"gain"},
        "drift": {"offset", "gain"},
        "resolution": {"noise", "width_factor"},
        "bragg": {"bragg_energy", "bragg_strength", "bragg_width"},
        "pile-up": {"pulse_pair"},
        "dead time": {"dead_time"},
        "continuum": {"continuum_level", "continuum_onset", "continuum_end"},
        "artefacts": {"shelf", "tail", "tail_width", "zero_peak"},
    }
    assert set(changed) <= belongs[name]


def test_a_map_has_one_instrument_a_smooth_drift_and_bragg_peaks_by_grain():
    grains = np.repeat(np.repeat(np.arange(12).reshape(3, 4), 5, axis=0), 6, axis=1).astype(np.int32)
    values = draw_map_values(replace(typical_distortions(), bragg_share=1.0), grains, RNG(1))
    assert np.ptp(values.noise) == 0
    offset = values.offset.reshape(grains.shape)
    assert 0 < np.ptp(offset) <= 0.0101
    assert np.abs(np.diff(offset, axis=1)).max() < 0.3 * np.ptp(offset)
    by_grain = [np.unique(values.bragg_energy[grains.reshape(-1) == grain], axis=0) for grain in range(12)]
    assert all(len(energies) == 1 for energies in by_grain)
    assert len({tuple(energies[0]) for energies in by_grain}) == 12
    reflecting = (values.bragg_strength > 0).sum(axis=1)
    assert reflecting.min() >= 1
    assert reflecting.max() <= 3


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), total=st.just(0.0) | st.floats(0.01, 1e5))
def test_distorted_spectra_are_never_negative(seed, total):
    spectra = np.stack([peaks([1.7, 3.7], total), peaks([6.4, 7.1, 18.0], total)])
    distorted = distort(spectra, AXIS, draw_values(typical_distortions(), 2, RNG(seed)), width)
    assert np.isfinite(distorted).all()
    assert (distorted >= 0).all()
    assert (distorted.sum(axis=1) > 0).all() == (total > 0)


def test_a_batch_is_distorted_spectrum_by_spectrum():
    spectra = np.stack([peaks([energy], 5000.0) for energy in np.linspace(2, 15, 40)])
    values = draw_values(typical_distortions(), 40, RNG(2))
    whole = distort(spectra, AXIS, values, width)
    for index in (0, 17, 39):
        alone = distort(spectra[[index]], AXIS, values.take([index]), width)
        assert np.allclose(whole[index], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": (0.3, 0.4)}, "gain must lie from -0.2 to 0.2"),
        ({"offset_ev": (20.0, -20.0)}, "Swap the ends"),
        ({"bragg_share": 1.5}, "bragg share must lie from 0 to 1"),
        ({"noise_ev": (float("nan"), 1.0)}, "noise ev must lie"),
        ({"tail": (0.1,)}, "tail holds too few"),
    ],
)
def test_ranges_out_of_reach_are_named(changes, message):
    with pytest.raises(InvalidInput, match=message):
        Distortions(**changes)


def test_what_cannot_be_done_is_refused():
    with pytest.raises(InvalidInput, match="no distortion 'braggs'"):
        typical_distortions().only("braggs")
    with pytest.raises(InvalidInput, match="width of the detector"):
        distort(np.ones((1, AXIS.size)), AXIS, one(zero_peak=0.1))
    with pytest.raises(InvalidInput, match="do not fit an axis"):
        distort(np.ones((1, 5)), AXIS, DistortionValues())
