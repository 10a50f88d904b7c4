"""Where the counts of an HDF5 map are: by paths, or for layouts that a list of paths cannot describe."""

import contextlib
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io import calibration, scans
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5 import nanomax
from napari_xrf.io.own.files import is_cube_file

MIN_CHANNELS, MAX_CHANNELS = 256, 16384
_MOST_DETECTORS = 128
_MOST_ELEMENTS = 40  # of one detector
_FIRST_KEV, _LAST_KEV = 2.0, 4.0  # where the energies of X-ray spectra begin at most, and end at least
_FINEST_UM = 0.005
_ENERGY_NAME = re.compile(r"^e$|energy|channel|mca|spectrum|spectra")
_DETECTOR_NAMES = ("detector", "element", "det", "channel")
# Two-dimensional counters of other detectors than those of X-ray fluorescence.
_NO_SPECTRA = re.compile(
    r"roi|profile|bkg|backgr|err(or|s|_|$)|resid|mask|weight|integrat|diffrac|xrd|pyfai|eiger|pilatus|frelon|maxipix|basler|pco|andor|dexela|camera|ccd|_q$|2th|tth|azim"
)
# Counters and clocks that scans list among their positions.
NO_POSITION = re.compile(r"time|clock|epoch|mca|count|energy|roi|_det\d|rate|diode|current")
# What HyperSpy calls spectra over energy that are none of X-rays.
NO_XRAYS = re.compile(r"EELS|^(CL|PL|XPS|Luminescence|TransientSpectrum)", re.IGNORECASE)
_NUMBERED_ENTRY = re.compile(r"^/entry_\d{4}/")  # of detectors that write an entry for each row of a scan
_CORRECTED = re.compile(r"_?(dt)?(corr?(ected)?|cps|norm(alised|alized)?)$")
_SOLEIL = re.compile(r"^(channel|fluospectrum)_?\d+$")
_SUM_NAME = re.compile(r"(^|_)(sum|total|all)(_|$|\d)|sum$")


@dataclass(frozen=True)
class Location:
    """Which datasets hold the counts, and how their axes run."""

    # the dataset of all detectors together and a letter for each of its axes; empty where there is none
    total: str = ""
    axes: str = ""
    singles: tuple[str, ...] = ()  # the datasets of single detectors, or one with an axis ``d``
    single_axes: str = ""
    names: tuple[str, ...] = ()  # A name for each of them
    # (Y, X) of points that are stored in one row after the other, or None when the axes say it
    map_shape: tuple[int, int] | None = None
    pixel_size: tuple[float, float] | None = None  # (dy, dx) in µm where the location itself tells it
    # rows stored against the direction of the others, (Y,), or None
    backwards: NDArray[np.bool_] | None = None
    turned_by: str = "the motor's positions put them in order"  # what is told of rows that are turned
    rows: tuple[tuple[str, ...], ...] = ()  # the datasets of ``singles`` for each row, where rows stand apart
    picked: NDArray[np.int64] | None = None  # the number of each pixel's point, (Y, X)
    positions: tuple[str, str] | None = None  # datasets of the places of rows and of columns
    scans: int = 1  # how many of one area stand along the axis ``s``
    scan: int | None = None  # which of them is wanted, None for all, one below another
    notes: tuple[str, ...] = ()  # what the user should know of it

    @property
    def main(self) -> str:
        """The path beside which calibration and times are looked for."""
        return self.total or self.singles[0]


def by_paths(
    file: Any,
    total: tuple[str, ...],
    single: str,
    axes: tuple[str, ...],
    single_axes: tuple[str, ...],
    bare: bool = False,
    grid: str = "",
) -> list[Location]:
    """Find counts by their paths, the first of ``total`` that exists; see :class:`.layouts.Layout`."""
    parts = [part.split("/") for part in single.split("|")]
    varying = [at for at, part in enumerate(parts[0]) if set(part) & set("[*")]
    if len(varying) > 1:
        # Scans beside each other are maps of their own, not detectors of one.
        depth = varying[0] + 1
        found = hdf5_file.matching(file, single)
        roots = dict.fromkeys("/".join(path.split("/")[:depth]) for path in found)
        check_number(file, len(roots))
        patterns = ["|".join("/".join([root, *part[depth:]]) for part in parts) for root in roots]
        each = [one for pattern in patterns
                for one in by_paths(file, (), pattern, axes, single_axes, bare, grid)]  # fmt: skip
        return rows_of(file, each, grid) or each
    totals = []
    for pattern in total:
        for path in hdf5_file.matching(file, pattern):
            letters = _axes_for(file, path, axes)
            if letters and (not bare or looks_spectral(file[path].shape)):
                totals.append((path, letters))
    singles, letters, names, notes = _singles(file, single, single_axes)
    starts = totals if not single and all("*" in pattern for pattern in total) else totals[:1] or [("", "")]
    each = [Location(path, its, singles, letters, names, notes=notes) for path, its in starts]
    return [as_points(file, one, grid) for one in each if one.total or one.singles]


