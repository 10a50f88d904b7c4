"""The package's frozen values as .npz files: arrays as they are, the rest as JSON; no pickle.

A dataclass is stored as its name and fields, and made anew by its own constructor, which checks them. Only
dataclasses of this package can be named.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_xrf.core.errors import FileError
from napari_xrf.core.named_files import existing_file
from napari_xrf.io.atomic_write import replacing

_TEXT = "json"
_PACKAGE = "napari_xrf."


def write_packed(path: Path, value: Any) -> None:
    """Write a value of dataclasses, arrays, lists, texts and numbers; whole or not at all."""
    arrays: dict[str, Any] = {}
    arrays[_TEXT] = np.array(json.dumps(_packed(value, arrays), ensure_ascii=False))
    with replacing(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def read_packed(path: Path, kind: type) -> Any:
    """Read a value of a class that :func:`write_packed` wrote.

    Raises FileError when the file is missing, damaged or holds something else.
    """
    existing = existing_file(path)
    try:
        with np.load(existing, allow_pickle=False) as file:
            value = _unpacked(json.loads(str(file[_TEXT])), file)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except (ValueError, LookupError, TypeError, AttributeError, ImportError, RecursionError, MemoryError,
            zipfile.BadZipFile) as error:  # fmt: skip
        raise FileError(path, "is damaged, of another version, or none of ours", "Make it anew") from error
    if not isinstance(value, kind):
        raise FileError(path, f"holds no {kind.__name__.lower()}")
    return value


def _packed(value: Any, arrays: dict[str, Any]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        parts = {one.name: _packed(getattr(value, one.name), arrays) for one in fields(value) if one.init}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": parts}
    if isinstance(value, np.ndarray):
        arrays[f"array{len(arrays)}"] = value
        return {"array": f"array{len(arrays) - 1}"}
    if isinstance(value, tuple | list):
        return {"tuple": [_packed(each, arrays) for each in value]}
    if isinstance(value, Mapping):
        return {"dict": {str(key): _packed(each, arrays) for key, each in value.items()}}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop]}
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(value: Any, arrays: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = [(key, value[key]) for key in value if key != "fields"]
    if kind == "class":
        module, _, name = content.partition(":")
        found = getattr(import_module(module), name) if module.startswith(_PACKAGE) else None
        if not (isinstance(found, type) and is_dataclass(found)):
            raise ValueError(f"no value of ours: {content}")
        return found(**{name: _unpacked(each, arrays) for name, each in value["fields"].items()})
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(_unpacked(each, arrays) for each in content)
    if kind == "slice":
        return slice(*content)
    return {key: _unpacked(each, arrays) for key, each in content.items()}
