"""Small maps of two phases, made in no time, for tests that need a map but no physics."""

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation, SpectralCube

AXIS = EnergyAxis(-0.2, 0.02, 512)
IRON, CALCIUM = 6.404, 3.692  # keV, Kα


def two_phase_cube(shape=(24, 30), name="two phases", counts=400.0, seed=1):
    """Return a cube whose left half shines at Fe Kα and right half at Ca Kα, and its mask of iron."""
    generator = np.random.default_rng(seed)
    iron = np.zeros(shape, dtype=bool)
    iron[:, : shape[1] // 2] = True
    spectra = np.stack([_peak(CALCIUM), _peak(IRON)]) * counts + 0.05
    drawn = generator.poisson(spectra[iron.astype(int)]).astype(np.uint16)
    image = AuxiliaryImage(
        "video", np.arange(48 * 60, dtype=np.uint8).reshape(48, 60), (5.0, 5.0), (1.0, 2.0)
    )
    cube = SpectralCube(
        drawn,
        AXIS,
        name,
        pixel_size=(10.0, 12.5),
        excitation=Excitation("tube", 50.0, "Rh"),
        elements=("Ca", "Fe"),
        images=(image,),
    )
    return cube, iron


def two_phase_labels(shape=(24, 30), confidence=True):
    """Return the label map of :func:`two_phase_cube`, with one pixel not measured."""
    labels = np.full(shape, 3, dtype=np.uint8)
    labels[:, : shape[1] // 2] = 2
    labels[0, 0] = 0
    labels[1, 1] = 1
    classes = (
        LabelClass(1, "unknown", "", "#808080"),
        LabelClass(2, "hematite / magnetite", "Fe2O3", "#a03010", 5.2),
        LabelClass(3, "calcite", "CaCO3", "#e0e0ff", 2.71),
    )
    sure = np.linspace(0.5, 1, labels.size, dtype=np.float32).reshape(shape) if confidence else None
    return LabelMap(labels, classes, sure, (10.0, 12.5), "two phases")


def _peak(energy):
    shape = np.exp(-0.5 * ((AXIS.energies - energy) / 0.06) ** 2)
    return shape / shape.sum()
