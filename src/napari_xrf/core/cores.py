"""How many threads a job may use."""

import os


def core_count() -> int:
    """Return the number of cores that this process may use, no more than ``OMP_NUM_THREADS`` if that is set.

    Schedulers and worker processes share a machine by setting it.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux tells
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(told)) if told.isdigit() else cores)