def as_points(file: Any, location: Location, grid: str = "") -> Location:
    """Give points that stand in one row the shape of the map, from numbers of cells or positions.

    ``grid`` holds two paths beside the counts, of rows and columns: numbers of cells, or positions in µm.
    """
    letters = location.axes or location.single_axes
    if "n" not in letters:
        return location
    points = file[location.main].shape[letters.index("n")]
    nodes = _beside(file, location.main, grid)
    if len(nodes) == 2:
        slow, fast = (np.asarray(hdf5_file.array_of(node), dtype=np.float64).ravel() for node in nodes)
        if slow.size == fast.size == 1 and slow[0] * fast[0] >= points > 0:
            return replace(location, map_shape=(int(slow[0]), int(fast[0])))
        for rows, columns, swapped in ((slow, fast, False), (fast, slow, True)):
            found = scans.grid_from_positions(rows[:points], columns[:points])
            if found is not None and rows.size >= points:
                sizes, told = _lengths([step for _, step in found.motors], nodes[0])
                note = "The scan ran along y: the map's rows are its columns."
                return replace(
                    location,
                    map_shape=found.shape,
                    pixel_size=sizes,
                    backwards=scans.reversed_rows(columns[:points], found.shape),
                    notes=(*location.notes, *told, *([note] if swapped else [])),
                )
    note = f"The file does not say how its {points} points form a map; they stand in one row."
    return replace(location, map_shape=(1, points), notes=(*location.notes, note))


def rows_of(file: Any, found: list[Location], grid: str) -> list[Location]:
    """Return the one map whose rows stand in entries of their own, as their positions tell; else none."""
    if len(found) < 2 or any("n" not in one.single_axes or len(one.singles) != 1 for one in found):
        return []
    places = [_beside(file, one.main, grid) for one in found]
    if not any(places) and all(_NUMBERED_ENTRY.match(one.main) for one in found):
        return [_of_rows(file, found)]  # a detector's own file: what moved stands elsewhere
    if any(len(nodes) != 2 for nodes in places):
        return []
    slow, fast = ([np.asarray(hdf5_file.array_of(nodes[at]), dtype=np.float64).ravel() for nodes in places]
                  for at in (0, 1))  # fmt: skip
    still, moves = (float(np.median([np.ptp(one) for one in part])) for part in (slow, fast))
    heights = np.array([np.median(one) for one in slow])
    steps = np.abs(np.diff(heights))
    if not still < 0.5 * float(np.median(steps)) or not moves or np.any(np.diff(np.sign(np.diff(heights)))):
        return []
    columns = max(one.size for one in fast)
    positions = np.full((len(found), columns), np.nan)
    for row, one in enumerate(fast):
        positions[row, : one.size] = one
    step = float(np.nanmedian(np.abs(np.diff(positions, axis=1))))
    note = f"The {len(found)} entries of the file are the rows of one map."
    sizes, told = _lengths([float(f"{np.median(steps):.9g}"), float(f"{step:.9g}")], places[0][0])
    return [
        replace(
            found[0],
            map_shape=(len(found), columns),
            rows=tuple(one.singles for one in found),
            pixel_size=sizes,
            backwards=scans.reversed_rows(positions, positions.shape),
            notes=(note, *told),
        )
    ]


def _of_rows(file: Any, found: list[Location]) -> Location:
    """Return the map whose rows stand in numbered entries, their places in a file beside, or nowhere."""
    points = max(file[one.main].shape[one.single_axes.index("n")] for one in found)
    together = replace(
        found[0], map_shape=(len(found), points), rows=tuple(one.singles for one in found), notes=()
    )
    places = nanomax.places_beside(Path(file.filename), len(found))
    if places is None or places[0].shape[1] < points:
        note = (
            f"The {len(found)} entries of the file are taken for the rows of one map, all in one direction: "
            "the positions are in another file."
        )
        return replace(together, notes=(note,))
    across, down = places[0][:, :points], places[1]
    steps = [float(f"{np.median(np.abs(np.diff(each, axis=-1))):.9g}") for each in (down, across)]
    return replace(
        together,
        pixel_size=(steps[0], steps[1]) if all(steps) else None,
        backwards=scans.reversed_rows(across, across.shape),
    )


