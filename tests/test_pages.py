"""Pages: each command they show is one that the command line takes; the how-to pages run from end to end."""

import re
import runpy
import shlex
from functools import cache
from pathlib import Path

import pytest

from napari_xrf.cli import build_parser
from napari_xrf.io.formats import ELEMENT_MAP_SUFFIXES, FORMATS
from napari_xrf.io.hdf5.layouts import LAYOUTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))
_BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PARSER = cache(build_parser)


def commands(page: Path) -> list[list[str]]:
    """Return the words of each napari-xrf command in a page's code blocks, continued lines joined."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = (line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines())
    shown = (re.split(r" [|>&#]", line)[0] for line in lines if line.startswith("napari-xrf "))
    return [shlex.split(re.sub(r"\$\w+", "1", line))[1:] for line in shown if "…" not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_a_page_is_one_that_the_command_line_takes(page, capsys):
    refused = []
    for words in commands(page):
        try:
            _PARSER(tuple(words[:1])).parse_args(words)
        except SystemExit:
            refused.append((words, capsys.readouterr().err[-200:]))
    assert not refused


def test_commands_are_found_on_the_pages():
    assert sum(len(commands(page)) for page in PAGES) > 60


def test_every_page_is_in_the_navigation():
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = [str(page.relative_to(DOCS)) for page in PAGES[1:]]
    assert not [name for name in names if name not in listed and not name.startswith("figures-")]


@pytest.mark.slow
@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_runs_from_end_to_end(page):
    runpy.run_path(str(DOCS / "run_pages.py"))["run"](page)


def test_the_page_of_formats_lists_every_ending_and_layout_with_what_it_was_tested_on():
    text = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    read = text.partition("## Read\n")[2].partition("\n## ")[0]
    endings = {suffix for row in FORMATS for suffix in row.suffixes} | {*ELEMENT_MAP_SUFFIXES}
    assert not {suffix for suffix in endings if f"`{suffix}`" not in read}
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in read.splitlines() if line.startswith("| ")]  # fmt: skip
    assert all(row[-1] for row in rows)
    named = [set(re.findall(r"[\w-]+", row[0])) for row in rows if len(row) == 2]
    unnamed = [layout.name for layout in LAYOUTS
               if not any(set(re.findall(r"[\w-]+", layout.name)) <= words for words in named)]  # fmt: skip
    assert not unnamed
