"""Hold the simulator against measured spectra: only dose, calibration and resolution are fitted.

Pure elements and acrylic of a NIST micro-XRF (Bruker, Rh 50 kV, lens, vacuum), whose software has taken
escape peaks and pile-up out; and plates of a Horiba XGT-7200 (Rh 30 kV), where they are in.

Run: python benchmarks/measured_spectra.py [--figures docs/images]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from measured_samples import ACRYLIC, NIST, PLATES, Measured, Sample, horiba, nist
from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.emission_lines import family_lines
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.physics.detector.detector import respond, with_resolution
from napari_xrf.physics.instrument import Instrument, load_instrument
from napari_xrf.physics.source import TubeSource
from pile_up import pile_up

SHELF_KEV = {"Fe": (1.1, 1.5), "Ni": (1.1, 1.5), "Cu": (1.15, 1.4)}  # above their L lines
MEASURED, MODEL = "#1f5f99", "#d9541e"  # colours
RH_L_KEV = (2.45, 3.25)
L_LINES_KEV = {"Ni": (0.75, 0.95), "Cu": (0.83, 1.03)}
REFLECTIONS_KEV = {  # resolved ones, clear of lines
    "Cr": {"110": (3.2, 3.65), "220": (6.5, 7.1), "310": (7.3, 7.9), "321": (8.6, 9.4)},
    "Fe": {"110": (3.2, 3.65), "200": (4.6, 5.0), "321": (8.7, 9.5), "330": (10.0, 10.8)},
    "Ni": {"111": (3.2, 3.6), "200": (3.75, 4.2), "220": (5.3, 6.0), "311": (6.2, 6.7)},
    "Cu": {"111": (3.15, 3.55), "200": (3.6, 4.1), "220": (5.1, 5.8), "311": (6.1, 6.7)},
}
CONTAMINATION = (2.2, 2.45)  # S Kα, on copper most


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model after dose, calibration and resolution were fitted: axis, counts, and what they are of."""

    measured: Measured
    sample: Sample
    instrument: Instrument
    axis: EnergyAxis
    counts: NDArray[np.float64]
    fwhm_ev: float
    dose: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--figures", type=Path)
    figures = parser.parse_args().figures
    pure = {name: fit_spectrum(nist(name), NIST[name]) for name in NIST if name != ACRYLIC}
    acrylic = fit_spectrum(nist(ACRYLIC), NIST[ACRYLIC])
    print_pure(pure)
    print_details(pure)
    print_acrylic(acrylic)
    plates = {element: fit_plate(horiba(element), element) for element in PLATES}
    print_plates(plates)
    if figures:
        draw_panels(pure, figures / "measured_pure.png")
        draw_acrylic(acrylic, figures / "measured_acrylic.png")
        draw_panels(plates, figures / "measured_plates.png")


def fit_spectrum(measured: Measured, sample: Sample) -> Fitted:
    """Fit dose, calibration and resolution on the sample's lines; the acrylic's is taken as stated."""
    instrument = load_instrument("m4-tornado")
    detector = replace(instrument.detector, escape_part=0.0)
    instrument = replace(instrument, detector=detector, energy=measured.energy)
    if sample is not NIST[ACRYLIC]:
        return _fit(measured, sample, instrument)
    # No line stands alone in the scatter of acrylic: only the dose is fitted.
    counts = sample.expected(instrument)
    band = measured.energy.window(2, 20)
    dose = measured.counts[band].sum() / counts[band].sum()
    fwhm = float(1e3 * detector.fwhm(MN_KA_KEV))
    return Fitted(
        measured, sample, instrument, measured.energy, counts * dose, fwhm, float(dose / measured.live_s)
    )


def fit_plate(measured: Measured, element: str) -> Fitted:
    """Fit the same, and the resolving time, on a plate; the lens of another maker is left open."""
    instrument = load_instrument("m4-tornado")
    source = TubeSource("Rh", 30.0, window_be_um=100)
    detector = replace(instrument.detector, threshold_kev=0.4)
    # Photons turn by 155°, 5° more or less: there, and as wide, stand the reflections of Fe and Cu.
    instrument = replace(
        instrument, source=source, detector=detector, incidence_deg=90.0, takeoff_deg=65.0,
        angular_spread_deg=10.0, optic=None,
    )  # fmt: skip
    fitted = _fit(measured, PLATES[element], instrument)
    line = line_energy(element)
    twice = fitted.axis.window(2 * line - 0.12, 2 * line + 0.12)
    rate = measured.counts.sum() / measured.live_s

    def miss(time: NDArray[np.float64]) -> NDArray[np.float64]:
        piled = pile_up(fitted.counts, fitted.axis, rate, abs(time[0]))
        return np.array([np.log(piled[twice].sum() / measured.counts[twice].sum())])

    time = abs(least_squares(miss, [0.3], diff_step=0.01).x[0])
    counts = pile_up(fitted.counts, fitted.axis, rate, time)
    print(f"{element} plate: {rate:.0f} pulses/s, resolving time {1e3 * time:.0f} ns")
    return replace(fitted, counts=counts)


