"""The verbs that make maps: maps, minerals, phases, reflections and denoise."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.cli import plans
from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import (
    calibrated,
    check_folder,
    check_output,
    load_map,
    map_file_options,
    memory_budget,
    output_folder,
    read_map,
    warn_of_peaks,
)
from napari_xrf.cli.model_options import folder_option
from napari_xrf.cli.names import elements_of, names_of
from napari_xrf.core.abundances import Abundances
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.emission_lines import parse_elements
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelMap

if TYPE_CHECKING:
    from napari_xrf.core.spectral_cube import SpectralCube
    from napari_xrf.maps.calibrated_map import Measured
    from napari_xrf.maps.crystal_reflections import ReflectionOptions, Reflections
    from napari_xrf.minerals.classification import Classification, ClassificationOptions
    from napari_xrf.minerals.labels.cleanup import CleanUpStep
    from napari_xrf.reference.minerals import Mineral
    from napari_xrf.scale.plans import Plan

_REFLECTIONS_FOR = ("minerals", "phases", "report", "batch")  # verbs that take out what grains reflect

METHODS_OF_MAPS = ("fit", "window", "network")


def add_verbs(verbs: Any, common: argparse.ArgumentParser, verb: str = "") -> None:
    """Add ``maps``, ``minerals``, ``phases``, ``reflections`` and ``denoise`` to the parser's verbs."""
    parents = [common, map_file_options(), plans.plan_options()]
    maps = verbs.add_parser("maps", parents=parents, help="element maps")
    add = maps.add_argument
    add("--elements", default="auto", help="Fe,Ca or 'Pb L', or a PyMca .cfg; auto finds them (default)")
    add("--method", choices=METHODS_OF_MAPS, default="fit")
    add("--per-second", action="store_true", help="counts over the live or dwell time of each pixel")
    add("--intensity", metavar="NAME", help="counts over what an HDF5 file holds as I0, /entry/i0, instead")
    add("--model", metavar="MODEL", help="for --method network (default: the detector's)")
    maps.set_defaults(run=write_maps)

    minerals = verbs.add_parser("minerals", parents=parents, help="mineral map with percentages")
    add_mineral_options(minerals)
    add_reflection_options(minerals, verb)
    minerals.set_defaults(run=write_minerals)

    parents = [common, map_file_options(), folder_option()]
    phases = verbs.add_parser("phases", parents=parents, help="phases without a library")
    add = phases.add_argument
    add("--count", type=_count, default=None, metavar="N|auto", help="how many (default auto)")
    add("--library", metavar="FILE.csv", type=Path, help="your minerals, beside which phases are put")
    add("--ignore", metavar="Cu,…", default="", help="elements whose lines come from elsewhere")
    add_reflection_options(phases, verb)
    phases.set_defaults(run=write_phases)
    told = "peaks of diffraction in single grains, which no element explains"
    reflections = verbs.add_parser("reflections", parents=parents, help=told)
    told = "index of another detector: it sees lines, and no reflection"
    reflections.add_argument("--beside", type=int, metavar="N", help=told)
    told = "the map once more without them, for other verbs"
    reflections.add_argument("--without", metavar="OUT.h5", type=Path, help=told)
    reflections.set_defaults(run=write_reflections)
    parents, told = [common, map_file_options()], "a map without the noise that does not repeat"
    denoise = verbs.add_parser("denoise", parents=parents, help=told)
    denoise.add_argument("-o", "--output", metavar="OUT.h5", type=Path, required=True)
    denoise.add_argument("--seed", type=int, default=0, help="of the parting into halves (default 0)")
    denoise.set_defaults(run=write_denoised)


def add_mineral_options(minerals: argparse.ArgumentParser) -> None:
    """Add the options of mineral maps, for ``minerals`` and ``report``."""
    add = minerals.add_argument
    add("--minerals", default="auto", help="quartz,albite or auto (default)")
    add("--set", metavar="NAME", dest="mineral_set", help="minerals of a granite, pegmatite, sulfide, …")
    add("--library", metavar="FILE.csv", type=Path, help="your minerals: name,formula,density")
    add(
        "--method",
        metavar="METHOD",
        default="likelihood",
        help="likelihood (default), a mineral model, or the best on twins of the map: best (of all), or A,B",
    )
    add("--clean", default="none", help="none, default, or steps such as majority:3,min-size:5")
    add("--ignore", metavar="Cu,…", default="", help="elements whose lines come from elsewhere")
    add("--tolerance", type=float, help="relative error of expected spectra, 0.01 to 1 (default: estimated)")


