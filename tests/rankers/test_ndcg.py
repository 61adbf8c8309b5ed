import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.ndcg import mean_ndcg

ROW = st.tuples(st.integers(0, 1), st.integers(0, 4))


def slow(sessions: list[list[tuple[int, int]]], k: int) -> float:
    values = []
    for rows in sessions:
        order = sorted(range(len(rows)), key=lambda i: (-rows[i][1], i))
        gains = [1 / math.log2(place + 2) for place, i in enumerate(order[:k]) if rows[i][0]]
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, sum(label for label, _ in rows))))
        if ideal:
            values.append(sum(gains) / ideal)
    return sum(values) / len(values) if values else 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ROW, max_size=9), max_size=5), st.integers(1, 6))
def test_ndcg_equals_the_slow_version(sessions: list[list[tuple[int, int]]], k: int) -> None:
    offsets = np.cumsum([0, *(len(rows) for rows in sessions)]).astype(np.int64)
    labels = np.array([label for rows in sessions for label, _ in rows], np.int8)
    scores = np.array([score for rows in sessions for _, score in rows], np.float64)
    assert abs(mean_ndcg(offsets, labels, scores, k) - slow(sessions, k)) < 1e-12
