"""The verb that does the whole job on one map: report."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from napari_xrf.cli.analysis import (
    add_mineral_options,
    add_reflection_options,
    asked_minerals,
    chosen_method,
    told_reflections,
)
from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.map_file import calibrated, check_folder, load_map, map_file_options, memory_budget
from napari_xrf.cli.model_options import folder_option


def add_verbs(verbs: Any, common: argparse.ArgumentParser, verb: str = "") -> None:
    """Add ``report`` to the parser's verbs."""
    report = verbs.add_parser(
        "report",
        parents=[common, map_file_options(), folder_option()],
        help="the whole job: elements, maps, quantities, phases, minerals, and a page that shows them",
    )
    add_mineral_options(report)
    add_reflection_options(report, verb)
    report.add_argument("--no-phases", action="store_true", help="look for no phases without a library")
    report.set_defaults(run=write_whole_report)


def write_whole_report(arguments: argparse.Namespace, console: Console) -> Answer:
    """Do the whole job on a map, and write all files of the single verbs and report.html."""
    from napari_xrf.learning.evaluation.method_choice import classify_by_choice

    # Everything the user typed is checked before the long work starts.
    check_folder(arguments.output)
    steps, chosen, options = asked_minerals(arguments)
    known = calibrated(load_map(arguments, console), console)

    from napari_xrf.minerals.labels.modal_table import held_rows
    from napari_xrf.minerals.report.files import write_survey
    from napari_xrf.minerals.report.survey import survey_map

    survey = survey_map(
        known,
        partial(classify_by_choice, arguments.method, memory_budget=memory_budget(arguments)),
        chosen,
        options,
        steps=steps,
        phases=not arguments.no_phases,
        progress=console.progress,
    )
    files = write_survey(arguments.output, survey, console.command)
    rows = held_rows(survey.modes)
    data = {
        "files": [str(file) for file in files],
        "elements": [
            {"element": each.element, "probability": float(each.probability)} for each in survey.elements
        ],
        "minerals": {row.name: (row.area_percent or 0.0) / 100 for row in rows},
        "phases": [] if survey.phases is None else [phase.name for phase in survey.phases.phases],
        "bulk": [asdict(row) for row in survey.bulk],
        "unknown": list(survey.unknown),
        **told_reflections(survey.reflections, console),
    }
    text = table(("mineral", "area %"), [(row.name, f"{row.area_percent or 0.0:.2f}") for row in rows])
    compared = ""
    if survey.classification is not None:
        told, compared = chosen_method(survey.classification, console)
        data |= told
    doubts = "".join(f"\n- {line}" for line in survey.unknown)
    return Answer(
        data, f"{compared}{text}\nnot known, or not for sure:{doubts}\nwritten to {Path(arguments.output)}"
    )
