"""What happens when napari opens a file: get-reader functions, which never raise."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_xrf.core.errors import Cancelled, XrfError
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.own.region_files import SUFFIX as REGION_SUFFIX
from napari_xrf.io.own.region_files import read_regions
from napari_xrf.plugin.layers.cubes import TRUTH_KEY, cube_layers
from napari_xrf.plugin.layers.element_maps import element_map_layers
from napari_xrf.plugin.layers.layer_data import LayerData, event_loop_runs
from napari_xrf.plugin.layers.opening import NOTHING_TO_ADD, Opening, open_behind
from napari_xrf.plugin.layers.regions import region_layer
from napari_xrf.plugin.layers.script import made_by, written
from napari_xrf.plugin.notices import tell_error, warn

Paths = str | Sequence[str]
Reader = Callable[[Paths], list[Any]]

_LABEL_ENDINGS = (".labels.tif", ".labels.tiff", ".labels.csv", ".labels.h5", ".tif", ".tiff", ".csv", ".h5")


def get_reader(path: Paths) -> Reader | None:
    """Return a reader for maps, spectra, element maps and label maps; None leaves the file to others."""
    from napari_xrf import io

    file = _single(path)
    if file is None:
        return None
    if file.suffix.lower() == REGION_SUFFIX:
        return read_paths
    if io.recognizes(file) or io.is_label_file(file) or io.is_element_map_file(file) or _bruker(file):
        return read_paths
    if _is_hdf5(file) and _has_candidates(file):
        return read_paths
    return None


def read_paths(path: Paths, **options: Any) -> list[Any]:
    """Read one or several files into layers; ``options`` are those of :func:`read_layers`.

    In a running napari each file is read behind the window, and a layer stands for it until it is there; an
    error becomes one notification. In a script the files are read at once, and an error is raised.
    """
    files = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    if not event_loop_runs():
        return [layer for file in files for layer in read_layers(file, **options)] or NOTHING_TO_ADD
    openings = []
    for file in files:
        try:
            asked = _asked(file)
        except Cancelled:
            continue
        except XrfError as error:
            tell_error(error)
            continue
        work = partial(read_layers, file, loaded=True, **options | asked)
        openings.append(Opening(f"Opening {file.name}", work))
    return open_behind(openings)


def read_layers(
    path: Path,
    *,
    dataset: str | None = None,
    energy_axis: int | None = None,
    energy: tuple[float, float] | None = None,
    map: int | None = None,
    loaded: bool = False,
    progress: Progress = ignore_progress,
) -> list[LayerData]:
    """Return the layers of one file; the counts of a map are decoded where ``loaded``.

    ``dataset``, ``energy_axis``, ``energy`` and ``map`` are as :func:`napari_xrf.read` takes them.

    Raises FileError when it cannot be read.
    """
    from napari_xrf import io
    from napari_xrf.io.own.cube_files import LAYOUT as OWN_LAYOUT
    from napari_xrf.plugin.layers.labels import label_layer
    from napari_xrf.plugin.layers.loading import follow_opening

    if path.suffix.lower() == REGION_SUFFIX:
        return [region_layer(read_regions(path), layer_name(path))]
    if dataset is None and map is None and io.is_label_file(path):
        return made_by([label_layer(io.read_labels(path), layer_name(path))], "labels", _reading(path))
    if dataset is None and map is None and io.is_element_map_file(path):
        return made_by(element_map_layers(io.read_element_maps(path)), "maps", _reading(path))
    options: dict[str, Any] = {} if dataset is None else {"dataset": dataset, "energy_axis": energy_axis}
    if energy is not None:
        options["energy"] = energy
    if map is not None:
        options["map"] = map
    cube = io.read(path, **options)
    if cube.provenance.warnings:  # as one notification; the Spectrum dock says all
        first, *others = cube.provenance.warnings
        warn(f"{path.name}: {first}{f' ({len(others)} more in the Spectrum dock)' if others else ''}")
    if cube.provenance.layout != OWN_LAYOUT and layer_name(path):
        # Names inside files are often all the same, "Map data"; two open maps must be told apart.
        cube = replace(cube, name=layer_name(path) if map is None else f"{layer_name(path)} ({map})")
    if loaded:
        cube = cube.load(progress=progress)
    else:
        follow_opening(cube)
    layers = cube_layers(cube)
    if options:
        layers[-1:] = made_by(layers[-1:], "cube", _reading(path, **options))
    return _with_truth(layers, path, cube)


def layer_name(path: Path) -> str:
    """Return a file's name without the ending that its format gave it, empty when nothing else is left."""
    name = path.name
    ending = next((known for known in _LABEL_ENDINGS if name.lower().endswith(known)), path.suffix)
    name = name[: len(name) - len(ending)]
    return "" if name.lower() in ("", "labels") else name


def _reading(path: Path, **options: Any) -> str:
    told = "".join(f", {name}={written(value)}" for name, value in options.items())
    return f"nx.read({written(str(path))}{told})"


def _asked(path: Path) -> dict[str, Any]:
    """Return what the user says of an HDF5 file of unknown layout; nothing of other files."""
    from napari_xrf import io

    known = io.recognizes(path) or io.is_label_file(path) or io.is_element_map_file(path)
    if known or not _is_hdf5(path):
        return {}
    from napari_xrf.plugin.forms.dialogs import choose_dataset

    return choose_dataset(path, io.list_datasets(path))


def _with_truth(layers: list[LayerData], path: Path, cube: SpectralCube) -> list[LayerData]:
    """Give a synthetic map's layer its truth, so that Save writes it again, and show its labels, hidden.

    What else is known of it, often dozens of maps, becomes layers on request; see ``commands.show_truth``.
    """
    truth = _truth(path)
    if not truth:
        return layers
    from napari_xrf.plugin.layers.synthesis import truth_layers

    layers[-1][1]["metadata"] |= {TRUTH_KEY: truth}
    # The labels lie above the map, so that switching them on shows them.
    return [*layers, *truth_layers(truth, cube, shares=False, line_counts=False)]


def _truth(path: Path) -> dict[str, Any]:
    """Return what a synthetic map's file holds as its truth; empty for any other file."""
    from napari_xrf import io

    if not _is_hdf5(path):
        return {}
    try:
        return io.read_truth(path)
    except XrfError:
        return {}


def _single(path: Paths) -> Path | None:
    """Return the file to judge; None for stacks of files, which have no common energy axis."""
    if isinstance(path, str | Path):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None


def _bruker(path: Path) -> bool:
    # Only we read .bcf: a damaged one gets our error rather than "no reader".
    return path.suffix.lower() == ".bcf"


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


def _has_candidates(path: Path) -> bool:
    from napari_xrf import io

    try:
        return bool(io.list_datasets(path))
    except (XrfError, OSError):
        return False
