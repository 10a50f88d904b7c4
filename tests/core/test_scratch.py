"""Counts on disk: as in memory, gone with their user, and refused before the work where there is no room."""

from __future__ import annotations

import os
import pickle
import tempfile

import numpy as np
import pytest

from napari_xrf.core import scratch
from napari_xrf.core.errors import XrfError
from napari_xrf.core.scratch import ScratchFile, StoredCounts, filled, scratch_array

SHAPE = (7, 5, 12)
KEYS = (
    np.s_[:],
    np.s_[3],
    np.s_[2, 4],
    np.s_[1:6:2, ::-1, 3:9],
    np.s_[::-1, 2:4],
    np.s_[..., 5],
    np.s_[:, :, ::-3],
    np.s_[[4, 0], 1:3],
    np.s_[:, [4, 1, 1], -1],
    np.s_[5:5],
)


@pytest.fixture(params=[1, 5, 12])
def stored(request):
    dense = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    return dense, filled(scratch_array(SHAPE, np.uint16, 0, request.param), dense, lambda *_: None, "copying")


@pytest.mark.parametrize("key", KEYS)
def test_slices_are_those_of_an_array(stored, key):
    dense, counts = stored
    assert isinstance(counts, StoredCounts)
    assert np.array_equal(counts[key], dense[key])
    assert counts[key].shape == dense[key].shape


def test_boxes_are_stored_where_they_belong(stored):
    dense, counts = stored
    for key, value in ((np.s_[2:4, 1:3, 4:9], 7), (np.s_[:, :, 3:7], 8), (np.s_[6:7, :, :], 9)):
        dense[key] = value
        counts[key] = np.full(dense[key].shape, value)
    assert np.array_equal(counts, dense)


def test_counts_on_disk_travel_to_other_processes(stored):
    assert np.array_equal(pickle.loads(pickle.dumps(stored[1])), stored[0])


def test_a_scratch_file_has_no_name_and_its_space_is_reserved(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = ScratchFile(10**6)
    assert list(tmp_path.iterdir()) == []
    if hasattr(os, "posix_fallocate"):
        assert os.fstat(file._file.fileno()).st_blocks * 512 >= 10**6


def test_no_room_is_an_error_before_the_work(monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch.ScratchFile, "_reserve", full)
    with pytest.raises(XrfError, match=r"no room in .*No space left.*TMPDIR"):
        scratch_array((600, 800, 4096), np.uint16, 10**6)


def test_a_scratch_file_that_is_cut_short_is_an_error():
    file = ScratchFile(100)
    file._file.truncate(50)
    with pytest.raises(XrfError, match="cut short"):
        file.read_into(40, memoryview(bytearray(20)))
