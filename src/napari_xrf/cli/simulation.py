"""The verbs that make spectra from physics: simulate."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.cli.inspection import SPECTRUM_SUFFIXES, write_or_draw
from napari_xrf.cli.map_file import check_output
from napari_xrf.physics.attenuation import STRUCTURES


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``simulate`` to the parser's verbs."""
    simulate = verbs.add_parser("simulate", parents=[common], help="the expected spectrum of a composition")
    simulate.add_argument("formula", metavar="FORMULA", help="CaCO3, (Zn0.9Fe0.1)S, CaSO4·2H2O, albite")
    simulate.add_argument("--instrument", default="m4", help="a preset's name or a .toml file (default m4)")
    simulate.add_argument("--thickness", metavar="UM", type=float, help="µm; infinitely thick without it")
    simulate.add_argument(
        "--density", metavar="G_CM3", type=float, help="g/cm³; needed with --thickness and a formula"
    )
    simulate.add_argument(
        "--structure",
        choices=STRUCTURES,
        help="how its atoms scatter together (default: of oxides as in their crystals, else each for itself)",
    )
    simulate.add_argument("--counts", metavar="N", type=float, help="total counts (default: per unit dose)")
    simulate.add_argument("-o", "--output", type=Path, required=True, help=".csv, .msa or .png")
    simulate.set_defaults(run=write_simulated)


def write_simulated(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the expected spectrum of a composition and list its detected line families."""
    from napari_xrf.physics.forward import simulate_spectrum
    from napari_xrf.physics.instrument import load_instrument

    check_output(arguments.output, SPECTRUM_SUFFIXES, "spectra")
    instrument = load_instrument(arguments.instrument)
    spectrum, families = simulate_spectrum(
        arguments.formula,
        instrument,
        counts=arguments.counts,
        thickness_um=arguments.thickness,
        density=arguments.density,
        structure=arguments.structure,
    )
    write_or_draw(arguments.output, spectrum, [*dict.fromkeys(family.split()[0] for family in families)])
    data = {
        "file": str(arguments.output),
        "formula": arguments.formula,
        "instrument": instrument.name,
        "counts": float(np.sum(spectrum.counts)),
        "families": families,
    }
    rows = [(family, f"{value:.5f}") for family, value in families.items()]
    return Answer(data, f"{table(('lines', 'relative'), rows)}\nwritten to {arguments.output}")
