"""Run every block of the how-to pages, in order, each page in a folder of its own.

    python docs/run_pages.py                  # all pages
    python docs/run_pages.py m4-map painting  # some

A block marked ``sh`` runs in bash, one marked ``python`` in Python. The first that fails ends the run and is
named with its page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = Path(__file__).parent / "how-to"
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and text of each block that runs."""
    return _BLOCK.findall(page)


def run(page: Path) -> None:
    """Run a page's blocks in a folder that is removed afterwards."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as folder:
        for language, text in blocks(page.read_text(encoding="utf-8")):
            command = [sys.executable, "-c", text] if language == "python" else ["bash", "-ec", text]
            print(f"== {page.stem}\n{text.rstrip()}", flush=True)
            if code := subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
                raise SystemExit(f"{page}: this block ended with exit code {code}:\n{text}")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or sorted(page.stem for page in PAGES.glob("*.md")):
        run(PAGES / f"{chosen}.md")
