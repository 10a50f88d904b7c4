"""What stands in the package and nothing but a test uses: read from the source, as text."""

import ast
import re
from pathlib import Path

from napari_xrf.learning.registry import ARCHITECTURES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_xrf"
WORD = re.compile(r"\w+")


def names_defined(tree):
    """Yield the functions, classes and constants of a module, but for what a decorator takes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from [] if node.decorator_list and isinstance(node, ast.FunctionDef) else [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (
                each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
            )


def words_used(tree):
    """Return what a module reads by name, and what it takes from others: imports, attributes, short texts."""
    read, taken = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            read.add(node.id)
        elif isinstance(node, ast.Attribute):
            taken.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            taken |= {each.name for each in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            taken |= {*WORD.findall(node.value)}
    return read, taken


def test_every_name_is_used_by_more_than_tests():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    used = {path: words_used(tree) for path, tree in trees.items()}
    beside = [PACKAGE / "napari.yaml", *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("docs/*.md")]
    everywhere = {word for path in beside for word in WORD.findall(path.read_text(encoding="utf-8"))}
    everywhere |= {name.title().replace("-", "") for name in ARCHITECTURES}  # the registry's, by name
    everywhere |= set().union(*(taken for _, taken in used.values()))
    unused = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, tree in trees.items()
        for name in names_defined(tree)
        if not name.startswith("__") and name not in used[path][0] | (everywhere if name[0] != "_" else set())
    }
    assert not unused
