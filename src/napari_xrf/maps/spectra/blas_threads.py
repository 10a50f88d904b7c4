"""Linear algebra of small matrices on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread within a block, or within a function that this decorates.

    Fits of one spectrum are thousands of products of small matrices: threads that wait for each other
    make them several times slower, most of all on a busy machine.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    # Looking for the loaded libraries takes milliseconds: once is enough.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
