"""The one loop that convolutions spend their time in."""

from __future__ import annotations

import numba
import numpy as np

FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums in any order; infinities and nan stay
TAPS = 8  # as many products as keep a core's vector units busy for each value stored


@numba.njit(nogil=True, cache=True, fastmath=FAST)
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


@numba.njit(nogil=True, cache=True, fastmath=FAST)
def total(values):  # type: ignore[no-untyped-def]  # compiled
    """Return the sum of float32 values as such."""
    result = np.float32(0.0)
    for index in range(values.shape[0]):
        result += values[index]
    return result
