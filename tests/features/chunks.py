"""Random small logs, pools and matrices, with everything that trips: ties, gaps, empty sessions, unknown items."""

from dataclasses import dataclass, field, replace

import numpy as np

from candidates.pool import Candidates
from events.columns import TARGETS
from events.lists import Lists
from events.log import SessionLog
from models.index import ItemIndex
from models.searcher import Searcher

COLUMNS = ("history", "popularity_carts")
START = 1_660_000_000
SETS = [frozenset(), frozenset({"time"}), frozenset({"types"}), frozenset({"time", "types"})]


@dataclass(frozen=True)
class Chunk:
    """A log, its pool, two matrices, and two retrievers that have encoded the sessions."""

    log: SessionLog
    candidates: Candidates
    matrices: dict[str, Lists]
    searchers: dict[str, Searcher] = field(default_factory=dict)


class Places:
    """A retriever of small whole numbers: many scores are equal, some vectors are 0, some items unknown."""

    needs: frozenset[str] = frozenset()

    def __init__(self, vectors: np.ndarray, known: np.ndarray, targets: tuple[str, ...] = ()) -> None:
        self.known, self.targets = known, targets
        self.vectors = np.where(known[:, None], vectors, 0).astype(np.float32)
        self._of_carts = np.ascontiguousarray(self.vectors[:, ::-1])

    def item_vectors(self, target: str | None = None) -> np.ndarray:
        return self._of_carts if target == "carts" else self.vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> np.ndarray:
        out = np.zeros((len(log), self.vectors.shape[1]), np.float32)
        np.add.at(out, log.owner(), self.item_vectors()[log.aids] * (2 if target == "orders" else 1))
        return out

    def revisits(self, log: SessionLog, target: str | None = None) -> np.ndarray | None:
        ago = np.repeat(log.offsets[1:], log.lengths) - np.arange(log.n_events)
        return None if target is None else (ago % 3 - 1).astype(np.float32)


def searchers_of(vectors: np.ndarray, known: np.ndarray) -> dict[str, Searcher]:
    """A retriever without targets, and one with them, of which two share the items' vectors."""
    retrievers = {"near": Places(vectors, known), "typed": Places(vectors, known, TARGETS)}
    return {
        name: Searcher(one, {t: ItemIndex(one.item_vectors(t), one.known) for t in one.targets or (None,)})
        for name, one in retrievers.items()
    }


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets of rows of these lengths."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def random_log(
    rng: np.random.Generator, n_sessions: int, n_items: int, has: frozenset[str], longest: int = 12
) -> SessionLog:
    """Sessions of 0 to ``longest`` events over ``n_items`` items; equal times and long gaps are frequent."""
    lengths = rng.integers(0, longest + 1, n_sessions)
    offsets = offsets_of(lengths)
    n = int(offsets[-1])
    gaps = rng.choice([0, 1, 60, 1_800, 1_801, 50_000], n)
    start = np.repeat(START + rng.integers(0, 12 * 86_400, n_sessions), lengths)
    walked = np.cumsum(gaps)
    ts = start + walked - np.repeat(np.concatenate([[0], walked])[offsets[:-1]], lengths)
    return SessionLog(
        sessions=np.arange(n_sessions, dtype=np.int64),
        groups=np.arange(n_sessions, dtype=np.int64),
        offsets=offsets,
        aids=rng.integers(0, n_items, n).astype(np.int32),
        ts=ts.astype(np.int32) if "time" in has else None,
        types=rng.choice(3, n, p=[0.6, 0.25, 0.15]).astype(np.int8) if "types" in has else None,
        n_items=n_items,
    )


def random_pool(rng: np.random.Generator, log: SessionLog, columns: tuple[str, ...] = COLUMNS) -> Candidates:
    """Any items, among them many of the session's own; some sessions have none; scores tie and may be negative."""
    rows = []
    for s in range(len(log)):
        own = log.aids[log.offsets[s] : log.offsets[s + 1]]
        others = rng.integers(0, log.n_items, int(rng.integers(0, 8)))
        keep = rng.random(own.size) < 0.8
        rows.append(np.unique(np.concatenate([own[keep], others])) if rng.random() > 0.1 else np.zeros(0, np.int32))
    aids = np.concatenate([*rows, np.zeros(0)]).astype(np.int32)
    ranks = np.where(rng.random((len(columns), aids.size)) < 0.6, rng.integers(0, 30, (len(columns), aids.size)), -1)
    scores = np.where(ranks >= 0, rng.choice([-1.0, 0.0, 0.5, 2.0, 2.25], ranks.shape), np.nan)
    return Candidates(
        offsets_of(np.array([row.size for row in rows])),
        aids,
        columns,
        ranks.astype(np.int16),
        scores.astype(np.float32),
    )


def random_matrix(rng: np.random.Generator, n_items: int, k: int = 6) -> Lists:
    """Neighbour lists of 0 to ``k`` items; some lists hold nothing but zeros."""
    rows = []
    for _ in range(n_items):
        aids = rng.permutation(n_items)[: int(rng.integers(0, k + 1))].tolist()
        scores = np.sort(rng.random(len(aids)) * 10)[::-1] * (rng.random() > 0.1)
        order = np.lexsort([aids, -scores])
        rows.append([(aids[i], float(scores[i])) for i in order])
    return Lists.of(rows)


def random_chunk(seed: int, has: frozenset[str], n_sessions: int = 12, n_items: int = 15, longest: int = 12) -> Chunk:
    """Everything that a builder consumes."""
    rng = np.random.default_rng(seed)
    log = random_log(rng, n_sessions, n_items, has, longest)
    matrices = {name: random_matrix(rng, n_items) for name in ("clicks", "buys")}
    searchers = searchers_of(rng.integers(-2, 3, (n_items, 3)), np.arange(n_items) % 7 != 3)
    encoded = {name: searcher.encode(log) for name, searcher in searchers.items()}
    return Chunk(log, replace(random_pool(rng, log), encoded=encoded), matrices, searchers)


def take_sessions(candidates: Candidates, log: SessionLog, start: int, stop: int) -> Candidates:
    """The pool of sessions ``start:stop`` of a log."""
    first, last = candidates.offsets[start], candidates.offsets[stop]
    return Candidates(
        candidates.offsets[start : stop + 1] - first,
        candidates.aids[first:last],
        candidates.names,
        np.ascontiguousarray(candidates.ranks[:, first:last]),
        np.ascontiguousarray(candidates.scores[:, first:last]),
        {name: encoded.slice(log, start, stop) for name, encoded in candidates.encoded.items()},
    )
