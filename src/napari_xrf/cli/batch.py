"""The verb that does another on many files: batch."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import check_folder
from napari_xrf.cli.model_options import folder_option
from napari_xrf.core.cores import core_count
from napari_xrf.core.errors import FileError, InvalidInput, nearest_of
from napari_xrf.core.named_files import content_of, is_file

if TYPE_CHECKING:
    from napari_xrf.scale.manifest import Entry

Perform: TypeAlias = Callable[[Sequence[str]], tuple[Any, tuple[str, ...]]]

_OUTPUT_FILES = {  # verbs that write one file
    "spectrum": "spectrum.csv",
    "denoise": "denoised.h5",
    "decode": "decoded.h5",
}
_OF_THE_BATCH = {"help", "h", "json", "quiet", "traceback", "o", "output", "make-plan", "shard"}
_MOST_TOLD = 20


def add_verbs(verbs: Any, common: argparse.ArgumentParser, perform: Perform) -> None:
    """Add ``batch`` to the parser's verbs; ``perform`` runs the words of another verb."""
    parents = [common, folder_option()]
    batch = verbs.add_parser("batch", parents=parents, help="a verb on many files, resumable")
    add = batch.add_argument
    add("work", metavar="VERB", help="what is done to each file: maps, minerals, quantify, …")
    add("files", metavar="FILE", nargs="+", help="files, folders, patterns, @LIST of them")
    add("--recipe", metavar="R.toml", type=Path, help="options of the verb, by their names")
    add("--option", metavar="NAME=VALUE", action="append", default=[], help="of the verb, before R.toml's")
    add("--plan", metavar="P.npz", help="of the verb, for all files")
    add("--jobs", metavar="N", type=int, help="processes (default: one for each core)")
    add("--scheduler", metavar="ADDRESS", help="of a dask cluster, in place of processes here")
    batch.set_defaults(run=lambda arguments, console: run_batch(arguments, console, verbs.choices, perform))


def run_batch(
    arguments: argparse.Namespace,
    console: Console,
    verbs: Mapping[str, argparse.ArgumentParser],
    perform: Perform,
) -> Answer:
    """Do a verb on many files; what fails is named, and makes the exit code 1."""
    from napari_xrf.scale import batch
    from napari_xrf.scale.inputs import listed_files

    check_folder(arguments.output)
    if arguments.jobs is not None and arguments.jobs < 1:
        raise InvalidInput(f"--jobs must be 1 or more, not {arguments.jobs}")
    files = listed_files(arguments.files)
    work = _checked_work(arguments, verbs, perform)

    def told(entry: Entry) -> None:
        if entry.status == "failed":
            said = entry.error if entry.error.startswith(entry.file) else f"{entry.file}: {entry.error}"
            console.say(f"failed: {said}")

    entries, before = batch.run_batch(
        batch.BatchJob(arguments.work, work.options, work, arguments.output),
        files,
        lambda tasks: _executor(arguments, console, tasks),
        told=told,
        progress=console.progress,
    )
    return _summarized(arguments.output, entries, before)


def _summarized(folder: Path, entries: Sequence[Entry], before: int) -> Answer:
    """Write summary.csv, and tell what was done, what failed and what stands out."""
    from napari_xrf.io.atomic_write import write_text
    from napari_xrf.scale.batch import RESULT
    from napari_xrf.scale.manifest import NAME
    from napari_xrf.scale.summary import SummaryRow, marks_text, standing_out, summary_of, summary_table

    failed = {entry.file: entry.error for entry in entries if entry.status == "failed"}
    rows: list[SummaryRow] = []
    for entry in entries:
        if entry.status == "done":
            answered = (folder / entry.folder / RESULT).read_text(encoding="utf-8")
            rows += summary_of(entry.file, json.loads(answered))
    summary = folder / "summary.csv"
    write_text(summary, summary_table(rows, failed))
    apart = [(row, marks) for row, marks in zip(rows, standing_out(rows), strict=True) if marks]
    done = len(entries) - len(failed)
    data = {
        "files": len(entries),
        "done": done,
        "done_before": before,
        "failed": [{"file": file, "error": error} for file, error in failed.items()],
        "stand_out": [{"file": row.file, "region": row.region, "robust_z": marks} for row, marks in apart],
        "manifest": str(folder / NAME),
        "summary": str(summary),
    }
    lines = [f"{done} of {len(entries)} files done, {before} of them before; see {summary}"]
    lines += [f"failed: {file}" for file in failed][:_MOST_TOLD]
    lines += [f"stands out: {row.file} {marks_text(marks)}" for row, marks in apart][:_MOST_TOLD]
    return Answer(data, "\n".join(lines), exit_code=1 if failed else 0)


