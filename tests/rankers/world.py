"""A small world with a known rule: pool and features are pure functions of (session, item), the labels are planted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from candidates.pool import Arena, Candidates
from events.labels import Labels, LabelSet
from events.lists import Lists
from events.log import SessionLog
from events.randomness import uniforms
from rankers import fitting
from rankers.matrix import MatrixWriter, TrainingMatrix, read_matrix
from rankers.selection import Selection
from rankers.settings import LambdaRankSettings, RankersSettings

N_ITEMS = 211
POOL = 20
NAMES = ("x0", "x1", "noise0", "noise1")
QUICK = RankersSettings(
    folds=3,
    min_sessions=20,
    chunk_sessions=64,
    negatives={"clicks": 0.5},
    lambdarank=LambdaRankSettings(
        learning_rate=0.2,
        num_leaves=7,
        min_data_in_leaf=10,
        lambda_l2=1.0,
        feature_fraction=0.6,
        max_trees=40,
        early_stopping_rounds=8,
    ),
)


@dataclass
class World:
    """Pool and features; ``relabel`` renames the items, and with them the order of rows; ``empty`` pools are empty."""

    relabel: npt.NDArray[np.int32]
    empty: frozenset[int] = frozenset()
    names: tuple[str, ...] = NAMES

    @classmethod
    def plain(cls, empty: frozenset[int] = frozenset()) -> "World":
        return cls(np.arange(N_ITEMS, dtype=np.int32), empty)

    def items(self, session: int) -> npt.NDArray[np.int64]:
        """True items of a session's pool, in the order of their names."""
        if session in self.empty:
            return np.zeros(0, np.int64)
        items = (session * 7 + np.arange(POOL) * 9) % N_ITEMS
        return items[np.argsort(self.relabel[items])]

    def value(
        self, feature: int, sessions: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        return uniforms(100 + feature, sessions * N_ITEMS + items)

    def pool(self, log: SessionLog, arena: Arena) -> Candidates:
        items = [self.items(int(s)) for s in log.sessions]
        offsets = np.zeros(len(items) + 1, np.int64)
        np.cumsum([row.size for row in items], out=offsets[1:])
        aids = arena.take("aids", (int(offsets[-1]),), np.int32)
        ranks = arena.take("ranks", (1, aids.size), np.int16)
        for s, row in enumerate(items):
            first, last = offsets[s], offsets[s + 1]
            aids[first:last] = self.relabel[row]
            x0 = self.value(0, np.full(row.size, log.sessions[s]), row)
            ranks[0, first:last] = np.argsort(np.argsort(-x0))
        return Candidates(offsets, aids, ("fake",), ranks, -ranks.astype(np.float32))

    def build(self, log: SessionLog, candidates: Candidates, arena: Arena) -> npt.NDArray[np.float32]:
        out = arena.take("features", (len(candidates), len(self.names)), np.float32)
        sessions = log.sessions[candidates.owner()]
        items = np.argsort(self.relabel)[candidates.aids]
        for f in range(len(self.names)):
            out[:, f] = self.value(f, sessions, items)
        return out

    def planted(self, n: int, target: str) -> LabelSet:
        """Clicks: the largest x0 * x1. Carts: the two largest x0 - x1, in every third session."""
        rows = []
        for s in range(n):
            items = self.items(s)
            x0, x1 = (self.value(f, np.full(items.size, s), items) for f in (0, 1))
            best = items[np.argsort(-(x0 * x1 if target == "clicks" else x0 - x1))]
            kept = best[:1] if target == "clicks" else best[:2] if s % 3 == 0 else best[:0]
            rows.append(self.relabel[kept].tolist())
        return LabelSet.of(rows)

    def random(self, n: int, per_group: int = 1) -> LabelSet:
        """One candidate at random: the draw knows the session's group and no feature."""
        rows = []
        for s in range(n):
            place = int(uniforms(55, np.array([s // per_group]))[0] * POOL)
            rows.append([int(self.relabel[self.items(s)[place]])])
        return LabelSet.of(rows)


def log_of(n: int, per_group: int = 1) -> SessionLog:
    """``n`` sessions of one event; groups of ``per_group`` neighbours."""
    log = SessionLog.of([[s % N_ITEMS] for s in range(n)], n_items=N_ITEMS)
    return SessionLog(log.sessions, log.sessions // per_group, log.offsets, log.aids, None, None, N_ITEMS)


def write_world(
    path: Path, world: World, log: SessionLog, labels: Labels, chunk: int = 100, targets: tuple[str, ...] | None = None
) -> TrainingMatrix:
    """The training matrix of a whole log."""
    arena = Arena()
    with MatrixWriter(path, world.names, tuple(labels) if targets is None else targets) as writer:
        for start in range(0, len(log), chunk):
            stop = min(start + chunk, len(log))
            part = log.slice(start, stop)
            candidates = world.pool(part, arena)
            features = world.build(part, candidates, arena)
            chunk_labels = {target: label_set.slice(start, stop) for target, label_set in labels.items()}
            writer.add(part.sessions, part.groups, candidates, features, chunk_labels)
    return read_matrix(path)


def recall(lists: Lists, labels: LabelSet, k: int) -> float:
    """Hits among the first ``k`` over all labels."""
    hits = sum(len(set(lists.row(s)[0][:k].tolist()) & set(labels.row(s).tolist())) for s in range(len(labels)))
    return hits / labels.aids.size


def record_groups(monkeypatch: pytest.MonkeyPatch, matrix: TrainingMatrix) -> list[set[int]]:
    """Have the groups of every dataset that LightGBM is given noted, in order: train, inner, train, …"""
    used: list[set[int]] = []
    original = fitting._dataset

    def record(selection: Selection, binned: Any, rows: Any) -> Any:
        used.append(set(matrix.groups[selection.session[rows]].tolist()))
        return original(selection, binned, rows)

    monkeypatch.setattr(fitting, "_dataset", record)
    return used
