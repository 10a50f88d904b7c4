"""Weight percent of measured standards, each quantified as a file is that nobody says anything of.

    python -m benchmarks.quantities_of_standards ../shared/data/standards

Found over true, with the standard error of it, of every element whose certified weight is above ``--least``
percent; elements are those that the product finds, and what it does not find is a row without a factor. Each
soil is normalised to 100 %, though some per cent of it show no line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from benchmarks.quantities_beside_pymca import certified

from napari_xrf import io
from napari_xrf.maps.quantification.weight_percent import quantify

FILES = (
    "K411_glass_SEM_15kV.msa",
    "K412_glass_SEM_15kV.msa",
    "SiO2_SEM.msa",
    "MgO_SEM.msa",
    "BHVO-2G_glass_PIXL_breadboard_Rh28kV.msa",
    "LKSD-1_sediment_Horiba_Rh50kV.txt",
    "NIST_2586_soil_Horiba_Rh50kV.txt",
    "Till-1_soil_Horiba_Rh50kV.txt",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--least", type=float, default=1.0, help="weight percent")
    options = parser.parse_args()
    truth, pulls = certified(options.folder), []
    print("| | element | true | found | found over true | in errors |")
    print("|---|---|---|---|---|---|")
    for file in FILES:
        found = quantify(io.read(options.folder / file))[0]
        entries = {entry.element: entry for entry in found.entries}
        for (name, element), real in truth.items():
            if name != file or real < options.least:
                continue
            told = f"| {file.split('_')[0]} | {element} | {real:.4g} |"
            if element not in entries:
                print(f"{told} – | – | – |")
                continue
            value = 100 * entries[element].weight_fraction
            error = 100 * entries[element].standard_error
            pulls.append((value - real) / error)
            factor = f"{value / real:.3f} ± {error / real:.3f}"
            print(f"{told} {value:.4g} ± {error:.2g} | {factor} | {pulls[-1]:+.1f} |")
    held = [100 * np.mean(np.abs(pulls) < number) for number in (1, 2)]
    print(f"\n{len(pulls)} weights: {held[0]:.0f} % within one standard error, {held[1]:.0f} % within two")


if __name__ == "__main__":
    main()
