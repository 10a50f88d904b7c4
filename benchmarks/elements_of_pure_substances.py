"""Elements found in pure substances by the independent code, as counts rise: no false one at any dose.

    python -m benchmarks.elements_of_pure_substances [FORMULA ...] [--doses 1e5,1e6,2e7] [--folder CASES]
        [--anywhere SEED [--electrons]]

Each substance on the nominal M4 Tornado, whose excitation is stated, with errors of the axis and pile-up
drawn for each; or on instruments drawn from a seed, tubes and electrons. *Lost*: found at a lower dose and
not at this one.
"""

from __future__ import annotations

import argparse
import zlib
from collections import defaultdict
from pathlib import Path

from benchmarks.elements_of_independent_spectra import score_case
from benchmarks.elements_of_measured_files import Score, print_score
from benchmarks.independent.cross_sections import mixed_fractions
from benchmarks.independent.element_set import Case, make_case, stored_case

SUBSTANCES = (
    "Mg", "Al", "Si", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ge", "Y", "Zr", "Nb", "Mo",
    "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "Hf", "Ta", "W", "Pt", "Au", "Pb", "Bi", "SiO2", "CaCO3",
    "NaCl", "KCl", "PbS", "HgS", "SnO2", "BaSO4", "TiO2", "Fe2O3", "CuFeS2", "ZnS", "As2S3", "CeO2", "UO2",
    "CaF2",
)  # fmt: skip


def draw_case(
    formula: str, dose: float, folder: Path | None, anywhere: int | None, electrons: bool | None = None
) -> Case:
    """Return a substance at a dose, on the M4 or on an instrument drawn from a seed and its name."""
    own = SUBSTANCES.index(formula) if formula in SUBSTANCES else zlib.crc32(formula.encode())
    if anywhere is None:
        return stored_case(own, folder, dose, formula)
    fractions = mixed_fractions({formula: 100.0})
    return make_case(1000 * anywhere + own % 1000, dose, formula, fractions, electrons)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("formulas", nargs="*")
    parser.add_argument("--doses", default="1e5,1e6,2e7")
    parser.add_argument("--folder", type=Path, help="where the spectra are kept")
    parser.add_argument("--anywhere", type=int, help="seed of random instruments")
    parser.add_argument("--electrons", action="store_true", help="of these, electrons only")
    options = parser.parse_args()
    doses = [float(dose) for dose in options.doses.split(",")]
    scores: dict[float, list[Score]] = defaultdict(list)
    lost: dict[float, int] = defaultdict(int)
    for formula in options.formulas or SUBSTANCES:
        before: set[str] = set()
        for dose in doses:
            case = draw_case(formula, dose, options.folder, options.anywhere, options.electrons or None)
            score = score_case(case)
            found = {one.element for one in score.true}
            gone = sorted(before - found)
            before |= found
            scores[dose].append(score)
            lost[dose] += len(gone)
            print_score(score, f"LOST {' '.join(gone) or '-'} [{case.told}]")
    print("| counts | substances | with a false element | missed | lost |\n|---|---|---|---|---|")
    for dose in doses:
        wrong, missed = (sum(bool(getattr(s, part)) for s in scores[dose]) for part in ("false", "missed"))
        print(f"| {dose:.0e} | {len(scores[dose])} | {wrong} | {missed} | {lost[dose]} |")


if __name__ == "__main__":
    main()
