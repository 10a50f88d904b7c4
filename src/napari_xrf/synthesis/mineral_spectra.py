"""Labelled single spectra of minerals, distorted and counted: what classifiers learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.synthesis.distortions import Distortions, distort, draw_values
from napari_xrf.synthesis.mineral_map import PureSpectra
from napari_xrf.synthesis.ranges import Limits, Range, check_fields
from napari_xrf.synthesis.sampling import count_dtype, draw_poisson, draw_seed
from napari_xrf.synthesis.spectrum_sets import spectra_as_cube

_BLOCK_BYTES = 8 * 2**20  # a float per channel: small enough for the cache


@dataclass(frozen=True)
class SpectraParameters:
    """Dose and mixing of single mineral spectra.

    Attributes
    ----------
    counts
        Range from which each spectrum's expected counts before distortions are drawn, evenly in the
        logarithm.
    mixed_share
        Part of the spectra that see a second mineral, as pixels on a grain boundary do.
    largest_minority
        The most that the second mineral takes of such a spectrum.
    """

    counts: Annotated[Range, Limits(0, 1e7)] = (100.0, 10_000.0)
    mixed_share: Annotated[float, Limits(0, 1)] = 0.2
    largest_minority: Annotated[float, Limits(0, 0.5)] = 0.4

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, eq=False)
class MineralSpectra:
    """Spectra with their truth.

    Attributes
    ----------
    counts
        (N, E) counts.
    energy
        Their axis.
    labels
        (N,) position of the main mineral.
    abundances
        (N, K) float32 share of each mineral, summing to 1.
    parameters
        All that made them but the pure spectra, as JSON takes it.
    """

    counts: NDArray[np.unsignedinteger[Any]]
    energy: EnergyAxis
    labels: NDArray[np.intp]
    abundances: NDArray[np.float32]
    parameters: Mapping[str, Any]

    def as_cube(self) -> SpectralCube:
        """Return the spectra as a map of N rows and one column."""
        return spectra_as_cube(self.counts, self.energy, "mineral spectra")

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.cube_files.write_cube`."""
        return {
            "main_mineral": self.labels,
            "abundances": self.abundances,
            "parameters": dict(self.parameters),
        }


def draw_mineral_spectra(
    pure: PureSpectra,
    size: int,
    *,
    generator: np.random.Generator,
    parameters: SpectraParameters | None = None,
    distortions: Distortions | None = None,
    progress: Progress = ignore_progress,
) -> MineralSpectra:
    """Draw single spectra of minerals, each mineral as often as the others.

    Parameters
    ----------
    pure
        K minerals' spectra, of
        :func:`~napari_xrf.synthesis.mineral_map.expect_pure_spectra` or measured.
    size
        How many, at least 1.
    distortions
        Ranges from which each spectrum's distortions are drawn.

    Raises
    ------
    InvalidInput
        When there is no spectrum to draw, or nothing in one of the pure ones.
    """
    chosen = parameters or SpectraParameters()
    totals = pure.spectra.sum(axis=1, keepdims=True)
    if size < 1 or not len(totals) or not (totals > 0).all():
        raise InvalidInput("spectra can be drawn only of minerals with counts, at least one")
    mixing, distortion, noise = generator.spawn(3)
    labels, abundances = _mix(len(totals), size, chosen, mixing)
    doses = _log_uniform(chosen.counts, size, mixing)
    shapes = (pure.spectra / totals).astype(np.float32)
    values = None if distortions is None else draw_values(distortions, size, distortion)
    seed = draw_seed(noise)
    # A spectrum may put all its counts into one channel.
    added = 0.0 if values is None else values.largest_addition()
    dtype = count_dtype(float(doses.max(initial=0.0)) * (1 + added))
    counts = np.empty((size, pure.energy.size), dtype=dtype)
    step = max(1, _BLOCK_BYTES // (4 * pure.energy.size))
    for start in range(0, size, step):
        part = np.arange(start, min(start + step, size))
        expected = (abundances[part] * doses[part, np.newaxis]) @ shapes
        if values is not None:
            expected = distort(expected, pure.energy, values.take(part), pure.fwhm)
        counts[part] = draw_poisson(expected, seed, part, dtype)
        progress(int(part[-1]) + 1, size, "drawing spectra")
    described = {
        "recipe": "mineral spectra",
        "size": size,
        "seed": str(seed),
        **asdict(chosen),
        "distortions": None if distortions is None else asdict(distortions),
    }
    return MineralSpectra(counts, pure.energy, labels, abundances, described)


def _mix(
    minerals: int, size: int, chosen: SpectraParameters, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    rows = np.arange(size)
    labels = generator.integers(minerals, size=size)
    # A shift by 1 … K - 1 never meets the mineral itself.
    others = (labels + generator.integers(1, max(minerals, 2), size=size)) % minerals
    minority = generator.uniform(0, chosen.largest_minority, size=size)
    minority[generator.random(size) >= chosen.mixed_share] = 0.0
    abundances = np.zeros((size, minerals), dtype=np.float32)
    abundances[rows, labels] = 1 - minority
    np.add.at(abundances, (rows, others), minority)
    return labels.astype(np.intp), abundances


def _log_uniform(interval: Range, size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    low, high = np.maximum(interval, 1e-9)
    drawn = np.exp(generator.uniform(np.log(low), np.log(high), size=size))
    return np.asarray(np.where(drawn <= 1e-9, 0.0, drawn), dtype=np.float32)
