"""Opening HDF5 files that may be damaged, renamed or full of links to nowhere."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the compression filters that beamlines use
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, XrfError

_EMPTY_TYPES = (h5py.Empty,)


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """Give an HDF5 file, open for reading and not locked; failures of the library become FileError."""
    target = Path(path)
    try:
        with _open(target) as file:
            yield file
    except XrfError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, OverflowError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise FileError(
            target, f"is damaged or no HDF5 file ({text})", "Copy it again from where it was measured"
        ) from error


def dataset_at(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return the dataset of that path, or None where there is none or its link leads nowhere."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError):
        if _leads_somewhere(group, name):
            found = group[name]
            if isinstance(found, h5py.Dataset):
                return found
    return None


def group_at(group: h5py.Group, name: str) -> h5py.Group | None:
    """Return the group of that path, or None where there is none or its link leads nowhere."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError):
        if _leads_somewhere(group, name):
            found = group[name]
            if isinstance(found, h5py.Group):
                return found
    return None


def exists(group: h5py.Group, name: str) -> bool:
    """Tell whether a path leads to a dataset or a group."""
    return dataset_at(group, name) is not None or group_at(group, name) is not None


def matching(group: h5py.Group, pattern: str) -> list[str]:
    """Return the paths of the datasets that a pattern such as ``/xrmmap/mca[0-9]*/counts`` matches."""
    paths = [""]
    parts = pattern.strip("/").split("/")
    for depth, part in enumerate(parts):
        grown = []
        for path in paths:
            parent = group_at(group, path) if path else group
            if parent is None:
                continue
            names = _children(parent, part)
            grown += [f"{path}/{name}" for name in names]
        paths = grown
        if depth == len(parts) - 1:
            return [path for path in paths if dataset_at(group, path) is not None]
    return []


def children(group: h5py.Group | None) -> list[str]:
    """Return the names in a group; those that are no text, in damaged files, are left out."""
    return [name for name in group or () if isinstance(name, str)]


def broken_links(group: h5py.Group, limit: int = 1000) -> tuple[str, ...]:
    """Return the files that external links name and that are not there."""
    missing: list[str] = []
    pending = [group]
    for _ in range(limit):
        if not pending:
            break
        parent = pending.pop()
        for name in children(parent):
            with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError):
                link = parent.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    if not _target_of(parent, link).is_file():
                        missing.append(link.filename)
                elif isinstance(link, h5py.HardLink) and parent.get(name, getclass=True) is h5py.Group:
                    pending.append(parent[name])
    return tuple(dict.fromkeys(missing))


def check_dataset(path: Path, dataset: Any) -> None:
    """Refuse datasets that no memory holds, or whose values lie in files that are not there.

    Raises
    ------
    FileError
        When the dataset is no array of numbers, claims far more than it stores, or its parts are missing.
    """
    name = dataset.name
    if dataset.dtype.kind not in "uif" or dataset.dtype.itemsize > 8:
        raise FileError(path, f"{name} holds {dataset.dtype}, not counts")
    claimed = prod(dataset.shape) * dataset.dtype.itemsize
    if claimed > 2**34 and not dataset.is_virtual and dataset.id.get_storage_size() < claimed / 2**14:
        raise FileError(path, f"{name} claims {dataset.shape} values but stores hardly any")
    folder = Path(dataset.file.filename).parent
    named = [part.file_name for part in dataset.virtual_sources()] if dataset.is_virtual else []
    named += [part[0] for part in dataset.external or ()]
    for file_name in dict.fromkeys(named):
        text = file_name.decode() if isinstance(file_name, bytes) else file_name
        if text != "." and "%" not in text and not (folder / text).is_file():
            raise FileError(
                path, f"{name} lies in {text}, which is not there", "Copy that file beside this one"
            )


def array_of(dataset: h5py.Dataset) -> NDArray[Any]:
    """Read a whole dataset of numbers, after the checks of :func:`check_dataset`."""
    check_dataset(Path(dataset.file.filename), dataset)
    return np.asarray(dataset[()])


def text_of(value: Any) -> str:
    """Return the text of a dataset's value or an attribute, whichever way it was stored."""
    if isinstance(value, h5py.Dataset):
        value = value[()] if value.size is not None and value.size <= 1 else ""
    while getattr(value, "ndim", 0):
        value = value.flat[0] if value.size else ""
    if hasattr(value, "item") and not isinstance(value, bytes | str):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None or isinstance(value, _EMPTY_TYPES) else str(value)


def texts_of(value: Any) -> tuple[str, ...]:
    """Return the texts of a dataset or attribute that holds a list of them."""
    if isinstance(value, h5py.Dataset):
        value = value[()]
    if isinstance(value, str | bytes):
        return (text_of(value),)
    try:
        return tuple(text_of(item) for item in value)
    except TypeError:
        return (text_of(value),)


def attribute(node: h5py.Dataset | h5py.Group, name: str, default: Any = None) -> Any:
    """Return an attribute, or the default where it is missing or cannot be read."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError, TypeError):
        if name in node.attrs:
            return node.attrs[name]
    return default


def number_of(value: Any) -> float | None:
    """Return the single number of a dataset or attribute, or None where it holds none."""
    with contextlib.suppress(ValueError, TypeError, OSError, RuntimeError):
        if isinstance(value, h5py.Dataset):
            if value.size is None or value.size < 1 or value.dtype.kind not in "iufSO":
                return None
            value = value[()] if value.ndim == 0 else value[(0,) * value.ndim]
        while getattr(value, "ndim", 0):
            value = value.flat[0] if value.size else None
        number = float(value)
        return number if number == number and abs(number) != float("inf") else None
    return None


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        # Another part of this program holds the file open with locks: the library wants all alike.
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")


def _children(parent: h5py.Group, part: str) -> list[str]:
    if not any(sign in part for sign in "*?["):
        return [part] if part in parent else []
    names = [name for name in children(parent) if fnmatch.fnmatchcase(name, part)]
    return sorted(names, key=lambda name: (len(name), name))


def _leads_somewhere(group: h5py.Group, name: str) -> bool:
    """Tell whether no part of a path is an external link to what is no regular file (a pipe would hang)."""
    parent: Any = group.file if name.startswith("/") else group
    for part in name.strip("/").split("/"):
        if not part or not isinstance(parent, h5py.Group):
            continue
        link = parent.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink) and not _target_of(parent, link).is_file():
            return False
        parent = parent.get(part)
    return True


def _target_of(group: h5py.Group, link: h5py.ExternalLink) -> Path:
    return Path(group.file.filename).parent / link.filename