def _fit(measured: Measured, sample: Sample, instrument: Instrument) -> Fitted:
    """Fit dose, gain and resolution on the lines, the zero peak (or the stated offset) held."""
    start = measured.energy
    lines = start.window(*sample.lines)
    scale = np.sqrt(np.maximum(measured.counts[lines], 4.0) + (0.01 * measured.counts[lines]) ** 2)
    zero = zero_position(measured)

    def model(parameters: NDArray[np.float64]) -> tuple[Instrument, NDArray[np.float64], float]:
        gain, fwhm = parameters
        factor = 1 + 1e-3 * gain
        axis = EnergyAxis((start.offset - zero) * factor, start.width * factor, start.size)
        detector = with_resolution(instrument.detector, fwhm)
        changed = replace(instrument, energy=axis, detector=detector)
        counts = sample.expected(changed)
        dose = measured.counts[lines].sum() / counts[lines].sum()
        return changed, counts * dose, dose

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((model(parameters)[1][lines] - measured.counts[lines]) / scale)

    best = least_squares(residuals, [0.0, 143.0], diff_step=1e-3, x_scale=[1.0, 1.0], max_nfev=12).x
    changed, counts, dose = model(best)
    return Fitted(
        measured, sample, changed, changed.energy, counts, float(best[1]), float(dose / measured.live_s)
    )


def zero_position(measured: Measured) -> float:
    """Position of the zero peak on the stated axis, keV; 0 where the spectrum has none."""
    near = measured.energy.window(-0.04, 0.04)
    if measured.counts[near].min() < 1000:
        return 0.0
    return position(measured.energy, measured.counts, 0.0, 0.04)


def line_energy(element: str, beta: bool = False) -> float:
    """Mean energy of the Kα or Kβ lines, keV."""
    energies, shares = family_lines(element, "K", 30.0)
    middle = 0.5 * (energies.min() + energies.max())
    group = energies > middle if beta else energies <= middle
    return float(np.average(energies[group], weights=shares[group]))


def position(axis: EnergyAxis, counts: NDArray[np.float64], around: float, reach: float = 0.07) -> float:
    """Position of a peak: centre of a Gaussian through its top, keV."""
    top = axis.window(around - reach, around + reach)
    bent = np.polyfit(axis.energies[top] - around, np.log(np.maximum(counts[top], 0.5)), 2)
    return float(around - bent[1] / (2 * bent[0]))


def ratio(fitted: Fitted, low: float, high: float) -> float:
    """Measured over model counts between two energies."""
    band = fitted.axis.window(low, high)
    return float(fitted.measured.counts[band].sum() / fitted.counts[band].sum())


def beta_over_alpha(fitted: Fitted, element: str) -> float:
    """Kβ/Kα as measured over that of the model, both lines scaled freely."""
    sample = NIST[element]
    lines = fitted.axis.window(*sample.lines)
    detector = with_resolution(load_instrument("m4-tornado").detector, fitted.fwhm_ev)
    detector = replace(detector, escape_part=0.0)
    energies, shares = family_lines(element, "K", 30.0)
    beta = energies > 0.5 * (energies.min() + energies.max())
    shapes = [
        respond(detector, fitted.axis, energies[group], shares[group])[lines] for group in (~beta, beta)
    ]
    design = np.stack([*shapes, np.ones(shapes[0].size)], axis=1)
    scale = 1 / np.sqrt(np.maximum(fitted.counts[lines], 4.0))
    found = [
        np.linalg.lstsq(design * scale[:, None], counts[lines] * scale, rcond=None)[0]
        for counts in (fitted.measured.counts, fitted.counts)
    ]
    return float(found[0][1] / found[0][0] / (found[1][1] / found[1][0]))


def components(fitted: Fitted) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Escape peaks, Bragg reflections and the rest of a model, at the fitted dose."""
    dose = fitted.dose * fitted.measured.live_s
    without = replace(fitted.instrument, detector=replace(fitted.instrument.detector, escape_part=0.0))
    full, reflecting = (fitted.sample.expected(each) * dose for each in (fitted.instrument, without))
    rest = fitted.sample.expected(without)
    if fitted.sample.structure == "polycrystal":
        rest = replace(fitted.sample, structure="single-crystal").expected(without)
    return full - reflecting, reflecting - rest * dose, rest * dose


def scale_components(
    fitted: Fitted, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scales of the components that make up the measured spectrum in a band, and the components."""
    band = fitted.axis.window(low, high)
    design = np.stack([part[band] for part in components(fitted)], axis=1)
    sigma = np.sqrt(np.maximum(fitted.counts[band], 1.0))
    scales, _ = nnls(design / sigma[:, None], fitted.measured.counts[band] / sigma)
    return scales, design


