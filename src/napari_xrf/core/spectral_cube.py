"""A map of spectra: the noun that every reader returns and every analysis takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cores import in_threads
from napari_xrf.core.counts import Counts, Loads, RowBand, SumsChannels, SumsRegions
from napari_xrf.core.display import html_of, map_png, size_text, spectrum_png
from napari_xrf.core.energy_axis import EnergyAxis, check_axis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.interchange import labelled_array, parts_of_signal, signal_of
from napari_xrf.core.memory import budget_of
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.scratch import SLAB, StoredCounts, filled, scratch_array

BLOCK_BYTES = 64 * 2**20  # keeps a block and its float copy in a few hundred MB


@dataclass(frozen=True)
class Excitation:
    """What made the sample fluoresce, as far as the file says; None where it does not.

    Attributes
    ----------
    kind
        ``"tube"`` (X-ray tube), ``"electron"`` (SEM or TEM) or ``"monochromatic"`` (synchrotron).
    energy_kev
        Tube voltage in kV, or beam energy in keV.
    anode
        Symbol of the anode's element, for a tube.
    incidence_deg, takeoff_deg
        Angles of the incoming beam and of the detector against the sample's surface.
    atmosphere
        ``"vacuum"``, ``"air"`` or ``"helium"``.
    fwhm_mn_ka_ev
        Resolution of the detector at Mn Kα (5.895 keV), eV.
    instrument
        The instrument's or the detector's name.
    current
        Of the beam, nA of electrons or µA of a tube.
    description
        Name or path of the instrument file that says what else is known of it.
    """

    kind: Literal["tube", "electron", "monochromatic"] | None = None
    energy_kev: float | None = None
    anode: str | None = None
    incidence_deg: float | None = None
    takeoff_deg: float | None = None
    atmosphere: str | None = None
    fwhm_mn_ka_ev: float | None = None
    instrument: str | None = None
    current: float | None = None
    description: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a cube comes from.

    Attributes
    ----------
    path
        The file; empty for a cube made in memory.
    layout
        Name of the file layout, as the reader calls it.
    detectors
        Names of the detectors whose counts are summed here.
    warnings
        What the user should know, one sentence each.
    """

    path: str = ""
    layout: str = ""
    detectors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def energy_is_assumed(self) -> bool:
        """Whether a warning says that the file holds no energy calibration."""
        return any(text.startswith("No energy calibration") for text in self.warnings)

    @property
    def energy_is_stated(self) -> bool:
        """Whether a warning says that the user gave the energy axis."""
        return any(text.startswith("The energy axis was given by the user") for text in self.warnings)


