"""The page that goes with a model: what it does, what it was made from, how good it is, where it fails."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xrf.core.version import VERSION
from napari_xrf.io.atomic_write import write_text
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.tasks.task import task_of


def write_model_card(path: str | Path, description: ModelDescription) -> None:
    """Write a model's card as Markdown."""
    task, training = task_of(description.task), dict(description.training)
    axis, (low, high) = description.axis, description.counts_range
    facts = {
        "network": f"`{description.architecture}` {json.dumps(dict(description.network))}",
        "input": f"{axis.size} channels of {1000 * axis.width:g} eV from {axis.offset:g} keV",
        "preprocessing": _preprocessing(description),
        "outputs": ", ".join(description.outputs),
        "names": str(len(description.names)),
        "counts per spectrum in training": f"{low:g} to {high:g}",
        "recipe": f"`napari-xrf train {training.get('recipe', '')} --seed {training.get('seed', '')}`",
        "spectra from": f"`{json.dumps(training.get('source', {}), ensure_ascii=False)}`",
        **facts_of_training(training),
        "trained for": f"{training.get('epochs', '?')} epochs, {training.get('seconds', '?')} s",
        "temperature": f"{description.calibration.temperature:.3g}",
    }
    text = f"""# {description.name}

A network that {task.does}.

{table_of(facts)}

## Held-out spectra

{_figures(training.get("validation", {}))}

Held-out spectra come from the same generator with another seed; docs/networks.md has figures on \
spectra made by other code and on measured files.

## Known failures

{task.fails}
"""
    write_text(path, text)


def facts_of_training(training: Mapping[str, Any]) -> dict[str, str]:
    """Return the rows of a card that tell how a model was made."""
    return {
        "options": f"`{json.dumps(training.get('options', {}))}`",
        "commit": str(training.get("commit", "")) or "unknown",
        "versions": f"napari-xrf {training.get('napari_xrf', '?')}, torch {training.get('torch', '?')}",
    }


def table_of(facts: Mapping[str, str]) -> str:
    """Return facts as a table in Markdown."""
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())))


def made_with() -> dict[str, str]:
    """Return the versions of what makes a model, and the commit of this code (``+`` where files differ)."""
    import torch

    return {"napari_xrf": VERSION, "torch": str(torch.__version__), "commit": _commit()}


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
