"""Which module reads and writes which file: the table of formats, and the functions that look it up."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core import named_files
from napari_xrf.core.abundances import Abundances
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import CurvedAxis, EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput, told_of
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.memory import budget_of
from napari_xrf.core.named_files import is_folder
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.calibration import (
    CURVED,
    GIVE_AXIS,
    axis_from_energies,
    axis_from_polynomial,
    row_of_numbers,
)

if TYPE_CHECKING:
    from napari_xrf.io.hdf5.datasets import DatasetChoice

__all__ = [
    "is_element_map_file",
    "is_label_file",
    "list_datasets",
    "list_monitors",
    "read",
    "read_abundances",
    "read_element_maps",
    "read_labels",
    "read_monitor",
    "read_spectrum",
    "read_truth",
    "recognizes",
    "write",
    "write_cube",
]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SURE = 20  # counts of each pixel beside one without any: it was not measured
_MOST_EMPTY, _LOOKED_AT = 2000, 2**28  # rows that are looked at from the end, and their bytes
_TABLE = "spectrum table"  # that this package writes
_TEXTS = ("EMSA/MAS spectrum", "Maestro spectrum .spe", "Itrax spectrum .spe", "MCA spectrum")
_EXPORT_MAP = "Export maps there as .rpl with .raw, spectra as .msa or .emsa"
_INTO_HDF5 = "Write the counts (Y, X, E) into an .h5 file, and open it by dataset=NAME (--dataset NAME)"
# Endings that others' programs use, whose they are, and what to do.
_OTHERS = {
    ".si": ("Thermo NSS and Pathfinder", _EXPORT_MAP),
    ".oip": ("Oxford AZtec", "Export maps there as .h5oina, spectra as .emsa"),
    ".oipx": ("Oxford AZtec", "Export maps there as .h5oina, spectra as .emsa"),
    ".ipj": ("Oxford INCA", _EXPORT_MAP),
    ".rto": ("Bruker Esprit", "Save maps there as .bcf, spectra as .spx"),
    ".apb": ("JEOL", "Give the .pts file of the map, or the .eds of a spectrum"),
    ".fit": (
        "PyMca: the fit of one spectrum",
        "Give the spectrum, or the maps that PyMca fitted (.h5, .dat)",
    ),
    ".mda": ("EPICS scans", "Give the .h5 that XRF-Maps or MAPS makes of it"),
    ".nc": ("XIA's mapping mode", "Give the .h5 that XRF-Maps, MAPS or larch makes of the scan"),
    ".cnf": ("Canberra Genie", "Export the spectrum there as .spe or .txt"),
    **dict.fromkeys((".gz", ".zip", ".7z", ".bz2", ".xz", ".rar"), ("packing programs", "Unpack it first")),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), ("spreadsheet programs", "Save the table there as .csv")),
    **dict.fromkeys((".npy", ".npz"), ("NumPy", _INTO_HDF5)),
    ".mat": ("MATLAB", _INTO_HDF5),
    ".safetensors": ("networks", "Give it where a model is asked for: predict, evaluate, adapt"),
}
_SPECTRUM_BYTES = 2**26  # more than any single spectrum
_FOLDER_FILES = (".zspy",)  # files that are folders
_LONGEST_LINK = 1024  # bytes
_HEAD = 4096  # bytes that a signature check may look at


@dataclass(frozen=True)
class Format:
    """One row of the table of formats that hold spectra."""

    name: str  # what users call it; lower case, with the dot
    suffixes: tuple[str, ...]
    # ``"module:function"`` in this room; the function takes the path and those options of :func:`read` that
    # it can use
    reader: str
    # A file of this format holds one of them near its start; empty when the suffix decides
    signatures: tuple[bytes, ...] = ()
    # ``"module:function"`` that looks closer, path → bool; empty when the signature decides
    recognizer: str = ""

    def accepts(self, head: bytes) -> bool:
        """Tell whether the first bytes of a file fit this format."""
        upper = head.upper()
        return not self.signatures or any(signature.upper() in upper for signature in self.signatures)


FORMATS = (
    Format("Bruker .bcf", (".bcf",), "bcf.reader:read_bcf", (b"AAMVHFSS",)),
    Format("HDF5", (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".nexus", ".he5", ".h5oina", ".edaxh5", ".hspy"),
           "hdf5.reader:read_hdf5", (HDF5_SIGNATURE,), "hdf5.layouts:is_spectral_map"),
    Format("Lispix raw map", (".rpl", ".raw"), "rpl:read_rpl", recognizer="rpl:is_rpl"),
    Format("ESRF EDF", (".edf",), "edf:read_edf", recognizer="edf:is_edf"),
    Format("Bruker Artax project .rtx", (".rtx", ".spx", ".xml"), "artax:read_rtx", (b"<TRTProject",)),
    Format("Bruker spectrum .spx", (".spx", ".xml"), "bruker_xml:read_spx", (b"TRTSpectrum",)),
    Format("Bruker handheld .pdz", (".pdz",), "spectra.pdz:read_pdz",
           (b"p\0d\0z\0" b"2\0" b"5\0", b"\x01\x01")),
    Format("EMSA/MAS spectrum", (".msa", ".emsa", ".ems", ".mas", ".txt"), "spectra.emsa:read_emsa",
           (b"EMSA/MAS",)),
    Format("MCA spectrum", (".mca", ".xrf", ".txt"), "spectra.mca:read_mca", recognizer="spectra.mca:is_mca"),
    Format("SPEC scans", (".spec", ".dat"), "spectra.mca:read_mca", (b"#S ", b"#F "), "spectra.mca:is_mca"),
    Format("Maestro spectrum .spe", (".spe",), "spectra.mca:read_spe", (b"$DATA:",)),
    Format("Itrax spectrum .spe", (".spe",), "spectra.mca:read_mca", (b"channel\tcontent",),
           "spectra.mca:is_mca"),
    Format(_TABLE, (".csv",), "spectra.files:read_spectrum_cube",
           (b"energy_keV,counts\n", b"energy_keV,counts\r")),
    Format("MCA spectrum", (".csv",), "spectra.mca:read_mca", recognizer="spectra.mca:is_mca"),
    Format("RosettaSciIO",
           (".zspy", ".emd", ".spd", ".lsd", ".spc", ".pts", ".eds", ".asw", ".elid", ".dm3", ".dm4", ".dens",
            ".prz", ".ser", ".emi"),
           "rosetta:read_rosetta", recognizer="rosetta:is_rosetta"),
)  # fmt: skip

LABEL_SUFFIXES = (".tif", ".tiff", ".h5", ".csv")
ELEMENT_MAP_SUFFIXES = (".tif", ".tiff", ".h5", ".hdf5", ".nxs", ".h5oina", ".csv", ".txt", ".dat", ".asc",
                         ".dms", ".ims", ".edf")  # fmt: skip

# Options of `read` that only some readers know, with the value that means "not given".
_OPTIONAL: Mapping[str, object] = {"detector": "sum", "dataset": None, "energy_axis": None, "map": None}


def read(
    path: str | Path,
    *,
    detector: str | int = "sum",
    dataset: str | None = None,
    energy_axis: int | None = None,
    map: int | None = None,
    energy: EnergyAxis | Sequence[float] | NDArray[Any] | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SpectralCube:
    """Read a map, or a single spectrum as a map of one pixel.

    Parameters
    ----------
    path
        The file, or a folder of numbered spectra, one a pixel.
    detector
        ``"sum"`` for all detectors, or the name or number of one, for files that keep them apart.
    dataset
        The dataset to read, for HDF5 files of a layout that is not known.
    energy_axis
        Which axis of that dataset is energy (0, 1, 2, …).
    map
        Which map of a file that holds several, from 0; the file's default or the first when not given.
    energy
        The energy axis to use instead of the file's, in keV: an axis, (offset, width) or the energies of all
        channels.
    memory_budget
        Bytes that the counts may take in memory; a larger map is read lazily. Default: half of the free
        memory.

    Raises
    ------
    FileError
        When the file is missing, damaged, of no known format or holds no spectra.
    InvalidInput
        When an option makes no sense for this file.
    """
    if is_folder(path) and not is_folder_file(path):
        return _of_folder(Path(path), energy, memory_budget, progress, detector, dataset, energy_axis, map)
    file, chosen = _format_of(path)
    reader = _load(chosen.reader)
    known = inspect.signature(reader).parameters
    options: dict[str, Any] = {"progress": progress, "memory_budget": budget_of(memory_budget)}
    given = {"detector": detector, "dataset": dataset, "energy_axis": energy_axis, "map": map}
    for name, value in given.items():
        if value == _OPTIONAL[name]:
            continue
        if name not in known:
            raise InvalidInput(f"{chosen.name} files know no option {name!r}", f"Leave out {name}={value!r}")
        options[name] = value
    with told_of(file):
        cube: SpectralCube = reader(file, **{name: value for name, value in options.items() if name in known})
        cube = _told_of_empty_rows(cube)
        if file != Path(path):
            cube = _noted(cube, f"{Path(path).name} holds the text of a link: {file} is read.")
        if energy is None:
            return _evened(cube, budget_of(memory_budget), progress)
    return with_energy(cube, energy)


def recognizes(path: str | Path) -> bool:
    """Tell cheaply whether :func:`read`, :func:`read_labels` or :func:`read_element_maps` opens a file.

    HDF5 files are recognised only when they are spectral maps of a known layout or written by this package.
    Never raises.
    """
    with _quietly():
        if _has_spectra(path):
            return True
    return is_label_file(path) or is_element_map_file(path)


def write(path: str | Path, obj: object, *, progress: Progress = ignore_progress) -> None:
    """Write a noun to a file, whole or not at all; endings and errors as :func:`napari_xrf.write`."""
    target = Path(path)
    for noun, writer in _WRITERS:
        if isinstance(obj, noun):
            _load(writer)(target, obj, progress=progress)
            return
    raise InvalidInput(
        f"a {type(obj).__name__} cannot be written",
        "Give a SpectralCube, Spectrum, ElementMaps, LabelMap or Abundances",
    )


_WRITERS = (
    (SpectralCube, "own.cube_files:write_cube"),
    (Spectrum, "spectra.files:write_spectrum"),
    (ElementMaps, "own.element_map_files:write_element_maps"),
    (LabelMap, "own.label_files:write_labels"),
    (Abundances, "own.abundance_files:write_abundances"),
)


def read_labels(path: str | Path) -> LabelMap:
    """Read a label map from .tif, .h5 or .csv; see :mod:`napari_xrf.io.own.label_files`."""
    with told_of(file := existing_file(path)):
        return _load("own.label_files:read_labels")(file)


def read_abundances(path: str | Path) -> Abundances:
    """Read abundances from .h5; see :mod:`napari_xrf.io.own.abundance_files`."""
    with told_of(file := existing_file(path)):
        return _load("own.abundance_files:read_abundances")(file)


def read_element_maps(path: str | Path) -> ElementMaps:
    """Read element maps from .ome.tif, .h5, .nxs or .csv; see :mod:`napari_xrf.io.own.element_map_files`."""
    with told_of(file := existing_file(path)):
        return _load("own.element_map_files:read_element_maps")(file)


def read_spectrum(path: str | Path) -> Spectrum:
    """Read a single spectrum from any format that holds one."""
    file = existing_file(path)
    if file.suffix.lower() == ".csv" and _format_of(file)[1].name == _TABLE:
        with told_of(file):
            return _load("spectra.files:read_spectrum_csv")(file)
    cube = read(file, memory_budget=_SPECTRUM_BYTES)
    if not cube.is_one_spectrum:
        raise FileError(file, f"holds a map of {cube.map_shape} pixels, not one spectrum", "Use read")
    live_time = None if cube.live_time is None else float(cube.live_time[0, 0])
    return Spectrum(
        cube.spectrum_at(0, 0), cube.energy, cube.name, live_time=live_time, excitation=cube.excitation
    )


def read_truth(path: str | Path) -> dict[str, Any]:
    """Return the truth in a synthetic cube's file; see :func:`napari_xrf.io.own.cube_files.read_truth`."""
    with told_of(file := existing_file(path)):
        return _load("own.cube_files:read_truth")(file)


