"""Maps of minerals in stripes, with their labels, for tests of what is done with mineral maps."""

import numpy as np

from mineral_cubes import known_calibration
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument

FORMULAS = {"quartz": "SiO2", "calcite": "CaCO3", "pyrite": "FeS2"}


def striped_map(counts=2000.0, shape=(24, 24), seed=1, curve=None):
    """Return a calibrated map of three stripes, one half, a third and a sixth of it, and its labels.

    ``curve``: factor of the counts of each channel's energy.
    """
    instrument = load_instrument("m4-tornado")
    spectra = np.stack(
        [simulate_spectrum(each, instrument, counts=counts)[0].counts for each in FORMULAS.values()]
    )
    if curve is not None:
        spectra = spectra * curve(instrument.energy.energies)
    edges = np.array([0, shape[1] // 2, shape[1] * 5 // 6])
    place = np.broadcast_to(np.searchsorted(edges, np.arange(shape[1]), side="right") - 1, shape)
    drawn = np.random.default_rng(seed).poisson(spectra[place]).astype(np.uint16)
    cube = SpectralCube(
        drawn, instrument.energy, "stripes", (20.0, 20.0), excitation=excitation_of(instrument)
    )
    classes = [LabelClass(1, "unknown"), *(LabelClass(k, name) for k, name in enumerate(FORMULAS, 2))]
    sure = np.full(shape, 0.95, dtype=np.float32)
    labels = LabelMap((place + 2).astype(np.uint8), tuple(classes), sure, (20.0, 20.0), "stripes")
    return calibrate_map(cube, calibration=known_calibration(shift_kev=0.0, gain=1.0)), labels
