"""The front door: what the package does, one function each, as ``import napari_xrf as nx`` offers them.

Names stand where objects can: a file for a map, ``"quartz"`` for a mineral, ``"Fe"`` for an element's lines,
``"mineral-cnn"`` for a model. Each function opens its room when it is called; the door itself is light.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from napari_xrf.checked_calls import check_options, checked
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_xrf.core.element_maps import ElementMaps
    from napari_xrf.core.label_map import LabelMap
    from napari_xrf.core.spectral_cube import SpectralCube
    from napari_xrf.core.spectrum import Spectrum
    from napari_xrf.learning.evaluation.method_choice import MethodComparison
    from napari_xrf.learning.model import Model
    from napari_xrf.learning.prediction.decoding import Decoded
    from napari_xrf.learning.prediction.prediction import Prediction
    from napari_xrf.maps.calibrated_map import CalibratedMap
    from napari_xrf.maps.crystal_reflections import Reflections
    from napari_xrf.maps.denoising import Denoising
    from napari_xrf.maps.identification.judgement import FoundElement
    from napari_xrf.maps.map_comparison import MapComparison
    from napari_xrf.maps.quantification.quantities import Quantities
    from napari_xrf.minerals.classification import Classification, ClassificationOptions
    from napari_xrf.minerals.evidence import MineralEvidence
    from napari_xrf.minerals.labels.cleanup import CleanUpStep
    from napari_xrf.minerals.labels.comparison import LabelComparison
    from napari_xrf.minerals.labels.grains import Grains
    from napari_xrf.minerals.phases.discovery import Phases
    from napari_xrf.minerals.report.survey import Survey
    from napari_xrf.reference.minerals import Mineral
    from napari_xrf.synthesis.recipes import Synthetic

    Map: TypeAlias = SpectralCube | CalibratedMap | str | Path
    Labels: TypeAlias = LabelMap | Classification | Phases | str | Path

__all__ = [
    "align",
    "batch",
    "calibrate",
    "clean_labels",
    "compare_classifiers",
    "compare_labels",
    "compare_maps",
    "decode",
    "denoise",
    "explain_mineral",
    "find_elements",
    "find_grains",
    "find_phases",
    "find_reflections",
    "map_elements",
    "map_minerals",
    "predict",
    "prepare",
    "quantify",
    "read",
    "report",
    "simulate",
    "synthesize",
    "train",
    "write",
]


@checked
def read(path: str | Path, **options: Any) -> SpectralCube | ElementMaps | LabelMap | Prediction:
    """Read what a file holds: a map or spectrum, element maps, labels or predictions.

    Parameters
    ----------
    path
        A file of any format in ``docs/file-formats.md``.
    options
        Of :func:`napari_xrf.io.read`, for maps of spectra: ``detector``, ``dataset``, ``energy``, …

    Raises
    ------
    FileError
        When the file is missing, damaged or of no known format.
    InvalidInput
        When an option makes no sense for this file.
    """
    from napari_xrf import io

    check_options(io.read, options)
    if not options and io.is_label_file(path):
        return io.read_labels(path)
    if not options and io.is_element_map_file(path):
        return io.read_element_maps(path)
    if not options and not io.recognizes(path):  # a prediction of whole spectra is a map of them
        from napari_xrf.learning.prediction.files import is_prediction_file, read_prediction

        if is_prediction_file(path):
            return read_prediction(path)
    return io.read(path, **options)


@checked
def write(path: str | Path, noun: object, *, progress: Progress = ignore_progress) -> None:
    """Write a noun to a file, which appears whole or not at all.

    Parameters
    ----------
    path
        Its ending chooses the format: .h5 for a cube, a synthetic map with its truth or predictions, .csv or
        .msa for a spectrum, .ome.tif, .h5 or .csv for element maps, .tif, .h5 or .csv for labels or a mineral
        map, .safetensors for a model.
    noun
        What any function here returns.

    Raises
    ------
    InvalidInput
        When the noun or the ending has no writer.
    FileError
        When the file cannot be written.
    """
    from napari_xrf import io

    kind = type(noun).__name__
    if kind == "Prediction":
        from napari_xrf.learning.prediction.files import write_prediction

        write_prediction(path, cast("Prediction", noun), progress=progress)
    elif kind == "Model":
        from napari_xrf.learning.weights import save_model

        save_model(path, cast("Model", noun))
    elif kind == "Synthetic":
        made = cast("Synthetic", noun)
        io.write_cube(path, made.cube, truth=made.truth, progress=progress)
    else:
        io.write(path, getattr(noun, "label_map", getattr(noun, "cube", noun)), progress=progress)


@checked
def calibrate(source: Map, *, progress: Progress = ignore_progress) -> CalibratedMap:
    """Refine a map's energy axis and resolution, once for all that follows.

    The other functions take the result in place of the map, and do not calibrate again.
    """
    from napari_xrf.maps.calibrated_map import calibrate_map

    return calibrate_map(_map_of(source, progress), progress=progress)


@checked
def find_elements(source: Map, *, progress: Progress = ignore_progress) -> tuple[FoundElement, ...]:
    """Find the elements of a map; see :mod:`napari_xrf.maps.identification.elements`.

    A Python warning tells of an energy axis that is in doubt, of energies at which nothing is recorded, and
    of large peaks that none of them explains.
    """
    from napari_xrf.maps.calibrated_map import calibrate_map
    from napari_xrf.maps.calibrated_map import find_elements as find

    known = calibrate_map(_map_of(source, progress), progress=progress)
    found = find(known, progress=progress)
    for note in filter(None, (known.doubt, *known.blind_windows, *map(str, known.unnamed_peaks))):
        warnings.warn(note, stacklevel=3)  # beyond the check of arguments
    return found


@checked
def find_reflections(
    source: Map, *, beside: Map | None = None, progress: Progress = ignore_progress
) -> Reflections:
    """Find the peaks of diffraction (Bragg) that single grains show and no element explains.

    Parameters
    ----------
    source
        A map, or its file.
    beside
        The same map by another detector, ``nx.read(path, detector=1)``: it sees lines, and no reflection.

    Raises
    ------
    InvalidInput
        When the other detector's map has another shape.
    """
    from napari_xrf.maps.crystal_reflections import find_reflections as find

    other = None if beside is None else _map_of(beside, progress)
    return find(_map_of(source, progress), beside=other, progress=progress)


@checked
def prepare(source: Map, steps: str, *, progress: Progress = ignore_progress) -> SpectralCube:
    """Do steps on a map, ``"recalibrate,bin-space:2"``; see :mod:`napari_xrf.maps.preparation`."""
    from napari_xrf.maps.preparation import prepare_map

    return prepare_map(_map_of(source, progress), steps, progress=progress)


@checked
def align(
    picture: str | Path | NDArray[Any],
    source: Map,
    picture_points: Sequence[Sequence[float]],
    map_points: Sequence[Sequence[float]],
    *,
    progress: Progress = ignore_progress,
) -> NDArray[Any]:
    """Lay a picture on a map by places that are seen in both.

    Parameters
    ----------
    picture
        (Y, X) or (Y, X, 3), or its file.
    source
        A map, or its file.
    picture_points, map_points
        The same places, (row, column) in pixels of the picture and of the map: two, better four or more.

    Returns
    -------
    The picture at the map's pixels, (Y, X) or (Y, X, 3).

    Raises
    ------
    InvalidInput
        When the points do not tell how the picture lies.
    FileError
        When the picture cannot be read.
    """
    from napari_xrf.maps.alignment import lay_on_map
    from napari_xrf.maps.calibrated_map import cube_of
    from napari_xrf.synthesis.recipes import read_picture

    values = read_picture(picture) if isinstance(picture, str | Path) else picture
    return lay_on_map(values, cube_of(_map_of(source, progress)), picture_points, map_points)


@checked
def denoise(source: Map, *, seed: int = 0, progress: Progress = ignore_progress) -> Denoising:
    """Take off a map's noise by its own components; see :func:`napari_xrf.maps.denoising.denoise_map`."""
    from napari_xrf.maps.calibrated_map import cube_of
    from napari_xrf.maps.denoising import denoise_map

    return denoise_map(cube_of(_map_of(source, progress)), seed=seed, progress=progress)