def _lengths(steps: list[float], positions: Any) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Return the pixel size of steps of rows and columns, µm, and a warning where the unit is a guess."""
    # No beam of X-rays is finer: such steps are not in µm.
    default = "um" if min(steps) >= _FINEST_UM else ""
    factor, note = scans.um_per(hdf5_file.text_attribute(positions, "units"), default)
    size = None if factor is None or not all(steps) else (steps[0] * factor, steps[1] * factor)
    return size, (note,) if note else ()


def check_number(file: Any, found: int) -> None:
    """Raise FileError where what a pattern found may be cut short."""
    if found >= hdf5_file.MOST_CHILDREN:
        raise FileError(
            file.filename, f"holds {found} scans or detectors and more", "Name one dataset (--dataset)"
        )


def spectra_among(file: Any, paths: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which of several counters are detectors of X-ray fluorescence, each counted once, and warnings.

    Profiles of images, diffraction and sums of the others are left out. Of different numbers of channels
    those hold that are powers of two, as analysers have, then the most frequent.
    """
    named = {path: counter_name(path).lower() for path in paths}
    kept = [path for path in paths if not _NO_SPECTRA.search(named[path])]
    notes = []
    if kept and (left := [path for path in paths if path not in kept]):
        notes.append(f"{', '.join(map(counter_name, left))} are not taken for spectra of X-ray fluorescence.")
    sizes = [file[path].shape[-1] for path in kept]
    if len(set(sizes)) > 1:
        best = max(sizes, key=lambda size: (size & (size - 1) == 0, sizes.count(size)))
        left = [path for path, size in zip(kept, sizes, strict=True) if size != best]
        kept = [path for path in kept if path not in left]
        notes.append(
            f"{', '.join(map(counter_name, left))} have not the {best} channels of the others: they are left "
            "out, and read by their names (--dataset)."
        )
    twins = [path for path in kept if _CORRECTED.sub("", named[path]) in set(named.values()) - {named[path]}]
    kept = [path for path in kept if path not in twins]
    parts = [path for path in kept if not _SUM_NAME.search(named[path])]
    sums = [path for path in kept if path not in parts] if parts else []
    if sums:
        notes.append(f"{', '.join(map(counter_name, sums))} is a sum, and not counted again.")
    if twins:
        notes.append(f"{', '.join(map(counter_name, twins))}: made of the others, and not counted again.")
    return tuple(parts or kept), tuple(notes)


def counter_name(path: str) -> str:
    """Return the name of a counter: the last of its path that is neither ``data`` nor ``counts``."""
    return posixpath.basename(path.removesuffix("/data").removesuffix("/counts"))


def own_cube(file: Any) -> list[Location]:
    """Find the counts of a map that this package wrote."""
    mine = is_cube_file(file) and _axes_for(file, "/map/data/counts", ("yxe",))
    return [Location("/map/data/counts", "yxe")] if mine else []


def maps_v9(file: Any) -> list[Location]:
    """Find the counts of MAPS v9: channels first, but one writer puts them last."""
    path = "/MAPS/mca_arr"
    dataset = hdf5_file.dataset_at(file, path)
    if dataset is None or dataset.ndim != 3:
        return []
    for name in ("/MAPS/energy", "/MAPS/int_spec"):
        axis = hdf5_file.dataset_at(file, name)
        lengths = set(axis.shape) if axis is not None and axis.ndim else set()
        if dataset.shape[2] in lengths and dataset.shape[0] not in lengths:
            return [Location(path, "yxe")]
    return [Location(path, "eyx")]


