"""A small chart of a class's mean spectrum, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import main_line
from napari_xrf.minerals.mean_spectra import ClassSpectrum

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 30, 36
_DECADES = 4.0


def draw_spectrum(spectrum: ClassSpectrum, elements: Iterable[str], color: str) -> str:
    """Return an SVG element: measured counts filled, expected ones as a line, logarithmic.

    Parameters
    ----------
    spectrum
        The mean spectrum.
    elements
        Symbols whose main lines are marked.
    color
        Of the filled area, ``"#rrggbb"``.
    """
    shown = _shown(spectrum)
    energies, measured = spectrum.energies[shown], spectrum.measured[shown]
    top = 10 ** math.ceil(math.log10(max(float(measured.max()), 1e-9)))
    scale = _Scale(float(energies[0]), float(energies[-1]), math.log10(top))
    parts = [*_axes(scale), _area(scale, energies, measured, color)]
    if spectrum.expected is not None:
        parts.append(_line(scale, energies, spectrum.expected[shown]))
    parts += _marks(scale, elements)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(f"spectrum of {spectrum.name}", quote=True)}">{"".join(parts)}</svg>'
    )


class _Scale:
    """Places energies and counts on the chart."""

    def __init__(self, low: float, high: float, top: float) -> None:
        self.low, self.high, self.top = low, max(high, low + 1e-3), top

    def x(self, energy: NDArray[np.float64] | float) -> NDArray[np.float64]:
        share = (np.asarray(energy) - self.low) / (self.high - self.low)
        return np.asarray(_LEFT + share * (WIDTH - _LEFT - _RIGHT))

    def y(self, counts: NDArray[np.float64] | float) -> NDArray[np.float64]:
        height = np.log10(np.maximum(counts, 1e-30)) - (self.top - _DECADES)
        share = np.clip(height / _DECADES, 0, 1)
        return np.asarray(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM))


def _shown(spectrum: ClassSpectrum) -> slice:
    """Up to where the spectrum holds anything to see."""
    seen = np.flatnonzero(spectrum.measured > spectrum.measured.max() * 10 ** (1 - _DECADES))
    return slice(0, int(seen[-1]) + 2 if seen.size else spectrum.measured.size)


def _axes(scale: _Scale) -> list[str]:
    parts = []
    step = next(step for step in (0.5, 1, 2, 5, 10, 20) if (scale.high - scale.low) / step <= 14)
    for energy in np.arange(math.ceil(scale.low / step) * step, scale.high + 1e-9, step):
        x = float(scale.x(energy))
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{energy:g}</text>')
    for decade in range(int(_DECADES) + 1):
        exponent = round(scale.top) - decade
        y = float(scale.y(10.0**exponent))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">10<tspan dy="-5" font-size="8">'
            f"{exponent}</tspan></text>"
        )
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">keV</text>')
    parts.append('<text x="4" y="11">counts per pixel and keV</text>')
    return parts


def _area(scale: _Scale, energies: NDArray[np.float64], counts: NDArray[np.float64], color: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(scale.x(energies), scale.y(counts), strict=True))
    ground = f"{HEIGHT - _BOTTOM:.1f}"
    first, last = f"{float(scale.x(energies[0])):.1f}", f"{float(scale.x(energies[-1])):.1f}"
    return (
        f'<polygon points="{first},{ground} {points} {last},{ground}" '
        f'fill="{html.escape(color, quote=True)}" fill-opacity="0.55" stroke="#555" stroke-width="0.6"/>'
    )


def _line(scale: _Scale, energies: NDArray[np.float64], counts: NDArray[np.float64]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(scale.x(energies), scale.y(counts), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="#111" stroke-width="1.2"/>'


def _marks(scale: _Scale, elements: Iterable[str]) -> list[str]:
    """Symbols over the main lines, each only where there is room."""
    places = []
    for element in sorted(set(elements)):
        for shell in ("K", "L"):
            line = main_line(element, shell)
            if line is not None and scale.low <= line.energy <= scale.high:
                places.append((float(scale.x(line.energy)), element))
                break
    parts, taken = [], -100.0
    for x, element in sorted(places):
        if x - taken >= 16:
            parts.append(
                f'<text x="{x:.1f}" y="{_TOP - 3}" text-anchor="middle" class="mark">{html.escape(element)}'
                "</text>"
            )
            taken = x
    return parts
