"""Grain textures: which material lies where, down to parts of a pixel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_xrf.core.compiled_code import compiled
from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress

_POINTS = 50_000  # looked up at once: ten MB, and a cancel between them feels immediate
_CANDIDATES = 16  # nearest seeds among which an elongated grain may win a point


@parameters
class Texture:
    """How the grains of a map look; lengths in pixels.

    Attributes
    ----------
    grain_size
        Diameter of the circle that has the mean grain's area, 1 to 500.
    elongation
        Length over width of grains whose phase does not say its own, 1 to 20.
    roughness
        Waviness of grain boundaries as a share of the grain size, 0 to 1.
    vein_width
        Mean width of veins, 0.2 to 200.
    zoning_steps
        Number of zones from core to rim of zoned grains; 0 for a smooth change, up to 20.
    subpixels
        Points per pixel and axis at which the material is looked up, 1 to 16: how finely the shares
        of mixed boundary pixels are known.
    beam_fwhm
        Width of the exciting spot, 0 to 20: spots wider than a pixel mix neighbours.
    """

    grain_size: Annotated[float, Limits(1, 500, "px")] = 9.0
    elongation: Annotated[float, Limits(1, 20)] = 1.4
    roughness: Annotated[float, Limits(0, 1)] = 0.15
    vein_width: Annotated[float, Limits(0.2, 200, "px")] = 2.5
    zoning_steps: Annotated[int, Limits(0, 20)] = 0
    subpixels: Annotated[int, Limits(1, 16)] = 4
    beam_fwhm: Annotated[float, Limits(0, 20, "px")] = 0.8


@parameters
class Occurrence:
    """How one material occurs in a texture.

    Attributes
    ----------
    share
        Its part of the map by area, before veins and inclusions cut through; any unit, from 0.
    habit
        ``"grain"``; ``"vein"``, a band across everything; ``"inclusion"``, small grains inside others.
    size
        Grain size as a multiple of the texture's, 0.02 to 50.
    elongation
        Length over width, 1 to 20; None takes the texture's.
    zoned_to
        Position of the material towards which its grains change from core to rim, or None.
    """

    share: Annotated[float, Limits(0, 1e9)] = 1.0
    habit: Annotated[str, Choices(("grain", "vein", "inclusion"))] = "grain"
    size: Annotated[float, Limits(0.02, 50)] = 1.0
    elongation: Annotated[float | None, Limits(1, 20)] = None
    zoned_to: int | None = None


@dataclass(frozen=True, eq=False)
class GrainMap:
    """What lies in each pixel."""

    # (Y, X, K) float32 share of each material in what the beam sees, summing to 1 over K
    abundances: NDArray[np.float32]
    grains: NDArray[np.int32]  # (Y, X) int32 number of the grain in the pixel's middle, from 0


def grow_grains(
    shape: tuple[int, int],
    phases: Sequence[Occurrence],
    texture: Texture,
    generator: np.random.Generator,
    progress: Progress = ignore_progress,
) -> GrainMap:
    """Grow grains, cut veins through them and drop inclusions into them.

    Grains are cells of a Voronoi diagram whose metric is stretched along each grain's own direction;
    materials are dealt to the cells so that their areas come close to the shares asked for.

    ``shape``: (Y, X), at least 1 × 1. ``phases``: one for each of the K materials; at least one of habit
    ``"grain"`` with a share above 0. Raises InvalidInput when no phase fills the map, or a phase is zoned
    towards a material that is not there.
    """
    _check(shape, phases)
    fine = (shape[0] * texture.subpixels, shape[1] * texture.subpixels)
    grown = _grow_matrix(fine, phases, texture, generator, progress)
    _drop_inclusions(grown, generator, progress)
    _cut_veins(grown, generator, progress)
    abundances = _mix_pixels(grown, generator, progress)
    middle = texture.subpixels // 2
    return GrainMap(abundances, grown.grain[middle :: texture.subpixels, middle :: texture.subpixels].copy())


class _Grown(NamedTuple):
    """What lies at each point of a map, (y, x): material, grain, distance from its core (0) to rim (1)."""

    phases: Sequence[Occurrence]
    texture: Texture
    material: NDArray[np.int16]
    grain: NDArray[np.int32]
    rim: NDArray[np.float32]


def _check(shape: tuple[int, int], phases: Sequence[Occurrence]) -> None:
    if min(shape) < 1:
        raise InvalidInput(f"a map of {shape[0]} × {shape[1]} pixels is empty")
    if not any(phase.habit == "grain" and phase.share > 0 for phase in phases):
        raise InvalidInput("no material fills the map", "Give one the habit 'grain' and a share above 0")
    for phase in phases:
        if phase.zoned_to is not None and not 0 <= phase.zoned_to < len(phases):
            raise InvalidInput(f"material {phase.zoned_to} to zone towards is not there")


def _grow_matrix(
    fine: tuple[int, int],
    phases: Sequence[Occurrence],
    texture: Texture,
    generator: np.random.Generator,
    progress: Progress,
) -> _Grown:
    material_of, sites, half_axes, angles = _deal_sites(fine, phases, texture, generator)
    points = np.indices(fine).reshape(2, -1).T.astype(np.float32)
    if texture.roughness > 0:
        points += _wave(fine, texture, generator).reshape(2, -1).T
    tree = cKDTree(sites)
    count = min(_CANDIDATES, len(sites))
    grain = np.empty(len(points), dtype=np.int32)
    rim = np.zeros(len(points), dtype=np.float32)
    turns = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for start in range(0, len(points), _POINTS):
        progress(start, len(points), "growing grains")
        part = slice(start, start + _POINTS)
        _, near = tree.query(points[part], k=count, workers=-1)
        near = near.reshape(-1, count)
        _find_grain(points[part], near, sites, half_axes, turns, grain[part], rim[part])
    material = material_of[grain].reshape(fine)
    return _Grown(phases, texture, material, grain.reshape(fine), rim.reshape(fine))


def _deal_sites(
    fine: tuple[int, int], phases: Sequence[Occurrence], texture: Texture, generator: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each grain's material (G,), centre (G, 2), half axes (G, 2) and direction (G,)."""
    diameter = texture.grain_size * texture.subpixels
    material, half_axes = [], []
    shares = np.array([phase.share if phase.habit == "grain" else 0.0 for phase in phases])
    area = fine[0] * fine[1] * shares / shares.sum()
    for index, phase in enumerate(phases):
        if area[index] <= 0:
            continue
        size = diameter * phase.size
        number = max(1, round(area[index] / (math.pi / 4 * size**2)))
        stretch = math.sqrt(phase.elongation or texture.elongation)
        spread = generator.lognormal(0, 0.2, size=number)[:, np.newaxis]
        material += [index] * number
        half_axes.append(0.5 * size * spread * np.array([stretch, 1 / stretch]))
    sites = generator.uniform(0, 1, size=(len(material), 2)) * fine
    angles = generator.uniform(0, math.pi, size=len(material))
    return np.array(material, dtype=np.int16), sites, np.concatenate(half_axes), angles


