"""Knowledge: items like the session's last ones by what is known of them, so that items without events are proposed."""

from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from candidates.settings import KnowledgeSourceSettings
from events.arrays import F32, I32, Flags
from events.files import need_array, save_arrays
from events.hashing import hash_ids
from events.knowledge.fitted import TEXT, Knowledge
from events.lists import Lists
from events.log import SessionLog
from models.index import ItemIndex, Kinds
from models.session_items import fading, mean_sessions

STREAMS = {"leaf": 21, "parent": 22, "brand": 23}
SEEN = np.float32(-1e3)
"""Added to the score of a session's own items, to be told from all others."""
NEWER = 1e-3
"""Most that a fresh item gains: among items that are alike the newer one is proposed."""
FRESH_DAYS = 30.0
SIGNS = 64
"""Random signs that stand for a code."""


class KnowledgeSource:
    """Items by the cosine of what is known of them and of the session's last items, these weighted by recency.

    What is known is one vector: the text's, the user's, and random signs that stand for category, parent category and
    brand, each weighted. Items of the fit are proposed, and those that ``events.knowledge`` calls cold; an item of
    which nothing is known is neither proposed nor looked at. Needs nothing of the log.

    Source: content-based filtering; random signs for categories as in Achlioptas, Database-friendly random projections
    (2003), by which two categories are at right angles but for an error of 1/8.
    """

    def __init__(self, name: str, settings: KnowledgeSourceSettings, knowledge: Knowledge, threads: int = 1) -> None:
        self.name = name
        self.settings = settings
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._knowledge, self._threads = knowledge, threads
        self._vectors: F32 = np.zeros((0, 1), np.float32)
        self._described: Flags = np.zeros(0, np.bool_)
        self._proposed: Flags = self._described
        self._kinds = Kinds(np.zeros(0, np.int32), 0)
        self._index: ItemIndex | None = None

    def fit(self, log: SessionLog) -> Self:
        """Make the vectors and their index; the log only says which items have events."""
        knowledge = self._knowledge
        if knowledge.n_items != log.n_items:
            raise ValueError(f"{self.name}: {knowledge.n_items} items are known, the log has {log.n_items}")
        self._vectors = knowledge_vectors(knowledge, self.settings)
        self._described = np.any(self._vectors[:, :-1], axis=1)
        sample = log.slice(max(0, len(log) - self.settings.index.sample), len(log))
        queries = self._queries(sample)
        k = self.settings.k
        fitted = np.zeros(log.n_items, np.bool_)
        fitted[log.aids] = self.settings.items == "all"
        self._proposed = (fitted | knowledge.cold) & self._described
        self._kinds = kinds_of(knowledge)
        self._index = ItemIndex.build(
            self._vectors, self._proposed, queries, k, self.settings.index, 0, self._threads, self._kinds
        )
        return self

    def _queries(self, log: SessionLog) -> F32:
        fade = fading(self.settings.tail, self.settings.half_life)
        queries = mean_sessions(log, np.ones(log.n_events, np.float32), fade, self._described, self._vectors)
        # The last column is the item's freshness: it counts in full, whatever the session looked at.
        queries[:, -1] = queries[:, :-1].any(axis=1)
        return queries

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:  # noqa: ARG002
        """The ``k`` items most like the session's last ones."""
        assert self._index is not None
        added = np.full(log.n_events, SEEN, np.float32) if self.settings.exclude_seen else None
        found = self._index.search(log, self._queries(log), k, added)
        if added is None:
            return found
        kept = found.scores > SEEN / 2
        before = np.zeros(kept.size + 1, np.int64)
        np.cumsum(kept, out=before[1:])
        return Lists(before[found.offsets], found.aids[kept], found.scores[kept])

    def save(self, folder: Path) -> None:
        """Write the vectors and the index."""
        assert self._index is not None
        arrays = {"vectors": self._vectors, "described": self._described, "proposed": self._proposed}
        save_arrays(folder, **arrays, kinds=self._kinds.of, kind_columns=np.array([self._kinds.columns]))
        self._index.save(folder)

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote, memory-mapped."""
        self._vectors, self._described = need_array(folder, "vectors"), need_array(folder, "described")
        self._proposed = need_array(folder, "proposed")
        self._kinds = Kinds(need_array(folder, "kinds"), int(need_array(folder, "kind_columns")[0]))
        self._index = ItemIndex.load(folder, self._vectors, self._proposed, self.settings.index, self._kinds)
        return self


def knowledge_vectors(knowledge: Knowledge, settings: KnowledgeSourceSettings) -> F32:
    """float32[n_items, d + 1]: length 1, 0 where nothing is known; the last column is up to ``NEWER`` for fresh items.

    Parts weigh by the root of their weights, so that the inner product is the weighted sum of theirs. The codes' parts
    come first: they are the same, to the bit, for all items of a kind (:func:`kinds_of`).
    """
    weights = {"leaf": settings.category, "parent": settings.category / 2, "brand": settings.brand}
    parts = [(weights[name], signs(codes, STREAMS[name])) for name, codes in knowledge.codes.items()]
    for name, space in knowledge.spaces.items():
        parts.append((settings.text if name == TEXT else settings.vectors, space))
    n = knowledge.n_items
    squares = np.zeros(n)
    for weight, part in parts:
        squares += weight * part.any(axis=1)
    scale = np.divide(1.0, np.sqrt(squares), out=np.zeros(n), where=squares > 0)
    columns = [(scale * np.sqrt(weight))[:, None] * part for weight, part in parts]
    fresh = np.zeros(n)
    if knowledge.age is not None:
        fresh = NEWER * np.exp(-np.nan_to_num(knowledge.age, nan=np.inf) / FRESH_DAYS)
    return np.ascontiguousarray(np.column_stack([*columns, fresh]), np.float32)


def kinds_of(knowledge: Knowledge) -> Kinds:
    """Items with the same codes, of which the same is known."""
    known = [*knowledge.codes.values(), *(space.any(axis=1) for space in knowledge.spaces.values())]
    if not knowledge.codes:
        return Kinds(np.zeros(knowledge.n_items, np.int32), 0)
    of = np.unique(np.column_stack(known).astype(np.int32), axis=0, return_inverse=True)[1]
    return Kinds(of.ravel().astype(np.int32), SIGNS * len(knowledge.codes))


def signs(codes: I32, stream: int) -> F32:
    """float32[n, SIGNS] of length 1: the same for equal codes, at random for others; 0 for unknown, -1.

    >>> vectors = signs(np.array([3, 3, -1], np.int32), 1)
    >>> float(vectors[0] @ vectors[1]), float(vectors[2] @ vectors[2])
    (1.0, 0.0)
    """
    bits = np.unpackbits(hash_ids(pl.Series(codes), stream).view(np.uint8).reshape(-1, 8), axis=1)
    drawn: F32 = (bits * np.float32(0.25) - np.float32(0.125)) * (codes >= 0)[:, None]
    return drawn.astype(np.float32)
