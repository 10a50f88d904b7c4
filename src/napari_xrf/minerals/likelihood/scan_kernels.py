"""Scores of many pixels in compiled loops; imported only when pixels are looked at."""

import numpy as np

from napari_xrf.core.compiled_code import compiled

_TOGETHER = 16  # factors whose product is far from the largest number


@compiled(fastmath=True)
def add_directions(along, middle, weights, total, scores):  # type: ignore[no-untyped-def]
    """Add to scores (n,) what K directions of error change, in place.

    ``along`` (n, K) and ``middle`` (K,) are pixels' shares and the expected ones along them, ``weights`` (K,)
    their variances over counting's for one count, ``total`` (n,) the pixels' counts. On one core: a few
    thousand pixels of one composition take less than waking another does on a busy machine.
    """
    size = weights.size
    for pixel in range(total.size):
        counts, less, spread = total[pixel], np.float32(0), 0.0
        for place in range(size):
            apart, scaled = along[pixel, place] - middle[place], counts * weights[place]
            less += apart * apart * scaled / (np.float32(1) + scaled)
        for first in range(0, size, _TOGETHER):
            product = 1.0
            for place in range(first, min(first + _TOGETHER, size)):
                product *= 1.0 + counts * weights[place]
            spread += np.log(product)
        scores[pixel] += spread - counts * less
