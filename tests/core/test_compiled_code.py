import errno
import os
import subprocess
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numba
import numba.core.caching
import pytest

from napari_xrf.cli import inspection, main
from napari_xrf.cli.console import Answer
from napari_xrf.core import compiled_code


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is restored
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(compiled_code, "_is_writable", lambda folder: False)
    monkeypatch.setitem(sys.modules, "numba", type(sys)("numba"))
    sys.modules["numba"].config = type("config", (), {"CACHE_DIR": ""})
    return tmp_path


def test_compiled_code_goes_to_a_private_temporary_folder(nowhere):
    compiled_code.choose_cache()
    folder = os.environ["NUMBA_CACHE_DIR"]
    assert folder.startswith(str(nowhere))
    assert folder == sys.modules["numba"].config.CACHE_DIR
    if os.name == "posix":
        assert Path(folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
def test_a_folder_that_others_can_write_is_not_taken(nowhere):
    planted = nowhere / f"napari-xrf-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    compiled_code.choose_cache()
    assert os.environ["NUMBA_CACHE_DIR"] != str(planted)


def test_a_writable_place_and_a_users_choice_stay(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is restored
    compiled_code.choose_cache()
    assert not os.environ["NUMBA_CACHE_DIR"]
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    compiled_code.choose_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


def test_functions_compile_where_nothing_can_be_written():
    text = (
        "import napari_xrf.core.compiled_code as c; c._is_writable = lambda folder: False; c.choose_cache()\n"
        "import os, numba; assert numba.config.CACHE_DIR == os.environ['NUMBA_CACHE_DIR']"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    subprocess.run([sys.executable, "-c", text], env=environment, check=True)


@pytest.fixture
def make_loop(monkeypatch, tmp_path):
    """Write a module with a loop, of this package by its name, and load it anew as a process would."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    path = tmp_path / "loop.py"
    path.write_text(
        "from napari_xrf.core.compiled_code import compiled\n"
        "@compiled()\n"
        "def doubled(number):\n"
        "    return 2 * number\n"
    )

    def load():
        module = module_from_spec(spec_from_file_location("napari_xrf.loop", path))
        module.__spec__.loader.exec_module(module)
        return module.doubled

    return load


def test_compiling_is_told_when_nothing_is_kept_and_then_no_more(make_loop):
    told = []
    with compiled_code.compiling_told(told.append):
        assert make_loop()(3) == 6
        assert set(told) == {compiled_code.COMPILING}
        told.clear()
        assert make_loop()(3) == 6
    assert not told


def test_a_loop_that_cannot_be_kept_is_compiled_all_the_same(make_loop, monkeypatch):
    def fill(*arguments):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", fill)
    assert make_loop()(3) == 6

    def refuse(*arguments):
        raise RuntimeError("no locator available")

    monkeypatch.setattr(numba.core.dispatcher.Dispatcher, "enable_caching", refuse)
    assert make_loop()(3) == 6


def test_a_numba_that_keeps_and_tells_otherwise_loses_the_message_only(make_loop, monkeypatch):
    told = []
    with compiled_code.compiling_told(told.append):
        numba.core.event.start_event("numba:compile")  # without what is compiled
        numba.core.event.end_event("numba:compile")
        monkeypatch.setattr(numba, "njit", lambda **_: lambda function: function)  # keeps nothing
        assert make_loop()(3) == 6
        monkeypatch.setitem(sys.modules, "numba.core.event", None)
        compiled_code._listen.__wrapped__()
    assert not told


def test_command_line_says_once_that_it_compiles(monkeypatch, capsys):
    def run(arguments, console):
        for tell in compiled_code._hearers * 2:
            tell(compiled_code.COMPILING)
        return Answer({}, "done")

    monkeypatch.setattr(inspection, "show_info", run)
    assert main(["info", "map.h5"]) == 0
    assert capsys.readouterr().err.count(compiled_code.COMPILING) == 1
    assert main(["info", "map.h5", "--quiet"]) == 0
    assert not capsys.readouterr().err