def write_cube(
    path: str | Path,
    cube: SpectralCube,
    *,
    truth: Mapping[str, Any] | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Write a cube, with its truth if it is synthetic; see :mod:`napari_xrf.io.own.cube_files`."""
    _load("own.cube_files:write_cube")(path, cube, truth=truth, progress=progress)


def list_datasets(path: str | Path) -> tuple[DatasetChoice, ...]:
    """Return the datasets of an HDF5 file that could be spectral maps."""
    with told_of(file := existing_file(path)):
        return _load("hdf5.reader:list_datasets")(file)


def list_monitors(path: str | Path) -> tuple[str, ...]:
    """Return the names of what an HDF5 file holds for each pixel beside its map: I0, count rates, times."""
    with told_of(file := existing_file(path)):
        return _load("hdf5.reader:list_monitors")(file)


def read_monitor(path: str | Path, name: str) -> NDArray[np.float64]:
    """Return one of :func:`list_monitors`, (Y, X), in the order of the map's pixels."""
    with told_of(file := existing_file(path)):
        return _load("hdf5.reader:read_monitor")(file, name)


def is_label_file(path: str | Path) -> bool:
    """Tell whether a file is a label map written by this package. Never raises."""
    return _looks_like(path, LABEL_SUFFIXES, "own.label_files:is_label_file")


def is_element_map_file(path: str | Path) -> bool:
    """Tell whether a file holds element maps: ours, a fit of others, images by element. Never raises."""
    return _looks_like(path, ELEMENT_MAP_SUFFIXES, "own.element_map_files:is_element_map_file")


def existing_file(path: str | Path) -> Path:
    """Return the path of a file, or of a folder that is one (.zspy); raise FileError where none is."""
    return Path(path) if is_folder_file(path) else named_files.existing_file(path)


def is_folder_file(path: str | Path) -> bool:
    """Tell whether a folder is a file of a format that keeps its parts in one."""
    return Path(path).suffix.lower() in _FOLDER_FILES and is_folder(path)


def _format_of(path: str | Path) -> tuple[Path, Format]:
    file = existing_file(path)
    file = file if is_folder_file(file) else _followed(file)
    suffix = file.suffix.lower()
    candidates = [row for row in FORMATS if suffix in row.suffixes]
    head = _head(file)
    for row in candidates:
        if row.accepts(head):
            return file, row
    if (text := _text_format(file, head)) is not None:
        return file, text
    if HDF5_SIGNATURE in head:  # netCDF, MATLAB and others under endings of their own
        return file, next(row for row in FORMATS if HDF5_SIGNATURE in row.signatures)
    if not candidates:
        known = ", ".join(sorted({suffix for row in FORMATS for suffix in row.suffixes}))
        if suffix in _OTHERS:
            whose, hint = _OTHERS[suffix]
            raise FileError(file, f"is a file of {whose}, which cannot be read here", hint)
        if suffix in (*LABEL_SUFFIXES, *ELEMENT_MAP_SUFFIXES):
            raise FileError(
                file,
                f"holds no spectra: files ending in {suffix!r} are read as element maps or labels",
                "Name element maps by their elements, Fe.tif or rock_Fe.tif beside rock_Si.tif, and open "
                "them with napari or napari_xrf.read; give the spectra of all pixels as .h5",
            )
        raise FileError(
            file, f"files ending in {suffix or 'nothing'!r} are not known", f"Known endings: {known}"
        )
    raise FileError(
        file, f"does not hold what its ending promises: it is no {candidates[0].name} file", "Is it renamed?"
    )


def _text_format(file: Path, head: bytes) -> Format | None:
    """Return the form of a spectrum that a text of any ending holds, as its words say."""
    if not head or b"\0" in head:
        return None
    rows = (row for row in FORMATS if row.name in _TEXTS and row.accepts(head))
    return next((row for row in rows if not row.recognizer or _load(row.recognizer)(file)), None)


def _of_folder(
    folder: Path,
    energy: EnergyAxis | Sequence[float] | NDArray[Any] | None,
    memory_budget: int | None,
    progress: Progress,
    *options: object,
) -> SpectralCube:
    if options != tuple(_OPTIONAL.values()):
        raise InvalidInput(
            f"{folder} is a folder of spectra", "Choose detector, dataset or map of single files"
        )
    budget = budget_of(memory_budget)
    with told_of(folder):
        cube: SpectralCube = _load("folders:read_folder")(
            folder, read, memory_budget=budget, progress=progress
        )
    cube = _told_of_empty_rows(cube)
    return cube if energy is None else with_energy(cube, energy)


def _followed(file: Path) -> Path:
    """Return the file of the same kind whose path is all that a small file holds: a symlink copied as a text.

    git and archives write symlinks so on systems that have none.
    """
    if file.stat().st_size > _LONGEST_LINK:
        return file
    content = file.read_bytes()
    text = content.decode("utf-8", "replace").strip()
    if not text.isprintable() or Path(text).suffix.lower() != file.suffix.lower() or Path(text).is_absolute():
        return file
    target = file.parent / text
    return target if target.is_file() else file


def _has_spectra(path: str | Path) -> bool:
    file, chosen = _format_of(path)
    return bool(_load(chosen.recognizer)(file)) if chosen.recognizer else True


def _looks_like(path: str | Path, suffixes: tuple[str, ...], recognizer: str) -> bool:
    with _quietly():
        file = existing_file(path)
        return file.suffix.lower() in suffixes and bool(_load(recognizer)(file))
    return False


def _quietly() -> contextlib.suppress:
    """Pass over whatever a damaged file makes a library raise: it is then not recognised."""
    return contextlib.suppress(Exception)


def _head(file: Path) -> bytes:
    if file.is_dir():
        return b""
    with file.open("rb") as handle:
        head = handle.read(_HEAD)
    text = _load("spectra.single:decoded")(head) if b"\0" in head else "\0"
    return head if "\0" in text else text.encode()  # a text in UTF-16 is looked at as one in UTF-8


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(f"napari_xrf.io.{module}"), name)


