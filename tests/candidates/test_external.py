"""Candidates from a file: joined by source ids, and what is wrong with a file is said."""

from pathlib import Path

import polars as pl
import pytest

from candidates.external import External
from candidates.settings import ExternalSettings
from events.errors import InputError
from events.index import IdIndex
from events.log import SessionLog

LOG = SessionLog.of([[0], [1], [2]], n_items=3)
GOOD = {"session": ["b", "b", "b", "a", "z", "b"], "aid": [30, 10, 20, 10, 10, 99], "score": [1.0, 2.0, 1.0, 0.5, 9, 9]}


def source(path: Path, table: dict[str, list[object]] | None = None) -> External:
    if table is not None:
        pl.DataFrame(table).write_parquet(path)
    items, sessions = IdIndex.of(pl.Series([10, 20, 30])), IdIndex.of(pl.Series(["a", "b", "c"]))
    return External("mine", ExternalSettings(path=path), items, sessions)


def test_source_ids_become_rows_unknown_ones_are_left_out(tmp_path: Path) -> None:
    lists = source(tmp_path / "x.parquet", GOOD).fit(LOG).recommend(LOG, 5)
    assert [lists.row(s)[0].tolist() for s in range(3)] == [[0], [0, 1, 2], []]
    assert lists.row(1)[1].tolist() == [2.0, 1.0, 1.0]


def test_a_session_that_the_index_does_not_hold_gets_nothing(tmp_path: Path) -> None:
    one = SessionLog.of([[], [], [], [0]], n_items=3).slice(2, 4)  # sessions 2 and 3; the index holds 0 to 2
    table = {"session": ["c"], "aid": [10], "score": [1.0]}
    assert source(tmp_path / "x.parquet", table).fit(LOG).recommend(one, 5).lengths.tolist() == [1, 0]


def test_of_a_repeated_item_the_best_score_counts(tmp_path: Path) -> None:
    table = {"session": ["a"] * 3, "aid": [10, 20, 10], "score": [1, 2, 3]}
    lists = source(tmp_path / "x.parquet", table).fit(LOG).recommend(LOG, 5)
    assert lists.aids.tolist() == [0, 1]
    assert lists.scores.tolist() == [3, 2]


def test_a_target_has_lists_of_its_own(tmp_path: Path) -> None:
    table = {**GOOD, "target": ["orders", "clicks", "orders", "clicks", "clicks", "clicks"]}
    fitted = source(tmp_path / "x.parquet", table).fit(LOG)
    assert fitted.targets == ("clicks", "orders")
    assert fitted.recommend(LOG, 5, "orders").aids.tolist() == [1, 2]
    assert fitted.recommend(LOG, 5, "clicks").aids.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"aid": None}, "no column 'aid'"),
        ({"aid": ["x"] * 6}, "'aid' is String"),
        ({"score": ["x"] * 6}, "'score' is String"),
        ({"score": [1.0, None, 1.0, 1.0, 1.0, 1.0]}, "missing or not finite"),
        ({"score": [1.0, float("nan"), 1.0, 1.0, 1.0, 1.0]}, "missing or not finite"),
        ({"target": ["clicks"] * 5 + ["views"]}, "unknown target"),
    ],
)
def test_a_bad_column_is_named(tmp_path: Path, change: dict[str, list[object] | None], problem: str) -> None:
    table = {name: column for name, column in {**GOOD, **change}.items() if column is not None}
    with pytest.raises(InputError, match=problem) as error:
        source(tmp_path / "x.parquet", table).fit(LOG)
    assert error.value.file == str(tmp_path / "x.parquet")


def test_a_missing_file_and_one_that_is_not_parquet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        source(tmp_path / "x.parquet").fit(LOG)
    (tmp_path / "x.parquet").write_text("session,aid,score\n")
    with pytest.raises(InputError, match="not a Parquet file"):
        source(tmp_path / "x.parquet").fit(LOG)


def test_sessions_of_the_index_may_begin_anywhere_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"session": ["b"], "aid": [20], "score": [1.0]}).write_parquet(path)
    items, sessions = IdIndex.of(pl.Series([10, 20, 30])), IdIndex.of(pl.Series(["a", "b"]))
    log = SessionLog.of([[0]] * 5, n_items=3)
    found = External("mine", ExternalSettings(path=path), items, sessions, first_session=3).fit(log).recommend(log, 5)
    assert found.lengths.tolist() == [0, 0, 0, 0, 1]
