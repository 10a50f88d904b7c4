"""Elements found in measured files, beside those that the files or their descriptions list.

    python benchmarks/elements_of_measured_files.py FOLDER [PART OF A NAME ...]

FOLDER holds ``bcf/``, ``hdf5/`` and ``spectra/`` (see the table below). A found element that is not
listed is not always false: lists name what somebody looked for. For the pure spectra everything else is
counted as false, though a metal sheet does hold traces.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import napari_xrf
from napari_xrf.core.errors import XrfError
from napari_xrf.maps.calibrated_map import find_elements

# File → elements listed by the file, its sister file or its description; "?" where nobody lists any.
LISTED = {
    "bcf/P45_12bit_packed_8bit.bcf": "O Na Mg Al Si P Cl K Ca Ti Fe",
    "bcf/30x30_instructively_packed_16bit_compressed.bcf": "C O Na Mg Al Si P K Ca Ti Fe Ce Nd Sm Gd Th",
    "bcf/bcf_v2_50x50px.bcf": "C O Al Cu Ag",
    "bcf/4on3_full.bcf": "?",
    "bcf/Hitachi_TM3030Plus.bcf": "C O Al Cu",
    "bcf/16x16_12bit_packed_8bit.bcf": "?",
    "bcf/bcf-edx-ebsd.bcf": "?",
    "bcf/test_TEM.bcf": "O Ti Cu Pd",
    "hdf5/APS_2IDE_2xfm_0010_11x11x2000_sum4.h5": "Si P S Cl Ar K Ca Ti Cr Mn Fe Co Ni Cu Zn",
    "hdf5/2xfm_0011_2xfm3__0.h5": "Si P S Cl Ar K Ca Ti Cr Mn Fe Co Ni Cu Zn",
    "hdf5/GeoPIXE_ts2_10x20x4096.h5": "?",
    "hdf5/i18_test_data.nxs": "?",
    "hdf5/SiO2_EDS_SI.hspy": "O Si",
    "hdf5/EDS_SEM_TM002.hspy": "C O Al Mn Cu Zr",
    "spectra/nist_microxrf/Cr_50kv_50_ma_Rh_vac_D1.msa": "Cr",
    "spectra/nist_microxrf/Cu_50kv_50_ma_Rh_vac_D1.msa": "Cu",
    "spectra/nist_microxrf/Fe_50kv_50_ma_Rh_vac_D1.msa": "Fe",
    "spectra/nist_microxrf/Ni_50kv_50_ma_Rh_vac_D1.msa": "Ni",
    "spectra/nist_microxrf/S_50kv_50_ma_Rh_vac_D1.msa": "S",
    "spectra/nist_microxrf/Si_50kv_50_ma_Rh_vac_D1.msa": "Si",
    "spectra/nist_microxrf/Ti_50kv_50_ma_Rh_vac_D1.msa": "Ti",
    "spectra/nist_microxrf/Acrylic_50kv_50_ma_Rh_vac_D1_600s.msa": "",
    "spectra/horiba_xgt7200/Al.txt": "Al",
    "spectra/horiba_xgt7200/Cu.txt": "Cu",
    "spectra/horiba_xgt7200/Fe.txt": "Fe",
    "spectra/horiba_xgt7200/Mg.txt": "Mg",
    "spectra/horiba_xgt7200/Ti.txt": "Ti",
    "spectra/horiba_xgt7200/Zn.txt": "Zn",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", help="only files whose names hold one of these")
    options = parser.parse_args()
    for name, text in LISTED.items():
        if options.parts and not any(part in name for part in options.parts):
            continue
        try:
            cube = napari_xrf.read(options.folder / name)
        except (XrfError, OSError) as error:
            print(f"{name}: {error}")
            continue
        start = time.perf_counter()
        found = find_elements(cube)
        seconds = time.perf_counter() - start
        print(f"{name}  {cube.shape}, {cube.excitation.kind} {cube.excitation.energy_kev}, {seconds:.1f} s")
        told = [
            f"{one.element} {one.net_counts:.0f}±{one.standard_error:.0f}"
            + (f" ({one.pixels} px)" if one.pixels else "")
            for one in found
        ]
        print("    found:       ", ", ".join(told))
        if text != "?":
            listed, symbols = text.split(), {one.element for one in found}
            print("    not found:   ", " ".join(one for one in listed if one not in symbols) or "-")
            print("    not listed:  ", " ".join(sorted(symbols - set(listed))) or "-", flush=True)


if __name__ == "__main__":
    main()
