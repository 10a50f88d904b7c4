"""The verb that tells how much of each element there is: quantify."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.cli import plans
from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.inspection import parse_region
from napari_xrf.cli.map_file import map_file_options, output_folder, stated_excitation
from napari_xrf.cli.names import elements_of
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import NOT_MEASURED
from napari_xrf.core.spectral_cube import SpectralCube

if TYPE_CHECKING:
    from napari_xrf.maps.calibrated_map import CalibratedMap
    from napari_xrf.maps.quantification.composition import Recipe
    from napari_xrf.maps.quantification.report import QuantityReport


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``quantify`` to the parser's verbs."""
    quantify = verbs.add_parser(
        "quantify",
        parents=[common, map_file_options(), plans.plan_options()],
        help="weight percent of the elements",
    )
    quantify.add_argument("--elements", default="auto", help="Fe,Ca,…; auto finds them (default)")
    quantify.add_argument("--roi", metavar="Y0:Y1,X0:X1", help="rows and columns, the last excluded")
    quantify.add_argument("--regions", metavar="LABELS", type=Path, help="a label map: each class by itself")
    quantify.add_argument(
        "--oxygen",
        choices=("auto", "stoichiometry", "measured", "none"),
        default="auto",
        help="from valences, from its line, or none; auto judges by line or background (default)",
    )
    quantify.add_argument("--oxides", action="store_true", help="the same as --oxygen stoichiometry")
    quantify.add_argument("--valence", metavar="Fe=3,…", default="", help="in place of the usual ones")
    quantify.add_argument(
        "--standard",
        metavar="SPECTRUM=TRUTH.csv",
        action="append",
        default=[],
        help="a spectrum of known composition (columns element, weight_percent); may be given several times",
    )
    quantify.add_argument(
        "--save-instrument",
        metavar="FILE.toml",
        type=Path,
        help="keep what the standards tell, for --instrument",
    )
    quantify.add_argument(
        "--fit-optic", action="store_true", help="the lens' transmission from the standards too (X-ray tubes)"
    )
    quantify.add_argument("--film", action="store_true", help="a thin film; µg/cm² with a standard and times")
    quantify.add_argument(
        "--by-dose",
        action="store_true",
        help="weights that the dose gives, not normalised to 100 %% (needs a standard)",
    )
    quantify.add_argument(
        "--volatile-free",
        action="store_true",
        help="no water, carbonate or organic matter is in it (a glass): smaller errors of oxides",
    )
    quantify.add_argument(
        "--intensity", metavar="NAME", help="what the files hold as I0, /entry/i0: the dose in place of times"
    )
    quantify.add_argument("--pixels", action="store_true", help="maps of weight percent too (needs -o)")
    quantify.set_defaults(run=write_quantities)


def write_quantities(arguments: argparse.Namespace, console: Console) -> Answer:
    """Tell the weight percent of a map, of regions of it, and of every pixel."""
    from napari_xrf.maps.quantification.report import report_quantities

    # Everything the user typed is checked before the long work starts.
    plans.check_plan_options(arguments, folder=False)
    if arguments.pixels and arguments.output is None and arguments.make_plan is None:
        raise InvalidInput("maps of weight percent need a folder", "Add -o DIR")
    if arguments.roi and arguments.regions:
        raise InvalidInput("a region is given twice", "Give --roi or --regions")
    if arguments.save_instrument and not arguments.standard:
        raise InvalidInput("an instrument's factors come from standards", "Add --standard SPECTRUM=TRUTH.csv")
    elements = elements_of(arguments.elements)
    plan = plans.followed_plan(arguments, "quantify")
    if plan is not None and arguments.shard is not None:
        known, band = plans.shard_rows(arguments, console, plan)
        maps = plan.learned.map(known.cube, console.progress, band.start) if known.cube.shape[0] else None
        return plans.written_shard(arguments, plan, known, band, {"maps": maps})
    recipe = _recipe(arguments)
    if plan is not None and elements is None:
        elements = plan.options["elements"]
    known = plans.known_map(arguments, console, plan)
    known = replace(known, cube=_dosed(known.cube, arguments))
    regions, formulas = _regions(arguments, known.cube)
    recipe = _with_standards(recipe, known, arguments, console)
    report = report_quantities(
        known,
        elements,
        regions=regions,
        formulas=formulas,
        recipe=recipe,
        pixels=arguments.pixels and arguments.make_plan is None,
        progress=console.progress,
    )
    for quantities in report.quantities:
        notes = (note for note in quantities.notes if note != known.doubt)  # told already
        console.warn(tuple(f"{quantities.region}: {note}" for note in notes))
    if arguments.make_plan is not None:
        from napari_xrf.maps.quantification.per_pixel import plan_quantities

        learned = None
        if arguments.pixels:
            whole = None if regions else report.quantities[0]
            learned = plan_quantities(
                known,
                elements,
                regions=regions,
                formulas=formulas,
                recipe=recipe,
                whole=whole,
                progress=console.progress,
            )
        return plans.written_plan(arguments, known, learned, report, elements=elements)
    if arguments.output is None:
        return Answer(report.rows, _as_text(report.rows))
    return write_quantity_files(report, arguments.output)