def add_reflection_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add what becomes of reflections, where ``verb``, the one that is given, needs it."""
    if verb in _REFLECTIONS_FOR:
        from napari_xrf.cli.parameter_options import add_parameter_options
        from napari_xrf.maps.crystal_reflections import ReflectionOptions

        add_parameter_options(parser, ReflectionOptions, note="before minerals and phases are looked for")


def reflection_options(arguments: argparse.Namespace) -> ReflectionOptions:
    """Return what the user wants to become of reflections."""
    from napari_xrf.cli.parameter_options import parameters_from
    from napari_xrf.maps.crystal_reflections import ReflectionOptions

    return parameters_from(arguments, ReflectionOptions)


def told_reflections(found: Reflections | None, console: Console) -> dict[str, Any]:
    """Tell what single grains reflect; return it for JSON, nothing where it was not looked for."""
    from napari_xrf.maps.crystal_reflections import reflection_rows

    for note in () if found is None else found.notes:
        console.say(note)
    return {} if found is None else {"reflections": reflection_rows(found)}


def write_maps(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the element maps of a file as maps.ome.tif, maps.h5 and maps.csv."""
    plans.check_plan_options(arguments)
    elements, method = elements_of(arguments.elements), arguments.method
    plan = plans.followed_plan(arguments, "maps")
    if arguments.intensity and arguments.per_second:
        raise InvalidInput("counts go over times or over I0", "Leave out --per-second or --intensity")
    if arguments.intensity and (arguments.make_plan is not None or plan is not None):
        raise InvalidInput("plans of maps take no --intensity", "Leave it out, or map without a plan")
    if method == "network":
        if arguments.make_plan is not None or plan is not None:
            raise InvalidInput("plans of maps are for --method fit or window", "For networks use predict")
        return _write_network_maps(elements, arguments, console)
    if arguments.model is not None:
        raise InvalidInput("--model is for --method network only", "Leave it out, or add --method network")
    if plan is not None and arguments.shard is not None:
        known, rows = plans.shard_rows(arguments, console, plan)
        maps = plan.learned.map(known.cube, console.progress) if known.cube.shape[0] else None
        times = known.cube.live_time if plan.options["per_second"] else None
        return plans.written_shard(arguments, plan, known, rows, {"maps": maps, "times": times})
    per_second = arguments.per_second
    if plan is not None and elements is None:
        elements, method = plan.options["elements"], plan.options["method"]
        per_second = per_second or plan.options["per_second"]
    known = plans.known_map(arguments, console, plan)
    times = _times(known.cube, per_second, arguments.intensity)
    if arguments.make_plan is not None:
        from napari_xrf.maps.pixels.element_mapping import plan_elements

        learned = plan_elements(known.checked(), elements, method=method, progress=console.progress)
        told = {"elements": elements, "method": method, "per_second": per_second}
        return plans.written_plan(arguments, known, learned, **told)
    return write_element_maps(
        known, elements, method, arguments.output, console, times, _unit(arguments.intensity)
    )


def write_element_maps(
    measured: Measured,
    elements: Sequence[str] | None,
    method: Literal["fit", "window"],
    output: Path,
    console: Console,
    times: NDArray[np.floating] | None = None,
    unit: str = "counts/s",
) -> Answer:
    """Map the elements of a loaded map and write three files, over times (Y, X) in a unit where given."""
    from napari_xrf.maps.calibrated_map import calibrate_map, unseen_families
    from napari_xrf.maps.pixels.element_mapping import map_elements

    known = calibrate_map(measured, progress=console.progress)
    maps = map_elements(known, elements, method=method, progress=console.progress)
    warn_of_peaks(known, console)
    unseen = () if elements is None else unseen_families(known, maps.families, progress=console.progress)
    if unseen:
        console.warn((f"{', '.join(unseen)} not seen in the sum spectrum: the maps of these may be noise",))
    return write_map_files(maps, output, times, unit)


