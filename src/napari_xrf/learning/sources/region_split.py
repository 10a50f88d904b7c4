"""Which labelled pixels train and which judge: split class by class, in blocks of the map."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xrf.core.errors import InvalidInput

Part = Literal["training", "validation", "test"]
PARTS: tuple[Part, ...] = ("training", "validation", "test")
LEFT_OUT = 3
FEWEST_PIXELS = 10  # of a class: below it a part of the split would be empty or a single pixel
_FEWEST_BLOCKS = 9  # of a class, so that all three parts come from several places
_MARGIN_FROM = 4  # blocks narrower than this would lose most of their pixels to a margin


@dataclass(frozen=True, eq=False)
class RegionSplit:
    """Where each labelled pixel went.

    ``LEFT_OUT`` are pixels without a label, and training pixels beside held-out ones of their class.
    """

    parts: NDArray[np.uint8]  # (Y, X) position in PARTS
    notes: tuple[str, ...] = ()  # what the user should know, one sentence each


def split_regions(
    labels: NDArray[np.integer],
    names: tuple[str, ...],
    *,
    validation_share: float,
    test_share: float,
    block: int,
    seed: int,
    folds: int = 0,
    fold: int = 0,
) -> RegionSplit:
    """Split labelled pixels into training, validation and test, the same for the same seed.

    Neighbouring pixels share a beam spot, a grain and drift, so that a random split of pixels would tell
    how well neighbours are remembered. Whole blocks of the map are dealt instead, for each class by itself,
    so that each class has its share in each part; then training pixels that touch a held-out pixel of their
    class are left out. A class that covers too few blocks gets smaller ones, down to single pixels, and a
    note says so.

    ``labels``: (Y, X): 1 … K for the K names, 0 for no label. ``block``: edge of a block, pixels. ``folds``,
    ``fold``: above 0: each class is dealt in so many equal parts, of which one, from 0, is the test and the
    next one the validation, in place of the shares. The parts are the same whichever is the test. Raises
    InvalidInput when a class has fewer than 10 pixels.
    """
    parts = np.full(labels.shape, LEFT_OUT, dtype=np.uint8)
    shares: tuple[float, ...] = (1.0 - validation_share - test_share, validation_share, test_share)
    if folds:
        shares = (1.0 / folds,) * folds
        role = np.zeros(folds, dtype=np.uint8)
        role[(fold + 1) % folds], role[fold] = 1, 2
    notes = []
    for number, name in enumerate(names, start=1):
        mask = labels == number
        pixels = int(mask.sum())
        if pixels < FEWEST_PIXELS:
            raise InvalidInput(
                f"class {name!r} has {pixels} labelled pixels, too few to learn from",
                f"Label at least {FEWEST_PIXELS}, or leave the class out",
            )
        generator = np.random.default_rng([seed, number])
        edge, dealt = _deal_blocks(mask, shares, block, generator)
        if folds:
            dealt[mask] = role[dealt[mask]]
        if edge < min(block, _MARGIN_FROM):
            notes.append(
                f"{name} lies in too few places for blocks of {block} pixels: split in blocks of {edge}, "
                "so that its held-out pixels have neighbours among the training pixels"
            )
        elif edge >= _MARGIN_FROM:
            held = np.isin(dealt, (1, 2))
            beside = ndimage.binary_dilation(held, np.ones((3, 3), dtype=bool)) & (dealt == 0)
            if 2 * int(beside.sum()) < int((dealt == 0).sum()):
                dealt[beside] = LEFT_OUT
        parts[mask] = dealt[mask]
    return RegionSplit(parts, tuple(notes))


def _deal_blocks(
    mask: NDArray[np.bool_], shares: tuple[float, ...], block: int, generator: np.random.Generator
) -> tuple[int, NDArray[np.uint8]]:
    """Return the edge of the blocks that was used, and the part (Y, X) of each pixel of the mask."""
    rows, columns = np.nonzero(mask)
    wanted = [part for part, share in enumerate(shares) if share > 0]
    for edge in (block >> step for step in range(block.bit_length())):
        across = mask.shape[1] // edge + 1
        found, place = np.unique((rows // edge) * across + columns // edge, return_inverse=True)
        if len(found) < max(_FEWEST_BLOCKS, 2 * len(shares)) and edge > 1:
            continue
        part_of_block = _deal(np.bincount(place), shares, generator)
        if edge == 1 or all((part_of_block == part).any() for part in wanted):
            break
    dealt = np.full(mask.shape, LEFT_OUT, dtype=np.uint8)
    dealt[rows, columns] = part_of_block[place]
    return edge, dealt


def _deal(
    sizes: NDArray[np.intp], shares: tuple[float, ...], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the part of each block: in random order, each goes where most pixels are missing."""
    missing = np.asarray(shares) * sizes.sum()
    dealt = np.zeros(len(sizes), dtype=np.uint8)
    for number in generator.permutation(len(sizes)):
        part = int(missing.argmax())
        dealt[number] = part
        missing[part] -= sizes[number]
    return dealt
