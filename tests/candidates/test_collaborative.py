"""Item-item and user-user collaborative filtering: the contract, and NumPy's own correlation as the slow version."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.item_cf import ItemCf, fit_item_cf
from candidates.settings import CandidatesSettings, ItemCfSettings, UserCfSettings
from candidates.source import Source
from candidates.source_set import SourceSet
from candidates.user_cf import UserCf
from events.log import SessionLog
from tests.candidates.contract import SourceContract, assert_equal
from tests.candidates.random_logs import logs
from tests.candidates.test_nearest import last_items
from tests.candidates.test_sources import Ranked, assert_close, ranked

SIMILARITY = st.sampled_from(["cosine", "pearson"])


class TestItemCf(SourceContract):
    @pytest.fixture(params=["cosine", "pearson"])
    def make(self, request: pytest.FixtureRequest) -> Callable[[], Source]:
        return lambda: ItemCf("item_cf", ItemCfSettings(similarity=request.param, exclude_seen=True), threads=2)


class TestUserCf(SourceContract):
    @pytest.fixture(params=["cosine", "pearson"])
    def make(self, request: pytest.FixtureRequest) -> Callable[[], Source]:
        return lambda: UserCf("user_cf", UserCfSettings(similarity=request.param, recent=60, neighbours=30))


def alike(a: np.ndarray, b: np.ndarray, similarity: str) -> float:
    """NumPy's own, 0 where it is not defined."""
    if similarity == "cosine":
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) if a.any() and b.any() else 0.0
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def vectors_of(log: SessionLog, most: int) -> np.ndarray:
    """float64[S, n_items] of 0 and 1."""
    out = np.zeros((len(log), log.n_items))
    for s in range(len(log)):
        out[s, last_items(log.slice(s, s + 1).aids.tolist(), most)] = 1
    return out


def slow_item_cf(fitted: SessionLog, log: SessionLog, settings: ItemCfSettings, k: int) -> Ranked:
    vectors = vectors_of(fitted, settings.session_items)
    near = []
    for x in range(log.n_items):
        sums = {}
        for y in range(log.n_items):
            value = alike(vectors[:, x], vectors[:, y], settings.similarity) if len(fitted) else 0.0
            if x != y and value > 1e-9 and vectors[:, x] @ vectors[:, y] > 0:
                sums[y] = value
        near.append(ranked(sums, settings.top_k))
    rows = []
    for s in range(len(log)):
        own = log.slice(s, s + 1).aids.tolist()
        sums = {}
        for x in last_items(own, settings.session_items):
            for y, value in near[x]:
                sums[y] = sums.get(y, 0.0) + value
        rows.append(ranked({y: v for y, v in sums.items() if not (settings.exclude_seen and y in own)}, k))
    return rows


def slow_user_cf(fitted: SessionLog, log: SessionLog, settings: UserCfSettings, k: int) -> Ranked:
    """Sessions are as recent as their rows are high; every session is looked at; groups are rows here."""
    vectors, asked = vectors_of(fitted, settings.session_items), vectors_of(log, settings.session_items)
    rows = []
    for s in range(len(log)):
        own = log.slice(s, s + 1).aids.tolist()
        near = []
        for r in range(len(fitted)):
            value = alike(asked[s], vectors[r], settings.similarity)
            if vectors[r].sum() > 1 and asked[s] @ vectors[r] > 0 and value > 1e-9:
                near.append((round(value, 12), r))
        near.sort(reverse=True)
        sums: dict[int, float] = {}
        for value, r in near[: settings.neighbours]:
            if fitted.groups[r] != log.groups[s]:
                for y in np.flatnonzero(vectors[r]).tolist():
                    sums[y] = sums.get(y, 0.0) + value
        rows.append(ranked({y: v for y, v in sums.items() if not (settings.exclude_seen and y in own)}, k))
    return rows


@settings(max_examples=80, deadline=None)
@given(logs(has_time=None, max_sessions=9), logs(has_time=None), SIMILARITY, st.integers(2, 9), st.booleans())
def test_item_cf_equals_the_slow_version(
    fitted: SessionLog, log: SessionLog, similarity: str, most: int, exclude_seen: bool
) -> None:
    chosen = ItemCfSettings(similarity=similarity, session_items=most, top_k=20, exclude_seen=exclude_seen)
    assert_close(ItemCf("x", chosen).fit(fitted).recommend(log, 4), slow_item_cf(fitted, log, chosen, 4))


@settings(max_examples=80, deadline=None)
@given(logs(has_time=False, max_sessions=9), logs(has_time=False), SIMILARITY, st.integers(2, 9), st.booleans())
def test_user_cf_equals_the_slow_version(
    fitted: SessionLog, log: SessionLog, similarity: str, most: int, exclude_seen: bool
) -> None:
    chosen = UserCfSettings(similarity=similarity, session_items=most, neighbours=20, exclude_seen=exclude_seen)
    assert_close(UserCf("x", chosen).fit(fitted).recommend(log, 4), slow_user_cf(fitted, log, chosen, 4))


def test_the_most_similar_users_are_kept() -> None:
    fitted = SessionLog.of([[0, 1], [0, 1, 2], [0, 3, 4, 5, 6], [0, 7]], n_items=9)
    log = SessionLog.of([[], [], [], [], [0, 1]], n_items=9).slice(4, 5)
    lists = UserCf("x", UserCfSettings(neighbours=2, exclude_seen=True)).fit(fitted).recommend(log, 9)
    assert lists.aids.tolist() == [2]  # the two nearest are the first two sessions
    lists = UserCf("x", UserCfSettings(neighbours=3, exclude_seen=True)).fit(fitted).recommend(log, 9)
    assert lists.aids.tolist() == [2, 7]


def test_item_cf_is_the_same_for_any_threads(big_log: SessionLog) -> None:
    chosen = ItemCfSettings(similarity="pearson", top_k=10)
    assert_equal(fit_item_cf(big_log, chosen, threads=3), fit_item_cf(big_log, chosen))


def test_a_config_names_them_as_sources(big_log: SessionLog) -> None:
    sources = {"a": {"kind": "item_cf", "similarity": "pearson"}, "b": {"kind": "user_cf", "k": 5}}
    chosen = CandidatesSettings.model_validate({"defaults": False, "sources": sources})
    fitted = SourceSet.of(chosen, big_log.has).fit(big_log, {})
    lists = fitted.lists(big_log.slice(0, 30))
    assert set(lists) == {"a", "b"}
    assert lists["b"].lengths.max() == 5
