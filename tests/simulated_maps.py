"""Maps of known counts per line family, for tests and benchmarks of element maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.maps.spectra.families import family_columns
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.physics.instrument import Instrument, load_instrument

# Twelve elements, thirteen families; As K lies under Pb L, Pb M beside S K.
FAMILIES = (
    "Si K", "S K", "K K", "Ca K", "Ti K", "Mn K", "Fe K", "Ni K", "Cu K", "Zn K", "As K", "Pb L", "Pb M",
)  # fmt: skip
SHARES = np.array([4, 3, 6, 12, 3, 2, 20, 2, 5, 5, 0.8, 6, 1.5])
TUBE = Excitation("tube", 50.0, "Rh", atmosphere="vacuum")
AXIS = EnergyAxis(-0.955, 0.01, 4096)


@dataclass(frozen=True)
class SimulatedMap:
    """A cube and the truth it was drawn from.

    Attributes
    ----------
    cube
        Poisson counts.
    truth
        (K, Y, X) expected counts of each of ``families``.
    columns
        (K + 1, E) expected spectra: families, then the continuum; each with a sum of 1.
    expected
        (K + 1,) mean expected counts of a pixel.
    """

    cube: SpectralCube
    truth: np.ndarray
    families: tuple[str, ...]
    columns: np.ndarray
    expected: np.ndarray


def continuum_shape(axis: EnergyAxis, highest: float = 50.0) -> np.ndarray:
    """Return a smooth hump from 1 keV to the highest energy, (E,) with a sum of 1."""
    at = np.clip(axis.energies, 1e-3, None)
    shape = np.exp(-((1.1 / at) ** 2)) * np.clip(highest / at - 1, 0, None) * np.exp(-at / 9.0)
    shape[axis.energies <= 0.3] = 0
    return shape / shape.sum()


def simulate_map(
    shape: tuple[int, int],
    counts: float,
    generator: np.random.Generator,
    *,
    families: tuple[str, ...] = FAMILIES,
    shares: np.ndarray = SHARES,
    axis: EnergyAxis = AXIS,
    detector: Detector | None = None,
    excitation: Excitation = TUBE,
    continuum: float = 0.3,
    patchy: bool = True,
) -> SimulatedMap:
    """Draw a map with ``counts`` per pixel on average, of which ``continuum`` is continuum.

    ``patchy`` lets each family vary from pixel to pixel by a gamma distribution of shape 2.
    """
    detector = detector or load_instrument("m4-tornado").detector
    highest = excitation.energy_kev or 50.0
    instrument = _instrument(axis, excitation)
    columns = family_columns(
        tuple(families), detector, axis, highest, excitation.kind == "monochromatic", instrument
    )
    columns = np.array([*columns, continuum_shape(axis, excitation.energy_kev or 50.0)])
    mean = np.append((1 - continuum) * shares / shares.sum(), continuum) * counts
    pixels = shape[0] * shape[1]
    scale = generator.gamma(2.0, 0.5, (pixels, mean.size)) if patchy else np.ones((pixels, mean.size))
    truth = scale * mean
    cube = np.empty((pixels, axis.size), dtype=np.uint16)
    for start in range(0, pixels, 2048):
        part = slice(start, start + 2048)
        cube[part] = _poisson(truth[part], columns, generator)
    cube = SpectralCube(cube.reshape(*shape, axis.size), axis, "simulated", excitation=excitation)
    return SimulatedMap(cube, truth[:, :-1].T.reshape(-1, *shape), families, columns, mean)


def _instrument(axis: EnergyAxis, excitation: Excitation) -> Instrument | None:
    """Return what a fit takes for the instrument of such a map."""
    empty = SpectralCube(np.ones((1, 1, axis.size), np.uint8), axis, excitation=excitation)
    return instrument_of(empty) if excitation.kind in ("tube", "monochromatic") else None


def _poisson(truth: np.ndarray, columns: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw spectra count by count: for few counts much quicker than a Poisson draw for each channel."""
    drawn = generator.poisson(truth)
    spectra = np.zeros((len(truth), columns.shape[1]), dtype=np.int64)
    for k, column in enumerate(columns):
        steps = np.cumsum(column) / column.sum()
        total = int(drawn[:, k].sum())
        channels = np.searchsorted(steps, generator.random(total), side="right")
        rows = np.repeat(np.arange(len(truth)), drawn[:, k])
        flat = np.bincount(rows * columns.shape[1] + channels, minlength=spectra.size)
        spectra += flat.reshape(spectra.shape)
    return spectra
