"""Where the layouts of HDF5 files keep their calibration, times, positions and beam energy.

The functions here make small readers out of paths, for the rows of :mod:`napari_xrf.io.hdf5.layouts`.
A path is absolute (``/MAPS/energy``, with ``*`` where names vary) or, when it does not begin with ``/``,
relative to the group that holds the counts (``energy``, ``../energy``). ``path@name`` means an attribute,
``{}@name`` one of the counts themselves.
"""

import posixpath
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.io import calibration, scans
from napari_xrf.io.calibration import Calibration
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5.location import NO_POSITION
from napari_xrf.io.hdf5.scaling import scaling_of
from napari_xrf.io.scans import um_per

# Each takes the open file, the path of the counts and the number of channels; InvalidInput for nonsense.
CalibrationReader = Callable[[Any, str, int], Calibration | None]
Try = Callable[[], Calibration | None]
# (dy, dx) in µm, warnings, and the position of the fast motor at each pixel, (Y, X), where the file has it.
PixelSize = tuple[tuple[float, float] | None, tuple[str, ...], NDArray[np.float64] | None]
PixelSizeReader = Callable[[Any, str], PixelSize]


def find(file: Any, at: str, where: str) -> list[Any]:
    """Return the datasets or attribute values that a path stands for, seen from the counts at ``at``."""
    path, _, name = where.replace("{}", "/" + at.strip("/")).partition("@")
    full = path if path.startswith("/") else posixpath.join(posixpath.dirname("/" + at.strip("/")), path)
    full = posixpath.normpath(full)
    if name:
        node = hdf5_file.group_at(file, full) or hdf5_file.dataset_at(file, full)
        value = None if node is None else hdf5_file.attribute(node, name)
        return [] if value is None else [value]
    found = (hdf5_file.dataset_at(file, path) for path in hdf5_file.matching(file, full))
    return [dataset for dataset in found if dataset is not None]


def energies(*paths: str) -> CalibrationReader:
    """Read the energies of all channels, or of their edges, from the first path that holds as many."""

    def candidates(file: Any, at: str, size: int) -> Iterator[Try]:
        for path in paths:
            for dataset in find(file, at, path):
                fits = dataset.shape in ((size,), (size + 1,)) and dataset.dtype.kind in "uif"
                if fits and dataset.name != at and size > 1:
                    units = hdf5_file.text_attribute(dataset, "units")
                    values = _numbers(dataset)
                    yield partial(calibration.axis_from_energies, values, units, size, may_fall=True)

    return _first(candidates)


def polynomial(*paths: str, reverse: bool = False) -> CalibrationReader:
    """Read the coefficients [a, b, c] of E = a + b·channel + c·channel² from a dataset or attribute.

    A list of ``channels`` beside the counts says which these are.
    """

    def candidates(file: Any, at: str, size: int) -> Iterator[Try]:
        for path in paths:
            for value in find(file, at, path):
                terms = _numbers(value).ravel()
                if 2 <= terms.size <= 4:
                    ordered = (terms[::-1] if reverse else terms).tolist()
                    first, step = _channels(file, at, size)
                    yield partial(calibration.axis_from_polynomial, ordered, size, first=first, step=step)

    return _first(candidates)


def coefficients(*paths: str, units: str = "keV") -> CalibrationReader:
    """Read a, b and c from one path each; c may be missing."""

    def candidates(file: Any, at: str, size: int) -> Iterator[Try]:
        found = (find(file, at, path) for path in paths)
        values = [hdf5_file.number_of(value[0]) if value else None for value in found]
        if values[0] is not None and values[1] is not None:
            terms = [value or 0.0 for value in values]
            yield partial(calibration.axis_from_polynomial, terms, size, units)

    return _first(candidates)


def points(path: str) -> CalibrationReader:
    """Read pairs [[channel, keV], …] and fit a line."""

    def candidates(file: Any, at: str, size: int) -> Iterator[Try]:
        for pairs in map(_numbers, find(file, at, path)):
            if pairs.ndim == 2 and pairs.shape[1] == 2 and pairs.shape[0] >= 2:
                yield partial(calibration.axis_from_points, pairs[:, 0], pairs[:, 1], size)

    return _first(candidates)


def span(first: float, last: float) -> CalibrationReader:
    """Assume an axis from ``first`` to ``last`` keV, and say so."""

    def read(file: Any, at: str, size: int) -> Calibration | None:
        del file, at
        axis, _ = calibration.axis_from_energies(np.linspace(first, last, size), "keV")
        note = f"No energy calibration in the file: its program's default, {first} to {last} keV, is assumed."
        return axis, (note,)

    return read


def first_of(*readers: CalibrationReader) -> CalibrationReader:
    """Ask readers in turn."""

    def candidates(file: Any, at: str, size: int) -> Iterator[Try]:
        for reader in readers:
            yield partial(reader, file, at, size)

    return _first(candidates)


