"""The files of a batch: files, folders, patterns and lists of them."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.named_files import content_of, is_file, is_folder
from napari_xrf.io.edf import files_of
from napari_xrf.io.formats import FORMATS, is_element_map_file, is_folder_file, is_label_file, recognizes

_OF_ANYTHING = {".txt", ".csv", ".xml", ".raw"}  # endings that speak for no format: looked into first


def listed_files(words: Iterable[str]) -> tuple[Path, ...]:
    """Return the files that words name, each once, in the order of the words.

    A folder stands for the maps and spectra in it, not for those of folders in it; ``@list`` for the lines of
    a file, which may be patterns and folders again, blank lines and those with # left out. A file that is
    named is taken as it is, there or not: the batch says of each what is wrong with it. Raises InvalidInput
    when nothing fits a pattern, or a folder holds nothing to read. Raises FileError when a list cannot be
    read.
    """
    found = {path.absolute(): None for word in words for path in _named(word)}
    if not found:
        raise InvalidInput("a batch needs files", "Name files, folders, patterns or @LIST")
    return tuple(found)


def _named(word: str, beside: Path | None = None) -> Iterator[Path]:
    path = Path(word)
    if beside is not None and not path.is_absolute() and not (is_file(path) or is_folder(path)):
        path = beside / path
    if word.startswith("@") and beside is None:
        yield from _of_list(Path(word[1:]))
    elif is_folder(path):
        inside = [file for file in sorted(path.iterdir()) if _holds_spectra(file)]
        if not inside:
            raise InvalidInput(f"{path} holds no map or spectrum", "Name its files")
        yield from inside
    elif glob.has_magic(word) and not is_file(path):
        fitting = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute patterns too
        if not fitting:
            raise InvalidInput(f"no file fits {word}", "Check folder and ending")
        yield from (Path(name) for name in fitting if not Path(name).is_dir())
    else:
        yield path


def _of_list(path: Path) -> Iterator[Path]:
    try:
        lines = content_of(path).decode("utf-8-sig").splitlines()
    except ValueError as error:
        raise FileError(path, f"cannot be read as a list of files ({error})") from error
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            yield from _named(line, path.parent)


def _holds_spectra(file: Path) -> bool:
    """Tell whether a file of a folder is one of the batch; a damaged one is, so that it is named."""
    suffix = file.suffix.lower()
    if is_folder_file(file):
        return True
    if file.name.startswith(".") or not file.is_file() or not any(suffix in row.suffixes for row in FORMATS):
        return False
    if suffix == ".edf" and file != files_of(file)[0]:
        return False  # another file of the same map
    if suffix == ".raw" and file.with_suffix(".rpl").exists():
        return False
    if is_label_file(file) or is_element_map_file(file):
        return False
    return suffix not in _OF_ANYTHING or recognizes(file)
