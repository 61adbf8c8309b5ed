"""Accuracy at any k against the library ir-measures (trec_eval's own code), ties and empty lists included."""

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG

from events.labels import LabelSet
from events.lists import Lists
from submissions.ranking_metrics import NAMES, ranking_values

SCORES = st.dictionaries(st.integers(0, 12), st.sampled_from([0.0, 0.5, 1.0]), max_size=9)
"""Few scores, so that most lists have ties."""
SESSIONS = st.lists(st.tuples(SCORES, st.sets(st.integers(0, 12), max_size=6), st.integers(0, 2)), max_size=10)


def name_of(aid: int) -> str:
    """trec_eval breaks ties by descending name, our lists by ascending item."""
    return f"{99 - aid:02d}"


@settings(max_examples=150, deadline=None)
@given(SESSIONS, st.integers(1, 8))
def test_metrics_equal_those_of_trec_eval(sessions: list[tuple[dict[int, float], set[int], int]], k: int) -> None:
    lists = Lists.of([sorted(scores.items(), key=lambda one: (-one[1], one[0])) for scores, _, _ in sessions])
    label_set = LabelSet.of([[-1] * unknown + sorted(true) for _, true, unknown in sessions])
    found = ranking_values(lists, label_set, k)
    sizes = np.diff(label_set.offsets)
    assert all(values.denominators.tolist() == (sizes > 0).astype(int).tolist() for values in found.values())

    relevant = {
        str(s): {name_of(aid): 1 for aid in true} | {f"unknown{u}": 1 for u in range(unknown)}
        for s, (_, true, unknown) in enumerate(sessions)
        if true or unknown
    }
    run = {str(s): {name_of(aid): score for aid, score in row.items()} for s, (row, _, _) in enumerate(sessions) if row}
    measures = {R @ k: "recall_mean", P @ k: "precision", Success @ k: "hit_rate", nDCG @ k: "ndcg"}
    if not relevant:
        assert all(values.mean is None for values in found.values())
        return
    for metric in ir_measures.iter_calc([*measures, AP @ k, RR], relevant, run):
        s = int(metric.query_id)
        if metric.measure == AP @ k:  # divided by all true items there, by those that k places can hold here
            assert found["map"].hits[s] == pytest.approx(metric.value * sizes[s] / min(k, sizes[s]), rel=1e-9)
        elif metric.measure == RR:  # without a depth there
            assert found["mrr"].hits[s] == pytest.approx(metric.value if metric.value * k > 1 - 1e-9 else 0.0, rel=1e-9)
        else:
            assert found[measures[metric.measure]].hits[s] == pytest.approx(metric.value, rel=1e-9)
    means = ir_measures.calc_aggregate(list(measures), relevant, run)
    for measure, value in means.items():
        assert found[measures[measure]].mean == pytest.approx(value, rel=1e-9)


def test_a_worked_example() -> None:
    lists = Lists.of([[(4, 3.0), (1, 2.0), (2, 1.0)], [(1, 1.0)]])
    found = ranking_values(lists, LabelSet.of([[2, 4, 7], []]), k=3)
    assert tuple(found) == NAMES
    assert found["map"].mean == pytest.approx((1 + 2 / 3) / 3)
    assert found["ndcg"].mean == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3) + 0.5))
    assert found["precision"].mean == found["recall_mean"].mean == pytest.approx(2 / 3)


def test_a_repeated_entry_hits_once() -> None:
    found = ranking_values(Lists.of([[(5, 1.0), (5, 1.0)]]), LabelSet.of([[5, 6]]), k=2)
    assert found["precision"].mean == found["recall_mean"].mean == 0.5


def test_wrong_sizes_and_depths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 lists"):
        ranking_values(Lists.empty(1), LabelSet.of([]), 3)
    with pytest.raises(ValueError, match="at least 1"):
        ranking_values(Lists.empty(0), LabelSet.of([]), 0)
