"""Labelled single spectra of minerals, distorted and counted: what classifiers learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.parameters import Limits, Range, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.synthesis.distorted_spectra import Mixture, draw_spectra
from napari_xrf.synthesis.distortion_steps import detector_tables, distortion_steps
from napari_xrf.synthesis.distortions import Distortions, draw_values
from napari_xrf.synthesis.mineral_map import PureSpectra
from napari_xrf.synthesis.sampling import count_dtype, draw_seed
from napari_xrf.synthesis.spectrum_distortion import DetectorTables
from napari_xrf.synthesis.spectrum_sets import spectra_as_cube

_BLOCK = 4096  # spectra between two reports of progress


@parameters
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
        """Return the truth by name, for :func:`napari_xrf.io.own.cube_files.write_cube`."""
        return {
            "main_mineral": self.labels,
            "abundances": self.abundances,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, eq=False)
class MineralSpectraSource:
    """Draws batch after batch of labelled spectra; what does not change between batches is made once.

    Attributes
    ----------
    pure
        K minerals' spectra, of
        :func:`~napari_xrf.synthesis.mineral_map.expect_pure_spectra` or measured.
    parameters
        Dose and mixing.
    distortions
        Ranges from which each spectrum's distortions are drawn, or None.

    Raises
    ------
    InvalidInput
        When there is no pure spectrum, or nothing in one of them.
    """

    pure: PureSpectra
    parameters: SpectraParameters = field(default_factory=SpectraParameters)
    distortions: Distortions | None = None

    def __post_init__(self) -> None:
        totals = self.pure.spectra.sum(axis=1)
        if not len(totals) or not (totals > 0).all():
            raise InvalidInput("spectra can be drawn only of minerals with counts, at least one")

    def draw(
        self,
        size: int,
        generator: np.random.Generator,
        *,
        counts: NDArray[np.unsignedinteger[Any]] | None = None,
        progress: Progress = ignore_progress,
    ) -> MineralSpectra:
        """Draw spectra, each mineral as often as the others.

        Parameters
        ----------
        size
            How many, at least 1.
        generator
            The same state gives the same spectra.
        counts
            (size, E) array that takes the counts, that of the last batch for instance; a new one when left
            out.

        Raises
        ------
        InvalidInput
            When the size is below 1, or the array has another shape or a type too narrow for the counts.
        """
        if size < 1:
            raise InvalidInput(f"at least one spectrum must be drawn, not {size}")
        mixing, distortion, noise = generator.spawn(3)
        labels, abundances = _mix(len(self.pure.spectra), size, self.parameters, mixing)
        doses = _log_uniform(self.parameters.counts, size, mixing)
        values = None if self.distortions is None else draw_values(self.distortions, size, distortion)
        seed = draw_seed(noise)
        # A spectrum may put all its counts into one channel.
        added = 0.0 if values is None else values.largest_addition()
        dtype = count_dtype(float(doses.max(initial=0.0)) * (1 + added))
        target = _target(counts, (size, self.pure.energy.size), dtype)
        mixture = Mixture(abundances * doses[:, np.newaxis], self._shapes)
        tables = steps = None
        if values is not None:
            tables = self._tables
            steps = distortion_steps(tables, values, self.pure.fwhm, size)
        for start in range(0, size, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, size))
            draw_spectra(mixture, rows, seed, target[start : start + _BLOCK], tables, steps)
            progress(int(rows[-1]) + 1, size, "drawing spectra")
        described = {"recipe": "mineral spectra", "size": size, "seed": str(seed), **self._described}
        return MineralSpectra(target, self.pure.energy, labels, abundances, described)

    @cached_property
    def _shapes(self) -> NDArray[np.float32]:
        return (self.pure.spectra / self.pure.spectra.sum(axis=1, keepdims=True)).astype(np.float32)

    @cached_property
    def _tables(self) -> DetectorTables:
        return detector_tables(self.pure.energy, self.pure.fwhm)

    @cached_property
    def _described(self) -> dict[str, Any]:
        return {
            **asdict(self.parameters),
            "distortions": None if self.distortions is None else asdict(self.distortions),
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
    """Draw single spectra of minerals once; :class:`MineralSpectraSource` says what the arguments are.

    Raises
    ------
    InvalidInput
        When there is no spectrum to draw, or nothing in one of the pure ones.
    """
    source = MineralSpectraSource(pure, parameters or SpectraParameters(), distortions)
    return source.draw(size, generator, progress=progress)


def _target(
    counts: NDArray[np.unsignedinteger[Any]] | None,
    shape: tuple[int, int],
    dtype: type[np.unsignedinteger[Any]],
) -> NDArray[np.unsignedinteger[Any]]:
    if counts is None:
        return np.empty(shape, dtype=dtype)
    if counts.shape != shape or counts.dtype.kind != "u" or counts.dtype.itemsize < np.dtype(dtype).itemsize:
        raise InvalidInput(
            f"an array {counts.shape} of {counts.dtype} cannot take the counts",
            f"Give one {shape} of {np.dtype(dtype)}",
        )
    return counts


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
