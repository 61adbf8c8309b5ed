"""The written file, read back line by line, and by the validator."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists
from submissions import kaggle_csv
from submissions.kaggle_csv import write_submission
from submissions.validator import validate_submission

ITEMS = IdIndex.of(pl.Series([5, 70, 800, 9_000, -1]))
ROWS = st.lists(st.lists(st.lists(st.integers(0, 4), unique=True, max_size=5), min_size=3, max_size=3), max_size=7)


def lists_of(rows: list[list[int]]) -> Lists:
    return Lists.of([[(aid, 0.0) for aid in row] for row in rows])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, k=st.integers(1, 5), chunk=st.integers(1, 4), strings=st.booleans())
def test_round_trip(tmp_path: Path, rows: list[list[list[int]]], k: int, chunk: int, strings: bool) -> None:
    path = tmp_path / "submission.csv"
    sessions = pl.Series([100 - 7 * s for s in range(len(rows))], dtype=pl.Int64)
    items = ITEMS
    if strings:
        sessions, items = (
            "s_" + sessions.cast(pl.String),
            IdIndex.of(pl.Series(["é", "b", "a-1", "long name"[:4], "z"])),
        )
    lists = {target: lists_of([row[t] for row in rows]) for t, target in enumerate(("clicks", "carts", "orders"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kaggle_csv, "CHUNK", chunk)
        assert write_submission(path, sessions, dict(reversed(lists.items())), items, k) == 3 * len(rows)

    expected = ["session_type,labels"]
    for session, row in zip(sessions, rows, strict=True):
        for target, aids in zip(("clicks", "carts", "orders"), row, strict=True):
            ids = items.take(np.array(aids[:k], np.int64)).cast(pl.String)
            expected.append(f"{session}_{target},{' '.join(ids)}")
    assert path.read_text(encoding="utf-8") == "\n".join(expected) + "\n"
    problems = validate_submission(path, sessions, items=items, k=k)
    assert not [problem for problem in problems if not problem.warning]


def test_a_target_that_the_shop_lacks_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    assert write_submission(path, pl.Series([1, 2]), {"clicks": lists_of([[0], [3, 1]])}, ITEMS) == 2
    assert path.read_text() == "session_type,labels\n1_clicks,-1\n2_clicks,800 5\n"
    assert validate_submission(path, pl.Series([1, 2]), ["clicks"], ITEMS) == []


@pytest.mark.parametrize(
    ("sessions", "items", "problem"),
    [
        (["1", "a,b"], ["x"], "session id 'a,b'"),
        (["1", ""], ["x"], "session id ''"),
        (["1", "2"], ["a b", "x"], "item id 'a b'"),
        (["1", "2"], ['"a"', "x"], "item id"),
    ],
)
def test_refuses_ids_that_would_break_the_form(
    tmp_path: Path, sessions: list[str], items: list[str], problem: str
) -> None:
    path = tmp_path / "submission.csv"
    with pytest.raises(InputError, match=problem):
        write_submission(path, pl.Series(sessions), {"clicks": Lists.empty(2)}, IdIndex.of(pl.Series(items)))
    assert list(tmp_path.iterdir()) == []


def test_refuses_other_sessions_and_unknown_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 lists for 2 sessions"):
        write_submission(tmp_path / "x", pl.Series([1, 2]), {"clicks": lists_of([[1]])}, ITEMS)
    for aid in (-1, 5):
        with pytest.raises(ValueError, match="the index does not"):
            write_submission(tmp_path / "x", pl.Series([1]), {"clicks": lists_of([[aid]])}, ITEMS)
