"""Outlines of pixels: the polygons that run along their edges, with holes."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ring: TypeAlias = list[tuple[int, int]]
"""Corners (x, y) of pixels, (0, 0) the outer corner of the first; closed, the first stands last again."""


def polygons_of(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Return the polygons of a mask (Y, X): for each piece its outer ring, then its holes.

    Pixels that share an edge are one piece; those that share a corner only are two.
    """
    from scipy import ndimage

    pieces, _ = ndimage.label(mask)
    found = []
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        rings = _rings(pieces[box] == number)
        rings.sort(key=lambda ring: -abs(_area(ring)))
        down, right = box[0].start, box[1].start
        found.append([[(x + right, y + down) for x, y in ring] for ring in rings])
    return found


def _rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """Return the closed rings along the edges of one piece, its pixels to the right of the way."""
    after = _edges(mask)
    rings = []
    while after:
        start = next(iter(after))
        ring, at, heading = [start], start, (0, 0)
        while True:
            ahead = after[at]
            # Where two pixels touch in a corner, a turn to the right stays with the same one.
            turn = (-heading[1], heading[0])
            step = turn if turn in ahead else next(iter(ahead))
            ahead.discard(step)
            if not ahead:
                del after[at]
            if step == heading:
                ring.pop()
            at, heading = (at[0] + step[0], at[1] + step[1]), step
            ring.append(at)
            if at == start:
                break
        rings.append(ring)
    return rings


def _edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """Return corner → steps (dx, dy) along the edges of pixels that begin there."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),
        (inside & ~padded[1:-1, 2:], (1, 0), (0, 1)),
        (inside & ~padded[2:, 1:-1], (1, 1), (-1, 0)),
        (inside & ~padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    after: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for open_side, (right, down), step in sides:
        for y, x in np.argwhere(open_side).tolist():
            after.setdefault((x + right, y + down), set()).add(step)
    return after


def _area(ring: Ring) -> float:
    x, y = np.array(ring, dtype=np.float64).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
