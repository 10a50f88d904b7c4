"""Opening HDF5 files that may be damaged, renamed or full of links to nowhere."""

import collections
import contextlib
import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.errors import FileError, XrfError
from napari_xrf.core.memory import budget_of, default_memory_budget
from napari_xrf.io.hdf5.heaps import check_texts

_OWN_FILTERS = (*range(256), h5py.h5z.FILTER_LZF)  # HDF5's and h5py's
_MANY = 2**27  # values that are read at once without a look at what is stored
_SMALL_CHUNK = 2**26  # bytes that any budget affords
MOST_CHILDREN = 2**10  # of a group that a pattern stands for
_MOST_TEXTS = 2**17
_MOST_TEXT_BYTES = 2**26
_MOST_SOURCES = 2**12
_MOST_NAMES = 2**15  # in a group
MOST_NODES = 2**13  # that are looked at in a file of unknown layout
_DEEPEST_GROUP = 64
_DEEPEST = 32  # virtual datasets within virtual datasets


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """Give an HDF5 file, open for reading and not locked; failures of the library become FileError."""
    target = Path(path)
    check_texts(target)
    try:
        with _open(target) as file:
            yield file
    except XrfError:
        raise
    except Exception as error:  # whatever a damaged file makes the library raise
        text = " ".join(str(error).split()) or type(error).__name__
        raise FileError(
            target, f"is damaged or no HDF5 file ({text})", "Copy it again from where it was measured"
        ) from error


def dataset_at(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return the dataset of that path, or None where there is none or its link leads nowhere."""
    return _node_at(group, name, h5py.Dataset)


def group_at(group: h5py.Group, name: str) -> h5py.Group | None:
    """Return the group of that path, or None where there is none or its link leads nowhere."""
    return _node_at(group, name, h5py.Group)


def exists(group: h5py.Group, name: str) -> bool:
    """Tell whether a path leads to a dataset or a group."""
    return dataset_at(group, name) is not None or group_at(group, name) is not None


def matching(group: h5py.Group, pattern: str) -> list[str]:
    """Return the paths of the datasets that patterns such as ``/xrmmap/mca[0-9]*/counts|/other`` match."""
    found: dict[str, None] = {}
    for one in pattern.split("|"):
        *folders, last = one.strip("/").split("/")
        nodes = [("", group)]
        for part in folders:
            below = ((f"{path}/{name}", group_at(node, name)) for path, node in nodes
                     for name in _children(node, part))  # fmt: skip
            nodes = [(path, node) for path, node in below if node is not None]
        found |= {f"{path}/{name}": None for path, node in nodes for name in _children(node, last)
                  if dataset_at(node, name) is not None}  # fmt: skip
    return list(found)


def children(group: h5py.Group | None) -> list[str]:
    """Return the names in a group; those that are no text, in damaged files, are left out.

    Raises FileError where they are so many that no program made them to be looked at.
    """
    if group is not None and len(group) > _MOST_NAMES:
        raise FileError(group.file.filename, f"{group.name or '/'} holds {len(group)} objects, too many")
    return [name for name in group or () if isinstance(name, str)]


def walk(file: h5py.Group, missing: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield path and node of what a file holds, nearest the root first, links followed.

    The node is a dataset or a group, or None: of another kind, damaged, a link to nowhere, a group that was
    there before. ``missing`` is given the files that external links name and that are not there. So that
    nothing can keep a reader busy, the first :data:`MOST_NODES` are all.
    """
    pending, seen, count = collections.deque([("", file)]), {identity(file)}, 0
    while pending:
        path, group = pending.popleft()
        for name in children(group)[: MOST_NODES - count]:
            node, child = _child(group, name, missing), f"{path}/{name}"
            if isinstance(node, h5py.Group):
                own = identity(node)
                if own in seen or child.count("/") > _DEEPEST_GROUP:
                    node = None
                else:
                    seen.add(own)
                    pending.append((child, node))
            count += 1
            yield child, node


class Arrays:
    """A dataset whose elements are arrays of numbers, as one of so many more dimensions."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self.dtype, inner = dataset.dtype.subdtype
        self.shape = (*dataset.shape, *inner)
        self.ndim = len(self.shape)
        self.chunks = (*dataset.chunks, *inner) if dataset.chunks else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if key == ():
            return np.asarray(self._dataset[()])
        outer = self._dataset.ndim
        values = np.asarray(self._dataset[key[:outer]])
        return np.asarray(values[(..., *key[outer:])])


def identity(node: Any) -> tuple[int, Any]:
    """Return what two links to one object have in common, and two objects do not."""
    told = h5py.h5o.get_info(node.id)
    return told.fileno, told.addr


def _child(group: h5py.Group, name: str, missing: list[str] | None) -> Any:
    """Return a dataset or group of a group, None for others, for what is damaged and links to nowhere."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.HardLink):
            node = group[name]
            if isinstance(node, h5py.Dataset):
                return _usable(node)
            return node if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink) and missing is not None:
            missing += [link.filename] * (link_target(group.file.filename, link.filename) is None)
        found = _node_at(group, name, h5py.Dataset)
        return _node_at(group, name, h5py.Group) if found is None else found
    return None


