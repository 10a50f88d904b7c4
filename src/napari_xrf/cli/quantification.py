"""The verb that tells how much of each element there is: quantify."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
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
    from napari_xrf.maps.quantification.named import StatedSample
    from napari_xrf.maps.quantification.report import QuantityReport


_STATED_FOR = ("quantify", "batch")  # verbs whose options hold what may be stated of a sample


def add_verbs(verbs: Any, common: argparse.ArgumentParser, verb: str = "") -> None:
    """Add ``quantify`` to the parser's verbs; what may be stated of a sample for the verbs that take it."""
    quantify = verbs.add_parser(
        "quantify",
        parents=[common, map_file_options(), plans.plan_options()],
        help="weight percent of the elements",
    )
    quantify.add_argument("--elements", default="auto", help="Fe,Ca,…; auto finds them (default)")
    quantify.add_argument("--roi", metavar="Y0:Y1,X0:X1", help="rows and columns, the last excluded")
    quantify.add_argument("--regions", metavar="LABELS", type=Path, help="a label map: each class by itself")
    quantify.add_argument("--oxides", action="store_true", help="the same as --oxygen stoichiometry")
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
    quantify.add_argument("--pixels", action="store_true", help="maps of weight percent too (needs -o)")
    if verb in _STATED_FOR:
        from napari_xrf.cli.parameter_options import add_parameter_options
        from napari_xrf.maps.quantification.named import StatedSample

        add_parameter_options(quantify, StatedSample, note="in place of what the spectrum suggests")
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
    sample, standards = _sample(arguments), _standards(arguments)
    recipe = sample.recipe()
    if plan is not None and elements is None:
        elements = plan.options["elements"]
    known = plans.known_map(arguments, console, plan)
    known = replace(known, cube=sample.dosed(known.cube))
    regions, formulas = _regions(arguments, known.cube, recipe)
    if standards:
        recipe = _with_standards(recipe, known, sample, standards, arguments, console)
    told: dict[str, Any] = {"regions": regions, "formulas": formulas, "recipe": recipe}
    told["progress"] = console.progress
    pixels = arguments.pixels and arguments.make_plan is None
    report = report_quantities(known, elements, pixels=pixels, **told)
    for quantities in report.quantities:
        notes = (note for note in quantities.notes if note != known.doubt)  # told already
        console.warn(tuple(f"{quantities.region}: {note}" for note in notes))
    if arguments.make_plan is not None:
        from napari_xrf.maps.quantification.per_pixel import plan_quantities

        learned = None
        if arguments.pixels:
            whole = None if regions else report.quantities[0]
            learned = plan_quantities(known, elements, whole=whole, **told)
        return plans.written_plan(arguments, known, learned, report, elements=elements)
    if arguments.output is None:
        return Answer(report.rows, _as_text(report.rows))
    return write_quantity_files(report, arguments.output)


def write_quantity_files(report: QuantityReport, output: Path) -> Answer:
    """Write what is told of quantities, and maps of them if there are any."""
    report.write(output_folder(output))
    return Answer(report.rows, f"{_as_text(report.rows)}\nwritten to {output}")


def _sample(arguments: argparse.Namespace) -> StatedSample:
    from napari_xrf.cli.parameter_options import parameters_from
    from napari_xrf.maps.quantification.named import StatedSample

    sample = parameters_from(arguments, StatedSample)
    if not arguments.oxides:
        return sample
    if sample.oxygen not in ("auto", "stoichiometry"):
        raise InvalidInput("--oxides takes oxygen from valences", f"Leave out --oxygen {sample.oxygen}")
    return replace(sample, oxygen="stoichiometry")


def _standards(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the spectra of the standards with their tables."""
    parts = [text.partition("=") for text in arguments.standard]
    for spectrum, _, truth in parts:
        if not truth:
            raise InvalidInput(f"{spectrum!r} is no standard", "Write SPECTRUM=TRUTH.csv")
    return [(spectrum, truth) for spectrum, _, truth in parts]


def _with_standards(
    recipe: Recipe,
    known: CalibratedMap,
    sample: StatedSample,
    standards: Sequence[tuple[str, str]],
    arguments: argparse.Namespace,
    console: Console,
) -> Recipe:
    """Return the recipe with what standards tell of the instrument, and keep that in a file if asked."""
    from napari_xrf.maps.quantification.named import calibrated_by_files
    from napari_xrf.physics.instrument_file import write_instrument

    told = partial(stated_excitation, arguments=arguments)
    instrument, notes = calibrated_by_files(
        known, "", standards, sample, told=told, progress=console.progress
    )
    console.warn(notes)
    if arguments.save_instrument is not None:
        write_instrument(arguments.save_instrument, replace(instrument, name=arguments.save_instrument.stem))
    return replace(recipe, instrument=instrument)


def _regions(
    arguments: argparse.Namespace, cube: SpectralCube, recipe: Recipe
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
    formulas = formulas_of(labels) if recipe.oxygen == "auto" else {}
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
