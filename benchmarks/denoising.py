"""What denoising is worth: measured maps thinned to a part of their counts, against the rest of them.

    python -m benchmarks.denoising ../shared/data

Of each map a part of the counts is drawn at random, and the remaining counts, which are independent of it,
say how far the thinned and the denoised map are from the truth; their own noise is taken off. The ratio of
both is the dwell time that denoising is worth: of single channels, weighted as chi-squared does, and of the
strongest peaks' windows (120 eV), as maps of elements are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from napari_xrf import io
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.denoising import denoise_map

MAPS = (
    "bcf/P45_12bit_packed_8bit.bcf",
    "hdf5/LagunaSalinas_PIXL_25x25x4096.h5",
    "hdf5/GeoPIXE_ts2_10x20x4096.h5",
    "hdf5/SiO2_EDS_SI.hspy",
)
_PARTS = (0.5, 0.1)
_PEAKS, _HALF_WIDTH_KEV = 8, 0.06

_Array = NDArray[Any]


def by_network(name: str) -> Callable[[SpectralCube], tuple[_Array, str]]:
    """Return what a shipped network makes of a map, on the map's own axis."""
    from napari_xrf.learning.prediction.answers import predict
    from napari_xrf.learning.weights import load_model

    model = load_model(name)

    def denoise(cube: SpectralCube) -> tuple[_Array, str]:
        found = predict(model, cube, outputs=("spectrum",), calibrate=False)
        assert found.spectrum is not None
        return model.description.axis.rebin(found.spectrum, cube.energy), ""

    return denoise


def by_components(cube: SpectralCube) -> tuple[_Array, str]:
    """Return the map denoised by its own components."""
    result = denoise_map(cube)
    return np.asarray(result.cube.counts[:]), f"{result.components}"


def worth(thinned: _Array, made: _Array, rest: _Array, part: float, weight: _Array) -> float:
    """Return by how much ``made`` is nearer to the truth than the thinned map, in squared distance."""
    noise = (rest / (1 - part) ** 2).sum(axis=(0, 1))
    truth = rest / (1 - part)
    before, after = (
        (((each / part - truth) ** 2).sum(axis=(0, 1)) - noise) @ weight for each in (thinned, made)
    )
    return float(before / max(after, 1e-9 * abs(before)))


def windows(cube: SpectralCube) -> tuple[slice, ...]:
    """Return the channels of the strongest peaks of the sum."""
    total = np.convolve(cube.sum_spectrum().astype(np.float64), np.ones(5) / 5, "same")
    at, facts = find_peaks(np.sqrt(total), prominence=0)
    strongest = at[np.argsort(-facts["prominences"])[:_PEAKS]]
    return tuple(
        cube.energy.window(energy - _HALF_WIDTH_KEV, energy + _HALF_WIDTH_KEV)
        for energy in cube.energy.energies[strongest]
    )


def summed(counts: _Array, bands: tuple[slice, ...]) -> _Array:
    """Return the counts (Y, X, W) in each window."""
    return np.stack([counts[:, :, band].sum(axis=2) for band in bands], axis=2)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    methods = {
        "own components": by_components,
        "predict pca": by_network("pca"),
        "predict vae": by_network("vae"),
    }
    print("| map | counts a pixel | method | components | channels, × dwell | peaks, × dwell |")
    print("|---|---|---|---|---|---|")
    for number, name in enumerate(MAPS):
        cube = io.read(data / name).load()
        counts = np.asarray(cube.counts).astype(np.int64)
        bands = windows(cube)
        level = counts.sum(axis=(0, 1))
        weight = np.where(level > 0, 1 / np.maximum(level, 1), 0.0)
        for part in _PARTS:
            thinned = np.random.default_rng(number).binomial(counts, part)
            rest = counts - thinned
            for method, denoise in methods.items():
                made, components = denoise(replace(cube, counts=thinned.astype(np.uint32)))
                peaks = [summed(each, bands) for each in (thinned, made, rest)]
                per_peak = 1 / np.maximum(peaks[2].sum(axis=(0, 1)), 1)
                mean = thinned.sum() / (counts.shape[0] * counts.shape[1])
                print(
                    f"| {Path(name).stem} | {mean:.0f} | {method} | {components} | "
                    f"{worth(thinned, made, rest, part, weight):.2g} | "
                    f"{worth(*peaks, part, per_peak):.2g} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
