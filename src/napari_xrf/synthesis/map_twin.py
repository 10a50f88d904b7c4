"""A twin of a map: another piece of such a rock, on its instrument, whose minerals are known.

Its classes, texture, counts and instrument are the map's own. Its spectra are our physics with the errors
that it was found to have beside other code (``benchmarks/method_choice.py physics``) and with what the map
itself differs by, so that what is learnt of the model alone does not pass for what is true.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.emission_lines import atomic_number
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import UNKNOWN_NAME, LabelMap, members_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.minerals.likelihood.sensitivity import KNOTS_KEV, knot_hats
from napari_xrf.minerals.likelihood.templates import bins_at_resolution, expect_templates
from napari_xrf.minerals.search import LIGHTEST, energy_range
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.reference.materials import Material
from napari_xrf.reference.minerals import METAL, Mineral, load_library, minerals_by_name
from napari_xrf.synthesis.sampling import log_uniform

_LEAST_PIXELS = 100  # of a map that has a twin
_LEAST_SHARE = 0.004  # of a class that the twin has too
_WINDOWS = 24  # tried: the one with most classes is taken
_COMPOSITIONS = 3  # of each mineral
_FINE = 4  # points per pixel and direction
_BLUR = (0.3, 0.8)  # standard deviation of the beam, pixels
_WAVE, _WAVE_PIXELS = 0.4, 1.5  # how far boundaries move, and over what length, pixels
_STRANGERS, _STRANGE_SHARE = 2, (0.03, 0.1)  # minerals, and part of the map
_STRANGE_RADIUS = (1.5, 3.5)  # pixels
_APART = 0.35  # of the weight of visible elements: a stranger that can be told
# What the physics beside other code was off by: standard deviations of a logarithm at energies (keV). Shared
# by all minerals, from knot to knot; each mineral's own, line by line; of its continuum.
_SHARED_KEV = (1.0, 2.0, 3.3, 5.0, 8.0, 12.0, 20.0)
_SHARED = {True: (0.05, 0.1, 0.1, 0.1, 0.15, 0.2, 0.2), False: (0.1, 0.1, 0.25, 0.1, 0.07, 0.07, 0.1)}
_OWN_KEV = (1.0, 2.3, 3.5, 6.0, 10.0)
_OWN = {True: (0.15, 0.11, 0.07, 0.05, 0.05), False: (0.12, 0.12, 0.07, 0.02, 0.01)}
_OWN_RATIO = 1.15  # of the energies between which a mineral's own error changes
_CONTINUUM = {True: 0.12, False: 0.2}
_MOST_DEPARTURE = 1.6  # of a logarithm
_ROUNDS, _LEAST_TOLD = 4, 1e-3  # in which it is found; of the counts, near a knot
_SINES = (1.0, 0.8, 1.25)  # ratios of the sines of incidence and take-off that rough grains show
_TRACES = ("Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn", "Sr", "Ba")
_MOST_TRACES, _TRACE_PARTS = 4, (5e-5, 1e-2)
_MOST_SPREAD = (0.25, 4.0)  # of a pixel's counts beside those of its class
_GAIN, _OFFSET_KEV = 0.002, 0.02  # that the stated axis is off by, at most
_PURE = 0.98


@dataclass(frozen=True, eq=False)
class MapTwin:
    """A synthetic map like a measured one, and its truth."""

    cube: SpectralCube
    names: tuple[str, ...]  # K minerals
    fractions: NDArray[np.float32]  # (Y, X, K) part of each pixel's area
    strangers: frozenset[str]  # those that nobody listed

    @property
    def main(self) -> NDArray[np.intp]:
        """(Y, X) position of the mineral with the largest part."""
        return np.asarray(self.fractions.argmax(axis=2))

    @property
    def pure(self) -> NDArray[np.bool_]:
        """(Y, X) whether a pixel is of one mineral."""
        return np.asarray(self.fractions.max(axis=2) >= _PURE)


def make_twin(
    known: CalibratedMap,
    labels: LabelMap,
    library: Sequence[Mineral],
    *,
    listed: Sequence[Mineral] | None = None,
    side: int = 40,
    generator: np.random.Generator,
    progress: Progress = ignore_progress,
) -> MapTwin:
    """Make a twin of a map.

    Raises InvalidInput when the map is too small, or no class of the labels is a mineral of the library.

    Parameters
    ----------
    known
        The map.
    labels
        Its minerals, as some method sees them. Classes of several names are one of them, drawn for each
        composition; what is unknown takes the class beside it.
    library
        Minerals that the classes' names are looked up in.
    listed
        What methods will look for: strangers are none of these, and none of the shipped library where nobody
        listed any.
    side
        Pixels; a smaller map's twin is as small.
    generator
        The same state gives the same twin.
    """
    measured = labels.labels > 0
    if measured.sum() < _LEAST_PIXELS:
        raise InvalidInput(f"a map of {int(measured.sum())} pixels is too small for twins of it")
    placing, drawing, erring, counting = generator.spawn(4)
    by_name = {mineral.name.casefold(): mineral for mineral in library}
    classes: list[tuple[Mineral, ...]] = []
    places = np.full(labels.labels.shape, -1)
    for entry in labels.classes:
        here = labels.labels == entry.label
        members = tuple(
            by_name[name] for each in members_of(entry.name) if (name := each.casefold()) in by_name
        )
        if members and entry.name != UNKNOWN_NAME and here.sum() >= _LEAST_SHARE * measured.sum():
            places[here] = len(classes)
            classes.append(members)
    if not classes:
        raise InvalidInput(f"no class of {labels.source or 'the map'} is a mineral of the library")
    window = _window(places, side, placing)
    turn = (int(placing.integers(2)), int(placing.integers(2)))
    texture = _filled(places)[window][:: 1 - 2 * turn[0], :: 1 - 2 * turn[1]]
    spread = _spread(known, labels, window)[:: 1 - 2 * turn[0], :: 1 - 2 * turn[1]]
    strangers = _strangers(known.instrument, classes, listed, drawing)
    minerals, materials = _materials(classes, strangers, known, drawing)
    zones = _zones(texture, len(classes), len(strangers), float((labels.labels == 1).mean()), placing)
    areas = _areas(zones, len(materials), placing.uniform(*_BLUR))
    spectra = _spectra(materials, minerals, known, labels, by_name, erring, progress)
    names = tuple(dict.fromkeys(minerals))
    owner = np.array([names.index(name) for name in minerals])
    fractions = np.stack([areas[..., owner == k].sum(axis=2) for k in range(len(names))], axis=2)
    pixels = int(np.prod(known.cube.map_shape))
    level = float(known.sum_spectrum[known.cube.energy.positive].sum()) / pixels
    dose = level / float(areas.mean(axis=(0, 1)) @ spectra.sum(axis=1))
    expected = (areas * spread[..., np.newaxis]) @ (spectra * dose)
    cube = replace(
        known.cube,
        counts=counting.poisson(expected).astype(np.uint32),
        energy=_stated(known.energy, erring),
        name=f"twin of {known.cube.name}",
        live_time=None,
        images=(),
        provenance=Provenance(layout="synthetic"),
    )
    return MapTwin(cube, names, fractions, frozenset(mineral.name for mineral in strangers))


def _stated(energy: EnergyAxis, generator: np.random.Generator) -> EnergyAxis:
    """Return an axis as a file would state it, somewhat wrong."""
    gain, offset = generator.uniform(-1, 1, size=2) * [_GAIN, _OFFSET_KEV]
    return EnergyAxis(energy.offset * (1 + gain) + offset, energy.width * (1 + gain), energy.size)


def _window(places: NDArray[np.intp], side: int, generator: np.random.Generator) -> tuple[slice, slice]:
    """Return the piece of a map that shows most classes, of some."""
    rows, columns = (min(side, size) for size in places.shape)
    found: tuple[int, tuple[slice, slice]] | None = None
    for _ in range(_WINDOWS):
        y = int(generator.integers(places.shape[0] - rows + 1))
        x = int(generator.integers(places.shape[1] - columns + 1))
        window = slice(y, y + rows), slice(x, x + columns)
        shown = np.bincount(places[window][places[window] >= 0])
        number = int((shown >= 4).sum())
        if found is None or number > found[0]:
            found = number, window
    assert found is not None
    return found[1]


def _filled(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return places where those below 0 take the nearest other one."""
    nearest = ndimage.distance_transform_edt(places < 0, return_distances=False, return_indices=True)
    return np.asarray(places[tuple(nearest)])


