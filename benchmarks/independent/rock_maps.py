"""Maps of rocks on an M4-like instrument or under electrons, with their truth; tube's fluorescence from fisx.

``python -m benchmarks.independent.rock_maps granite --counts 1000 --size 128 -o granite.h5``. Phases,
traces and modes stand in ``rocks.toml``. Grains are cells around random sites with wavy boundaries;
accessories are ellipses on top. Each grain has one of a few compositions of its phase, in the ranges of such
a rock. The beam blurs what it scans; a pixel's spectrum is the sum of its parts, each as bright as it is.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.independent.element_set import stopped_light
from benchmarks.independent.m4_response import respond
from benchmarks.independent.minerals_set import stopped_photons, thick_lines
from benchmarks.independent.presets import energy_axis, excitation_of, read_preset
from benchmarks.independent.set_file import smallest_counts
from numpy.typing import NDArray
from scipy import fft, ndimage, spatial

from napari_xrf.core.errors import XrfError
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.io import read
from napari_xrf.io.own.cube_files import read_truth, write_cube
from napari_xrf.reference.formulas import mass_fractions
from napari_xrf.reference.minerals import Mineral, known_minerals, select_minerals

SURFACES = ("flat", "tilted", "rough")
PURE = 0.98  # of a pixel's area belong to one phase
ACCESSORY = 3.0  # per cent of the area: rarer phases are grains in and between the others

_FINE = 4  # points per pixel and direction that textures are drawn with
_FOILS = (0.62, 1.0, 1.61)  # ratios of the sines of incidence and take-off, for spectra
_SLOPE_DEG, _SLOPE_PIXELS = 10.0, 6.0  # of a rough surface: standard deviation, and how far it reaches
_TILT_DEG = 12.0


@dataclass(frozen=True)
class Draws:
    """How a rock map is made.

    Attributes
    ----------
    counts
        Mean of the map, per pixel.
    size, grain
        Side of the map and size of the grains, pixels; accessories are about half as wide.
    blur
        Standard deviation of the beam, pixels.
    compositions
        Of each phase; grains have one of them.
    gain, offset_ev
        Error of the energy axis.
    surface
        ``"flat"``; ``"tilted"`` as a whole by 12°; ``"rough"``, slopes of 10° that change within six pixels.
    pile_up
        Share of pulses that pile up in a pixel of mean counts.
    secondary
        Whether lines excite each other, which takes most of the time.
    preset
        The instrument: ``"m4-tornado"`` or ``"sem-eds"``, whose surfaces are flat.
    """

    counts: float = 1000.0
    size: int = 128
    grain: float = 12.0
    blur: float = 0.8
    compositions: int = 3
    gain: float = 0.0
    offset_ev: float = 0.0
    surface: str = "flat"
    pile_up: float = 0.002
    secondary: bool = True
    preset: str = "m4-tornado"


@dataclass(frozen=True)
class Phase:
    """A phase of a rock; see ``rocks.toml``."""

    mineral: Mineral
    mode: float
    ranges: tuple[tuple[float, float], ...]
    traces: Mapping[str, tuple[float, float]]
    stranger: bool
    alike: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RockMap:
    """A rock map with its truth.

    Attributes
    ----------
    cube
        Counts on the axis that the instrument believes in.
    names
        Of the K phases.
    fractions
        (Y, X, K) of each pixel's area.
    listed
        Names of the minerals that are given: the rock's, less its strangers, and some that it lacks.
    strangers
        Phases that the list lacks, each with the listed minerals that look like it.
    bulk
        Element → weight fraction of the map.
    parameters
        What it was made from.
    """

    cube: SpectralCube
    names: tuple[str, ...]
    fractions: NDArray[np.float32]
    listed: tuple[str, ...]
    strangers: Mapping[str, tuple[str, ...]]
    bulk: Mapping[str, float]
    parameters: Mapping[str, Any]

    @property
    def pure(self) -> NDArray[np.bool_]:
        """Which pixels belong to one phase."""
        return np.asarray(self.fractions.max(axis=2) >= PURE)

    def truth(self) -> dict[str, Any]:
        """Return what :func:`~napari_xrf.io.own.cube_files.write_cube` stores."""
        return {
            "fractions": self.fractions,
            "pure": self.pure,
            "names": list(self.names),
            "listed": list(self.listed),
            "strangers": {name: list(alike) for name, alike in self.strangers.items()},
            "bulk": dict(self.bulk),
            "parameters": dict(self.parameters),
        }


def rock_names() -> tuple[str, ...]:
    """Return the names of the rocks in ``rocks.toml``."""
    return tuple(_rocks())


def make_rock(rock: str, seed: int = 0, draws: Draws | None = None) -> RockMap:
    """Return a rock map; the same seed gives the same counts, and other counts the same texture."""
    draws = Draws() if draws is None else draws
    phases, absent = _phases(rock)
    preset = preset_of(draws.preset)
    placing, counting = np.random.default_rng([seed, *rock.encode()]).spawn(2)
    foils = (1.0,) if draws.surface == "flat" else _FOILS
    materials, spectra = _spectra(rock, seed, draws.compositions, foils, draws.secondary, draws.preset)
    zones = _texture([phase.mode for phase in phases], draws, placing)
    parts = _blurred(zones, len(phases) * draws.compositions, draws)
    steepness = _steepness(draws, placing)
    counts = _counts(parts, spectra, foils, steepness, draws, counting)
    fractions = parts.reshape(*parts.shape[:2], len(phases), draws.compositions)
    cube = SpectralCube(
        smallest_counts(counts),
        energy_axis(preset),
        name=rock,
        pixel_size=(20.0, 20.0),
        excitation=excitation_of(preset),
        provenance=Provenance(layout="synthetic"),
    )
    return RockMap(
        cube,
        tuple(phase.mineral.name for phase in phases),
        fractions.sum(axis=3).astype(np.float32),
        (*(phase.mineral.name for phase in phases if not phase.stranger), *absent),
        {phase.mineral.name: phase.alike for phase in phases if phase.stranger},
        _bulk(phases, materials, fractions),
        {"generator": "independent, fisx", "rock": rock, "seed": seed, **asdict(draws)},
    )


def read_rock(path: Path) -> RockMap:
    """Return what was written by :func:`write_rock` to an ``.h5`` file."""
    truth = read_truth(path)
    names, listed = tuple(truth["names"]), tuple(truth["listed"])
    strangers = {name: tuple(alike) for name, alike in truth["strangers"].items()}
    return RockMap(
        read(path), names, truth["fractions"], listed, strangers, truth["bulk"], truth["parameters"]
    )


def write_rock(path: Path, made: RockMap) -> None:
    """Write a rock map to ``.h5`` with its truth, or to ``.bcf`` and the truth to ``.truth.npz``."""
    if path.suffix != ".bcf":
        write_cube(path, made.cube, truth=made.truth())
        return
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    importlib.import_module("bruker_files").write_bcf(
        path, np.asarray(made.cube.counts), energy=made.cube.energy, pixel_size=(20.0, 20.0), packing="12bit"
    )
    kept = {name: made.truth()[name] for name in ("fractions", "pure", "names", "listed")}
    np.savez_compressed(path.with_suffix(".truth.npz"), **kept)


def preset_of(name: str) -> dict[str, Any]:
    """Return an instrument's numbers; electrons have a voltage as tubes have."""
    preset = read_preset(name)
    preset["source"].setdefault("voltage_kv", preset["source"].get("energy_kev"))
    return preset