@dataclass(frozen=True, eq=False)
class AuxiliaryImage:
    """An image taken with the map (electrons, video, mosaic), in register with it.

    Attributes
    ----------
    name
        Its name in the file.
    data
        (Y, X) or (Y, X, 3) intensities.
    pixel_size
        (dy, dx) in µm, or None where the file has none.
    origin
        (y, x) in µm of its first pixel's centre, seen from the centre of the map's first pixel.
    """

    name: str
    data: NDArray[np.generic]
    pixel_size: tuple[float, float] | None = None
    origin: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class SpectralCube:
    """Counts per pixel and energy channel.

    Attributes
    ----------
    counts
        (Y, X, E) counts, non-negative, energy last; numpy array or anything read by slicing
        (:class:`~napari_xrf.core.counts.Counts`). A single spectrum is a map of 1 × 1 pixels.
    energy
        The energy axis of the last dimension.
    name
        A short name for lists and layers.
    pixel_size
        (dy, dx) in µm, or None where unknown.
    live_time
        (Y, X) seconds, or None.
    excitation
        What excited the sample.
    elements
        Symbols of the elements that the file lists as present.
    images
        Images in register with the map.
    provenance
        File, layout, detectors, warnings.

    Raises
    ------
    InvalidInput
        When the shapes do not fit each other.
    """

    counts: Counts
    energy: EnergyAxis
    name: str = "XRF map"
    pixel_size: tuple[float, float] | None = None
    live_time: NDArray[np.floating] | None = None
    excitation: Excitation = field(default_factory=Excitation)
    elements: tuple[str, ...] = ()
    images: tuple[AuxiliaryImage, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        counts: Any = self.counts  # what a notebook gives
        if np.ndim(counts) != 3 or not hasattr(counts, "dtype"):
            raise InvalidInput(f"counts must be an array (Y, X, E), not of shape {np.shape(counts)}")
        check_axis(self.energy)
        if self.counts.shape[2] != self.energy.size:
            raise InvalidInput(
                f"{self.counts.shape[2]} channels of counts do not fit an axis of {self.energy.size}"
            )
        if self.live_time is not None and self.live_time.shape != self.map_shape:
            raise InvalidInput(f"live times {self.live_time.shape} do not fit a map {self.map_shape}")
        if self.pixel_size is not None and not all(
            math.isfinite(size) and size > 0 for size in self.pixel_size
        ):
            raise InvalidInput(f"pixel size must be above 0 µm, not {self.pixel_size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Y, X, E)."""
        rows, columns, channels = self.counts.shape
        return int(rows), int(columns), int(channels)

    @property
    def map_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.shape[:2]

    @property
    def is_one_spectrum(self) -> bool:
        """Whether the map is a single pixel."""
        return self.map_shape == (1, 1)

    @property
    def is_loaded(self) -> bool:
        """Whether the counts are plain numbers: a numpy array, or in a file that holds them as such."""
        return isinstance(self.counts, np.ndarray | StoredCounts)

    def blocks(
        self, block_bytes: int = BLOCK_BYTES, multiple: int = 1
    ) -> Iterator[tuple[slice, NDArray[np.generic]]]:
        """Yield (rows, counts[rows]) from top to bottom, each block a numpy array of bounded size.

        All but the last hold a multiple of rows, whatever their size.
        """
        rows = self.shape[0]
        step = max(self._rows_within(block_bytes) // multiple, 1) * multiple
        for start in range(0, rows, step):
            band = slice(start, min(start + step, rows))
            yield band, np.asarray(self.counts[band])

    def _rows_within(self, block_bytes: int) -> int:
        _, columns, channels = self.shape
        return max(1, block_bytes // max(columns * channels * self.counts.dtype.itemsize, 1))

    @property
    def _sums(self) -> type[np.uint64] | type[np.float64]:
        # Expected and denoised maps hold fractions of counts, which whole numbers would cut to 0.
        return np.float64 if self.counts.dtype.kind == "f" else np.uint64

    def band(self, rows: slice) -> SpectralCube:
        """Return the map of some rows, still read from this one."""
        loaded = isinstance(self.counts, np.ndarray)
        counts: Counts = self.counts[rows] if loaded else RowBand(self.counts, rows)
        live_time = None if self.live_time is None else self.live_time[rows]
        return replace(self, counts=counts, live_time=live_time, images=())

    def spectrum_at(self, y: int, x: int) -> NDArray[Any]:
        """Return the spectrum of one pixel, (E,): uint64, or float64 of a map with fractions of counts."""
        return np.asarray(self.counts[y, x]).astype(self._sums)

    def sum_spectrum(self, progress: Progress = ignore_progress) -> NDArray[Any]:
        """Return the sum of all pixels' spectra, (E,), in the type of :meth:`spectrum_at`."""
        return self.region_spectrum(np.ones(self.map_shape, dtype=bool), progress)

    def region_spectrum(self, mask: NDArray[np.bool_], progress: Progress = ignore_progress) -> NDArray[Any]:
        """Return the summed spectrum, (E,), of the pixels where ``mask`` (Y, X) is true.

        Raises
        ------
        InvalidInput
            When the mask has another shape than the map.
        """
        if np.shape(mask) != self.map_shape:
            raise InvalidInput(
                f"a mask of {np.shape(mask)} does not fit a map of {self.map_shape}",
                "Give a flag for each pixel",
            )
        if isinstance(self.counts, SumsRegions):
            return self.counts.sum_region(mask)
        total = np.zeros(self.shape[2], dtype=self._sums)
        rows = np.flatnonzero(mask.any(axis=1))
        spectra = ((np.asarray(self.counts[row]), mask[row]) for row in rows)
        for done, part in enumerate(in_threads(lambda one: sum_pixels(*one), spectra), 1):
            total += part
            progress(done, len(rows), "summing spectra")
        return total

    def max_spectrum(self, progress: Progress = ignore_progress) -> NDArray[Any]:
        """Return the largest count of any pixel in each channel, (E,): shows peaks of few pixels."""
        if isinstance(self.counts, SumsChannels):
            return self.counts.max_spectrum()
        largest = np.zeros(self.shape[2], dtype=self._sums)
        for band, block in self.blocks():
            np.maximum(largest, block.max(axis=(0, 1)).astype(self._sums), out=largest)
            progress(band.stop, self.shape[0], "finding the highest pixels")
        return largest

    def window_map(self, low: float, high: float, progress: Progress = ignore_progress) -> NDArray[Any]:
        """Return the counts per pixel, (Y, X), in the channels from ``low`` to ``high`` keV."""
        window = self.energy.window(low, high)
        if isinstance(self.counts, SumsChannels):
            return self.counts.sum_channels(window)
        total = np.zeros(self.map_shape, dtype=self._sums)
        if isinstance(self.counts, np.ndarray):
            return self.counts[:, :, window].sum(axis=2, dtype=self._sums)

        def sums(one: tuple[slice, NDArray[np.generic]]) -> tuple[slice, NDArray[Any]]:
            return one[0], one[1][:, :, window].sum(axis=2, dtype=self._sums)

        for band, part in in_threads(sums, self.blocks(BLOCK_BYTES // 4)):
            total[band] = part
            progress(band.stop, self.shape[0], "summing a window")
        return total

    def load(self, memory_budget: int | None = None, progress: Progress = ignore_progress) -> SpectralCube:
        """Return this cube with its counts decoded once into an array.

        Parameters
        ----------
        memory_budget
            Bytes that the counts may take in memory; above it they go to a scratch file that is removed at
            the end. Default: half of the free memory.
        progress
            Told after each band of rows.
        """
        if self.is_loaded:
            return self
        budget = budget_of(memory_budget)
        if isinstance(self.counts, Loads):
            return replace(self, counts=self.counts.load(budget, progress))
        target = scratch_array(self.shape, self.counts.dtype, budget, SLAB)
        return replace(self, counts=filled(target, self.counts, progress, "reading"))

    def __repr__(self) -> str:
        beam = self.excitation
        words = (beam.kind, beam.anode, beam.energy_kev and f"{beam.energy_kev:g} keV")
        excited = f"; {' '.join(word for word in words if word)}" if beam.kind else ""
        size = size_text(self.map_shape, self.pixel_size)
        return f"<SpectralCube {self.name!r}: {size}, {self.energy}{excited}>"

    def _repr_html_(self) -> str:
        if not (self.is_loaded or isinstance(self.counts, SumsChannels)):
            return html_of(f"{self!r}, counts still in the file")
        total = spectrum_png(self.energy.energies, self.sum_spectrum())
        low, high = self.energy.energies[self.energy.positive][[0, -1]]
        return html_of(
            repr(self), ("all counts", map_png(self.window_map(low, high))), ("sum spectrum", total)
        )

    def to_xarray(self) -> Any:
        """Return an ``xarray.DataArray`` (y, x, energy) of the counts; y and x in µm, if known."""
        return labelled_array(
            np.asarray(self.counts[:]),
            ("y", "x", "energy"),
            pixel_size=self.pixel_size,
            coordinates={"energy": ("energy", self.energy.energies, {"units": "keV"})},
            name="counts",
            attributes={"map": self.name, "source": self.provenance.path},
        )

    def to_dask(self) -> Any:
        """Return a ``dask.array.Array`` (Y, X, E) of the counts, in bands of rows read when computed."""
        from dask.array import from_array

        chunks = (self._rows_within(BLOCK_BYTES), *self.shape[1:])
        if hasattr(self.counts, "__dask_graph__"):  # one already
            return self.counts.rechunk(chunks)  # type: ignore[attr-defined]
        return from_array(self.counts, chunks=chunks, name=False, asarray=True)

    def to_hyperspy(self) -> Any:
        """Return a HyperSpy signal of the counts; of EDS after electrons, with eXSpy."""
        return signal_of(
            np.asarray(self.counts[:]),
            self.energy,
            pixel_size=self.pixel_size,
            name=self.name,
            kind=self.excitation.kind,
            energy_kev=self.excitation.energy_kev,
        )

    @classmethod
    def from_hyperspy(cls, signal: Any) -> SpectralCube:
        """Return the map that a HyperSpy signal of spectra holds, with its axes and beam energy.

        Raises InvalidInput when it has no energy axis in keV or eV, or values that are no counts.
        """
        parts = parts_of_signal(signal)
        beam = parts.pop("beam_kev")
        excitation = Excitation() if beam is None else Excitation("electron", float(beam))
        return cls(**parts, excitation=excitation, provenance=Provenance(layout="HyperSpy signal"))


def sum_pixels(pixels: NDArray[np.generic], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the sum, (E,), of the chosen ones of N pixels (N, E): as wide as it needs to be."""
    selected = pixels if chosen.all() else pixels[chosen]
    if pixels.dtype.kind == "f":
        return np.asarray(selected.sum(axis=0, dtype=np.float64))
    # Half as wide a sum is twice as quick, and cannot overflow here.
    narrow = pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2 and len(selected) < 2**16
    return np.asarray(selected.sum(axis=0, dtype=np.uint32 if narrow else np.uint64))
