"""The labelled pixels of a map as a set of spectra: gathered once, split once, kept in a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelClass, LabelMap, labels_in
from napari_xrf.core.parameters import Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io import read, read_truth, write_cube
from napari_xrf.learning.sources.region_split import LEFT_OUT, PARTS, RegionSplit, split_regions
from napari_xrf.synthesis.drawn_counts import spectra_as_cube
from napari_xrf.synthesis.mineral_map import PALETTE

_MOST_BYTES = 512 * 2**20  # of all pixels together, in the cube's own type
_KIND = "labelled pixels"
MOST_FOLDS = 10


@parameters
class PixelChoice:
    """Which labelled pixels are taken, and how they are split for training, validation and test.

    Attributes
    ----------
    background
        Name of the class whose pixels are none of the others: they teach what is unknown. None: all are
        classes.
    validation_share, test_share
        Parts of each class's pixels that are held out.
    block
        Edge in pixels of the blocks that are held out; see
        :func:`~napari_xrf.learning.sources.region_split.split_regions`.
    most_pixels
        Of a class; of more, some are drawn. Fewer are kept where all together would exceed 512 MB.
    seed
        Of split and choice.
    folds, fold
        Equal parts of each class in place of those shares, and which of them, from 0, is the test; 0: none.
    """

    background: str | None = UNKNOWN_NAME
    validation_share: Annotated[float, Limits(0.1, 0.4)] = 0.15
    test_share: Annotated[float, Limits(0.1, 0.4)] = 0.15
    block: Annotated[int, Limits(1, 1000)] = 8
    most_pixels: Annotated[int, Limits(30, 10_000_000)] = 5000
    seed: int = 0
    folds: Annotated[int, Limits(0, MOST_FOLDS)] = 0
    fold: Annotated[int, Limits(0, MOST_FOLDS - 1)] = 0

    def __post_init__(self) -> None:
        if self.folds in (1, 2) or self.fold >= max(self.folds, 1):
            raise InvalidInput(
                f"part {self.fold} of {self.folds} cannot be the test",
                "Take three parts or more: one to learn from, one to choose by, one to judge by",
            )


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """Spectra of a map with their classes, which have labels 2, 3, … as those of models."""

    counts: NDArray[np.unsignedinteger[Any]]  # (N, E)
    axis: EnergyAxis
    classes: tuple[LabelClass, ...]  # K
    label: NDArray[np.int64]  # (N,) position of the class; K is background, which is to be called unknown
    part: NDArray[np.uint8]  # (N,) position in PARTS
    name: str = ""  # of the map
    notes: tuple[str, ...] = ()  # what the user should know, one sentence each

    @property
    def names(self) -> tuple[str, ...]:
        """The K classes."""
        return tuple(each.name for each in self.classes)

    def table(self) -> list[dict[str, Any]]:
        """Return how many pixels of each class are in each part, background last where there is some."""
        rows = []
        for number, name in enumerate([*self.names, UNKNOWN_NAME]):
            here = self.part[self.label == number]
            if len(here):
                numbers = np.bincount(here, minlength=len(PARTS)).tolist()
                rows.append({"name": name, **dict(zip(PARTS, numbers, strict=True))})
        return rows


def gather_pixels(
    cube: SpectralCube,
    labels: LabelMap | NDArray[np.integer],
    names: Mapping[int, str] | Sequence[str] | None = None,
    *,
    progress: Progress = ignore_progress,
    **choice: Any,
) -> LabelledPixels:
    """Return the spectra of a map's labelled pixels, split for training, validation and test.

    Raises InvalidInput when the shapes differ, nothing is labelled, fewer than two kinds of pixels are, a
    class has too few pixels, or a name stands twice.

    ``labels``: (Y, X) classes of the map's pixels; 0 is no label. ``names``: names of integer labels, by
    number or from 1 up; ``"class 1"``, … when left out. Not for a LabelMap, which has its own. ``choice``:
    fields of :class:`PixelChoice`.
    """
    options, found = PixelChoice(**choice), _label_map(labels, names)
    if found.labels.shape != cube.map_shape:
        raise InvalidInput(
            f"labels of {found.labels.shape[0]} × {found.labels.shape[1]} pixels do not fit the map of "
            f"{cube.map_shape[0]} × {cube.map_shape[1]}",
            "Label this map",
        )
    classes, numbered = _number_classes(found, options.background)
    background = (UNKNOWN_NAME,) if (numbered > len(classes)).any() else ()
    kinds = (*(each.name for each in classes), *background)
    split = split_regions(
        numbered,
        kinds,
        validation_share=options.validation_share,
        test_share=options.test_share,
        block=options.block,
        seed=options.seed,
        folds=options.folds,
        fold=options.fold,
    )
    cost = cube.shape[2] * cube.counts.dtype.itemsize
    most = min(options.most_pixels, max(30, _MOST_BYTES // max(cost * len(kinds), 1)))
    chosen, notes = _choose(numbered, split, kinds, most, options.seed)
    counts = np.empty((int(chosen.sum()), cube.shape[2]), dtype=cube.counts.dtype)
    filled = 0
    for band, block in cube.blocks():
        taken = block[chosen[band]]
        counts[filled : filled + len(taken)] = taken
        filled += len(taken)
        progress(band.stop, cube.shape[0], "gathering labelled pixels")
    return LabelledPixels(
        counts,
        cube.energy,
        classes,
        (numbered[chosen] - 1).astype(np.int64),
        split.parts[chosen],
        cube.name,
        notes,
    )


def write_pixels(path: str | Path, pixels: LabelledPixels, *, progress: Progress = ignore_progress) -> None:
    """Write labelled pixels to .h5, as a map of one column with its truth, which napari opens too."""
    cube = spectra_as_cube(pixels.counts, pixels.axis, pixels.name)
    about = {"kind": _KIND, "classes": [asdict(each) for each in pixels.classes], "notes": list(pixels.notes)}
    truth = {"label": pixels.label, "part": pixels.part, "parameters": about}
    write_cube(path, cube, truth=truth, progress=progress)


def read_pixels(path: str | Path) -> LabelledPixels:
    """Read what :func:`write_pixels` wrote.

    Raises FileError when the file is another or damaged.
    """
    truth = read_truth(path)
    about = truth.get("parameters")
    if not isinstance(about, dict) or about.get("kind") != _KIND:
        raise FileError(path, "holds no labelled pixels", "Gather them from a map and its labels")
    cube = read(path).load()
    try:
        return LabelledPixels(
            np.asarray(cube.counts)[:, 0],
            cube.energy,
            tuple(LabelClass(**each) for each in about["classes"]),
            np.asarray(truth["label"], dtype=np.int64),
            np.asarray(truth["part"], dtype=np.uint8),
            cube.name,
            tuple(about["notes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(path, f"its labelled pixels are damaged ({error!r})") from error


def _label_map(
    labels: LabelMap | NDArray[np.integer], names: Mapping[int, str] | Sequence[str] | None
) -> LabelMap:
    if isinstance(labels, LabelMap):
        if names is not None:
            raise InvalidInput("a label map names its classes itself", "Leave names out")
        return labels
    values = np.asarray(labels)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise InvalidInput(f"labels must be (Y, X) whole numbers, not {values.shape} {values.dtype}")
    if values.size and values.min() < 0:
        raise InvalidInput("labels must not be negative", "0 is no label")
    named = dict(names) if isinstance(names, Mapping) else dict(enumerate(names or (), start=1))
    present = sorted(set(np.unique(values).tolist()) - {0})
    if names is not None and (nameless := [label for label in present if label not in named]):
        raise InvalidInput(f"label {nameless[0]} has no name", "Name every label")
    classes = tuple(
        LabelClass(label, named.get(label, f"class {label}"), color=PALETTE[place % len(PALETTE)])
        for place, label in enumerate(present)
    )
    return LabelMap(values.astype(np.uint32), classes)


def _number_classes(
    labels: LabelMap, background: str | None
) -> tuple[tuple[LabelClass, ...], NDArray[np.integer]]:
    """Return the classes that have pixels, and labels 1 … K for them, K + 1 for background, 0 for none."""
    present = labels_in(labels.labels) - {0}
    if not present:
        raise InvalidInput("no pixel is labelled", "Paint some pixels of each class first")
    there = [each for each in labels.classes if each.label in present]
    kept = [each for each in there if each.name != background]
    names = [each.name for each in kept]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{', '.join(twice)} stands twice among the classes", "Give each class one name")
    if not kept:
        raise InvalidInput(f"only {background} is labelled", "Paint some pixels of each class")
    if background is None and UNKNOWN_NAME in names:
        raise InvalidInput(f"{UNKNOWN_NAME!r} is the name for what no class explains", "Rename the class")
    numbered = np.zeros(labels.labels.shape, dtype=np.int64)
    for each in there:
        number = len(kept) if each.name == background else kept.index(each)
        numbered[labels.labels == each.label] = number + 1
    return tuple(replace(each, label=number) for number, each in enumerate(kept, start=2)), numbered


def _choose(
    numbered: NDArray[np.integer], split: RegionSplit, kinds: tuple[str, ...], most: int, seed: int
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return which pixels (Y, X) are kept, and notes: in each part as large a share as in the others."""
    chosen = split.parts != LEFT_OUT
    notes = list(split.notes)
    generator = np.random.default_rng([seed, 0])
    for number, name in enumerate(kinds, start=1):
        mine = np.flatnonzero(chosen & (numbered == number))
        if len(mine) <= most:
            continue
        part = split.parts.reshape(-1)[mine]
        for each in range(len(PARTS)):
            places = mine[part == each]
            kept = max(1, round(most * len(places) / len(mine)))
            chosen.reshape(-1)[generator.permutation(places)[kept:]] = False
        notes.append(f"{most} of the {len(mine)} pixels of {name} are used")
    return chosen, tuple(notes)
