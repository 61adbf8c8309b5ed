"""Threads that pull ranges of work from a queue, until all is done."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from itertools import pairwise
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

Scratch = TypeVar("Scratch")


def run_ranges(
    work: Callable[[Scratch, int, int], None],
    bounds: npt.NDArray[np.int64],
    threads: int,
    scratch: Callable[[], Scratch],
    progress: str | None = None,
) -> None:
    """Call ``work(scratch, start, stop)`` for each range between neighbouring ``bounds``.

    work     : writes its results where no other range writes; it should spend its time without the GIL
    bounds   : int64[n+1] ascending
    scratch  : makes the buffers of one thread
    progress : label of a progress bar, shown on a terminal only; ``None`` for none
    """
    ranges = [(a, b) for a, b in pairwise(bounds.tolist()) if b > a]
    queue, lock = iter(ranges), Lock()
    # Even a bar that is not shown costs a tenth of a second, once: its lock is multiprocessing's.
    bar = None if progress is None else tqdm(total=len(ranges), desc=progress, unit="range", disable=None)

    def worker() -> None:
        held = scratch()
        while True:
            with lock:
                piece = next(queue, None)
            if piece is None:
                return
            work(held, *piece)
            if bar is not None:
                with lock:
                    bar.update()

    with bar or nullcontext():
        if threads <= 1 or len(ranges) <= 1:
            worker()
            return
        with ThreadPoolExecutor(min(threads, len(ranges))) as pool:
            for future in [pool.submit(worker) for _ in range(min(threads, len(ranges)))]:
                future.result()


def even_bounds(size: int, pieces: int) -> npt.NDArray[np.int64]:
    """int64[pieces+1] bounds that cut ``size`` things into pieces of nearly equal size."""
    return np.linspace(0, size, max(1, pieces) + 1).astype(np.int64)


def costly_bounds(costs: npt.NDArray[np.int64], pieces: int) -> npt.NDArray[np.int64]:
    """Bounds that cut n things into pieces of nearly equal cost.

    costs : int64[n+1] ascending sums of the costs, from 0 (offsets serve as they are)
    """
    wanted = np.linspace(0, int(costs[-1]), max(1, pieces) + 1)[1:-1]
    inner = np.searchsorted(costs, wanted)
    return np.concatenate([[0], np.unique(inner), [costs.size - 1]]).astype(np.int64)


@cache
def _libraries() -> ThreadpoolController:
    """Those that are loaded at the first call, NumPy's among them; finding them takes milliseconds."""
    return ThreadpoolController()


def work_through(items: Iterable[Callable[[], None]], threads: int) -> None:
    """Call each of these functions, on so many threads.

    Meanwhile BLAS keeps to the thread that calls it: its own threads, asked by many at once, wait for each other awake.
    """
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(max(1, threads)) as pool:
        for future in [pool.submit(item) for item in items]:
            future.result()