def _rocks() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("rocks.toml").read_text(encoding="utf-8"))


def _phases(rock: str) -> tuple[list[Phase], list[str]]:
    """Return the phases of a rock, and the listed minerals that it lacks."""
    table = _rocks()[rock]
    phases = []
    for row in table["phases"]:
        mineral = (
            Mineral(row["name"], row["formula"], row["density"])
            if "formula" in row
            else select_minerals(known_minerals(), [row["name"]])[0]
        )
        narrower = dict(row.get("ranges", {}))
        ranges = [
            tuple(narrower.pop(str(each).split("=")[0], (each.low, each.high)))
            for each in mineral.substitutions
        ]
        if narrower:
            raise KeyError(f"{rock}: {mineral.name} has no substitution {', '.join(narrower)}")
        alike = tuple(row.get("alike", ()))
        traces = {element: tuple(ends) for element, ends in row.get("traces", {}).items()}
        phases.append(Phase(mineral, row["mode"], tuple(ranges), traces, "stranger" in row, alike))
    return phases, table["absent"]


def _composition(phase: Phase, generator: np.random.Generator) -> dict[str, float]:
    """Return weight fractions of one composition; traces are even in the logarithm and add to the rest."""
    shares = [generator.uniform(*ends) for ends in phase.ranges]
    weights = (
        dict(phase.mineral.composition(shares).mass_fractions)
        if phase.ranges
        else mass_fractions(phase.mineral.formula)
    )
    for element, ends in phase.traces.items():
        weights[element] = weights.get(element, 0.0) + float(np.exp(generator.uniform(*np.log(ends)))) * 1e-6
    total = sum(weights.values())
    return {element: weight / total for element, weight in weights.items()}