def check_dataset(path: Path, dataset: Any, memory_budget: int | None = None, kinds: str = "uif") -> None:
    """Refuse datasets that no memory holds, or whose values lie in files that are not there.

    Raises FileError when the dataset is no array of numbers, claims far more than it stores, has chunks above
    the memory budget, or its parts are missing or lead back to it.
    """
    name = dataset.name
    if dataset.dtype.kind not in kinds or dataset.dtype.itemsize > (16 if dataset.dtype.kind == "c" else 8):
        raise FileError(path, f"{name} holds {dataset.dtype}, not counts")
    claimed = prod(dataset.shape) * dataset.dtype.itemsize
    plain = not (dataset.chunks or dataset.is_virtual or dataset.external)
    if plain and 0 < dataset.id.get_storage_size() < claimed:  # HDF5 reads other values each time
        raise FileError(
            path,
            f"is damaged: {name} stores fewer than its {claimed} bytes",
            "Copy it again from the instrument",
        )
    if claimed > 2**34 and not dataset.is_virtual and dataset.id.get_storage_size() < claimed / 2**14:
        raise FileError(path, f"{name} claims {dataset.shape} values but stores hardly any")
    budget = budget_of(memory_budget)
    chunk = prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    if chunk > max(budget, _SMALL_CHUNK):
        raise FileError(
            path, f"{name} is stored in chunks of {chunk / 1e6:.0f} MB, which must be read whole",
            "Allow more memory (--memory), or store it in smaller chunks (h5repack)",
        )  # fmt: skip
    check_sources(path, dataset)


def check_sources(path: Path, dataset: Any) -> None:
    """Refuse values that lie in files that are not there or not the map's, or that are made of themselves.

    HDF5 itself reads raw values from any file of this machine, and ends the program on virtual datasets whose
    sources lead back to them.
    """
    folder = Path(dataset.file.filename).parent.resolve()
    for part in dataset.external or ():
        name = part[0].decode("utf-8", "replace") if isinstance(part[0], bytes) else part[0]
        target = (folder / name).resolve()
        if not target.is_file():
            raise _missing(path, dataset.name, name)
        if not target.is_relative_to(folder):
            raise FileError(
                path,
                f"{dataset.name} takes its values from {name}, outside the file's folder",
                "Copy that file into it, if you trust the map",
            )
    if dataset.is_virtual:
        _check_virtual(path, dataset, ())


def link_target(parent: str | Path, name: str) -> Path | None:
    """Return the regular file that a link or virtual dataset of the file ``parent`` leads to, None if none.

    HDF5 itself looks at the path as it stands, beside the file, under its last component beside the file
    when the path is absolute, and beside what a symlinked file really is.
    """
    named = Path(name)
    folders = dict.fromkeys([Path(parent).parent, Path(parent).resolve().parent])
    places = [folder / named for folder in folders]
    places += (
        [folder / Path(name.replace("\\", "/")).name for folder in folders] if named.is_absolute() else []
    )
    return next((place for place in (*places, named) if place.is_file()), None)


def copy_to(parent: Path, name: str) -> str:
    """Return where to copy a missing file so that HDF5 finds it: beside the map, unless it names a folder."""
    if "\\" in name and not Path(name).is_absolute():
        return f"HDF5 follows paths of Windows only there: open {PureWindowsPath(name).name} itself"
    relative = not Path(name).is_absolute() and len(Path(name).parts) > 1
    return f"Copy that file to {parent.parent / name}" if relative else "Copy that file beside this one"