@checked
def map_elements(
    source: Map,
    elements: str | Sequence[str] | None = None,
    *,
    method: str = "fit",
    progress: Progress = ignore_progress,
) -> ElementMaps:
    """Map the net counts of elements in each pixel.

    Parameters
    ----------
    source
        A map, or its file.
    elements
        Symbols or line families, ``["Fe", "Pb L"]``; None finds the elements first.
    method
        ``"fit"`` of the whole spectrum, ``"window"``, or the name of a network that maps elements.

    Raises
    ------
    InvalidInput
        When there is no such element, line or method.
    """
    if method in ("fit", "window"):
        from napari_xrf.maps.pixels.element_mapping import map_elements as map_by_fit

        chosen: Literal["fit", "window"] = "fit" if method == "fit" else "window"
        return map_by_fit(_map_of(source, progress), elements, method=chosen, progress=progress)
    from napari_xrf.learning.prediction.element_mapping import map_elements_by

    return map_elements_by(method, _map_of(source, progress), elements, progress=progress)


@checked
def quantify(
    source: Map,
    elements: Sequence[str] | None = None,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | Labels | None = None,
    oxygen: str = "auto",
    valence: str = "",
    volatile_free: bool = False,
    film: bool = False,
    by_dose: bool = False,
    fit_optic: bool = False,
    intensity: str = "",
    instrument: str | Path = "",
    standards: Sequence[tuple[str | Path, str | Path]] = (),
    progress: Progress = ignore_progress,
) -> tuple[Quantities, ...]:
    """Tell the weight percent of elements, of a map or of each region of it.

    Parameters
    ----------
    source
        A map or spectrum, or its file.
    elements
        Symbols; None takes those found.
    regions
        Name → mask (Y, X), or labels (a label map, its file, or what :func:`map_minerals` or
        :func:`find_phases` returns): each class by itself. None: the whole map.
    oxygen
        ``"stoichiometry"``, ``"measured"``, ``"difference"``, ``"none"``, or ``"auto"``, which takes the
        formula of a mineral class, or judges by line or background.
    valence, volatile_free, film, by_dose, fit_optic, intensity
        What else is stated, see :class:`napari_xrf.maps.quantification.named.StatedSample`.
    instrument
        What measured the map, a preset or a .toml file; empty: as the map says.
    standards
        Spectra of known composition with their tables (.csv: element, weight_percent).

    Raises
    ------
    InvalidInput
        When no element is found or given, a region is empty, the map holds no counts, or a name cannot be.
    FileError
        When a standard cannot be read.
    """
    from napari_xrf.maps.quantification.composition import formulas_of
    from napari_xrf.maps.quantification.named import quantify_by_names

    formulas: dict[str, str] = {}
    if regions is not None and not isinstance(regions, Mapping):
        labels = _labels_of(regions)
        formulas = formulas_of(labels) if oxygen == "auto" else {}
        regions = {name: labels[name] for name in labels.shares()}
    report = quantify_by_names(
        _map_of(source, progress),
        elements,
        regions=regions,
        formulas=formulas,
        instrument=str(instrument),
        standards=standards,
        progress=progress,
        oxygen=oxygen,
        valence=valence,
        volatile_free=volatile_free,
        film=film,
        by_dose=by_dose,
        fit_optic=fit_optic,
        intensity=intensity,
    )
    return report.quantities


