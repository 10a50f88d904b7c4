"""Files with bytes changed, cut or repeated: every reader answers, or says in an XrfError why not."""

from __future__ import annotations

import random

import pytest

from mutated_files import SEEDS, check, damaged, read_total

_INPUTS = 8  # of each kind; benchmarks/fuzz_readers.py takes as many as one likes


@pytest.mark.parametrize("name", SEEDS)
def test_changed_files_end_in_an_answer_or_an_error_for_users(tmp_path, name):
    seed, path = SEEDS[name], tmp_path / name
    seed.write(path)
    total = read_total(path)
    target = path.with_suffix(seed.damaged) if seed.damaged else path
    whole, draw = target.read_bytes(), random.Random(name)
    for _ in range(_INPUTS):
        content, cut = damaged(whole, draw, whole)
        target.write_bytes(content)
        check(path, seed, total, cut)


@pytest.mark.parametrize("name", SEEDS)
def test_whole_files_are_read(tmp_path, name):
    seed, path = SEEDS[name], tmp_path / name
    seed.write(path)
    assert check(path, seed, read_total(path), cut=True)
