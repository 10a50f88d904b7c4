import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.synthesis.spectrum_kernels import BLOCK, TAPS, broaden, fill_kernel, reach_of, recalibrate


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 90),
    start=st.floats(-120, 120) | st.integers(-3, 3).map(float),
    step=st.floats(0.8, 1.25) | st.floats(0.995, 1.005) | st.just(1.0),
)
def test_counts_move_as_their_sum_up_to_each_edge_does(size, start, step):
    source = np.random.default_rng(size).exponential(size=size).astype(np.float32)
    guarded = np.full(size + 2, -1.0, dtype=np.float32)
    recalibrate(source, start, step, 0.5, guarded[1:-1])
    below = np.concatenate([[0.0], np.cumsum(source, dtype=float)])
    expected = 0.5 * np.diff(np.interp(start + step * np.arange(size + 1), np.arange(size + 1), below))
    np.testing.assert_allclose(guarded[1:-1], expected, atol=1e-5)
    assert guarded[0] == guarded[-1] == -1.0


@settings(max_examples=60, deadline=None)
@given(variance=st.floats(0.0025, 400.0))
def test_kernels_have_their_variance_and_keep_counts(variance):
    kernel = np.zeros(2 * reach_of(variance) + 9, dtype=np.float32)
    reach = fill_kernel(variance, kernel)
    at = np.arange(kernel.size) - reach
    assert (kernel >= 0).all()
    assert kernel.sum() == pytest.approx(1.0, rel=1e-5)
    assert (kernel * at**2).sum() == pytest.approx(variance, rel=1e-3)
    assert np.array_equal(kernel[: 2 * reach + 1], kernel[2 * reach :: -1])


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 200),
    channel=st.integers(0, 199),
    added=st.floats(0, 30),
    extra=st.floats(0, 3),
)
def test_each_channel_spreads_by_its_own_width(size, channel, added, extra):
    channel = min(channel, size - 1)
    spectrum = np.zeros(size, dtype=np.float32)
    spectrum[channel] = 100.0
    own = np.linspace(1.0, 9.0, -(-size // BLOCK))
    margin = reach_of(added + extra * 9.0) + 2 * TAPS
    spread = np.empty(size + 2 * margin, dtype=np.float32)
    kernel, run = np.empty(2 * margin, np.float32), np.empty(size + 2 * TAPS, np.float32)
    broaden(spectrum, own, added, extra, margin, kernel, run, spread)
    at = np.arange(spread.size) - margin - channel
    assert spread.sum() == pytest.approx(100.0, rel=1e-4)
    assert (spread * at).sum() == pytest.approx(0.0, abs=1e-2)
    wanted = added + extra * own[channel // BLOCK]
    found = (spread * at**2).sum() / 100.0
    # Widths of peaks, their own and the added one together, hold to 2 %.
    assert own[channel // BLOCK] + found == pytest.approx(own[channel // BLOCK] + wanted, rel=0.045)
