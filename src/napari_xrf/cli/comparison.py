"""The verb that compares two label maps, or two maps of spectra: compare."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import check_folder, output_folder
from napari_xrf.cli.model_options import folder_option
from napari_xrf.core.errors import InvalidInput


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``compare`` to the parser's verbs."""
    compare = verbs.add_parser(
        "compare",
        parents=[common, folder_option(required=False)],
        help="how far two label maps agree, or how alike two maps are",
    )
    for name in ("first", "second"):
        compare.add_argument(
            name, metavar=name.upper(), type=Path, help="label map: .tif, .h5 or .csv, or a map of spectra"
        )
    compare.set_defaults(run=compare_maps)


def compare_maps(arguments: argparse.Namespace, console: Console) -> Answer:
    """Compare two label maps, or two maps of spectra where neither is one of labels."""
    from napari_xrf import io

    if arguments.output is not None:
        check_folder(arguments.output)
    kinds = {io.is_label_file(path) for path in (arguments.first, arguments.second)}
    if len(kinds) > 1:
        raise InvalidInput(
            "one is a label map, the other is not", "Give two label maps, or two maps of spectra"
        )
    return _compare_labels(arguments) if kinds.pop() else _compare_spectra(arguments, console)


def _compare_spectra(arguments: argparse.Namespace, console: Console) -> Answer:
    """Tell the measures; write comparison.json and comparison.png."""
    from napari_xrf import io
    from napari_xrf.maps.map_comparison import compare_cubes, draw_comparison, write_measures

    maps = [io.read(path, progress=console.progress) for path in (arguments.first, arguments.second)]
    found = compare_cubes(maps[0], maps[1], console.progress)
    data = {**found.as_json(), "files": []}
    written = ""
    if arguments.output is not None:
        folder = output_folder(arguments.output)
        files = folder / "comparison.json", folder / "comparison.png"
        write_measures(files[0], found)
        draw_comparison(files[1], found)
        data["files"] = [str(file) for file in files]
        written = f"\nwritten to {folder}"
    rows = [(name, "–" if value is None else f"{value:.4f}") for name, value in data["measures"].items()]
    return Answer(data, "\n".join((*found.notes, table(("measure", "value"), rows))) + written)


def _compare_labels(arguments: argparse.Namespace) -> Answer:
    """Tell the agreement; write confusion.csv, agreement.csv, agreement.tif and .png, and differences.tif."""
    from napari_xrf import io
    from napari_xrf.minerals.labels.comparison import compare_labels, write_comparison

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
        from napari_xrf.minerals.labels.picture import write_label_picture

        folder = output_folder(arguments.output)
        files = write_comparison(folder, found)
        files += [folder / name for name in ("agreement.tif", "agreement.png", "differences.tif")]
        io.write(files[-3], found.map)
        write_label_picture(files[-2], found.map)
        io.write(files[-1], found.pairs)
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