@compiled()
def _find_grain(points, near, sites, half_axes, turns, grain, rim):  # type: ignore[no-untyped-def]  # compiled
    """Find each point's nearest grain in that grain's own metric, and how near the next one is (0 to 1)."""
    for point in range(points.shape[0]):
        first, second = math.inf, math.inf
        for candidate in range(near.shape[1]):
            site = near[point, candidate]
            dy = points[point, 0] - sites[site, 0]
            dx = points[point, 1] - sites[site, 1]
            along = (dy * turns[site, 0] + dx * turns[site, 1]) / half_axes[site, 0]
            across = (dx * turns[site, 0] - dy * turns[site, 1]) / half_axes[site, 1]
            distance = math.sqrt(along * along + across * across)
            if distance < first:
                first, second = distance, first
                grain[point] = site
            elif distance < second:
                second = distance
        rim[point] = 0.0 if math.isinf(second) else first / max(second, 1e-9)


def _wave(fine: tuple[int, int], texture: Texture, generator: np.random.Generator) -> NDArray[np.float32]:
    """Smooth random displacement (2, y, x) in points."""
    diameter = texture.grain_size * texture.subpixels
    wave = np.stack(
        [
            ndimage.gaussian_filter(generator.standard_normal(fine).astype(np.float32), max(diameter / 5, 1))
            for _ in range(2)
        ]
    )
    return np.asarray(wave * (texture.roughness * diameter / max(float(wave.std()), 1e-9)) * 0.5, np.float32)