@checked
def map_minerals(
    source: Map | ElementMaps,
    minerals: Sequence[str | Mineral] | None = None,
    *,
    method: str = "likelihood",
    named_set: str | None = None,
    library: str | Path | None = None,
    ignored: Sequence[str] = (),
    tolerance: float | None = None,
    keep_reflections: bool = False,
    progress: Progress = ignore_progress,
) -> Classification:
    """Name the mineral of each pixel.

    Parameters
    ----------
    source
        A map, or its file; or element maps: counts as of a Bruker M4, or weight percent.
    minerals
        Names in the library or synonyms, ``["quartz", "orthoclase"]``; None looks for all that the
        elements found allow.
    method
        ``"likelihood"``, or a network: a shipped model's name or a weights file. ``"best"``, or several
        parted by commas: the one that wins on synthetic twins of the map, see :func:`compare_classifiers`.
    named_set
        ``"granite"``, ``"massive sulphide"``, …: what such a sample may hold, in place of ``minerals``.
    library
        A .csv of your own minerals (name, formula, density), beside the shipped ones.
    ignored, tolerance, keep_reflections
        See :class:`napari_xrf.minerals.classification.ClassificationOptions`.

    Raises
    ------
    InvalidInput
        When a name or option cannot be, or the map holds no counts.
    """
    from napari_xrf.learning.evaluation.method_choice import classify_by_choice

    chosen, options = _asked(minerals, named_set, library, ignored, tolerance, keep_reflections)
    measured = _element_maps_or_map(source, progress)
    if type(measured).__name__ == "ElementMaps":
        from napari_xrf.minerals.from_element_maps import classify_element_maps

        return classify_element_maps(measured, chosen, library=options.library, progress=progress)
    return classify_by_choice(method, measured, chosen, options, progress=progress)


