"""PyMca's fit configurations (.cfg): their energy calibration and the line families that they fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import content_of

if TYPE_CHECKING:
    from configparser import ConfigParser

SUFFIX = ".cfg"
_LARGEST = 2**24


@dataclass(frozen=True)
class PymcaConfig:
    """What is taken over of a fit configuration."""

    # offset_kev, width_kev: of the energy axis, as the fit starts from it
    offset_kev: float
    width_kev: float
    families: tuple[str, ...]  # "Fe K", "Pb L": groups of single lines (Ka, L3) stand for their whole family


def read_pymca_config(path: str | Path) -> PymcaConfig:
    """Read a fit configuration of PyMca, or of PyMcaGui's last session.

    Raises FileError when the file cannot be read or is none, or its calibration makes no sense.
    """
    import configparser

    target = Path(path)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # symbols keep their capitals
    try:
        parser.read_string(content_of(target, _LARGEST).decode("latin-1"))
    except configparser.Error as error:
        raise FileError(target, f"is no PyMca configuration ({str(error).splitlines()[0]})") from error
    try:
        detector = parser["detector"]
        offset, width = float(detector["zero"]), float(detector["gain"])
    except (KeyError, ValueError) as error:
        raise FileError(target, "holds no energy calibration: no zero and gain in [detector]") from error
    if not (0 < width < 1 and abs(offset) < 100):
        raise FileError(target, f"calibrates to {offset:g} + {width:g}·channel keV, which makes no sense")
    return PymcaConfig(offset, width, _families(parser))


def _families(parser: ConfigParser) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for element, lines in parser.items("peaks") if parser.has_section("peaks") else ():
        for line in lines.split(","):
            family = f"{element.strip()} {line.strip()[:1]}"
            try:
                split_family(family)
            except InvalidInput:
                continue  # PyMca keeps peaks such as "Scatter" in the same list
            found[family] = None
    return tuple(found)
