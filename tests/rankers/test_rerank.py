"""Reranking against its definition written out in Python; and what it does to lists whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from events.lists import Lists
from rankers.rerank import NO_CODES, NO_VECTORS, Reranker, RerankSettings, rerank

N_ITEMS = 12
SCORES = st.dictionaries(st.integers(0, N_ITEMS - 1), st.sampled_from([-2.0, 0.0, 0.25, 1.0, 3.0]), max_size=10)


def slow(row: list[tuple[int, float]], chosen: RerankSettings, k: int, vectors, codes) -> list[tuple[int, float]]:
    row = row[: max(k, chosen.depth)]
    low, high = (row[-1][1], row[0][1]) if row else (0, 0)

    def likeness(a: int, b: int) -> float:
        lengths = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
        return max(0.0, float(vectors[a] @ vectors[b]) / lengths) if lengths > 0 else 0.0

    def value(aid: int, score: float, before: list[tuple[int, float]]) -> float:
        if chosen.mmr is None:
            return score
        relevance = (score - low) / (high - low) if high > low else 1.0
        return chosen.mmr * relevance - (1 - chosen.mmr) * max([0.0, *(likeness(aid, b) for b, _ in before)])

    out: list[tuple[int, float]] = []
    left = list(row)
    while left and len(out) < k:
        held = [codes[b] for b, _ in out]
        free = [
            one
            for one in left
            if chosen.category_cap is None or codes[one[0]] < 0 or held.count(codes[one[0]]) < chosen.category_cap
        ]
        best = min(free or left, key=lambda one: (-round(value(*one, out), 6), one[0]))
        out.append((best[0], value(*best, out)))
        left.remove(best)
    return out


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SCORES, max_size=5),
    st.none() | st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    st.none() | st.integers(1, 3),
    st.integers(1, 10),
    st.integers(1, 10),
    st.integers(0, 99),
)
def test_reranking_equals_the_slow_version(rows, mmr, cap, depth, k, seed) -> None:
    chosen = RerankSettings(mmr=mmr, category_cap=cap, depth=depth)
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (N_ITEMS, 2)).astype(np.float32)
    codes = rng.integers(-1, 3, N_ITEMS).astype(np.int32)
    ordered = [sorted(row.items(), key=lambda one: (-one[1], one[0])) for row in rows]
    found = rerank(Lists.of(ordered), chosen, k, vectors, codes)
    for s, row in enumerate(ordered):
        expected = slow(row[: chosen.list_length(k)], chosen, k, vectors, codes)
        aids, scores = found.row(s)
        assert aids.tolist() == [aid for aid, _ in expected]
        assert (np.diff(scores) <= 0).all()
        if cap is None:
            np.testing.assert_allclose(scores, [value for _, value in expected], atol=1e-5)


def test_the_second_of_two_equal_items_goes_back() -> None:
    lists = Lists.of([[(0, 5.0), (1, 4.9), (2, 1.0)]])
    vectors = np.array([[1, 0], [2, 0], [0, 1]], np.float32)
    one = Reranker(RerankSettings(mmr=0.5), {None: vectors})
    assert one.apply(lists, 3).aids.tolist() == [0, 2, 1]
    assert one.apply_all({"clicks": lists}, 1)["clicks"].aids.tolist() == [0]
    other = Reranker(RerankSettings(mmr=0.5), {"carts": np.eye(3, 2, dtype=np.float32), "clicks": vectors})
    assert other.apply(lists, 3, "carts").aids.tolist() == [0, 1, 2]
    assert Reranker(RerankSettings(mmr=1.0), {None: vectors}).apply(lists, 3).aids.tolist() == [0, 1, 2]


def test_a_capped_category_lets_others_in_and_fills_what_is_left() -> None:
    lists = Lists.of([[(0, 5.0), (1, 4.0), (2, 3.0), (3, 2.0)]])
    codes = np.array([7, 7, 7, -1], np.int32)
    one = Reranker(RerankSettings(category_cap=1), {}, codes)
    assert one.apply(lists, 2).aids.tolist() == [0, 3]
    found = one.apply(lists, 4)
    assert found.aids.tolist() == [0, 3, 1, 2]
    assert (np.diff(found.scores) < 0).all()


def test_off_by_default_and_only_then_lists_stay_short() -> None:
    assert not RerankSettings().on
    assert RerankSettings().list_length(20) == 20
    assert RerankSettings(mmr=0.7).list_length(20) == 60
    with pytest.raises(ValidationError):
        RerankSettings(vectors="svd")
    empty = rerank(Lists.empty(3), RerankSettings(category_cap=1), 5, NO_VECTORS, NO_CODES)
    assert len(empty) == 3
