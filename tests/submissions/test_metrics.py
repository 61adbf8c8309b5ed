"""The metric against its definition written out in Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.columns import WEIGHTS
from events.labels import LabelSet
from events.lists import Lists
from submissions.metrics import Hits, Scores, count_hits, hits_by_target, mrr, recall, score_lists, weighted_total

ITEMS = st.integers(-1, 6)
SESSIONS = st.lists(st.tuples(st.lists(ITEMS, max_size=8), st.lists(ITEMS, max_size=5)), max_size=12)


def lists_of(rows: list[list[int]]) -> Lists:
    return Lists.of([[(aid, 0.0) for aid in row] for row in rows])


def truth_of(row: list[int]) -> list[int]:
    """A label row: known items once, unknown ones as often as there are."""
    return sorted({aid for aid in row if aid >= 0}) + [-1] * row.count(-1)


@settings(max_examples=150, deadline=None)
@given(SESSIONS, st.integers(1, 6))
def test_recall_and_mrr_equal_the_definition(sessions: list[tuple[list[int], list[int]]], k: int) -> None:
    truths = [truth_of(labels) for _, labels in sessions]
    lists, label_set = lists_of([row for row, _ in sessions]), LabelSet.of(truths)
    hits = [len(set(row[:k]) & set(truth) - {-1}) for (row, _), truth in zip(sessions, truths, strict=True)]
    denominators = [min(k, len(truth)) for truth in truths]
    found = count_hits(lists, label_set, k)
    assert found.hits.tolist() == hits
    assert found.denominators.tolist() == denominators
    assert recall(lists, label_set, k) == (sum(hits) / sum(denominators) if sum(denominators) else None)

    reciprocal = [
        next((1 / place for place, aid in enumerate(row[:k], 1) if aid >= 0 and aid in truth), 0.0)
        for (row, _), truth in zip(sessions, truths, strict=True)
        if truth
    ]
    expected = sum(reciprocal) / len(reciprocal) if reciprocal else None
    assert mrr(lists, label_set, k) == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_hits_do_not_depend_on_the_chunks() -> None:
    rng = np.random.default_rng(3)
    lists = Lists(np.arange(41) * 5, rng.integers(0, 9, 200, dtype=np.int32), np.zeros(200, np.float32))
    label_set = LabelSet.of([sorted(set(rng.integers(0, 9, 3).tolist())) for _ in range(40)])
    whole = count_hits(lists, label_set, 3)
    parts = [count_hits(lists.slice(a, b), label_set.slice(a, b), 3) for a, b in ((0, 7), (7, 8), (8, 40))]
    joined = Hits.concat(parts)
    assert joined.hits.tolist() == whole.hits.tolist()
    assert joined.mrr == whole.mrr
    assert joined.take(np.array([3, 1])).ranks.tolist() == whole.ranks[[3, 1]].tolist()


def test_total_renormalises_over_the_targets_present() -> None:
    assert weighted_total({"clicks": 0.3, "carts": None, "orders": None}) == (0.3, ("clicks",))
    total, targets = weighted_total({"clicks": 0.5, "carts": None, "orders": 0.25})
    assert total == pytest.approx((0.1 * 0.5 + 0.6 * 0.25) / 0.7)
    assert targets == ("clicks", "orders")
    assert weighted_total({"clicks": None}) == (None, ())
    assert weighted_total({"clicks": 0.1, "carts": 0.2, "orders": 0.7}, WEIGHTS)[0] == 0.1 * 0.1 + 0.2 * 0.3 + 0.7 * 0.6


def test_absent_targets_are_none_and_targets_without_lists_count_nothing() -> None:
    labels = {"clicks": LabelSet.of([[1], [2]]), "orders": LabelSet.of([[], []]), "carts": LabelSet.of([[4], []])}
    scores = score_lists({"clicks": lists_of([[1], []])}, labels, k=20)
    assert scores.recall == {"clicks": 0.5, "carts": 0.0, "orders": None}
    assert scores.targets == ("clicks", "carts")
    assert scores.total == pytest.approx(0.5 * 0.1 / 0.4)
    assert scores.numerators == {"clicks": 1, "carts": 0, "orders": 0}
    assert scores.denominators == {"clicks": 2, "carts": 1, "orders": 0}
    assert scores.as_json()["mrr"] == {"clicks": 0.5, "carts": 0.0, "orders": None, "total": pytest.approx(0.125)}
    nothing = Scores.of(hits_by_target({}, {}))
    assert nothing.total is None
    assert nothing.recall == {"clicks": None, "carts": None, "orders": None}


def test_refuses_lists_of_other_sessions_and_a_senseless_k() -> None:
    with pytest.raises(ValueError, match="2 lists for the labels of 1 sessions"):
        recall(lists_of([[1], [2]]), LabelSet.of([[1]]), 20)
    with pytest.raises(ValueError, match="at least 1"):
        recall(lists_of([[1]]), LabelSet.of([[1]]), 0)
