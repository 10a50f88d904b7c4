"""The files of a survey: those of the single verbs, and the page that shows them."""

from pathlib import Path

import numpy as np

from napari_xrf import io
from napari_xrf.io.atomic_write import made_folder
from napari_xrf.io.own.element_map_files import write_element_maps
from napari_xrf.io.own.tables import write_rows
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.maps.quantification.net_counts import region_of
from napari_xrf.maps.quantification.report import QuantityReport, check_quantities
from napari_xrf.minerals.labels.files import write_label_files
from napari_xrf.minerals.method_choice import write_method_choice
from napari_xrf.minerals.phases.files import write_phase_files
from napari_xrf.minerals.report.page import write_survey_report
from napari_xrf.minerals.report.survey import Survey


def write_survey(folder: Path, survey: Survey, made_by: str = "") -> list[Path]:
    """Write everything a survey holds and report.html, which shows it; ``phases`` is a folder of its own.

    ``folder``: where to; it is made. ``survey``: what :func:`~napari_xrf.minerals.report.survey.survey_map`
    returns. ``made_by``: the command and its options, for the report.
    """
    made_folder(folder)
    files = [folder / "elements.csv"]
    header = ("element", "lines", "net_counts", "standard_error", "probability")
    write_rows(
        files[0],
        header,
        ((each.element, ";".join(each.families), *map(float, _evidence(each))) for each in survey.elements),
    )
    if survey.maps is not None:
        files += [folder / name for name in ("maps.ome.tif", "maps.h5", "maps.csv")]
        for file in files[-3:]:
            write_element_maps(file, survey.maps)
    if survey.quantities is not None:
        everywhere = np.ones(survey.known.cube.map_shape, dtype=bool)
        whole = region_of(survey.known, everywhere, survey.quantities.region)
        checks = (check_quantities(survey.quantities, whole),)
        files += QuantityReport((survey.quantities,), checks).write(folder)
    if survey.classification is not None and survey.labels is not None:
        abundances = survey.classification.abundances_of(survey.labels)
        files += write_label_files(folder, survey.labels, abundances)[1]
        if survey.classification.abundances is not None:
            files.append(folder / "abundances.h5")
            io.write(files[-1], survey.classification.abundances)
        if survey.classification.choice is not None:
            files.append(folder / "methods.csv")
            write_method_choice(files[-1], survey.classification.choice)
        files.append(folder / "bulk.csv")
        write_rows(
            files[-1],
            ("element", "modes_percent", "modes_error", "spectrum_percent", "spectrum_error", "note"),
            (
                (
                    row.element,
                    row.modes_percent,
                    row.modes_error,
                    row.spectrum_percent,
                    row.spectrum_error,
                    row.note,
                )
                for row in survey.bulk
            ),
        )
    if survey.phases is not None:
        own = made_folder(folder / "phases")
        files += write_phase_files(own, survey.phases)[1]
    files.append(folder / "report.html")
    write_survey_report(files[-1], survey, made_by)
    return files


def _evidence(entry: FoundElement) -> tuple[float, float, float]:
    return entry.net_counts, entry.standard_error, entry.probability