@cache
def _spectra(
    rock: str, seed: int, number: int, foils: tuple[float, ...], secondary: bool, name: str
) -> tuple[list[list[dict[str, float]]], NDArray[np.float64]]:
    """Return compositions of each phase, and counts (foils, zones, E) per dose; a zone is one composition."""
    generator = np.random.default_rng([seed, number, *rock.encode()])
    phases, _ = _phases(rock)
    materials = [[_composition(phase, generator) for _ in range(number)] for phase in phases]
    preset = preset_of(name)
    if preset["source"]["kind"] == "electron":
        light = [stopped_light(preset, each)[1].sum(axis=0) for few in materials for each in few]
        spectra = respond(preset, np.array(light), generator.uniform(1.0, 1.05))
        return materials, np.maximum(spectra, 0)[np.newaxis]
    geometry = preset["geometry"]
    into, out = np.sin(np.deg2rad([geometry["incidence_deg"], geometry["takeoff_deg"]]))
    light = []
    for foil in foils:
        # A thick sample's lines depend on the ratio of the sines alone.
        angles = np.rad2deg(np.arcsin([into * np.sqrt(foil), out / np.sqrt(foil)]))
        for done, (phase, compositions) in enumerate(zip(phases, materials, strict=True), 1):
            light += photons_of(
                preset, phase.mineral.density, compositions, (angles[0], angles[1]), secondary
            )
            if sys.stderr.isatty():
                print(f"\r{done} of {len(phases)} phases", end="", file=sys.stderr)
    spectra = respond(preset, np.array(light), generator.uniform(1.0, 1.05))
    return materials, spectra.reshape(len(foils), -1, spectra.shape[-1])


def photons_of(
    preset: dict[str, Any],
    density: float,
    compositions: list[dict[str, float]],
    angles: tuple[float, float],
    secondary: bool,
) -> list[NDArray[np.float64]]:
    """Return the photons of each composition of a phase.

    What lines excite in each other takes most of the time; it changes little within a phase, so that the
    first composition's enhancement of each line serves the others.
    """
    primary = [thick_lines(preset, each, density, angles, secondary=False) for each in compositions]
    whole = thick_lines(preset, compositions[0], density, angles) if secondary else primary[0]
    gain = whole[1] / np.where(primary[0][1] > 0, primary[0][1], 1.0)
    enhanced = dict(zip(np.round(whole[0], 6), gain, strict=True))
    return [
        stopped_photons(
            preset,
            weights,
            density,
            angles,
            (energies, photons * [enhanced.get(energy, 1.0) for energy in np.round(energies, 6)]),
        )
        for weights, (energies, photons) in zip(compositions, primary, strict=True)
    ]


