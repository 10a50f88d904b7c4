"""What all readers of single spectra share: text, element numbers, and a spectrum as a map of one pixel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xraylib

from napari_xrf.core.emission_lines import HEAVIEST
from napari_xrf.core.errors import FileError
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.whole_counts import CountFaults, narrowest, whole_counts

_LARGEST = 64 * 2**20


def one_pixel_cube(
    path: str | Path,
    spectrum: Spectrum,
    *,
    layout: str,
    detectors: tuple[str, ...] = (),
    elements: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> SpectralCube:
    """Return a spectrum as a map of 1 × 1 pixels with whole counts, its faults among the warnings."""
    faults = CountFaults()
    values = np.asarray(spectrum.counts)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    largest = int(max(finite.max(initial=0), 0))
    counts = whole_counts(values[None, None, :], 0, narrowest(largest + 1), faults)
    return SpectralCube(
        counts,
        spectrum.energy,
        spectrum.name,
        live_time=None if spectrum.live_time is None else np.full((1, 1), spectrum.live_time),
        excitation=spectrum.excitation,
        elements=elements,
        provenance=Provenance(str(path), layout, detectors, (*warnings, *faults.warnings())),
    )


def element_symbols(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the symbols of atomic numbers, each once, rising; numbers of no element are left out."""
    known = sorted({number for number in numbers if 1 <= number <= HEAVIEST})
    return tuple(xraylib.AtomicNumberToSymbol(number) for number in known)


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file, whatever its line ends.

    Raises
    ------
    FileError
        When it is too large for a single spectrum or holds no text.
    """
    if path.stat().st_size > _LARGEST:
        raise FileError(path, "is too large for a single spectrum")
    content = path.read_bytes()
    if b"\0" in content:
        raise FileError(path, "holds no text")
    return content.decode("utf-8-sig", "replace").splitlines()
