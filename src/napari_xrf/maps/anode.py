"""The source that a file does not name, from the lines that the sample scatters into the spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.explanation import Explanation, explain_again
from napari_xrf.maps.setting import Setting

# Anodes whose Compton peaks a detector tells from the elastic ones; those of Cr and Cu it does not.
_ANODES = {"Rh": 0.0, "Mo": -6.0, "Ag": -6.0, "W": -8.0, "Pd": -8.0}  # and how likely each is, log-odds
_ANGLES_DEG = (130.0, 105.0, 155.0)
_NO_ANODE = 3.0  # log-odds against a tube of a certain anode where nothing is known
_HIGHEST_TUBE_KEV = 70.0


def with_likely_anode(
    spectrum: NDArray[np.float64],
    setting: Setting,
    before: Explanation,
    listed: tuple[str, ...] = (),
    progress: Progress = ignore_progress,
) -> tuple[Setting, Explanation]:
    """Return the setting of a tube whose scattered lines explain the spectrum better, and the new fit.

    Only for an unknown kind of excitation, or a tube of unknown anode. The elements of an explanation without
    scatter compete with the elastic and Compton peaks of each usual anode at two scatter angles; those
    that no longer pay are let go, and the likelier explanation stands. A known anode is tried at these
    angles and its own.

    Parameters
    ----------
    spectrum
        (E,) summed counts.
    setting
        Calibrated.
    before
        The spectrum's explanation in this setting.
    listed
        Elements that the file names; none of them is taken for an unknown anode.
    """
    if setting.kind not in (None, "tube") or setting.highest_kev > _HIGHEST_TUBE_KEV:
        return setting, before
    plain = explain_again(spectrum, setting, before, strays=False, progress=progress)
    trials = [(setting, plain)]

    def attempt(anode: str, angle: float) -> None:
        trial = replace(setting, kind="tube", anode=anode, scatter_deg=angle)
        trials.append(
            (
                trial,
                explain_again(spectrum, trial, plain, without=(anode,), strays=False, progress=progress),
            )
        )

    for anode in (setting.anode,) if setting.anode else _ANODES:
        inner = "L3" if anode == "W" else "K"
        if setting.anode or (anode not in listed and edge_energy(anode, inner) < setting.highest_kev):
            attempt(anode, _ANGLES_DEG[0])
    temper = min(again.best.misfit for _, again in trials)

    def score(one: tuple[Setting, Explanation]) -> float:
        return one[1].best.score(temper) + (
            _ANODES.get(one[0].anode or "", 0.0) if not setting.anode else 0.0
        )

    likeliest = max(trials[1:], key=score, default=trials[0])
    if likeliest[0].anode is not None:
        for angle in _ANGLES_DEG[1:]:
            attempt(likeliest[0].anode, angle)
    best = max(trials[1:], key=score, default=trials[0])
    if setting.anode is None and score(best) < plain.best.score(temper) + _NO_ANODE:
        return setting, before
    found, again = best
    return found, explain_again(spectrum, found, again, prune=True, progress=progress)