def _asked(
    minerals: Sequence[str | Mineral] | None,
    named_set: str | None = None,
    library: str | Path | None = None,
    ignored: Sequence[str] = (),
    tolerance: float | None = None,
    keep_reflections: bool = False,
) -> tuple[tuple[Mineral, ...] | None, ClassificationOptions]:
    """Return the minerals to look for, and how."""
    from napari_xrf.minerals.classification import ClassificationOptions
    from napari_xrf.reference.minerals import known_minerals, wanted_minerals

    names = None if minerals is None else [each for each in minerals if isinstance(each, str)]
    chosen = wanted_minerals(names, named_set, library)
    if chosen is not None:
        given = (each for each in minerals or () if not isinstance(each, str))
        chosen = tuple({mineral.name: mineral for mineral in (*chosen, *given)}.values())
    own = None if library is None else known_minerals(library)
    return chosen, ClassificationOptions(
        own, tuple(ignored), tolerance=tolerance, keep_reflections=keep_reflections
    )


@checked
def compare_classifiers(
    source: Map,
    methods: Sequence[str] = ("best",),
    minerals: Sequence[str | Mineral] | None = None,
    *,
    named_set: str | None = None,
    library: str | Path | None = None,
    ignored: Sequence[str] = (),
    tolerance: float | None = None,
    twins: int = 2,
    seed: int = 0,
    progress: Progress = ignore_progress,
) -> MethodComparison:
    """Compare ways of naming minerals on synthetic twins of a map, and on the map itself.

    A twin has the map's instrument, counts, texture and minerals; its spectra have the errors that such
    physics has beside other code, traces, and minerals that nobody listed. See ``docs/minerals.md``.

    Parameters
    ----------
    source
        A map, or its file.
    methods
        ``"likelihood"``, shipped models' names and weights files, such as one that learnt from your regions;
        ``"best"`` is the likelihood and all shipped models that know every mineral. The first is taken where
        none leads it by more than two standard errors.
    minerals, named_set, library
        As for :func:`map_minerals`; networks taught from regions look for their own classes all the same.
    ignored, tolerance
        Of the likelihood.
    twins, seed
        How many, and what they are drawn from.

    Returns
    -------
    ``choice`` with the figures of each method and the reason, ``answers`` by method, ``best``, and the twins.

    Raises
    ------
    InvalidInput
        When a name or option cannot be, or none of the methods can name the map.
    """
    from napari_xrf.learning.evaluation.method_choice import check_methods, compare_methods, methods_of
    from napari_xrf.minerals.classification import AS_USUAL

    chosen, options = _asked(minerals, named_set, library, ignored, tolerance)
    listed = tuple(dict.fromkeys(name for each in methods for name in methods_of(each)))
    for each in methods:
        check_methods(each, chosen, options if each == "likelihood" else AS_USUAL)
    known = _map_of(source, progress)
    return compare_methods(listed, known, chosen, options, twins=twins, seed=seed, progress=progress)


@checked
def explain_mineral(
    source: Map,
    classification: Classification,
    where: str | tuple[int, int],
    *,
    library: str | Path | None = None,
    progress: Progress = ignore_progress,
) -> MineralEvidence:
    """Tell why a class or a pixel of a mineral map has its mineral, and which lines decide.

    Parameters
    ----------
    source
        The map that was classified, or its file.
    classification
        What :func:`map_minerals` returned.
    where
        Name of a class, or (row, column) of a pixel.
    library
        The .csv of your own minerals, where the map was made with one.

    Raises
    ------
    InvalidInput
        When there is no such class or pixel.
    """
    from napari_xrf.minerals.evidence import explain_mineral as explain
    from napari_xrf.reference.minerals import known_minerals

    own = None if library is None else known_minerals(library)
    return explain(_map_of(source, progress), classification, where, library=own, progress=progress)


