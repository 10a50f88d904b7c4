"""One verb on many files: each in a folder of its own, with a manifest that a second call goes on from."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.core.extras import networks_told
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.version import VERSION
from napari_xrf.io.atomic_write import made_folder, replacing_folder, sweep
from napari_xrf.scale import manifest
from napari_xrf.scale.manifest import Entry

RESULT = "result.json"
_limited = threading.Lock()

Work: TypeAlias = Callable[[Path, Path], tuple[Any, Sequence[str]]]
"""Picklable; takes a file and the folder to write to, returns data for JSON and what there is to tell."""


@dataclass(frozen=True)
class BatchJob:
    """What is done to each file."""

    verb: str  # its name
    options: Mapping[str, Any]  # option → value, for the hash of the recipe
    work: Work  # what does it
    folder: Path  # where the results go


def run_batch(
    batch: BatchJob,
    files: Sequence[Path],
    executor: Callable[[int], Executor],
    *,
    told: Callable[[Entry], None] = lambda entry: None,
    progress: Progress = ignore_progress,
) -> tuple[tuple[Entry, ...], int]:
    """Do the work on each file that is not done yet; what goes wrong with one stops no other.

    ``batch``: what to do. ``files``: to which files. ``executor``: given the number of tasks, returns where
    they run; not called when there are none. ``told``: called with each entry as it ends. ``progress``: told
    after each file. Returns the entries of the files, in their order, and how many were done before. Raises
    InvalidInput when the folder holds the results of another verb, or another batch writes to it.
    """
    folder = made_folder(batch.folder)
    recipe = manifest.recipe_hash(batch.verb, batch.options)
    with manifest.open_manifest(folder) as log:
        sweep(folder.absolute(), again=True)  # what a batch that was killed left
        entries = manifest.read_manifest(folder)
        other = next((each.verb for each in entries.values() if each.verb != batch.verb), None)
        if other is not None:
            raise InvalidInput(f"{folder} holds a batch of {other}", "Choose another folder")
        tasks = _named(batch, recipe, files, entries)
        ended = {
            task.file: entries[task.file]
            for task in tasks
            if task.file in entries and entries[task.file].still_holds(recipe, folder / task.folder)
        }
        before = len(ended)
        waiting = [task for task in tasks if task.file not in ended]
        progress(before, len(tasks), batch.verb)
        if waiting:
            for entry in _run(waiting, batch, executor(len(waiting))):
                manifest.append(log, entry)
                ended[entry.file] = entry
                if entry.status == "failed":  # what an older input or recipe gave is no result of this one
                    shutil.rmtree(folder / entry.folder, ignore_errors=True)
                told(entry)
                progress(len(ended), len(tasks), batch.verb)
        sweep(folder.absolute(), again=True)  # what workers that died left
    return tuple(ended[task.file] for task in tasks), before


def _named(batch: BatchJob, recipe: str, files: Sequence[Path], known: Mapping[str, Entry]) -> list[Entry]:
    """Return an entry for each file, with a folder that no other has and that it had before."""
    taken = {entry.folder for entry in known.values()}
    tasks = []
    for file in map(str, files):
        folder = known[file].folder if file in known else _free_name(batch.folder, Path(file).stem, taken)
        taken.add(folder)
        tasks.append(Entry(file, folder, batch.verb, recipe, "waiting"))
    return tasks


def _free_name(place: Path, stem: str, taken: set[str]) -> str:
    """Return a name that no other file's results have, nor anything else that stands there."""
    name, number = stem.lstrip(".") or "map", 1
    own = (manifest.NAME, "summary.csv")
    while name in (*taken, *own) or ((place / name).exists() and not (place / name / RESULT).is_file()):
        number += 1
        name = f"{stem}-{number}"
    return name


def _run(tasks: Sequence[Entry], batch: BatchJob, executor: Executor) -> Any:
    """Yield the entry of each task as it ends."""
    running: dict[Future[Entry], Entry] = {
        executor.submit(do_task, task, batch.work, batch.folder.absolute()): task for task in tasks
    }
    try:
        for future in as_completed(running):
            error = future.exception()
            if error is None:
                yield future.result()
            elif isinstance(error, Exception):
                yield replace(running[future], status="failed", error=_sentence(error))
            else:
                raise error
    finally:
        executor.shutdown(cancel_futures=True)


def do_task(task: Entry, work: Work, folder: Path) -> Entry:
    """Do the work on one file in a worker; its folder appears whole, with what the verb answered in JSON."""
    began = time.perf_counter()
    ended, final = replace(task, version=VERSION), folder / task.folder
    try:
        ended = replace(ended, input=manifest.input_of(Path(task.file)))
        with replacing_folder(final, RESULT) as place, networks_told():
            data, messages = _alone(work, Path(task.file), place)
            text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)
            (place / RESULT).write_text(text.replace(_in_json(place), _in_json(final)), encoding="utf-8")
            files = (str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
            written = tuple(sorted(files))
        ended = replace(ended, status="done", warnings=tuple(messages), files=written)
    except Exception as error:  # noqa: BLE001 - of one file of many, which the manifest names
        ended = replace(ended, status="failed", error=_sentence(error))
    return replace(ended, seconds=round(time.perf_counter() - began, 3))


def _alone(work: Work, file: Path, place: Path) -> tuple[Any, Sequence[str]]:
    """Do the work on one thread, also in a cluster's worker that was started with more.

    The limit is the process's: what ends first would lift it for the others, so that one waits for the other.
    """
    import scipy.linalg  # noqa: F401 - libraries that are loaded later would not be limited
    from threadpoolctl import threadpool_limits

    with _limited, threadpool_limits(1):
        return work(file, place)


def _in_json(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)[1:-1]


def _sentence(error: Exception) -> str:
    told = str(error) if isinstance(error, XrfError) else f"unexpected {type(error).__name__}: {error}"
    return " ".join(told.split())