def array_of(dataset: h5py.Dataset, kinds: str = "uif") -> NDArray[Any]:
    """Read a whole dataset of numbers, after the checks of :func:`check_dataset`."""
    path = Path(dataset.file.filename)
    check_dataset(path, dataset, kinds=kinds)
    count = prod(dataset.shape)
    claimed = count * dataset.dtype.itemsize
    lies = count > _MANY and not dataset.is_virtual and dataset.id.get_storage_size() < claimed / 2**8
    if lies or claimed > 2 * default_memory_budget():
        stored = "stores hardly any" if lies else "needs more memory than there is"
        raise FileError(path, f"{dataset.name} claims {dataset.shape} values but {stored}")
    return np.asarray(dataset[()])


def table_of(dataset: h5py.Dataset) -> NDArray[Any]:
    """Read a dataset of one record or few; FileError where it holds others than numbers and texts."""
    return np.asarray(_few_values(dataset, dataset.size))


def text_of(value: Any) -> str:
    """Return the text of a dataset's value or an attribute, whichever way it was stored."""
    if isinstance(value, h5py.Dataset):
        value = _few_values(value, 1) if value.size is not None and value.size <= 1 else ""
    while getattr(value, "ndim", 0):
        value = value.flat[0] if value.size else ""
    if hasattr(value, "item") and not isinstance(value, bytes | str):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None or isinstance(value, h5py.Empty) else str(value)


def texts_of(value: Any) -> tuple[str, ...]:
    """Return the texts of a dataset or attribute that holds a list of them."""
    if isinstance(value, h5py.Dataset):
        if value.size is None or value.size > _MOST_TEXTS:
            raise FileError(value.file.filename, f"{value.name} claims {value.shape} names")
        value = _few_values(value, value.size)
    if isinstance(value, str | bytes):
        return (text_of(value),)
    try:
        return tuple(text_of(item) for item in value)
    except TypeError:
        return (text_of(value),)


def attribute(node: h5py.Dataset | h5py.Group, name: str, default: Any = None) -> Any:
    """Return an attribute, or the default where it is missing or cannot be read."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError, TypeError):
        if name in node.attrs and _is_plain(node.attrs.get_id(name).dtype):
            return node.attrs[name]
    return default


def attribute_names(node: h5py.Dataset | h5py.Group) -> list[str]:
    """Return the names of a node's attributes; none where they cannot be listed."""
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError, TypeError):
        return list(node.attrs)
    return []


def text_attribute(node: h5py.Dataset | h5py.Group | None, name: str) -> str:
    """Return an attribute's text, empty where node or attribute are missing."""
    return "" if node is None else text_of(attribute(node, name, ""))


def number_of(value: Any) -> float | None:
    """Return the single number of a dataset or attribute, or None where it holds none."""
    with contextlib.suppress(ValueError, TypeError, OSError, RuntimeError):
        if isinstance(value, h5py.Dataset):
            if value.size is None or value.size < 1 or value.dtype.kind not in "iufSO":
                return None
            if not _is_plain(value.dtype):
                return None
            check_sources(Path(value.file.filename), value)
            value = _few_values(value, 1) if value.ndim == 0 else value[(0,) * value.ndim]
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
        if "locking flag" in str(error):
            return h5py.File(path, "r")
        if "SWMR" in str(error) or "already open for write" in str(error):
            return h5py.File(path, "r", swmr=True, locking=False)
        raise


def _is_plain(dtype: Any) -> bool:
    """Tell whether values are numbers, texts or tables of these.

    Lists of any length and references, whose types in a damaged file lead anywhere, end the program.
    """
    if dtype.fields:
        return all(_is_plain(field) for field, *_ in dtype.fields.values())
    kind = dtype.base
    return kind.kind != "O" or h5py.check_string_dtype(kind) is not None


def _few_values(dataset: Any, count: int) -> Any:
    """Read a dataset of texts or a single value, where it does not claim endless texts."""
    path = Path(dataset.file.filename)
    if count * dataset.dtype.itemsize > _MOST_TEXT_BYTES:
        raise FileError(path, f"{dataset.name} claims texts of {dataset.dtype.itemsize} bytes")
    if not _is_plain(dataset.dtype):
        raise FileError(path, f"{dataset.name} holds neither numbers nor texts")
    check_sources(path, dataset)
    return dataset[()]


