"""The anode of a tube that the file does not name, from the lines it scatters into the spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.candidates import log_odds
from napari_xrf.maps.explanation import explain, explain_again
from napari_xrf.maps.setting import Setting

# Anodes whose Compton peaks a detector tells from the elastic ones; those of Cr and Cu it does not.
_ANODES = ("Rh", "Mo", "Ag", "W", "Pd")
_NO_ANODE = 3.0  # log-odds against a tube of a certain anode where nothing is known
_STRANGER = -5.0  # log-odds of an anode whose own lines the spectrum did not seem to show
_HIGHEST_TUBE_KEV = 70.0


def with_likely_anode(
    spectrum: NDArray[np.float64],
    setting: Setting,
    listed: tuple[str, ...] = (),
    progress: Progress = ignore_progress,
) -> Setting:
    """Return the setting as that of a tube where the scattered lines of an anode explain the spectrum better.

    Only for an unknown kind of excitation. The spectrum is explained by elements first, then with the
    elastic and Compton peaks of each usual anode in place of that element; the likelier explanation stands,
    the prior odds of the anode's element counted against finding it in the sample.

    Parameters
    ----------
    spectrum
        (E,) summed counts.
    setting
        Calibrated.
    listed
        Elements that the file names; none of them is taken for the anode.
    """
    if setting.kind is not None or setting.highest_kev > _HIGHEST_TUBE_KEV:
        return setting
    before = explain(spectrum, setting, listed, progress=progress)
    present = {one.element for one in before.elements}
    best, best_odds = setting, 0.0
    for anode in _ANODES:
        inner = "L3" if anode == "W" else "K"
        if anode in listed or edge_energy(anode, inner) >= setting.highest_kev:
            continue
        trial = replace(setting, kind="tube", anode=anode)
        again = explain_again(
            spectrum,
            trial,
            replace(before, elements=tuple(e for e in before.elements if e.element != anode)),
            progress,
        )
        odds = 0.5 * (before.fit.chi_square - again.fit.chi_square) - _NO_ANODE
        odds += -log_odds(anode) if anode in present else _STRANGER
        if odds > best_odds:
            best, best_odds = trial, odds
    return best