def hyperspy(file: Any) -> list[Location]:
    """Find the experiments whose only signal axis is energy; the file says which axis is which."""
    found = []
    for title in hdf5_file.children(hdf5_file.group_at(file, "/Experiments")):
        path = f"/Experiments/{title}/data"
        dataset = hdf5_file.dataset_at(file, path)
        axes = hyperspy_axes(file, path) if dataset is not None and 1 <= dataset.ndim <= 4 else []
        signal = [at for at, axis in enumerate(axes) if not axis["navigate"]]
        if dataset is None or len(axes) != dataset.ndim or len(signal) != 1:
            continue
        energy = axes[signal[0]]
        said = hdf5_file.text_attribute(
            hdf5_file.group_at(file, f"/Experiments/{title}/metadata/Signal"), "signal_type"
        )
        if NO_XRAYS.search(said):
            continue
        # One that was never calibrated has no unit.
        is_energy = energy["name"].lower().startswith("energy") or said.startswith("EDS")
        if energy["units"].lower() in ("kev", "ev") or (
            is_energy and dataset.shape[signal[0]] >= MIN_CHANNELS
        ):
            names = [axis["name"].lower() for axis in axes]
            found.append(_scans_below(file, Location(path, _letters(names, dataset, signal[0]))))
    return found


def hyperspy_axes(file: Any, at: str) -> list[dict[str, Any]]:
    """Return navigate, offset, scale, units, name and list of each axis of a HyperSpy dataset, in order.

    The only axis in units of energy is the signal's, also where the file holds images over energy.
    """
    parent = hdf5_file.group_at(file, posixpath.dirname(at))
    axes: list[dict[str, Any]] = []
    while parent is not None and len(axes) < 8:
        group = hdf5_file.group_at(parent, f"axis-{len(axes)}")
        if group is None:
            break
        numbers = {
            name: hdf5_file.number_of(hdf5_file.attribute(group, name)) for name in ("offset", "scale")
        }
        axes.append(
            {
                "navigate": bool(hdf5_file.attribute(group, "navigate", True)),
                "offset": numbers["offset"] or 0.0,
                "scale": numbers["scale"] or 1.0,
                "units": hdf5_file.text_attribute(group, "units"),
                "name": hdf5_file.text_attribute(group, "name"),
                "listed": hdf5_file.dataset_at(group, "axis"),
            }
        )
    energies = [axis for axis in axes if axis["units"].lower() in ("kev", "ev")]
    for axis in axes if len(energies) == 1 else ():
        axis["navigate"] = axis is not energies[0]
    return axes


def pymca_workspace(file: Any) -> list[Location]:
    """Find the detectors of a PyMca workspace, energy last where ``interpretation`` is "spectrum".

    Those of PyMca's other name, ``mca_0``, hold maps here; scans of points are of a SPEC command (BLISS).
    """
    found = by_paths(file, (), "/*/instrument/detector_[0-9]*/data", (), ("yxe", "ne"))
    found += by_paths(file, (), "/*/instrument/mca_[0-9]*/data", (), ("yxe",))
    told = []
    for one in found:
        calibrated = hdf5_file.exists(file, f"{posixpath.dirname(one.main)}/calibration")
        if not (one.main.startswith("/stack/") or "/mca_" in one.main or calibrated):
            continue  # cameras stand so too
        letters = [_image_letters(file[path], one.single_axes) for path in one.singles]
        kept = [at for at, each in enumerate(letters) if each == letters[0]]
        left = [name for at, name in enumerate(one.names) if at not in kept]
        notes = [f"{', '.join(left)} have their axes in another order and are left out."] if left else []
        told.append(
            replace(
                one,
                singles=tuple(one.singles[at] for at in kept),
                names=tuple(one.names[at] for at in kept),
                single_axes=letters[0],
                notes=(*one.notes, *notes),
            )
        )
    return told


def pymca_stack(file: Any) -> list[Location]:
    """Find a stack that PyMca exported: ``/data/NXdata/data`` or the link ``/data/data``."""
    for path in ("/data/NXdata/data", "/data/data", "/entry/NXdata/data"):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is not None and dataset.ndim == 3:
            letters = _image_letters(dataset, "yxe")
            if dataset.shape[letters.index("e")] >= MIN_CHANNELS:
                return [Location(path, letters)]
    return []


def nxfluo(file: Any) -> list[Location]:
    """Find the counts of a NeXus NXfluo entry; leading axes such as the angle of a tomogram become rows."""
    found = hdf5_file.matching(file, "/*/*/instrument/fluorescence/data|/*/instrument/fluorescence/data")
    datasets = [(path, file[path]) for path in found]
    return [
        _scans_below(file, Location(path, _scan_letters(dataset.ndim, dataset.ndim - 1)))
        for path, dataset in datasets
        if 1 <= dataset.ndim <= 5 and dataset.dtype.kind in "uif"
    ]


