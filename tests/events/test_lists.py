"""Lists: slicing, joining, top-k, and the insertion kernel against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InputError
from events.lists import Lists, insert_best

ROWS = st.lists(
    st.dictionaries(st.integers(0, 20), st.integers(0, 5), max_size=8).map(
        lambda d: sorted(((a, float(s)) for a, s in d.items()), key=lambda p: (-p[1], p[0]))
    ),
    max_size=6,
)


def nested(lists: Lists) -> list[list[tuple[int, float]]]:
    return [[(int(a), float(s)) for a, s in zip(*lists.row(i), strict=True)] for i in range(len(lists))]


@given(ROWS, st.data())
def test_slices_and_joins_are_those_of_nested_lists(rows, data):
    lists = Lists.of(rows)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    k = data.draw(st.integers(0, 5))
    assert nested(lists.slice(start, stop)) == rows[start:stop]
    assert nested(lists.top(k)) == [row[:k] for row in rows]
    order = np.arange(len(rows))[::-1].copy()
    assert nested(lists.take(order)) == rows[::-1]
    assert nested(Lists.concat([lists.slice(0, start), lists.slice(start, len(rows))])) == rows


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 4)), st.integers(0, 6))
def test_insertion_keeps_the_best_with_ties_by_item(scores, k):
    aids, best, size = np.empty(k, np.int32), np.empty(k, np.float64), 0
    for aid, score in scores.items():
        size = insert_best(aids, best, size, k, aid, float(score))
    expected = sorted(scores.items(), key=lambda p: (-p[1], p[0]))[:k]
    assert [(int(a), int(s)) for a, s in zip(aids[:size], best[:size], strict=True)] == expected


def test_from_dense_leaves_out_nan_and_breaks_ties_by_item():
    lists = Lists.from_dense(np.array([[1, np.nan, 1, 2], [-np.inf, np.nan, -np.inf, np.nan]], np.float32), 3)
    assert nested(lists) == [[(3, 2.0), (0, 1.0), (2, 1.0)], []]


def test_saved_lists_come_back(tmp_path):
    rows = [[(3, 2.0), (1, 1.0)], [], [(0, 0.5)]]
    Lists.of(rows).save(tmp_path)
    assert nested(Lists.load(tmp_path)) == rows
    (tmp_path / "aids.npy").unlink()
    with pytest.raises(InputError, match=r"aids\.npy: no such file"):
        Lists.load(tmp_path)