def _spread(known: CalibratedMap, labels: LabelMap, window: tuple[slice, slice]) -> NDArray[np.float64]:
    """Return (Y, X) how many times the counts of its class a pixel has, less what counting does."""
    energies = known.energy.energies[known.energy.positive]
    counts = known.on_refined_axis.window_map(float(energies[0]), float(energies[-1])).astype(np.float64)
    usual = np.ones(int(labels.labels.max()) + 1)
    for label in np.unique(labels.labels):
        usual[label] = max(float(np.median(counts[labels.labels == label])), 1.0)
    ratio = (counts / usual[labels.labels])[window]
    noise = float(np.mean(1 / np.maximum(counts[window], 1)))
    kept = np.sqrt(max(0.0, 1 - noise / max(float(ratio.var()), 1e-12)))
    smooth = ndimage.uniform_filter(1 + kept * (ratio - 1), 3)
    return np.asarray(np.clip(smooth, *_MOST_SPREAD))


def _strangers(
    instrument: Instrument,
    classes: Sequence[tuple[Mineral, ...]],
    listed: Sequence[Mineral] | None,
    generator: np.random.Generator,
) -> tuple[Mineral, ...]:
    """Return minerals that no list has and whose visible elements part them from all of the list."""
    known = list(load_library()) if listed is None else list(listed)
    known += [mineral for members in classes for mineral in members]
    names = {mineral.name.casefold() for mineral in known}
    low, high = energy_range(instrument)
    held = [_visible(material, low, high) for mineral in known for material in mineral.compositions()]
    offered = minerals_by_name() if listed is None else (*load_library(), *minerals_by_name())
    pool = [each for each in offered if each.name.casefold() not in names and each.group != METAL]
    chosen: list[Mineral] = []
    for index in generator.permutation(len(pool)):
        own = _visible(pool[index].compositions()[0], low, high)
        if own and all(_distance(own, other) >= _APART for other in held):
            chosen.append(pool[index])
        if len(chosen) == _STRANGERS:
            break
    return tuple(chosen)