def xspress3(file: Any) -> list[Location]:
    """Find frames of an Xspress3 detector, (frames, element, C), or (rows, frames, element, C)."""
    folders = "/entry/instrument/detector|/entry/data|/entry*/instrument/xspress3*|/data"
    for path in hdf5_file.matching(file, "|".join(f"{folder}/data" for folder in folders.split("|"))):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or dataset.ndim not in (3, 4) or dataset.shape[-2] > _MOST_DETECTORS:
            continue
        # An energy axis beside it means that a NeXus map stands there, a link or attributes a stack of PyMca.
        plain = not hdf5_file.exists(file, posixpath.join(posixpath.dirname(path), "energy"))
        if path == "/data/data":
            linked = dataset.name != path or "interpretation" in dataset.attrs or "signal" in dataset.attrs
            few = dataset.ndim == 4 or dataset.shape[1] <= 8
            plain = plain and not linked and few and dataset.shape[-1] in (1024, 2048, 4096)
        *_, beside, _ = _axis_names(file, path, dataset)
        plain = plain and (beside in ("", ".") or beside.startswith(_DETECTOR_NAMES))
        if plain and dataset.shape[-1] >= 1024 and dataset.shape[-1] >= 8 * dataset.shape[-2]:
            names = tuple(map(str, range(dataset.shape[-2])))
            letters = "nde" if dataset.ndim == 3 else "yxde"
            # A program of one's own may write rows and columns to such a place.
            doubted = not beside and dataset.ndim == 3 and min(dataset.shape[:2]) > 1 and "xsp" not in path
            note = (
                f"Nothing says what the axes of {path} {dataset.shape} are: frames of an Xspress3 detector "
                f"with {len(names)} elements, which are summed. If they are rows and columns, name the "
                f"dataset (dataset={path!r}, --dataset {path})."
            )
            found = Location(singles=(path,), single_axes=letters, names=names, notes=(note,) * doubted)
            return [as_points(file, found)]
    return []


def edax(file: Any) -> list[Location]:
    """Find the maps of an EDAX APEX project, ``SPD`` in the group of each."""
    return [Location(path, "yxe") for path, node in hdf5_file.walk(file)
            if path.endswith("/SPD") and getattr(node, "ndim", 0) == 3]  # fmt: skip


def crono(file: Any) -> list[Location]:
    """Find the spectra of a Bruker Crono, more than its map has pixels: the file says which is whose."""
    spectra, index = (
        hdf5_file.dataset_at(file, f"/XRF/{name}") for name in ("Spectra", "SpectraSelectedIndex")
    )
    if spectra is None or index is None or spectra.ndim != 2 or index.shape[2:] not in ((), (1,)):
        return []
    picked = np.asarray(hdf5_file.array_of(index), dtype=np.int64).reshape(index.shape[:2])
    left = spectra.shape[0] - np.unique(picked).size
    notes = (f"Of {spectra.shape[0]} spectra {left} are of no pixel and left out, as the file says.",)
    return [Location("/XRF/Spectra", "ne", map_shape=picked.shape, picked=picked, notes=notes[: left > 0])]


def soleil(file: Any) -> list[Location]:
    """Find the detectors of SOLEIL's scans, whose counters have numbers, and their names as attributes."""
    found = []
    for entry in hdf5_file.children(file):
        folder = f"/{entry}/scan_data"
        named: dict[str, str] = {}
        for child in hdf5_file.children(hdf5_file.group_at(file, folder)):
            node = hdf5_file.dataset_at(file, f"{folder}/{child}")
            told = (child, *(hdf5_file.text_attribute(node, name) for name in ("alias", "long_name")))
            names = (
                name for name in (text.rpartition("/")[2].lower() for text in told) if _SOLEIL.match(name)
            )
            counter = next(names, "")
            if node is not None and counter and node.ndim in (2, 3) and node.dtype.kind in "uif":
                named.setdefault(counter, f"{folder}/{child}")
        dimensions = {file[path].ndim for path in named.values()}
        alike = sorted(name for name, path in named.items() if file[path].ndim == max(dimensions))
        if alike:
            location = Location(
                singles=tuple(named[name] for name in alike),
                single_axes="yxe" if max(dimensions) == 3 else "ne",
                names=tuple(alike),
            )
            found.append(as_points(file, location, "trajectory_2_1|trajectory_1_1"))
    return found


