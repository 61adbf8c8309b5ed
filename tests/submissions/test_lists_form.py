"""Submissions of one list a session under columns of one's own, such as H&M's."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists
from submissions import kaggle_csv
from submissions.kaggle_csv import write_lists
from submissions.validator import require_valid, validate_submission

HEADER = "customer_id,prediction"
ITEMS = IdIndex.of(pl.Series(["0108775015", "0108775044", "011", "11"]))
ROWS = st.lists(st.lists(st.integers(0, 3), unique=True, max_size=4), max_size=7)


def lists_of(rows: list[list[int]]) -> Lists:
    return Lists.of([[(aid, 0.0) for aid in row] for row in rows])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS, k=st.integers(1, 4), chunk=st.integers(1, 4))
def test_round_trip_keeps_order_and_zeros(tmp_path: Path, rows: list[list[int]], k: int, chunk: int) -> None:
    path = tmp_path / "submission.csv"
    customers = pl.Series([f"0_{s:x}" for s in reversed(range(len(rows)))], dtype=pl.String)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kaggle_csv, "CHUNK", chunk)
        assert write_lists(path, customers, lists_of(rows), ITEMS, k, HEADER) == len(rows)
    names = ITEMS.ids.to_list()
    expected = [f"{customers[s]},{' '.join(names[aid] for aid in row[:k])}" for s, row in enumerate(rows)]
    assert path.read_bytes().decode() == "".join(f"{line}\n" for line in [HEADER, *expected])
    problems = validate_submission(path, customers, ("orders",), ITEMS, k, HEADER)
    assert [problem.kind for problem in problems] == ["empty row"] * sum(not row for row in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c1,0108775015 0108775015", "error in line 2: item '0108775015' is repeated"),
        ("c1,108775015", "error in line 2: unknown item '108775015'"),
        ("c3,011", "error in line 2: unknown session 'c3'"),
        (",011", "error in line 2: malformed row id '', expected <session>"),
        ("c2,011", "error in line 2: unknown session|error in line 3: row 'c2' stands already in line 2"),
        ("c1,0108775015 011 11", "error in line 2: 3 items, at most 2 count"),
    ],
)
def test_defects_are_found(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(f"{HEADER}\n{text}\nc2,11\n")
    first = str(validate_submission(path, pl.Series(["c1", "c2"]), ("orders",), ITEMS, 2, HEADER)[0])
    assert first in message.split("|")


def test_missing_rows_and_another_header_are_found(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(f"{HEADER}\nc2,11\n")
    customers = pl.Series(["c1", "c2"])
    with pytest.raises(InputError, match="1 of 2 rows are missing: c1"):
        require_valid(path, customers, ("orders",), ITEMS, 12, HEADER)
    with pytest.raises(InputError, match=f":1: the header is '{HEADER}' instead of 'customer,prediction'"):
        require_valid(path, customers, ("orders",), ITEMS, 12, "customer,prediction")
    with pytest.raises(InputError, match="the item id 'a b' cannot be written"):
        write_lists(path, customers, Lists.empty(2), IdIndex.of(pl.Series(["a b"])))
    with pytest.raises(ValueError, match="1 lists for 2 sessions"):
        write_lists(path, customers, Lists.empty(1), ITEMS)
