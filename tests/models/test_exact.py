"""Exact recommendations against the obvious way; rows of every position."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from events.lists import Lists
from events.log import SessionLog
from models import exact
from models.exact import best_items, next_item_rows
from tests.candidates.random_logs import logs


@settings(max_examples=60, deadline=None)
@given(log=logs(n_items=8), seed=st.integers(0, 99), k=st.integers(1, 10), revisiting=st.booleans())
def test_best_items_is_the_obvious_order(log: SessionLog, seed: int, k: int, revisiting: bool):
    rng = np.random.default_rng(seed)
    queries = rng.integers(-2, 3, (len(log), 3)).astype(np.float32)
    vectors = rng.integers(-2, 3, (8, 3)).astype(np.float32)
    known = rng.random(8) < 0.8
    revisits = rng.integers(0, 3, log.n_events).astype(np.float32) if revisiting else None
    scores = queries @ vectors.T
    if revisits is not None:
        np.add.at(scores, (log.owner(), log.aids), revisits)
    scores[:, ~known] = np.nan
    scores[~queries.any(axis=1)] = np.nan
    expected = Lists.from_dense(scores, k)
    found = best_items(log, queries, vectors, known, k, revisits)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.aids, expected.aids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    log = SessionLog.of([rng.integers(0, 50, 4).tolist() for _ in range(30)], n_items=50)
    queries, vectors = (rng.integers(-9, 9, (n, 4)).astype(np.float32) for n in (30, 50))
    known, revisits = np.ones(50, bool), rng.integers(0, 9, log.n_events).astype(np.float32)
    whole = best_items(log, queries, vectors, known, 7, revisits)
    monkeypatch.setattr(exact, "BLOCK_SESSIONS", 4)
    monkeypatch.setattr(exact, "BLOCK_ITEMS", 9)
    cut = best_items(log, queries, vectors, known, 7, revisits)
    np.testing.assert_array_equal(cut.aids, whole.aids)
    np.testing.assert_array_equal(cut.scores, whole.scores)


def test_every_position_is_a_row():
    log = SessionLog.of([[1], [2, 3], [], [4, 5, 6]], n_items=7)
    rows, labels = next_item_rows(log, np.arange(4))
    assert [rows.aids[rows.offsets[r] : rows.offsets[r + 1]].tolist() for r in range(len(rows))] == [[2], [4], [4, 5]]
    assert labels.aids.tolist() == [3, 5, 6]
    assert rows.groups.tolist() == [1, 3, 3]
