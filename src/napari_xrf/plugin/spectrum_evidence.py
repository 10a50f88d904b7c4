"""The emission lines that speak for an answer of a model, and where they are drawn: on the Spectrum dock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_xrf.core.emission_lines import EmissionLine, emission_lines
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.description import ModelDescription
from napari_xrf.plugin.line_markers import marked_lines
from napari_xrf.reference.materials import mass_fractions
from napari_xrf.synthesis.line_basis import TRANSITIONS, line_basis

_PLUGIN, _DOCK = "napari-xrf", "Spectrum"
_LEAST_FRACTION = 0.01  # by mass: what a mineral holds less of shows no line of its own


def evidence_lines(name: str, description: ModelDescription) -> tuple[EmissionLine, ...]:
    """Return the lines within a model's energies that one of its names stands for.

    Parameters
    ----------
    name
        ``"Fe ka1"`` gives that line, ``"Fe"`` the lines of iron, a mineral those of the elements of its
        formula; "unknown" and classes without a formula have none.
    description
        The model that said the name.
    """
    axis = description.axis
    low, high = float(axis.energies[0]), float(axis.energies[-1])
    return tuple(line for line in _lines(name, description) if low <= line.energy <= high)


def _lines(name: str, description: ModelDescription) -> tuple[EmissionLine, ...]:
    if description.task == "lines":
        return _basis_line(name)
    if description.task == "elements":
        return marked_lines(name) if name in description.names else ()
    formula = next((entry.formula for entry in description.classes if entry.name == name), "")
    try:
        fractions = mass_fractions(formula) if formula else {}
    except InvalidInput:  # a user's own class may call anything a formula
        fractions = {}
    elements = [element for element, part in fractions.items() if part >= _LEAST_FRACTION]
    return tuple(line for element in elements for line in marked_lines(element))


def _basis_line(label: str) -> tuple[EmissionLine, ...]:
    basis = next((line for line in line_basis() if line.label == label), None)
    if basis is None:
        return ()
    transition = TRANSITIONS[basis.name]
    for line in emission_lines(basis.element):
        if line.transition == transition:
            return (line,)
    # Sums of two transitions, which the table of single ones leaves out.
    return (EmissionLine(basis.element, transition, transition[: 1 if transition[0] == "K" else 2],
                         basis.energy, 1.0),)  # fmt: skip


def show_evidence(viewer: Any, lines: Sequence[EmissionLine], *, open_dock: bool = False) -> None:
    """Mark lines on the Spectrum docks of a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    lines
        None takes the marks away.
    open_dock
        Whether a Spectrum dock is opened where there is none.
    """
    docks = spectrum_docks(viewer)
    if not docks and open_dock and lines:
        docks = (viewer.window.add_plugin_dock_widget(_PLUGIN, _DOCK)[1],)
    for dock in docks:
        dock.show_evidence(lines)


def spectrum_docks(viewer: Any) -> tuple[Any, ...]:
    """Return the open Spectrum docks of a viewer; the menu and a script may each have opened one."""
    from napari_xrf.plugin.docks.spectrum import SpectrumDock

    return tuple(dock for dock in viewer.window.dock_widgets.values() if isinstance(dock, SpectrumDock))