def nexus(file: Any) -> list[Location]:
    """Find NXdata whose signal is a map of spectra: by its axes, an energy dataset, or ``interpretation``."""
    found: list[Location] = []
    seen: list[Any] = []
    for path in _nxdata_signals(file):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or not 1 <= dataset.ndim <= 5 or dataset.dtype.kind not in "uif":
            continue
        names = _axis_names(file, path, dataset)
        energy = _energy_axis(file, path, dataset, names)
        if energy is None or path.endswith("_per_detector") or dataset.id in seen:
            continue
        seen.append(dataset.id)
        letters = _letters(names, dataset, energy)
        beside = _auxiliary(file, path, dataset, energy)
        if dataset.ndim == 2 and dataset.shape[1 - energy] > 1:
            points = letters.replace("x", "n")
            found.append(_scattered(file, Location(path, points)))
        elif beside:
            singles, notes = spectra_among(file, [path, *beside])
            one = Location(
                singles=singles, single_axes=letters, names=tuple(map(counter_name, singles)), notes=notes
            )
            found.append(replace(one, positions=places_of(file, one)))
        elif "d" in letters:
            numbers = tuple(map(str, range(dataset.shape[letters.index("d")])))
            one = Location(singles=(path,), single_axes=letters, names=numbers)
            found.append(_scans_below(file, replace(one, positions=places_of(file, one))))
        else:
            one = Location(path, letters)
            one = replace(one, positions=places_of(file, one))
            found.append(_with_detectors(file, _scans_below(file, one), dataset))
    return found


def beside_energies(file: Any) -> list[Location]:
    """Find datasets (Y, X, E), energy anywhere, with the energies of that axis beside them, as scripts do."""
    found = []
    for path, node in hdf5_file.walk(file):
        folder, _, name = path.rpartition("/")
        plain = (
            getattr(node, "ndim", 0) == 3
            and node.dtype.kind in "uif"
            and not _NO_SPECTRA.search(name.lower())
        )
        for beside in hdf5_file.children(hdf5_file.group_at(file, folder or "/")) if plain else ():
            scale = hdf5_file.dataset_at(file, f"{folder}/{beside}") if "energ" in beside.lower() else None
            if scale is None or scale.ndim != 1 or scale.dtype.kind not in "uif":
                continue
            at = [
                axis
                for axis, size in enumerate(node.shape)
                if size >= MIN_CHANNELS and 0 <= scale.size - size <= 1
            ]
            with contextlib.suppress(InvalidInput):
                units = hdf5_file.text_attribute(scale, "units")
                axis, _ = calibration.axis_from_energies(hdf5_file.array_of(scale), units, may_fall=True)
                if len(at) == 1 and axis.offset < _FIRST_KEV and axis.energies[-1] > _LAST_KEV:
                    found.append(Location(path, _scan_letters(3, at[0])))
                    break
    return found


def looks_spectral(shape: tuple[int, ...]) -> bool:
    """Tell whether a shape speaks for (Y, X, E): many channels, twice as many as rows and columns."""
    return (
        len(shape) == 3
        and MIN_CHANNELS <= shape[2] <= MAX_CHANNELS
        and shape[2] >= 2 * max(shape[:2])
        and min(shape[:2]) > 0
    )


def _beside(file: Any, at: str, grid: str) -> list[Any]:
    """Return the datasets of numbers that paths beside the counts, ``rows|columns``, lead to."""
    folder = posixpath.dirname(at)
    paths = [posixpath.normpath(posixpath.join(folder, part)) for part in grid.split("|") if part]
    nodes = (hdf5_file.dataset_at(file, path) for path in paths)
    return [node for node in nodes if node is not None and node.dtype.kind in "uif"]


def _axes_for(file: Any, path: str, axes: tuple[str, ...]) -> str:
    dataset = hdf5_file.dataset_at(file, path)
    if dataset is None or dataset.dtype.kind not in "uif":
        return ""
    return next((letters for letters in axes if len(letters) == dataset.ndim), "")


def _singles(
    file: Any, pattern: str, axes: tuple[str, ...]
) -> tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]:
    """Return the paths of detectors, the letters of their axes, their names, and warnings."""
    matched = [path for path in (hdf5_file.matching(file, pattern) if pattern else [])
               if _axes_for(file, path, axes)]  # fmt: skip
    if not matched:
        return (), "", (), ()
    letters = _axes_for(file, matched[0], axes)
    paths = [path for path in matched if file[path].ndim == len(letters)]
    left = [path for path in matched if path not in paths]
    notes = (f"{', '.join(left)} have other dimensions than {paths[0]} and are left out.",) if left else ()
    if "d" in letters:
        count = file[paths[0]].shape[letters.index("d")]
        return (paths[0],), letters, tuple(map(str, range(count))), notes
    parts = [path.strip("/").split("/") for path in paths]
    varying = next((at for at, part in enumerate(pattern.split("|")[0].strip("/").split("/"))
                    if set(part) & set("[*")), len(parts[0]) - 1)  # fmt: skip
    return tuple(paths), letters, tuple(part[varying] for part in parts), notes