def continuum_bands(fitted: Fitted, borders: list[float], between: bool = False) -> list[float]:
    """Measured over model between borders in keV, without lines; nan where nothing is left.

    Left out are the sample's lines, Rh L, the line of a contamination, and twice the strongest line, where
    pile-up was subtracted; and on demand where more than a fifth of the model is Bragg reflections.
    """
    sample = fitted.sample
    low, high = sample.lines
    alpha, energies = line_energy(sample.formula), fitted.axis.energies
    keep = np.ones(energies.size, dtype=bool)
    for start, stop in ((low - 0.5, high + 0.2), RH_L_KEV, CONTAMINATION, (2 * alpha - 0.3, 2 * alpha + 0.3)):
        keep &= (energies < start) | (energies > stop)
    if between:
        keep &= components(fitted)[1] < 0.2 * fitted.counts
    found = []
    for start, stop in pairwise(borders):
        band = keep & (energies >= start) & (energies < stop)
        enough = band.sum() > 40
        found.append(fitted.measured.counts[band].sum() / fitted.counts[band].sum() if enough else np.nan)
    return found


def print_pure(pure: dict[str, Fitted]) -> None:
    print("pure elements: FWHM at Mn Kα (eV), positions (eV off), and measured over model")
    print("    FWHM    Kα    Kβ  Kβ/Kα  tail shelf  dose  Rh L", end="")
    print("  continuum 2-8 keV between reflections, 2-8, 8-20, and 2-4, 4-6, ... 18-20")
    heavy = [fitted.dose for name, fitted in pure.items() if name not in ("Si", "S")]
    for name, fitted in pure.items():
        alpha, beta = line_energy(name), line_energy(name, beta=True)
        alpha_off = f"{off(fitted, alpha):6.1f}"
        beta_off = f"{off(fitted, beta):6.1f}" if name not in ("Si", "S") else "     -"
        scores = (
            beta_over_alpha(fitted, name),
            ratio(fitted, alpha - 0.45, alpha - 0.2),
            ratio(fitted, *SHELF_KEV.get(name, (0.5, 1.1))),
            fitted.dose / np.mean(heavy),
            ratio(fitted, 2.6, 2.9),
        )
        continuum = [
            *continuum_bands(fitted, [2, 8], between=True),
            *continuum_bands(fitted, [2, 8, 20]),
            *continuum_bands(fitted, list(range(2, 21, 2))),
        ]
        bands = " ".join(f"{value:4.2f}" for value in continuum)
        print(
            f"{name:3}{fitted.fwhm_ev:6.1f}{alpha_off}{beta_off}  "
            + "".join(f"{score:6.3f}" for score in scores)
            + f"  {bands}"
        )


def print_details(pure: dict[str, Fitted]) -> None:
    """Strengths of Bragg reflections over what lies below them, valleys between Kα and Kβ, and L lines."""
    print("\nBragg reflections, valley between Kα and Kβ, L lines: measured over model")
    for name, bands in REFLECTIONS_KEV.items():
        fitted = pure[name]
        _, reflected, rest = components(fitted)
        found = []
        for plane, (low, high) in bands.items():
            band = fitted.axis.window(low, high)
            over = (fitted.measured.counts - rest)[band].sum() / reflected[band].sum()
            found.append(f"{plane} {over:4.2f}")
        middle = 0.5 * (line_energy(name) + line_energy(name, beta=True))
        found.append(f"valley {ratio(fitted, middle - 0.05, middle + 0.05):4.2f}")
        if name in L_LINES_KEV:
            found.append(f"L {ratio(fitted, *L_LINES_KEV[name]):4.2f}")
        print(f"{name:3}", "  ".join(found))


def off(fitted: Fitted, at: float) -> float:
    """How far a measured peak stands from the model's, eV."""
    measured, model = (
        position(fitted.axis, counts, at) for counts in (fitted.measured.counts, fitted.counts)
    )
    return 1e3 * (measured - model)


def print_acrylic(fitted: Fitted) -> None:
    print(f"\nacrylic: FWHM {fitted.fwhm_ev:.1f} eV; measured over model a keV from 2 to 20:")
    print(" ".join(f"{ratio(fitted, start, start + 1):.2f}" for start in range(2, 20)))
    for name, at in (("Rh Lα", 2.697), ("Rh Kα", 20.17)):
        print(f"{name}: {off(fitted, at):.1f} eV off")


