"""Detectors that do not measure what the others do, by their sum spectra: dead, shifted or noisy ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.io.calibration import common_axis

_DEAD = 0.02  # of the usual detector's counts: shadowed ones have more
_FEWEST = 2000.0  # counts that a spectrum must have before its shape is judged
_BLOCKS = 48  # parts of the axis in which shapes are compared
_UNLIKE = 0.35  # share of counts that lie elsewhere: angles and absorbers move less
_FARTHEST_EV = 400.0  # that peaks are sought away from where the others have them
_GAIN, _ALIKE = 0.02, 0.5  # of the correlation by a shift, and the correlation; below, it is noise


def differing(names: Sequence[str], sums: Sequence[ArrayLike], axes: Sequence[EnergyAxis]) -> tuple[str, ...]:
    """Return a sentence for each detector that counts hardly anything, or other things than the others.

    ``sums`` holds the sum spectrum of each, (E,), on its own axis; a part of the map is enough.
    """
    axis = common_axis(axes)
    spectra = [
        own.rebin(np.asarray(one, dtype=np.float64), axis) for one, own in zip(sums, axes, strict=True)
    ]
    if len(spectra) < 2:
        return ()
    totals = np.array([one.sum() for one in spectra])
    usual = float(np.median(totals[totals > 0])) if totals.any() else 0.0
    notes, alive = [], []
    for name, total, spectrum in zip(names, totals, spectra, strict=True):
        if total < _DEAD * usual:
            notes.append(
                f"Detector {name} is dead: it counted {total:.0f} where the others have {usual:.0f}."
            )
        else:
            alive.append((name, spectrum))
    if len(alive) == 2:  # of two that differ, neither is known to be wrong
        notes += _judged(*alive[1], alive[0][1], axis)
    elif alive and axis.size > _BLOCKS:
        # The median of shapes is that of most, whatever one of them does.
        shapes = [_smooth(one) / max(one.sum(), 1) for _, one in alive]
        usual_shape = np.median(shapes, axis=0) * totals.sum()
        notes += [note for name, one in alive for note in _judged(name, one, usual_shape, axis)]
    return tuple(notes)


def _judged(
    name: str, spectrum: NDArray[np.float64], others: NDArray[np.float64], axis: EnergyAxis
) -> tuple[str, ...]:
    if min(spectrum.sum(), others.sum()) < _FEWEST or axis.size < 4 * _BLOCKS:
        return ()
    farthest = min(max(2, round(_FARTHEST_EV / 1000 / axis.width)), axis.size // 8)
    lag, gain = _shift(spectrum, others, farthest)
    if abs(lag) >= 2 and gain > _GAIN:
        return (
            f"The peaks of detector {name} lie {1000 * lag * axis.width:+.0f} eV from where the others have "
            "them: take another one alone (--detector), or calibrate it.",
        )
    one, other = ((_blocks(each) / each.sum()) for each in (spectrum, others))
    if 0.5 * float(np.abs(one - other).sum()) > _UNLIKE:
        return (
            f"The spectrum of detector {name} is unlike the others' (noise?): look at it, or take another "
            "one alone (--detector).",
        )
    return ()


def _shift(spectrum: NDArray[np.float64], others: NDArray[np.float64], farthest: int) -> tuple[int, float]:
    """Return by how many channels a spectrum lies above others, and what moving it gains in correlation."""
    # Square roots let small peaks speak too; a slow background would hide them.
    one, other = (np.sqrt(each / each.sum()) for each in (_smooth(spectrum), _smooth(others)))
    one, other = (each - _smooth(each, 2 * farthest + 1) for each in (one, other))
    lags = np.arange(-farthest, farthest + 1)
    norm = float(np.linalg.norm(one) * np.linalg.norm(other)) or 1.0
    found = np.array([float(np.roll(other, lag) @ one) for lag in lags]) / norm
    best = int(np.argmax(found))
    return int(lags[best]), float(found[best] - found[farthest]) if found[best] > _ALIKE else 0.0


def _smooth(values: NDArray[np.float64], width: int = 5) -> NDArray[np.float64]:
    return np.convolve(values, np.full(width, 1 / width), mode="same")


def _blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([part.sum() for part in np.array_split(values, _BLOCKS)])