def _image_letters(dataset: Any, otherwise: str) -> str:
    image = hdf5_file.text_attribute(dataset, "interpretation") == "image"
    return "eyx" if image and dataset.ndim == 3 else otherwise


def _scan_letters(ndim: int, energy: int) -> str:
    """Letters of ``ndim`` axes of which one is energy: the last two others are rows and columns."""
    letters = {1: "", 2: "x", 3: "yx", 4: "syx", 5: "dsyx"}[ndim]
    return letters[:energy] + "e" + letters[energy:]


def _scans_below(file: Any, found: Location) -> Location:
    """Count the scans of one area (angles, heights, times) that a dataset holds."""
    letters = found.axes or found.single_axes
    count = file[found.main].shape[letters.index("s")] if "s" in letters else 1
    return replace(found, scans=count)


def _nxdata_signals(file: Any) -> list[str]:
    """Return the paths of the signals of all NXdata groups and of marked spectra, nearest the root first."""
    found, signals = [], {"": hdf5_file.text_attribute(file, "signal")}
    for path, node in hdf5_file.walk(file):
        if not hasattr(node, "ndim"):
            signals[path] = hdf5_file.text_attribute(node, "signal")
            continue
        folder, _, name = path.rpartition("/")
        marked = hdf5_file.text_attribute(node, "signal") == "1"
        spectrum = hdf5_file.text_attribute(node, "interpretation") == "spectrum"
        if signals[folder] == name or marked or spectrum or (name.startswith("mca") and node.ndim == 3):
            found.append(path)
    return found


def places_of(file: Any, location: Location) -> tuple[str, str] | None:
    """Return the datasets that the counts' axes y and x name, None where they name none."""
    path, letters = location.main, location.axes if location.total else location.single_axes
    named = _names_of_axes(file, path, file[path])
    beside = [f"{posixpath.dirname(path)}/{named[letters.index(one)]}" for one in "yx"
              if one in letters and named[letters.index(one)]]  # fmt: skip
    there = len(beside) == 2 and all(hdf5_file.dataset_at(file, one) is not None for one in beside)
    return (beside[0], beside[1]) if there else None


def _axis_names(file: Any, path: str, dataset: Any) -> list[str]:
    return [name.lower() for name in _names_of_axes(file, path, dataset)]


def _names_of_axes(file: Any, path: str, dataset: Any) -> list[str]:
    value = hdf5_file.attribute(dataset, "axes")
    if value is None:
        value = hdf5_file.attribute(file[posixpath.dirname(path)], "axes")
    names = list(hdf5_file.texts_of(value)) if value is not None else []
    if len(names) == 1 and dataset.ndim > 1:
        names = re.split(r"[:,\s]+", names[0].strip("[] "))
    names = names if len(names) == dataset.ndim else [""] * dataset.ndim
    return _named_by_axes(file, path, dataset, names)


def _named_by_axes(file: Any, path: str, dataset: Any, names: list[str]) -> list[str]:
    """Fill axes without a name by the datasets that say which axis they are of: ``x_indices``, ``axis``."""
    group, named = file[posixpath.dirname(path)], list(names)
    for child in hdf5_file.children(group) if any(name in ("", ".") for name in names) else ():
        scale = hdf5_file.dataset_at(group, child)
        if scale is None or scale.ndim != 1:
            continue
        index = hdf5_file.number_of(hdf5_file.attribute(group, f"{child}_indices"))
        number = hdf5_file.number_of(hdf5_file.attribute(scale, "axis"))
        at = int(index if index is not None else (number or 0) - 1)
        fits = 0 <= at < dataset.ndim and 0 <= scale.shape[0] - dataset.shape[at] <= 1
        if fits and named[at] in ("", "."):
            named[at] = child
    return named


