"""What stands in the package and nothing but a test uses: read from the source, as text."""

import ast
import re
from collections import Counter
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


def names_read(tree):
    """Return the names that a module reads."""
    return {
        each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    }


def texts_of(tree):
    """Yield its short texts: some name a module and what is taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            yield node.value


def names_taken(tree, modules):
    """Yield what a module takes of others: (module, name)."""
    known_as = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                yield node.module, each.name
                known_as[each.asname or each.name] = f"{node.module}.{each.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = known_as.get(node.value.id)
            if module in modules:
                yield module, node.attr


def module_of(path):
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def test_every_name_is_used_by_more_than_tests():
    """A name is used where its module reads it, another takes it from there, or a text names both.

    Or where several modules have it, and something reads it from what is opened by name: verbs, tasks,
    sources. What users import is used by them.
    """
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    beside = [ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.glob("benchmarks/**/*.py")]
    modules = {module_of(path) for path in trees}
    taken = {pair for tree in (*trees.values(), *beside) for pair in names_taken(tree, modules)}
    texts = [text for tree in trees.values() for text in texts_of(tree)]
    texts += [path.read_text(encoding="utf-8") for path in (PACKAGE / "napari.yaml", *ROOT.glob("docs/*.md"))]
    named = {pair for text in texts for pair in re.findall(r"(?=\b(\w+)[:.](\w+))", text)}
    named |= {(name.replace("-", "_"), name.title().replace("-", "")) for name in ARCHITECTURES}
    named |= {(path.stem, text) for path in (PACKAGE / "front_door.py", PACKAGE / "io" / "formats.py")
              for text in texts_of(trees[path])}  # fmt: skip
    read = {
        each.attr for tree in trees.values() for each in ast.walk(tree) if isinstance(each, ast.Attribute)
    }
    defined = Counter(
        name for path, tree in trees.items() if path.stem != "front_door" for name in names_defined(tree)
    )
    by_many = {name for name in read if defined[name] > 1}
    unused = [
        f"{module_of(path)}: {name}"
        for path, tree in trees.items()
        for name in set(names_defined(tree)) - names_read(tree) - by_many
        if not name.startswith("__") and not {(module_of(path), name), (path.stem, name)} & (taken | named)
    ]
    assert not unused
