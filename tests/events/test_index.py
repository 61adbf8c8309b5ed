"""IdIndex: rows of known and unknown ids, integers and strings, and the id that Python calls false."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InputError
from events.index import IdIndex

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)
TEXTS = st.lists(st.text(max_size=4), max_size=20)


@given(st.one_of(st.tuples(INTEGERS, INTEGERS), st.tuples(TEXTS, TEXTS)))
def test_rows_are_places_among_the_sorted_ids(pair):
    known, asked = pair
    dtype = pl.String if any(isinstance(x, str) for x in known + asked) else pl.Int64
    index = IdIndex.of(pl.Series(known, dtype=dtype))
    order = sorted(set(known), key=lambda x: x.encode() if isinstance(x, str) else x)
    expected = [order.index(x) if x in order else -1 for x in asked]
    assert index.rows(pl.Series(asked, dtype=dtype)).tolist() == expected
    assert index.take(np.arange(len(index))).to_list() == order


def test_the_false_id_is_zero_or_the_empty_string():
    assert IdIndex.of(pl.Series([5, 0, -3])).falsy_row == 1
    assert IdIndex.of(pl.Series([5, 7])).falsy_row == -1
    assert IdIndex.of(pl.Series(["b", "", "a"])).falsy_row == 0


def test_saved_index_comes_back(tmp_path):
    index = IdIndex.of(pl.Series(["007", "7"]))
    index.save(tmp_path / "items.parquet")
    assert IdIndex.load(tmp_path / "items.parquet").ids.to_list() == ["007", "7"]
    with pytest.raises(InputError, match="no such file"):
        IdIndex.load(tmp_path / "none.parquet")
