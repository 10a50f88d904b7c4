"""Time of the detector's response: 500 lines and a whole continuum on 4096 channels, and pile-up.

Run: python benchmarks/detector_speed.py (alone; the table is CPU time, best of several)
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from napari_xrf.physics.detector.detector import respond, response_matrix
from napari_xrf.physics.instrument import load_instrument
from pile_up import pile_up


def main() -> None:
    instrument = load_instrument("m4-tornado")
    detector, axis = instrument.detector, instrument.energy
    lines = np.sort(np.random.default_rng(0).uniform(1, 25, 500))
    continuum = axis.energies[axis.energies > 0.1]
    photons, many = np.ones(500), np.ones((100, continuum.size))
    known = response_matrix(detector, axis, continuum)
    spectrum = respond(detector, axis, lines, photons)

    def lines_afresh(turn: int) -> None:
        respond(detector, axis, lines + 1e-7 * (turn + 1), photons)

    def continuum_afresh(turn: int) -> None:
        response_matrix(detector, axis, continuum + 1e-7 * (turn + 1))

    rows = {
        "500 lines, new response": lines_afresh,
        "500 lines, known response": lambda _: respond(detector, axis, lines, photons),
        "continuum of 4000 energies, new response": continuum_afresh,
        "continuum of 4000 energies, known response": lambda _: known.fold(many[0]),
        "100 continua at once, known response": lambda _: known.fold(many),
        "pile-up of one spectrum": lambda _: pile_up(spectrum, axis, 1e5, 0.4),
    }
    for name, work in rows.items():
        print(f"{name:45} {1e3 * best_of(work):8.2f} ms")


def best_of(work: Callable[[int], object], turns: int = 7) -> float:
    """CPU seconds of the quickest of several turns."""
    taken = []
    for turn in range(turns):
        start = time.process_time()
        work(turn)
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    main()