def _drop_inclusions(grown: _Grown, generator: np.random.Generator, progress: Progress) -> None:
    phases, texture, material, grain, rim = grown
    total = sum(phase.share for phase in phases)
    number = int(grain.max())
    for index, phase in enumerate(phases):
        if phase.habit != "inclusion" or phase.share <= 0:
            continue
        progress(index, len(phases), "dropping inclusions")
        size = texture.grain_size * texture.subpixels * phase.size
        stretch = math.sqrt(phase.elongation or texture.elongation)
        wanted = phase.share / total * material.size
        filled = 0.0
        while filled < wanted:
            diameter = size * generator.lognormal(0, 0.3)
            axes = 0.5 * diameter * np.array([stretch, 1 / stretch])
            centre = generator.uniform(0, 1, size=2) * material.shape
            window, distance = _ellipse(material.shape, centre, axes, generator.uniform(0, math.pi))
            inside = distance <= 1
            number += 1
            grain[window][inside] = number
            material[window][inside] = index
            rim[window][inside] = distance[inside]
            filled += max(math.pi * axes[0] * axes[1], 1.0)


def _ellipse(
    shape: tuple[int, ...], centre: NDArray[np.float64], axes: NDArray[np.float64], angle: float
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Return the window around an ellipse and the distance there, 1 on its edge."""
    reach = axes.max() + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, shape).astype(int)
    y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
    y, x = y - centre[0], x - centre[1]
    along = (y * math.cos(angle) + x * math.sin(angle)) / axes[0]
    across = (x * math.cos(angle) - y * math.sin(angle)) / axes[1]
    return (slice(low[0], high[0]), slice(low[1], high[1])), np.hypot(along, across).astype(np.float32)


def _cut_veins(grown: _Grown, generator: np.random.Generator, progress: Progress) -> None:
    phases, texture, material, grain, rim = grown
    total = sum(phase.share for phase in phases)
    width = texture.vein_width * texture.subpixels
    for index, phase in enumerate(phases):
        if phase.habit != "vein" or phase.share <= 0:
            continue
        length = min(material.shape)
        number = max(1, round(phase.share / total * material.size / (width * phase.size * length)))
        for vein in range(number):
            progress(vein, number, "cutting veins")
            distance = _distance_to_vein(material.shape, generator) / (0.5 * width * phase.size)
            inside = distance <= 1
            grain[inside] = grain.max() + 1
            material[inside] = index
            rim[inside] = distance[inside]


def _distance_to_vein(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the distance of each point from a gently bent line across the map."""
    angle = generator.uniform(0, math.pi)
    centre = generator.uniform(0.15, 0.85, size=2) * shape
    y, x = np.indices(shape, dtype=np.float32)
    along = (y - centre[0]) * math.cos(angle) + (x - centre[1]) * math.sin(angle)
    across = (x - centre[1]) * math.cos(angle) - (y - centre[0]) * math.sin(angle)
    length = max(shape)
    for _ in range(3):
        period = length * generator.uniform(0.3, 1.5)
        phase = generator.uniform(0, 2 * math.pi)
        across = across + 0.04 * period * np.sin(2 * math.pi * along / period + phase)
    return np.abs(across).astype(np.float32)


def _mix_pixels(grown: _Grown, generator: np.random.Generator, progress: Progress) -> NDArray[np.float32]:
    phases, texture, material, grain, rim = grown
    fine = texture.subpixels
    rows, columns = material.shape[0] // fine, material.shape[1] // fine
    partner = np.array([index if p.zoned_to is None else p.zoned_to for index, p in enumerate(phases)])
    # Cores differ from grain to grain, so that rims start at different distances.
    start = generator.uniform(0.1, 0.6, size=int(grain.max()) + 1).astype(np.float32)
    outward = np.clip((rim - start[grain]) / (1 - start[grain]), 0, 1)
    if texture.zoning_steps:
        outward = np.floor(outward * texture.zoning_steps + 0.5) / np.float32(texture.zoning_steps)
    mixed = np.zeros((rows, columns, len(phases)), dtype=np.float32)
    for index in range(len(phases)):
        progress(index, len(phases), "mixing pixels")
        here = np.where(material == index, np.where(partner[material] == index, 1.0, 1 - outward), 0.0)
        zoned = (partner[material] == index) & (material != index)
        here = np.where(zoned, outward, here).astype(np.float32)
        mixed[..., index] = here.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
    if texture.beam_fwhm > 0:
        sigma = texture.beam_fwhm / FWHM_PER_SIGMA
        mixed = ndimage.gaussian_filter(mixed, (sigma, sigma, 0), mode="nearest")
    return mixed / mixed.sum(axis=2, keepdims=True)
