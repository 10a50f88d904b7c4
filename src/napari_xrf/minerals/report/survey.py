"""The whole job on one map: elements, their maps, quantities, phases, minerals, and what stayed unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map, cube_of, find_elements
from napari_xrf.maps.crystal_reflections import Reflections, calibrated_without
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.maps.pixels.element_mapping import map_elements
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.weight_percent import quantify
from napari_xrf.minerals.classification import AS_USUAL, Classification, ClassificationOptions, Classify
from napari_xrf.minerals.labels.cleanup import CleanUpStep, clean_labels
from napari_xrf.minerals.labels.modal_table import ModalRow, modal_table
from napari_xrf.minerals.phases.discovery import Phases, find_phases
from napari_xrf.minerals.report.bulk import BulkRow, bulk_composition
from napari_xrf.reference.minerals import Mineral

T = TypeVar("T")
SURE = 0.95  # probability from which an element is no doubt


@dataclass(frozen=True, eq=False)
class Survey:
    """What one map holds, as far as it can be known."""

    known: CalibratedMap  # the calibrated map, without what single grains surely reflect
    elements: tuple[FoundElement, ...]  # found in it, the surest first
    # maps, quantities, phases, classification: none where that could not be done; unknown says why.
    maps: ElementMaps | None
    quantities: Quantities | None
    phases: Phases | None
    classification: Classification | None
    labels: LabelMap | None  # the minerals, cleaned up by steps
    modes: tuple[ModalRow, ...]  # the modal table of the labels
    bulk: tuple[BulkRow, ...]  # elements from modes beside those of the sum spectrum
    steps: tuple[CleanUpStep, ...]  # of the clean-up
    unknown: tuple[str, ...]  # what could not be known and why, one sentence each
    reflections: Reflections | None = None  # of single grains; None where they were to stay

    def __repr__(self) -> str:
        found = ", ".join(one.element for one in self.elements)
        return f"<Survey of {self.known.cube!r}: {found or 'no element'}; {self.classification!r}>"


def survey_map(
    measured: Measured,
    classify: Classify,
    minerals: Sequence[Mineral] | None = None,
    options: ClassificationOptions = AS_USUAL,
    *,
    steps: Sequence[CleanUpStep] = (),
    phases: bool = True,
    progress: Progress = ignore_progress,
) -> Survey:
    """Do the whole job on a map; what fails is told, and the rest goes on.

    ``classify``: names the mineral of each pixel of the calibrated map, by any method; it is given
    ``minerals`` and ``options``, which tell of all else, too, what is done to the map before. ``steps``: of
    the clean-up of its labels. ``phases``: whether to look for phases without a library too. Raises
    InvalidInput when the map holds no counts.
    """
    whole = calibrate_map(measured, progress=progress).checked()
    keep = options.keep_reflections
    known, reflections = (whole, None) if keep else calibrated_without(whole, progress)
    failed: list[str] = []

    def tried(what: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except XrfError as error:
            failed.append(f"{what}: {error}")
            return None

    elements = tried("elements", lambda: find_elements(known, progress=progress)) or ()
    names = [entry.element for entry in elements]
    maps = quantities = None
    if names:
        maps = tried("element maps", lambda: map_elements(known, progress=progress))
        found = tried("quantities", lambda: quantify(known, names, progress=progress))
        quantities = found[0] if found else None
    else:
        failed.append("element maps and quantities: no element was found")
    several = not known.cube.is_one_spectrum
    groups = None
    if phases and several:
        groups = tried("phases", lambda: find_phases(whole, keep_reflections=keep, progress=progress))
    classification = tried("minerals", lambda: classify(whole, minerals, options, progress=progress))
    labels: LabelMap | None = None
    modes: tuple[ModalRow, ...] = ()
    bulk: tuple[BulkRow, ...] = ()
    if classification is not None:
        labels = clean_labels(classification.label_map, steps, progress)
        modes = modal_table(labels, classification.abundances_of(labels))
        bulk = bulk_composition(modes, quantities)
    told = () if reflections is None else reflections.notes
    unknown = (*failed, *_doubts(known, elements, quantities, classification, labels, bulk), *told)
    return Survey(
        known,
        elements,
        maps,
        quantities,
        groups,
        classification,
        labels,
        modes,
        bulk,
        tuple(steps),
        unknown,
        reflections,
    )


def _doubts(
    known: CalibratedMap,
    elements: Sequence[FoundElement],
    quantities: Quantities | None,
    classification: Classification | None,
    labels: LabelMap | None,
    bulk: Sequence[BulkRow],
) -> list[str]:
    """Return what was found, but not for sure."""
    several = not known.cube.is_one_spectrum
    told = [known.doubt] if known.doubt else []
    told += [*known.blind_windows, *map(str, known.unnamed_peaks)]
    unsure = [f"{each.element} ({each.probability:.0%})" for each in elements if each.probability < SURE]
    if unsure:
        told.append(f"elements that may be something else: {', '.join(unsure)}")
    told += [] if quantities is None else [note for note in quantities.notes if note != known.doubt]
    if classification is not None and labels is not None:
        told += classification.doubts
        shares = labels.shares()
        if shares.get(UNKNOWN_NAME):
            share = max(100 * shares[UNKNOWN_NAME], 0.1)
            nameless = f"{'<' if share == 0.1 else ''} {share:.1f} % of the pixels have no name".strip()
            told.append(
                f"{nameless if several else 'the spectrum has no name'}: no mineral explains "
                f"{'them' if several else 'it'}, or several may (then the areas hold what fits best)"
            )
        told += [f"cannot be told apart here: {', '.join(group)}" for group in classification.groups]
    apart = [row.element for row in bulk if row.note]
    if apart:
        told.append(
            f"modes times formulas and the sum spectrum disagree on {', '.join(apart)}; see the table"
        )
    if several and cube_of(known).pixel_size is None:
        told.append("the file says no pixel size: lengths and areas are in pixels")
    if known.cube.excitation.kind is None:
        told.append("the file says nothing of what excited the sample; X-rays of a common tube are assumed")
    return told
