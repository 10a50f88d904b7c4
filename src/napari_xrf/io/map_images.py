"""Element maps that others saved: a stack with named pages, a file per element, a table of pixels.

XMapTools, microprobes, ESPRIT and PyMca write one text matrix, one TIFF or one EDF an element, named by it:
``Fe.txt``, ``granite_Si Ka.csv``, ``map-Ca-K.tif``. Any file of such a series stands for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import cells_of
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family, usual_family
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.edf import frames, holds_spectra, titles
from napari_xrf.io.own.files import check_image, opened_tiff
from napari_xrf.io.scans import um_per
from napari_xrf.io.spectra.single import decoded

if TYPE_CHECKING:
    import tifffile

TEXT_SUFFIXES = (".txt", ".csv", ".dat", ".asc")
EDF = ".edf"
_NAME = re.compile(
    r"(?<![A-Za-z])(?P<element>[A-Z][a-z]?)"
    r"(?:[ _-]?(?P<shell>[KLM])(?:[ _-]?(?:alpha|beta|[abABαβ])(?:\d+(?:,\d)?)?)?)?(?![A-Za-z0-9])"
)
_LARGEST = 2**28  # bytes of a text matrix
_MOST_FILES = 200
_MOST_PIXELS = 2**28  # of a stack
_FEWEST, _FEWEST_ROWS = 5, 2  # columns: fewer are a spectrum; rows
_OF_LINE = re.compile(r"[KLM][ _-]?(?:alpha|beta|[abABαβ])[\d,]*$")  # Kα beside Kβ
_GAP = re.compile(r"\s{2,}|[\t;,]")  # between names of PyMca's tables, in which blanks may stand
_ERROR = re.compile(r"s\((.*)\)")

_Image = NDArray[np.float32]


def is_named_image(path: str | Path) -> bool:
    """Tell whether a file is an element's map by its name, or holds pages that are named by elements."""
    target = Path(path)
    if target.suffix.lower() not in TEXT_SUFFIXES:
        names = _names_in(target)[0]
        return bool(images_of_families(names)) or (len(names) == 1 and bool(_series(target)))
    if not _series(target):
        return False
    with target.open("rb") as handle:
        lines = decoded(handle.read(2**16)).splitlines()[: _FEWEST + 1]
    rows = list(map(_cells, lines))
    rows = rows[1:] if rows and not _are_numbers(rows[0]) else rows
    return len(rows) >= _FEWEST_ROWS and min(map(len, rows)) >= _FEWEST and all(map(_are_numbers, rows))


def is_fit_table(path: str | Path) -> bool:
    """Tell whether a file is a table of pixels as PyMca writes its fits: row, column, areas, s(areas)."""
    with Path(path).open(encoding="latin-1") as handle:
        return _names_of_columns(handle.readline(2**16))[:2] == ["row", "column"]


def read_fit_table(path: str | Path) -> ElementMaps:
    """Read the line families of such a table and their errors; raises FileError when it is damaged."""
    target = Path(path)
    first, *lines = _lines(target)
    names = _names_of_columns(first)
    rows = [_cells(line) for line in lines]
    if any(len(row) != len(names) for row in rows) or not rows:
        raise FileError(target, f"has rows of other than the {len(names)} columns that it names")
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise FileError(target, f"holds something that is no number ({error})") from error
    stack = placed(target, table[:, :2].astype(np.int64), table[:, 2:].astype(np.float32))
    maps: dict[str, _Image] = {}
    errors: dict[str, _Image] = {}
    for name, image in zip(names[2:], stack, strict=True):
        match = _ERROR.fullmatch(name)
        named = family_named((match[1] if match else name).replace("_", " "))
        if named is not None and named[1] == "*":
            (errors if match else maps).setdefault(named[0], image)
    if not maps:
        raise FileError(target, "names no line family among its columns")
    unknown = np.full(stack.shape[1:], np.nan, dtype=np.float32)
    told = np.stack([errors.get(family, unknown) for family in maps])
    return ElementMaps(tuple(maps), np.stack(list(maps.values())), told, "PyMca fit", source=target.stem)


