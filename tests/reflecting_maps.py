"""Maps in which a grain reflects the tube's continuum."""

from dataclasses import replace

import numpy as np

from mineral_cubes import mineral_cube
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.maps.spectra.candidates import columns_of
from napari_xrf.reference.minerals import load_library, select_minerals

GRAIN = np.s_[3:8, 4:9]
NICKEL = np.s_[12:17, 10:15]


def sand(seed: int, *, reflects: bool = True) -> SpectralCube:
    """Quartz, of which one grain reflects at 5.2 keV and another holds nickel."""
    generator = np.random.default_rng(seed)
    quartz = select_minerals(load_library(), ("quartz",))
    cube = mineral_cube(quartz, 3_000, shape=(20, 20), shift_kev=0, gain=1, seed=seed)[0]
    setting = calibrate_map(cube).setting
    counts = np.asarray(cube.counts[:, :, :]).astype(np.uint32)
    peak = np.exp(-0.5 * ((cube.energy.energies - 5.2) / 0.065) ** 2)
    if reflects:
        counts[GRAIN] += generator.poisson(80 * peak / peak.sum(), counts[GRAIN].shape).astype(np.uint32)
    (nickel,) = columns_of(("Ni K",), setting)
    counts[NICKEL] += generator.poisson(200 * nickel, counts[NICKEL].shape).astype(np.uint32)
    return replace(cube, counts=counts)
