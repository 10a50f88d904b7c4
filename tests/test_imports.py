"""What an import drags in: the package stays light, and science stays free of Qt and napari."""

import json
import pkgutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

import napari_xrf

WINDOWED = {"napari", "magicgui", "qtpy", "PyQt5", "PyQt6", "PySide6", "pyqtgraph", "superqt", "vispy"}
HEAVY = WINDOWED | {"torch", "numba", "h5py", "dask", "matplotlib", "skimage", "rsciio", "pandas"}
LIST_MODULES = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def modules_after(statement: str, *words: object) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after a statement, told some words."""
    code = f"import json, sys\n{statement}\n{LIST_MODULES}"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light():
    assert not modules_after("import napari_xrf") & (HEAVY | {"scipy"})


def test_the_command_line_parses_without_loading_science():
    assert not modules_after("from napari_xrf.cli import build_parser; build_parser()") & HEAVY


def test_the_first_map_of_a_new_process_loads_nothing_that_takes_long():
    statement = "import napari_xrf as nx; nx.map_elements(nx.simulate('Fe2O3', counts=1e5))"
    seldom = {"scipy", "tifffile", "pydantic", "html", "difflib", "configparser", "secrets"}
    assert not modules_after(statement) & (HEAVY | seldom)


def test_compressions_of_beamlines_are_loaded_for_files_that_need_one(tmp_path):
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("counts", data=np.ones((2, 3)), compression="gzip", shuffle=True)
    read = "import sys; from napari_xrf.io.hdf5 import file\nwith file.opened(sys.argv[1]) as one: "
    assert "hdf5plugin" not in modules_after(f"{read}file.array_of(file.dataset_at(one, 'counts'))", path)


@pytest.mark.parametrize("name", ["squeezed", "seen"])
def test_counts_squeezed_at_a_beamline_are_read(tmp_path, name):
    # In a process that has not written them: the compression is not there yet.
    path = tmp_path / "squeezed.h5"
    write = f"""
import h5py, hdf5plugin, numpy as np
with h5py.File({str(path)!r}, "w") as file:
    file.create_dataset("squeezed", data=np.arange(6), chunks=(6,), **hdf5plugin.Bitshuffle())
    layout = h5py.VirtualLayout((6,), "i8")
    layout[:] = h5py.VirtualSource(file["squeezed"])
    file.create_virtual_dataset("seen", layout)
"""
    subprocess.run([sys.executable, "-c", write], check=True)
    read = "import sys; from napari_xrf.io.hdf5 import file\nwith file.opened(sys.argv[1]) as one: "
    read += f"assert file.array_of(file.dataset_at(one, {name!r})).sum() == 15"
    assert "hdf5plugin" in modules_after(read, path)


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
