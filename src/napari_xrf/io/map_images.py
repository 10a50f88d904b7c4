"""Element maps that others saved as images: a TIFF stack with named pages, or a file per element.

XMapTools, microprobes and ESPRIT write one text matrix or one TIFF an element, named by it: ``Fe.txt``,
``granite_Si Ka.csv``, ``map-Ca-K.tif``. Any file of such a series stands for all of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import split_family, usual_family
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.io.own.files import check_image, opened_tiff
from napari_xrf.io.scans import um_per

if TYPE_CHECKING:
    import tifffile

TEXT_SUFFIXES = (".txt", ".csv", ".dat", ".asc")
_NAME = re.compile(
    r"(?<![A-Za-z])(?P<element>[A-Z][a-z]?)(?:[ _-]?(?P<shell>[KLM])(?:[ _-]?(?:alpha|beta|[abαβ])\d*)?)?"
    r"(?![A-Za-z0-9])"
)
_LARGEST = 2**28  # bytes of a text matrix
_MOST_FILES = 200
_MOST_PIXELS = 2**28  # of a stack
_FEWEST = 5  # rows and columns: fewer columns are a spectrum

_Image = NDArray[np.float32]


def is_named_image(path: str | Path) -> bool:
    """Tell whether a file is an element's map by its name, or holds pages that are named by elements."""
    target = Path(path)
    if target.suffix.lower() not in TEXT_SUFFIXES:
        with opened_tiff(target) as tiff:
            return bool(_page_families(tiff)) or (len(tiff.pages) == 1 and bool(_series(target)))
    if not _series(target):
        return False
    with target.open("rb") as handle:
        lines = handle.read(2**16).splitlines()[:_FEWEST]
    rows = [_cells(line.decode("latin-1")) for line in lines]
    return len(rows) == _FEWEST and min(map(len, rows)) >= _FEWEST and all(map(_are_numbers, rows))


def read_named_images(path: str | Path) -> ElementMaps:
    """Read all element maps of the stack or series that a file belongs to; their errors are not known: NaN.

    Raises FileError when a file is damaged, no element names it, or the maps differ in shape.
    """
    target = Path(path)
    size: tuple[float, float] | None = None
    images: dict[str, _Image] = {}
    if target.suffix.lower() not in TEXT_SUFFIXES:
        with opened_tiff(target) as tiff:
            size = _pixel_size(tiff)
            for family, page in _page_families(tiff).items():
                images[family] = np.asarray(tiff.pages[page].asarray(), dtype=np.float32)
    for family, file in ({} if images else _series(target)).items():
        images[family] = _matrix(file) if file.suffix.lower() in TEXT_SUFFIXES else _single(file)
    if not images:
        raise FileError(target, "is named by no element", "Name it for example Fe.tif or sample_Fe.txt")
    if len({image.shape for image in images.values()}) > 1:
        raise FileError(target, "belongs to maps of different shapes", "Put other maps into another folder")
    counts = np.stack(list(images.values()))
    name = target.stem if len(images) == 1 else target.parent.name or target.stem
    return ElementMaps(tuple(images), counts, np.full_like(counts, np.nan), "images", size, name)


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


def _series(path: Path) -> dict[str, Path]:
    """Return the files of one folder whose names differ in the element only; a lone one is that in itself."""
    mine = family_named(path.stem)
    if mine is None:
        return {}
    found: dict[str, Path] = {}
    for other in sorted(path.parent.iterdir()):
        named = family_named(other.stem) if other.suffix.lower() == path.suffix.lower() else None
        if named is not None and named[1] == mine[1] and len(found) < _MOST_FILES:
            found.setdefault(named[0], other)
    return found if len(found) > 1 or mine[1] == "*" else {}


def _page_families(tiff: tifffile.TiffFile) -> dict[str, int]:
    """Return the page of each family that names one; pages without such a name are left out."""
    first = tiff.pages[0]
    number = min(len(tiff.pages), _MOST_FILES)
    if len(first.shape) != 2 or number * first.size > _MOST_PIXELS:
        return {}
    check_image(tiff.filehandle.path, first, number)
    names = [str(name) for name in _page_names(tiff)[:number]]
    found: dict[str, int] = {}
    for page, name in enumerate(names):
        if page < number and (named := family_named(name)) is not None:
            found.setdefault(named[0], page)
    return found


def _page_names(tiff: tifffile.TiffFile) -> list[Any]:
    import tifffile

    if tiff.is_ome and tiff.ome_metadata:
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        channels = (image[0] if isinstance(image, list) else image)["Pixels"].get("Channel", [])
        return [entry.get("Name", "") for entry in (channels if isinstance(channels, list) else [channels])]
    if tiff.is_imagej and (labels := (tiff.imagej_metadata or {}).get("Labels")):
        return list(labels)
    tags = [getattr(page, "tags", {}) for page in tiff.pages[:_MOST_FILES]]
    return [tag["PageName"].value if "PageName" in tag else "" for tag in tags]


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


def _single(path: Path) -> _Image:
    with opened_tiff(path) as tiff:
        if len(tiff.pages) != 1 or len(tiff.pages[0].shape) != 2:
            raise FileError(path, "is no image of one map")
        return np.asarray(tiff.pages[0].asarray(), dtype=np.float32)


def _matrix(path: Path) -> _Image:
    if path.stat().st_size > _LARGEST:
        raise FileError(path, "is too large for a matrix of text")
    rows = [_cells(line) for line in path.read_text("latin-1").splitlines() if line.strip()]
    if rows and not _are_numbers(rows[0]):
        rows = rows[1:]  # a line of names
    if len({len(row) for row in rows}) != 1 or min(len(rows), len(rows[0])) < _FEWEST:
        raise FileError(path, "holds no matrix of numbers with rows of one length")
    try:
        return np.array(rows, dtype=np.float32)
    except ValueError as error:
        raise FileError(path, f"holds something that is no number ({error})") from error


def _cells(line: str) -> list[str]:
    """Return the cells of a line, parted by tabs, semicolons, commas or spaces; with decimal points."""
    text = line.strip().strip("\ufeff")
    for mark in ("\t", ";"):
        if mark in text:
            return [cell.strip().replace(",", ".") or "nan" for cell in text.rstrip(mark).split(mark)]
    return [cell.strip() for cell in (text.rstrip(",").split(",") if "," in text else text.split())]


def _are_numbers(cells: list[str]) -> bool:
    try:
        return bool(np.array(cells, dtype=np.float64).size)
    except ValueError:
        return False
