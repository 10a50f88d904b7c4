"""The verbs that look into a file: info, spectrum, elements."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import calibrated, check_output, map_file_options, read_map, warn_of_peaks
from napari_xrf.core.display import size_text
from napari_xrf.core.emission_lines import parse_elements
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum

SPECTRUM_SUFFIXES = (".csv", ".msa", ".emsa", ".png")
# How the fields of an excitation are told, and their units.
_BEAM_WORDS = {
    "kind": ("", ""),
    "anode": ("", ""),
    "energy_kev": ("", " keV"),
    "incidence_deg": ("incidence", "°"),
    "takeoff_deg": ("take-off", "°"),
    "atmosphere": ("in", ""),
    "fwhm_mn_ka_ev": ("resolution", " eV at Mn Kα"),
    "instrument": ("", ""),
    "description": ("instrument", ""),
}
_REGION = re.compile(r"(\d*):(\d*),(\d*):(\d*)")


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``info``, ``spectrum`` and ``elements`` to the parser's verbs."""
    parents = [common, map_file_options()]
    info = verbs.add_parser("info", parents=parents, help="what a file holds")
    info.set_defaults(run=show_info)

    spectrum = verbs.add_parser("spectrum", parents=parents, help="the summed spectrum of a map or region")
    spectrum.add_argument("--roi", metavar="Y0:Y1,X0:X1", help="rows and columns, the last excluded")
    spectrum.add_argument("--mark", metavar="Fe,Ca", help="elements whose lines a .png shows")
    spectrum.add_argument("-o", "--output", type=Path, required=True, help=".csv, .msa or .png")
    spectrum.set_defaults(run=write_spectrum)

    elements = verbs.add_parser("elements", parents=parents, help="which elements are there")
    elements.set_defaults(run=list_elements)


def show_info(arguments: argparse.Namespace, console: Console) -> Answer:
    """Say what the file holds."""
    cube = read_map(arguments, console)
    data = {
        "name": cube.name,
        "layout": cube.provenance.layout,
        "shape": list(cube.shape),
        "energy": {"offset_keV": cube.energy.offset, "width_keV": cube.energy.width},
        "pixel_size_um": list(cube.pixel_size) if cube.pixel_size else None,
        "total_counts": int(sum(cube.sum_spectrum(console.progress).tolist())),
        "detectors": list(cube.provenance.detectors),
        "warnings": list(cube.provenance.warnings),
        "elements": list(cube.elements),
        "excitation": {key: value for key, value in asdict(cube.excitation).items() if value is not None},
        "live_time_s": float(np.nansum(cube.live_time)) if cube.live_time is not None else None,
        "images": [image.name for image in cube.images],
    }
    return Answer(data, _in_words(cube, data))


def write_spectrum(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the summed spectrum of the map or of a region."""
    check_output(arguments.output, SPECTRUM_SUFFIXES, "spectra")
    marked = parse_elements(arguments.mark or "")
    if arguments.mark and arguments.output.suffix.lower() != ".png":
        raise InvalidInput("--mark draws lines into a .png only", "Leave it out, or write a .png")
    cube = read_map(arguments, console)
    mask = parse_region(arguments.roi, cube)
    spectrum = Spectrum(
        cube.region_spectrum(mask, console.progress),
        cube.energy,
        name=f"{cube.name} {arguments.roi}" if arguments.roi else cube.name,
        pixels=int(mask.sum()),
        live_time=float(np.nansum(cube.live_time[mask])) if cube.live_time is not None else None,
        excitation=cube.excitation,
    )
    write_or_draw(arguments.output, spectrum, marked)
    counts = int(spectrum.counts.sum())
    data = {"file": str(arguments.output), "pixels": spectrum.pixels, "counts": counts}
    return Answer(data, f"{arguments.output}: {counts} counts of {spectrum.pixels} pixels")


def write_or_draw(path: Path, spectrum: Spectrum, marked: Sequence[str]) -> None:
    """Write a spectrum to a file of :data:`SPECTRUM_SUFFIXES`; a .png shows the lines of elements."""
    from napari_xrf import io
    from napari_xrf.io.spectra.files import write_spectrum_picture

    if path.suffix.lower() == ".png":
        write_spectrum_picture(path, spectrum, elements=marked)
    else:
        io.write(path, spectrum)


def list_elements(arguments: argparse.Namespace, console: Console) -> Answer:
    """List the elements found, the surest first."""
    from napari_xrf.maps.calibrated_map import find_elements

    known = calibrated(read_map(arguments, console), console)
    found = find_elements(known, progress=console.progress)
    if not found and not known.doubt:
        console.warn((f"No element was found ({known.message}).",))
    warn_of_peaks(known, console)
    data = [
        {
            "element": entry.element,
            "lines": list(entry.families),
            "net_counts": float(entry.net_counts),
            "standard_error": float(entry.standard_error),
            "probability": float(entry.probability),
        }
        for entry in found
    ]
    rows = [
        (
            entry.element,
            ", ".join(entry.families),
            f"{entry.net_counts:.0f}",
            f"{entry.standard_error:.0f}",
            f"{entry.probability:.3f}",
        )
        for entry in found
    ]
    header = ("element", "lines", "net counts", "± 1 sd", "probability")
    return Answer(data, table(header, rows) if rows else "no element found")


def parse_region(text: str | None, cube: SpectralCube) -> NDArray[np.bool_]:
    """Return the mask (Y, X) of a region ``"Y0:Y1,X0:X1"``; all pixels without one.

    Raises InvalidInput when the text cannot be read, or the region is empty or outside the map.
    """
    rows, columns = cube.map_shape
    mask = np.zeros((rows, columns), dtype=bool)
    if text is None:
        mask[:] = True
        return mask
    match = _REGION.fullmatch(text.replace(" ", ""))
    if match is None:
        raise InvalidInput(f"cannot read the region {text!r}", "Write rows and columns as Y0:Y1,X0:X1")
    y0, y1, x0, x1 = (
        int(part) if part else default
        for part, default in zip(match.groups(), (0, rows, 0, columns), strict=True)
    )
    if not (y0 < y1 <= rows and x0 < x1 <= columns):
        raise InvalidInput(
            f"the region {text} is empty or outside the map of {rows} rows and {columns} columns"
        )
    mask[y0:y1, x0:x1] = True
    return mask


def _in_words(cube: SpectralCube, data: dict[str, Any]) -> str:
    """Return what a file holds as a person reads it; its warnings were told before."""
    beam = data["excitation"]
    current = "nA" if beam.get("kind") == "electron" else "µA"
    said = (f"{words} {beam[name]:g}{unit}" if isinstance(beam[name], float) else f"{words} {beam[name]}"
            for name, (words, unit) in _BEAM_WORDS.items() if name in beam)  # fmt: skip
    more = [f"current {beam['current']:g} {current}"] if "current" in beam else []
    lines = {
        "name": cube.name,
        "layout": data["layout"],
        "map": size_text(cube.map_shape, cube.pixel_size),
        "energy": f"{cube.energy}, {cube.energy.width:g} keV each",
        "counts": str(data["total_counts"]),
        "detectors": ", ".join(data["detectors"]),
        "elements": ", ".join(data["elements"]),
        "excitation": ", ".join(text.strip() for text in (*said, *more)),
        "live time": "" if data["live_time_s"] is None else f"{data['live_time_s']:g} s over all pixels",
        "images": ", ".join(data["images"]),
    }
    return "\n".join(f"{key}: {text}" for key, text in lines.items() if text)
