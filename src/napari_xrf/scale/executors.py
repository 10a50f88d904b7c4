"""Where the tasks of a batch run: warm processes of this machine, or the workers of a dask cluster.

Both are ``concurrent.futures`` executors. A worker uses one thread, so that as many of them as there are
cores share a machine, and so that sums are made in the same order everywhere: the same bytes. Nothing heavy
is imported here: a worker's libraries read their number of threads when they are imported.
"""

import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from napari_xrf.core.errors import XrfError
from napari_xrf.core.extras import optional_package
from napari_xrf.core.named_files import is_file

_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PATIENCE_SECONDS = 60  # a busy node takes long to answer
_TIMES = 5  # that a call is sent whose connection broke
_ADDRESS = re.compile(r"://|:\d+$")  # all else is a file
_START = "Start one with dask scheduler"
_environment = threading.Lock()


class WorkerDied(XrfError):
    """The process of a task ended before its task did."""

    def __init__(self) -> None:
        super().__init__(
            "its process was killed, by a fault of a library or for want of memory",
            "Try it alone, or with --memory",
        )


class WarmProcesses(Executor):
    """Processes that stay warm from task to task, each in a pool of its own.

    So a worker that dies takes its own task with it and no other; its place is filled anew.

    ``workers``: how many.
    """

    def __init__(self, workers: int) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call; what it takes and returns must be picklable."""
        future: Future[Any] = Future()
        self._queue.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes once the queue is empty, or at once what has not begun."""
        while cancel_futures:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        pool: ProcessPoolExecutor | None = None
        while (item := self._queue.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                pool = pool or _one_process()
                with one_thread_each():  # the process starts with its first call
                    running = pool.submit(call)
                future.set_result(running.result())
            except BrokenProcessPool:
                pool = None
                future.set_exception(WorkerDied())
            except BaseException as error:  # noqa: BLE001 - it is the caller's, as in every executor
                future.set_exception(error)
        if pool is not None:
            pool.shutdown()


class SchedulerLost(XrfError):
    """The connection to the cluster's scheduler broke, or the cluster forgot the task."""

    def __init__(self) -> None:
        super().__init__(
            "the cluster's scheduler was lost before this was done",
            "Call again: what is done is not done twice",
        )


class Cluster(Executor):
    """The workers of a running dask cluster.

    A client whose connection breaks, as on a busy network, forgets what it asked for, though it connects
    again: such calls are sent anew.

    Raises XrfError when ``distributed`` is not installed, or no scheduler answers.

    ``address``: of its scheduler, ``tcp://node:8786``, or the path of its scheduler file, which is waited
    for.
    """

    def __init__(self, address: str) -> None:
        distributed = optional_package("distributed", "cluster")
        of_file = not _ADDRESS.search(address)
        began = time.monotonic()
        while of_file and not is_file(address) and time.monotonic() - began < _PATIENCE_SECONDS:
            time.sleep(0.1)  # a scheduler that starts writes it when it is ready
        if of_file and not is_file(address):
            raise XrfError(f"there is no scheduler file {address}", _START)
        given = {"scheduler_file": address} if of_file else {"address": address}
        try:
            self._client = distributed.Client(**given, timeout=_PATIENCE_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise XrfError(f"no scheduler answers at {address} ({error})", _START) from None
        self._executor = self._client.get_executor(pure=False)
        self._futures: list[Future[Any]] = []

    @property
    def workers(self) -> int:
        """How many workers the scheduler has now; calls wait for the first."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a call to a worker; the package must be installed there."""
        future: Future[Any] = Future()
        self._futures.append(future)
        self._send(partial(fn, *args, **kwargs), future, _TIMES)
        return future

    def _send(self, call: Callable[[], Any], future: Future[Any], times: int) -> None:
        sent: Future[Any] = self._executor.submit(call)
        sent.add_done_callback(partial(self._take, call, future, times - 1))

    def _take(self, call: Callable[[], Any], future: Future[Any], times: int, sent: Future[Any]) -> None:
        if future.cancelled():
            return
        try:
            if not sent.cancelled():
                error = sent.exception()
                future.set_result(sent.result()) if error is None else future.set_exception(error)
            elif times and self._client.status in ("running", "connecting"):
                self._send(call, future, times)
            else:
                future.set_exception(SchedulerLost())
        except InvalidStateError:  # cancelled in between
            pass
        except Exception as error:  # noqa: BLE001 - a client that is closing takes no calls
            future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which goes on."""
        left = [future for future in self._futures if cancel_futures and future.cancel()]
        self._executor.shutdown(wait=wait and not left)
        with suppress(OSError, RuntimeError):  # of a scheduler that is lost nothing is left to leave
            self._client.close()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that start within this block use one thread each."""
    with _environment:
        before = {name: os.environ.get(name) for name in _THREAD_COUNTS}
        os.environ.update(dict.fromkeys(_THREAD_COUNTS, "1"))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )


def _end_with_parent() -> None:
    """End this worker when the process that started it is killed: nobody would end it."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
