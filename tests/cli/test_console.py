import json

import numpy as np
import pytest

from napari_xrf.cli import main
from napari_xrf.cli.console import Answer, Console, table


def test_json_is_strict(capsys):
    data = {"a": np.float32(1.5), "b": [np.int64(2), float("nan")], "c": (True, None), "name": "Kα"}
    Console(json=True).print_answer(Answer(data, "text"))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": 1.5, "b": [2, None], "c": [True, None], "name": "Kα"}


def test_text_without_json(capsys):
    Console().print_answer(Answer({}, "for people"))
    assert capsys.readouterr().out == "for people\n"


def test_an_error_is_one_line_on_standard_error(capsys):
    assert Console(json=True).fail("first\nsecond   third") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "napari-xrf: error: first second third\n"


def test_progress_goes_nowhere_without_a_terminal(capsys):
    console = Console()
    console.progress(1, 2, "reading")
    console.progress(2, 2, "reading")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_long_job_says_how_far_it_is_in_a_log_too(capsys, monkeypatch):
    now = iter([0.0, 1.0, 31.0, 32.0, 62.0])
    monkeypatch.setattr("napari_xrf.cli.console.time.monotonic", lambda: next(now))
    console = Console()
    for done in range(4):
        console.progress(done, 10, "reading")
    assert capsys.readouterr().err == "reading: 10 %\nreading: 30 %\n"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "name  n"),
        ([("quartz", "7"), ("mica", "12")], "name     n\nquartz   7\nmica    12"),
    ],
)
def test_tables_align(rows, expected):
    assert table(("name", "n"), rows) == expected


def test_names_in_files_command_no_terminal(capsys):
    console, name = Console(), "quartz\x1b]0;title\x07\x9b2J\u202eabc\r"
    console.print_answer(Answer({}, table(("mineral",), [(name + "\nspoof",)])))
    console.say(name)
    console.warn((name,))
    console.fail(name)
    shown = capsys.readouterr()
    assert not set(shown.out + shown.err) & set("\x1b\x07\x9b\u202e\r")
    assert len(shown.out.splitlines()) == 2
    Console(json=True).print_answer(Answer({"name": name}, ""))
    text = capsys.readouterr().out
    assert json.loads(text)["name"] == name
    assert not set(text) & set("\x1b\x07\x9b\u202e\r")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], "required: VERB"),
        (["quantfy", "a.h5"], "invalid choice: 'quantfy'"),
        (["maps", "a.h5", "--method", "magic"], "invalid choice: 'magic'"),
        (["info", "a.h5", "--energy", "5"], "write OFFSET:WIDTH"),
        (["phases", "a.h5", "-o", "out", "--count", "0"], "1 to 60"),
        (["synthesize", "minerals", "-o", "a.h5", "--shape", "5"], "write A:B"),
        (
            ["synthesize", "minerals", "-o", "a.h5", "--size", "5"],
            "napari-xrf synthesize minerals --help lists",
        ),
        (["info", "a.h5", "b.h5"], "napari-xrf info --help lists"),
    ],
)
def test_words_that_are_no_command_are_one_line_too(words, cause, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("napari-xrf: error: ")
    assert captured.err.count("\n") == 1
    assert cause in captured.err
    assert "--help lists" in captured.err
