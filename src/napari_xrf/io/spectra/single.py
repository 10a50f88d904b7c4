"""What all readers of spectra in text share: lines, numbers, element symbols, detectors summed, the cube."""

import codecs
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xraylib
from numpy.typing import NDArray

from napari_xrf.core.csv_cells import plain_number
from napari_xrf.core.emission_lines import HEAVIEST
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.spectral_cube import Provenance, SpectralCube
from napari_xrf.core.spectrum import Spectrum
from napari_xrf.io import calibration
from napari_xrf.io.calibration import Calibration, common_axis
from napari_xrf.io.detector_sum import differences
from napari_xrf.io.stray_detectors import differing
from napari_xrf.io.whole_counts import as_counts

FEWEST = 16  # channels of a spectrum
_LARGEST = 64 * 2**20
_EITHER = re.compile(r"[1-9]\d{0,2},\d{3}(?![\d.,])")  # whole thousands, or three decimals
_ZEROS_IN = 128  # bytes at the start of a text in UTF-16, which are words of its head


def one_pixel_cube(
    path: str | Path,
    spectrum: Spectrum,
    *,
    layout: str,
    detectors: tuple[str, ...] = (),
    elements: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    expected: bool = False,
) -> SpectralCube:
    """Return a spectrum as a map of 1 × 1 pixels with whole counts, its faults among the warnings.

    ``expected``: whether the file says that it holds expected counts, which have no noise.
    """
    counts, told = as_counts(np.asarray(spectrum.counts)[None, None, :], expected=expected)
    return SpectralCube(
        counts,
        spectrum.energy,
        spectrum.name,
        live_time=None if spectrum.live_time is None else np.full((1, 1), spectrum.live_time),
        excitation=spectrum.excitation,
        elements=elements,
        provenance=Provenance(str(path), layout, detectors, (*warnings, *told)),
    )


def of_detectors(
    path: Path, table: NDArray[np.float64], axes: Sequence[EnergyAxis], detector: str | int
) -> tuple[NDArray[np.float64], EnergyAxis, tuple[int, ...], tuple[str, ...]]:
    """Return the counts of one detector, or of all on one axis, the axis, who is in it, and warnings.

    ``table`` is (E, K), the counts of K detectors, ``detector`` ``"sum"`` or the number of one. Raises
    InvalidInput when there is no such detector.
    """
    count = table.shape[1]
    if detector != "sum":
        if not str(detector).isdigit() or int(detector) >= count:
            known = f"sum or one of: {', '.join(map(str, range(count)))}"
            raise InvalidInput(f"there is no detector {detector!r} in {path.name}", f"Choose {known}")
        return table[:, int(detector)], axes[int(detector)], (int(detector),), ()
    axis = common_axis(axes)
    summed = np.zeros(axis.size)
    for column, own in enumerate(axes):
        # Counts move whole: shared by overlap of the bins, fractions carried upwards.
        moved = table[:, column]
        if own != axis:
            moved = np.diff(np.floor(np.cumsum(own.rebin(moved, axis)) + 0.5), prepend=0.0)
        summed += moved
    names = tuple(map(str, range(count)))
    notes = *differences(names, list(table.T[:, None, None]), axes), *differing(names, list(table.T), axes)
    return summed, axis, tuple(range(count)), notes


def calibrated(terms: list[float], size: int, first: float = 0.0, reduction: float = 1.0) -> Calibration:
    """Return the axis of a + b·channel + c·channel² whose stored channel ``i`` is ``first + i·reduction``."""

    def find() -> Calibration | None:
        if len(terms) < 2:
            return None
        return calibration.axis_from_polynomial(terms[:3], size, first=first, step=reduction)

    return calibration.or_assumed(find, size)


def element_symbols(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the symbols of atomic numbers, each once, rising; numbers of no element are left out."""
    known = sorted({number for number in numbers if 1 <= number <= HEAVIEST})
    return tuple(xraylib.AtomicNumberToSymbol(number) for number in known)


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file, whatever its line ends.

    Raises FileError when it is too large for a single spectrum or holds no text.
    """
    if path.stat().st_size > _LARGEST:
        raise FileError(path, "is too large for a single spectrum")
    text = decoded(path.read_bytes())
    if "\0" in text:
        raise FileError(path, "holds no text")
    return text.splitlines()


def decoded(content: bytes) -> str:
    """Return the text of a file in UTF-8 or UTF-16, else as Windows writes it in the West."""
    if codec := _utf16(content):
        return content.decode(codec, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _utf16(content: bytes) -> str:
    """Return which UTF-16 a text is in, by its mark or the zeros beside Latin letters; "" where in none."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = content[:_ZEROS_IN]
    for codec, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        latin = all(9 <= letter <= 13 or 32 <= letter < 127 for letter in letters)
        if len(zeros) >= FEWEST and not any(zeros) and latin:
            return codec
    return ""


def unended(path: Path) -> tuple[str, ...]:
    """Return a warning when the last line of a text file has no end: it is then probably not the last one."""
    with path.open("rb") as handle:
        handle.seek(max(path.stat().st_size - 2, 0))
        ended = handle.read(2).strip(b"\0")[-1:] in (b"\n", b"\r")
    return () if ended else ("The last line of the file has no end: the file is probably cut short.",)


def numbers(text: str) -> list[float]:
    """Return the finite numbers at the start of a text, ``"10.0, 10.0 eV"``; a unit may follow them.

    Commas part numbers, or are decimal commas where no space follows: ``"9,5"``.
    """
    found = []
    for part in text.replace(", ", " ").replace(";", " ").split():
        try:
            value = float(plain_number(part.strip(",")))
        except ValueError:
            break
        if not np.isfinite(value):
            break
        found.append(value)
    return found


def number(text: Any) -> float | None:
    """Return the first number of a text, None where it begins with none."""
    return next(iter(numbers(str(text))), None)


def positive(text: Any) -> float | None:
    """Return the first number of a text if it is above 0: −1 and 0 stand for what is not known."""
    value = number(text)
    return value if value is not None and value > 0 else None


def settled(known: dict[str, str], lines: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the values, those such as ``1,200`` without their comma where the file has decimal points.

    Where it has no decimal comma either, a warning says how they are taken.
    """
    either = {key: text for key, text in known.items() if _EITHER.match(text)}
    if any(re.search(r"\d\.\d", line) for line in lines):
        return known | {key: text.replace(",", "", 1) for key, text in either.items()}, ()
    others = [text for key, text in known.items() if key not in either]
    others += [line for line in lines if "\t" in line or ";" in line]
    if any(re.search(r"\d,\d", text) for text in others):
        return known, ()
    return known, tuple(
        f"The comma in {text!r} ({key}) is taken as the decimal one; if it parts thousands, take it out."
        for key, text in either.items()
    )
