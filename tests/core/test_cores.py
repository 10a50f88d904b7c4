"""Work on all cores."""

import threading
import time
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from napari_xrf.core.cores import do_in_threads, in_threads, one_thread_of
from napari_xrf.core.errors import Cancelled
from napari_xrf.physics import attenuation


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_the_order_of_the_items(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    taken = []

    def items() -> Iterator[int]:
        for each in range(40):
            taken.append(each)
            yield each

    def slowest_first(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    results = in_threads(slowest_first, items())
    assert next(results) == 0
    assert len(taken) < 10  # few ahead of what is asked for
    assert list(results) == [each * each for each in range(1, 40)]


def test_an_error_ends_the_work_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()

    def fails(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    with pytest.raises(ValueError, match="five"):
        list(in_threads(fails, range(100)))

    def cancelled() -> Iterator[int]:
        yield from range(20)
        raise Cancelled

    with pytest.raises(Cancelled):
        list(in_threads(lambda item: item, cancelled()))
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", ["1", "3"])
def test_work_tells_how_much_of_it_is_done_and_ends_when_cancelled(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    told: list[tuple[int, int, str]] = []
    do_in_threads(lambda item: item, range(4), lambda *words: told.append(words), "counting")
    assert told == [(done, 4, "counting") for done in range(1, 5)]
    begun: list[int] = []

    def cancel(done: int, total: int, what: str) -> None:
        raise Cancelled

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.01)

    before = threading.active_count()
    with pytest.raises(Cancelled):
        do_in_threads(work, range(100), cancel)
    assert len(begun) < 50
    assert threading.active_count() == before


def test_tables_of_cross_sections_are_read_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp"}

    monkeypatch.setattr(attenuation, "_Table", lambda element: threads())
    with threadpool_limits(3, user_api="openmp"):
        if threads() != {3}:
            pytest.skip("no OpenMP, or one that takes no number of threads")
        assert attenuation._table.__wrapped__("Fe") == {1}
        assert threads() == {3}
        with one_thread_of("blas"):
            assert threads() == {3}
