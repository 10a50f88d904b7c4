"""Plans: what a verb learns from a whole map, so that its parts can be worked on anywhere, bit for bit.

A plan also locks calibration and elements over a series of maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import CalibratedMap
from napari_xrf.maps.calibration.axis_judgement import Calibration
from napari_xrf.maps.identification.judgement import FoundElement
from napari_xrf.maps.spectra.setting import Setting
from napari_xrf.scale.packing import read_packed

_CLOSE = 1e-6  # relative: axes that differ less are one


@dataclass(frozen=True, eq=False)
class Plan:
    """What a verb learned from a whole map."""

    verb: str  # for which it was made
    # shape, energy: (Y, X, E) and the file's own axis, of the map
    shape: tuple[int, int, int]
    energy: EnergyAxis
    file_bytes: int  # size of the map's file
    # calibration, setting, sum_spectrum: as in CalibratedMap
    calibration: Calibration
    setting: Setting
    sum_spectrum: NDArray[np.float64]
    elements: tuple[FoundElement, ...]  # found in the map
    options: Mapping[str, Any] = field(default_factory=dict)  # of the verb, those that later calls take over
    learned: Any = None  # what the pixels share; None where the verb works on no pixels
    answer: Any = None  # what the verb tells of the whole map

    def applied(self, cube: SpectralCube, *, same_map: bool = False) -> CalibratedMap:
        """Return a map as this plan calibrates it, with the plan's elements.

        Raises InvalidInput when the cube's file has another energy axis.

        ``cube``: of the series, or rows of the map itself. ``same_map``: whether the sum spectrum is the
        plan's too.
        """
        axis, own = cube.energy, self.energy
        alike = np.allclose((axis.offset, axis.width), (own.offset, own.width), rtol=_CLOSE, atol=1e-9)
        if axis.size != own.size or not alike:
            raise InvalidInput(
                f"the plan was made for {own}, and {cube.name!r} has {axis}",
                "Make a plan for such maps, or give --energy as it was given then",
            )
        spectrum = self.sum_spectrum if same_map else cube.sum_spectrum().astype(np.float64)
        return CalibratedMap(cube, self.calibration, self.setting, spectrum).having(self.elements)


def plan_of(
    verb: str, known: CalibratedMap, path: Path, learned: Any, answer: Any = None, **options: Any
) -> Plan:
    """Return the plan of a verb from the map it was learned from, and its file."""
    return Plan(
        verb,
        known.cube.shape,
        known.cube.energy,
        path.stat().st_size,
        known.calibration,
        known.setting,
        known.sum_spectrum,
        known.elements,
        options,
        learned,
        answer,
    )


def read_plan(path: Path, verb: str) -> Plan:
    """Read the plan of a verb.

    Raises FileError when the file holds none, or one of another verb.
    """
    plan: Plan = read_packed(path, Plan)
    if plan.verb != verb:
        raise FileError(path, f"is a plan of {plan.verb}, not of {verb}", f"Make one: {verb} --make-plan")
    return plan
