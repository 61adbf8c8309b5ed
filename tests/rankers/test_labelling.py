import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.pool import Candidates
from events.labels import LabelSet
from rankers.labelling import first_unsorted_row, mark_labels, positives_of

SETS = st.sets(st.integers(0, 30), max_size=12)


def candidates_of(rows: list[list[int]]) -> Candidates:
    offsets = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    aids = np.array([aid for row in rows for aid in row], np.int32)
    return Candidates(offsets, aids, (), np.zeros((0, aids.size), np.int16), np.zeros((0, aids.size), np.float32))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SETS, SETS, st.integers(0, 2)), max_size=6))
def test_marks_equal_the_slow_version(sessions: list[tuple[set[int], set[int], int]]) -> None:
    pool = candidates_of([sorted(pool) for pool, _, _ in sessions])
    labels = LabelSet.of([[-1] * unknown + sorted(truth) for _, truth, unknown in sessions])
    marks, outside = mark_labels(pool, labels)
    assert marks.tolist() == [int(aid in truth) for own, truth, _ in sessions for aid in sorted(own)]
    assert outside == sum(len(truth - own) + unknown for own, truth, unknown in sessions)
    assert positives_of(pool.offsets, marks).tolist() == [len(own & truth) for own, truth, _ in sessions]


def test_other_sessions_are_refused() -> None:
    with pytest.raises(ValueError, match="2 sessions of candidates, 1 of labels"):
        mark_labels(candidates_of([[1], [2]]), LabelSet.of([[1]]))


def test_unsorted_rows_are_found() -> None:
    for rows, found in (([[1, 2], [1], []], -1), ([[1, 2], [2, 1]], 3), ([[4, 4]], 1)):
        pool = candidates_of(rows)
        assert first_unsorted_row(pool.offsets, pool.aids) == found
