"""Peaks that hold much of a spectrum, and that no element found explains."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from napari_xrf.maps.identification.explanation import Explanation
from napari_xrf.maps.spectra.scatter import USUAL_ANODE
from napari_xrf.maps.spectra.spectrum_fit import USUAL_LOG_ODDS, SpectrumFit

_LEAST_PART, _SIGNIFICANT = 0.01, 5.0  # of all counts; standard errors
_NEAR_FWHM, _ON_LINE_FWHM = 1.5, 0.5  # how near stray peaks are one; how near a line a peak may be its
_OF_SOURCE = 0.03  # of the height of a scattered line, at which a peak is a part of it
_STANDS_OUT = 1.0  # times all else at its top


@dataclass(frozen=True)
class UnnamedPeak:
    """A peak that is no found element's."""

    energy: float  # keV
    part: float  # of all counts
    elements: tuple[str, ...]  # whose main line lies there, the likeliest first
    anode: bool = False  # whether it is taken for a tube's, of an anode that nobody stated

    def __str__(self) -> str:
        if self.anode:
            return (
                f"a peak at {self.energy:.2f} keV with {100 * self.part:.0f} % of the counts is taken for the"
                f" tube's {self.elements[0]}, since nothing says what excites the sample, which may hold it"
            )
        why = "no usual element has its main line there: a crystal may reflect or the source scatter it"
        if self.elements:
            why = f"it may be {' or '.join(self.elements)}, but its shape or other lines do not fit"
        peak = f"a peak at {self.energy:.2f} keV with {100 * self.part:.0f} % of the counts"
        return f"{peak} is explained by no element found; {why}"


def unnamed_peaks(
    explained: Explanation, found: Collection[str], anode_is_stated: bool = True
) -> tuple[UnnamedPeak, ...]:
    """Return the peaks of an explained spectrum that none of the found elements makes, the largest first.

    Reflections of crystals, lines that are wider than the detector's or lack their siblings, and elements
    that were not sure enough to be reported stand there. What a metal's lattice reflects and what the source
    scatters is known to be no element, and is left out; but of an anode that nobody stated, rhodium excepted,
    which samples hardly hold.
    """
    return (*_of_no_element(explained, found), *([] if anode_is_stated else _of_guessed_anode(explained)))


def _of_no_element(explained: Explanation, found: Collection[str]) -> tuple[UnnamedPeak, ...]:
    spectrum, best = explained.spectrum, explained.best
    names = [spectrum.names[k] for k in best.index]
    unreported = {
        int(k)
        for one in best.content.elements
        if spectrum.pool[one].element not in found
        for k in spectrum.own[one]
    }
    free = np.array(
        [
            (name.startswith("stray") and not name.endswith("reflected")) or int(k) in unreported
            for k, name in zip(best.index, names, strict=True)
        ],
        dtype=bool,
    )
    if not free.any():
        return ()
    heights = best.fit.amplitudes[:, None] * spectrum.columns[best.index]
    other = heights[~free].sum(axis=0)
    unnamed = np.minimum(heights[free].sum(axis=0), spectrum.counts)  # of lines that were not measured: none
    scattered, peaks = spectrum.of_source("elastic", "Compton"), []
    while unnamed.max() > _STANDS_OUT * other[int(unnamed.argmax())]:
        top = int(unnamed.argmax())
        at = float(spectrum.energies[top])
        near = np.abs(spectrum.energies - at) < _NEAR_FWHM * float(
            spectrum.setting.detector.fwhm(np.array(at))
        )
        counts = float(unnamed[near].sum())
        error = math.sqrt(best.misfit * float((unnamed + other)[near].sum()))
        part = counts / float(spectrum.counts.sum())
        if part < _LEAST_PART or counts < _SIGNIFICANT * error:
            break
        if scattered[top] <= _OF_SOURCE:
            peaks.append(UnnamedPeak(at, part, _at_line(spectrum, at)))
        unnamed[near] = 0
    return tuple(peaks)


def _of_guessed_anode(explained: Explanation) -> list[UnnamedPeak]:
    spectrum, best = explained.spectrum, explained.best
    anode, counts = spectrum.setting.anode, float(spectrum.counts.sum())
    scattered = {
        spectrum.names[k]: (amplitude / counts, spectrum.columns[k])
        for k, amplitude in zip(best.index, best.fit.amplitudes, strict=True)
        if spectrum.names[k].endswith("elastic")
    }
    if anode in (None, USUAL_ANODE):
        return []
    part, column = max(scattered.values(), key=lambda one: one[0], default=(0.0, spectrum.energies))
    at = float(spectrum.energies[int(column.argmax())])
    return [UnnamedPeak(at, part, (anode,), anode=True)] if part >= _LEAST_PART else []


def _at_line(spectrum: SpectrumFit, at: float) -> tuple[str, ...]:
    """Return the usual elements whose main line stands at an energy in keV, the likeliest first."""
    reach = _ON_LINE_FWHM * float(spectrum.setting.detector.fwhm(np.array(at)))
    near = [
        (-one.log_odds, abs(line - at), one.element)
        for one in spectrum.pool
        if one.log_odds >= USUAL_LOG_ODDS
        for line in [float(spectrum.setting.energy.energies[int(one.columns[0].argmax())])]
        if abs(line - at) < reach
    ]
    return tuple(element for *_, element in sorted(near)[:2])