def said_by_name(file: Any, at: str, size: int) -> Calibration | None:
    """Read offset and gain by their names: attributes of the counts or their group, numbers beside them."""
    group = hdf5_file.group_at(file, posixpath.dirname(at))
    nodes = [one for one in (hdf5_file.dataset_at(file, at), group) if one is not None]
    told = [
        {name: hdf5_file.attribute(node, name) for name in hdf5_file.attribute_names(node)} for node in nodes
    ]
    told.append({name: hdf5_file.dataset_at(file, f"{posixpath.dirname(at)}/{name}")
                 for name in calibration.terms_among(hdf5_file.children(group)) if name})  # fmt: skip
    for values in told:
        names = calibration.terms_among(values)
        terms = [hdf5_file.number_of(values[name]) for name in names if name]
        if len(terms) == 2 and None not in terms:
            axis, notes = calibration.axis_from_polynomial([term or 0.0 for term in terms], size, "")
            return axis, (*notes, f"The energy calibration is that of {' and '.join(names)} with {at}.")
    return None


def steps(y: str, x: str, default_units: str = "") -> PixelSizeReader:
    """Take the pixel size from the positions of rows and columns, 1-D or 2-D (Y, X) datasets.

    Positions without units are taken as ``default_units``, with a warning; without a default, no pixel size.
    """

    def read(file: Any, at: str) -> PixelSize:
        sizes, notes, positions = [], [], None
        for axis, path in ((1, x), (0, y)):
            found = find(file, at, path)
            if not found or found[0].dtype.kind not in "uif" or found[0].size is None:
                return None, (), None
            values = _numbers(found[0])
            values = values.ravel() if values.ndim == 2 and 1 in values.shape else values
            units = hdf5_file.text_attribute(found[0], "units")
            numbered = not units and values.ndim == 1 and np.array_equal(values, np.arange(values.size))
            factor, note = um_per(units, "" if numbered else default_units)
            step = _step(values, axis if values.ndim == 2 else 0)
            if values.ndim == 2 and axis == 1:
                positions = values
            if factor is None or step is None:
                return None, (note,) if note and not numbered else (), positions
            sizes.append(step * factor)
            notes += [note] if note else []
        return (sizes[1], sizes[0]), tuple(dict.fromkeys(notes)), positions

    return read


def steps_of(y: str, x: str) -> PixelSizeReader:
    """Take the pixel size from two numbers in µm."""

    def read(file: Any, at: str) -> PixelSize:
        dy, dx = (next(map(hdf5_file.number_of, find(file, at, path)), None) for path in (y, x))
        return ((dy, dx) if dy and dx else None), (), None

    return read


def trajectories(pattern: str, default_units: str) -> PixelSizeReader:
    """Take the pixel size from motors whose places stand beside the counts, (Y, X), or a row or column."""

    def read(file: Any, at: str) -> PixelSize:
        shape = file[at].shape
        found = [node for part in pattern.split("|") for node in find(file, at, part)]
        found = [node for node in found if node.dtype.kind in "uif"]
        # As many rows as columns: a list of places could be of either.
        shapes = {shape[:2], (shape[0], 1)} if shape[0] != shape[1] else {shape[:2]}
        values: list[NDArray[np.float64]] = []
        listed: list[NDArray[np.float64]] = []
        for node in found if len(shape) == 3 else ():
            one = _numbers(node)
            one = one[:, None] if one.shape == (shape[0],) and (shape[0], 1) in shapes else one
            if one.shape in (*shapes, (shape[1],)):
                (values if one.shape == shape[:2] else listed).append(np.broadcast_to(one, shape[:2]))
        # What was planned for every row says nothing of the way that the motor took.
        told = any(_step(one, 1) for one in values)
        values += [one for one in listed if not (told and _step(one, 1))]
        if not values:
            return None, (), None
        factor, note = um_per(hdf5_file.text_attribute(found[0], "units"), default_units)
        return _of_positioners(np.stack(values), factor, note)

    return read


def positions(group: str, order: str, default_units: str) -> PixelSizeReader:
    """Take the pixel size from ``pos`` of a group, axes "yxn" or "nyx", by the positioner that moves most.

    ``default_units``, "mm" or "um", hold when the file does not say.
    """

    def read(file: Any, at: str) -> PixelSize:
        found = find(file, at, f"{group}/pos")
        if not found or found[0].ndim != 3:
            return None, (), None
        values = np.moveaxis(_numbers(found[0]), order.index("n"), 0)
        factor, note = um_per(hdf5_file.text_attribute(found[0], "units"), default_units)
        named = [hdf5_file.texts_of(names) for names in find(file, at, f"{group}/name")]
        if named and len(named[0]) == len(values):
            values = values[[not NO_POSITION.search(name.lower()) for name in named[0]]]
        return _of_positioners(values, factor, note)

    return read


