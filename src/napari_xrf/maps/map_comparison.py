"""Two maps of spectra beside each other: how alike they are, as a synthetic painting and a measured one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import replacing, write_json
from napari_xrf.maps.similarity import (
    compare_histograms,
    flatten_cube,
    multiscale_similarity,
    structural_similarity,
)
from napari_xrf.maps.spectra.background import typical_fwhm
from napari_xrf.maps.spectra.peaks import find_peaks

_PEAKS = 3
_PICTURE_SIDE = 600  # pixels of a flattened map in the picture, at most


# What each measure is called, and its value for equal maps; the last two are of flattened maps, the others of
# the sum spectra.
MEASURES = {
    "cosine": ("cosine distance", 0),
    "jensen-shannon": ("Jensen–Shannon distance", 0),
    "chebyshev": ("Chebyshev distance", 0),
    "correlation": ("correlation distance", 0),
    "bray-curtis": ("Bray–Curtis distance", 0),
    "chi-square": ("chi-square distance", 0),
    "bhattacharyya": ("Bhattacharyya coefficient", 1),
    "ssim": ("structural similarity (SSIM)", 1),
    "multiscale-ssim": ("multi-scale SSIM", 1),
}


@dataclass(frozen=True, eq=False)
class MapComparison:
    """How alike two maps of spectra are."""

    # first, second: the maps; their counts are read again for the picture.
    first: SpectralCube
    second: SpectralCube
    sums: NDArray[np.float64]  # both sum spectra, (2, E) counts on the first map's axis
    measures: Mapping[str, float]  # by the names of MEASURES; NaN where one cannot be had
    notes: tuple[str, ...] = field(default=())  # why not, and what was done to compare

    def __repr__(self) -> str:
        measures = ", ".join(f"{name} {value:.3g}" for name, value in self.measures.items())
        return f"<MapComparison of {' and '.join(self.names)}: {measures}>"

    @property
    def names(self) -> tuple[str, str]:
        """What to call the two maps beside each other."""
        first, second = self.first.name, self.second.name
        return (first, second) if first != second else (f"{first}, first", f"{second}, second")

    def as_json(self) -> dict[str, Any]:
        """Return measures, None for one that cannot be had, and notes."""
        measures = {name: None if math.isnan(value) else value for name, value in self.measures.items()}
        return {"measures": measures, "notes": list(self.notes)}


def write_measures(path: str | Path, compared: MapComparison) -> None:
    """Write the names of both maps, the measures and the notes (.json)."""
    names = {"first": compared.first.name, "second": compared.second.name}
    write_json(Path(path), {**names, **compared.as_json()})


def compare_cubes(
    first: SpectralCube, second: SpectralCube, progress: Progress = ignore_progress
) -> MapComparison:
    """Compare two maps by the nine measures of the ganX paper (arXiv:2304.14078).

    Sum spectra may have different axes: the second's counts are moved to the first's. The two measures of
    structure need maps of one shape and axis, the multi-scale one 176 pixels and channels. Raises
    InvalidInput when the axes do not overlap, or a map is empty.
    """
    notes = []
    sums = [cube.sum_spectrum(progress).astype(np.float64) for cube in (first, second)]
    same_axis = first.energy == second.energy
    if not same_axis:
        sums[1] = second.energy.rebin(sums[1], first.energy)
        notes.append("the second map's counts were moved to the first map's energy axis")
    if not all(spectrum.sum() > 0 for spectrum in sums):
        raise InvalidInput(
            "a map without counts cannot be compared", "Give two maps of one range of energies"
        )
    structure = {"ssim": math.nan, "multiscale-ssim": math.nan}
    if first.shape != second.shape or not same_axis:
        notes.append("no structural similarity: the maps differ in shape or energy axis")
    else:
        flattened = _Flattened(first), _Flattened(second)
        for name, measure in (("ssim", structural_similarity), ("multiscale-ssim", multiscale_similarity)):
            try:
                structure[name] = measure(*flattened, progress=progress)
            except InvalidInput as error:
                notes.append(f"no {MEASURES[name][0]}: {error}")
    measures = {**compare_histograms(*sums), **structure}
    return MapComparison(first, second, np.stack(sums), measures, tuple(notes))


def draw_comparison(path: str | Path, compared: MapComparison) -> None:
    """Draw sum spectra, maps of the first map's strongest peaks in both, and both flattened maps (.png)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    panels: Any = figure.subfigures(3, 1)
    _draw_sums(panels[0].subplots(), compared)
    windows = _windows(compared)
    named = tuple(zip((compared.first, compared.second), compared.names, strict=True))
    places = panels[1].subplots(2, max(len(windows), 1), squeeze=False)
    for row, (cube, name) in zip(places, named, strict=True):
        for place, window in zip(row, windows, strict=False):
            place.imshow(cube.window_map(*window), cmap="viridis")
            place.set_title(f"{name}, {window[0]:.2f} to {window[1]:.2f} keV", fontsize=8)
    for place, (cube, name) in zip(panels[2].subplots(1, 2), named, strict=True):
        place.imshow(_small(cube), cmap="gray", aspect="auto", interpolation="nearest", vmin=0, vmax=1)
        place.set_title(f"{name}: pixels × channels, tanh log(1 + counts)", fontsize=8)
    for place in [*places.ravel(), *panels[2].axes]:
        place.set_xticks([])
        place.set_yticks([])
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


class _Flattened:
    """A map as the image (Y·X, E) of tanh(log(1 + counts)), made of the rows that are looked at."""

    def __init__(self, cube: SpectralCube) -> None:
        rows, self._columns, channels = cube.shape
        self._cube = cube
        self.shape: tuple[int, ...] = (rows * self._columns, channels)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        top = rows.start // self._columns
        bottom = -(-rows.stop // self._columns)
        flat = flatten_cube(self._cube.counts[top:bottom])
        return flat[rows.start - top * self._columns : rows.stop - top * self._columns]


def _windows(compared: MapComparison) -> list[tuple[float, float]]:
    peaks = find_peaks(compared.sums[0], compared.first.energy)[:_PEAKS]
    halves = [float(typical_fwhm(peak.energy)) / 2 for peak in peaks]
    return [(peak.energy - half, peak.energy + half) for peak, half in zip(peaks, halves, strict=True)]


def _draw_sums(place: Any, compared: MapComparison) -> None:
    energies = compared.first.energy.energies
    for name, counts in zip(compared.names, compared.sums, strict=True):
        place.semilogy(energies, np.maximum(counts / counts.sum(), 1e-9), linewidth=0.8, label=name)
    place.set_ylim(1e-7, 1)
    place.set_xlabel("energy (keV)")
    place.set_ylabel("share of the counts")
    place.legend(loc="upper right")


def _small(cube: SpectralCube) -> NDArray[np.float32]:
    """Return every n-th pixel of a flattened map, channels averaged, small enough for a picture."""
    rows, columns, channels = cube.shape
    pixels = np.linspace(0, rows * columns - 1, min(rows * columns, _PICTURE_SIDE)).astype(int)
    flat = np.stack([flatten_cube(cube.counts[pixel // columns, pixel % columns])[0] for pixel in pixels])
    width = max(1, channels // _PICTURE_SIDE)
    kept = channels // width * width
    return np.asarray(flat[:, :kept].reshape(len(flat), -1, width).mean(axis=2), dtype=np.float32)
