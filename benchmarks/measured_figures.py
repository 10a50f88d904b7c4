"""Figures of model over measurement, for docs/detector.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from measured_spectra import Fitted

mpl.use("Agg")
MEASURED, MODEL = "#1f5f99", "#d9541e"


def draw_panels(samples: dict[str, Fitted], path: Path) -> None:
    """Draw samples, one panel each."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        len(samples), 1, figsize=(9, 2.1 * len(samples)), sharex=True, layout="constrained"
    )
    for panel, (name, fitted) in zip(panels, samples.items(), strict=True):
        _draw(panel, fitted, (0, 24))
        panel.set_ylabel(f"{name}\ncounts")
    panels[0].legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel("energy (keV)")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_acrylic(fitted: Fitted, path: Path) -> None:
    """Draw acrylic, and measured over model below it."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(9, 5), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    _draw(upper, fitted, (0, 40))
    upper.set_ylabel("counts")
    upper.legend(fontsize=8)
    window = np.ones(9) / 9
    smooth = [np.convolve(counts, window, "same") for counts in (fitted.measured.counts, fitted.counts)]
    inside = fitted.axis.window(2, 40)
    lower.plot(fitted.axis.energies[inside], smooth[0][inside] / smooth[1][inside], color=MEASURED, lw=0.8)
    lower.axhspan(0.8, 1.2, color="0.9")
    lower.set(ylim=(0.5, 1.5), xlabel="energy (keV)", ylabel="measured / model")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _draw(panel: Axes, fitted: Fitted, limits: tuple[float, float]) -> None:
    at = fitted.axis.energies
    panel.semilogy(at, np.maximum(fitted.measured.counts, 0.5), color=MEASURED, lw=0.8, label="measured")
    panel.semilogy(at, np.maximum(fitted.counts, 0.5), color=MODEL, lw=1.0, label="model")
    panel.set(xlim=limits, ylim=(0.8, 2 * fitted.measured.counts[fitted.axis.window(0.3, 40)].max()))
    panel.grid(alpha=0.25)
