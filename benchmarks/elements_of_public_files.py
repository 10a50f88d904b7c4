"""Elements found in measured spectra of public repositories, which nobody looked at while anything was tuned.

    python -m benchmarks.elements_of_public_files FOLDER

FOLDER holds the files of ``SOURCES``, each under its own name of that table; what is not there is left out.
They are not copied into this repository: NIST's (public domain), PIQUANT's (Apache-2.0), XRFLab's (MIT).
Those after ``MBH_REE_HI`` came later, from other instruments; of EDAX's the channels below 6.2 to 7.5 keV,
of the mudrock's those below 21 keV were copied. AutoEMX, eXSpy and HyperSpy 1.7 (its tests) hold theirs
in their packages.
Those after ``biotite.msa`` came when all before had been looked at; their truths were written down before the
code ran. Of EDAX's and Oxford's the channels below 10.7 and 6.2 keV were copied, of PANalytical's those below
13.8 keV with its background and fit left at 0, of the Amptek analyser its counts per second.
The last five came later still; the channels below 6.4, 7.6, 6.4, 5.2 and 7.0 keV were copied.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.elements_of_measured_files import ROCK, print_score, reliability, score_file, summary

NIST, PIXL, HORIBA = "usnistgov/NeXLSpectrum.jl", "pixlise/piquant", "aaroncelestian/XRFLab"
_PIXL_INPUT = "test/data/PIQUANT_test_data_May2020/Input_files_PIQUANT_test_data_May2020"
EDAX, ITRAX = "weber1158/eds-classification", "tombishop1/itraxR"
MINTER, HYPERSPY = "jrminter/dtsa2scripts", "hyperspy/hyperspy"
_TESTS, _VELOX = "hyperspy/tests/io", "hyperspy/tests/io/emd_files/fei_emd_files.zip"
_TRACES = ROCK + " Sm Pr Gd Eu Sn"

# Name → (repository, path there, elements whose peaks an eye sees, elements that may be found as well).
SOURCES = {
    "sanbornite_10kV.msa": (NIST, "test/K2496/Sanbornite std.msa", "O Si Ba", "C"),
    "K2496.msa": (NIST, "test/K2496/K2496_1.msa", "O Si Ti Ba", "C"),
    "BaCl2.msa": (NIST, "test/K2496/BaCl2 std.msa", "Cl Ba", "C O"),
    "K309.msa": (NIST, "notebook/K309/K309.msa", "O Al Si Ca Ba Fe", "C"),
    "CaF2.msa": (NIST, "notebook/K309/CaF2 std.msa", "F Ca", "C O"),
    "BaF2.msa": (NIST, "notebook/K309/BaF2 std.msa", "F Ba", "C O"),
    "Al2O3.msa": (NIST, "notebook/K309/Al2O3 std.msa", "O Al", "C"),
    "Ti.msa": (NIST, "notebook/K309/Ti std.msa", "Ti", "C O"),
    "ADM6005a.msa": (NIST, "test/ADM6005a spectra/ADM-6005a_1.msa", "O Al Si Ca Ti Zn Ge", "C"),
    "K412_20kV.msa": (NIST, "test/Multi-keV/20 keV", "O Mg Al Si Ca Fe", "C"),
    "BCR-2G.msa": (
        PIXL, f"{_PIXL_INPUT}/Calibration_box_BCR-2G_28kV_230uA_03_28_2019_bulk_sum.msa",
        "Mg Al Si P Ar K Ca Ti Mn Fe Zn Sr", _TRACES,
    ),
    "BIR-1G.msa": (
        PIXL, f"{_PIXL_INPUT}/Calibration_box_BIR-1G_28kV_230uA_03_28_2019_bulk_sum.msa",
        "Mg Al Si Ar Ca Ti Cr Mn Fe Ni Zn Sr", _TRACES,
    ),
    "cubic_zirconia.msa": (HORIBA, "sample_data/STANDARDS/foils/cubic_zirconia.txt", "Y Zr Hf", "C O"),
    "stainless_steel.msa": (
        HORIBA, "sample_data/data/stainless steel.txt", "Si Cr Mn Fe Ni Cu Mo", "V Co Nb C O P S",
    ),
    "OREAS_464_01.msa": (
        HORIBA, "sample_data/STANDARDS/OREAS_464/OREAS_464_01.txt",
        "Mg Al Si P K Ca Ti Mn Fe Cu Zn Sr Zr Nb La Ce Nd", _TRACES,
    ),
    "OREAS_460b_01.msa": (
        HORIBA, "sample_data/STANDARDS/OREAS_460b/OREAS_460b_01.txt",
        "Al Si K Ca Ti Cr Fe Cu As Rb Sr Zr Nb", _TRACES,
    ),
    "PACS2_14.msa": (
        HORIBA, "sample_data/data/Spectrum value from standard/PACS 2/Spectrum 14.txt",
        "Mg Al Si S Cl K Ca Ti Cr Mn Fe Cu Zn Br Rb Sr Zr Pb", _TRACES,
    ),
    "MBH_REE_HI.msa": (
        HORIBA, "sample_data/STANDARDS/MBH_REE_HI_22_P/MBH_REE_HI_22_P_03.txt",
        "Mg Si S Ca Mn Fe Sr Ba La Ce Nd Pb", "K Al P Pr Sm Y Ti Th C N O F Na Ar",
    ),
    "jeol_sem.EMSA": (
        "paradimdata/project_chameleon", "tests/data/jeol_sem/jeol_sem.EMSA", "C O Mg Al Si Ca Ba W",
        "K Fe Na",
    ),
    "BiFeO3_particle.msa": ("autoemx", "scripts/input/Example_spectrum.msa", "C O Fe Bi", ""),
    "FePt_TEM.hspy": ("exspy", "exspy/data/EDS_TEM_FePt_nanoparticles.hspy", "C O Si Fe Cu Pt", "Zr"),
    "tracer_mudrock.csv": (
        "leedrake5/CloudCal", "data/Mudrock/Major/MS15LEP-12-IVSD-MAJ.CSV", "Al Si S K Ca Ti Mn Fe", _TRACES,
    ),
    "shimadzu_filter.csv": (
        "lapat-iag-usp/edxrf-automation", "Lon19 PS L01f.20201013131710.csv",
        "Al Si S K Ca Ti Cr Mn Fe Cu Zn", "Na Mg P Cl V Ni Br Pb",
    ),
    "itrax_a.spe": (ITRAX, "inst/extdata/a.spe", "Ar Ca Ti Fe", _TRACES + " W"),
    "itrax_L000676.spe": (ITRAX, "inst/extdata/L000676.spe", "Si Cl Ar K Ca Ti Mn Fe Sr", _TRACES + " W"),
    "albite.msa": (EDAX, "data/ReferenceMinerals/albite.msa", "C O Na Al Si", ""),
    "titanite.msa": (EDAX, "data/ReferenceMinerals/titanite.msa", "C O Al Si Ca Ti", "F Mg Fe Nb La Ce Nd"),
    "augite.msa": (EDAX, "data/ReferenceMinerals/augite.msa", "C O Mg Al Si Ca Ti Fe", "Na"),
    "biotite.msa": (EDAX, "data/ReferenceMinerals/biotite.msa", "C O Mg Al Si K Ti Fe", "F Na Mn"),
    "jeol_met03.EDS": (HYPERSPY, f"{_TESTS}/JEOL_files/met03.EDS", "C S Fe Cu", "O Si Ca Cr Zn"),
    "bruker_nano.spx": (HYPERSPY, f"{_TESTS}/bruker_data/bruker_nano.spx", "S Fe Cu", "C O Mg Si"),
    "bruker_extracted.spx": (
        HYPERSPY, f"{_TESTS}/bruker_data/extracted_from_bcf.spx", "Cr Fe Ni", "C O Si Mn",
    ),
    "gatan_eds.dm3": (HYPERSPY, f"{_TESTS}/dm3_1D_data/test-EDS_spectrum.dm3", "", ""),
    "velox_4det.emd": (
        HYPERSPY, f"{_VELOX}/fei_SI_EDS-HAADF-4detectors_2frames.emd", "C O Si Cu Pd Au", "Fe Zr",
    ),
    "velox_superx.emd": (
        HYPERSPY, f"{_VELOX}/fei_SI_SuperX-HAADF_10frames_10x50.emd", "Al Si Ti Cr Fe Ni Nb Mo", "C O Cu",
    ),
    "velox_spectrum.emd": (HYPERSPY, f"{_VELOX}/fei_emd_spectrum.emd", "C Cu", "O Si"),
    "K496_aztec.msa": (
        MINTER, "mc3Scripts/dat/spc/2014-08-26-K496-15kV-01.msa", "C O Mg Al P", "Si Ca Ag",
    ),
    "TM002_edax_sili.msa": (
        MINTER, "FIB-620-spec/FIB-EDAX-SiLi-10-sq-mm-17-pt-1-mm-WD.msa", "C O Cu Pd", "Si",
    ),
    "panalytical_epsilon1_oreas45e.mp2": (
        "paleolimbot/xrftools", "inst/spectra_files/Panalytical/Panalytical_2017-08-1634-Omnian3.mp2",
        "Al Si K Ca Ti Cr Mn Fe", "Mg P S Cl Ar V Ni Cu Zn",
    ),
    "spectroscan_3.txt": (
        "yaroslavvy/XRF_Analyser", "resources/spectrums/[0] 3.spm", "Si P S Cl K Ca Ti", "Mg Al Ar Fe",
    ),
    "amptek_px5_au.mca": ("sxu0/XRF_analysis", "data/20220330_au_run1.csv", "Au", "Ni Cu"),
    "albite_quattro.msa": (EDAX, "data/quattro_cemas.msa", "C O Na Al Si", "K Ca Fe"),
    "clay_apreo.msa": (EDAX, "data/apreo_cemas.msa", "C O Na Mg Al Si Cl K Fe", "N P S Ca Ti Mn"),
    "apatite_quattro.msa": (
        EDAX, "data/ReferenceMinerals/apatite.msa", "C O F P Ca", "Na Mg Al Si Cl S Sr Mn Fe Ce",
    ),
    "plagioclase_bruker.msa": (EDAX, "MATLAB/Data/file1.msa", "C O Na Al Si Ca", "Mg P S K Ti Fe"),
    "manganese_sirion.msa": (
        MINTER, "Sirion-Mn-question/Mn-20kV-3.5mm-2.38nA-PT4-5eV-2K.msa", "C Al Mn", "O Si N Fe",
    ),
}  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    scores = []
    for name, (_, _, seen, allowed) in SOURCES.items():
        for path in sorted(folder.rglob(name)):
            scores.append(score_file(path, name, seen, allowed, sum_only=True))
            print_score(scores[-1])
    print("| files | number | true + allowed | false (p > 0.995) | missed | processor seconds |")
    print("|---|---|---|---|---|---|")
    for repository in dict.fromkeys(SOURCES[one.name][0] for one in scores):
        own = [one for one in scores if SOURCES[one.name][0] == repository]
        print(summary(own, repository))
    print(summary(scores, "all"))
    print(reliability(scores))


if __name__ == "__main__":
    main()
