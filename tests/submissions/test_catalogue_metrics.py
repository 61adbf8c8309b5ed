"""What lists do to the catalogue, against the definitions written out in Python."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.lists import Lists
from events.log import SessionLog
from submissions.catalogue_metrics import Catalogue, coverage, list_values, session_counts

N_ITEMS = 9
ROWS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=6, unique=True), max_size=8)
FITTED = st.lists(st.lists(st.integers(0, N_ITEMS - 2), max_size=6), max_size=8)


def lists_of(rows: list[list[int]]) -> Lists:
    return Lists.of([[(aid, 0.0) for aid in row] for row in rows])


def means(rows: list[list[int]], k: int, value, least: int = 1) -> list[float]:
    return [value(row[:k]) if len(row[:k]) >= least else 0.0 for row in rows]


@settings(max_examples=100, deadline=None)
@given(FITTED, ROWS, st.integers(1, 5), st.integers(0, 99))
def test_metrics_equal_the_definitions(fitted: list[list[int]], rows: list[list[int]], k: int, seed: int) -> None:
    log, lists = SessionLog.of(fitted, n_items=N_ITEMS), lists_of(rows)
    counts = [sum(aid in row for row in fitted) for aid in range(N_ITEMS)]
    assert session_counts(log).tolist() == counts
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(N_ITEMS, 3)).astype(np.float32)
    vectors[rng.integers(0, N_ITEMS)] = 0
    catalogue = Catalogue.of(log, vectors)

    seen = [aid for aid in range(N_ITEMS) if counts[aid] > 0]

    def popular(aid: int) -> float:
        if counts[aid] == 0:
            return 1.0
        above = sum(counts[other] > counts[aid] for other in seen)
        return (above + (sum(counts[other] == counts[aid] for other in seen) - 1) / 2) / len(seen)

    def cosine(a: int, b: int) -> float:
        lengths = float(np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b]))
        return float(vectors[a] @ vectors[b]) / lengths if lengths else 0.0

    n_head = max(1, round(0.2 * len(seen)))
    head = sorted(seen, key=lambda aid: (-counts[aid], aid))[:n_head]
    expected = {
        "novelty": means(rows, k, lambda row: np.mean([-np.log2(max(counts[a], 1) / max(len(log), 1)) for a in row])),
        "head_share": means(rows, k, lambda row: np.mean([aid in head for aid in row])),
        "popularity_rank": means(rows, k, lambda row: np.mean([popular(aid) for aid in row])),
        "diversity": means(rows, k, lambda row: np.mean([1 - cosine(a, b) for a, b in combinations(row, 2)]), 2),
    }
    for name, values in expected.items():
        found = list_values(name, lists, k, catalogue)
        assert found.hits.tolist() == pytest.approx(values, rel=1e-5, abs=1e-6)
        least = 2 if name == "diversity" else 1
        assert found.denominators.tolist() == [int(len(row[:k]) >= least) for row in rows]
    assert coverage([lists], N_ITEMS, k) == len({aid for row in rows for aid in row[:k]}) / N_ITEMS


@settings(max_examples=60, deadline=None)
@given(ROWS, st.lists(st.sets(st.integers(0, 4), max_size=3), min_size=N_ITEMS, max_size=N_ITEMS))
def test_diversity_by_categories_equals_the_definition(rows: list[list[int]], categories: list[set[int]]) -> None:
    offsets = np.cumsum([0] + [len(one) for one in categories]).astype(np.int64)
    codes = np.array([code for one in categories for code in sorted(one)], np.int32)
    catalogue = Catalogue(1, np.ones(N_ITEMS, np.int64), None, (offsets, codes))

    def unlike(a: int, b: int) -> float:
        both = categories[a] | categories[b]
        return 1 - len(categories[a] & categories[b]) / len(both) if both else 1.0

    expected = means(rows, 9, lambda row: np.mean([unlike(a, b) for a, b in combinations(row, 2)]), 2)
    assert list_values("diversity", lists_of(rows), 9, catalogue).hits.tolist() == pytest.approx(expected)


def test_coverage_is_of_all_lists_together() -> None:
    assert coverage([lists_of([[0, 1]]), lists_of([[1, 2]])], 6, 2) == 0.5
    assert coverage([Lists.empty(1)], 0, 2) is None


def test_diversity_needs_vectors_or_categories() -> None:
    catalogue = Catalogue.of(SessionLog.of([[0]]))
    with pytest.raises(ValueError, match="vectors or categories"):
        list_values("diversity", lists_of([[0]]), 1, catalogue)
    with pytest.raises(ValueError, match="beauty"):
        list_values("beauty", lists_of([[0]]), 1, catalogue)
