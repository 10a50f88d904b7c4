"""How many threads a job may use, and work on all of them."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, TypeVar

from napari_xrf.core.progress import Progress, ignore_progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def core_count() -> int:
    """Return the number of cores that this process may use, no more than ``OMP_NUM_THREADS`` if that is set.

    Schedulers and worker processes share a machine by setting it.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux tells
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(told)) if told.isdigit() else cores)


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], *, ahead: int | None = None
) -> Iterator[Result]:
    """Yield what ``work`` makes of items, in their order, made on as many threads as there are cores.

    Items are taken in the caller's thread, and ``ahead`` of them at most, as many as there are cores, before
    their results are asked for. ``work`` must release the GIL for its heavy part. Where it raises, or the
    caller asks for no more, the rest is left, once the calls under way have ended.
    """
    number = core_count()
    if number == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(number) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > (number if ahead is None else ahead):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def do_in_threads(
    work: Callable[[Item], object],
    items: Iterable[Item],
    progress: Progress = ignore_progress,
    what: str = "",
) -> None:
    """Call ``work`` on each item on all cores, as :func:`in_threads`, and tell how many are done."""
    queue = list(items)
    for done, _ in enumerate(in_threads(work, queue, ahead=len(queue)), 1):
        progress(done, len(queue), what)


@contextmanager
def one_thread_of(libraries: Literal["blas", "openmp"]) -> Iterator[None]:
    """Keep compiled libraries of a kind to one thread within a block, or a function that this decorates.

    Fits of one spectrum are thousands of products of small matrices, tables thousands of short loops: threads
    that wait for each other, busily, make them several times slower, most of all on a busy machine.
    """
    with _controller(libraries).limit(limits=1, user_api=libraries):
        yield


@cache
def _controller(libraries: str) -> Any:
    # Looking for the loaded libraries takes milliseconds: once is enough.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