def _missing(path: Path, name: str, file_name: str) -> FileError:
    return FileError(path, f"{name} lies in {file_name}, which is not there", copy_to(path, file_name))


def _check_virtual(path: Path, dataset: Any, above: tuple[tuple[Path, str], ...]) -> None:
    """Follow the sources of a virtual dataset through all files, refusing those that lead back."""
    own = Path(dataset.file.filename)
    identity = (own.resolve(), dataset.name)
    if identity in above or len(above) > _DEEPEST:
        raise FileError(path, f"{dataset.name} is a virtual dataset made of itself")
    sources = {(one.file_name, one.dset_name) for one in dataset.virtual_sources()}
    for file_name, name in sorted(sources)[:_MOST_SOURCES]:
        for target in [own] if file_name == "." else _source_files(path, own, file_name, dataset.name):
            with contextlib.ExitStack() as held:
                file = dataset.file
                if target.resolve() != own.resolve():
                    file = held.enter_context(_open(target))
                for one in matching(file, name.replace("%b", "*")) if "%b" in name else [name]:
                    inner = dataset_at(file, one)
                    if inner is not None and inner.is_virtual:
                        _check_virtual(path, inner, (*above, identity))


def _source_files(path: Path, own: Path, file_name: str, name: str) -> list[Path]:
    """Return the files that a source of a virtual dataset stands for: several where blocks number them."""
    if "%b" in file_name:
        pattern = Path(file_name.replace("%b", "*"))
        return sorted((own.parent / pattern).parent.glob(pattern.name))[:_MOST_SOURCES]
    target = link_target(own, file_name)
    if target is None:
        raise _missing(path, name, file_name)
    return [target]


def _node_at(group: h5py.Group, name: str, kind: type) -> Any:
    with contextlib.suppress(KeyError, OSError, RuntimeError, ValueError):
        if _leads_somewhere(group, name):
            found = group[name]
            if isinstance(found, kind):
                return _usable(found) if isinstance(found, h5py.Dataset) else found
    return None


def _usable(dataset: h5py.Dataset) -> Any:
    _load_filters(dataset)
    if dataset.dtype.subdtype is not None:
        return Arrays(dataset)
    return _with_raw_files(dataset) if dataset.external else dataset


def _load_filters(dataset: h5py.Dataset) -> None:
    """Load the compressions of beamlines where a dataset, or a part of it, may need one: it takes long."""
    stored = dataset.id.get_create_plist()
    filters = (stored.get_filter(one)[0] for one in range(stored.get_nfilters()))
    if dataset.is_virtual or any(one not in _OWN_FILTERS for one in filters):
        import hdf5plugin  # noqa: F401 - registers them


def _with_raw_files(dataset: h5py.Dataset) -> h5py.Dataset:
    """Return a dataset whose raw files are looked for beside its file, not in the working folder."""
    file, name = dataset.file, dataset.name.encode()
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_efile_prefix(str(Path(file.filename).parent.resolve()).encode())
    dataset.id.close()  # one that is open keeps the place it was opened with
    return h5py.Dataset(h5py.h5d.open(file.id, name, access))


def _children(parent: h5py.Group, part: str) -> list[str]:
    if not any(sign in part for sign in "*?["):
        return [part] if part in parent else []
    names = [name for name in children(parent) if fnmatch.fnmatchcase(name, part)]
    return sorted(names, key=lambda name: (len(name), name))[:MOST_CHILDREN]


def _leads_somewhere(group: h5py.Group, name: str) -> bool:
    """Tell whether no part of a path is an external link to what is no regular file (a pipe would hang)."""
    parent: Any = group.file if name.startswith("/") else group
    parts = [part for part in name.split("/") if part]
    for at, part in enumerate(parts, 1):
        if not isinstance(parent, h5py.Group):
            break
        link = parent.get(part, getlink=True)
        outside = isinstance(link, h5py.ExternalLink)
        if outside and link_target(parent.file.filename, link.filename) is None:
            return False
        if at < len(parts):
            parent = parent.get(part)
    return True
