"""What an import drags in: the package stays light, and science stays free of Qt and napari."""

import json
import pkgutil
import subprocess
import sys

import pytest

import napari_xrf

WINDOWED = {"napari", "magicgui", "qtpy", "PyQt5", "PyQt6", "PySide6", "pyqtgraph", "superqt", "vispy"}
HEAVY = WINDOWED | {"torch", "numba", "h5py", "dask", "matplotlib", "skimage", "rsciio", "pandas"}
LIST_MODULES = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def modules_after(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after a statement."""
    code = f"import json, sys\n{statement}\n{LIST_MODULES}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light():
    assert not modules_after("import napari_xrf") & (HEAVY | {"scipy"})


def test_the_command_line_parses_without_loading_science():
    assert not modules_after("from napari_xrf.cli import build_parser; build_parser()") & HEAVY


def test_the_first_map_of_a_new_process_loads_nothing_that_takes_long():
    statement = "import napari_xrf as nx; nx.map_elements(nx.simulate('Fe2O3', counts=1e5))"
    assert not modules_after(statement) & (HEAVY | {"scipy", "tifffile"})


def science_modules() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(napari_xrf.__path__, "napari_xrf.")]
    names.remove("napari_xrf.__main__")  # importing it runs the command line
    return [name for name in names if not name.startswith("napari_xrf.plugin")]


def test_science_imports_no_window():
    names = science_modules()
    assert len(names) > 20
    assert not modules_after(f"import {', '.join(names)}") & WINDOWED


@pytest.mark.parametrize("name", ["read", "write"])
def test_the_front_door_is_there(name):
    assert callable(getattr(napari_xrf, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        napari_xrf.reed  # noqa: B018
