"""What a caller says of sessions becomes the log that the obvious slow reading gives."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.columns import TARGETS
from events.errors import InputError
from events.index import IdIndex
from rankers.requests import NOBODY, STEP_SECONDS, Reader

UNTIL = 1_700_000_000_000
ITEMS = IdIndex.of(pl.Series([5, 7, 9, 20]))
BOTH = frozenset({"time", "types"})
READER = Reader(ITEMS, BOTH, UNTIL)

event = st.tuples(st.sampled_from([5, 7, 9, 20, 6, -1]), st.integers(UNTIL - 10**6, UNTIL), st.sampled_from(TARGETS))


def slow(session: list[tuple[int, int, str]]) -> tuple[list[tuple[int, int, int]], tuple[int, ...]]:
    """Row, second and code of each known event by time; the unknown items, each once."""
    by_time = sorted(session, key=lambda one: one[1])
    rows = ITEMS.ids.to_list()
    known = [(rows.index(aid), ts // 1000, TARGETS.index(kind)) for aid, ts, kind in by_time if aid in rows]
    return known, tuple(dict.fromkeys(aid for aid, _, _ in by_time if aid not in rows))


@given(st.lists(st.lists(event, max_size=6), min_size=1, max_size=5))
def test_sessions_are_read_as_by_the_slow_way(sessions):
    read = READER.read(sessions)
    assert not read.single
    assert (read.log.sessions == NOBODY).all()
    for s, session in enumerate(sessions):
        known, unknown = slow(session)
        one = read.log.slice(s, s + 1)
        assert list(zip(one.aids.tolist(), one.ts.tolist(), one.types.tolist(), strict=True)) == known
        assert tuple(dict.fromkeys(read.unknown[s])) == unknown
        alone = READER.read(session)
        assert alone.single
        assert alone.log.aids.tolist() == one.aids.tolist()
    filled = [(s, *one) for s, session in enumerate(sessions) for one in session]
    frame = pl.DataFrame(filled, schema=["session", "aid", "ts", "type"], orient="row") if filled else None
    if frame is not None and all(sessions):
        table = READER.read(frame)
        assert table.sessions == list(range(len(sessions)))
        assert table.unknown == read.unknown
        for name in ("offsets", "aids", "ts", "types"):
            np.testing.assert_array_equal(getattr(table.log, name), getattr(read.log, name), strict=True)


def test_what_is_left_out_is_made_up():
    read = READER.read([[(5,), (7,), 9], [(7, UNTIL - 5000), {"aid": 5, "ts": UNTIL - 9000, "type": 2}]])
    end = (UNTIL - 1) // 1000
    assert read.log.ts[:3].tolist() == [end - 2 * STEP_SECONDS, end - STEP_SECONDS, end]
    assert read.log.aids.tolist() == [0, 1, 2, 0, 1]
    assert read.log.types.tolist() == [0, 0, 0, 2, 0]
    assert read.log.ts[3:].tolist() == [(UNTIL - 9000) // 1000, (UNTIL - 5000) // 1000]


def test_what_the_shop_has_not_is_dropped():
    read = Reader(ITEMS, frozenset(), None).read([(5, 3, "carts"), (7, 4, "orders")])
    assert (read.log.ts, read.log.types, read.log.has) == (None, None, frozenset())
    assert read.log.aids.tolist() == [0, 1]


def test_ids_of_text():
    reader = Reader(IdIndex.of(pl.Series(["a", "7"])), BOTH, UNTIL)
    read = reader.read(["7", "a", "b"])
    assert read.log.aids.tolist() == [0, 1]
    assert read.unknown == [("b",)]
    assert reader.read(pl.DataFrame({"aid": ["a"]})).log.aids.tolist() == [1]
    with pytest.raises(InputError, match="is no text"):
        reader.read([7])


def test_numpy_numbers_are_numbers():
    read = READER.read([(np.int32(9), np.int64(UNTIL), np.int8(1))])
    assert (read.log.aids.tolist(), read.log.types.tolist()) == ([2], [1])


@pytest.mark.parametrize(
    ("events", "line"),
    [([[5], [7, (9, None, "x")]], 3), ([(5, 1), (7,)], 2), ([5, 7.0], 2), ([[5, "x"]], 2)],
)
def test_an_error_says_which_event(events: Any, line: int):
    with pytest.raises(InputError) as found:
        READER.read(events)
    assert found.value.line == line
