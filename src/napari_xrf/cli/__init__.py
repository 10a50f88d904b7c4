"""The command line: the same work without a window."""

import argparse
import gc
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, NoReturn

from napari_xrf.cli import (
    analysis,
    batch,
    comparison,
    demonstration,
    evaluation,
    inspection,
    merging,
    prediction,
    quantification,
    report,
    simulation,
    training,
)
from napari_xrf.cli.console import Console, Recorder, harmless
from napari_xrf.core.compiled_code import compiling_told
from napari_xrf.core.errors import XrfError
from napari_xrf.core.extras import networks_told
from napari_xrf.core.version import VERSION
from napari_xrf.io.atomic_write import plain, together

__all__ = ["build_parser", "main"]

# Verbs that read what they have written, or write while they work; the files of all others appear together.
_ONE_BY_ONE = ("train", "tune", "adapt", "batch", "demo", "evaluate")
_GARBAGE = 20_000  # new objects before cycles among them are looked for: 700 take a thirtieth of `maps`


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 only when its work was done.

    Results go to standard output, as JSON with ``--json``; progress and messages to standard error.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    gc.set_threshold(_GARBAGE)
    arguments = _parsed(words)
    console = Console(json=arguments.json, quiet=arguments.quiet, command=_command(words))
    try:
        writing = nullcontext() if arguments.verb in _ONE_BY_ONE else together()
        with writing, networks_told(), compiling_told(cache(console.say)):  # once
            answer = arguments.run(arguments, console)
        console.print_answer(answer)
        sys.stdout.flush()
    except XrfError as error:
        return console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted; nothing half-written is left")
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; keep the interpreter from complaining at exit.
        sys.stdout = None
        return 1
    except Exception as error:  # a user gets one line, a developer the traceback
        if arguments.traceback:
            raise
        if isinstance(error, OSError) and error.filename:
            return console.fail(f"{str(error.filename)[-200:]}: cannot be used ({error.strerror})")
        if isinstance(error, MemoryError):
            return console.fail(
                f"there is not enough memory ({error}). Ask for less, or give a smaller --memory"
            )
        return console.fail(f"unexpected {type(error).__name__}: {error} (--traceback shows where)")
    return int(answer.exit_code)


def perform(words: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Run one verb in silence, as a worker of a batch does; return its data for JSON and what it told."""
    arguments = _parsed(list(words))
    recorder = Recorder(_command(words))
    return plain(arguments.run(arguments, recorder).data), tuple(recorder.messages)


def build_parser(verb: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of all verbs; each sets ``run(arguments, console) -> Answer``.

    The options of ``synthesize`` and of trainings come from recipes, some of ``quantify`` from what may be
    stated of a sample, one of ``minerals`` from what becomes of reflections, whose import takes time: they
    are there only when theirs is the given verb, or ``batch``. No verb's options load torch.
    """
    parser = _Parser(
        prog="napari-xrf", description="X-ray fluorescence maps: elements, minerals, files that others open."
    )
    parser.add_argument("--version", action="version", version=f"napari-xrf {VERSION}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("--quiet", action="store_true", help="no progress on standard error")
    common.add_argument("--traceback", action="store_true", help="show where an unexpected error arose")
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True, metavar="VERB")
    for room in (
        inspection,
        comparison,
        simulation,
        prediction,
        evaluation,
    ):
        room.add_verbs(verbs, common)
    analysis.add_verbs(verbs, common, *verb[:1])
    report.add_verbs(verbs, common, *verb[:1])
    quantification.add_verbs(verbs, common, *verb[:1])
    training.add_verbs(verbs, common, *verb[:1])
    demonstration.add_verbs(verbs, common)
    batch.add_verbs(verbs, common, perform)
    merging.add_verbs(verbs, common)
    synthesize = verbs.add_parser("synthesize", help="synthetic maps and spectra with their truth")
    if list(verb) == ["synthesize"]:
        from napari_xrf.cli import synthesis

        synthesis.add_recipes(synthesize, common)
    return parser


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with the words in one line, as every other error is told."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse words that a verb does not know here, where its own help can be named."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        told = harmless(" ".join(message.split()))
        self.exit(2, f"napari-xrf: error: {told} ({self.prog} --help lists what there is)\n")


def _command(words: Sequence[str]) -> str:
    return shlex.join(["napari-xrf", *words])


def _parsed(words: list[str]) -> argparse.Namespace:
    # argparse would take an energy offset below zero for an option.
    words = re.sub(r"--energy\0(?=-[\d.])", "--energy=", "\0".join(words)).split("\0") if words else words
    return build_parser(words[:1]).parse_args(words)
