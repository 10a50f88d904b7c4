"""Speed and accuracy of element maps, beside PyMca's fast linear fit, in one run.

    python benchmarks/element_maps.py [--rows 256] [--counts 1000 10000]

Prints pixels per second and, for each family, the root-mean-square error over the Cramér–Rao floor, the mean
error (bias) in standard deviations, and the spread of the pulls (estimate - truth) / standard error.
PyMca gets the same detector (resolution, no tail), the same range and the same elements; its weighted and
SNIP fits are run on fewer pixels. Run it alone on the machine: other work disturbs all times.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_xrf.maps.pixels.element_mapping import pixel_columns, plan_fit, pooled_expectation
from napari_xrf.maps.pixels.fit import fit_pixels, make_solver
from napari_xrf.maps.spectra.setting import setting_of
from napari_xrf.physics.instrument import load_instrument

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_maps import AXIS, FAMILIES, SimulatedMap, simulate_map

PYMCA_ROWS = 16  # of 256 pixels: its weighted and SNIP fits need a second for 3 000 pixels


def plain_detector():
    """Return a detector of Gaussian peaks alone, which both programs describe alike."""
    detector = load_instrument("m4-tornado").detector
    return replace(
        detector,
        tail_fraction=0.0,
        tail_depth_um=0.0,
        shelf_fraction=0.0,
        shelf_depth_um=0.0,
    )


def cramer_rao(simulated: SimulatedMap, low: float, high: float) -> np.ndarray:
    """Return the least standard deviation of an unbiased estimate of each family, (K, pixels)."""
    window = AXIS.window(low, high)
    columns = simulated.columns[:, window]
    rows, width = simulated.cube.map_shape
    scale = simulated.truth.reshape(len(FAMILIES), -1)
    floor = np.empty_like(scale)
    for pixel in range(rows * width):
        expected = scale[:, pixel] @ columns[:-1] + simulated.expected[-1] * columns[-1]
        information = (columns / np.maximum(expected, 1e-9)) @ columns.T
        floor[:, pixel] = np.sqrt(np.diag(np.linalg.inv(information))[:-1])
    return floor


def ours(simulated: SimulatedMap, detector, low: float, high: float):
    cube = simulated.cube
    spectrum = cube.sum_spectrum().astype(float)
    setting = replace(
        setting_of(spectrum, cube.energy, cube.excitation), detector=detector, low=low, high=high
    )
    found = plan_fit(FAMILIES, spectrum, setting, cube.map_shape[0] * cube.map_shape[1]).map(cube)
    return found.counts.reshape(len(FAMILIES), -1), found.standard_errors.reshape(len(FAMILIES), -1)


def solver_alone(simulated: SimulatedMap, detector, low: float, high: float):
    """Return a function that only fits the pixels, columns and weights being ready."""
    cube = simulated.cube
    spectrum = cube.sum_spectrum().astype(float)
    setting = replace(
        setting_of(spectrum, cube.energy, cube.excitation), detector=detector, low=low, high=high
    )
    columns = pixel_columns(FAMILIES, spectrum, setting)
    pixels = cube.map_shape[0] * cube.map_shape[1]
    solver = make_solver(columns, pooled_expectation(columns, spectrum[setting.fitted], pixels))
    flat = cube.counts.reshape(pixels, -1)
    return lambda: fit_pixels(solver, flat[:, setting.fitted])


def pymca_configuration(detector, low: float, high: float, snip: bool) -> dict:
    from PyMca5.PyMcaPhysics.xrf import ClassMcaTheory

    theory = ClassMcaTheory.McaTheory()
    found = theory.getConfiguration()
    peaks: dict[str, list[str]] = {}
    for family in FAMILIES:
        element, shell = family.split()
        peaks.setdefault(element, []).append(shell)
    found["peaks"] = {element: shells if len(shells) > 1 else shells[0] for element, shells in peaks.items()}
    found["detector"].update(
        zero=AXIS.offset, gain=AXIS.width, noise=detector.noise_fwhm_ev * 1e-3, fano=detector.fano, sum=0.0,
        fixedzero=1, fixedgain=1, fixednoise=1, fixedfano=1, fixedsum=1,
    )  # fmt: skip
    found["fit"].update(
        xmin=int(AXIS.channel(low)), xmax=int(AXIS.channel(high)), use_limit=1, energy=[50.0],
        energyweight=[1.0], energyflag=[1], energyscatter=[0], scatterflag=0, stripflag=int(snip),
        stripalgorithm=1, snipwidth=30,
        continuum=0 if snip else 4, linpolorder=6, hypermetflag=1, escapeflag=1, sumflag=0, linearfitflag=1,
    )  # fmt: skip
    return found


def pymca(simulated: SimulatedMap, detector, low: float, high: float, rows: int, snip: bool, weight: int):
    from PyMca5.PyMcaPhysics.xrf.FastXRFLinearFit import FastXRFLinearFit

    counts = simulated.cube.counts[:rows].astype(np.float32)
    fit = FastXRFLinearFit()
    fit.setFitConfiguration(pymca_configuration(detector, low, high, snip))
    start = time.perf_counter()
    result = fit.fitMultipleSpectra(y=counts, weight=weight, refit=1, concentrations=False)
    seconds = time.perf_counter() - start
    names = [label.replace("_", " ") for label in result.labels("parameters")]
    maps = result["parameters"]
    found = np.array([np.asarray(maps[names.index(family)]).ravel() for family in FAMILIES])
    return found, seconds


def timed(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least seconds of a few runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(name: str, found: np.ndarray, truth: np.ndarray, floor: np.ndarray, errors=None) -> None:
    difference = found - truth
    ratio = np.sqrt((difference**2).mean(axis=1)) / np.sqrt((floor**2).mean(axis=1))
    bias = difference.mean(axis=1) / np.sqrt((floor**2).mean(axis=1))
    print(f"  {name:34s} RMSE/floor median {np.median(ratio):.3f}  " + " ".join(f"{r:5.2f}" for r in ratio))
    print(f"  {'':34s} bias/floor worst {np.abs(bias).max():.3f}  " + " ".join(f"{b:5.2f}" for b in bias))
    if errors is not None:
        pulls = (difference / errors).std(axis=1)
        print(f"  {'':34s} sd of pulls              " + " ".join(f"{p:5.2f}" for p in pulls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--counts", type=float, nargs="+", default=[1000, 10000])
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    detector = plain_detector()
    low, high = 0.9, 22.0
    for counts in options.counts:
        simulated = simulate_map((options.rows, 256), counts, generator, detector=detector)
        pixels = options.rows * 256
        print(
            f"\n{options.rows} x 256 x {AXIS.size}, {counts:.0f} counts a pixel; "
            f"families {', '.join(FAMILIES)}"
        )
        fit_alone = solver_alone(simulated, detector, low, high)
        fit_alone()
        whole = timed(lambda: ours(simulated, detector, low, high), 2)  # noqa: B023
        alone = timed(fit_alone)
        print(f"  napari-xrf, map from the cube        {pixels / whole:10.0f} pixels/s")
        print(f"  napari-xrf, pixels alone             {pixels / alone:10.0f} pixels/s")
        rows = min(PYMCA_ROWS, options.rows)
        part = slice(0, rows * 256)
        truth = simulated.truth.reshape(len(FAMILIES), -1)[:, part]
        small = replace(
            simulated,
            cube=replace(simulated.cube, counts=simulated.cube.counts[:rows]),
            truth=simulated.truth[:, :rows],
        )
        floor = cramer_rao(small, low, high)
        found, errors = ours(simulated, detector, low, high)
        lines = [("napari-xrf", found[:, part], errors[:, part])]
        for name, snip, weight, fitted in (
            ("PyMca fast, plain", False, 0, options.rows),
            ("PyMca fast, SNIP", True, 0, rows),
            ("PyMca fast, weighted per pixel", False, 1, rows),
        ):
            maps, seconds = pymca(simulated, detector, low, high, fitted, snip, weight)
            print(f"  {name:36s} {fitted * 256 / seconds:10.0f} pixels/s")
            lines.append((name, maps[:, part], None))
        for name, maps, standard in lines:
            report(name, maps, truth, floor, standard)


if __name__ == "__main__":
    main()
