from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from events.index import IdIndex
from events.labels import Labels, LabelSet, labels_after, load_labels, save_labels, take_labels

TARGETS = ("clicks", "carts", "orders")


def slow_labels(aids: list[int], types: list[int] | None, start: int, stop: int, falsy: int) -> list[list[int]]:
    """The official rule, said plainly."""
    hidden = range(start, stop)
    kinds = [0] * len(aids) if types is None else types
    clicks = [aids[i] for i in hidden if kinds[i] == 0][:1]
    out = [[aid for aid in clicks if aid != falsy]]
    if types is not None:
        out += [sorted({aids[i] for i in hidden if kinds[i] == code}) for code in (1, 2)]
    return out


@given(
    events=st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 2)), max_size=25),
    rows=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=6),
    typed=st.booleans(),
    falsy=st.integers(-1, 1),
)
@settings(max_examples=150, deadline=None)
def test_labels_equal_the_plain_rule(
    events: list[tuple[int, int]], rows: list[tuple[int, int]], typed: bool, falsy: int
) -> None:
    aids = [max(aid, 0) for aid, _ in events]
    types = [kind for _, kind in events] if typed else None
    spans = [(min(a, len(aids)), min(max(a, b), len(aids))) for a, b in rows]
    starts = np.array([a for a, _ in spans], np.int64)
    stops = np.array([b for _, b in spans], np.int64)
    labels = labels_after(
        starts, stops, np.array(aids, np.int32), None if types is None else np.array(types, np.int8), falsy
    )
    assert list(labels) == list(TARGETS if typed else TARGETS[:1])
    for row, (start, stop) in enumerate(spans):
        got = [label_set.row(row).tolist() for label_set in labels.values()]
        assert got == slow_labels(aids, types, start, stop, falsy)
    assert all(len(label_set) == len(spans) for label_set in labels.values())


def test_the_falsy_id_is_no_click_but_a_cart() -> None:
    aids, types = np.array([5, 0, 6, 0], np.int32), np.array([0, 0, 0, 1], np.int8)
    labels = labels_after(np.array([1, 2]), np.array([4, 4]), aids, types, falsy=0)
    assert [labels["clicks"].row(s).tolist() for s in (0, 1)] == [[], [6]]
    assert labels["carts"].row(0).tolist() == [0]
    assert IdIndex.of(pl.Series([3, 0])).falsy_row == 0
    assert IdIndex.of(pl.Series([3, 1])).falsy_row == -1


def test_long_tails_are_sorted_and_unique() -> None:
    rng = np.random.default_rng(1)
    aids = rng.integers(0, 500, 4000).astype(np.int32)
    labels = labels_after(np.array([0]), np.array([4000]), aids, np.full(4000, 2, np.int8))
    assert labels["orders"].row(0).tolist() == np.unique(aids).tolist()


def test_save_load_take_slice(tmp_path: Path) -> None:
    labels: Labels = {"clicks": LabelSet.of([[3], [], [1]]), "orders": LabelSet.of([[2, -1], [4], []])}
    save_labels(tmp_path, labels)
    loaded = load_labels(tmp_path)
    assert list(loaded) == ["clicks", "orders"]
    assert loaded["orders"].row(0).tolist() == [-1, 2]
    taken = take_labels(loaded, np.array([2, 0]))
    assert [taken["clicks"].row(s).tolist() for s in (0, 1)] == [[1], [3]]
    assert loaded["orders"].slice(1, 3).row(0).tolist() == [4]
