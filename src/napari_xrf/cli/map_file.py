"""The options by which a verb reads a map."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_xrf.cli.console import Console
from napari_xrf.core.csv_cells import cells_of, plain_number
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.memory import default_memory_budget, parse_bytes
from napari_xrf.core.named_files import content_of, is_file
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io import pymca_config
from napari_xrf.io.atomic_write import made_folder
from napari_xrf.io.calibration import parse_axis

if TYPE_CHECKING:
    from napari_xrf.maps.calibrated_map import CalibratedMap

_READ_SELDOM = 10**9  # bytes of counts that are worth holding for that
_KINDS = ("tube", "electron", "monochromatic")
output_folder = made_folder


def map_file_options() -> argparse.ArgumentParser:
    """Return a parent parser with FILE and how to read it."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("file", metavar="FILE", type=Path, help="map: .bcf, HDF5, .hspy, .rpl, or a spectrum")
    group = parent.add_argument_group("reading")
    group.add_argument("--detector", type=_detector, default="sum", help="index of one detector, or sum")
    group.add_argument("--dataset", help="path of the counts inside an HDF5 file")
    group.add_argument("--map", type=int, metavar="N", help="which map of a file that holds several, from 0")
    group.add_argument(
        "--energy",
        type=_energy,
        metavar="OFFSET:WIDTH|FILE",
        help="energy axis in keV, energies in lines, or PyMca .cfg",
    )
    group.add_argument("--energy-axis", type=int, choices=range(4), help="which axis of it is energy")
    group.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for the counts, 500MB; default half of the free, of minerals 1GB of it at most",
    )
    group.add_argument(
        "--excitation",
        type=_excitation,
        metavar="KIND:KEV[:ANODE]",
        help="where the file says none or wrong: tube:50:Rh, electron:20, monochromatic:10",
    )
    group.add_argument(
        "--instrument", metavar="NAME|FILE.toml", help="what measured it, in place of what the file says"
    )
    return parent


def read_map(arguments: argparse.Namespace, console: Console) -> SpectralCube:
    """Read the file that the options name and show its warnings."""
    from napari_xrf import io

    cube = io.read(
        arguments.file,
        detector=arguments.detector,
        dataset=arguments.dataset,
        energy_axis=arguments.energy_axis,
        map=arguments.map,
        energy=arguments.energy,
        memory_budget=memory_budget(arguments),
        progress=console.progress,
    )
    console.warn(cube.provenance.warnings)
    return stated_excitation(cube, arguments)


def stated_excitation(cube: SpectralCube, arguments: argparse.Namespace) -> SpectralCube:
    """Return a map with the instrument and the excitation that the options state, if they do."""
    if arguments.instrument is not None:
        from napari_xrf.physics.excitation import described

        cube = described(cube, arguments.instrument)
    if arguments.excitation is None:
        return cube
    kind, energy, anode = arguments.excitation
    stated = replace(cube.excitation, kind=kind, energy_kev=energy, anode=anode)
    return replace(cube, excitation=stated)


def load_map(arguments: argparse.Namespace, console: Console) -> SpectralCube:
    """Read the file and decode its counts once, within the memory of the options."""
    return read_map(arguments, console).load(memory_budget(arguments), console.progress)


def memory_budget(arguments: argparse.Namespace) -> int | None:
    """Return the bytes that counts may take, where the options or the verb say."""
    if arguments.memory:
        return parse_bytes(arguments.memory)
    # Counts that are read only two or three times are as quickly read from a scratch file.
    return default_memory_budget(_READ_SELDOM) if arguments.verb == "minerals" else None


def calibrated(cube: SpectralCube, console: Console) -> CalibratedMap:
    """Calibrate a map, once for all that follows, and warn where its energy axis is doubtful."""
    from napari_xrf.maps.calibrated_map import calibrate_map

    known = calibrate_map(cube, progress=console.progress)
    if known.doubt:
        option = "" if known.calibration.remedy else ", or give --energy OFFSET:WIDTH (keV)"
        console.warn((f"{known.doubt}. {known.remedy}{option}.",))
    console.warn(tuple(f"{window}." for window in known.blind_windows))
    return known


def warn_of_peaks(known: CalibratedMap, console: Console) -> None:
    """Warn of peaks that hold much of a map's spectrum and are no found element's, once these were sought."""
    console.warn(tuple(f"{peak}." for peak in known.unnamed_peaks))


def check_folder(path: Path) -> Path:
    """Return the folder if it can be made and written to, without making it: before the long work.

    Raises FileError when a file stands in its way, or nothing can be written there.
    """
    for place in (path.absolute(), *path.absolute().parents):
        if place.is_dir():
            # Administrators may write everywhere but on what is mounted read-only.
            if not os.access(place, os.W_OK | os.X_OK):
                raise FileError(place, "cannot be written to", "Choose another folder")
            return path
        if place.exists():
            raise FileError(place, "is a file, so no folder can be made here", "Choose another")
    return path


def check_output(path: Path, suffixes: Sequence[str], what: str = "maps") -> Path:
    """Return the file that a verb will write if it can be written, before the long work.

    Raises InvalidInput when its ending is none of those that can be written. Raises FileError when its folder
    is missing or cannot be written to.
    """
    if path.suffix.lower() not in suffixes:
        raise InvalidInput(
            f"{what} are not written to {path.suffix!r} files", f"Choose {', '.join(suffixes)}"
        )
    if not path.parent.is_dir():
        raise FileError(path, "there is no such folder", "Make it first")
    check_folder(path.parent)
    return path


def _excitation(text: str) -> tuple[str, float, str | None]:
    kind, _, rest = text.partition(":")
    energy, _, anode = rest.partition(":")
    try:
        kev = float(energy)
        if anode:
            atomic_number(anode)
    except ValueError:
        kev = 0.0
    if kind not in _KINDS or not 0 < kev < 1000 or bool(anode) != (kind == "tube"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no excitation; write tube:50:Rh, electron:20 or monochromatic:10"
        )
    return kind, kev, anode or None


def _energy(text: str) -> list[float]:
    """Return (offset, width) in keV, typed or of a PyMca .cfg, or the energies first in a file's lines."""
    try:
        if Path(text).suffix == pymca_config.SUFFIX:
            config = pymca_config.read_pymca_config(text)
            return [config.offset_kev, config.width_kev]
        if not is_file(text):
            return list(parse_axis(text))
        from napari_xrf.io.spectra.single import decoded

        lines = [line.strip() for line in decoded(content_of(text)).splitlines()]
        rows = [line for line in lines if line and line[0] in "+-.0123456789"]
        cells = [cells_of(row)[0] for row in rows]
        if len({*cells}) < len(cells):  # energies rise: commas that seem to part them are decimal ones
            cells = list(map(plain_number, rows))
        return list(map(float, cells))
    except FileError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except (ValueError, InvalidInput):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no energy axis; write OFFSET:WIDTH in keV, as 0:0.01, or a file of energies"
        ) from None


def _detector(text: str) -> int | Literal["sum"]:
    if text == "sum":
        return "sum"
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither sum nor an index from 0")
    return int(text)
