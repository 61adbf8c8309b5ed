"""The pool kernel against dictionaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candidates.pool import Arena, Candidates, build_pool
from events.lists import Lists


@st.composite
def proposals(draw: st.DrawFn) -> dict[str, Lists]:
    sessions = draw(st.integers(0, 5))
    found = {}
    for name in draw(st.permutations(["a", "b_clicks", "b_orders", "c"]))[: draw(st.integers(1, 4))]:
        rows = []
        for _ in range(sessions):
            aids = draw(st.lists(st.integers(0, 9) | st.just(2**31 - 1), unique=True, max_size=6))
            scores = sorted(draw(st.lists(st.integers(-3, 3), min_size=len(aids), max_size=len(aids))), reverse=True)
            rows.append([(aid, float(score)) for aid, score in zip(aids, scores, strict=True)])
        found[name] = Lists.of(rows)
    return found


def table(pool: Candidates) -> list[dict[str, object]]:
    """One dictionary a row; sources that did not propose the item are left out."""
    rows = []
    for s in range(pool.n_sessions):
        for r in range(pool.offsets[s], pool.offsets[s + 1]):
            row: dict[str, object] = {"session": s, "aid": int(pool.aids[r])}
            for c, name in enumerate(pool.names):
                assert (pool.ranks[c, r] == -1) == np.isnan(pool.scores[c, r])
                if pool.ranks[c, r] >= 0:
                    row[name] = (int(pool.ranks[c, r]), float(pool.scores[c, r]))
            rows.append(row)
    return rows


def slow_pool(lists: dict[str, Lists]) -> list[dict[str, object]]:
    found: dict[tuple[int, int], dict[str, object]] = {}
    for name, column in lists.items():
        for s in range(len(column)):
            for rank, (aid, score) in enumerate(zip(*column.row(s), strict=True)):
                row = found.setdefault((s, int(aid)), {"session": s, "aid": int(aid)})
                row[name] = (rank, float(score))
    return [found[key] for key in sorted(found)]


@given(proposals())
def test_equals_dictionaries(lists: dict[str, Lists]) -> None:
    pool = build_pool(lists, Arena())
    assert pool.names == tuple(lists)
    assert pool.ranks.shape == pool.scores.shape == (len(lists), len(pool))
    assert table(pool) == slow_pool(lists)


@given(proposals(), st.integers(0, 5))
def test_chunks_and_a_used_arena_change_nothing(lists: dict[str, Lists], cut: int) -> None:
    arena = Arena()
    whole = table(build_pool(lists, arena))
    size = len(next(iter(lists.values())))
    cut = min(cut, size)
    first = table(build_pool({name: column.slice(0, cut) for name, column in lists.items()}, arena))
    second = table(build_pool({name: column.slice(cut, size) for name, column in lists.items()}, arena))
    moved = [{**row, "session": row["session"] + cut} for row in second]  # type: ignore[operator]
    assert first + moved == whole


def test_the_frame_names_rank_and_score_of_each_source() -> None:
    pool = build_pool({"a": Lists.of([[(3, 2.0)], [(1, 1.0)]]), "b": Lists.of([[], [(1, 5.0), (0, 4.0)]])}, Arena())
    frame = pool.frame()
    assert frame.columns == ["session", "aid", "rank_a", "score_a", "rank_b", "score_b"]
    assert frame["session"].to_list() == [0, 1, 1]
    assert frame["aid"].to_list() == [3, 0, 1]
    assert frame["rank_a"].to_list() == [0, -1, 0]
    assert frame["rank_b"].to_list() == [-1, 1, 0]


@pytest.mark.parametrize(
    ("lists", "problem"),
    [
        ({}, "at least one"),
        ({"a": Lists.empty(2), "b": Lists.empty(3)}, "same sessions"),
        ({"a": Lists(np.array([0, 40_000]), np.arange(40_000, dtype=np.int32), np.zeros(40_000, np.float32))}, "32767"),
    ],
)
def test_what_cannot_be_pooled_is_refused(lists: dict[str, Lists], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_pool(lists, Arena())
