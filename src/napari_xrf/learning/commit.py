"""Which state of the code made a model."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit() -> str:
    """Return the commit of the checkout that holds this package, ``+`` when files differ; "" elsewhere."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude", "*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
