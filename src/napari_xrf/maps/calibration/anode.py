"""The source that a file does not name, from the lines that the sample scatters into the spectrum."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import edge_energy
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.maps.identification.explanation import Explanation, explain, explain_again
from napari_xrf.maps.spectra.scatter import ANODES, USUAL_ANODE
from napari_xrf.maps.spectra.setting import Setting, last_energy

_ANGLES_DEG = (130.0, 105.0, 155.0)
_NO_ANODE = 3.0  # log-odds against a tube of a certain anode where nothing is known
_HIGHEST_TUBE_KEV = 70.0
_HALF_SEEN = 1000.0  # log-odds against an anode of which all but the line that tells it is seen
_SEEN, _NOT_SEEN = 5.0, 3.0  # standard errors
_STRONG_PART = 0.2  # of all counts
_WELL_EXCITED = 1.3  # overvoltage
_K_EDGE_OVER_ALPHA = 1.15  # of the anodes


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

    ``spectrum``: (E,) summed counts. ``setting``: calibrated. ``before``: the spectrum's explanation in this
    setting. ``listed``: elements that the file names; none of them is taken for an unknown anode, but
    rhodium: programs list what they name in the spectrum, and samples hardly ever hold it.
    """
    if setting.kind not in (None, "tube") or setting.highest_kev > _HIGHEST_TUBE_KEV:
        return setting, before
    plain = explain_again(spectrum, setting, before, strays=False, progress=progress)
    trials = [(setting, plain)]

    # Where the axis ends amid counts, the voltage lies above: Kα of an anode may lie on it, its edge beyond.
    cut = last_energy(spectrum, setting.energy) >= float(setting.energy.energies[-1]) - setting.energy.width
    reach = setting.highest_kev * (_K_EDGE_OVER_ALPHA if cut else 1.0)

    def attempt(anode: str, angle: float) -> None:
        least = edge_energy(anode, "K") * _WELL_EXCITED if cut and anode != "W" else 0.0
        trial = replace(setting, kind="tube", anode=anode, scatter_deg=angle)
        trial = replace(trial, highest_kev=max(setting.highest_kev, least))
        trials.append(
            (trial, explain_again(spectrum, trial, plain, without=(anode,), strays=False, progress=progress))
        )

    for anode in (setting.anode,) if setting.anode else ANODES:
        inner = "L3" if anode == "W" else "K"
        named = anode in listed and anode != "Rh"
        if setting.anode or (
            not named and edge_energy(anode, inner) < (setting.highest_kev if anode == "W" else reach)
        ):
            attempt(anode, _ANGLES_DEG[0])
    if len(trials) == 1:  # the spectrum ends below what excites any usual anode
        return setting, before
    temper = min(again.best.misfit for _, again in trials)

    def score(one: tuple[Setting, Explanation]) -> float:
        unlikely = 0.0 if setting.anode else ANODES.get(one[0].anode or "", 0.0)
        return one[1].best.score(temper) + unlikely - _HALF_SEEN * _half_seen(*one)

    likeliest = max(trials[1:], key=score)[0].anode or ""
    for angle in _ANGLES_DEG[1:]:
        attempt(likeliest, angle)
    best = max(trials[1:], key=score)
    if setting.anode is None and best[0].anode != USUAL_ANODE:
        best = _beside_usual(spectrum, best, trials[1:], plain, listed, progress)
    if setting.anode is None and score(best) < plain.best.score(temper) + _NO_ANODE:
        return setting, before
    found, again = best
    return found, explain_again(spectrum, found, again, prune=True, progress=progress)


def _beside_usual(
    spectrum: NDArray[np.float64],
    best: tuple[Setting, Explanation],
    trials: list[tuple[Setting, Explanation]],
    plain: Explanation,
    listed: tuple[str, ...],
    progress: Progress,
) -> tuple[Setting, Explanation]:
    """Return the likelier of an unusual anode and the usual one, both with all that else explains peaks.

    A reflection where a line of the unusual anode lies, speaks for it until stray peaks compete.
    """
    usual = next((one for one in trials if one[0].anode == USUAL_ANODE), best)
    known = tuple(one.element for one in plain.elements)
    both = []
    for trial, _ in (usual, best):
        kept = tuple(one for one in known if one != trial.anode)
        again = explain(spectrum, trial, listed, kept, thorough=False, usual=True, progress=progress)
        both.append((trial, again))
    temper = min(again.best.misfit for _, again in both)
    return max(both, key=lambda one: one[1].best.score(temper) + ANODES[one[0].anode or ""])


def _half_seen(setting: Setting, explained: Explanation) -> bool:
    """Whether an anode's soft or Compton lines are seen, and the elastic one that it excites well is not."""
    anode = setting.anode or ""
    shell = "L" if anode == "W" else "K"
    if edge_energy(anode, "L3" if shell == "L" else "K") > setting.highest_kev / _WELL_EXCITED:
        return False
    seen = _significance(explained, f"{anode} ")
    return max(seen.values(), default=0.0) > _SEEN and seen.get(f"{anode} {shell} elastic", 0.0) < _NOT_SEEN


def lacks_soft_lines(setting: Setting, explained: Explanation) -> bool:
    """Whether an anode's K lines are seen and its L lines are not, though still softer lines are strong.

    What lets these through, lets the anode's L lines through, which a tube emits whenever it emits K lines.
    """
    anode, best, spectrum = setting.anode or "", explained.best, explained.spectrum
    seen, name = _significance(explained, f"{anode} "), f"{anode} L elastic"
    if setting.kind != "tube" or name not in seen or max(seen.values()) < _SEEN or seen[name] > _NOT_SEEN:
        return False
    energies = explained.setting.energy.energies
    tops = energies[spectrum.whole[best.index].argmax(axis=1)]
    names = np.array([spectrum.names[k] for k in best.index], dtype=str)
    at = energies[spectrum.whole[spectrum.names.index(name)].argmax()]
    stray = np.char.startswith(names, "stray")
    if (stray & (np.abs(tops - at) < float(setting.detector.fwhm(at))) & (best.fit.amplitudes > 0)).any():
        return False  # they are seen, but elsewhere
    families = [spectrum.own[one] for one in best.content.elements]
    elements = np.isin(best.index, np.concatenate([*families, np.zeros(0, dtype=np.intp)]))
    soft = best.fit.amplitudes[elements & (tops < at)].sum()
    return bool(soft > _STRONG_PART * spectrum.counts.sum())


def _significance(explained: Explanation, start: str) -> dict[str, float]:
    """Return how many standard errors the columns hold whose names start so."""
    best = explained.best
    errors = np.maximum(best.fit.errors * np.sqrt(best.misfit), 1e-300)
    names = [explained.spectrum.names[k] for k in best.index]
    return {
        name: float(part)
        for name, part in zip(names, best.fit.amplitudes / errors, strict=True)
        if name.startswith(start)
    }
