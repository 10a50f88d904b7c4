import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

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
