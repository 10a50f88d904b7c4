"""Spectra drawn into a picture file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_xrf.core.emission_lines import SHELLS, emission_lines
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io.atomic_write import replacing

FAINTEST_SHARE = 0.05  # of an element's strongest line in the shell; fainter ones would hide the rest


def write_spectrum_picture(path: str | Path, spectrum: Spectrum, *, elements: Sequence[str] = ()) -> None:
    """Draw a spectrum on a logarithmic count axis as .png, with the lines of the named elements.

    Raises
    ------
    InvalidInput
        When there is no such element.
    FileError
        When the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.add_subplot()
    energies, counts = spectrum.energy.energies, np.asarray(spectrum.counts, dtype=np.float64)
    axes.step(energies, counts, where="mid", linewidth=0.8, color="black")
    axes.set(xlabel="Energy (keV)", ylabel="Counts per channel", title=spectrum.name)
    axes.set_yscale("log", nonpositive="clip")
    measured = np.flatnonzero(counts > 0)
    if measured.size:
        low, high = min(0.0, energies[measured[0]]), energies[measured[-1]]
        axes.set_xlim(low, max(high, low + spectrum.energy.width))
        axes.set_ylim(0.5 if counts.max() > 1 else None, counts.max() * 2)
    for number, element in enumerate(elements):
        _mark_lines(axes, element, f"C{number % 10}")
    if elements:
        axes.legend(loc="upper right")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _mark_lines(axes, element: str, color: str) -> None:  # type: ignore[no-untyped-def]
    low, high = axes.get_xlim()
    label: str | None = element
    for shell in SHELLS:
        lines = [line for line in emission_lines(element) if line.shell == shell]
        strongest = max((line.rate for line in lines), default=0.0)
        for line in lines:
            if line.rate >= FAINTEST_SHARE * strongest and max(low, 0.0) < line.energy < high:
                axes.axvline(line.energy, color=color, linewidth=0.7, alpha=0.7, label=label)
                label = None
