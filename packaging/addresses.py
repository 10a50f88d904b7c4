"""Write the address of the repository into what is read away from it; a release is built after this.

    python packaging/addresses.py https://github.com/OWNER/napari-xrf

Links and pictures of the README become absolute and get a badge, ``pyproject.toml`` its ``[project.urls]``,
``CITATION.cff`` and the conda recipe the repository. The sources hold no address: they cannot know it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_RELATIVE_LINK = re.compile(r"(!?)\[([^]]*)\]\((?![a-z]+:|#)([^)]+)\)")


def absolute(text: str, address: str) -> str:
    """Return Markdown whose relative links lead to a repository; pictures to their bytes."""

    def link(found: re.Match[str]) -> str:
        picture, label, path = found.groups()
        return f"{picture}[{label}]({address}/{'raw' if picture else 'blob'}/HEAD/{path})"

    return _RELATIVE_LINK.sub(link, text)


def write_addresses(root: Path, address: str) -> None:
    """Write an address into the files of a copy of the sources that has none yet.

    Raises
    ------
    SystemExit
        If the address is none of the web, or one stands there already.
    """
    address = address.rstrip("/")
    if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", address):
        raise SystemExit(f"{address} is no address of a repository: https://github.com/OWNER/NAME")
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    if "[project.urls]" in project:
        raise SystemExit(f"{root / 'pyproject.toml'} has [project.urls] already")
    urls = f'[project.urls]\nRepository = "{address}"\nIssues = "{address}/issues"\n'
    urls += f'Documentation = "{address}/tree/HEAD/docs"\nChangelog = "{address}/blob/HEAD/CHANGELOG.md"\n\n'
    readme = absolute((root / "README.md").read_text(encoding="utf-8"), address)
    tests = f"{address}/actions/workflows/tests.yml"
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    recipe = root / "packaging" / "conda" / "recipe.yaml"
    written = {
        root / "pyproject.toml": project.replace("[project.scripts]", f"{urls}[project.scripts]"),
        root / "README.md": readme.replace("\n", f"\n\n[![tests]({tests}/badge.svg)]({tests})\n", 1),
        root / "CITATION.cff": f"{citation.rstrip()}\nrepository-code: {address}\n",
        recipe: f"{recipe.read_text(encoding='utf-8').rstrip()}\n  repository: {address}\n",
    }
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write_addresses(Path(__file__).resolve().parents[1], sys.argv[1])
