"""Running the bands of a map on all cores, with progress and cancel."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from napari_xrf.core.cores import core_count
from napari_xrf.core.progress import Progress

Item = TypeVar("Item")

_REPORT_SECONDS = 0.2


def in_threads(work: Callable[[Item], object], items: Iterable[Item], progress: Progress, what: str) -> None:
    """Call ``work`` on each item, on as many threads as there are cores.

    ``work`` must release the GIL for its heavy part. The first error, or one raised by ``progress``
    (cancel), stops the rest and is raised here, after the calls under way have ended.
    """
    queue = list(items)
    if len(queue) == 1:
        work(queue[0])
        progress(1, 1, what)
        return
    with ThreadPoolExecutor(max_workers=core_count(), thread_name_prefix="bcf") as pool:
        waiting: set[Future[object]] = {pool.submit(work, item) for item in queue}
        done = 0
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=_REPORT_SECONDS, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                done += len(finished)
                progress(done, len(queue), what)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