@dataclass(frozen=True)
class VerbWork:
    """Does a verb on one file; picklable."""

    # verb, options: the verb, and its options as the recipe gives them
    verb: str
    options: Mapping[str, Any]
    words: tuple[str, ...]  # the same as the command line's words
    # Name of the file that the verb writes; None where it writes none, empty where it fills a folder
    output: str | None
    perform: Perform  # what runs words
    model: tuple[str, ...] = ()  # stands before the file where the verb takes one there

    def __call__(self, file: Path, folder: Path) -> tuple[Any, Sequence[str]]:
        """Do it, writing to a folder."""
        writes = [] if self.output is None else ["-o", str(folder / self.output)]
        return self.perform([self.verb, *self.words, *writes, "--", *self.model, str(file)])


def _checked_work(
    arguments: argparse.Namespace, verbs: Mapping[str, argparse.ArgumentParser], perform: Perform
) -> VerbWork:
    """Return the verb with its options, which are tried before any file is read."""
    verb, parser = arguments.work, verbs.get(arguments.work)
    actions = {action.dest: action for action in parser._actions} if parser is not None else {}
    if "file" not in actions:
        able = [
            name for name, each in verbs.items() if any(action.dest == "file" for action in each._actions)
        ]
        raise InvalidInput(f"there is no batch of {verb!r}", nearest_of(verb, able))
    named = {_spelled(flag): action for action in actions.values() for flag in action.option_strings}
    wants_model = "model" in actions and not actions["model"].option_strings
    if wants_model:
        named["model"] = actions["model"]
    options = _options(arguments, verbs)
    able_to_write = {"output"} if verb in _OUTPUT_FILES else set()
    allowed = named.keys() - (_OF_THE_BATCH - able_to_write)
    words: list[str] = []
    for name, value in options.items():
        if name not in allowed:
            raise InvalidInput(
                f"{verb} has no option {name!r} for a batch", nearest_of(name, sorted(allowed))
            )
        if name != "output" and named[name].option_strings:
            words += _words(named[name], name, value)
    if wants_model and "model" not in options:
        raise InvalidInput(f"{verb} needs a model", "Add --option model=NAME")
    output = options.get("output", _OUTPUT_FILES.get(verb, "")) if "output" in actions else None
    model = (str(options["model"]),) if wants_model else ()
    work = VerbWork(verb, options, tuple(words), output, perform, model)
    _try(work, arguments.output / "no map")
    return work


def _try(work: VerbWork, absent: Path) -> None:
    """Run the verb on a file that is not there: verbs check all that the user gave before they read."""
    try:
        work(absent, absent)
    except FileError as error:
        if absent not in (error.path, *error.path.parents):  # it, or what would be written beside it
            raise


def _options(arguments: argparse.Namespace, verbs: Mapping[str, Any]) -> dict[str, Any]:
    """Return option → value of the recipe and of the command line; files as absolute paths."""
    recipe, beside = arguments.recipe, Path()
    given: dict[str, Any] = {}
    if recipe is not None:
        beside = recipe.parent
        try:
            given = tomllib.loads(content_of(recipe).decode("utf-8-sig"))
        except ValueError as error:
            raise FileError(recipe, f"is no recipe that can be read ({error})") from error
        tables = {name: given.pop(name) for name in [*given] if isinstance(given[name], dict)}
        if strange := tables.keys() - verbs.keys():
            raise FileError(recipe, f"has a table [{min(strange)}], which is no verb")
        given |= tables.get(arguments.work, {})
    for text in arguments.option:
        name, equals, value = text.partition("=")
        given[name.strip()] = value if equals else True
    if arguments.plan is not None:
        given["plan"] = arguments.plan
    return {_spelled(name): _with_paths(value, beside) for name, value in given.items()}


def _spelled(name: str) -> str:
    return name.lstrip("-").replace("_", "-")


def _with_paths(value: Any, beside: Path) -> Any:
    """Return a value whose names of files hold wherever it is used."""
    if isinstance(value, list):
        return [_with_paths(each, beside) for each in value]
    if not isinstance(value, str):
        return value
    return "=".join(_with_path(part, beside) for part in value.split("="))


def _with_path(word: str, beside: Path) -> str:
    files = (path for path in (Path(word), beside / word) if is_file(path))
    return str(next((path.absolute() for path in files), word))


def _words(action: argparse.Action, name: str, value: Any) -> list[str]:
    """Return an option as words of the command line."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise InvalidInput(f"{name} is true or false, not {value!r}")
        other = f"--no-{name}" if f"--no-{name}" in action.option_strings else ""
        return [f"--{name}"] if value else [other] if other else []
    if isinstance(value, bool | dict):
        raise InvalidInput(f"{name} is no {type(value).__name__}")
    each = value if isinstance(value, list) else [value]
    if not isinstance(action, argparse._AppendAction):
        each = [",".join(map(str, each))]
    return [f"--{name}={one}" for one in each]


def _executor(arguments: argparse.Namespace, console: Console, tasks: int) -> Executor:
    from napari_xrf.scale.executors import Cluster, WarmProcesses

    if arguments.scheduler is not None:
        cluster = Cluster(arguments.scheduler)
        if not cluster.workers:
            start = f"start one with dask worker {arguments.scheduler}"
            console.warn((f"The scheduler has no worker yet, and the batch waits for one; {start}.",))
        return cluster
    return WarmProcesses(min(arguments.jobs or core_count(), tasks))
