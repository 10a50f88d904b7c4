"""Mean spectra of the classes of a map, beside what their minerals explain of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.cube_spectra import sum_classes
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelMap
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.minerals.likelihood.templates import FLOOR, EnergyBins, Templates

_STEPS = 300
_DECADES = 4  # that a chart shows
_ROOM = 0.025  # of a chart's width, for a symbol
_HEIGHTS = (1.02, 1.09)  # of the rows of symbols, in the chart's height
_MOST_POINTS = 800  # of a chart's filled area


@dataclass(frozen=True, eq=False)
class ClassSpectrum:
    """The mean spectrum of a class."""

    # label, name: the class
    label: int
    name: str
    pixels: int  # how many pixels were averaged
    energy: EnergyAxis  # of the channels
    counts: NDArray[np.float64]  # (E,) counts per pixel in each
    bins: EnergyBins | None = None  # runs of channels in which minerals were compared
    # (B,) counts per pixel in them of the mixture of the class's compositions that fits best; None for
    # "unknown"
    expected: NDArray[np.float64] | None = None


def class_spectra(
    cube: SpectralCube,
    label_map: LabelMap,
    templates: Templates,
    compositions: Mapping[int, NDArray[np.intp]],
    progress: Progress = ignore_progress,
) -> tuple[ClassSpectrum, ...]:
    """Return the mean spectrum of each class that has pixels.

    ``cube``, ``label_map``: the map and its classes. ``templates``: expected spectra. ``compositions``: label
    → indices of the templates of what its pixels hold; none for "unknown".
    """
    return mean_spectra(sum_classes(cube, label_map.labels, progress), label_map, templates, compositions)


def mean_spectra(
    sums: Mapping[int, NDArray[Any]],
    label_map: LabelMap,
    templates: Templates,
    compositions: Mapping[int, NDArray[np.intp]],
) -> tuple[ClassSpectrum, ...]:
    """Return the mean spectrum of each class that has pixels, of the sums (E,) of labels."""
    bins = templates.bins
    spectra = []
    for entry in label_map.classes:
        pixels = int((label_map.labels == entry.label).sum())
        if pixels == 0:
            continue
        counts = sums[entry.label].astype(np.float64)
        members = compositions.get(entry.label)
        expected = None if members is None else _explained(bins.sum(counts), templates, members) / pixels
        spectra.append(
            ClassSpectrum(entry.label, entry.name, pixels, bins.axis, counts / pixels, bins, expected)
        )
    return tuple(spectra)


def _explained(
    counts: NDArray[np.float64], templates: Templates, members: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the non-negative mixture, (B,), of compositions and their mean continuum nearest to counts.

    Poisson maximum likelihood by expectation maximisation.
    """
    columns = np.vstack([templates.lines[members], templates.continuum[members].mean(axis=0)])
    columns = columns[columns.sum(axis=1) > 1e-9]
    sums = columns.sum(axis=1)
    level = FLOOR * counts.sum() / counts.size
    amounts = counts.sum() / columns.shape[0] / sums
    for _ in range(_STEPS):
        amounts *= (columns @ (counts / np.maximum(amounts @ columns + level, 1e-12))) / sums
    return np.asarray(amounts @ columns + level)


def draw_spectrum(spectrum: ClassSpectrum, lines: Mapping[str, float], color: str) -> str:
    """Return an SVG element: measured counts filled, expected ones as a stepped line, logarithmic.

    ``spectrum``: the mean spectrum. ``lines``: what to write at which energy, keV; where there is no room the
    higher peak has it. ``color``: of the filled area, ``"#rrggbb"``.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    energies, measured = _merged(spectrum)
    low, high = float(energies[0]), max(float(energies[-1]), float(energies[0]) + 1e-3)
    top = 10.0 ** math.ceil(math.log10(max(float(measured.max()), 1e-9)))
    ground = top / 10**_DECADES
    target = StringIO()
    no_date = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    look = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": str(spectrum.label)}
    with rc_context(look):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.6, 2.6), layout="constrained")
        axes = figure.subplots()
        outline = np.pad(np.maximum(measured, ground), 1, constant_values=ground)
        axes.fill(np.pad(energies, 1, mode="edge"), outline, color=color, alpha=0.55)
        if spectrum.expected is not None and spectrum.bins is not None:
            edges, steps = _steps(spectrum.bins, spectrum.expected)
            named = f"expected-{spectrum.label}"
            axes.plot(edges, np.maximum(steps, ground), color="#111", linewidth=1.0, gid=named)
        axes.set(xlim=(low, high), ylim=(ground, top), yscale="log")
        axes.set(xlabel="keV", ylabel="counts per pixel and keV")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(color="#ddd", linewidth=0.7)
        for text, at, height in _with_room(lines, energies, measured):
            axes.text(at, height, text, transform=axes.get_xaxis_transform(), ha="center", weight="bold")
        figure.savefig(target, format="svg", metadata=no_date)
    drawn = target.getvalue()
    return drawn[drawn.index("<svg") :].strip()


def _merged(spectrum: ClassSpectrum) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies, keV, and counts per pixel and keV of runs of channels, up to the last with any."""
    axis, bins = spectrum.energy, spectrum.bins
    first = int(np.searchsorted(axis.energies, 0.0)) if bins is None else int(bins.starts[0])
    last = axis.size if bins is None else int(bins.stops[-1])
    counts = spectrum.counts[first:last]
    seen = np.flatnonzero(counts > counts.max(initial=0.0) * 10 ** (1 - _DECADES))
    held = min(int(seen[-1]) + 2, counts.size) if seen.size else counts.size
    run = max(1, math.ceil(held / _MOST_POINTS))
    starts = first + run * np.arange(max(held // run, 1))
    runs = EnergyBins(axis, starts, np.minimum(starts + run, axis.size))
    return runs.energies, runs.sum(spectrum.counts) / runs.widths


def _steps(
    bins: EnergyBins, expected: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line with a step for each bin, counts per keV; it breaks where energies are left out."""
    edges = np.stack([bins.axis.energy(bins.starts - 0.5), bins.axis.energy(bins.stops - 0.5)], axis=1)
    level = np.repeat(expected / bins.widths, 2)
    gaps = 2 * (1 + np.flatnonzero(bins.starts[1:] > bins.stops[:-1]))
    return np.insert(edges.ravel(), gaps, np.nan), np.insert(level, gaps, np.nan)


def _with_room(
    lines: Mapping[str, float], energies: NDArray[np.float64], measured: NDArray[np.float64]
) -> list[tuple[str, float, float]]:
    """Return what can be written without touching another in two rows, that at the higher peaks first."""
    shown = [(text, at) for text, at in lines.items() if energies[0] <= at <= energies[-1]]
    shown.sort(key=lambda line: (-np.interp(line[1], energies, measured), line[0]))
    room = _ROOM * (energies[-1] - energies[0])
    kept: list[tuple[str, float, float]] = []
    for text, at in shown:
        near = {height for _, other, height in kept if abs(at - other) < room}
        free = next((height for height in _HEIGHTS if height not in near), None)
        if free is not None:
            kept.append((text, at, free))
    return kept
