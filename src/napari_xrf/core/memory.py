"""How much memory a job may use."""

import shutil
import tempfile

import psutil

from napari_xrf.core.errors import InvalidInput

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}


def default_memory_budget(most: int | None = None) -> int:
    """Return half of the memory that is free now, in bytes; ``most`` where a scratch file has room."""
    half = int(psutil.virtual_memory().available // 2)
    if most is None or shutil.disk_usage(tempfile.gettempdir()).free < half:
        return half
    return min(most, half)


def budget_of(given: int | None) -> int:
    """Return the bytes that counts may take: those given, or half of the memory that is free now.

    Raises InvalidInput when fewer than none are given.
    """
    if given is not None and given < 0:
        raise InvalidInput(f"memory_budget cannot be {given} bytes", "Give 0 or more, or nothing")
    return default_memory_budget() if given is None else given


def lack_of_room(size: float) -> str:
    """Return why an array of so many bytes has no room in memory or a scratch file, or an empty text."""
    free = psutil.virtual_memory().available + shutil.disk_usage(tempfile.gettempdir()).free
    if size <= free:
        return ""
    return f"that takes {size / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB are free here: make fewer"


def parse_bytes(text: str) -> int:
    """Return the bytes that a text such as ``"500 MB"`` or ``"2GiB"`` stands for.

    Raises InvalidInput when the number or the unit cannot be understood.
    """
    compact = text.replace(" ", "").upper()
    number = compact.rstrip("KMGIB")
    unit = compact[len(number) :]
    try:
        size = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise InvalidInput(f"{text!r} is no amount of memory", "Write for example 500MB or 2GB") from None
    if not 0 < size < float("inf"):
        raise InvalidInput(f"{text!r} is no amount of memory", "It must be above zero")
    return int(size)
