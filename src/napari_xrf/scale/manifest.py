"""manifest.jsonl: what a batch did, a line for each file when it ends; the last line of a file counts."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import is_file
from napari_xrf.io.edf import files_of
from napari_xrf.io.formats import is_folder_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = "manifest.jsonl"
_CHUNK = 2**22


@dataclass(frozen=True)
class Entry:
    """A line of the manifest."""

    # file, folder: what was read, and the name of the folder with its results
    file: str
    folder: str
    # verb, recipe: what was done; the hash of the verb, its options and the files these name
    verb: str
    recipe: str
    status: str  # "done" or "failed"
    seconds: float = 0.0  # it took
    error: str = ""  # why it failed
    warnings: tuple[str, ...] = ()  # what the verb told
    # sha256 of the file and its companions (same name, other ending), and by name the size and mtime_ns of
    # each, by which an unchanged file is known without reading it
    input: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()  # names of what was written into the folder
    version: str = ""  # of this package

    def still_holds(self, recipe: str, folder: Path) -> bool:
        """Tell whether this is done, by the same recipe, from the same input, and all it wrote is there."""
        if self.status != "done" or self.recipe != recipe:
            return False
        if not all((folder / name).is_file() for name in self.files):
            return False
        now = stamps(Path(self.file))
        return bool(now) and (
            now == self.input.get("stamps") or fingerprint(Path(self.file)) == self.input.get("sha256")
        )


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Return the last entry of each file; a line that was cut short by a crash is passed over."""
    path = folder / NAME
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
    for line in lines:
        try:
            values = json.loads(line)
            entry = Entry(
                **{**values, "warnings": tuple(values["warnings"]), "files": tuple(values["files"])}
            )
        except (ValueError, TypeError, KeyError):
            continue
        entries[entry.file] = entry
    return entries


@contextmanager
def open_manifest(folder: Path) -> Iterator[IO[str]]:
    """Open the manifest of a folder to append to, for this process alone.

    Raises InvalidInput when another batch writes it. Raises FileError when it cannot be written.
    """
    path = folder / NAME
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})", "Choose another folder") from error
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"another batch writes to {folder}", "Wait, or choose another folder"
            ) from None
        except OSError:  # a file system without locks
            pass
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write("\n")  # after a line that was cut short
        yield file


def append(file: IO[str], entry: Entry) -> None:
    """Write a line, which is on disk when this returns."""
    file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def input_of(path: Path) -> dict[str, Any]:
    """Return how a file and its companions are known again."""
    return {"sha256": fingerprint(path), "stamps": stamps(path)}


def stamps(path: Path) -> dict[str, list[int]]:
    """Return name → size and time of change, of a file and its companions; empty when it is not there."""
    found = {_name(file, path): file.stat() for file in _with_companions(path)}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in found.items()}


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file and its companions; of nothing when it is not there."""
    digest = hashlib.sha256()
    for file in _with_companions(path):
        digest.update(_name(file, path).encode())
        with file.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def recipe_hash(verb: str, options: Mapping[str, Any]) -> str:
    """Return a hash of a verb, its options and the content of the files that these name."""
    digest = hashlib.sha256(json.dumps([verb, dict(options)], sort_keys=True, default=str).encode())
    for name in sorted(options):
        for word in str(options[name]).replace("=", ",").split(","):
            if is_file(word.strip()):
                digest.update(fingerprint(Path(word.strip())).encode())
    return digest.hexdigest()[:16]


def _name(file: Path, path: Path) -> str:
    return file.relative_to(path.parent).as_posix()


def _with_companions(path: Path) -> list[Path]:
    if is_folder_file(path):
        return sorted(file for file in path.rglob("*") if file.is_file())
    if not is_file(path):
        return []
    if path.suffix.lower() == ".edf":
        return files_of(path)
    beside = (file for file in path.parent.iterdir() if file.stem == path.stem and file != path)
    return [path, *sorted(file for file in beside if file.is_file() and not file.name.startswith("."))]
