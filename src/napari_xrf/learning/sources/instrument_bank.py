"""Expected spectra of natural samples on hundreds of instruments, with the counts of each element.

Each instrument's are made once, and kept in the user's cache.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_xrf.core.compiled_code import users_cache
from napari_xrf.core.emission_lines import SHELLS, main_line
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import replacing
from napari_xrf.physics.detector.detector import response_matrix
from napari_xrf.physics.fluorescence import LineTable
from napari_xrf.physics.forward import expect_samples
from napari_xrf.physics.instrument import Instrument
from napari_xrf.physics.source import ElectronBeam
from napari_xrf.synthesis.random_instruments import draw_instrument
from napari_xrf.synthesis.random_samples import SAMPLE_ELEMENTS, draw_sample, trace_carrier

Bank = TypeVar("Bank")

AXIS = EnergyAxis(0.02, 0.02, 2048)
_FORMAT = 1  # of what is kept; another one is made anew
_PREFIXES, _MOST_KEPT = ("banks-", "minerals-"), 2**30  # folders of the cache, and bytes in all of them
_HALF_FWHM = 0.6  # of a peak's window, in FWHM
_WINDOW_KEV = (0.2, 40.0)
_ORDER = 1  # secondary fluorescence changes the shares of lines by less than they are drawn from
WINDOWS = tuple(
    (place, line.energy)
    for place, element in enumerate(SAMPLE_ELEMENTS)
    for shell in SHELLS
    if (line := main_line(element, shell)) is not None and _WINDOW_KEV[0] < line.energy < _WINDOW_KEV[1]
)
WINDOW_ELEMENTS = np.array([place for place, _ in WINDOWS])
WINDOW_ENERGIES = np.array([energy for _, energy in WINDOWS])


@dataclass(frozen=True, eq=False)
class InstrumentBank:
    """What one instrument is expected to record."""

    instrument: Instrument  # its source, geometry and detector
    # lines, rest: (S, E) the samples' lines and all else, summing to 1 together
    lines: NDArray[np.float32]
    rest: NDArray[np.float32]
    # net, own: (S, K) counts of each element, and (S, W) of a window's element within it, in the same unit
    net: NDArray[np.float32]
    own: NDArray[np.float32]
    # traces, trace_own: (K, E) lines of an element alone, of sum 1 or 0; (W,) the part of them in each of its
    # windows
    traces: NDArray[np.float32]
    trace_own: NDArray[np.float32]

    @property
    def windows(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last channel, exclusive, of each window, (W,)."""
        half = _HALF_FWHM * self.instrument.detector.fwhm(WINDOW_ENERGIES)
        low = np.rint((WINDOW_ENERGIES - half - AXIS.edges[0]) / AXIS.width).astype(np.intp)
        high = np.rint((WINDOW_ENERGIES + half - AXIS.edges[0]) / AXIS.width).astype(np.intp)
        return np.clip(low, 0, AXIS.size - 1), np.clip(np.maximum(high, low + 1), 1, AXIS.size)


class KeptBanks(Generic[Bank]):
    """What is expected on each of some random instruments: made when first asked for, then kept.

    A short training asks for few of them, and has its first step soon. ``make`` returns the arrays of a
    ``kind`` of bank, given an instrument and random numbers; ``progress`` is told of each that is made.
    """

    def __init__(
        self,
        kind: Callable[..., Bank],
        make: Callable[[Instrument, np.random.Generator], dict[str, NDArray[Any]]],
        folder: str,
        instruments: int,
        seed: int,
        progress: Progress = ignore_progress,
    ) -> None:
        forget_banks(_MOST_KEPT, folder)
        self._kind, self._make, self._progress = kind, make, progress
        self._folder, self._size, self._seed = _cache() / folder, instruments, seed
        self._banks: dict[int, Bank] = {}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> Bank:
        if number not in self._banks:
            generator = np.random.default_rng([self._seed, number])
            instrument = draw_instrument(generator, AXIS)
            self._banks[number] = self._kind(instrument, **self._arrays(number, instrument, generator))
        return self._banks[number]

    @property
    def complete(self) -> bool:
        """Whether none is left to be made."""
        return all(each in self._banks or self._path(each).is_file() for each in range(self._size))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.npz"

    def _arrays(
        self, number: int, instrument: Instrument, generator: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        path = self._path(number)
        try:
            with np.load(path, allow_pickle=False) as kept:
                return dict(kept)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            arrays = self._make(instrument, generator)
        _keep(path, arrays)
        self._progress(len(self._banks) + 1, self._size, "expected spectra of instruments")
        return arrays


def forget_banks(most_bytes: int = 0, but: str = "") -> int:
    """Remove what trainings kept, the oldest folders first, until less is left; return the bytes removed."""
    folders = [path for path in _cache().glob("*-*") if path.name.startswith(_PREFIXES) and path.is_dir()]
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in folders}
    removed = 0
    for path in sorted(folders, key=lambda path: path.stat().st_mtime):
        if path.name != but and sum(sizes.values()) - removed > most_bytes:
            shutil.rmtree(path, ignore_errors=True)
            removed += sizes[path]
    return removed


