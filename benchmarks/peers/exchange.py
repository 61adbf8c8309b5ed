"""The two files between the benchmark and a peer: rows in, lists out. NumPy alone, of either environment.

A peer is a module with ``main()`` that calls :func:`answer`: ``python -m benchmarks.peers.NAME ROWS LISTS SETTINGS``,
two paths of ``.npz`` files and a JSON object.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TOP = 20
NOTHING = -1
"""Fills a list that is shorter than the others."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Train sequences and the prefixes that lists are wanted for; items are 0 to ``n_items - 1``.

    offsets, items           : int64[S+1], int32[N] train sequences, in order
    test_offsets, test_items : int64[R+1], int32[M] prefixes, in order
    """

    offsets: I64
    items: I32
    test_offsets: I64
    test_items: I32
    n_items: int

    def save(self, path: Path) -> None:
        """Write ``path``."""
        np.savez(
            path,
            offsets=self.offsets,
            items=self.items,
            test_offsets=self.test_offsets,
            test_items=self.test_items,
            n_items=np.int64(self.n_items),
        )

    @classmethod
    def load(cls, path: Path) -> "Rows":
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls(n_items=int(arrays.pop("n_items")), **arrays)

    @property
    def n_train(self) -> int:
        """Train sequences S."""
        return self.offsets.size - 1

    @property
    def n_test(self) -> int:
        """Prefixes R."""
        return self.test_offsets.size - 1

    def prefix(self, row: int) -> I32:
        """Items of a prefix (a view)."""
        return self.test_items[self.test_offsets[row] : self.test_offsets[row + 1]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer's lists int32[R, TOP], best first, filled up with ``NOTHING``; seconds of its fit and of the lists."""

    lists: I32
    fit_cpu_s: float
    fit_wall_s: float
    score_wall_s: float

    def save(self, path: Path) -> None:
        """Write ``path``."""
        seconds = np.array([self.fit_cpu_s, self.fit_wall_s, self.score_wall_s])
        np.savez(path, lists=self.lists, seconds=seconds)

    @classmethod
    def load(cls, path: Path, n_test: int) -> "Answer":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If it is not one list of ``TOP`` items for each of ``n_test`` rows.
        """
        with np.load(path, allow_pickle=False) as file:
            lists, seconds = file["lists"], file["seconds"].tolist()
        if lists.shape != (n_test, TOP) or lists.dtype != np.int32:
            raise ValueError(f"lists are {lists.dtype}{list(lists.shape)}, wanted int32{[n_test, TOP]}")
        return cls(lists, *seconds)


def distances(offsets: I64) -> I64:
    """int64[N]: how many events each event stands before the last of its sequence.

    >>> distances(np.array([0, 3, 4])).tolist()
    [2, 1, 0, 0]
    """
    lengths = np.diff(offsets)
    return np.repeat(offsets[1:], lengths) - np.arange(offsets[-1]) - 1


def own_items_first(rows: Rows, others: I32) -> I32:
    """The items of each prefix, latest first and each once, then ``others`` int32[R, any] without them."""
    lists = np.full((rows.n_test, TOP), NOTHING, np.int32)
    for row in range(rows.n_test):
        both = dict.fromkeys([*rows.prefix(row)[::-1].tolist(), *others[row].tolist()])
        both.pop(NOTHING, None)
        best = list(both)[:TOP]
        lists[row, : len(best)] = best
    return lists


Fit = Callable[[Rows, dict[str, Any]], Callable[[], I32]]
"""Fits on rows with settings; what it returns makes the lists."""


def answer(fit: Fit) -> None:
    """Read the command line's rows, fit, and write the lists."""
    source, target, settings = sys.argv[1:]
    rows = Rows.load(Path(source))
    wall, cpu = time.perf_counter(), time.process_time()
    make_lists = fit(rows, json.loads(settings))
    fitted, fit_cpu_s = time.perf_counter(), time.process_time() - cpu
    lists = make_lists()
    Answer(lists, fit_cpu_s, fitted - wall, time.perf_counter() - fitted).save(Path(target))
