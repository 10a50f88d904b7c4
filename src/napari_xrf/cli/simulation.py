"""The verbs that make spectra from physics: simulate."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.cli.console import Answer, Console, table
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.physics.attenuation import STRUCTURES
from napari_xrf.reference.materials import Material


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add ``simulate`` to the parser's verbs."""
    simulate = verbs.add_parser("simulate", parents=[common], help="the expected spectrum of a composition")
    simulate.add_argument("formula", metavar="FORMULA", help="CaCO3, (Zn0.9Fe0.1)S, CaSO4·2H2O")
    simulate.add_argument("--instrument", default="m4", help="a preset's name or a .toml file (default m4)")
    simulate.add_argument("--thickness", metavar="UM", type=float, help="µm; infinitely thick without it")
    simulate.add_argument("--density", metavar="G_CM3", type=float, help="g/cm³; needed with --thickness")
    simulate.add_argument(
        "--structure",
        choices=STRUCTURES,
        help="how its atoms scatter together (default amorphous: each for itself)",
    )
    simulate.add_argument("--counts", metavar="N", type=float, help="total counts (default: per unit dose)")
    simulate.add_argument("-o", "--output", type=Path, required=True, help=".csv, .msa or .png")
    simulate.set_defaults(run=simulate_spectrum)


def simulate_spectrum(arguments: argparse.Namespace, console: Console) -> Answer:
    """Write the expected spectrum of a composition and list its detected line families."""
    from napari_xrf import io
    from napari_xrf.io.spectra.picture import write_spectrum_picture
    from napari_xrf.physics.forward import expect_spectrum
    from napari_xrf.physics.instrument import load_instrument

    _check_positive(arguments)
    material = Material.from_formula(arguments.formula, arguments.density or 1.0)
    instrument = load_instrument(arguments.instrument)
    expected = expect_spectrum(
        material, instrument, thickness_um=arguments.thickness, structure=arguments.structure
    )
    counts = expected.counts
    if arguments.counts is not None:
        counts = counts * (arguments.counts / counts.sum())
    spectrum = Spectrum(counts, instrument.energy, name=arguments.formula)
    if arguments.output.suffix.lower() == ".png":
        elements = tuple(dict.fromkeys(family.split()[0] for family in expected.families))
        write_spectrum_picture(arguments.output, spectrum, elements=elements)
    else:
        io.write(arguments.output, spectrum)
    strongest = max(expected.families.values(), default=1.0)
    families = {
        family: value / strongest
        for family, value in sorted(expected.families.items(), key=lambda entry: -entry[1])
    }
    data = {
        "file": str(arguments.output),
        "formula": arguments.formula,
        "instrument": instrument.name,
        "counts": float(np.sum(counts)),
        "families": families,
    }
    rows = [(family, f"{value:.5f}") for family, value in families.items()]
    return Answer(data, f"{table(('lines', 'relative'), rows)}\nwritten to {arguments.output}")


def _check_positive(arguments: argparse.Namespace) -> None:
    for option in ("thickness", "density", "counts"):
        value = getattr(arguments, option)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InvalidInput(f"--{option} must be above 0, not {value}")
    if arguments.thickness is not None and arguments.density is None:
        raise InvalidInput("a thickness needs the density", "Add --density in g/cm³")
