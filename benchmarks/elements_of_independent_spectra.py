"""Elements found in spectra of random samples by the independent code, beside what is there.

    python -m benchmarks.elements_of_independent_spectra [--seeds 0:200] [--folder CASES] [--kind PART]

See ``independent/element_set.py``. *True*: in the sample; *false*: not in it; *missed*: not found, though its
peak is a fifth of all counts there and eight standard errors. Seeds from 1000 on were not looked at while
anything was chosen. ``--folder`` keeps the spectra, which take longer to make than to explain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from benchmarks.elements_of_measured_files import Score, print_score, reliability, score_cube, summary
from benchmarks.independent.element_set import Case, stored_case

_AIR = ("Ar",)


def score_case(case: Case) -> Score:
    """Find the elements of a case and compare them with its truth."""
    allowed = tuple(name for name in (*case.there, *_AIR) if name not in case.visible)
    # What is there in traces is right to be found, and no fault to be missed.
    return score_cube(case.cube, f"{case.seed} {case.sample}", case.visible, allowed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="0:200", help="FIRST:END (%(default)s)")
    parser.add_argument("--folder", type=Path, help="where the spectra are kept")
    parser.add_argument("--kind", default="", help="only samples of that kind, or 'electron', 'tube'")
    options = parser.parse_args()
    first, end = (int(part) for part in options.seeds.split(":"))
    scores: list[tuple[Case, Score]] = []
    for seed in range(first, end):
        case = stored_case(seed, options.folder)
        if options.kind not in f"{case.sample} {'electron' if case.told.startswith('e ') else 'tube'}":
            continue
        scores.append((case, score_case(case)))
        print_score(scores[-1][1], f"[{case.told}{'' if case.excitation.kind else ', not stated'}]")
    print("| spectra | number | true + traces | false (p > 0.995) | missed | processor seconds |")
    print("|---|---|---|---|---|---|")
    for kind in sorted({case.sample for case, _ in scores}):
        print(summary([score for case, score in scores if case.sample == kind], kind))
    for name, electrons in (("electrons", True), ("tubes", False)):
        print(summary([score for case, score in scores if case.told.startswith("e ") == electrons], name))
    print(summary([score for _, score in scores], "all"))
    visible = sum(len(case.visible) for case, _ in scores)
    named = sum(len(score.true) + len(score.allowed) + len(score.false) for _, score in scores)
    false, missed = (sum(len(getattr(score, part)) for _, score in scores) for part in ("false", "missed"))
    shares = 100 * false / max(named, 1), 100 * missed / max(visible, 1)
    print(f"{shares[0]:.1f} % of the named are false, {shares[1]:.1f} % of the visible missed")
    print(reliability([score for _, score in scores], traces=True))
    wrong = np.array([len(score.false) for _, score in scores])
    print(f"{(wrong > 0).sum()} of {wrong.size} spectra with a false element")


if __name__ == "__main__":
    main()
