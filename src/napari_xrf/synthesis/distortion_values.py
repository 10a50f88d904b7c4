"""What distortions draw and how compiled code takes it: the pieces that every distortion uses."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_xrf.core.constants import FWHM_PER_SIGMA
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.synthesis.coarse_bins import CoarseBins, make_coarse_bins
from napari_xrf.synthesis.spectrum_kernels import BLOCK

FwhmOfEnergy = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Switch:
    """Marks a field that switches a distortion on, in ``Annotated``: its name, and the usual range."""

    name: str
    low: float
    high: float


class Distortion:
    """What every distortion declares; fields that switch it carry a :class:`Switch`, the others shape it.

    Attributes
    ----------
    needs_width, adds
        Values that need the width of the detector's peaks, and those that add counts, as a share.
    """

    needs_width: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def draw(draws: Draws) -> Columns:
        """Return values (N,) or (N, M) by name, keV and seconds; those of one name add up."""
        raise NotImplementedError

    @staticmethod
    def steps(given: Given) -> Columns:
        """Return the columns of :data:`DistortionSteps`, zeros where nothing is done."""
        raise NotImplementedError


def switches(distortions: type) -> dict[str, Switch]:
    """Return field → what it switches, in the fields' order."""
    hints = get_type_hints(distortions, include_extras=True)
    return {
        each.name: extra
        for each in fields(distortions)
        for extra in hints[each.name].__metadata__
        if isinstance(extra, Switch)
    }


class DistortionValues:
    """What is applied to each of N spectra: values (N,) or (N, M) by name, in keV and seconds.

    Names are those that the distortions' ``draw`` returns; as attributes they are None where off.
    """

    def __init__(self, **columns: NDArray[np.float64]) -> None:
        self.columns: Mapping[str, NDArray[np.float64]] = columns

    def __getattr__(self, name: str) -> NDArray[np.float64] | None:
        if name.startswith("__") or name == "columns":
            raise AttributeError(name)  # what copying and pickling ask for
        return self.columns.get(name)

    def take(self, indices: ArrayLike) -> DistortionValues:
        """Return the values of some of the spectra."""
        chosen = np.asarray(indices)
        return DistortionValues(**{name: values[chosen] for name, values in self.columns.items()})

    def without(self, *names: str) -> DistortionValues:
        """Return the values but the named ones."""
        return DistortionValues(**{name: each for name, each in self.columns.items() if name not in names})


@dataclass(frozen=True)
class Draws:
    """Draws the values of N spectra, or of a map of grains (Y, X), each field from a generator of its own."""

    ranges: Any  # Distortions
    seed: int
    size: int
    grains: NDArray[np.integer] | None = None

    def generator(self, field: str) -> np.random.Generator:
        """Return the generator of a field."""
        return np.random.default_rng([self.seed, zlib.crc32(field.encode())])

    def uniform(self, generator: np.random.Generator, field: str, size: Any = None) -> Any:
        """Return numbers from a field's range."""
        low, high = getattr(self.ranges, field)
        return generator.uniform(low, high, size=size)

    def column(self, name: str, field: str, unit: float = 1.0) -> Columns:
        """Return {name: values (N,) in a field's range, times a unit}; empty where the field is off."""
        if getattr(self.ranges, field) is None:
            return {}
        if self.grains is None:
            return {name: self.uniform(self.generator(field), field, self.size) * unit}
        return {name: np.full(self.size, self.uniform(self.generator(field), field, 1)[0] * unit)}

    def drift(self, name: str, field: str, unit: float = 1.0) -> Columns:
        """Return {name: values (N,) that wander about 0 by a field's range}; empty where the field is off."""
        if getattr(self.ranges, field) is None:
            return {}
        generator = self.generator(field)
        if self.grains is None:
            far = self.uniform(generator, field, self.size)
            return {name: far * generator.uniform(-0.5, 0.5, size=self.size) * unit}
        wandered = _wander(self.grains.shape, generator)
        return {name: (wandered * self.uniform(generator, field) * unit).reshape(-1)}


class DetectorTables(NamedTuple):
    """What the distortion of all spectra of an axis and a detector needs."""

    # offset, width: of the axis, keV
    offset: float
    width: float
    variance: NDArray[np.float64]  # of the detector's peaks, channels², for each BLOCK of channels
    bins: CoarseBins  # for pile-up and incomplete charge collection


def detector_tables(axis: EnergyAxis, fwhm: FwhmOfEnergy | None) -> DetectorTables:
    """Return what all spectra of an axis and a detector share, to be used for any number of batches."""
    own = (
        np.zeros(axis.size) if fwhm is None else np.asarray(fwhm(np.maximum(axis.energies, 0.0)), np.float64)
    )
    sigma = own / (FWHM_PER_SIGMA * axis.width)
    variance = np.add.reduceat(sigma**2, np.arange(0, axis.size, BLOCK))
    sizes = np.minimum(BLOCK, axis.size - np.arange(0, axis.size, BLOCK))
    bins = make_coarse_bins(axis, float(own.min()))
    return DetectorTables(float(axis.offset), float(axis.width), variance / sizes, bins)


@dataclass(frozen=True)
class Given:
    """The values of N spectra and the detector that they are recorded with."""

    values: DistortionValues
    tables: DetectorTables
    fwhm: FwhmOfEnergy | None
    size: int

    def column(self, name: str, default: float = 0.0, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """Return values (N, ...) of a name, the default where it is off."""
        values = self.values.columns.get(name)
        return np.full((self.size, *shape), default) if values is None else np.asarray(values, np.float64)

    def width_at(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the FWHM of the detector's peaks, keV; 0 where it is unknown."""
        return (
            np.zeros_like(energies)
            if self.fwhm is None
            else self.fwhm(energies.ravel()).reshape(energies.shape)
        )


def _wander(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
    """Smooth field in scan order (slow along rows), from −0.5 to 0.5."""
    slow = ndimage.gaussian_filter1d(generator.standard_normal(shape[0] + 1).cumsum(), max(shape[0] / 10, 1))
    along = np.linspace(0, 1, shape[1], endpoint=False)
    field = slow[:-1, np.newaxis] * (1 - along) + slow[1:, np.newaxis] * along
    span = float(np.ptp(field))
    return (field - field.min()) / span - 0.5 if span > 0 else np.zeros(shape)
