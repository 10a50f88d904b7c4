"""Verbs of the command line, run as a user's script runs them."""

import json

from napari_xrf.cli import main


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error) of a verb."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answer(capsys, *arguments):
    """Return what a verb says with --json, and check that it did its work."""
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)
