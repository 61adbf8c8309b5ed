"""Candidate recall against its definition written out in Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.labels import LabelSet
from events.lists import Lists
from submissions.candidate_recall import CandidateRecall

ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 30), unique=True, max_size=12),
        st.lists(st.integers(-1, 30), unique=True, max_size=6),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(0, 10))
def test_equals_the_definition_for_any_chunks(rows: list[tuple[list[int], list[int]]], cut: int) -> None:
    lists = Lists.of([[(aid, 0.0) for aid in row] for row, _ in rows])
    label_set = LabelSet.of([truth for _, truth in rows])
    found = CandidateRecall(depths=(1, 3, 8), k=2)
    cut = min(cut, len(rows))
    for start, stop in ((0, cut), (cut, len(rows))):
        found.add("source", lists.slice(start, stop), {"orders": label_set.slice(start, stop)})

    result = found.result()["source"]
    for depth in (1, 3, 8):
        hits = sum(len(set(row[:depth]) & (set(truth) - {-1})) for row, truth in rows)
        below = sum(min(depth, len(truth)) for _, truth in rows)
        assert result["targets"]["orders"][str(depth)] == (hits / below if below else None)
    hits = sum(min(len(set(row) & (set(truth) - {-1})), 2, len(truth)) for row, truth in rows)
    below = sum(min(2, len(truth)) for _, truth in rows)
    assert result["targets"]["orders"]["at_pool"] == (hits / below if below else None)
    assert result["at_pool"] == result["targets"]["orders"]["at_pool"]


def test_a_list_a_target_and_an_unranked_pool() -> None:
    labels = {"clicks": LabelSet.of([[1], [2]]), "carts": LabelSet.of([[1, 2], []]), "orders": LabelSet.of([[], []])}
    found = CandidateRecall()
    found.add("rules", {"clicks": Lists.of([[(1, 0.0)], []])}, labels)
    found.add_pool("pool", np.array([0, 2, 3]), np.array([1, 5, 2], np.int32), labels)
    result = found.result()
    assert list(result) == ["rules", "pool"]
    rules, pool = result["rules"], result["pool"]
    assert rules["20"] == 0.5
    assert {target: values["20"] for target, values in rules["targets"].items()} == {
        "clicks": 0.5,
        "carts": None,
        "orders": None,
    }
    assert {target: values["at_pool"] for target, values in pool["targets"].items()} == {
        "clicks": 1.0,
        "carts": 0.5,
        "orders": None,
    }
    assert pool["at_pool"] == pytest.approx((0.1 + 0.3 * 0.5) / 0.4)
    assert pool["200"] is None


def test_refuses_labels_of_other_sessions() -> None:
    with pytest.raises(ValueError, match="history: 2 lists for the labels of 1 sessions"):
        CandidateRecall().add("history", Lists.empty(2), {"clicks": LabelSet.of([[1]])})
