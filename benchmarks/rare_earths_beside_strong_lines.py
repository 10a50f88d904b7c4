"""Rare earths found in oxides whose lines hide them, and where there are none, by the independent code.

    python -m benchmarks.rare_earths_beside_strong_lines [--seed 1] [--host PART]

Each rare earth at 0 (twice), 0.1, 0.3, 1 and 3 % in 10 to 95 % of an oxide, on tube instruments drawn from
the seed. *Missed*: not named, though its peak can be seen (see ``independent/element_set.py``).
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
from benchmarks.elements_of_independent_spectra import score_case
from benchmarks.elements_of_measured_files import print_score
from benchmarks.independent.cross_sections import mixed_fractions
from benchmarks.independent.element_set import Case, make_case

PAIRS = (
    ("Fe2O3", "Tb"), ("Fe2O3", "Gd"), ("Cr2O3", "Eu"), ("Cr2O3", "Gd"), ("TiO2", "Ce"), ("BaSO4", "Ce"),
    ("Fe2O3", "Eu"), ("MnO", "Eu"),
)  # fmt: skip
PERCENT = (0.0, 0.0, 0.1, 0.3, 1.0, 3.0)
_MATRICES = ("SiO2", "CaCO3", "Al2O3", "C6H10O5")


def draw_case(number: int, host: str, rare: str, percent: float) -> Case:
    """Return a host oxide in a matrix, with some of a rare earth, on a tube instrument drawn anew."""
    generator = np.random.default_rng([number, 77])
    share = float(np.exp(generator.uniform(*np.log((10, 95)))))
    parts = {host: share, str(generator.choice(_MATRICES)): 100 - share}
    parts |= {rare: percent} if percent else {}
    dose = float(np.exp(generator.uniform(*np.log((3e5, 2e7)))))
    name = f"{host} {share:.0f} + {rare} {percent:g} %"
    return make_case(number, dose, name, mixed_fractions(parts), electrons=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", default="", help="only oxides whose names hold this")
    options = parser.parse_args()
    totals: dict[float, list[int]] = defaultdict(lambda: [0] * 5)
    for k, (host, rare) in enumerate(PAIRS):
        for step, percent in enumerate(PERCENT if options.host in host else ()):
            case = draw_case(1000 * options.seed + 10 * k + step, host, rare, percent)
            score = score_case(case)
            print_score(score, f"[{case.told}]")
            named = percent > 0 and rare in {one.element for one in (*score.true, *score.allowed)}
            own = 1, rare in case.visible, named, rare in score.missed, len(score.false)
            totals[percent] = [a + b for a, b in zip(totals[percent], own, strict=True)]
    print("| % | spectra | seen | named | missed | false, of any element |\n|---|---|---|---|---|---|")
    for percent, total in totals.items():
        print(f"| {percent:g} | " + " | ".join(map(str, total)) + " |")


if __name__ == "__main__":
    main()
