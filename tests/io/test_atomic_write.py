"""What is written appears whole, keeps its permissions, and leaves nothing behind, however a program ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io import atomic_write
from napari_xrf.io.atomic_write import held_folder, replacing, together, write_text
from napari_xrf.io.hdf5 import new_file

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


def small_map() -> SpectralCube:
    return SpectralCube(np.ones((4, 5, 64), np.uint16), EnergyAxis(0.0, 0.01, 64))


@posix
def test_a_replaced_file_keeps_its_permissions_and_a_new_one_follows_the_umask(tmp_path):
    path = tmp_path / "a.txt"
    old = os.umask(0o027)
    try:
        write_text(path, "one")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_text(path, "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_text() == "two"


@posix
def test_a_symlink_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.txt").write_text("one")
    (tmp_path / "link.txt").symlink_to("there/real.txt")
    write_text(tmp_path / "link.txt", "two")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there" / "real.txt").read_text() == "two"


def test_folders_and_what_is_no_file_are_not_replaced(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(FileError, match="no regular file"):
        write_text(tmp_path / "folder.txt", "")


def test_files_of_one_piece_of_work_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with together():
        write_text(tmp_path / "a.txt", "new")
        write_text(tmp_path / "b.txt", "new")
        assert not (tmp_path / "a.txt").exists()
        assert (tmp_path / "b.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "new"

    def fail() -> None:
        with together():
            write_text(tmp_path / "c.txt", "new")
            raise InvalidInput("of the second file")

    with pytest.raises(InvalidInput):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_what_a_killed_program_left_is_removed_and_what_another_writes_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_write, "_swept", set())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".napari-xrf~{atomic_write._HOST}~{dead.pid}~00000000~map.h5"
    others = tmp_path / f".napari-xrf~{atomic_write._HOST}~{os.getppid()}~00000000~map.h5"
    far = tmp_path / ".napari-xrf~elsewhere~1~00000000~map.h5"
    for path in (left, others, far):
        path.touch()
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "b.txt"):
        assert one.exists()
    assert not left.exists()
    assert others.exists()
    assert far.exists()


_SAVING = """
import sys
import numpy as np
from napari_xrf import io
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
counts = np.random.default_rng(0).integers(0, 1000, (60, 60, 1024)).astype(np.uint16)
print("ready", flush=True)
while True:
    io.write(sys.argv[1], SpectralCube(counts, EnergyAxis(0.0, 0.01, 1024)))
"""


@posix
def test_killed_while_saving_nothing_is_lost_and_nothing_is_left(tmp_path):
    path = tmp_path / "map.h5"
    io.write(path, small_map())
    for number in range(3):
        with subprocess.Popen([sys.executable, "-c", _SAVING, str(path)], stdout=subprocess.PIPE) as saving:
            assert saving.stdout is not None
            saving.stdout.readline()
            time.sleep(0.01 + 0.05 * number)
            saving.send_signal(signal.SIGKILL)
        assert io.read(path).sum_spectrum().sum() > 0
    atomic_write._swept.discard(tmp_path)
    io.write(path, small_map())
    assert [found.name for found in tmp_path.iterdir()] == ["map.h5"]


class _FullDisk:
    """A file on a disk with so much room."""

    def __init__(self, raw: object, room: int) -> None:
        self._raw, self._room = raw, room

    def write(self, data: bytes) -> int:
        if self._raw.tell() + len(data) > self._room:
            raise OSError(28, "No space left on device")
        return self._raw.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._raw, name)


@pytest.mark.parametrize("room", [0, 500, 3000, 20_000])
def test_hdf5_on_a_full_disk_is_an_error_and_nothing_is_left(tmp_path, monkeypatch, room):
    make = new_file._Target.__init__
    monkeypatch.setattr(new_file._Target, "__init__", lambda self, raw: make(self, _FullDisk(raw, room)))
    labels = LabelMap(
        np.random.default_rng(0).integers(1, 3, (300, 300)).astype(np.uint8),
        (LabelClass(1, "quartz"), LabelClass(2, "albite")),
    )
    noisy = np.random.default_rng(0).integers(0, 60000, (40, 40, 64)).astype(np.uint16)
    for noun in (labels, SpectralCube(noisy, EnergyAxis(0.0, 0.01, 64))):
        with pytest.raises(FileError, match="No space left"):
            io.write(tmp_path / "a.h5", noun)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_is_what_h5py_would_write(tmp_path):
    with new_file.new_file(tmp_path / "a.h5") as (file, check):
        file.create_dataset("counts", data=np.arange(10_000), chunks=(100,), compression="gzip")
        check()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["counts"][()].sum() == 49_995_000


def test_the_same_content_is_the_same_bytes_whatever_holds_the_handles(tmp_path, monkeypatch):
    generator, size = np.random.default_rng(0), (20.0, 20.0)
    counts = generator.poisson(30, (2, 6, 8)).astype(np.float32)
    maps = ElementMaps(("Ca K", "Fe K"), counts, np.sqrt(counts), "window", size, "a map")
    labels = LabelMap(np.ones((70, 80), np.uint8), (LabelClass(1, "quartz"),), pixel_size=size)
    nouns = {"maps": maps, "labels": labels, "cube": small_map()}

    def written(folder):
        (tmp_path / folder).mkdir()
        for name, noun in nouns.items():
            io.write(tmp_path / folder / f"{name}.h5", noun)
        io.write_cube(tmp_path / folder / "truth.h5", small_map(), truth={"maps": maps, "mask": counts > 20})
        return {path.name: path.read_bytes() for path in sorted((tmp_path / folder).iterdir())}

    at_once = written("at once")
    # A profiler or debugger that looks at frames, as a cluster's workers have one, lets handles live on.
    handles, create = [], h5py.Group.create_dataset

    def kept(*arguments, **options):
        handles.append(create(*arguments, **options))
        return handles[-1]

    monkeypatch.setattr(h5py.Group, "create_dataset", kept)
    assert written("later") == at_once
    assert handles


@posix
def test_a_folder_is_held_by_one_piece_of_work(tmp_path):
    with held_folder(tmp_path / "new", "training") as folder:
        with pytest.raises(InvalidInput, match="another training writes to"), held_folder(folder, "training"):
            pass
        assert list(folder.iterdir()) == []
    with held_folder(tmp_path / "new", "training"):
        pass


def test_a_symlink_that_leads_to_itself_is_no_place(tmp_path):
    path = tmp_path / "loop.csv"
    path.symlink_to("loop.csv")
    with pytest.raises(FileError, match="cannot be written"), replacing(path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["loop.csv"]
