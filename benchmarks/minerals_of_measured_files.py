"""What minerals are found, none named beforehand, in measured spectra of known samples and measured maps.

    python -m benchmarks.minerals_of_measured_files FOLDER [PART OF A NAME ...] [--table FILE.md]

FOLDER holds ``standards/``, ``spectra/``, ``hdf5/`` and ``bcf/``. A spectrum is taken as a map of one pixel.
*right*: its name, or a group or mixture with it; *open*: unknown, or of a confidence below one half;
*doubt*: a wrong name of a confidence below 0.9; *wrong*: a wrong name that is sure. Of maps the classes stand
with their mean confidence, and the areas that pixels hold of them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import napari_xrf as nx
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import UNKNOWN_LABEL, UNKNOWN_NAME, LabelMap, members_of

_SURE, _OPEN = 0.9, 0.5
_LEAST_SHARE, _MOST_CLASSES = 0.005, 12

# File → names that are right. Where the library has none, unknown is.
SPECTRA = {
    "standards/K411_glass_SEM_15kV.msa": "",
    "standards/K412_glass_SEM_15kV.msa": "",
    "standards/MgO_SEM.msa": "periclase brucite",
    "standards/SiO2_SEM.msa": "quartz opal cristobalite",
    "standards/Zn_metal_SEM.msa": "",
    "standards/Ge_SEM.msa": "",
    "standards/Zr_metal_microXRF_Rh50kV.msa": "",
    "standards/NIST_2586_soil_Horiba_Rh50kV.txt": "",
    "standards/LKSD-1_sediment_Horiba_Rh50kV.txt": "",
    "standards/Till-1_soil_Horiba_Rh50kV.txt": "",
    "standards/BHVO-2G_glass_PIXL_breadboard_Rh28kV.msa": "",
    "spectra/nist_microxrf/Cr_50kv_50_ma_Rh_vac_D1.msa": "",
    "spectra/nist_microxrf/Cu_50kv_50_ma_Rh_vac_D1.msa": "copper",
    "spectra/nist_microxrf/Fe_50kv_50_ma_Rh_vac_D1.msa": "iron",
    "spectra/nist_microxrf/Ni_50kv_50_ma_Rh_vac_D1.msa": "",
    "spectra/nist_microxrf/S_50kv_50_ma_Rh_vac_D1.msa": "sulfur",
    "spectra/nist_microxrf/Si_50kv_50_ma_Rh_vac_D1.msa": "",
    "spectra/nist_microxrf/Ti_50kv_50_ma_Rh_vac_D1.msa": "",
    "spectra/nist_microxrf/Acrylic_50kv_50_ma_Rh_vac_D1_600s.msa": "acrylic-resin epoxy-resin graphite",
    "spectra/horiba_xgt7200/Al.txt": "aluminium",
    "spectra/horiba_xgt7200/Cu.txt": "copper",
    "spectra/horiba_xgt7200/Fe.txt": "iron",
    "spectra/horiba_xgt7200/Mg.txt": "",
    "spectra/horiba_xgt7200/Ti.txt": "",
    "spectra/horiba_xgt7200/Zn.txt": "",
}
MAPS = (
    "hdf5/LagunaSalinas_PIXL_25x25x4096.h5",
    "hdf5/GeoPIXE_ts2_10x20x4096.h5",
    "bcf/P45_12bit_packed_8bit.bcf",
    "bcf/30x30_instructively_packed_16bit_compressed.bcf",
)


@dataclass(frozen=True)
class Row:
    """What was found in one file: verdict, where there is one, and what is told of it."""

    file: str
    verdict: str
    told: str
    seconds: float


def judge(path: Path, file: str) -> Row:
    """Map the minerals of a file with default options."""
    start = time.process_time()
    try:
        found = nx.map_minerals(nx.read(path), None)
    except XrfError as error:
        return Row(file, "open", f"refused: {error}", time.process_time() - start)
    labels = found.label_map
    seconds = time.process_time() - start
    if file in MAPS:
        shares = [f"{100 * share:.1f} % {name} ({sure:.2f})" for name, share, sure in _classes(labels)]
        told = ", ".join(shares[:_MOST_CLASSES])
        if found.abundances is not None:
            areas = zip(found.abundances.classes, found.abundances.values.mean(axis=(0, 1)), strict=True)
            held = sorted(((float(area), each.name) for each, area in areas), reverse=True)
            told += "; areas " + ", ".join(
                f"{100 * a:.0f} {name}" for a, name in held[:_MOST_CLASSES] if a > _LEAST_SHARE
            )
        return Row(file, "", told, seconds)
    label = int(labels.labels.ravel()[0])
    name = next((each.name for each in labels.classes if each.label == label), "not measured")
    sure = 1.0 if labels.confidence is None else float(labels.confidence.ravel()[0])
    right = {each.replace("-", " ") for each in SPECTRA[file].split()}
    if label == UNKNOWN_LABEL or sure < _OPEN:
        verdict = "open"
    elif right & set(members_of(name)):
        verdict = "right"
    else:
        verdict = "wrong" if sure >= _SURE else "doubt"
    others = [
        f"{100 * share:.0f} % {each}"
        for each, share in labels.shares().items()
        if _LEAST_SHARE < share < 1 and each != UNKNOWN_NAME
    ]
    return Row(file, verdict, f"{name} ({sure:.2f})" + (f"; {', '.join(others)}" if others else ""), seconds)


def _classes(labels: LabelMap) -> list[tuple[str, float, float]]:
    """Return name, share and mean confidence of the classes, the largest first."""
    rows = []
    for name, share in labels.shares().items():
        own = np.isin(labels.labels, [each.label for each in labels.classes if each.name == name])
        sure = (
            1.0 if labels.confidence is None else float(labels.confidence[own].mean()) if own.any() else 0.0
        )
        if share > _LEAST_SHARE:
            rows.append((name, share, sure))
    return sorted(rows, key=lambda row: -row[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", help="only files whose path holds one of these")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    rows = []
    for file in (*SPECTRA, *MAPS):
        if (given.folder / file).exists() and (not given.parts or any(part in file for part in given.parts)):
            rows.append(judge(given.folder / file, file))
            row = rows[-1]
            print(f"{row.verdict:6s} {Path(file).name[:34]:34s} {row.seconds:5.1f} s  {row.told}", flush=True)
    judged = [row.verdict for row in rows if row.verdict]
    print(", ".join(f"{judged.count(each)} {each}" for each in ("right", "open", "doubt", "wrong")))
    if given.table:
        lines = ["| file | verdict | found (confidence) |", "|---|---|---|"]
        lines += [f"| {row.file} | {row.verdict} | {row.told} |" for row in rows]
        given.table.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
