"""All that is told of a map's quantities: compositions, their check against the spectra, and maps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.atomic_write import write_text
from napari_xrf.maps.calibrated_map import Measured, calibrate_map
from napari_xrf.maps.quantification.check import Check, check_quantities, write_check_picture
from napari_xrf.maps.quantification.composition import Recipe
from napari_xrf.maps.quantification.net_counts import region_of
from napari_xrf.maps.quantification.per_pixel import MASSES, plan_quantities
from napari_xrf.maps.quantification.quantities import Quantities
from napari_xrf.maps.quantification.table import quantity_rows, write_quantity_table
from napari_xrf.maps.quantification.weight_percent import quantify

_CHECKS_DRAWN = 20


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
    masks = list(regions.values()) if regions else [np.ones(known.cube.map_shape, dtype=bool)]
    parts = [region_of(known, mask, one.region) for one, mask in zip(found, masks, strict=True)]
    checks = tuple(check_quantities(one, part) for one, part in zip(found, parts, strict=True))
    maps = None
    if pixels:
        told |= {"regions": regions, "formulas": formulas, "whole": None if regions else found[0]}
        maps = plan_quantities(known, elements, **told).map(known.cube, progress)
    return QuantityReport(found, checks, maps)
