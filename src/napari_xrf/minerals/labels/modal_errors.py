"""Standard errors of the modes of a label map: of naming pixels, and of having seen only this much rock."""

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.label_map import LabelMap
from napari_xrf.minerals.labels.grains import class_places

LEAST_BLOCKS = 16  # fewer tell no spread
_FINEST = 256  # blocks along a side to begin with


def naming_errors(label_map: LabelMap) -> NDArray[np.float64] | None:
    """Return the standard error of each class's percentage from pixels named wrongly, (K,).

    A pixel of confidence p is of its class by a draw of that chance, each by itself; where it is wrong it may
    be of any other class, by their shares. None without confidences.
    """
    if label_map.confidence is None:
        return None
    places, number = class_places(label_map), len(label_map.classes)
    held = places >= 0
    measured = int(held.sum())
    if not measured:
        return None
    chance = np.clip(label_map.confidence[held].astype(np.float64), 0, 1)
    own = np.bincount(places[held], chance * (1 - chance), minlength=number)
    wrong = np.bincount(places[held], 1 - chance, minlength=number)
    shares = np.bincount(places[held], minlength=number) / measured
    others = shares * (wrong.sum() - wrong) / np.maximum(1 - shares, 1e-9)
    return np.asarray(100 * np.sqrt(own + others * (1 - shares)) / measured)


def sampling_errors(label_map: LabelMap, abundances: Abundances | None = None) -> NDArray[np.float64] | None:
    """Return the standard error of each class's percentage as of a larger rock like this map, (K,).

    The map is cut into blocks; the spread of their percentages gives the error of the whole, as a bootstrap
    of blocks gives in the mean. Neighbouring pixels are alike, so that small blocks tell too little: the
    largest error of blocks of 1, 2, 4, … times the smallest side counts, as long as there are
    :data:`LEAST_BLOCKS` (Flyvbjerg & Petersen 1989). None for a map with fewer pixels than that.
    """
    places, number = class_places(label_map), len(label_map.classes)
    rows, columns = places.shape
    side = max(1, -(-max(rows, columns) // _FINEST))
    tall, wide = -(-rows // side), -(-columns // side)
    at = ((np.arange(rows) // side)[:, None] * wide + np.arange(columns) // side) * (number + 1)
    # Pixels that were not measured count in the last place, which is dropped.
    code = (at + np.where(places < 0, number, places)).ravel()
    counts = np.bincount(code, minlength=tall * wide * (number + 1)).reshape(tall, wide, -1)[..., :number]
    held = counts.sum(axis=2).astype(np.float64)
    held_parts = counts.astype(np.float64)
    if abundances is not None:
        place_of = {entry.label: place for place, entry in enumerate(label_map.classes)}
        cut = [np.arange(0, length, side) for length in (rows, columns)]
        for index, entry in enumerate(abundances.classes):
            values = abundances.values[..., index].astype(np.float64)
            summed = np.add.reduceat(np.add.reduceat(values, cut[0], axis=0), cut[1], axis=1)
            held_parts[..., place_of[entry.label]] = summed
    largest = None
    while (held > 0).sum() >= LEAST_BLOCKS:
        error = _ratio_error(held_parts, held)
        largest = error if largest is None else np.maximum(largest, error)
        held_parts, held = _halved(held_parts), _halved(held[..., None])[..., 0]
    return largest


def _ratio_error(parts: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error, percent, of sums of parts (Y, X, K) over the sum of blocks held (Y, X)."""
    used = held > 0
    parts, whole = parts[used], held[used]
    off = parts - whole[:, None] * (parts.sum(axis=0) / whole.sum())
    blocks = whole.size
    return np.asarray(100 * np.sqrt(blocks / (blocks - 1) * (off**2).sum(axis=0)) / whole.sum())


def _halved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums of two by two blocks of (Y, X, K)."""
    cuts = [np.arange(0, length, 2) for length in values.shape[:2]]
    return np.asarray(np.add.reduceat(np.add.reduceat(values, cuts[0], axis=0), cuts[1], axis=1))