def placed(path: Path, places: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (N, K) of pixels as maps (K, Y, X); ``places`` (N, 2) holds row and column of each.

    Raises FileError when they fill no rectangle.
    """
    height, width = (int(size) + 1 for size in places.max(axis=0))
    if len(values) != height * width or places.min() < 0:
        raise FileError(path, f"holds {len(values)} pixels of {height} × {width}", "Is it cut short?")
    stack = np.zeros((values.shape[1], height, width), dtype=np.float32)
    stack[:, places[:, 0], places[:, 1]] = values.T
    return stack


def read_named_images(path: str | Path) -> ElementMaps:
    """Read all element maps of the stack or series that a file belongs to; errors that are not there are NaN.

    Raises FileError when a file is damaged, no element names it, or the maps differ in shape.
    """
    target = Path(path)
    names, size = ([], None) if target.suffix.lower() in TEXT_SUFFIXES else _names_in(target)
    found = images_of_families(names)
    told = images_of_families([match[1] if (match := _ERROR.fullmatch(name)) else "" for name in names])
    series = _series(target) if len(names) <= 1 else {}
    if series:
        files = [file for chosen in series.values() for file in chosen]
        found = {family: [files.index(file) for file in chosen] for family, chosen in series.items()}
        beside = {family: error for family, chosen in series.items() if (error := _error_file(chosen[0]))}
        told = {family: [len(files) + at] for at, family in enumerate(beside)}
        values = [_image_of(file) for file in (*files, *beside.values())]
    elif found:
        values = _images_in(target)
    if not found:
        raise FileError(target, "is named by no element", "Name it for example Fe.tif or sample_Fe.txt")
    shapes = [values[at].shape for chosen in found.values() for at in chosen]
    if len(set(shapes)) > 1:
        listed = ", ".join(f"{family} {values[chosen[0]].shape}" for family, chosen in found.items())
        raise FileError(
            target, f"belongs to maps of different shapes: {listed}", "Put other maps into another folder"
        )
    counts = np.stack([np.sum([values[at] for at in chosen], axis=0, dtype=np.float32)
                       for chosen in found.values()])  # fmt: skip
    errors = np.full_like(counts, np.nan)
    for number, (family, chosen) in enumerate(found.items()):
        if len(chosen) == 1 and family in told and values[told[family][0]].shape == counts.shape[1:]:
            errors[number] = values[told[family][0]]
    name = target.stem if len(found) == 1 else target.parent.name or target.stem
    return ElementMaps(tuple(found), counts, errors, "images", size, name)


def family_named(text: str) -> tuple[str, str] | None:
    """Return the line family that a name ends in or holds, and what is left of the name; None for none."""
    for match in reversed(list(_NAME.finditer(text))):
        try:
            family = usual_family(match["element"])
            if match["shell"]:
                family = " ".join(split_family(f"{match['element']} {match['shell']}"))
        except InvalidInput:
            continue
        return family, f"{text[: match.start()]}*{text[match.end() :]}"
    return None


def images_of_families(names: Sequence[str]) -> dict[str, list[int]]:
    """Return which images make each family: the one of the whole family, or those of its lines (Kα, Kβ).

    Images whose names hold no element, and errors, are left out.
    """
    found: dict[str, dict[str, int]] = {}
    for at, name in enumerate(names):
        named = family_named(name)
        if named is None or _ERROR.fullmatch(name):
            continue
        before, _, after = named[1].partition("*")
        line = _OF_LINE.search(name[len(before) : len(name) - len(after)])
        found.setdefault(named[0], {}).setdefault(line[0] if line else "", at)
    return {family: [lines[""]] if "" in lines else list(lines.values()) for family, lines in found.items()}


def _error_file(path: Path) -> Path | None:
    """Return the file of a map's errors, as PyMca names it: ``rock_sFe_K.tif`` of ``rock_Fe_K.tif``."""
    named = family_named(path.stem)
    before = named[1].partition("*")[0] if named else ""
    target = path.with_name(f"{before}s{path.name[len(before) :]}")
    return target if target.is_file() else None


def _names_in(path: Path) -> tuple[list[str], tuple[float, float] | None]:
    """Return the names of the images of a TIFF or EDF, empty where they have none, and the pixel size.

    There are none where the images are no maps, but spectra or something large.
    """
    if path.suffix.lower() == EDF:
        return ([] if holds_spectra(path) else titles(path)), None
    with opened_tiff(path) as tiff:
        first, number = tiff.pages[0], min(len(tiff.pages), _MOST_FILES)
        if len(first.shape) != 2 or number * first.size > _MOST_PIXELS:
            return [], None
        check_image(path, first, number)
        names = [str(name) for name in _page_names(tiff)[:number]]
        return names + [""] * (number - len(names)), _pixel_size(tiff)


def _images_in(path: Path) -> list[NDArray[Any]]:
    if path.suffix.lower() == EDF:
        return frames(path)
    with opened_tiff(path) as tiff:
        return [np.asarray(page.asarray()) for page in tiff.pages[:_MOST_FILES]]


def _image_of(path: Path) -> NDArray[Any]:
    if path.suffix.lower() in TEXT_SUFFIXES:
        return _matrix(path)
    images = _images_in(path)
    if len(images) != 1 or images[0].ndim != 2:
        raise FileError(path, "is no image of one map")
    return images[0]


def _series(path: Path) -> dict[str, list[Path]]:
    """Return the files of one folder whose names differ in the element only; a lone one is that in itself."""
    mine = family_named(path.stem)
    if mine is None:
        return {}
    others = [
        other
        for other in sorted(path.parent.iterdir())
        if other.suffix.lower() == path.suffix.lower()
        and (named := family_named(other.stem)) is not None
        and named[1] == mine[1]
    ][:_MOST_FILES]
    found = images_of_families([other.stem for other in others])
    files = {family: [others[at] for at in chosen] for family, chosen in found.items()}
    return files if len(files) > 1 or mine[1] == "*" else {}


def _page_names(tiff: tifffile.TiffFile) -> list[Any]:
    import tifffile

    if tiff.is_ome and tiff.ome_metadata:
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        channels = (image[0] if isinstance(image, list) else image)["Pixels"].get("Channel", [])
        return [entry.get("Name", "") for entry in (channels if isinstance(channels, list) else [channels])]
    if tiff.is_imagej and (labels := (tiff.imagej_metadata or {}).get("Labels")):
        return list(labels)
    tags = [getattr(page, "tags", {}) for page in tiff.pages[:_MOST_FILES]]
    told = [str(tag["ImageDescription"].value) if "ImageDescription" in tag else "" for tag in tags]
    titles = [text.removeprefix("Title=") if text.startswith("Title=") else "" for text in told]  # PyMca
    return [tag["PageName"].value if "PageName" in tag else title
            for tag, title in zip(tags, titles, strict=True)]  # fmt: skip


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    import tifffile

    if tiff.is_ome and tiff.ome_metadata:
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
        found = [
            (pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"
        ]
        steps = [float(step) * (um_per(unit)[0] or 0.0) for step, unit in found if step is not None]
    else:
        unit = str((tiff.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
        tags = tiff.pages[0].tags
        ratios = [tags[f"{axis}Resolution"].value for axis in "YX" if f"{axis}Resolution" in tags]
        steps = [below / above * (um_per(unit)[0] or 0.0) for above, below in ratios if above]
    return (steps[0], steps[1]) if len(steps) == 2 and min(steps) > 0 else None


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > _LARGEST:
        raise FileError(path, "is too large for a matrix of text")
    return [line for line in decoded(path.read_bytes()).splitlines() if line.strip()]


def _names_of_columns(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in _GAP.split(line.strip())]


def _matrix(path: Path) -> _Image:
    rows = [_cells(line) for line in _lines(path)]
    if rows and not _are_numbers(rows[0]):
        rows = rows[1:]  # a line of names
    if len({len(row) for row in rows}) != 1 or len(rows) < _FEWEST_ROWS or len(rows[0]) < _FEWEST:
        raise FileError(path, "holds no matrix of numbers with rows of one length")
    try:
        return np.array(rows, dtype=np.float32)
    except ValueError as error:
        raise FileError(path, f"holds something that is no number ({error})") from error


def _cells(line: str) -> list[str]:
    return [cell or "nan" for cell in cells_of(line.strip().rstrip("\t;,"))]


def _are_numbers(cells: list[str]) -> bool:
    try:
        return bool(np.array(cells, dtype=np.float64).size)
    except ValueError:
        return False