def _cache() -> Path:
    return users_cache() / "napari-xrf"


def _keep(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # an array for each name
    except OSError:
        pass  # a cache that cannot be written only costs time


def make_banks(
    instruments: int, samples: int, seed: int, progress: Progress = ignore_progress
) -> KeptBanks[InstrumentBank]:
    """Return the banks of some random instruments, each of so many samples."""

    def make(instrument: Instrument, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        return _make_bank(instrument, samples, generator)

    return KeptBanks(InstrumentBank, make, f"banks-{_FORMAT}-{samples}-{seed}", instruments, seed, progress)


def _make_bank(
    instrument: Instrument, samples: int, generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a bank of random samples."""
    thick = isinstance(instrument.source, ElectronBeam)
    drawn = [draw_sample(generator, thick) for _ in range(samples)]
    carrier = trace_carrier(generator, SAMPLE_ELEMENTS)
    expected = expect_samples([*drawn, carrier], instrument, order=_ORDER)
    total = (expected.lines + expected.rest).sum(axis=1)
    seen = np.flatnonzero(total[:-1] > 0)
    scale = 1 / total[seen, None]
    net, own = zip(*(_counts_of(*expected.emitted[row], instrument) for row in seen), strict=True)
    table, photons = expected.emitted[-1]
    traces = lines_alone(table, photons, instrument)
    trace_net, trace_own = _counts_of(table, photons, instrument)
    there = traces.sum(axis=1) > 0
    bright = np.where(there, np.maximum(trace_net, 1e-30), 1.0)

    def kept(values: Any) -> NDArray[np.float32]:
        return np.asarray(values, dtype=np.float32)

    return {
        "lines": kept(expected.lines[seen] * scale),
        "rest": kept(expected.rest[seen] * scale),
        "net": kept(np.array(net) * scale),
        "own": kept(np.array(own) * scale),
        "traces": kept(traces / np.where(there, traces.sum(axis=1), 1.0)[:, None]),
        "trace_own": kept(trace_own / bright[WINDOW_ELEMENTS]),
    }


def _counts_of(
    table: LineTable, photons: NDArray[np.float64], instrument: Instrument
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts of each element (K,), and those of each window's element within it (W,)."""
    detector = instrument.detector
    place = np.array([_PLACES.get(element, -1) for element in table.elements])[table.element]
    known = (place >= 0) & (table.energies > AXIS.edges[0]) & (table.energies < AXIS.edges[-1])
    known &= table.energies >= detector.threshold_kev
    place, energies = place[known], table.energies[known]
    detected = photons[known] * detector.efficiency(energies)
    net: NDArray[np.float64] = np.zeros(len(SAMPLE_ELEMENTS))
    np.add.at(net, place, detected)
    half, sigma = _HALF_FWHM * detector.fwhm(WINDOW_ENERGIES), detector.sigma(energies)
    away = WINDOW_ENERGIES[:, None] - energies
    inside = ndtr((away + half[:, None]) / sigma) - ndtr((away - half[:, None]) / sigma)
    inside *= WINDOW_ELEMENTS[:, None] == place
    return net, inside @ detected


def lines_alone(
    table: LineTable, photons: NDArray[np.float64], instrument: Instrument
) -> NDArray[np.float64]:
    """Return the spectrum (K, E) of each element's lines."""
    place = np.array([_PLACES.get(element, -1) for element in table.elements])[table.element]
    apart = np.where(place == np.arange(len(SAMPLE_ELEMENTS))[:, None], photons, 0.0)
    return np.asarray(response_matrix(instrument.detector, AXIS, table.energies).fold(apart))


_PLACES = {element: place for place, element in enumerate(SAMPLE_ELEMENTS)}