def backwards(fast: NDArray[np.float64] | None, map_shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return the rows that positions (Y, X) show to be stored against the direction of the others."""
    if fast is None or fast.shape[1:] != map_shape[1:] or fast.shape[0] < map_shape[0]:
        return None
    return scans.reversed_rows(fast[: map_shape[0]], map_shape)


def beam_energy(file: Any, at: str, paths: tuple[str, ...]) -> float | None:
    """Return the energy of the beam in keV from the first path that holds a sensible one."""
    for value in (value for path in paths for value in find(file, at, path)):
        number = hdf5_file.number_of(value)
        units = hdf5_file.text_attribute(value, "units") if hasattr(value, "attrs") else ""
        if number is not None and 1 <= calibration.energy_in_kev(number, units) <= 200:
            return calibration.energy_in_kev(number, units)
    return None


def times(
    file: Any,
    at: str,
    path: str,
    seconds: float,
    map_shape: tuple[int, int],
    element: int | None,
    points: int | None = None,
    sources: tuple[str, ...] = (),
) -> NDArray[np.float64] | None:
    """Return live times (Y, X) in s: the mean of all detectors, or those of one.

    ``seconds``: how many make one unit of the values where these carry none.
    Times of several detectors stand along a leading axis or in one dataset each, or ``{}`` in ``path`` stands
    for each of ``sources``. ``points`` is how many pixels of a scan stored as points are measured; the others
    get 0 s.
    """
    found = find(file, at, path)
    if "{}" in path:
        texts = [path.format(*[source] * path.count("{}")).split("|") for source in sources]
        each = [[node for text in one for node in find(file, at, text)][:1] for one in texts]
        found, element = [node for one in each for node in one] if all(each) else [], None
    if not found:
        return None
    if len(found) > 1 and element is not None:
        found = found[element : element + 1]
    stacks = []
    for dataset in found:
        if dataset.dtype.kind not in "uif" or dataset.size is None or dataset.size > 2**28:
            return None
        values = _numbers(dataset)
        if values.ndim == 3 and values.shape[1:] == map_shape:
            values = values.mean(axis=0) if element is None else values[element]
        elif values.ndim == 2 and values.shape[1] == map_shape[1] and values.shape[0] >= map_shape[0]:
            values = values[: map_shape[0]]
        elif points is not None and values.shape == (points,) and points <= map_shape[0] * map_shape[1]:
            values = np.pad(values, (0, map_shape[0] * map_shape[1] - points)).reshape(map_shape)
        elif values.size == map_shape[0] * map_shape[1]:
            values = values.reshape(map_shape)
        else:
            return None
        stacks.append(values * scans.seconds_per(hdf5_file.text_attribute(dataset, "units"), seconds))
    mean = np.mean(stacks, axis=0)
    return np.asarray(mean) if np.any(mean > 0) else None


def _first(candidates: Callable[[Any, str, int], Iterator[Try]]) -> CalibrationReader:
    """Return a reader that takes the first candidate that makes sense; it raises what was wrong with them."""

    def read(file: Any, at: str, size: int) -> Calibration | None:
        wrong: InvalidInput | None = None
        for candidate in candidates(file, at, size):
            try:
                found = candidate()
            except InvalidInput as error:
                wrong = error
                continue
            if found is not None:
                return found
        if wrong is not None:
            raise wrong
        return None

    return read


def _channels(file: Any, at: str, size: int) -> tuple[float, float]:
    """Return the first channel's number and the step to the next, as ``channels`` beside the counts says."""
    for dataset in find(file, at, "channels"):
        if dataset.shape == (size,) and size > 1 and dataset.dtype.kind in "uif":
            values = _numbers(dataset)
            steps = np.diff(values)
            if values[0] >= 0 and steps[0] >= 1 and np.all(steps == steps[0]):
                return float(values[0]), float(steps[0])
    return 0.0, 1.0


def _numbers(value: Any) -> NDArray[np.float64]:
    if not hasattr(value, "id"):
        return np.asarray(value, dtype=np.float64)
    scaling = scaling_of(value)
    stored = hdf5_file.array_of(value) if value.dtype.kind in "uif" else hdf5_file.texts_of(value)
    return np.asarray(stored, dtype=np.float64) * scaling.factor + scaling.shift


def _of_positioners(values: NDArray[np.float64], factor: float | None, note: str) -> PixelSize:
    """Return the pixel size by the positioners, (N, Y, X), that move most along rows and down them."""
    across = [_step(one, 1) or 0.0 for one in values]
    fast = int(np.argmax(across)) if across else 0
    # In a snake scan the fast positioner stands elsewhere from row to row.
    down = [_step(one, 0) or 0.0 for at, one in enumerate(values) if at != fast]
    sizes = max(down, default=0.0), max(across, default=0.0)
    if factor is None or not all(sizes):
        return None, (), values[fast] if sizes[1] else None
    return (sizes[0] * factor, sizes[1] * factor), (note,) if note else (), values[fast]


def _step(values: NDArray[np.float64], axis: int) -> float | None:
    """Return the median step between neighbours along an axis, or None where there is none."""
    if values.ndim <= axis or values.shape[axis] < 2:
        return None
    moves = np.abs(np.diff(values, axis=axis))
    step = float(np.median(moves[np.isfinite(moves)])) if np.isfinite(moves).any() else 0.0
    # Differences of positions carry rounding errors in their last digits.
    return float(f"{step:.9g}") if step > 0 else None
