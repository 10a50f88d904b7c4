from collections import namedtuple

import numpy as np
import psutil
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.memory import budget_of, default_memory_budget, parse_bytes
from napari_xrf.io import read


@pytest.mark.parametrize(
    ("text", "size"), [("500 MB", 500_000_000), ("2GiB", 2**31), ("1.5gb", 1_500_000_000), ("42", 42)]
)
def test_amounts_of_memory(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1 GB", "0", "much", "1 TB", "inf"])
def test_refuses_what_is_no_amount(text):
    with pytest.raises(InvalidInput):
        parse_bytes(text)


def test_the_default_is_half_of_what_is_free():
    assert default_memory_budget() > 0


def test_what_is_read_seldom_takes_less_where_the_disk_has_room(monkeypatch):
    room = namedtuple("Usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: room(2**60))
    assert default_memory_budget(1000) == 1000
    assert default_memory_budget(2**60) <= psutil.virtual_memory().total
    monkeypatch.setattr("shutil.disk_usage", lambda _: room(10))
    assert default_memory_budget(1000) > 1000


def test_a_budget_is_what_is_given_or_half_of_what_is_free_and_never_less_than_nothing(tmp_path):
    assert budget_of(0) == 0
    assert budget_of(7) == 7
    assert budget_of(None) > 0
    np.savetxt(tmp_path / "one.csv", np.arange(64).reshape(32, 2), delimiter=",")
    for memory in (lambda: budget_of(-1), lambda: read(tmp_path / "one.csv", memory_budget=-1)):
        with pytest.raises(InvalidInput, match="memory_budget cannot be -1 bytes"):
            memory()
