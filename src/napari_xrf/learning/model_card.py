"""The page that goes with a model: what it does, what it was made from, how good it is, where it fails."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from napari_xrf.io.atomic_write import replacing
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.tasks.task import task_of


def write_model_card(path: str | Path, description: ModelDescription, more: str = "") -> None:
    """Write a model's card as Markdown; ``more`` is added at its end (figures of an evaluation)."""
    with replacing(path) as temporary:
        temporary.write_text(model_card(description, more), encoding="utf-8")


def model_card(description: ModelDescription, more: str = "") -> str:
    """Return a model's card as Markdown."""
    task, training = task_of(description.task), dict(description.training)
    axis = description.axis
    low, high = description.counts_range
    facts = [
        ("network", f"`{description.architecture}` {json.dumps(dict(description.network))}"),
        ("input", f"{axis.size} channels of {1000 * axis.width:g} eV from {axis.offset:g} keV"),
        ("preprocessing", _preprocessing(description)),
        ("outputs", ", ".join(description.outputs)),
        ("names", str(len(description.names))),
        ("counts per spectrum in training", f"{low:g} to {high:g}"),
        ("recipe", f"`napari-xrf train {training.get('recipe', '')} --seed {training.get('seed', '')}`"),
        ("spectra from", f"`{json.dumps(training.get('source', {}), ensure_ascii=False)}`"),
        ("options", f"`{json.dumps(training.get('options', {}))}`"),
        ("commit", str(training.get("commit", "")) or "unknown"),
        ("versions", f"napari-xrf {training.get('napari_xrf', '?')}, torch {training.get('torch', '?')}"),
        ("trained for", f"{training.get('epochs', '?')} epochs, {training.get('seconds', '?')} s"),
        ("temperature", f"{description.calibration.temperature:.3g}"),
    ]
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return (
        f"# {description.name}\n\nA network that {task.does}.\n\n| | |\n|---|---|\n{rows}\n\n"
        f"## Held-out spectra\n\n{_figures(training.get('validation', {}))}\n\n"
        "Held-out spectra come from the same generator with another seed; docs/networks.md has figures on "
        "spectra made by other code and on measured files.\n\n"
        f"## Known failures\n\n{task.fails}\n" + (f"\n{more.strip()}\n" if more else "")
    )


def made_with() -> dict[str, str]:
    """Return the versions of what makes a model, and the commit of this code (``+`` where files differ)."""
    import torch

    from napari_xrf import __version__

    return {"napari_xrf": __version__, "torch": str(torch.__version__), "commit": _commit()}


def _commit() -> str:
    """Return the commit of the checkout that holds this package; "" elsewhere."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), "describe"]
    command += ["--always", "--dirty=+", "--abbrev=12", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _preprocessing(description: ModelDescription) -> str:
    chosen = description.preprocessing
    scale = {
        "sum": "counts over the mean channel",
        "max": "counts over the highest channel",
        "none": "counts",
    }
    transform = {"none": "", "sqrt": ", square root", "log": ", logarithm"}
    baseline = "baseline taken off, " if chosen.baseline else ""
    return f"{baseline}{scale[chosen.scale]}{transform[chosen.transform]}"


def _figures(figures: dict[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value:.4g}" for name, value in figures.items()) or "None."
