"""Lists of names in one option, ``quartz,albite``."""

from __future__ import annotations

import re


def split_names(text: str) -> tuple[str, ...]:
    """Return the names between the commas or semicolons of an option; blank ones are left out."""
    return tuple(name.strip() for name in re.split("[,;]", text) if name.strip())


def names_of(text: str) -> tuple[str, ...] | None:
    """Return the names of a comma-separated option, or None for ``"auto"``."""
    return None if text.strip().lower() == "auto" else split_names(text)