def _visible(material: Material, low: float, high: float) -> dict[str, float]:
    """Return the parts of the elements from sodium on, of sum 1; empty where nothing shows."""
    parts = {key: part for key, part in material.mass_fractions.items() if atomic_number(key) >= LIGHTEST}
    total = sum(parts.values())
    return {key: part / total for key, part in parts.items()} if total > 0.1 else {}


def _distance(own: dict[str, float], other: dict[str, float]) -> float:
    return 0.5 * sum(abs(own.get(key, 0.0) - other.get(key, 0.0)) for key in {*own, *other})


def _materials(
    classes: Sequence[tuple[Mineral, ...]],
    strangers: Sequence[Mineral],
    known: CalibratedMap,
    generator: np.random.Generator,
) -> tuple[list[str], list[Material]]:
    """Return some compositions of each class, then of each stranger: minerals' names, and what they are."""
    found = [each.element for each in known.elements if each.probability >= 0.5]
    traces = sorted({*_TRACES, *(each for each in found if atomic_number(each) >= LIGHTEST)})
    names, materials = [], []
    for members in (*classes, *((mineral,) for mineral in strangers)):
        for _ in range(_COMPOSITIONS):
            mineral = members[int(generator.integers(len(members)))]
            shares = [generator.uniform(each.low, each.high) for each in mineral.substitutions]
            parts = dict(mineral.composition(shares).mass_fractions)
            number = int(generator.integers(_MOST_TRACES + 1))
            for element in generator.choice(traces, size=number, replace=False):
                part = float(log_uniform(generator, _TRACE_PARTS))
                parts[str(element)] = parts.get(str(element), 0.0) + part
            total = sum(parts.values())
            parts = {element: part / total for element, part in parts.items()}
            names.append(mineral.name)
            materials.append(Material(mineral.name, parts, mineral.density))
    return names, materials


