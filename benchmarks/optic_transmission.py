"""Fit the transmission of the M4's lens, and print it as the table of its preset.

The scattered spectrum of acrylic shows the tube's spectrum behind the lens; the K intensities of seven pure
elements, at the same dose a second, hold it together. The thickness of the acrylic is not stated and is
fitted too. Run: python benchmarks/optic_transmission.py (minutes)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from measured_samples import ACRYLIC, ACRYLIC_MM, NIST, nist
from napari_xrf.physics.forward import expect_spectra, expect_spectrum
from napari_xrf.physics.instrument import Instrument, OpticTransmission, load_instrument

# Two nodes stand on Rh Kα and Kβ: there the curve also takes up what the tube's model lacks in lines.
NODES = np.array([2.2, 2.8, 3.4, 4.0, 4.6, 5.2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17.3, 18.6,
                  20.2, 21.4, 22.7, 24.5, 26, 28, 30, 33, 36, 40])  # fmt: skip
FREE_KINKS = (20.2, 21.4, 22.7)
ELEMENTS = [name for name in NIST if name != ACRYLIC]
BIN = 8
MASKED = ((3.25, 3.75), (6.2, 6.6), (7.3, 7.6), (18.3, 18.75), (20.7, 21.0))
DOSE = 1e-6  # sets the curve's arbitrary unit near the other numbers


def main() -> None:
    instrument, acrylic = _instrument(), nist(ACRYLIC)
    pure = {name: nist(name) for name in ELEMENTS}
    bins, used, sigma = _acrylic_bins(acrylic.energy.energies, acrylic.counts)

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        changed = replace(instrument, optic=_optic(parameters[1:]), energy=acrylic.energy)
        sample = NIST[ACRYLIC]
        model = expect_spectrum(sample.material, changed, thickness_um=1e3 * np.exp(parameters[0])).counts
        continuum = (_bin(model * DOSE * acrylic.live_s, bins) - _bin(acrylic.counts, bins)) / sigma
        doses = _doses(changed, pure)
        bends = np.diff(parameters[1:], 2)[~np.isin(NODES[1:-1], FREE_KINKS)]
        return np.concatenate(
            [continuum[used] / np.sqrt(used.sum()), np.log(doses) / 0.02 / len(doses), bends]
        )

    start = np.concatenate([[np.log(ACRYLIC_MM)], np.log(_first_guess())])
    fit = least_squares(residuals, start, loss="soft_l1", diff_step=1e-3, max_nfev=12)
    print(f"# acrylic: {np.exp(fit.x[0]):.2f} mm; cost {fit.cost:.3f}")
    values = np.exp(fit.x[1:]) / np.exp(fit.x[1:]).max()
    print("# doses over acrylic's:", dict(zip(ELEMENTS, np.round(_doses(replace(
        instrument, optic=_optic(fit.x[1:]), energy=acrylic.energy), pure), 3), strict=True)))  # fmt: skip
    print("[optic]")
    print("energies_kev = [" + ", ".join(f"{energy:g}" for energy in NODES) + "]")
    print("transmission = [" + ", ".join(f"{value:.4f}" for value in values) + "]")


def _instrument() -> Instrument:
    instrument = load_instrument("m4-tornado")
    return replace(instrument, detector=replace(instrument.detector, escape_part=0.0), optic=None)


def _optic(logarithms: NDArray[np.float64]) -> OpticTransmission:
    return OpticTransmission(tuple(NODES), tuple(np.exp(logarithms)))


def _first_guess() -> NDArray[np.float64]:
    energies = [2, 3, 6, 10, 12, 15, 18, 20, 24, 30, 40]
    return np.exp(np.interp(NODES, energies, np.log([1.8, 2, 4, 3.1, 2.4, 1.4, 0.8, 0.8, 0.25, 0.12, 0.04])))


def _doses(instrument: Instrument, pure: dict) -> NDArray[np.float64]:
    """Dose of the K lines of each element, over that of acrylic."""
    models = expect_spectra([NIST[name].material for name in ELEMENTS], instrument)
    found = []
    for model, name in zip(models, ELEMENTS, strict=True):
        lines = instrument.energy.window(*NIST[name].lines)
        found.append(pure[name].counts[lines].sum() / (model[lines].sum() * DOSE * pure[name].live_s))
    return np.array(found)


def _acrylic_bins(
    energies: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.float64]]:
    first, last = np.searchsorted(energies, [2.45, 39.5])
    bins = np.arange(first, last, BIN)
    centres, found = energies[bins] + BIN / 2 * (energies[1] - energies[0]), _bin(counts, bins)
    used = np.all([(centres < low) | (centres > high) for low, high in MASKED], axis=0)
    return bins, used, np.sqrt(np.maximum(found, 4.0) + (0.015 * found) ** 2)


def _bin(counts: NDArray[np.float64], bins: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.array([counts[start : start + BIN].sum() for start in bins])


if __name__ == "__main__":
    main()
