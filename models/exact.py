"""Exact recommendations of a retriever: every known item is scored, the best k are kept."""

from collections.abc import Sequence

import numpy as np

from events.arrays import F32, F64, I32, I64, Flags
from events.compiled import kernel
from events.labels import LabelSet
from events.lists import Lists, insert_best
from events.log import SessionLog
from models.retriever import Retriever
from submissions.metrics import Hits, count_hits

BLOCK_SESSIONS = 256
BLOCK_ITEMS = 65_536
"""Scores are made by blocks of sessions and items: 64 MiB at a time."""


def recommend_exactly(retriever: Retriever, log: SessionLog, k: int, target: str | None = None) -> Lists:
    """The ``k`` best known items of each session by inner product and revisits, ties by ascending item.

    Time grows with sessions x items x d; for many items use ``models.index``.
    """
    queries = retriever.session_vectors(log, target)
    return best_items(log, queries, retriever.item_vectors(target), retriever.known, k, retriever.revisits(log, target))


def best_items(log: SessionLog, queries: F32, vectors: F32, known: Flags, k: int, revisits: F32 | None = None) -> Lists:
    """As :func:`recommend_exactly`, from vectors.

    queries  : float32[S, d];  vectors : float32[n_items, d];  known : bool[n_items]
    revisits : float32[N] or ``None``: added to the score of each event's item in its session

    A session whose vector is 0 gets an empty list.
    """
    n_sessions, n_items = len(log), vectors.shape[0]
    sizes = np.zeros(n_sessions, np.int64)
    aids, scores = np.empty((n_sessions, k), np.int32), np.empty((n_sessions, k), np.float64)
    added = np.zeros(0, np.float32) if revisits is None else revisits
    for start in range(0, n_sessions, BLOCK_SESSIONS):
        stop = min(start + BLOCK_SESSIONS, n_sessions)
        asked = queries[start:stop]
        for first in range(0, n_items, BLOCK_ITEMS):
            block = np.ascontiguousarray(asked @ vectors[first : first + BLOCK_ITEMS].T)
            keep_best(block, start, first, known, log.offsets, log.aids, added, sizes, aids, scores)
    sizes[~queries.any(axis=1)] = 0
    offsets = np.zeros(n_sessions + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    filled = np.arange(k) < sizes[:, None]
    return Lists(offsets, aids[filled], scores[filled].astype(np.float32))


@kernel
def keep_best(
    block: F32, start: int, first: int, known: Flags, offsets: I64, session_aids: I32, revisits: F32,
    sizes: I64, aids: I32, scores: F64,
) -> None:  # fmt: skip
    """Insert scores float32[b, m] of sessions from ``start`` and items from ``first`` into the best lists so far."""
    k, n_items = aids.shape[1], block.shape[1]
    for b in range(block.shape[0]):
        s = start + b
        if revisits.size > 0:
            for event in range(offsets[s], offsets[s + 1]):
                place = session_aids[event] - first
                if 0 <= place < n_items:
                    block[b, place] += revisits[event]
        size = sizes[s]
        bar = scores[s, size - 1] if size == k else -np.inf
        for i in range(n_items):
            score = np.float64(block[b, i])
            if score >= bar and known[first + i]:
                size = insert_best(aids[s], scores[s], size, k, first + i, score)
                if size == k:
                    bar = scores[s, k - 1]
        sizes[s] = size


def rank_hits(retriever: Retriever, log: SessionLog, labels: LabelSet, k: int, target: str | None = None) -> Hits:
    """Hits@k of the exact lists, all known items ranked, repeats of the session's items allowed."""
    return count_hits(recommend_exactly(retriever, log, k, target), labels, k)


def next_item_rows(log: SessionLog, sessions: Sequence[int] | I64) -> tuple[SessionLog, LabelSet]:
    """Every position of these sessions as a row of its own: the prefix, and the next item as its label.

    >>> log, labels = next_item_rows(SessionLog.of([[3, 1, 2]]), [0])
    >>> log.aids.tolist(), log.offsets.tolist(), labels.aids.tolist()
    ([3, 3, 1], [0, 1, 3], [1, 2])
    """
    whole = log.take(np.asarray(sessions, np.int64))
    lengths = whole.lengths
    rows = np.repeat(np.arange(len(whole)), np.maximum(lengths - 1, 0))
    first_row = np.cumsum(np.maximum(lengths - 1, 0)) - np.maximum(lengths - 1, 0)
    place = np.arange(rows.size) - first_row[rows]
    offsets = np.zeros(rows.size + 1, np.int64)
    np.cumsum(place + 1, out=offsets[1:])
    events = np.repeat(whole.offsets[rows] - offsets[:-1], place + 1) + np.arange(offsets[-1])
    prefixes = SessionLog(
        sessions=np.arange(rows.size, dtype=np.int64),
        groups=whole.groups[rows],
        offsets=offsets,
        aids=whole.aids[events],
        ts=None if whole.ts is None else whole.ts[events],
        types=None if whole.types is None else whole.types[events],
        n_items=whole.n_items,
    )
    labels = whole.aids[whole.offsets[rows] + place + 1]
    return prefixes, LabelSet(np.arange(rows.size + 1, dtype=np.int64), labels)
