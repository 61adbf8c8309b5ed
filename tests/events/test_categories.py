"""Categories of items: read, cut to a level, as sets."""

from pathlib import Path

import polars as pl
import pytest

from events.categories import category_sets, level_codes, load_categories, need_categories
from events.errors import InputError

PATHS = pl.Series([["women", "shoes"], ["men", "shoes"], [], None, ["women"], ["women", "shoes", "boots"]])


def test_a_category_is_known_by_its_whole_path() -> None:
    codes = level_codes(PATHS, 1)
    assert codes.dtype == "int32"
    assert codes[0] == codes[5] != codes[1]
    assert codes[2] == codes[3] == -1
    assert codes[4] not in (codes[0], codes[1], -1)
    broad = level_codes(PATHS, 0)
    assert broad[0] == broad[4] == broad[5] != broad[1]
    assert len(set(level_codes(PATHS, -1).tolist())) == 5


def test_sets_hold_every_level() -> None:
    offsets, codes = category_sets(PATHS)
    assert offsets.tolist() == [0, 2, 4, 4, 4, 5, 8]
    assert len(set(codes[:4].tolist())) == 3  # women, men and the shoes that both have
    assert codes[4] in codes[:2]


def test_files_with_and_without_categories(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    with pytest.raises(InputError, match="no such file"):
        load_categories(path)
    pl.DataFrame({"id": [1, 2]}).write_parquet(path)
    assert load_categories(path) is None
    with pytest.raises(InputError, match="no column category"):
        need_categories(path)
    pl.DataFrame({"id": [1], "category": ["shoes"]}).write_parquet(path)
    with pytest.raises(InputError, match="not lists"):
        load_categories(path)
    pl.DataFrame({"id": [1, 2], "category": [["a"], None]}).write_parquet(path)
    assert need_categories(path).to_list() == [["a"], None]
