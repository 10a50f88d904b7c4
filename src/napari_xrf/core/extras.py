"""Packages that only some work needs; the project's extras of the same kind install them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from napari_xrf.core.errors import InvalidInput

_NETWORKS, _TORCH = "networks", "torch"
_NO_NETWORKS = "no network can be asked or trained without PyTorch, which is not installed; all else works"


def how_to_install(extra: str) -> str:
    """Return what to do where a package of an extra is missing; there is no release to install from yet."""
    return f'In a clone of napari-xrf run: pip install ".[{extra}]"'


def needed_package(error: Exception) -> str:
    """Return what to do where an error of another package names one that it misses, as compressions need."""
    missing = re.search(r"requires the '([\w-]+)' package", str(error))
    return f"Run: pip install {missing[1]}" if missing else ""


def optional_package(name: str, extra: str) -> ModuleType:
    """Return a module of a package that may be missing.

    Raises InvalidInput when it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise InvalidInput(f"{name.partition('.')[0]} is not installed", how_to_install(extra)) from None


def networks_missing() -> str:
    """Return what is lost where PyTorch is missing, and what to do; else nothing. Loads nothing."""
    return "" if find_spec(_TORCH) else f"{_NO_NETWORKS}. {how_to_install(_NETWORKS)}"


def check_networks() -> None:
    """Raise InvalidInput where PyTorch is not installed: before long work at whose end a network stands."""
    if networks_missing():
        raise InvalidInput(_NO_NETWORKS, how_to_install(_NETWORKS))


@contextmanager
def networks_told() -> Iterator[None]:
    """Make the block's import of PyTorch, where that is missing, an InvalidInput that says what to do.

    Command line, Python, batches and jobs of the window have it around all that they call: what loads a
    network need not look itself.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != _TORCH:
            raise
        raise InvalidInput(_NO_NETWORKS, how_to_install(_NETWORKS)) from None
