"""Where the counts of an HDF5 map are, for layouts that a list of paths cannot describe."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import Any

from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.own import cube_files

MIN_CHANNELS, MAX_CHANNELS = 256, 16384
_MOST_DETECTORS = 128
_ENERGY_NAMES = ("energy", "mca_energy", "channel", "channels", "mca", "spectrum", "e")
_DETECTOR_NAMES = ("detector", "element", "det")


@dataclass(frozen=True)
class Location:
    """Which datasets hold the counts, and how their axes run.

    Attributes
    ----------
    total, axes
        The dataset of all detectors together and a letter for each of its axes; empty where there is none.
    singles, single_axes
        The datasets of single detectors, or one with an axis ``d``.
    names
        A name for each of them.
    map_shape
        (Y, X) of points that are stored in one row after the other, or None when the axes say it.
    pixel_size
        (dy, dx) in µm where the location itself tells it.
    notes
        What the user should know of it.
    """

    total: str = ""
    axes: str = ""
    singles: tuple[str, ...] = ()
    single_axes: str = ""
    names: tuple[str, ...] = ()
    map_shape: tuple[int, int] | None = None
    pixel_size: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

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
) -> Location | None:
    """Find counts by their paths; see :class:`napari_xrf.io.hdf5.layouts.Layout`."""
    found_total, total_axes = "", ""
    for pattern in total:
        for path in hdf5_file.matching(file, pattern):
            letters = _axes_for(file, path, axes)
            if not found_total and letters and (not bare or looks_spectral(file[path].shape)):
                found_total, total_axes = path, letters
    singles, letters, names = _singles(file, single, single_axes)
    if not found_total and not singles:
        return None
    location = Location(found_total, total_axes, singles, letters, names)
    return _as_points(file, location) if "n" in (total_axes or letters) else location


def own_cube(file: Any) -> Location | None:
    """Find the counts of a map that this package wrote."""
    mine = cube_files.is_cube_file(file) and _axes_for(file, "/map/data/counts", ("yxe",))
    return Location("/map/data/counts", "yxe") if mine else None


def maps_v9(file: Any) -> Location | None:
    """Find the counts of MAPS v9: channels first, but one writer puts them last."""
    path = "/MAPS/mca_arr"
    dataset = hdf5_file.dataset_at(file, path)
    if dataset is None or dataset.ndim != 3:
        return None
    for name in ("/MAPS/energy", "/MAPS/int_spec"):
        axis = hdf5_file.dataset_at(file, name)
        lengths = set(axis.shape) if axis is not None and axis.ndim else set()
        if dataset.shape[0] in lengths and dataset.shape[2] not in lengths:
            return Location(path, "eyx")
        if dataset.shape[2] in lengths and dataset.shape[0] not in lengths:
            return Location(path, "yxe")
    return Location(path, "eyx")


def hyperspy(file: Any) -> Location | None:
    """Find the first experiment whose only signal axis is energy; the file says which axis is which."""
    experiments = hdf5_file.group_at(file, "/Experiments")
    for title in hdf5_file.children(experiments):
        path = f"/Experiments/{title}/data"
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or not 1 <= dataset.ndim <= 4:
            continue
        axes = hyperspy_axes(file, path)
        signal = [at for at, axis in enumerate(axes) if not axis["navigate"]]
        if (
            len(axes) != dataset.ndim
            or len(signal) != 1
            or axes[signal[0]]["units"].lower() not in ("kev", "ev")
        ):
            continue
        return Location(path, _scan_letters(dataset.ndim, signal[0]))
    return None


def hyperspy_axes(file: Any, at: str) -> list[dict[str, Any]]:
    """Return navigate, offset, scale, units and name of each axis of a HyperSpy dataset, in order."""
    parent = hdf5_file.group_at(file, posixpath.dirname(at))
    if parent is None:
        return []
    axes = []
    for number in range(8):
        group = hdf5_file.group_at(parent, f"axis-{number}")
        if group is None:
            break
        axes.append(
            {
                "navigate": bool(hdf5_file.attribute(group, "navigate", True)),
                "offset": hdf5_file.number_of(hdf5_file.attribute(group, "offset", 0.0)) or 0.0,
                "scale": hdf5_file.number_of(hdf5_file.attribute(group, "scale", 1.0)) or 1.0,
                "units": hdf5_file.text_of(hdf5_file.attribute(group, "units", "")),
                "name": hdf5_file.text_of(hdf5_file.attribute(group, "name", "")),
            }
        )
    return axes


def xproc(file: Any) -> Location | None:
    """Find the channels of an XProc file, each a detector."""
    return by_paths(file, (), "/raw/channel[0-9]*/spectra", (), ("yxe",))


def pymca_workspace(file: Any) -> Location | None:
    """Find the detectors of a PyMca workspace, energy last where ``interpretation`` is "spectrum"."""
    found = by_paths(file, (), "/stack/instrument/detector_[0-9]*/data", (), ("yxe", "ne"))
    if found is None:
        return None
    dataset = file[found.main]
    image = hdf5_file.text_of(hdf5_file.attribute(dataset, "interpretation", "")) == "image"
    return replace(found, single_axes="eyx") if image and dataset.ndim == 3 else found


def pymca_stack(file: Any) -> Location | None:
    """Find a stack that PyMca exported: ``/data/NXdata/data`` or the link ``/data/data``."""
    for path in ("/data/NXdata/data", "/data/data", "/entry/NXdata/data"):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or dataset.ndim != 3:
            continue
        image = hdf5_file.text_of(hdf5_file.attribute(dataset, "interpretation", "")) == "image"
        letters = "eyx" if image else "yxe"
        if dataset.shape[letters.index("e")] >= MIN_CHANNELS:
            return Location(path, letters)
    return None


def nxfluo(file: Any) -> Location | None:
    """Find the counts of a NeXus NXfluo entry; leading axes such as the angle of a tomogram become rows."""
    for path in hdf5_file.matching(file, "/*/*/instrument/fluorescence/data") + hdf5_file.matching(
        file, "/*/instrument/fluorescence/data"
    ):
        dataset = file[path]
        if 1 <= dataset.ndim <= 5 and dataset.dtype.kind in "uif":
            return _scans_below(file, path, _scan_letters(dataset.ndim, dataset.ndim - 1))
    return None


def xspress3(file: Any) -> Location | None:
    """Find frames of an Xspress3 detector, (frames, element, C)."""
    for path in ("/entry/instrument/detector/data", "/entry/data/data"):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or dataset.ndim != 3 or dataset.shape[1] > _MOST_DETECTORS:
            continue
        # An energy axis beside it means that a NeXus map stands there, not bare frames.
        plain = not hdf5_file.exists(file, posixpath.join(posixpath.dirname(path), "energy"))
        if plain and dataset.shape[2] >= 1024 and dataset.shape[2] >= 8 * dataset.shape[1]:
            names = tuple(str(number) for number in range(dataset.shape[1]))
            return _as_points(file, Location(singles=(path,), single_axes="nde", names=names))
    return None


def nexus(file: Any) -> Location | None:
    """Find NXdata whose signal is a map of spectra: by its axes, an energy dataset, or ``interpretation``."""
    for path in _nxdata_signals(file):
        dataset = hdf5_file.dataset_at(file, path)
        if dataset is None or not 1 <= dataset.ndim <= 5 or dataset.dtype.kind not in "uif":
            continue
        names = _axis_names(file, path, dataset)
        energy = _energy_axis(file, path, dataset, names)
        if energy is None:
            continue
        letters = _letters(names, dataset, energy)
        if "d" in letters:
            count = dataset.shape[letters.index("d")]
            numbers = tuple(str(number) for number in range(count))
            return _scans_below(file, "", "", Location(singles=(path,), single_axes=letters, names=numbers))
        return _with_detectors(file, _scans_below(file, path, letters), dataset)
    return None


def looks_spectral(shape: tuple[int, ...]) -> bool:
    """Tell whether a shape speaks for (Y, X, E): many channels, twice as many as rows and columns."""
    return (
        len(shape) == 3
        and MIN_CHANNELS <= shape[2] <= MAX_CHANNELS
        and shape[2] >= 2 * max(shape[:2])
        and min(shape[:2]) > 0
    )


def _axes_for(file: Any, path: str, axes: tuple[str, ...]) -> str:
    dataset = hdf5_file.dataset_at(file, path)
    if dataset is None or dataset.dtype.kind not in "uif":
        return ""
    return next((letters for letters in axes if len(letters) == dataset.ndim), "")


def _singles(file: Any, pattern: str, axes: tuple[str, ...]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    if not pattern:
        return (), "", ()
    paths = [path for path in hdf5_file.matching(file, pattern) if _axes_for(file, path, axes)]
    if not paths:
        return (), "", ()
    letters = _axes_for(file, paths[0], axes)
    paths = [path for path in paths if file[path].shape == file[paths[0]].shape]
    if "d" in letters:
        count = file[paths[0]].shape[letters.index("d")]
        return (paths[0],), letters, tuple(str(number) for number in range(count))
    varying = next(
        (at for at, part in enumerate(pattern.strip("/").split("/")) if "[" in part),
        len(pattern.split("/")) - 2,
    )
    return tuple(paths), letters, tuple(path.strip("/").split("/")[varying] for path in paths)


def _as_points(file: Any, location: Location) -> Location:
    letters = location.axes or location.single_axes
    points = file[location.main].shape[letters.index("n")]
    note = f"The file does not say how its {points} points form a map; they stand in one row."
    return replace(location, map_shape=(1, points), notes=(*location.notes, note))


def _scan_letters(ndim: int, energy: int) -> str:
    """Letters of ``ndim`` axes of which one is energy: the last two others are rows and columns."""
    scans = {1: "", 2: "x", 3: "yx", 4: "syx", 5: "dsyx"}[ndim]
    return scans[:energy] + "e" + scans[energy:]


def _scans_below(file: Any, path: str, letters: str, location: Location | None = None) -> Location:
    found = location or Location(path, letters)
    letters = found.axes or found.single_axes
    if "s" not in letters:
        return found
    count = file[found.main].shape[letters.index("s")]
    note = (
        f"The file holds {count} scans (angles, heights or times); they stand one below another in this map."
    )
    return replace(found, notes=(*found.notes, note)) if count > 1 else found


def _nxdata_signals(file: Any, limit: int = 2000) -> list[str]:
    """Return the paths of the signals of all NXdata groups and of marked spectra, nearest the root first."""
    found, pending = [], [("", file)]
    for _ in range(limit):
        if not pending:
            break
        path, group = pending.pop(0)
        for name in hdf5_file.children(group):
            child = f"{path}/{name}"
            dataset = hdf5_file.dataset_at(file, child)
            if dataset is not None:
                named = hdf5_file.text_of(hdf5_file.attribute(group, "signal", "")) == name
                marked = hdf5_file.text_of(hdf5_file.attribute(dataset, "signal", "")) == "1"
                spectrum = hdf5_file.text_of(hdf5_file.attribute(dataset, "interpretation", "")) == "spectrum"
                if named or marked or spectrum or (name.startswith("mca") and dataset.ndim == 3):
                    found.append(child)
                continue
            below = hdf5_file.group_at(file, child)
            # A link back up would be walked for ever.
            if below is not None and len(child.split("/")) < 12:
                pending.append((child, below))
    return found


def _axis_names(file: Any, path: str, dataset: Any) -> list[str]:
    parent = file[posixpath.dirname(path)]
    value = hdf5_file.attribute(dataset, "axes")
    if value is None:
        value = hdf5_file.attribute(parent, "axes")
    names = list(hdf5_file.texts_of(value)) if value is not None else []
    if len(names) == 1 and ":" in names[0]:
        names = names[0].split(":")
    return names if len(names) == dataset.ndim else [""] * dataset.ndim


def _energy_axis(file: Any, path: str, dataset: Any, names: list[str]) -> int | None:
    for at, name in enumerate(names):
        if name.lower() in _ENERGY_NAMES and dataset.shape[at] >= 16:
            return at
    last = dataset.ndim - 1
    if dataset.shape[last] < MIN_CHANNELS:
        return None
    if hdf5_file.text_of(hdf5_file.attribute(dataset, "interpretation", "")) == "spectrum":
        return last
    if posixpath.basename(path).startswith("mca"):
        return last
    beside = posixpath.dirname(path)
    for name in ("energy", "mca_energy", "channels"):
        axis = hdf5_file.dataset_at(file, f"{beside}/{name}")
        if axis is not None and axis.shape == (dataset.shape[last],):
            return last
    return None


def _letters(names: list[str], dataset: Any, energy: int) -> str:
    others = [at for at in range(dataset.ndim) if at != energy]
    detector = next((at for at in others if names[at].lower().startswith(_DETECTOR_NAMES)), None)
    if detector is not None:
        others.remove(detector)
    letters = dict(zip(others, "syx"[3 - len(others) :] if len(others) <= 3 else "dsyx", strict=True))
    letters[energy] = "e"
    if detector is not None:
        letters[detector] = "d"
    return "".join(letters[at] for at in range(dataset.ndim))


def _with_detectors(file: Any, location: Location, dataset: Any) -> Location:
    """Add the detectors that a dataset ``<signal>_per_detector`` beside a sum keeps apart."""
    path = f"{location.total}_per_detector"
    apart = hdf5_file.dataset_at(file, path)
    if apart is None or apart.ndim != dataset.ndim + 1 or apart.shape[1:] != dataset.shape:
        return location
    names = tuple(str(number) for number in range(apart.shape[0]))
    return replace(location, singles=(path,), single_axes="d" + location.axes, names=names)
