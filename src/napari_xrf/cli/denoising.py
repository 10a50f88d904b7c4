"""The verb that takes noise off a map: denoise."""

import argparse
from pathlib import Path
from typing import Any

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import check_output, map_file_options, read_map


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``denoise`` to the parser's verbs."""
    denoise = verbs.add_parser(
        "denoise", parents=[common, map_file_options()], help="a map without the noise that does not repeat"
    )
    denoise.add_argument("-o", "--output", metavar="OUT.h5", type=Path, required=True)
    denoise.add_argument("--seed", type=int, default=0, help="of the parting into halves (default 0)")
    denoise.set_defaults(run=write_denoised)


def write_denoised(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write a map denoised by its own principal components, with its misfit as an image."""
    from napari_xrf import io
    from napari_xrf.maps.denoising import STRANGE, denoise_map

    check_output(arguments.output, (".h5", ".hdf5"))
    result = denoise_map(read_map(arguments, console), seed=arguments.seed, progress=console.progress)
    io.write(arguments.output, result.cube, progress=console.progress)
    console.warn(result.notes[1:])
    data = {
        "file": str(arguments.output),
        "components": result.components,
        "signal": [float(part) for part in result.signal],
        "strange_pixels": int((result.misfit > STRANGE).sum()),
        "notes": list(result.notes),
    }
    return Answer(data, f"{result.notes[0]}\nwritten to {arguments.output}")
