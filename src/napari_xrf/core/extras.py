"""Packages that only some work needs; the project's extras of the same kind install them."""

from importlib import import_module
from types import ModuleType

from napari_xrf.core.errors import InvalidInput


def how_to_install(extra: str) -> str:
    """Return what to do where a package of an extra is missing; there is no release to install from yet."""
    return f'In a clone of napari-xrf run: pip install ".[{extra}]"'


def optional_package(name: str, extra: str) -> ModuleType:
    """Return a module of a package that may be missing.

    Raises
    ------
    InvalidInput
        When it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise InvalidInput(f"{name.partition('.')[0]} is not installed", how_to_install(extra)) from None
