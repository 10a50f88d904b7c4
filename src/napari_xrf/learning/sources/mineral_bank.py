"""Expected spectra of mineral classes over their ranges, and of strangers that are none of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.minerals.likelihood.templates import EnergyBins, Templates, bin_errors, bins_at_resolution
from napari_xrf.minerals.search import energy_range
from napari_xrf.minerals.separability import confusion, inseparable_groups
from napari_xrf.physics.forward import expect_samples, expect_spectra
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import Mineral, known_minerals, mineral_class, select_minerals
from napari_xrf.synthesis.distortion_values import FwhmOfEnergy

# Rocks and ores, one of each kind that X-ray fluorescence can tell; the command of docs/networks.md lists the
# groups.
DEFAULT_MINERALS = (
    "quartz", "albite", "plagioclase", "K-feldspar", "nepheline", "leucite", "sodalite", "olivine",
    "augite", "hornblende", "muscovite", "biotite", "lepidolite", "clinochlore", "kaolinite", "almandine",
    "spessartine", "grossular", "andradite", "epidote", "allanite", "titanite", "zircon", "topaz",
    "cordierite", "rhodonite", "pollucite", "calcite", "dolomite", "magnesite", "siderite",
    "rhodochrosite", "smithsonite", "cerussite", "malachite", "gypsum", "barite", "celestine",
    "fluorapatite", "chlorapatite", "monazite", "xenotime", "amblygonite", "triphylite", "pyromorphite",
    "halite", "sylvite", "fluorite", "cryolite", "hematite", "ilmenite", "rutile", "chromite", "spinel",
    "corundum", "cassiterite", "columbite-(Fe)", "tantalite-(Mn)", "uraninite", "pyrolusite", "cuprite",
    "scheelite", "ferberite", "pyrite", "chalcopyrite", "bornite", "covellite", "sphalerite", "galena",
    "arsenopyrite", "nickeline", "pentlandite", "molybdenite", "stibnite", "cinnabar", "tetrahedrite",
    "gold", "silver", "epoxy resin",
)  # fmt: skip
# Never shown in training, not even as strangers: they judge whether a network knows what it does not know.
HELD_OUT_MINERALS = (
    "vivianite", "franklinite", "enargite", "wulfenite", "chrysocolla", "jarosite", "perovskite",
    "pyrochlore", "realgar", "cobaltite", "strontianite", "millerite", "acanthite", "bismuthinite",
    "vanadinite", "hubnerite", "alabandite", "brass", "thorite", "carnallite",
)  # fmt: skip
_MOST_COMPOSITIONS = 13  # of a mineral: its middle and the corners of its range
_RANDOM_STRANGERS = 500
_STRANGER_SEED = 20_240_917
_TOLERANCE = 0.05  # relative error of expected spectra within which classes must be apart
_GROUPED_ABOVE = 0.01
_MOST_ELEMENTS = 5
_STRANGE_ELEMENTS = (
    "C", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe",
    "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ag", "Cd",
    "Sn", "Sb", "Te", "I", "Cs", "Ba", "La", "Ce", "Nd", "Yb", "Hf", "Ta", "W", "Pt", "Au", "Hg", "Pb",
    "Bi", "Th", "U",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MineralBank:
    """Spectra to draw from."""

    spectra: NDArray[np.float32]  # (T, E) of the classes' compositions, each of sum 1
    owner: NDArray[np.intp]  # (T,) class of each
    classes: tuple[LabelClass, ...]  # K; a group that cannot be told apart is one of them
    strangers: NDArray[np.float32]  # (S, E) of what is none of them, each of sum 1
    energy: EnergyAxis  # the instrument's
    fwhm: FwhmOfEnergy  # of its peaks, keV at keV
    minerals: tuple[Mineral, ...]  # all in the classes

    def draw_rows(self, labels: NDArray[np.integer], generator: np.random.Generator) -> NDArray[np.intp]:
        """Return for each label the row of one of its compositions."""
        first = np.searchsorted(self.owner, np.arange(len(self.classes) + 1))
        number = np.diff(first)
        return first[labels] + (generator.random(len(labels)) * number[labels]).astype(np.intp)

    def draw_strangers(self, size: int, generator: np.random.Generator) -> NDArray[np.float32]:
        """Return spectra (size, E) of strangers: one alone, or up to three mixed."""
        if not len(self.strangers):
            raise InvalidInput("there are no strangers to draw from")
        picked = generator.integers(len(self.strangers), size=(size, 3))
        parts = generator.exponential(size=(size, 3))
        parts *= np.arange(3) < generator.integers(1, 4, size=(size, 1))
        parts = (parts / parts.sum(axis=1, keepdims=True)).astype(np.float32)
        drawn = parts[:, :1] * self.strangers[picked[:, 0]]
        for place in (1, 2):
            drawn += parts[:, place, None] * self.strangers[picked[:, place]]
        return drawn


def make_bank(
    minerals: Sequence[str] | None = None,
    *,
    instrument: str = "m4-tornado",
    library: str | None = None,
    held_out: Sequence[str] = (),
    separable_at: float = 1000.0,
    classes: Sequence[str] | None = None,
    progress: Progress = ignore_progress,
) -> MineralBank:
    """Return the bank of some minerals on an instrument.

    ``minerals``: names in the library; None: :data:`DEFAULT_MINERALS`. ``instrument``: a preset's name or
    file. ``library``: a CSV file of minerals added to the shipped ones. ``held_out``: minerals that are not
    shown even as strangers: they judge how strangers are told. ``separable_at``: counts at which minerals
    that cannot be told apart become one class. ``classes``: the classes instead, of all minerals that are
    shown, such as ``"augite / hornblende"``: those that a network has learnt, whatever became of the library.
    Raises InvalidInput when a mineral is unknown, fewer than two classes are left, or a held-out one is among
    the classes.
    """
    names = DEFAULT_MINERALS if minerals is None else tuple(minerals)
    learnt = None if classes is None else tuple(members_of(each) for each in classes)
    if learnt is not None:
        names = tuple(name for members in learnt for name in members)
    kept_back = HELD_OUT_MINERALS if minerals is None and not held_out else tuple(held_out)
    both = sorted(set(names) & set(kept_back))
    if both:
        raise InvalidInput(f"{', '.join(both)} cannot be a class and held out")
    return _bank(names, instrument, library, kept_back, separable_at, learnt, _Quiet(progress))


class _Quiet:
    """A progress that does not take part in the cache's key."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Quiet)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4)