def _told_of_empty_rows(cube: SpectralCube) -> SpectralCube:
    """Add a warning when the last rows or pixels hold no counts, in whatever format: the scan was stopped."""
    rows, columns, channels = cube.shape
    row_bytes = columns * channels * cube.counts.dtype.itemsize
    most = min(_MOST_EMPTY, _LOOKED_AT // row_bytes)
    last, sums = rows, np.zeros(columns)
    while last > 0 and rows - last < most and not sums.any():
        sums = np.asarray(cube.counts[last - 1]).sum(axis=1, dtype=np.uint64)
        last -= not sums.any()
    filled = np.flatnonzero(sums)
    cut = filled.size and filled[-1] - filled[0] + 1 == filled.size < columns and sums[filled].min() >= _SURE
    known = any("stopped" in text for text in cube.provenance.warnings)
    if last == 0:
        return _noted(cube, "The map holds no counts.")
    if known or (last == rows and not cut):
        return cube
    least = "At least the" if not sums.any() else "The"  # all that were looked at are empty
    what = (
        f"{least} last {rows - last} of {rows} rows hold" if last < rows else "The end of the last row holds"
    )
    return _noted(cube, f"{what} no counts: the scan was probably stopped early.")


def _evened(cube: SpectralCube, budget: int, progress: Progress = ignore_progress) -> SpectralCube:
    """Return a map whose channels are of one width: the counts of a curved axis are moved, none lost."""
    if not isinstance(cube.energy, CurvedAxis):
        return cube
    moved = _load("detector_sum:DetectorSum")((cube.counts,), (cube.energy,))
    in_memory = isinstance(cube.counts, np.ndarray)
    return replace(cube, counts=moved.load(budget, progress) if in_memory else moved, energy=moved.axis)


def _noted(cube: SpectralCube, note: str) -> SpectralCube:
    warnings = (*cube.provenance.warnings, note)
    return replace(cube, provenance=replace(cube.provenance, warnings=warnings))


def with_energy(cube: SpectralCube, energy: EnergyAxis | Sequence[float] | NDArray[Any]) -> SpectralCube:
    """Return a map on the energy axis that its user tells, as :func:`read` takes it.

    Raises InvalidInput when the axis does not fit the map's channels.
    """
    size = cube.shape[2]
    notes: tuple[str, ...] = ()
    if isinstance(energy, EnergyAxis):
        axis = energy
    elif np.shape(energy) == (2,) != (size,):
        try:
            axis, notes = axis_from_polynomial(row_of_numbers(energy).tolist(), size, "keV")
        except InvalidInput as error:
            raise InvalidInput(str(error), "Give (offset, width) in keV, as (0, 0.01)") from None
    else:
        axis, notes = axis_from_energies(energy, "keV", size)
    if axis.size != size:
        raise InvalidInput(f"an energy axis of {axis.size} channels does not fit {size} channels of counts")
    old = ("energy calibration", GIVE_AXIS, CURVED)
    kept = tuple(text for text in cube.provenance.warnings if not any(word in text for word in old))
    note = f"The energy axis was given by the user: {axis.offset:g} + {axis.width:g}·channel keV."
    given = replace(cube, energy=axis, provenance=replace(cube.provenance, warnings=(*kept, *notes, note)))
    return _evened(given, budget_of(None))