def write_quantity_files(report: QuantityReport, output: Path) -> Answer:
    """Write what is told of quantities, and maps of them if there are any."""
    report.write(output_folder(output))
    return Answer(report.rows, f"{_as_text(report.rows)}\nwritten to {output}")


def _recipe(arguments: argparse.Namespace) -> Recipe:
    from napari_xrf.maps.quantification.composition import Recipe
    from napari_xrf.reference.oxides import parse_valences

    if arguments.oxides and arguments.oxygen not in ("auto", "stoichiometry"):
        raise InvalidInput("--oxides takes oxygen from valences", f"Leave out --oxygen {arguments.oxygen}")
    oxygen = "stoichiometry" if arguments.oxides else arguments.oxygen
    standards = [text for text in arguments.standard if "=" not in text]
    if standards:
        raise InvalidInput(f"{standards[0]!r} is no standard", "Write SPECTRUM=TRUTH.csv")
    valences = parse_valences(arguments.valence)
    return Recipe(
        oxygen,
        valences,
        film=arguments.film,
        by_dose=arguments.by_dose,
        volatile_free=arguments.volatile_free,
    )


def _with_standards(
    recipe: Recipe, known: CalibratedMap, arguments: argparse.Namespace, console: Console
) -> Recipe:
    """Return the recipe with what standards tell of the instrument, and keep that in a file if asked."""
    if not arguments.standard:
        return recipe
    from napari_xrf import io
    from napari_xrf.maps.quantification.standards import Standard, calibrate_instrument, read_truth_table
    from napari_xrf.physics.instrument_file import write_instrument

    standards = []
    for text in arguments.standard:
        spectrum, _, truth = text.partition("=")
        cube = stated_excitation(io.read(spectrum, progress=console.progress), arguments)
        composition = read_truth_table(Path(truth), Path(spectrum))
        cube = _dosed(cube, arguments)
        standards.append(Standard(cube, composition))
    instrument, notes = calibrate_instrument(
        known.instrument, standards, fit_optic=arguments.fit_optic, progress=console.progress
    )
    console.warn(notes)
    if arguments.save_instrument is not None:
        write_instrument(arguments.save_instrument, replace(instrument, name=arguments.save_instrument.stem))
    return replace(recipe, instrument=instrument)


def _dosed(cube: SpectralCube, arguments: argparse.Namespace) -> SpectralCube:
    from napari_xrf.maps.preparation import dosed_by_intensity

    return cube if arguments.intensity is None else dosed_by_intensity(cube, arguments.intensity)


def _regions(
    arguments: argparse.Namespace, cube: SpectralCube
) -> tuple[dict[str, NDArray[np.bool_]] | None, dict[str, str]]:
    """Return the regions by name, and the formulas of mineral classes whose oxygen is not stated."""
    if arguments.roi:
        return {arguments.roi: parse_region(arguments.roi, cube)}, {}
    if arguments.regions is None:
        return None, {}
    from napari_xrf import io
    from napari_xrf.maps.quantification.composition import formulas_of

    labels = io.read_labels(arguments.regions)
    if labels.labels.shape != cube.map_shape:
        raise InvalidInput(
            f"labels of {labels.labels.shape} do not fit a map of {cube.map_shape}", "Give those of this map"
        )
    masks = {
        entry.name: labels.labels == entry.label for entry in labels.classes if entry.label != NOT_MEASURED
    }
    stated = arguments.oxides or arguments.oxygen != "auto"
    formulas = {} if stated else formulas_of(labels)
    return {name: mask for name, mask in masks.items() if mask.any()}, formulas


def _as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    from napari_xrf.maps.quantification.table import is_unknown

    film = any(not is_unknown(row["ug_per_cm2"]) for row in rows)  # what its mass per area is asked for
    shown = [
        (
            str(row["region"]),
            str(row["element"]),
            f"{row['weight_percent']:.4g}",
            f"{row['standard_error']:.2g}",
            "-" if is_unknown(row["detection_limit"]) else f"{row['detection_limit']:.2g}",
            row["oxide"] or "-",
            "-" if is_unknown(row["oxide_percent"]) else f"{row['oxide_percent']:.4g}",
            *([f"{row['ug_per_cm2']:.4g}"] if film else []),
            str(row["family"]),
        )
        for row in rows
    ]
    masses = ("µg/cm²",) if film else ()
    header = ("region", "element", "weight %", "± 1 sd", "limit", "oxide", "oxide %", *masses, "from")
    return table(header, shown)