def _bank(
    names: tuple[str, ...],
    instrument_name: str,
    library_file: str | None,
    held_out: tuple[str, ...],
    separable_at: float,
    classes: tuple[tuple[str, ...], ...] | None,
    quiet: _Quiet,
) -> MineralBank:
    progress = quiet.progress
    instrument = load_instrument(instrument_name)
    library = known_minerals(library_file)
    chosen = select_minerals(library, names)
    kept_back = {mineral.name for mineral in select_minerals(library, held_out)} if held_out else set()
    materials, owner = _materials(chosen)
    expected = expect_samples(materials, instrument, order=2, progress=progress)
    shown = expected.lines.sum(axis=1) + expected.rest.sum(axis=1) > 0
    lines, rest, owner = expected.lines[shown], expected.rest[shown], owner[shown]
    bins = bins_at_resolution(instrument.energy, instrument.detector, *energy_range(instrument))
    if classes is None:
        templates = _templates(lines, rest, owner, chosen, bins)
        confused = confusion(templates, separable_at, bin_errors(templates.bins, _TOLERANCE), progress)
        groups = inseparable_groups(confused, _GROUPED_ABOVE)
    else:
        ends = np.cumsum([len(select_minerals(library, members)) for members in classes])
        groups = tuple(tuple(range(low, high)) for low, high in pairwise((0, *ends.tolist())))
    if len(groups) < 2:
        raise InvalidInput("a classifier needs two classes at least", "Name more minerals that differ")
    class_of = np.full(len(chosen), -1, dtype=np.intp)
    for index, group in enumerate(groups):
        class_of[list(group)] = index
    order = np.argsort(class_of[owner], kind="stable")
    spectra = _of_sum_one(lines + rest)
    known = {mineral.name for mineral in chosen}
    others = [mineral for mineral in library if mineral.name not in known | kept_back]
    strangers = _strangers(others, instrument, progress)
    return MineralBank(
        spectra[order],
        class_of[owner][order],
        tuple(
            mineral_class([chosen[member] for member in group], label)
            for label, group in enumerate(groups, 2)
        ),
        strangers[unlike(strangers, spectra, bins, separable_at)],
        instrument.energy,
        instrument.detector.fwhm,
        chosen,
    )


def _materials(minerals: Sequence[Mineral]) -> tuple[list[Material], NDArray[np.intp]]:
    every = [mineral.compositions(_MOST_COMPOSITIONS) for mineral in minerals]
    owner = [index for index, own in enumerate(every) for _ in own]
    return [material for own in every for material in own], np.array(owner, dtype=np.intp)


def _templates(
    lines: NDArray[np.float64],
    rest: NDArray[np.float64],
    owner: NDArray[np.intp],
    minerals: tuple[Mineral, ...],
    bins: EnergyBins,
) -> Templates:
    low, high = bins.sum(lines), bins.sum(rest)
    total = np.maximum((low + high).sum(axis=1, keepdims=True), 1e-300)
    return Templates(low / total, high / total, owner, minerals, bins, total[:, 0])


def _strangers(
    minerals: Iterable[Mineral], instrument: Instrument, progress: Progress
) -> NDArray[np.float32]:
    """Return spectra of other minerals and of random mixtures of elements."""
    generator = np.random.default_rng(_STRANGER_SEED)
    materials = [mineral.compositions()[0] for mineral in minerals]
    for number in range(_RANDOM_STRANGERS):
        size = int(generator.integers(1, _MOST_ELEMENTS + 1))
        elements = generator.choice(_STRANGE_ELEMENTS, size=size, replace=False)
        parts = generator.dirichlet(np.ones(size))
        materials.append(
            Material(f"stranger {number}", dict(zip(map(str, elements), map(float, parts), strict=True)))
        )
    spectra = expect_spectra(materials, instrument, order=2, progress=progress)
    return _of_sum_one(spectra[spectra.sum(axis=1) > 0])


def unlike(
    strangers: NDArray[np.floating], spectra: NDArray[np.floating], bins: EnergyBins, counts: float
) -> NDArray[np.bool_]:
    """Return which spectra (S, E) of sum 1 somebody could tell from all of others (T, E) at some counts."""
    known, strange = bins.sum(spectra), bins.sum(strangers)
    distance = np.empty(len(strange))
    for row, spectrum in enumerate(strange):
        mean = counts * np.maximum(0.5 * (known + spectrum), 1e-9)
        difference = counts * (known - spectrum)
        distance[row] = (difference**2 / (2 * (mean + (_TOLERANCE * mean) ** 2))).sum(axis=1).min()
    # As the groups: confused less often than that, with half of D as the square of the normal deviate.
    return np.asarray(distance > 2 * 3.0**2)


def _of_sum_one(spectra: NDArray[np.float64]) -> NDArray[np.float32]:
    return (spectra / spectra.sum(axis=1, keepdims=True)).astype(np.float32)