def _zones(
    texture: NDArray[np.intp], classes: int, strangers: int, unknown: float, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Return which composition each point of a fine grid is: grains have one, and strangers lie on top."""
    grains = np.zeros(texture.shape, dtype=np.intp)
    number = 0
    for place in np.unique(texture):
        parts, many = ndimage.label(texture == place)
        grains[parts > 0] = parts[parts > 0] + number
        number += many
    composition = generator.integers(_COMPOSITIONS, size=number + 1)
    coarse = texture * _COMPOSITIONS + composition[grains]
    shape = tuple(size * _FINE for size in texture.shape)
    at = []
    for axis, size in enumerate(texture.shape):
        wave = ndimage.gaussian_filter(generator.standard_normal(shape), _WAVE_PIXELS * _FINE)
        wave *= _WAVE / max(float(wave.std()), 1e-9)
        place = (np.indices(shape)[axis] + 0.5) / _FINE + wave
        at.append(np.clip(np.floor(place).astype(np.intp), 0, size - 1))
    zones = coarse[at[0], at[1]]
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    share = float(np.clip(unknown, *_STRANGE_SHARE)) / max(strangers, 1)
    for stranger in range(strangers):
        covered = 0.0
        while covered < share * zones.size:
            down, right = generator.uniform(0, 1, size=2) * shape
            radius = generator.uniform(*_STRANGE_RADIUS) * _FINE
            inside = (rows - down) ** 2 + (columns - right) ** 2 < radius**2
            zones[inside] = (classes + stranger) * _COMPOSITIONS + generator.integers(_COMPOSITIONS)
            covered += float(inside.sum())
    return zones


def _areas(zones: NDArray[np.intp], number: int, blur: float) -> NDArray[np.float32]:
    """Return the part (Y, X, Z) of each composition in what the beam sees of a pixel."""
    rows, columns = (size // _FINE for size in zones.shape)
    areas = np.zeros((rows, columns, number), dtype=np.float32)
    for zone in np.unique(zones):
        seen = ndimage.gaussian_filter((zones == zone).astype(np.float32), blur * _FINE, mode="nearest")
        areas[..., zone] = seen.reshape(rows, _FINE, columns, _FINE).mean(axis=(1, 3))
    return np.asarray(areas / areas.sum(axis=2, keepdims=True))


def _spectra(
    materials: Sequence[Material],
    minerals: Sequence[str],
    known: CalibratedMap,
    labels: LabelMap,
    by_name: dict[str, Mineral],
    generator: np.random.Generator,
    progress: Progress,
) -> NDArray[np.float64]:
    """Return spectra (Z, E) of the compositions, with the errors of our physics."""
    instrument = known.instrument
    electrons = isinstance(instrument.source, ElectronBeam)
    lines, rest = (np.zeros((len(materials), instrument.energy.size)) for _ in range(2))
    for place, sines in enumerate(_SINES):
        tilted = _tilted(instrument, sines)
        rows = list(range(place, len(materials), _COMPOSITIONS))
        expected = expect_samples([materials[row] for row in rows], tilted, order=2, progress=progress)
        lines[rows], rest[rows] = expected.lines, expected.rest
    energies = np.maximum(known.energy.energies, 0.1)
    departure = _departure(known, labels, by_name, progress)
    steps = generator.normal(0, _SHARED[electrons])
    shared = np.interp(np.log(energies), np.log(_SHARED_KEV), np.cumsum(steps) - np.cumsum(steps)[-3])
    common = np.exp(np.interp(np.log(energies), np.log(KNOTS_KEV), departure) + 0.5 * shared)
    knots = np.exp(np.arange(np.log(0.4), np.log(60.0), np.log(_OWN_RATIO)))
    size = np.interp(np.log(knots), np.log(_OWN_KEV), _OWN[electrons])
    for name in dict.fromkeys(minerals):
        own = np.exp(np.interp(energies, knots, generator.normal(0, size)))
        level = float(np.exp(generator.normal(0, _CONTINUUM[electrons])))
        for row in np.flatnonzero(np.array(minerals) == name):
            lines[row] *= own
            rest[row] *= level
    return np.asarray((lines + rest) * common)


def _tilted(instrument: Instrument, sines: float) -> Instrument:
    """Return an instrument that sees a thick sample under another ratio of the sines of its angles."""
    angles = np.deg2rad([instrument.incidence_deg, instrument.takeoff_deg])
    turned = np.sin(angles) * [np.sqrt(sines), 1 / np.sqrt(sines)]
    into, out = np.rad2deg(np.arcsin(np.clip(turned, 0.02, 1.0)))
    return replace(instrument, incidence_deg=float(into), takeoff_deg=float(out))


def _departure(
    known: CalibratedMap, labels: LabelMap, by_name: dict[str, Mineral], progress: Progress
) -> NDArray[np.float64]:
    """Return the logarithm, at KNOTS_KEV, of what the map's classes hold over what is expected of them."""
    occurring = {
        each.casefold() for entry in labels.classes for each in members_of(entry.name) if entry.label > 1
    }
    minerals = [mineral for name, mineral in by_name.items() if name in occurring]
    instrument = known.instrument
    bins = bins_at_resolution(known.energy, known.detector, *energy_range(instrument))
    templates = expect_templates(minerals, instrument, bins, progress)
    made = templates.lines + templates.continuum
    sums = sum_classes(known.on_refined_axis, labels.labels, progress)
    measured, expected = [], []
    for entry in labels.classes:
        own = {each.casefold() for each in members_of(entry.name)}
        rows = np.flatnonzero([minerals[owner].name.casefold() in own for owner in templates.owner])
        if rows.size and entry.label in sums:
            measured.append(bins.sum(sums[entry.label].astype(np.float64)))
            expected.append(made[rows].mean(axis=0))
    hats, curve = knot_hats(bins), np.zeros(len(KNOTS_KEV))
    if not measured:
        return curve
    found, shapes = np.array(measured), np.array(expected)
    for _ in range(_ROUNDS):
        shown = shapes * np.exp(curve @ hats)
        shown *= (found.sum(axis=1) / shown.sum(axis=1))[:, None]
        seen = hats @ shown.sum(axis=0)
        told = seen > _LEAST_TOLD * seen.sum()
        step = np.log(np.maximum(hats @ found.sum(axis=0), 1.0)[told] / seen[told])
        curve += np.interp(np.arange(told.size), np.flatnonzero(told), step)
    return np.asarray(np.clip(curve - np.median(curve), -_MOST_DEPARTURE, _MOST_DEPARTURE))