def _write_network_maps(
    elements: Sequence[str] | None, arguments: argparse.Namespace, console: Console
) -> Answer:
    from napari_xrf.learning.prediction.element_mapping import asked_elements, map_elements_by

    if arguments.model is not None:  # before the long work
        asked_elements(arguments.model, elements)
    cube = load_map(arguments, console)
    times = _times(cube, arguments.per_second, arguments.intensity)
    maps = map_elements_by(arguments.model, cube, elements, tell=console.say, progress=console.progress)
    return write_map_files(maps, arguments.output, times, _unit(arguments.intensity))


def _unit(intensity: str | None) -> str:
    return "counts/I0" if intensity else "counts/s"


def _times(cube: SpectralCube, per_second: bool, intensity: str | None) -> NDArray[np.floating] | None:
    """Return what the counts of each pixel go over, (Y, X), or None."""
    if intensity:
        from napari_xrf.maps.preparation import dosed_by_intensity

        return dosed_by_intensity(cube, intensity).live_time
    if per_second and cube.live_time is None:
        raise InvalidInput("the file holds no live or dwell times", "Leave out --per-second")
    return cube.live_time if per_second else None


def write_map_files(
    maps: ElementMaps, output: Path, times: NDArray[np.floating] | None = None, unit: str = "counts/s"
) -> Answer:
    """Write element maps as the three files of the ``maps`` verb, over times (Y, X) in a unit where given."""
    from napari_xrf import io

    folder = output_folder(output)
    files = [folder / name for name in ("maps.ome.tif", "maps.h5", "maps.csv")]
    written = maps if times is None else maps.per_second(times, unit)
    for file in files:
        io.write(file, written)
    totals = {family: float(np.sum(maps[family], dtype=np.float64)) for family in maps}
    errors = {
        family: float(np.sqrt(np.sum(maps.standard_error(family).astype(np.float64) ** 2))) for family in maps
    }
    data = {
        "files": [str(file) for file in files],
        "method": maps.method,
        "net_counts": totals,
        "standard_errors": errors,
        "beside": list(maps.beside),
    }
    rows = [(family, f"{total:.0f}") for family, total in totals.items()]
    told = f"not named, but seen, and fitted beside them: {', '.join(maps.beside)}\n" if maps.beside else ""
    return Answer(data, f"{table(('lines', 'net counts'), rows)}\n{told}written to {folder}")


def asked_minerals(
    arguments: argparse.Namespace,
) -> tuple[tuple[CleanUpStep, ...], tuple[Mineral, ...] | None, ClassificationOptions]:
    """Return the clean-up, the minerals looked for and the classifier's options, checked before the work."""
    from napari_xrf.learning.evaluation.method_choice import check_methods
    from napari_xrf.minerals.classification import ClassificationOptions
    from napari_xrf.minerals.labels.cleanup import parse_clean_up
    from napari_xrf.reference.minerals import known_minerals, wanted_minerals

    steps = parse_clean_up(arguments.clean)
    own = arguments.library
    chosen = wanted_minerals(names_of(arguments.minerals), arguments.mineral_set, own)
    options = ClassificationOptions(
        library=None if own is None else known_minerals(own),
        ignored=parse_elements(arguments.ignore),
        tolerance=arguments.tolerance,
        keep_reflections=reflection_options(arguments).keep_reflections,
    )
    check_methods(arguments.method, chosen, options)
    return steps, chosen, options