def _texture(modes: list[float], draws: Draws, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the zone of each point of a fine grid."""
    side = draws.size * _FINE
    grain = draws.grain * _FINE
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).astype(float)
    for axis in range(2):
        wave = ndimage.gaussian_filter(generator.standard_normal((side, side)), grain / 4)
        places[..., axis] += 0.15 * grain * wave / wave.std()
    margin = grain
    sites = generator.uniform(
        -margin, side + margin, size=(max(int(((side + 2 * margin) / grain) ** 2), 3), 2)
    )
    cells = spatial.cKDTree(sites).query(places)[1]
    share = np.array(modes) / sum(modes)
    major = np.array([mode >= ACCESSORY for mode in modes])
    wanted = np.where(major, share / share[major].sum(), 0.0) * side**2
    phase_of = np.zeros(len(sites), np.intp)
    areas = np.bincount(cells.ravel(), minlength=len(sites))
    for site in generator.permutation(len(sites)):
        phase_of[site] = wanted.argmax()
        wanted[phase_of[site]] -= areas[site]
    composition = generator.integers(draws.compositions, size=len(sites))
    zones = (phase_of * draws.compositions + composition)[cells]
    rows, columns = np.ogrid[:side, :side]
    for phase in np.flatnonzero(~major):
        covered = 0
        while covered < share[phase] * side**2:
            radius = max(1.0, 0.28 * draws.grain * np.exp(0.3 * generator.standard_normal())) * _FINE
            stretch, turn = generator.uniform(0.6, 1.0), generator.uniform(0, np.pi)
            down, right = generator.uniform(0, side, size=2)
            y, x = rows - down, columns - right
            along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
            inside = (along / radius) ** 2 + (across / radius / stretch) ** 2 < 1
            zones[inside] = phase * draws.compositions + generator.integers(draws.compositions)
            covered += int(inside.sum())
    return zones


def _blurred(zones: NDArray[np.intp], number: int, draws: Draws) -> NDArray[np.float32]:
    """Return the area of each zone (Y, X, Z) that the beam sees in a pixel."""
    parts = np.zeros((draws.size, draws.size, number), np.float32)
    for zone in np.unique(zones):
        seen = (zones == zone).astype(np.float32)
        if draws.blur:
            seen = ndimage.gaussian_filter(seen, draws.blur * _FINE, mode="nearest", truncate=3.0)
        parts[..., zone] = seen.reshape(draws.size, _FINE, draws.size, _FINE).mean(axis=(1, 3))
    return parts / parts.sum(axis=2, keepdims=True)


def _steepness(draws: Draws, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the logarithm (Y, X) of the ratio of the sines of incidence and take-off, 0 where flat."""
    shape = draws.size, draws.size
    if draws.surface == "flat":
        return np.zeros(shape)
    toward = []  # the slopes toward beam and detector, which stand at right angles and 50° high
    for _ in range(2):
        if draws.surface == "tilted":
            toward.append(np.full(shape, np.tan(np.deg2rad(_TILT_DEG)) * generator.choice([-1, 1])))
        else:
            wave = ndimage.gaussian_filter(generator.standard_normal(shape), _SLOPE_PIXELS / 2)
            toward.append(np.tan(np.deg2rad(_SLOPE_DEG)) * wave / wave.std())
    if draws.surface == "tilted":
        toward[1] = -toward[0]  # the worst case: away from the detector, toward the beam, or the reverse
    height = np.tan(np.deg2rad(50.0))
    sines = [np.maximum(height - slope, 0.2 * height) for slope in toward]
    return np.clip(np.log(sines[0] / sines[1]), np.log(_FOILS[0]), np.log(_FOILS[-1]))


def _counts(
    parts: NDArray[np.float32],
    spectra: NDArray[np.float64],
    foils: tuple[float, ...],
    steepness: NDArray[np.float64],
    draws: Draws,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    bright = np.einsum("yxz,z->yx", parts, spectra[len(foils) // 2].sum(axis=1))
    dose = draws.counts / bright.mean()
    axis = energy_axis(preset_of(draws.preset))
    counts = np.zeros((*parts.shape[:2], axis.size), np.uint32)
    # The channel that truly holds a photon, as edges of the believed ones in places of the true ones.
    edges = np.interp(
        (axis.edges - draws.offset_ev / 1000) / (1 + draws.gain), axis.edges, np.arange(axis.size + 1)
    )
    left = np.minimum(edges.astype(int), axis.size - 1)
    skipped = round(-axis.offset / axis.width)
    size = fft.next_fast_len(2 * axis.size, real=True)
    for row in range(parts.shape[0]):
        expected = np.zeros((parts.shape[1], axis.size))
        for number, foil in enumerate(np.log(foils)):
            near = 1.0 if len(foils) == 1 else _near(steepness[row], foil, np.log(foils))[:, np.newaxis]
            expected += near * (parts[row].astype(float) @ spectra[number]) * dose
        both = fft.irfft(fft.rfft(expected, size) ** 2, size)[:, skipped : skipped + axis.size].clip(0)
        # Twice as many counts pile up four times as often.
        expected += draws.pile_up / draws.counts * (both - 2 * expected * expected.sum(axis=1, keepdims=True))
        summed = np.concatenate([np.zeros((len(expected), 1)), np.cumsum(expected, axis=1)], axis=1)
        moved = summed[:, left] + (edges - left) * (summed[:, left + 1] - summed[:, left])
        counts[row] = generator.poisson(np.diff(moved, axis=1).clip(0))
    return counts


def _near(place: NDArray[np.float64], knot: float, knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of one knot in linear interpolation."""
    return np.interp(place, knots, (knots == knot).astype(float))


def _bulk(
    phases: list[Phase], materials: list[list[dict[str, float]]], fractions: NDArray[np.float32]
) -> dict[str, float]:
    areas = fractions.mean(axis=(0, 1), dtype=float)
    bulk: dict[str, float] = {}
    for phase, compositions, row in zip(phases, materials, areas, strict=True):
        for weights, area in zip(compositions, row, strict=True):
            for element, weight in weights.items():
                bulk[element] = bulk.get(element, 0.0) + area * phase.mineral.density * weight
    total = sum(bulk.values())
    return {element: weight / total for element, weight in sorted(bulk.items(), key=lambda entry: -entry[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    standard = Draws()
    parser.add_argument("rock", choices=rock_names())
    option = partial(parser.add_argument, type=float)
    option("--counts", default=standard.counts, help="mean of a pixel (%(default)s)")
    option("--size", type=int, default=standard.size, help="side of the map, pixels (%(default)s)")
    option("--grain", default=standard.grain, help="size of the grains, pixels (%(default)s)")
    option("--seed", type=int, default=0, help="of texture, compositions and counts (%(default)s)")
    option("--gain", default=standard.gain, help="error of the axis, 0.01 is 1 %% (%(default)s)")
    option("--offset", default=standard.offset_ev, metavar="EV", help="error of the axis (%(default)s)")
    parser.add_argument("--surface", choices=SURFACES, default=standard.surface)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help=".h5, or .bcf and .truth.npz"
    )
    given = parser.parse_args()
    draws = Draws(
        given.counts, given.size, given.grain, gain=given.gain, offset_ev=given.offset, surface=given.surface
    )
    made = make_rock(given.rock, given.seed, draws)
    try:
        write_rock(given.output, made)
    except XrfError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
