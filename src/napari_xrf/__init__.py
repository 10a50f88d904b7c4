"""X-ray fluorescence maps in napari: read them, see their elements, name their minerals.

Importing this package is light: a function opens its room; napari, Qt and torch are loaded where needed.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_xrf.core.compiled_code import choose_cache
from napari_xrf.core.version import VERSION
from napari_xrf.front_door import *  # noqa: F403
from napari_xrf.front_door import __all__ as _functions

if TYPE_CHECKING:
    from napari_xrf.core.element_maps import ElementMaps
    from napari_xrf.core.energy_axis import EnergyAxis
    from napari_xrf.core.errors import XrfError
    from napari_xrf.core.label_map import LabelMap
    from napari_xrf.core.spectral_cube import SpectralCube
    from napari_xrf.core.spectrum import Spectrum
    from napari_xrf.maps.calibrated_map import CalibratedMap

__version__ = VERSION
choose_cache()
_ROOMS = {
    "CalibratedMap": "maps.calibrated_map",
    "ElementMaps": "core.element_maps",
    "EnergyAxis": "core.energy_axis",
    "LabelMap": "core.label_map",
    "SpectralCube": "core.spectral_cube",
    "Spectrum": "core.spectrum",
    "XrfError": "core.errors",
}
__all__ = ["CalibratedMap", "ElementMaps", "EnergyAxis", "LabelMap", "SpectralCube", "Spectrum", "XrfError"]
__all__ += ["__version__", *_functions]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        told = f"module {__name__!r} has no attribute {name!r}"  # Python tells the nearest of dir()
        raise AttributeError(told, name=name, obj=sys.modules[__name__])
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