def write_minerals(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the mineral map of a file: labels, classes.csv, abundances.h5, map.png, report.html."""
    from napari_xrf import io
    from napari_xrf.learning.evaluation.method_choice import classify_by_choice
    from napari_xrf.minerals.method_choice import LIKELIHOOD

    # Everything the user typed is checked before the long work starts.
    plans.check_plan_options(arguments)
    plan = plans.followed_plan(arguments, "minerals")
    steps, chosen, options = asked_minerals(arguments)
    if arguments.file.is_file() and io.is_element_map_file(arguments.file):
        return _classify_element_maps(arguments, chosen, steps, options.library, console)
    if arguments.method != LIKELIHOOD and (arguments.make_plan is not None or plan is not None):
        raise InvalidInput(f"plans of minerals are for --method {LIKELIHOOD}", "For networks use predict")
    if plan is not None and arguments.shard is not None:
        return _write_mineral_shard(arguments, plan, console)
    if plan is not None and chosen is None:
        chosen = plan.options["minerals"]
    known = plans.known_map(arguments, console, plan)
    if arguments.make_plan is not None:
        from napari_xrf.minerals.classification import plan_minerals

        learned, _ = plan_minerals(known, chosen, options, progress=console.progress)
        names = ("shape", "energy", "excitation", "provenance")
        answer = {"outline": learned.outline, **{name: getattr(known.cube, name) for name in names}}
        return plans.written_plan(arguments, known, learned, answer, minerals=chosen, clean=arguments.clean)
    classification = classify_by_choice(
        arguments.method, known, chosen, options,
        memory_budget=memory_budget(arguments), progress=console.progress,
    )  # fmt: skip
    return write_mineral_files(classification, known.cube, steps, arguments.output, console)


def _write_mineral_shard(arguments: argparse.Namespace, plan: Plan, console: Console) -> Answer:
    from napari_xrf.minerals.likelihood.binned_map import rows_at_once
    from napari_xrf.scale.shards import rows_of_shard

    cube = plans.shard_map(arguments, console, plan)
    number, of = arguments.shard
    rows = rows_of_shard(number, of, cube.shape[0], rows_at_once(cube.shape[1]))
    found = None
    if rows.stop > rows.start:
        budget = memory_budget(arguments)
        found = plan.learned.map(plan.learned.rows_of(cube, rows, budget), rows, console.progress)
    return plans.written_shard(arguments, plan, plan.applied(cube.band(rows)), rows, {"found": found})


def _classify_element_maps(
    arguments: argparse.Namespace,
    minerals: Sequence[Mineral] | None,
    steps: Sequence[CleanUpStep],
    library: Sequence[Mineral] | None,
    console: Console,
) -> Answer:
    """Write the mineral map of a file of element maps: labels.tif, labels.h5, classes.csv and map.png."""
    from napari_xrf import io
    from napari_xrf.minerals.from_element_maps import classify_element_maps
    from napari_xrf.minerals.labels.cleanup import clean_labels

    maps = io.read_element_maps(arguments.file)
    instrument = getattr(arguments, "instrument", None) or "m4"
    found = classify_element_maps(
        maps, minerals, library=library, instrument=instrument, progress=console.progress
    )
    for note in found.notes:
        console.say(note)
    folder = output_folder(arguments.output)
    rows, files, text = write_label_files(clean_labels(found.label_map, steps), folder)
    return Answer({"files": [str(file) for file in files], "classes": rows}, f"{text}\nwritten to {folder}")


def write_mineral_files(
    classification: Classification,
    cube: SpectralCube,
    steps: Sequence[CleanUpStep],
    output: Path,
    console: Console,
) -> Answer:
    """Clean the labels of a mineral map up, and write the files of the ``minerals`` verb."""
    from napari_xrf import io
    from napari_xrf.minerals.labels.cleanup import clean_labels
    from napari_xrf.minerals.method_choice import write_method_choice
    from napari_xrf.minerals.report.page import write_report

    console.warn(classification.doubts)
    labels = clean_labels(classification.label_map, steps)
    folder = output_folder(output)
    rows, files, text = write_label_files(labels, folder, classification.abundances_of(labels))
    if classification.abundances is not None:
        files.append(folder / "abundances.h5")
        io.write(files[-1], classification.abundances)
    told, compared = chosen_method(classification, console)
    if classification.choice is not None:
        files.append(folder / "methods.csv")
        write_method_choice(files[-1], classification.choice)
    files.append(folder / "report.html")
    write_report(files[-1], cube, classification, labels, steps=steps, made_by=console.command)
    told |= told_reflections(classification.reflections, console)
    data = {"files": [str(file) for file in files], "classes": rows, **told}
    return Answer(data, f"{compared}{text}\nwritten to {folder}")


def chosen_method(classification: Classification, console: Console) -> tuple[dict[str, Any], str]:
    """Return what is told of methods that were compared: in JSON, and as a table; empty of a single one."""
    from napari_xrf.minerals.method_choice import COLUMNS

    choice = classification.choice
    if choice is None:
        return {}, ""
    for note in (*choice.notes, choice.reason):
        console.say(note)
    shown = ("method", "pure", "all", "modes", "calibration", "sure_wrong", "strangers", "seconds", "lead")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in choice.shown_rows()]
    text = table(
        tuple(name.replace("_", " ") for name in shown), [tuple(row[name] for name in shown) for row in rows]
    )
    return {"methods": choice.as_json()}, f"{text}\n{choice.reason}\n"


def write_label_files(
    labels: LabelMap, folder: Path, abundances: Abundances | None = None
) -> tuple[list[dict[str, Any]], list[Path], str]:
    """Write the files of a label map; return the rows of its classes, the files and a table."""
    from napari_xrf.minerals.labels.files import write_label_files as write_files
    from napari_xrf.minerals.labels.modal_table import held_rows

    rows, files = write_files(folder, labels, abundances)
    text = table(
        ("mineral", "pixels", "area %", "weight %", "confidence"),
        [
            (
                row.name,
                str(row.pixels),
                f"{row.area_percent:.2f}",
                "-" if row.weight_percent is None else f"{row.weight_percent:.2f}",
                "-" if row.mean_confidence is None else f"{row.mean_confidence:.2f}",
            )
            for row in held_rows(rows)
        ],
    )
    return [asdict(row) for row in rows], files, text


def write_phases(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the phases of a file: what ``minerals`` writes, phases.csv and phase_spectra.csv."""
    from napari_xrf.reference.minerals import known_minerals

    check_folder(arguments.output)
    own = None if arguments.library is None else known_minerals(arguments.library)
    ignored = parse_elements(arguments.ignore)
    known = calibrated(load_map(arguments, console), console)

    from napari_xrf.minerals.phases.discovery import find_phases
    from napari_xrf.minerals.phases.files import phase_rows, write_phase_files
    from napari_xrf.minerals.report.page import write_report

    found = find_phases(
        known,
        arguments.count,
        library=own,
        ignored=ignored,
        keep_reflections=reflection_options(arguments).keep_reflections,
        progress=console.progress,
    )
    folder = output_folder(arguments.output)
    rows, files = write_phase_files(folder, found)
    files.append(folder / "report.html")
    write_report(files[-1], known.cube, found.classification, made_by=console.command)
    told = phase_rows(found)
    data = {
        "files": [str(file) for file in files],
        "classes": [asdict(row) for row in rows],
        "phases": told,
        "reason": found.reason,
        **told_reflections(found.classification.reflections, console),
    }
    columns = ("name", "pixels", "elements", "nearest", "misfit_percent")
    shown = [tuple(str(row[column]) for column in columns) for row in told]
    text = table(("phase", "pixels", "elements", "nearest mineral", "misfit %"), shown)
    return Answer(data, f"{found.reason}\n{text}\nwritten to {folder}")


def write_reflections(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the reflections of a file: reflections.csv, and their grains as a label map."""
    from napari_xrf import io
    from napari_xrf.io.own.tables import write_rows
    from napari_xrf.maps import crystal_reflections as reflections

    check_folder(arguments.output)
    if arguments.without is not None:
        check_output(arguments.without, (".h5", ".hdf5"))
    known = calibrated(load_map(arguments, console), console)
    other = None
    if arguments.beside is not None:
        other = load_map(argparse.Namespace(**{**vars(arguments), "detector": arguments.beside}), console)
    found = reflections.find_reflections(known, beside=other, progress=console.progress)
    rows, folder = reflections.reflection_rows(found), output_folder(arguments.output)
    files = [folder / "reflections.csv"]
    write_rows(
        files[0], reflections.COLUMNS, ([str(row[column]) for column in reflections.COLUMNS] for row in rows)
    )
    if found.peaks:
        from napari_xrf.minerals.labels.files import write_label_files

        files += write_label_files(folder, found.label_map)[1]
    if arguments.without is not None:
        io.write(arguments.without, reflections.without_reflections(known, found), progress=console.progress)
        files.append(arguments.without)
    data = {"reflections": rows, "reason": found.reason, "files": [str(file) for file in files]}
    shown = [tuple(str(row[column]) for column in reflections.COLUMNS) for row in rows]
    text = f"{table(tuple(name.replace('_', ' ') for name in reflections.COLUMNS), shown)}\n" if rows else ""
    return Answer(data, f"{found.reason}\n{text}written to {folder}")


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


def _count(text: str) -> int | None:
    from napari_xrf.minerals.phases.discovery import MOST_PHASES

    if text.strip().lower() == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PHASES:
        raise argparse.ArgumentTypeError(f"write auto, or 1 to {MOST_PHASES}")
    return int(text)