@checked
def find_phases(
    source: Map,
    count: int | None = None,
    *,
    library: str | Path | None = None,
    ignored: Sequence[str] = (),
    keep_reflections: bool = False,
    progress: Progress = ignore_progress,
) -> Phases:
    """Find the phases of a map without a library: their spectra, elements, weights and nearest minerals.

    Parameters
    ----------
    source
        A map, or its file.
    count
        How many; None takes as many as can be told apart.
    library
        A .csv of your own minerals, among which the nearest are looked for too.
    ignored
        Symbols of elements whose lines come from elsewhere.
    keep_reflections
        As for :func:`map_minerals`.

    Raises
    ------
    InvalidInput
        When the count cannot be, or the map holds no counts.
    """
    from napari_xrf.minerals.phases.discovery import find_phases as find
    from napari_xrf.reference.minerals import known_minerals

    own = None if library is None else known_minerals(library)
    options: dict[str, Any] = {"library": own, "ignored": ignored, "keep_reflections": keep_reflections}
    return find(_map_of(source, progress), count, **options, progress=progress)


@checked
def clean_labels(labels: Labels, steps: str | Sequence[str | CleanUpStep] = "default") -> LabelMap:
    """Clean labels up by steps in order.

    Parameters
    ----------
    labels
        A label map, its file, or what :func:`map_minerals` or :func:`find_phases` returns.
    steps
        ``"default"``, ``"majority:3,min-size:5"`` or ``"opening:3@quartz+albite"``, or a list of such.

    Raises
    ------
    InvalidInput
        When a step cannot be read, or names a class that the map does not list.
    """
    from napari_xrf.minerals.labels.cleanup import clean_labels as clean

    return clean(_labels_of(labels), _steps_of(steps))


@checked
def report(
    source: Map,
    folder: str | Path,
    minerals: Sequence[str | Mineral] | None = None,
    *,
    clean: str | Sequence[str | CleanUpStep] = (),
    phases: bool = True,
    progress: Progress = ignore_progress,
    **options: Any,
) -> Survey:
    """Do the whole job on a map: elements, their maps, quantities, phases, minerals, and report.html.

    What fails is told in the page, and the rest goes on.

    Parameters
    ----------
    source
        A map, or its file.
    folder
        Where all files of the single functions go, and the page.
    minerals
        As for :func:`map_minerals`.
    clean
        Steps of a clean-up of the minerals, as for :func:`clean_labels`.
    phases
        Whether to look for phases without a library too.
    options
        Of :func:`map_minerals`: ``method``, ``named_set``, ``library``, ``ignored``, ``tolerance``,
        ``keep_reflections``; that is of elements, their maps, quantities and phases, too.

    Raises
    ------
    InvalidInput
        When a step cannot be read, a mineral is not known, or the map holds no counts.
    FileError
        When a file cannot be written.
    """
    from functools import partial

    from napari_xrf.io.atomic_write import together
    from napari_xrf.learning.evaluation.method_choice import classify_by_choice
    from napari_xrf.minerals.report.files import write_survey
    from napari_xrf.minerals.report.survey import survey_map

    fitting = check_options(map_minerals, options)
    classify = partial(classify_by_choice, fitting.pop("method", "likelihood"))
    asked, steps = _asked(minerals, **fitting), _steps_of(clean)
    measured = _map_of(source, progress)
    survey = survey_map(measured, classify, *asked, steps=steps, phases=phases, progress=progress)
    named = None if minerals is None else [str(getattr(each, "name", each)) for each in minerals]
    told = {"minerals": named, "clean": ",".join(map(str, steps)), "phases": phases, **options}
    words = ", ".join(f"{name}={value!r}" for name, value in told.items())
    shown = source if isinstance(source, str | Path) else survey.known.cube.provenance.path
    with together():
        write_survey(Path(folder), survey, f"nx.report({str(shown)!r}, {str(folder)!r}, {words})")
    return survey


@checked
def compare_labels(first: Labels, second: Labels) -> LabelComparison:
    """Tell how far two label maps of the same pixels agree; classes are matched by name.

    Raises
    ------
    InvalidInput
        When the shapes differ, or no pixel is measured in both.
    """
    from napari_xrf.minerals.labels.comparison import compare_labels as compare

    return compare(_labels_of(first), _labels_of(second))


