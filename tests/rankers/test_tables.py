from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists
from rankers.blending import blend_mean_rank, blend_reciprocal
from rankers.oof import read_predictions, write_predictions

ITEMS = IdIndex.of(pl.Series([100, 200, 300, 400]))
ITEM_LISTS = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=6), min_size=3, max_size=3)


def test_predictions_read_back(tmp_path: Path) -> None:
    lists = {
        "clicks": Lists.of([[(3, 0.5), (1, 0.25)], [], [(0, 9.0)]]),
        "carts": Lists.of([[(2, 1.0)], [(2, 2.0), (3, 1.0)], []]),
    }
    ids = pl.Series(["u9", "u1", "u5"])
    path = tmp_path / "p.parquet"
    write_predictions(path, ids, ITEMS, lists)
    table = pl.read_parquet(path)
    assert table.filter(pl.col("target") == "clicks").select("session", "aid", "rank", "score").rows() == [
        ("u9", 400, 0, 0.5),
        ("u9", 200, 1, 0.25),
        ("u5", 100, 0, 9.0),
    ]
    back = read_predictions(path, ids[[2, 1, 0]], ITEMS)
    for target, expected in lists.items():
        for s in range(3):
            assert back[target].row(2 - s)[0].tolist() == expected.row(s)[0].tolist()
            assert back[target].row(2 - s)[1].tolist() == expected.row(s)[1].tolist()
    write_predictions(path, ids, ITEMS, lists, top=1)
    assert read_predictions(path, ids, ITEMS)["clicks"].lengths.tolist() == [1, 0, 1]


def test_predictions_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 lists of clicks, 2 sessions"):
        write_predictions(tmp_path / "p.parquet", pl.Series([1, 2]), ITEMS, {"clicks": Lists.of([[]])})
    with pytest.raises(InputError, match="no such file"):
        read_predictions(tmp_path / "p.parquet", pl.Series([1]), ITEMS)
    write_predictions(tmp_path / "p.parquet", pl.Series([1]), ITEMS, {"clicks": Lists.of([[(3, 1.0)]])})
    with pytest.raises(InputError, match="unknown item"):
        read_predictions(tmp_path / "p.parquet", pl.Series([1]), IdIndex.of(pl.Series([100])))
    write_predictions(tmp_path / "p.parquet", pl.Series([1]), ITEMS, {})
    assert read_predictions(tmp_path / "p.parquet", pl.Series([1]), ITEMS) == {}


def lists_of(rows: list[list[int]]) -> Lists:
    return Lists.of([[(aid, -float(place)) for place, aid in enumerate(row)] for row in rows])


@settings(max_examples=40, deadline=None)
@given(ITEM_LISTS, ITEM_LISTS, st.integers(1, 8))
def test_blends_equal_the_slow_version(a: list[list[int]], b: list[list[int]], k: int) -> None:
    models, weights = [a, b], [1.0, 2.5]
    reciprocal = blend_reciprocal([lists_of(a), lists_of(b)], weights, k, constant=3.0)
    mean_rank = blend_mean_rank([lists_of(a), lists_of(b)], weights, k, absent=10)
    for s in range(3):
        rrf: dict[int, float] = {}
        rank: dict[int, float] = {}
        for rows, weight in zip(models, weights, strict=True):
            for place, aid in enumerate(rows[s], 1):
                rrf[aid] = rrf.get(aid, 0.0) + weight / (3.0 + place)
                rank[aid] = rank.get(aid, 0.0) + weight / 3.5 * (10 - place)
        for votes, blended in ((rrf, reciprocal), (rank, mean_rank)):
            expected = sorted(votes, key=lambda aid, votes=votes: (-np.float32(votes[aid]), aid))[:k]
            assert blended.row(s)[0].tolist() == expected


def test_blending_needs_the_same_sessions() -> None:
    with pytest.raises(ValueError, match="same sessions"):
        blend_reciprocal([Lists.empty(2), Lists.empty(3)])
    assert len(blend_mean_rank([Lists.empty(2), Lists.empty(2)])) == 2