def _energy_axis(file: Any, path: str, dataset: Any, names: list[str]) -> int | None:
    for at, name in enumerate(names):
        if _ENERGY_NAME.search(name) and dataset.shape[at] >= 16:
            return at
    last = dataset.ndim - 1
    if dataset.shape[last] < MIN_CHANNELS:
        return None
    spectrum = hdf5_file.text_attribute(dataset, "interpretation") == "spectrum"
    nameless = [at for at, name in enumerate(names) if name in ("", ".")]
    # Places are named, detectors and channels are not (GDA); an image has two long sides.
    counted = (
        nameless[-1:] == [last] and len(nameless) < dataset.ndim and not _NO_SPECTRA.search(path.lower())
    )
    if counted and max((dataset.shape[at] for at in nameless[:-1]), default=0) <= _MOST_ELEMENTS:
        spectrum = True
    if spectrum or posixpath.basename(path).startswith("mca"):
        return last
    beside = posixpath.dirname(path)
    for name in ("energy", "mca_energy", "channels"):
        axis = hdf5_file.dataset_at(file, f"{beside}/{name}")
        if axis is not None and axis.shape in ((dataset.shape[last],), (dataset.shape[last] + 1,)):
            return last
    return None


def _letters(names: list[str], dataset: Any, energy: int) -> str:
    others = [at for at in range(dataset.ndim) if at != energy]
    detector = next((at for at in others if names[at].startswith(_DETECTOR_NAMES)), None)
    nameless = [at for at in others if names[at] in ("", ".")]
    if detector is None and len(others) == 3 and len(nameless) == 1:  # beside two axes that have names
        detector = nameless[0] if dataset.shape[nameless[0]] <= _MOST_DETECTORS else None
    if detector is not None:
        others.remove(detector)
    plain = "syx"[3 - len(others) :] if len(others) <= 3 else "dsyx"
    letters = dict(zip(others, plain, strict=True))
    last = others[-2:]
    if len(last) == 2 and scans.x_first(names[last[0]], names[last[1]]):
        letters.update(zip(last, "xy", strict=True))
    letters[energy] = "e"
    if detector is not None:
        letters[detector] = "d"
    return "".join(letters[at] for at in range(dataset.ndim))


def _auxiliary(file: Any, path: str, dataset: Any, energy: int) -> list[str]:
    """Return the signals with as many channels that NXdata names beside the first."""
    folder = posixpath.dirname(path)
    named = hdf5_file.attribute(file[folder], "auxiliary_signals")
    paths = [f"{folder}/{name}" for name in hdf5_file.texts_of(named)] if named is not None else []
    nodes = ((one, hdf5_file.dataset_at(file, one)) for one in paths)
    return [one for one, node in nodes if node is not None and node.ndim == dataset.ndim and one != path
            and node.shape[energy] == dataset.shape[energy]]  # fmt: skip


def _scattered(file: Any, location: Location) -> Location:
    """Give points the shape of the map that two lists of their places beside the counts show."""
    folder, points = posixpath.dirname(location.main), file[location.main].shape[location.axes.index("n")]
    nodes = {name: hdf5_file.dataset_at(file, f"{folder}/{name}")
             for name in hdf5_file.children(hdf5_file.group_at(file, folder))
             if not NO_POSITION.search(name.lower())}  # fmt: skip
    places = {name: np.asarray(hdf5_file.array_of(node), dtype=np.float64) for name, node in nodes.items()
              if node is not None and node.shape == (points,) and node.dtype.kind in "uif"}  # fmt: skip
    found = scans.grid_among(places)
    if found is None:
        return as_points(file, location)
    grid, backwards = found
    (slow, height), (fast, step) = grid.motors
    factor, told = scans.um_per(hdf5_file.text_attribute(nodes[fast], "units"))
    size = None if factor is None or not height else (height * factor, step * factor)
    note = f"{fast} runs along the rows of the map, {slow} down them, as the places of the points show."
    notes = (note, told) if told else (note,)
    return replace(location, map_shape=grid.shape, pixel_size=size, backwards=backwards, notes=notes)


def _with_detectors(file: Any, location: Location, dataset: Any) -> Location:
    """Add the detectors that a dataset ``<signal>_per_detector`` beside a sum keeps apart."""
    path = f"{location.total}_per_detector"
    apart = hdf5_file.dataset_at(file, path)
    if apart is None or apart.ndim != dataset.ndim + 1 or apart.shape[1:] != dataset.shape:
        return location
    names = tuple(map(str, range(apart.shape[0])))
    return replace(location, singles=(path,), single_axes="d" + location.axes, names=names)