def print_plates(plates: dict[str, Fitted]) -> None:
    print("\nplates with escape and pile-up: measured over model, and position")
    for element, fitted in plates.items():
        alpha, beta = line_energy(element), line_energy(element, beta=True)
        found = [] if element == "Ti" else [escape(fitted, alpha - 1.740)]  # that of Ti is under Rh L
        for name, at in (("Kα+Kα", 2 * alpha), ("Kα+Kβ", alpha + beta)):
            measured, model = (
                net(fitted.axis, counts, at) for counts in (fitted.measured.counts, fitted.counts)
            )
            miss = centre(fitted.axis, fitted.measured.counts, at) - centre(fitted.axis, fitted.counts, at)
            found.append(f"{name} {measured / model:5.2f} ({1e3 * miss:+4.0f} eV, {measured:5.0f} counts)")
        if element != "Ti":
            scales, _ = scale_components(fitted, 4.0, alpha - 0.3)
            found.append(f"reflections from 4 keV {scales[1]:4.2f}")
        print(f"{element:3}", "  ".join(found))


def escape(fitted: Fitted, at: float) -> str:
    """Escape peak, measured over model and position, after the reflections beside it were scaled."""
    scales, design = scale_components(fitted, at - 0.4, at + 0.4)
    band = fitted.axis.window(at - 0.4, at + 0.4)
    energies = fitted.axis.energies[band]
    near = np.abs(energies - at) < 0.13
    over = (fitted.measured.counts[band] - design[:, 1:] @ scales[1:])[near]
    miss = np.average(energies[near], weights=over) - np.average(energies[near], weights=design[near, 0])
    return f"escape {scales[0]:5.2f} ({1e3 * miss:+4.0f} eV, {over.sum():5.0f} counts)"


def net(axis: EnergyAxis, counts: NDArray[np.float64], at: float, reach: float = 0.13) -> float:
    """Return the counts of a small peak over the straight line between its sides."""
    peak = axis.window(at - reach, at + reach)
    sides = [counts[axis.window(*side)].mean() for side in ((at - 0.3, at - 0.2), (at + 0.2, at + 0.3))]
    return float(counts[peak].sum() - np.mean(sides) * counts[peak].size)


def centre(axis: EnergyAxis, counts: NDArray[np.float64], at: float, reach: float = 0.13) -> float:
    """Mean energy of a small peak over the straight line between its sides, keV."""
    peak = axis.window(at - reach, at + reach)
    sides = [counts[axis.window(*side)].mean() for side in ((at - 0.3, at - 0.2), (at + 0.2, at + 0.3))]
    over = counts[peak] - np.linspace(sides[0], sides[1], counts[peak].size)
    return float(np.sum(over * axis.energies[peak]) / over.sum())


def draw_panels(samples: dict[str, Fitted], path: Path) -> None:
    """Draw samples, one panel each."""
    figure, panels = plt.subplots(
        len(samples), 1, figsize=(9, 2.1 * len(samples)), sharex=True, layout="constrained"
    )
    for panel, (name, fitted) in zip(panels, samples.items(), strict=True):
        _draw(panel, fitted, (0, 24))
        panel.set_ylabel(f"{name}\ncounts")
    panels[0].legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel("energy (keV)")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_acrylic(fitted: Fitted, path: Path) -> None:
    """Draw acrylic, and measured over model below it."""
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(9, 5), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    _draw(upper, fitted, (0, 40))
    upper.set_ylabel("counts")
    upper.legend(fontsize=8)
    window = np.ones(9) / 9
    smooth = [np.convolve(counts, window, "same") for counts in (fitted.measured.counts, fitted.counts)]
    inside = fitted.axis.window(2, 40)
    lower.plot(fitted.axis.energies[inside], smooth[0][inside] / smooth[1][inside], color=MEASURED, lw=0.8)
    lower.axhspan(0.8, 1.2, color="0.9")
    lower.set(ylim=(0.5, 1.5), xlabel="energy (keV)", ylabel="measured / model")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _draw(panel: Axes, fitted: Fitted, limits: tuple[float, float]) -> None:
    at = fitted.axis.energies
    panel.semilogy(at, np.maximum(fitted.measured.counts, 0.5), color=MEASURED, lw=0.8, label="measured")
    panel.semilogy(at, np.maximum(fitted.counts, 0.5), color=MODEL, lw=1.0, label="model")
    panel.set(xlim=limits, ylim=(0.8, 2 * fitted.measured.counts[fitted.axis.window(0.3, 40)].max()))
    panel.grid(alpha=0.25)


if __name__ == "__main__":
    main()
