"""Element maps that other programs left in HDF5: PyMca, PyXRF, XRF-Maps, Savu, SMAK and Oxford AZtec."""

import posixpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.spectra.single import element_symbols

_PYMCA = "/*/*/results/parameters/*"
_MOST_MAPS = 500
# Program, paths of its maps (K, Y, X) from the best, the names beside them; XRF-Maps' are counts per second.
_STACKS = (
    ("XRF-Maps", "|".join(f"/MAPS/XRF_Analyzed/{kind}/Counts_Per_Sec" for kind in ("Fitted", "NNLS", "ROI")),
     "Channel_Names"),
    ("MAPS", "/MAPS/XRF_fits|/MAPS/XRF_roi_plus|/MAPS/XRF_roi", "channel_names"),
    ("PyXRF", "/xrfmap/detsum/xrf_fit|/xrfmap/det[0-9]*/xrf_fit", "xrf_fit_name"),
)  # fmt: skip
_SMAK = "/main/mapdata"
_OXFORD = ("Peak Area", "Window Integral")  # from the best; counts per second
_SPECTRA = "/MAPS/Spectra/mca_arr|/MAPS/mca_arr|/xrfmap/*/counts|/[0-9]*/EDS*/Data/Spectrum"


def find(file: Any) -> str | None:
    """Return the program whose fit result an open file holds, without spectra beside it, or None."""
    if _pymca_maps(file):
        return "PyMca"
    if _savu_group(file) is not None:
        return "Savu"
    if _smak_maps(file):
        return "SMAK"
    found = _named_stack(file)
    program = found[0] if found is not None else "Oxford AZtec" if _oxford_maps(file) else None
    return None if program is None or hdf5_file.matching(file, _SPECTRA) else program


def read(path: str | Path, file: Any) -> ElementMaps:
    """Read the line families of a fit result; raises FileError when there is none, or its maps do not fit."""
    found = _pymca_maps(file)
    if found:
        return _read_pymca(path, file, found)
    group, stack = _savu_group(file), _named_stack(file)
    if group is not None:
        return _read_savu(path, file, group)
    if stack is not None:
        return _read_stack(path, file, *stack)
    if smak := _smak_maps(file):
        return _read_smak(path, file, smak)
    if oxford := _oxford_maps(file):
        return _read_oxford(path, file, oxford)
    raise FileError(
        path,
        "holds no element maps",
        "Known are files of napari-xrf, PyMca, PyXRF, XRF-Maps, Savu, SMAK and Oxford AZtec",
    )


def family_of(name: str) -> str | None:
    """Return the line family that ``"Fe_K"`` or ``"Fe K"`` names, None for others such as ``"Pb_L3"``."""
    family = " ".join(name.replace("_", " ").split())
    try:
        split_family(family)
    except InvalidInput:
        return None
    return family


def _named_stack(file: Any) -> tuple[str, str, tuple[str, ...]] | None:
    """Return program, path of maps (K, Y, X) and the family of each, empty for what is none; or None.

    Of several the first that is not empty: programs reserve room for fits that are never made.
    """
    stacks = []
    for program, pattern, beside in _STACKS:
        for path in hdf5_file.matching(file, pattern):
            names = hdf5_file.dataset_at(file, f"{posixpath.dirname(path)}/{beside}")
            if names is None or file[path].ndim != 3 or names.shape != file[path].shape[:1]:
                continue
            # XRF-Maps names K lines by the element alone.
            families = [family_of(name) or family_of(f"{name} K") or "" for name in hdf5_file.texts_of(names)]
            if any(families):
                stacks.append((program, path, tuple(families)))
    filled = (one for one in stacks if len(stacks) == 1 or np.any(hdf5_file.array_of(file[one[1]]) > 0))
    return next(filled, stacks[0] if stacks else None)


def _read_stack(path: str | Path, file: Any, program: str, at: str, families: tuple[str, ...]) -> ElementMaps:
    wanted = [number for number, family in enumerate(families) if family]
    counts = np.asarray(hdf5_file.array_of(file[at]), dtype=np.float32)[wanted]
    beside = hdf5_file.dataset_at(file, f"{at}_error")
    errors = np.full_like(counts, np.nan)
    if beside is not None and beside.shape == file[at].shape:
        errors = np.asarray(hdf5_file.array_of(beside), dtype=np.float32)[wanted]
    names = tuple(families[number] for number in wanted)
    unit = "counts" if program == "PyXRF" else "counts/s"
    place = at if program == "MAPS" else posixpath.dirname(at)
    source = f"{Path(path).stem} {place.strip('/')}"
    return ElementMaps(names, counts, errors, f"{program} fit", source=source, unit=unit)


def _pymca_maps(file: Any) -> dict[str, str]:
    """Return family → path of the areas of PyMca's first fit: a file may hold those of several maps."""
    fits: dict[str, dict[str, str]] = {}
    for path in hdf5_file.matching(file, _PYMCA)[:_MOST_MAPS]:
        folder, _, name = path.rpartition("/")
        family = family_of(name)
        if family is not None and file[path].ndim == 2:
            fits.setdefault(folder, {}).setdefault(family, path)
    return next(iter(fits.values()), {})


