"""The verb that compares two label maps: compare."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import check_folder, output_folder
from napari_xrf.cli.model_options import folder_option


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``compare`` to the parser's verbs."""
    compare = verbs.add_parser(
        "compare", parents=[common, folder_option(required=False)], help="how far two mineral maps agree"
    )
    for name in ("first", "second"):
        compare.add_argument(name, metavar=name.upper(), type=Path, help="label map: .tif, .h5 or .csv")
    compare.set_defaults(run=compare_maps)


def compare_maps(arguments: argparse.Namespace, console: Console) -> Answer:
    """Compare two label maps; write confusion.csv, agreement.csv, agreement.tif and agreement.png."""
    from napari_xrf import io
    from napari_xrf.minerals.comparison import compare_labels, write_comparison

    if arguments.output is not None:
        check_folder(arguments.output)
    found = compare_labels(io.read_labels(arguments.first), io.read_labels(arguments.second))
    data: dict[str, Any] = {
        "pixels": found.pixels,
        "agreement": found.agreement,
        "agreement_allowed": found.allowed,
        "kappa": found.kappa,
        "classes": [asdict(entry) for entry in found.classes],
        "first": list(found.first),
        "second": list(found.second),
        "confusion": found.confusion.tolist(),
        "files": [],
    }
    written = ""
    if arguments.output is not None:
        from napari_xrf.minerals.label_picture import write_label_picture

        folder = output_folder(arguments.output)
        files = [*write_comparison(folder, found), folder / "agreement.tif", folder / "agreement.png"]
        io.write(files[-2], found.map)
        write_label_picture(files[-1], found.map)
        data["files"] = [str(file) for file in files]
        written = f"\nwritten to {folder}"
    rows = [
        (entry.name, *(f"{value:.2f}" for value in (entry.first, entry.second, entry.both, entry.overlap)))
        for entry in found.classes
    ]
    text = table(("class", "first %", "second %", "both %", "overlap"), rows)
    told = f"{100 * found.agreement:.2f} % of {found.pixels} pixels have the same name"
    if found.allowed > found.agreement:
        told += f", {100 * found.allowed:.2f} % one that the other allows"
    return Answer(data, f"{told}; kappa {found.kappa:.3f}\n{text}{written}")
