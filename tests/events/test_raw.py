from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.raw import item_index, load_raw
from tests.events.logs import load_log, raw_of, session, sessions_of

FRAME = pl.DataFrame(
    {
        "session": [4, 4, 9, 9, 9],
        "aid": [10**12, 5, 5, 7, 5],
        "ts": [1, 2, 3, 3, 4],
        "type": [0, 1, 2, 0, 0],
        "event": [0, 1, 0, 1, 2],
    },
    schema={"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.Int8, "event": pl.Int32},
)


@pytest.mark.parametrize("row_group", [1, 2, 5])
def test_sessions_may_span_row_groups(tmp_path: Path, row_group: int) -> None:
    FRAME.write_parquet(tmp_path / "log.parquet", row_group_size=row_group)
    log = load_log(tmp_path / "log.parquet")
    assert log.session_ids.to_list() == [4, 9]
    assert log.offsets.tolist() == [0, 2, 5]
    assert log.aids.tolist() == [2, 0, 0, 1, 0]
    assert log.items.ids.to_list() == [5, 7, 10**12]
    assert log.ts is not None
    assert log.types is not None
    assert (log.aids.dtype, log.ts.dtype, log.types.dtype) == (np.int32, np.int64, np.int8)


def test_items_of_all_files_and_text_ids(tmp_path: Path) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, ids in zip(paths, (["10", "9"], ["010", "9"]), strict=True):
        pl.DataFrame({"session": ["x", "y"], "aid": ids, "event": [0, 0]}).write_parquet(path)
    items = item_index(paths)
    assert items.ids.to_list() == ["010", "10", "9"]
    log = load_raw(paths[1], items)
    assert log.aids.tolist() == [0, 2]
    assert log.session_ids.to_list() == ["x", "y"]
    assert log.ts is None
    assert log.types is None


def test_unusable_files(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "log.parquet")
    items = item_index([tmp_path / "log.parquet"])
    with pytest.raises(InputError, match="no such file"):
        load_raw(tmp_path / "other.parquet", items)
    FRAME.drop("event").write_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a log"):
        load_raw(tmp_path / "other.parquet", items)
    FRAME.clear().write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="without events"):
        load_raw(tmp_path / "empty.parquet", items)


@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=8),
    rows=st.lists(st.integers(0, 7), max_size=6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_take_and_keep(lengths: list[int], rows: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    sessions = [
        session(number, *[(int(rng.integers(5)), int(number), "clicks") for _ in range(length)])
        for number, length in enumerate(lengths)
    ]
    log = raw_of(sessions)
    chosen = np.array([row for row in rows if row < len(log)], np.int64)
    assert sessions_of(log.take(chosen)) == [sessions[row] for row in chosen]
    keep = rng.random(log.aids.size) < 0.5
    kept = iter(keep.tolist())
    expected = [{**one, "events": [event for event in one["events"] if next(kept)]} for one in sessions]
    assert sessions_of(log.keep_events(keep)) == expected