def _read_pymca(path: str | Path, file: Any, found: dict[str, str]) -> ElementMaps:
    counts, errors = [], []
    for place in found.values():
        values = np.asarray(hdf5_file.array_of(file[place]), dtype=np.float32)
        folder, name = place.rsplit("/", 1)
        candidates = (f"{folder.rsplit('/', 1)[0]}/uncertainties/{name}", f"{folder}/{name}_errors")
        beside = (hdf5_file.dataset_at(file, candidate) for candidate in candidates)
        error = next(
            (dataset for dataset in beside if dataset is not None and dataset.shape == values.shape), None
        )
        counts.append(values)
        errors.append(
            np.full_like(values, np.nan)
            if error is None
            else np.asarray(hdf5_file.array_of(error), np.float32)
        )
    if len({values.shape for values in counts}) > 1:
        raise FileError(path, "holds element maps of different shapes")
    source = f"{Path(path).stem} {next(iter(found.values())).split('/results/')[0].strip('/')}"
    return ElementMaps(tuple(found), np.stack(counts), np.stack(errors), "PyMca fit", source=source)


def _oxford_maps(file: Any) -> dict[str, list[str]]:
    """Return family → paths of the lines' maps of the first EDS acquisition (Oxford's .h5oina)."""
    for folder in hdf5_file.children(file):
        for kind in _OXFORD:
            found: dict[str, list[str]] = {}
            for path in hdf5_file.matching(file, f"/{folder}/EDS*/Data/{kind}/*")[:_MOST_MAPS]:
                number = hdf5_file.number_of(hdf5_file.attribute(file[path], "Atomic Number"))
                line = hdf5_file.text_attribute(file[path], "X-ray Line")[:1].upper()
                symbols = element_symbols([int(number or 0)])
                family = family_of(f"{symbols[0]} {line}") if symbols else None
                if family is not None:
                    found.setdefault(family, []).append(path)
            if found:
                return found
    return {}


def _read_oxford(path: str | Path, file: Any, found: dict[str, list[str]]) -> ElementMaps:
    first = next(iter(found.values()))[0]
    folder, _, detector = first.split("/Data/")[0].rpartition("/")
    header = hdf5_file.group_at(file, f"{folder}/{detector}/Header")
    told = [hdf5_file.number_of(hdf5_file.dataset_at(header, name)) if header is not None else None
            for name in ("Y Cells", "X Cells", "Y Step", "X Step")]  # fmt: skip
    rows, columns = (int(value or 0) for value in told[:2])
    paths = [path for part in found.values() for path in part]
    if any(file[one].size != rows * columns or not rows for one in paths):
        raise FileError(path, f"holds maps that are not of {rows} × {columns} pixels as its header says")
    maps = [np.sum([hdf5_file.array_of(file[one]) for one in part], axis=0) for part in found.values()]
    counts = np.asarray(maps, dtype=np.float32).reshape(-1, rows, columns)
    size = (told[2], told[3]) if told[2] and told[3] else None
    source = f"{Path(path).stem} {folder.strip('/')}/{detector}"
    return ElementMaps(
        tuple(found),
        counts,
        np.full_like(counts, np.nan),
        "AZtec",
        source=source,
        unit="counts/s",
        pixel_size=size,
    )


def _smak_maps(file: Any) -> dict[str, int]:
    """Return family → number of the map in SMAK's ``/main/mapdata``, (Y, X, 2 places and the channels)."""
    maps = hdf5_file.dataset_at(file, _SMAK)
    labels = () if maps is None else hdf5_file.texts_of(hdf5_file.attribute(file["main"], "labels", ()))
    if maps is None or maps.ndim != 3 or maps.shape[2] != len(labels) + 2 or maps.dtype.kind not in "uif":
        return {}
    families = [family_of(label) or family_of(f"{label} K") for label in labels]
    return {name: at + 2 for at, name in reversed([*enumerate(families)]) if name is not None}


def _read_smak(path: str | Path, file: Any, found: dict[str, int]) -> ElementMaps:
    counts = np.moveaxis(np.asarray(hdf5_file.array_of(file[_SMAK]), dtype=np.float32), 2, 0)
    counts = counts[sorted(found.values())]
    names = tuple(sorted(found, key=lambda name: found[name]))
    return ElementMaps(names, counts, np.full_like(counts, np.nan), "SMAK", source=Path(path).stem)


def _savu_group(file: Any) -> Any:
    """Return the NXdata group of Savu whose axis ``PeakElements`` names line families, or None."""
    for name in hdf5_file.children(file):
        group = hdf5_file.group_at(file, name)
        if group is None or hdf5_file.dataset_at(group, "PeakElements") is None:
            continue
        data = hdf5_file.dataset_at(group, "data")
        if data is not None and data.ndim >= 2 and data.shape[-1] == group["PeakElements"].shape[0]:
            return group
    return None


def _read_savu(path: str | Path, file: Any, group: Any) -> ElementMaps:
    data = group["data"]
    families = [family_of(name) for name in hdf5_file.texts_of(group["PeakElements"])]
    wanted = [at for at, family in enumerate(families) if family is not None]
    if not wanted:
        raise FileError(path, "names no line family among its PeakElements")
    values = np.asarray(hdf5_file.array_of(data), dtype=np.float32)[..., wanted]
    stack = np.moveaxis(values.reshape(*_two_longest(values.shape[:-1]), len(wanted)), -1, 0)
    # The fit leaves infinite areas where it fails: not a number says so without spoiling the contrast.
    counts: NDArray[np.float32] = np.where(np.isfinite(stack), stack, np.nan).astype(np.float32)
    names = tuple(str(families[at]) for at in wanted)
    return ElementMaps(names, counts, np.full_like(counts, np.nan), "Savu PyMca fit", source=Path(path).stem)


def _two_longest(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (Y, X) of scan axes: the last one longer than 1 runs along x, all before it along y."""
    long = [size for size in shape if size > 1] or [1]
    return int(np.prod(long[:-1], dtype=int)), long[-1]
