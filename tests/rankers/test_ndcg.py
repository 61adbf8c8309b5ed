import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.ndcg import BINARY, gain_recall, mean_ndcg

Sessions = list[list[tuple[int, int]]]
GAINS = np.array([0.0, 1.0, 3.0, 6.0])
ROW = st.tuples(st.integers(0, 3), st.integers(0, 4))


def slow_ndcg(sessions: Sessions, k: int, gains: np.ndarray) -> float:
    values = []
    for rows in sessions:
        order = sorted(range(len(rows)), key=lambda i: (-rows[i][1], i))
        best = sorted((gains[label] for label, _ in rows), reverse=True)
        found = sum(gains[rows[i][0]] / math.log2(place + 2) for place, i in enumerate(order[:k]))
        ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best[:k]))
        if ideal:
            values.append(found / ideal)
    return sum(values) / len(values) if values else 0.0


def slow_recall(sessions: Sessions, k: int, gains: np.ndarray) -> float:
    found = ideal = 0.0
    for rows in sessions:
        order = sorted(range(len(rows)), key=lambda i: (-rows[i][1], i))
        found += sum(gains[rows[i][0]] for i in order[:k])
        ideal += sum(sorted((gains[label] for label, _ in rows), reverse=True)[:k])
    return found / ideal if ideal else 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ROW, max_size=9), max_size=5), st.integers(1, 6), st.booleans())
def test_measures_equal_the_slow_versions(sessions: Sessions, k: int, graded: bool) -> None:
    gains = GAINS if graded else BINARY
    sessions = [[(label if graded else label % 2, score) for label, score in rows] for rows in sessions]
    offsets = np.cumsum([0, *(len(rows) for rows in sessions)]).astype(np.int64)
    labels = np.array([label for rows in sessions for label, _ in rows], np.int8)
    scores = np.array([score for rows in sessions for _, score in rows], np.float64)
    assert abs(mean_ndcg(offsets, labels, scores, k, gains) - slow_ndcg(sessions, k, gains)) < 1e-12
    assert abs(gain_recall(offsets, labels, scores, k, gains) - slow_recall(sessions, k, gains)) < 1e-12
