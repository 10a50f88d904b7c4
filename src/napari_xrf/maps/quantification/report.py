"""All that is told of a map's quantities: compositions, their check against the spectra, and maps."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import replacing, write_text
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, calibrate_map
from napari_xrf.maps.quantification.composition import FILM_UM_PER_UG, Recipe, completed
from napari_xrf.maps.quantification.net_counts import region_of
from napari_xrf.maps.quantification.per_pixel import MASSES, plan_quantities
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.table import quantity_rows, write_quantity_table
from napari_xrf.maps.quantification.weight_percent import quantify
from napari_xrf.maps.spectra.setting import last_energy
from napari_xrf.physics.forward import expect_spectrum
from napari_xrf.reference.materials import Material

_CHECKS_DRAWN = 20
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


@dataclass(frozen=True, eq=False)
class QuantityReport:
    """Quantities with their checks."""

    quantities: tuple[Quantities, ...]  # of each region
    checks: tuple[Check, ...]  # of each region: what its composition should show
    maps: ElementMaps | None = None  # weight percent in every pixel, or None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of quantities.csv."""
        return [row for quantities in self.quantities for row in quantity_rows(quantities)]

    def write(self, folder: Path) -> list[Path]:
        """Write quantities.csv, check.json, check.png and, with maps, weight_percent.h5 and .ome.tif.

        Maps of a film in µg/cm² are ug_per_cm2.h5 and .ome.tif.
        """
        files = [folder / name for name in ("quantities.csv", "check.json", "check.png")]
        write_quantity_table(files[0], self.rows)
        residuals = [row for check in self.checks for row in check.as_rows()]
        write_text(files[1], json.dumps(residuals, indent=1))
        write_check_picture(files[2], self.checks[:_CHECKS_DRAWN])
        if self.maps is not None:
            name = "ug_per_cm2" if self.maps.unit == MASSES else "weight_percent"
            for ending in (".h5", ".ome.tif"):
                files.append(folder / f"{name}{ending}")
                io.write(files[-1], self.maps)
        return files


def report_quantities(
    measured: Measured,
    elements: Sequence[str] | None = None,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    formulas: Mapping[str, str] | None = None,
    recipe: Recipe | None = None,
    pixels: bool = False,
    progress: Progress = ignore_progress,
) -> QuantityReport:
    """Quantify a map or regions of it, check the result, and map weight percent if asked.

    ``measured``, ``elements``, ``regions``, ``formulas``, ``recipe``: as for
    :func:`~napari_xrf.maps.quantification.weight_percent.quantify`. ``pixels``: whether every pixel is
    quantified too.
    """
    known = calibrate_map(measured, progress=progress).checked()
    told: dict[str, Any] = {"recipe": recipe, "progress": progress}
    found = quantify(known, elements, regions=regions, formulas=formulas, **told)
    if regions is not None:
        regions = {one.region: regions[one.region] for one in found}
    masks = list(regions.values()) if regions else [np.ones(known.cube.map_shape, dtype=bool)]
    parts = [region_of(known, mask, one.region) for one, mask in zip(found, masks, strict=True)]
    checks = tuple(check_quantities(one, part) for one, part in zip(found, parts, strict=True))
    maps = None
    if pixels:
        told |= {"regions": regions, "formulas": formulas, "whole": None if regions else found[0]}
        maps = plan_quantities(known, elements, **told).map(known.cube, progress)
    return QuantityReport(found, checks, maps)


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
