"""The plan of the house, read from the imports: nothing above, no circle, one window."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import napari_xrf

PACKAGE = Path(napari_xrf.__file__).parent
# From the ground up; plugin and cli are two faces, which know nothing of each other.
ROOMS = ("core", "reference", "io", "physics", "maps", "minerals", "synthesis", "learning", "scale")
FACES = ("plugin", "cli")
WINDOWED = {"napari", "magicgui", "qtpy", "pyqtgraph", "superqt", "vispy"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere: inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


ARROWS = {module: {*imports_of(path)} for module, path in MODULES.items()}


def room_of(module: str) -> str:
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "napari_xrf" else ""


@pytest.mark.parametrize("room", [*ROOMS, *FACES])
def test_a_room_imports_nothing_from_above(room):
    above = {*FACES} - {room} if room in FACES else {*FACES, *ROOMS[ROOMS.index(room) + 1 :]}
    wrong = {
        f"{module} → {name}"
        for module, names in ARROWS.items()
        for name in names
        if room_of(module) == room and room_of(name) in above
    }
    assert not wrong


def test_every_folder_is_a_room_of_the_plan():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= {*ROOMS, *FACES}


def check_circles(arrows: dict[str, set[str]]) -> None:
    graph = {module: (names & arrows.keys()) - {module} for module, names in arrows.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_no_files_import_each_other_in_a_circle():
    # `from napari_xrf import io` opens the room, not the front door.
    check_circles(ARROWS)


def test_nor_do_benchmarks():
    def named(path: Path) -> set[str]:
        """Return the last words of all that a file may import from beside it."""
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        froms = [node for node in tree if isinstance(node, ast.ImportFrom) and node.module]
        beside = [node for node in froms if not node.module.startswith("napari_xrf")]
        words = [node.module.rpartition(".")[2] for node in beside]
        return {*words, *(alias.name for node in beside for alias in node.names)}

    folder = PACKAGE.parent.parent / "benchmarks"
    check_circles({path.stem: named(path) for path in folder.rglob("*.py")})


def test_only_the_plugin_knows_a_window():
    outside = {module: names for module, names in ARROWS.items() if room_of(module) != "plugin"}
    assert not {
        f"{module} → {name}"
        for module, names in outside.items()
        for name in names
        if name.partition(".")[0] in WINDOWED
    }


def test_no_two_classes_share_a_name():
    """A reader who meets a name knows what it is; of a network's options each file has its own."""
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: where for name, where in places.items() if len(where) > 1 and name != "Options"} == {}
