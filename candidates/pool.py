"""The pool: the union of what the sources propose, one row per (session, item), in plain arrays of one reused arena."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from candidates.threads import even_bounds, run_ranges
from events.compiled import kernel
from events.lists import Lists
from models.searcher import Encoded

ABSENT = -1
"""Rank of an item that a source did not propose."""

RANGES_PER_THREAD = 4
SESSIONS_PER_THREAD = 1_000
"""Fewer sessions are not worth a thread of their own."""

MAX_RANK = 32_767
"""Longest list a source may bring: ranks are int16."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of S sessions, R rows in all, sorted by session and item: an order that knows no label.

    offsets : int64[S+1]  rows of session s are ``offsets[s]:offsets[s+1]``
    aids    : int32[R]    ascending in a session
    names   : C column names, ``<source>`` or ``<source>_<target>``
    ranks   : int16[C, R] place in that source's list, 0 is best; ``ABSENT`` (-1) if it did not propose the item
    scores  : float32[C, R] score there; NaN if it did not propose the item
    encoded : retriever to what it says of the S sessions, made once for sources and features

    The arrays are views into an :class:`Arena` and are overwritten by its next pool.
    """

    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    ranks: npt.NDArray[np.int16]
    scores: npt.NDArray[np.float32]
    encoded: Mapping[str, Encoded] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows R."""
        return self.aids.size

    @property
    def n_sessions(self) -> int:
        """Number of sessions S."""
        return self.offsets.size - 1

    def owner(self) -> npt.NDArray[np.int64]:
        """int64[R] the session (0 to S-1) of each row."""
        return np.repeat(np.arange(self.n_sessions), np.diff(self.offsets))

    def frame(self) -> pl.DataFrame:
        """The rows as a Polars frame: ``session`` (row in the chunk), ``aid``, ``rank_…`` and ``score_…``."""
        columns: dict[str, Any] = {"session": self.owner(), "aid": self.aids}
        for c, name in enumerate(self.names):
            columns[f"rank_{name}"] = self.ranks[c]
            columns[f"score_{name}"] = self.scores[c]
        return pl.DataFrame(columns)


@dataclass(slots=True)
class Arena:
    """Named buffers that are reused from chunk to chunk: fresh memory costs page faults (about 2 s a GB)."""

    buffers: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """An uninitialised array of this shape: a view into the buffer of this name, which grows where it must."""
        size = int(np.prod(shape))
        held = self.buffers.get(name)
        if held is None or held.size < size or held.dtype != np.dtype(dtype):
            held = np.empty(size + size // 4, dtype)
            self.buffers[name] = held
        return held[:size].reshape(shape)


def build_pool(
    lists: Mapping[str, Lists], arena: Arena, threads: int = 1, encoded: Mapping[str, Encoded] | None = None
) -> Candidates:
    """The union of every source's lists for the same S sessions.

    lists   : column name to the lists of that source, all of S sessions; their order is the order of the columns
    encoded : is handed on with the candidates

    Returns candidates in the arena's buffers. Results depend neither on the threads nor on how sessions are cut into
    chunks.

    Raises
    ------
    ValueError
        If there is no list, or lists have different numbers of sessions, or one is longer than 32,767.
    """
    names, columns = tuple(lists), list(lists.values())
    if not columns or len({len(column) for column in columns}) != 1:
        raise ValueError("the pool needs at least one source, all for the same sessions")
    sessions, width = len(columns[0]), len(columns)
    if max(int(column.lengths.max(initial=0)) for column in columns) > MAX_RANK:
        raise ValueError(f"a list of the pool may hold {MAX_RANK} items at most")

    list_offsets = arena.take("list_offsets", (width, sessions + 1), np.int64)
    total = sum(column.aids.size for column in columns)
    flat_scores = arena.take("list_scores", (total,), np.float32)
    keys = arena.take("keys", (total,), np.int64)
    starts = arena.take("starts", (sessions + 1,), np.int64)
    first = 0
    for c, column in enumerate(columns):
        list_offsets[c] = column.offsets + first
        flat_scores[first : first + column.aids.size] = column.scores
        first += column.aids.size
    np.sum([column.offsets for column in columns], axis=0, out=starts)
    cursor = arena.take("cursor", (sessions,), np.int64)
    cursor[:] = starts[:-1]
    offsets = arena.take("offsets", (sessions + 1,), np.int64)
    offsets[0] = 0

    def sort(_: None, first: int, last: int) -> None:
        for c, column in enumerate(columns):
            gather_keys(column.offsets, column.aids, c, first, last, cursor, keys)
        sort_keys(starts, keys, first, last, offsets)

    workers = max(1, min(threads, sessions // SESSIONS_PER_THREAD))
    bounds = even_bounds(sessions, RANGES_PER_THREAD * workers)
    run_ranges(sort, bounds, workers, lambda: None)
    np.cumsum(offsets, out=offsets)
    rows = int(offsets[-1])
    pool = Candidates(
        offsets=offsets,
        aids=arena.take("aids", (rows,), np.int32),
        names=names,
        ranks=arena.take("ranks", (width, rows), np.int16),
        scores=arena.take("scores", (width, rows), np.float32),
        encoded=encoded or {},
    )

    def write(_: None, first: int, last: int) -> None:
        rows_of = pool.offsets, pool.aids, pool.ranks, pool.scores
        write_rows(starts, keys, list_offsets, flat_scores, first, last, *rows_of)

    run_ranges(write, bounds, workers, lambda: None)
    return pool


@kernel
def gather_keys(
    offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32], column: int, first: int, last: int,
    cursor: npt.NDArray[np.int64], keys: npt.NDArray[np.int64],
) -> None:  # fmt: skip
    """Append a column's entries to the keys of sessions ``first:last``: item (31 bits), column (16), rank (16)."""
    for s in range(first, last):
        for rank in range(offsets[s + 1] - offsets[s]):
            keys[cursor[s]] = (np.int64(aids[offsets[s] + rank]) << 32) | (column << 16) | rank
            cursor[s] += 1


@kernel
def sort_keys(
    starts: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], first: int, last: int, sizes: npt.NDArray[np.int64]
) -> None:
    """Sort the keys of sessions ``first:last``; sizes[s+1] = rows of session s, one a different item."""
    for s in range(first, last):
        mine = keys[starts[s] : starts[s + 1]]
        mine.sort()
        rows = 0
        for i in range(mine.size):
            rows += i == 0 or mine[i] >> 32 != mine[i - 1] >> 32
        sizes[s + 1] = rows


@kernel
def write_rows(
    starts: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], list_offsets: npt.NDArray[np.int64],
    list_scores: npt.NDArray[np.float32], first: int, last: int,
    offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32],
    ranks: npt.NDArray[np.int16], scores: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """Turn sorted keys of sessions ``first:last`` into rows: items, rank and score in each column that has them."""
    for c in range(ranks.shape[0]):
        ranks[c, offsets[first] : offsets[last]] = ABSENT
        scores[c, offsets[first] : offsets[last]] = np.nan
    for s in range(first, last):
        row = offsets[s] - 1
        before = np.int64(-1)
        for i in range(starts[s], starts[s + 1]):
            aid, column, rank = keys[i] >> 32, (keys[i] >> 16) & 0xFFFF, keys[i] & 0xFFFF
            if aid != before:
                row += 1
                aids[row] = aid
                before = aid
            ranks[column, row] = rank
            scores[column, row] = list_scores[list_offsets[column, s] + rank]
