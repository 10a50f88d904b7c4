"""What the command line prints, and where."""

import json as json_format
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_xrf.io.atomic_write import plain

REDRAW_SECONDS = 0.2
TELL_SECONDS = 30.0  # between lines of progress in what is no terminal: a log, a pipe
# Control characters but for line feed and tab, and what turns the direction of writing.
_COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Answer:
    """The result of a verb: data for scripts and text for people."""

    data: Any
    text: str
    exit_code: int = 0  # other where a part of the work failed


class Console:
    """Standard output for results, standard error for progress and messages.

    ``json``: print answers as JSON. ``quiet``: show no progress. ``command``: what the user typed, for
    reports.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, command: str = "") -> None:
        self.command = command
        self._json = json
        self._live = not quiet and sys.stderr.isatty()
        self._quiet = quiet
        self._drawn_at = time.monotonic()
        self._width = 0

    def progress(self, done: int, total: int, what: str) -> None:
        """Redraw the progress line, or tell it now and then: :class:`~napari_xrf.core.progress.Progress`."""
        now = time.monotonic()
        due = now - self._drawn_at >= (REDRAW_SECONDS if self._live else TELL_SECONDS)
        if self._quiet or not (due or (self._live and done >= total)):
            return
        self._drawn_at = now
        line = harmless(f"{what}: {100 * done // max(total, 1)} %")
        if not self._live:
            print(line, file=sys.stderr, flush=True)
            return
        sys.stderr.write("\r" + line.ljust(self._width))
        self._width = len(line)
        if done >= total:
            self._clear()
        sys.stderr.flush()

    def say(self, message: str) -> None:
        """Tell the user something that is not the result."""
        if not self._quiet:
            self._clear()
            print(harmless(message), file=sys.stderr)

    def warn(self, warnings: tuple[str, ...]) -> None:
        """Show the warnings of a file; they are in the JSON of ``info`` too."""
        for warning in warnings:
            self._clear()
            print(harmless(f"warning: {warning}"), file=sys.stderr)

    def fail(self, message: str) -> int:
        """Print a one-line error and return the exit code 1."""
        self._clear()
        print(harmless(f"napari-xrf: error: {' '.join(message.split())}"), file=sys.stderr)
        return 1

    def print_answer(self, answer: Answer) -> None:
        """Print the result of a verb on standard output."""
        self._clear()
        if self._json:
            text = json_format.dumps(plain(answer.data), ensure_ascii=False, indent=1, allow_nan=False)
            print(_COMMANDING.sub(lambda match: f"\\u{ord(match[0]):04x}", text))
        elif answer.text:
            print(harmless(answer.text))

    def _clear(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


class Recorder(Console):
    """Keeps what a verb tells, for a batch; shows nothing."""

    def __init__(self, command: str = "") -> None:
        super().__init__(quiet=True, command=command)
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        """Keep a message."""
        self.messages.append(message)

    def warn(self, warnings: tuple[str, ...]) -> None:
        """Keep warnings."""
        self.messages += warnings


def harmless(text: str) -> str:
    """Return a text whose characters command no terminal; those that do show as �."""
    return _COMMANDING.sub("�", text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned text, columns of numbers to the right."""
    columns = list(zip(header, *rows, strict=True))
    aligned = []
    for title, *cells in columns:
        entries = [" ".join(cell.splitlines()) for cell in cells]
        width = max(map(len, [title, *entries]))
        numbers = bool(entries) and all(map(_is_number, entries))
        aligned.append([text.rjust(width) if numbers else text.ljust(width) for text in [title, *entries]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace("-", "").isdigit() or text == "-"