@checked
def compare_maps(first: Map, second: Map, *, progress: Progress = ignore_progress) -> MapComparison:
    """Tell how alike two maps of spectra are, as a synthetic painting and a measured one: nine measures.

    Raises
    ------
    InvalidInput
        When their energies do not overlap, or a map is empty.
    """
    from napari_xrf.maps.map_comparison import compare_cubes

    cubes = [getattr(found := _map_of(each, progress), "cube", found) for each in (first, second)]
    return compare_cubes(cubes[0], cubes[1], progress)


@checked
def find_grains(labels: Labels, pores: Sequence[str] | None = None) -> Grains:
    """Find the grains of labels: size, shape, orientation and place of each.

    Boundaries, liberation and porosity are in :mod:`napari_xrf.minerals.labels.grains`.

    Parameters
    ----------
    labels
        A label map, its file, or what :func:`map_minerals` or :func:`find_phases` returns.
    pores
        Names of the classes that are no mineral; None: those called resin, pore, void, hole, …

    Raises
    ------
    InvalidInput
        When the map has no such class.
    """
    from napari_xrf.minerals.labels.grains import find_grains as find

    return find(_labels_of(labels), pores)


@checked
def predict(
    model: str | Path | Model,
    source: Map,
    *,
    outputs: Collection[str] | None = None,
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> Prediction:
    """Run a model on every pixel of a map.

    Parameters
    ----------
    model
        A shipped model's name, a weights file or its folder, or a loaded model.
    source
        A map, or its file.
    outputs
        Of ``"presence"``, ``"intensity"``, ``"minerals"``, ``"code"``, ``"spectrum"``; None: the usual ones.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises
    ------
    InvalidInput
        When there is no such model or output, or the map covers less than half of the model's energies.
    """
    from napari_xrf.learning.prediction.answers import predict as run

    return run(_model_of(model), _map_of(source, progress), outputs=outputs, device=device, progress=progress)


@checked
def decode(
    source: Map,
    factors: Mapping[str, float] | None = None,
    added: Mapping[str, float] | None = None,
    *,
    model: str | Path | Model = "line-autoencoder",
    device: str = "auto",
    progress: Progress = ignore_progress,
) -> Decoded:
    """Make a map from a network's code of its spectra, with elements turned down, up or in.

    Parameters
    ----------
    source
        A map, or its file.
    factors
        Element or line (``"Pb"``, ``"Fe ka1"``) → factor, from 0, which takes it out.
    added
        Element or line → what is put in, as a share of a spectrum's counts.
    model
        One whose code is emission lines: a shipped model's name, a weights file or its folder, or a loaded
        model.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises
    ------
    InvalidInput
        When there is no such model, its code has no names, a name is not in it, or a value is below 0.
    """
    from napari_xrf.learning.prediction.decoding import decode as run

    changes: dict[str, Any] = {"factors": factors, "added": added}
    return run(_model_of(model), _map_of(source, progress), **changes, device=device, progress=progress)


@checked
def simulate(
    formula: str,
    instrument: str | Path = "m4",
    *,
    counts: float | None = None,
    thickness_um: float | None = None,
    density: float | None = None,
    structure: str | None = None,
) -> Spectrum:
    """Return the expected spectrum of a composition.

    Parameters
    ----------
    formula
        ``"CaCO3"``, ``"(Zn0.9Fe0.1)S"``, ``"CaSO4·2H2O"``; or the name of a mineral, metal or pigment,
        ``"albite"``, in the middle of its range.
    instrument
        A preset's name or a .toml file.
    counts
        In all; per unit of dose without it.
    thickness_um, density
        Of a thin sample, µm and g/cm³; infinitely thick without them. A name knows its density.
    structure
        ``"amorphous"``, ``"oxide"``, ``"polycrystal"`` or ``"single-crystal"``.

    Raises
    ------
    InvalidInput
        When the formula cannot be read, a number is not above 0, or nothing can be excited.
    """
    from napari_xrf.physics.forward import simulate_spectrum

    return simulate_spectrum(
        formula, instrument, counts=counts, thickness_um=thickness_um, density=density, structure=structure
    )[0]


@checked
def synthesize(recipe: str, subject: Any = None, *, seed: int = 0, **options: Any) -> Synthetic:
    """Make a synthetic map or spectra with their truth.

    Parameters
    ----------
    recipe
        ``"minerals"``, ``"layers"``, ``"mixtures"`` or ``"painting"``.
    subject
        Names of minerals (None: a pegmatite); how many spectra; or the picture of a painting.
    seed
        0 to 2³² − 1; the same one gives the same counts.
    options
        As the command line's ``synthesize``, with underscores: ``instrument="sem"``, ``shape=(48, 64)``,
        ``distortions="typical"``.

    Raises
    ------
    InvalidInput
        When there is no such recipe or option, or a value is out of range.
    """
    from napari_xrf.learning.painting.weighting import synthesize as make

    return make(recipe, subject, seed=seed, **options)


@checked
def train(model: str, folder: str | Path | None = None, *, seed: int = 0, **options: Any) -> Model:
    """Train a network by a shipped recipe.

    Parameters
    ----------
    model
        What to train, see ``napari-xrf models``.
    folder
        Where weights, model card, metrics and checkpoint go; None keeps the model in memory only.
    seed
        The same one gives the same weights on one machine.
    options
        As the command line's ``train``, with underscores: ``minerals=["quartz", "albite"]``, ``epochs=10``,
        ``regions="labels.tif", map="rock.h5"``, ``settings={"hidden": 900}``, ``resume=True``.

    Raises
    ------
    InvalidInput
        When there is no such recipe or option, or a value is out of range.
    """
    from napari_xrf.learning.recipe_variants import varied_recipe
    from napari_xrf.learning.training import train as train_network

    of_the_run = {name: options.pop(name) for name in ("resume", "device", "progress") if name in options}
    recipe = varied_recipe(model, seed=seed, **options)
    return train_network(recipe, seed=seed, folder=folder, **of_the_run)


@checked
def batch(
    verb: str,
    files: Sequence[str | Path],
    folder: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Do a verb of the command line on many files, resumable; see ``docs/scale.md``.

    Parameters
    ----------
    verb
        ``"maps"``, ``"minerals"``, ``"quantify"``, …
    files
        Files, folders, patterns, or ``@LIST`` of them.
    folder
        Where the results go, a folder for each file.
    jobs
        How many processes; None: one for each core. A script needs ``if __name__ == "__main__":`` for them.
    scheduler
        Address of a dask cluster, in place of processes.
    options
        Of the verb, as on the command line, with underscores.

    Returns
    -------
    What ``batch --json`` tells: how many were done, what failed and why, and what stands out of the series.

    Raises
    ------
    InvalidInput
        When there is no such verb or option, or a value is out of range.
    """
    from napari_xrf.cli import perform

    if not files:
        raise InvalidInput("there is no file to work on", "Name at least one")
    words = ["batch", verb, *map(str, files), "-o", str(folder)]
    words += [] if jobs is None else [f"--jobs={jobs}"]
    words += [] if scheduler is None else [f"--scheduler={scheduler}"]
    for name, value in options.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if value is not None and value is not False:
            words.append(f"--option={name}" if value is True else f"--option={name}={text}")
    return perform(words)[0]


def _steps_of(given: str | Sequence[str | CleanUpStep]) -> tuple[CleanUpStep, ...]:
    from napari_xrf.minerals.labels.cleanup import parse_clean_up

    parts = (parse_clean_up(each) if isinstance(each, str) else (each,) for each in given)
    return tuple(step for part in parts for step in part)


def _element_maps_or_map(source: Any, progress: Progress) -> Any:
    from napari_xrf import io

    if isinstance(source, str | Path) and io.is_element_map_file(source):
        return io.read_element_maps(source)
    return _map_of(source, progress)


def _labels_of(labels: Any) -> LabelMap:
    from napari_xrf import io

    found: LabelMap = io.read_labels(labels) if isinstance(labels, str | Path) else labels
    return getattr(found, "label_map", found)


def _model_of(model: str | Path | Model) -> Model:
    from napari_xrf.learning.weights import load_model

    return load_model(model) if isinstance(model, str | Path) else model


def _map_of(source: Any, progress: Progress) -> Any:
    """Return a map as it is, or the one that a file, a spectrum or what ``synthesize`` made holds."""
    from napari_xrf import io

    kind = type(source).__name__
    if kind == "Spectrum":
        from napari_xrf.core.spectral_cube import SpectralCube

        return SpectralCube(
            source.counts[None, None], source.energy, source.name, excitation=source.excitation
        )
    if kind == "Synthetic":
        return source.cube
    if isinstance(source, str | Path):
        return io.read(source, progress=progress).load(progress=progress)
    return source
