"""The check of quantities: their composition simulated and held against the measured spectrum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.io.atomic_write import replacing
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.quantification.composition import FILM_UM_PER_UG, completed
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.spectra.setting import last_energy
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.reference.materials import Material

_FAMILIES_DRAWN, _MARGIN_KEV = 24, 0.5
_LEAST_SHOWN, _MOST_SHOWN = 50.0, 200.0  # %, of residuals


@dataclass(frozen=True, eq=False)
class Check:
    """A measured spectrum and that of the quantified composition."""

    quantities: Quantities  # the composition, with the residuals of its families
    energy: EnergyAxis  # the axis of both
    # measured, expected: (E,) counts; the expected ones are scaled to the line families that decide
    measured: NDArray[np.float64]
    expected: NDArray[np.float64]

    def as_rows(self) -> list[dict[str, Any]]:
        """Return family, counts, error, expected counts and relative residual, by falling counts."""
        return [
            {
                "region": self.quantities.region,
                "family": one.family,
                "net_counts": one.counts,
                "standard_error": one.error,
                "expected_counts": one.expected,
                "residual": one.relative if math.isfinite(one.relative) else None,
            }
            for one in self.quantities.residuals
        ]


def check_quantities(quantities: Quantities, part: CalibratedMap) -> Check:
    """Return what the quantified composition is expected to show, beside the spectrum.

    ``quantities``: of the spectrum. ``part``: the spectrum, as
    :func:`~napari_xrf.maps.quantification.net_counts.region_of` gives it.
    """
    material = Material("quantified", completed(quantities.composition, quantities.light), 1.0)
    film = FILM_UM_PER_UG * quantities.mass_per_area
    thickness = film if film > 0 else None
    expected = expect_spectrum(material, quantities.instrument or part.instrument, thickness_um=thickness)
    made = sum(expected.families.get(one.family, 0.0) for one in quantities.residuals if one.expected > 0)
    scale = sum(one.expected for one in quantities.residuals) / max(made, 1e-300)
    return Check(quantities, part.energy, part.sum_spectrum, scale * expected.counts)


def write_check_picture(path: Path, checks: Sequence[Check]) -> None:
    """Draw for each region the measured and the simulated spectrum, and the residual of each family, as .png.

    Raises FileError when the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6 * len(checks)), layout="constrained")
    axes = figure.subplots(len(checks), 2, squeeze=False, width_ratios=(3, 1))
    for (left, right), check in zip(axes, checks, strict=True):
        at = check.energy.energies
        left.step(at, check.measured, where="mid", linewidth=0.7, color="black", label="measured")
        left.plot(at, check.expected, linewidth=1.0, color="C3", label="quantified composition, simulated")
        left.set_yscale("log", nonpositive="clip")
        highest = float(check.measured.max(initial=1.0))
        first = float(at[np.argmax(check.measured > 1e-5 * highest)])
        last = last_energy(check.measured, check.energy) + _MARGIN_KEV
        total = check.quantities.total
        told = f": the dose gives {100 * total:.0f} %" if math.isfinite(total) else ""
        left.set(xlim=(max(first, 0.0), last), ylim=(0.5, 2 * highest), title=check.quantities.region + told)
        left.set(xlabel="Energy (keV)", ylabel="Counts per channel")
        left.legend(loc="upper right", fontsize="small")
        # Families that do not stand out say nothing.
        drawn = [one for one in check.quantities.residuals if one.error < one.expected][:_FAMILIES_DRAWN]
        errors = [100 * one.error / one.expected for one in drawn]
        right.barh([one.family for one in drawn], [100 * one.relative for one in drawn], xerr=errors)
        right.axvline(0, color="black", linewidth=0.8)
        right.invert_yaxis()
        widest = max((abs(100 * one.relative) for one in drawn), default=0.0)
        widest = min(max(1.1 * widest, _LEAST_SHOWN), _MOST_SHOWN)
        right.set(xlabel="measured over expected, less 1 (%)", xlim=(-widest, widest))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
