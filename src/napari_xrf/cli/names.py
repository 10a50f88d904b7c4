"""Lists of names in one option, ``quartz,albite``."""

import re
from pathlib import Path

from napari_xrf.core.emission_lines import parse_elements
from napari_xrf.io import pymca_config


def split_names(text: str) -> tuple[str, ...]:
    """Return the names between the commas or semicolons of an option; blank ones are left out."""
    return tuple(name.strip() for name in re.split("[,;]", text) if name.strip())


def names_of(text: str) -> tuple[str, ...] | None:
    """Return the names of a comma-separated option, or None for ``"auto"``."""
    return None if text.strip().lower() == "auto" else split_names(text)


def elements_of(text: str) -> tuple[str, ...] | None:
    """Return the elements and families of an option or a PyMca configuration; None for ``"auto"``."""
    if text.strip().lower() == "auto":
        return None
    if Path(text).suffix == pymca_config.SUFFIX:
        return pymca_config.read_pymca_config(text).families
    return parse_elements(text)
