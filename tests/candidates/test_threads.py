"""Ranges of work: each is done once, by whatever thread; errors come through."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from candidates.threads import costly_bounds, even_bounds, run_ranges, work_through


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 40), st.integers(1, 4))
def test_every_range_is_done_once(costs: list[int], pieces: int, threads: int) -> None:
    sums = np.concatenate([[0], np.cumsum(costs)]).astype(np.int64)
    for bounds in (costly_bounds(sums, pieces), even_bounds(len(costs), pieces)):
        done = np.zeros(len(costs), int)

        def work(scratch: list[int], start: int, stop: int, done: np.ndarray = done) -> None:
            scratch.append(start)
            done[start:stop] += 1

        run_ranges(work, bounds, threads, list)
        assert (done == 1).all()


def test_costly_things_share_out_evenly() -> None:
    costs = np.array([1] * 50 + [50] + [1] * 50)
    bounds = costly_bounds(np.concatenate([[0], np.cumsum(costs)]), 3)
    assert max(costs[a:b].sum() for a, b in pairwise(bounds)) <= 51


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_through(threads: int) -> None:
    def work(_: None, start: int, stop: int) -> None:
        if start <= 7 < stop:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_ranges(work, even_bounds(20, 10), threads, lambda: None, progress="work")


def test_blas_keeps_to_one_thread_while_many_ask() -> None:
    def threads() -> set[int]:  # of NumPy's; a library may be loaded after the first call
        return {library["num_threads"] for library in threadpool_info() if "numpy.libs" in library["filepath"]}

    before, seen = threads(), list[set[int]]()
    work_through([lambda: seen.append(threads())] * 5, 2)
    assert seen == [{1}] * 5
    assert threads() == before

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_through([fail], 2)
    assert threads() == before
