"""Measured spectra of pigments with their colours, as the user keeps them."""

import csv
import math
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import content_of, is_folder
from napari_xrf.reference.tables import read_table
from napari_xrf.synthesis.pigments import PigmentSpectra, rgb

_TABLE = "colors.csv"
_LEAST_CHANNELS = 2
_UNEVEN = 1e-3  # of a channel's width: what rounding in a printed axis may do


def read_measured_pigments(path: str | Path) -> PigmentSpectra:
    """Return measured pigments of a table or a folder.

    A table is a CSV file whose first column is the energy in keV, evenly spaced, and whose other columns
    are one pigment each. Its first line holds ``energy_keV`` and the names, its second ``color`` and the
    pigments' colours as ``#rrggbb``.

    A folder holds ``colors.csv`` with the columns ``name,color,file``, and the spectra it names, in any
    format that :func:`napari_xrf.read` opens; maps are summed, and all are rebinned to the first one's axis.
    Raises FileError when something is missing or makes no sense; the message names the file and the line.
    """
    source = Path(path)
    if is_folder(source):
        return _read_folder(source)
    return _read_table(source)


def _read_table(path: Path) -> PigmentSpectra:
    lines = _lines(path)
    if len(lines) < 2 or lines[0][:1] != ["energy_keV"] or lines[1][:1] != ["color"]:
        raise FileError(
            path,
            "is no table of pigment spectra",
            "Begin with a line energy_keV,<names> and a line color,<#rrggbb of each>",
        )
    names, colors = lines[0][1:], lines[1][1:]
    if not names:
        raise FileError(path, "holds no pigment", "Add a column for each")
    values = np.array([_numbers(path, line, row, len(names) + 1) for line, row in enumerate(lines[2:], 3)])
    if len(values) < _LEAST_CHANNELS:
        raise FileError(path, "holds no spectrum", "Add a line for each channel")
    if len(colors) != len(names):
        raise FileError(path, f"line 2: {len(colors)} colours do not fit {len(names)} names")
    return _pigments(path, names, colors, values[:, 1:].T, _axis(path, values[:, 0]))


def _read_folder(folder: Path) -> PigmentSpectra:
    from napari_xrf.io import read

    table = folder / _TABLE
    rows = read_table(table, ("name", "color", "file"))
    if not rows:
        raise FileError(table, "holds no pigment", "Add a line for each")
    sums = []
    for line, row in rows:
        spectrum = (folder / row["file"]).resolve()
        if not spectrum.is_relative_to(folder.resolve()):
            raise FileError(table, f"line {line}: {row['file']} lies outside the folder", "Move it there")
        cube = read(spectrum)
        sums.append((cube.energy, cube.sum_spectrum()))
    axis = sums[0][0]
    spectra = np.array([own.rebin(counts, axis) for own, counts in sums])
    names, colors = ([row[column] for _, row in rows] for column in ("name", "color"))
    return _pigments(table, names, colors, spectra, axis)


def _pigments(
    path: Path, names: list[str], colors: list[str], spectra: NDArray[np.float64], axis: EnergyAxis
) -> PigmentSpectra:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not all(names):
        raise FileError(path, f"{twice[0]} stands twice" if twice else "a pigment has no name")
    try:
        values = np.array([rgb(color) for color in colors], dtype=np.float64)
    except ValueError:
        raise FileError(path, "a colour is not of the form #rrggbb") from None
    try:
        return PigmentSpectra(tuple(names), values, spectra, axis)
    except InvalidInput as error:
        raise FileError(path, error.cause, error.remedy) from error


def _axis(path: Path, energies: NDArray[np.float64]) -> EnergyAxis:
    width = (energies[-1] - energies[0]) / (len(energies) - 1)
    even = energies[0] + width * np.arange(len(energies))
    if not width > 0 or np.abs(energies - even).max() > max(_UNEVEN * width, 1e-6):
        raise FileError(path, "its energies do not rise in even steps", "Rebin the spectra first")
    return EnergyAxis(float(energies[0]), float(width), len(energies))


def _numbers(path: Path, line: int, row: list[str], length: int) -> list[float]:
    try:
        numbers = [float(value) for value in row]
    except ValueError:
        raise FileError(path, f"line {line}: a value is no number") from None
    if len(numbers) != length or not all(map(math.isfinite, numbers)):
        raise FileError(path, f"line {line}: needs {length} finite numbers")
    return numbers


def _lines(path: Path) -> list[list[str]]:
    try:
        stream = StringIO(content_of(path).decode("utf-8-sig"), newline="")
        return [[value.strip() for value in row] for row in csv.reader(stream) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, "is no table of text", "Save it as CSV in UTF-8") from error
