"""Sample data: synthetic maps with their truth, each made behind the window where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.plugin.layers.layer_data import LayerData, event_loop_runs
from napari_xrf.plugin.layers.opening import Opening, open_behind

if TYPE_CHECKING:
    from napari_xrf.synthesis.recipes import Synthetic

_SEED = 7
_ROCK, _ROCK_COUNTS = (100, 120), 6000.0
_CANVAS = (90, 120)
_ORE = ("quartz", "pyrite", "chalcopyrite", "sphalerite", "galena", "arsenopyrite")
_PAINTS = (
    "lead white",
    "azurite",
    "malachite",
    "vermilion",
    "lead-tin yellow I",
    "yellow ochre",
    "bone black",
)


def pegmatite() -> list[LayerData]:
    """Return the layers of a synthetic map of a pegmatite and of its true minerals, hidden."""
    return _sample("Making a pegmatite", partial(_minerals, "synthetic pegmatite", None))


def sulphide() -> list[LayerData]:
    """Return the layers of a synthetic map of a sulphide ore and of its true minerals, hidden."""
    return _sample("Making a sulphide ore", partial(_minerals, "synthetic sulphide ore", _ORE))


def painting() -> list[LayerData]:
    """Return the layers of a synthetic map of a painting, with its photograph and true pigments, hidden."""
    return _sample("Making a painting", partial(_painting, "synthetic painting", "m4-tornado", 800.0))


def gem_phantom() -> list[LayerData]:
    """Return the same painting as a gas detector (GEM) sees it: peaks a fifth of their energy wide."""
    return _sample("Making a GEM phantom", partial(_painting, "GEM phantom", "gem", 400.0))


def _sample(title: str, make: Callable[..., list[LayerData]]) -> list[LayerData]:
    return open_behind([Opening(title, make)], by_napari=True) if event_loop_runs() else make()


def _minerals(
    name: str, minerals: tuple[str, ...] | None, progress: Progress = ignore_progress
) -> list[LayerData]:
    from napari_xrf.synthesis.mineral_map import MapParameters
    from napari_xrf.synthesis.recipes import make_minerals

    grains = MapParameters(shape=_ROCK, counts_per_pixel=_ROCK_COUNTS)
    made = make_minerals(minerals, seed=_SEED, parameters=grains, progress=progress)
    return _layers(made, name)


def _painting(
    name: str, instrument: str, counts: float, progress: Progress = ignore_progress
) -> list[LayerData]:
    from napari_xrf.synthesis.painting import PaintingParameters
    from napari_xrf.synthesis.recipes import make_painting

    chosen = PaintingParameters(counts_per_pixel=counts)
    made = make_painting(
        _landscape(_CANVAS), seed=_SEED, instrument=instrument, pigments=_PAINTS, parameters=chosen,
        progress=progress,
    )  # fmt: skip
    return _layers(made, name)


def _layers(made: Synthetic, name: str) -> list[LayerData]:
    from napari_xrf.plugin.layers.loading import follow_opening
    from napari_xrf.plugin.layers.synthesis import synthetic_layers

    named = replace(made, cube=replace(made.cube, name=name))
    follow_opening(named.cube)
    return synthetic_layers(named, shares=False)


def _landscape(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture (Y, X, 3) of a house under the sun."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / np.array(shape).reshape(2, 1, 1)
    picture = np.empty((*shape, 3), dtype=np.uint8)
    picture[:] = (120, 160, 220)
    picture[y > 0.62 + 0.06 * np.sin(9 * x)] = (70, 140, 60)
    picture[(x - 0.8) ** 2 + (y - 0.2) ** 2 < 0.012] = (240, 210, 60)
    picture[(np.abs(x - 0.35) < 0.14) & (np.abs(y - 0.62) < 0.14)] = (235, 230, 220)
    picture[(y > 0.3) & (y < 0.48) & (np.abs(x - 0.35) < 0.9 * (y - 0.3))] = (200, 40, 30)
    picture[(np.abs(x - 0.35) < 0.03) & (np.abs(y - 0.68) < 0.08)] = (40, 35, 30)
    picture[(y > 0.8) & (np.abs(x - 0.35) < 0.3 * (y - 0.7))] = (190, 140, 60)
    return picture
