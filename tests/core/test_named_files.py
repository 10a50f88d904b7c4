"""Names that users give: of files, folders, devices, pipes and of nothing."""

import os

import pytest

from napari_xrf.core.errors import FileError
from napari_xrf.core.named_files import content_of, existing_file, is_file, is_folder

STRANGE = ("", "x" * 5000, "x" * 300 + ".csv", "a\0b.csv")


@pytest.mark.parametrize("name", STRANGE)
def test_names_that_no_system_takes(name):
    assert not is_file(name)
    assert not is_folder(name)
    with pytest.raises(FileError) as raised:
        existing_file(name)
    assert len(str(raised.value)) < 1100


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name in ("pipe.csv", "zero.csv", "loop.csv"):
        with pytest.raises(FileError, match=r"is not a regular file|does not exist"):
            content_of(tmp_path / name)


def test_content_is_bounded(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"name\n" * 100)
    assert content_of(path) == b"name\n" * 100
    with pytest.raises(FileError, match="is larger than"):
        content_of(path, 499)


def test_a_missing_file_is_told_with_what_may_be_meant(tmp_path, monkeypatch):
    (tmp_path / "granite_map.h5").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    for name, told in (
        ("granit_map.h5", "Did you mean granite_map.h5"),
        ("zzz.bcf", f"It was looked for in {tmp_path}"),
        ("data/zzz.bcf", f"There is no folder {tmp_path / 'data'}"),
    ):
        with pytest.raises(FileError, match="does not exist") as raised:
            existing_file(name)
        assert told in str(raised.value)
    (tmp_path / "link.h5").symlink_to("gone.h5")
    with pytest.raises(FileError, match="a link that leads nowhere"):
        existing_file("link.h5")
