"""Compare detected line families with fisx: 40 minerals and alloys, thick and thin.

Run ``python benchmarks/fisx_comparison.py`` (4 minutes, nearly all of them fisx's); it prints a table and a
summary. The beam is the M4 preset's Rh tube at 50 kV in bins of 0.75 keV, the same photons in both codes; the
detector's efficiency is ours in both.
"""

import math
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fisx_reference import COMPOSITIONS, fisx_families, material
from napari_xrf.physics.attenuation import Layer
from napari_xrf.physics.fluorescence import Beam, fluoresce
from napari_xrf.physics.illumination import Illumination
from napari_xrf.physics.instrument import load_instrument

ANGLES = 50.0, 50.0
LOWEST_KEV = 1.0  # fisx's cross-sections are tabulated from here
STRONG = 0.01  # of the detected fluorescence of a sample
SEEN = 0.001


def tube_beam(step: float = 0.75) -> Beam:
    light = Illumination(load_instrument("m4-tornado"))
    centres = np.arange(LOWEST_KEV + step / 2, light.highest, step)
    lines, photons = light.lines
    main = photons > 0.05 * photons.max()
    lines, photons = lines[main], photons[main]
    return Beam(np.concatenate([centres, lines]), np.concatenate([light.continuum(centres) * step, photons]))


def compare(layers: list[Layer], beam: Beam) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Family → (share of the detected fluorescence, ours over fisx), and the seconds of both."""
    detector = load_instrument("m4-tornado").detector
    start = time.perf_counter()
    found = fluoresce(layers, beam, *ANGLES)
    ours = found.lines.family_sums(found.intensities * detector.efficiency(found.lines.energies))
    middle = time.perf_counter()
    theirs = fisx_families(layers, beam, *ANGLES, detector.efficiency)
    end = time.perf_counter()
    total = sum(theirs.values())
    ratios = {
        family: (value / total, ours.get(family, 0.0) / value)
        for family, value in theirs.items()
        if value > SEEN * total
    }
    return ratios, middle - start, end - middle


def main() -> None:
    beam = tube_beam()
    everything, strong, worst = [], [], []
    seconds = np.zeros(2)
    print(f"{'sample':24s} {'family':6s} {'share %':>8s} {'ours/fisx':>10s}")
    for name in COMPOSITIONS:
        for label, thickness in (("thick", math.inf), ("10 µm", 10.0), ("0.5 µm", 0.5)):
            ratios, *taken = compare([Layer(material(name), thickness)], beam)
            seconds += taken
            for family, (share, ratio) in ratios.items():
                everything.append(abs(ratio - 1))
                if share >= STRONG:
                    strong.append(abs(ratio - 1))
                    worst.append((abs(ratio - 1), f"{name}, {label}", family, share, ratio))
                print(f"{name + ', ' + label:24s} {family:6s} {100 * share:8.2f} {ratio:10.4f}")
    print(f"\n{len(COMPOSITIONS)} compositions, each in 3 thicknesses")
    print(
        f"families: {len(everything)} above {SEEN:.1%} of a sample, {len(strong)} strong, above {STRONG:.0%}"
    )
    print(
        f"median difference: all {100 * np.median(everything):.2f} %, strong {100 * np.median(strong):.2f} %"
    )
    print(f"strong lines over 5 %: {sum(value > 0.05 for value in strong)}; the largest:")
    for _, sample, family, share, ratio in sorted(worst, reverse=True)[:25]:
        print(f"  {sample:24s} {family:6s} {100 * share:8.2f} {ratio:10.4f}")
    print(
        f"time: ours {seconds[0]:.2f} s, fisx {seconds[1]:.2f} s, {seconds[1] / seconds[0]:.1f} times as long"
    )


if __name__ == "__main__":
    main()
