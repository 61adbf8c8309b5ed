"""Item kNN, session kNN and walks: the contract, and the obvious slow version of each."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from candidates.covisitation import fit_covisitation
from candidates.item_knn import ItemKnn, fit_item_knn
from candidates.pool import Arena
from candidates.session_index import SessionIndex
from candidates.session_knn import SessionKnn
from candidates.settings import CandidatesSettings, ItemKnnSettings, SessionKnnSettings, WalksSettings
from candidates.source import Source
from candidates.source_set import SourceSet
from candidates.walks import Walks
from events.columns import DAY
from events.lists import Lists
from events.log import SessionLog
from tests.candidates.contract import SourceContract, assert_equal
from tests.candidates.random_logs import logs
from tests.candidates.test_sources import Ranked, assert_close, ranked, small_matrices

OWN = {"tail": st.integers(1, 13), "exclude_seen": st.booleans(), "first_power": st.sampled_from([0.1, 0.6])}


class TestItemKnn(SourceContract):
    @pytest.fixture(params=["cosine", "bm25"])
    def make(self, request: pytest.FixtureRequest) -> Callable[[], Source]:
        return lambda: ItemKnn("item_knn", ItemKnnSettings(weighting=request.param, exclude_seen=True), threads=2)


class TestSessionKnn(SourceContract):
    @pytest.fixture(params=[False, True])
    def make(self, request: pytest.FixtureRequest) -> Callable[[], Source]:
        settings = SessionKnnSettings(recent=60, neighbours=20, exclude_seen=request.param)
        return lambda: SessionKnn("session_knn", settings)


class TestWalks(SourceContract):
    @pytest.fixture
    def make(self, matrices: dict[str, Lists]) -> Callable[[], Source]:
        return lambda: Walks("walks", WalksSettings(matrix="clicks", exclude_seen=True), matrices["clicks"])


def last_items(aids: list[int], most: int) -> list[int]:
    """The last different items of a session, in the order of their last events."""
    return list(dict.fromkeys(reversed(aids)))[:most][::-1]


def profile(log: SessionLog, s: int, settings: Any) -> dict[int, float]:
    """The weight of each item of the tail, the latest first."""
    part = log.slice(s, s + 1)
    aids, codes = part.aids[-settings.tail :].tolist(), part.type_codes()[-settings.tail :].tolist()
    powers = np.linspace(settings.first_power, 1, len(aids))
    weights = dict.fromkeys(reversed(aids), 0.0)
    for aid, code, power in reversed(list(zip(aids, codes, powers, strict=True))):
        weights[aid] += (2**power - 1) * settings.type_weights.of(log.has_types)[code]
    return weights


def without(sums: dict[int, float], log: SessionLog, s: int, settings: Any) -> dict[int, float]:
    own = set(log.slice(s, s + 1).aids.tolist()) if settings.exclude_seen else set()
    return {aid: score for aid, score in sums.items() if aid not in own}


# --- the index


@given(logs(n_items=6, has_time=None, max_sessions=8), st.integers(2, 5), st.sampled_from([1, 2, None]), st.randoms())
def test_the_index_equals_the_slow_version(log: SessionLog, most: int, recent: int | None, random: Any) -> None:
    rows = list(range(len(log)))
    random.shuffle(rows)
    index = SessionIndex.of(log.take(np.array(rows, np.int64)), most, recent)
    ends = [(0 if log.ts is None or a == b else int(log.ts[b - 1]), s) for s, (a, b) in enumerate(_ranges(log))]
    items = [last_items(log.slice(s, s + 1).aids.tolist(), most) for s in range(len(log))]
    order = sorted((s for s in range(len(log)) if len(items[s]) > 1), key=lambda s: ends[s], reverse=True)
    assert index.groups.tolist() == order
    assert (index.ends is None) == (log.ts is None)
    if index.ends is not None:
        assert index.ends.tolist() == [ends[s][0] for s in order]
    assert [part.tolist() for part in np.split(index.items, index.offsets[1:-1])] == ([items[s] for s in order] or [[]])
    assert index.counts.tolist() == [sum(x in row for row in items) for x in range(log.n_items)]
    for x in range(log.n_items):
        where = slice(*index.starts[x : x + 2])
        with_x = [r for r, s in enumerate(order) if x in items[s]][:recent]
        assert index.postings[where].tolist() == with_x
        assert index.widths[where].tolist() == [len(items[order[r]]) for r in with_x]


def test_the_index_refuses_sessions_too_long_for_it() -> None:
    with pytest.raises(ValueError, match="127"):
        SessionIndex.of(SessionLog.of([[0]]), 128)


def test_of_an_item_with_many_sessions_the_most_recent_are_kept(big_log: SessionLog, tmp_path: Path) -> None:
    whole, capped = SessionIndex.of(big_log, 20), SessionIndex.of(big_log, 20, recent=30)
    assert np.diff(whole.starts).max() > 60
    for x in range(big_log.n_items):
        first = whole.postings[whole.starts[x] : whole.starts[x + 1]]
        np.testing.assert_array_equal(capped.postings[capped.starts[x] : capped.starts[x + 1]], first[:30])
        assert (np.diff(first) > 0).all()
    assert whole.ends is not None
    assert (np.diff(whole.ends) <= 0).all()
    capped.save(tmp_path)
    loaded = SessionIndex.load(tmp_path)
    for name in SessionIndex.__slots__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(capped, name))


# --- item kNN


def slow_item_knn(log: SessionLog, settings: ItemKnnSettings) -> Ranked:
    """Dense vectors of the items, one number a session."""
    rows = [last_items(log.slice(s, s + 1).aids.tolist(), settings.session_items) for s in range(len(log))]
    vectors = np.zeros((log.n_items, len(log)))
    for s, row in enumerate(rows):
        vectors[row, s] = 1
    n = vectors.sum(axis=1)
    if settings.weighting == "bm25":
        norm = 1 - settings.b + settings.b * n / max(n.mean(), 1e-9)
        idf = np.maximum(np.log(log.n_items) - np.log1p(vectors.sum(axis=0)), 0)
        idf = np.sqrt(np.rint(idf**2 * 2**20) / 2**20)  # sums are exact to this step
        vectors *= idf * ((settings.k1 + 1) / (1 + settings.k1 * norm))[:, None]
    matrix = []
    for x in range(log.n_items):
        sums = {}
        for y in range(log.n_items):
            product = float(vectors[x] @ vectors[y])
            if x != y and product > 0:
                cosine = product / (sqrt(n[x] * n[y]) + settings.shrink)
                sums[y] = cosine if settings.weighting == "cosine" else product
        matrix.append(ranked(sums, settings.top_k))
    return matrix


item_settings = st.builds(
    ItemKnnSettings,
    weighting=st.sampled_from(["cosine", "bm25"]),
    session_items=st.integers(2, 9),
    top_k=st.integers(1, 6),
    shrink=st.sampled_from([0, 3.5]),
    k1=st.sampled_from([0, 1.2, 100]),
    b=st.sampled_from([0, 0.75, 1]),
)


@given(logs(has_time=None, has_types=None, max_sessions=9), item_settings)
def test_item_knn_equals_the_slow_version(log: SessionLog, settings: ItemKnnSettings) -> None:
    near = fit_item_knn(log, settings)
    slow = slow_item_knn(log, settings)
    assert len(near) == len(slow)
    for x, row in enumerate(slow):
        np.testing.assert_allclose(near.row(x)[1], [score for _, score in row], rtol=2e-6)
    assert_equal(fit_item_knn(log, settings, threads=3), near)


def test_item_knn_on_a_larger_log_for_any_threads_and_order(big_log: SessionLog) -> None:
    settings = ItemKnnSettings(weighting="cosine", top_k=10)
    near = fit_item_knn(big_log, settings)
    assert near.lengths.max() == 10
    slow = slow_item_knn(big_log, settings)
    assert_close(near, slow)
    shuffled = big_log.take(np.random.default_rng(0).permutation(len(big_log)))
    assert_equal(fit_item_knn(shuffled, settings, threads=3), near)


def test_item_knn_a_worked_example() -> None:
    log = SessionLog.of([[0, 1], [1, 0, 2], [2, 2], [0]], n_items=4)
    near = fit_item_knn(
        log, ItemKnnSettings(weighting="cosine", shrink=0)
    )  # item 0 is in three sessions, 1 in two, 2 in two
    assert near.row(0)[0].tolist() == [1, 2]
    np.testing.assert_allclose(near.row(0)[1], [2 / sqrt(6), 1 / sqrt(6)], rtol=1e-6)
    assert near.row(3)[0].size == 0
    source = ItemKnn("item_knn", ItemKnnSettings(weighting="cosine", shrink=0, exclude_seen=True)).fit(log)
    assert source.recommend(SessionLog.of([[0, 1]], n_items=4), 5).aids.tolist() == [2]


# --- session kNN


def slow_session_knn(fitted: SessionLog, log_: SessionLog, settings: SessionKnnSettings, k: int) -> Ranked:
    items = [last_items(fitted.slice(s, s + 1).aids.tolist(), settings.session_items) for s in range(len(fitted))]
    ends = [0 if fitted.ts is None or a == b else int(fitted.ts[b - 1]) for a, b in _ranges(fitted)]
    order = sorted((s for s in range(len(fitted)) if len(items[s]) > 1), key=lambda s: (ends[s], s), reverse=True)
    n_with = Counter(x for row in items for x in row)
    found = []
    for s, (_, last) in enumerate(_ranges(log_)):
        weights = profile(log_, s, settings)
        overlap: dict[int, float] = {}
        for x, weight in weights.items():
            for r in [r for r in range(len(order)) if x in items[order[r]]][: settings.recent]:
                idf = log(len(fitted) / n_with[x])
                overlap[r] = overlap.get(r, 0.0) + weight * idf / sqrt(len(items[order[r]]))
        sums: dict[int, float] = {}
        own = last_items(log_.slice(s, s + 1).aids.tolist(), 1_000)
        for r, value in sorted(overlap.items(), key=lambda pair: (-round(pair[1], 12), pair[0]))[: settings.neighbours]:
            if fitted.groups[order[r]] == log_.groups[s]:
                continue
            near = items[order[r]]
            match = near.index(next(x for x in reversed(own) if x in near))
            if log_.ts is not None:
                value *= exp(-abs(int(log_.ts[last - 1]) - ends[order[r]]) / (settings.decay_days * DAY))
            for place, y in enumerate(near):
                sums[y] = sums.get(y, 0.0) + value * exp(-abs(place - match) / settings.decay_items)
        found.append(ranked(without(sums, log_, s, settings), k))
    return found


def _ranges(log_: SessionLog) -> list[tuple[int, int]]:
    return list(zip(log_.offsets[:-1].tolist(), log_.offsets[1:].tolist(), strict=True))


session_settings = st.builds(
    SessionKnnSettings,
    session_items=st.integers(2, 6),
    recent=st.integers(1, 4),
    neighbours=st.integers(1, 4),
    decay_days=st.sampled_from([20 / DAY, 30]),
    decay_items=st.sampled_from([1, 10]),
    **OWN,
)


@given(logs(has_types=None, max_sessions=9), session_settings, st.integers(1, 8))
def test_session_knn_equals_the_slow_version(log_: SessionLog, settings: SessionKnnSettings, k: int) -> None:
    source = SessionKnn("session_knn", settings).fit(log_)
    assert_close(source.recommend(log_, k), slow_session_knn(log_, log_, settings, k))


def test_session_knn_on_a_larger_log(big_log: SessionLog) -> None:
    settings = SessionKnnSettings(recent=40, neighbours=15, session_items=8)
    fitted = big_log.slice(0, 600)
    for log_ in (big_log.slice(300, 340), replace(big_log.slice(900, 940), ts=None)):
        lists = SessionKnn("session_knn", settings).fit(fitted).recommend(log_, 20)
        assert_close(lists, slow_session_knn(fitted, log_, settings, 20))


def test_a_session_is_never_its_own_neighbour() -> None:
    log_ = SessionLog.of([[0, 1], [2, 3], [0, 5]], n_items=6)
    source = SessionKnn("session_knn").fit(log_)
    assert source.recommend(log_, 5).row(1)[0].size == 0
    assert 1 not in source.recommend(log_, 5).row(0)[0][:1].tolist()  # 0 and 5 come from the only other session
    assert set(source.recommend(log_, 5).row(0)[0].tolist()) == {0, 5}
    cuts = replace(log_, groups=np.array([7, 7, 7]))  # three cuts of one session
    assert SessionKnn("session_knn").fit(cuts).recommend(cuts, 5).aids.size == 0


def test_without_time_the_later_rows_are_the_more_recent() -> None:
    log_ = SessionLog.of([[0, 1], [0, 2], [3, 4]], n_items=5)
    settings = SessionKnnSettings(recent=1, exclude_seen=True)
    asked = replace(SessionLog.of([[0]], n_items=5), groups=np.array([9]))
    assert SessionKnn("s", settings).fit(log_).recommend(asked, 5).aids.tolist() == [2]
    timed = replace(log_, ts=np.array([10, 11, 1, 2, 5, 6], np.int32))
    asked = replace(asked, ts=np.array([20], np.int32))
    assert SessionKnn("s", settings).fit(timed).recommend(asked, 5).aids.tolist() == [1]


def test_session_knn_must_be_fitted_first() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        SessionKnn().recommend(SessionLog.of([[0]]), 5)


# --- walks


def slow_walks(log_: SessionLog, matrix: Lists, settings: WalksSettings, k: int) -> Ranked:
    def step(chances: dict[int, float]) -> dict[int, float]:
        after: dict[int, float] = {}
        for x, chance in chances.items():
            near, scores = matrix.row(x)
            for y, score in zip(near.tolist(), scores.tolist(), strict=True):
                after[y] = after.get(y, 0.0) + chance * score / float(scores.sum(dtype=np.float64))
        return after

    found = []
    for s in range(len(log_)):
        weights = profile(log_, s, settings)
        start = {x: weight / sum(weights.values()) for x, weight in weights.items()}
        ends = step(dict(ranked(step(start), settings.frontier)))
        found.append(ranked(without(ends, log_, s, settings), k))
    return found


@given(
    logs(has_types=None),
    small_matrices(),
    st.builds(WalksSettings, matrix=st.just("m"), frontier=st.integers(1, 9), **OWN),
    st.integers(1, 8),
)
def test_walks_equal_the_slow_version(log_: SessionLog, matrix: Lists, settings: WalksSettings, k: int) -> None:
    if settings.frontier < 8:  # sums of floats may differ in the last bit, and then another one of equals walks on
        matrix = Lists(matrix.offsets, matrix.aids, matrix.scores + np.linspace(0.2, 0, matrix.aids.size, dtype="f4"))
    assert_close(Walks("walks", settings, matrix).fit(log_).recommend(log_, k), slow_walks(log_, matrix, settings, k))


def test_walks_a_worked_example() -> None:
    matrix = Lists.of([[(1, 3.0), (2, 1.0)], [(3, 2.0)], [(0, 1.0), (3, 1.0)], []])
    lists = Walks("walks", WalksSettings(matrix="m"), matrix).recommend(SessionLog.of([[0]], n_items=4), 5)
    assert lists.aids.tolist() == [3, 0]
    np.testing.assert_allclose(lists.scores, [3 / 4 + 1 / 8, 1 / 8])
    weightless = WalksSettings(matrix="m", first_power=0)
    assert Walks("walks", weightless, matrix).recommend(SessionLog.of([[0]], n_items=4), 5).scores.tolist() == [0, 0]
    with pytest.raises(ValueError, match="4 items"):
        Walks("walks", WalksSettings(matrix="m"), matrix).fit(SessionLog.of([[0]], n_items=5))


# --- in a run


def test_they_are_sources_of_a_config(big_log: SessionLog, matrices: dict[str, Lists], tmp_path: Path) -> None:
    given_ = {"items": {"kind": "item_knn"}, "sessions": {"kind": "session_knn", "k": 7}}
    given_ |= {"far": {"kind": "walks", "matrix": "next"}}
    settings = CandidatesSettings.model_validate({"sources": given_})
    assert CandidatesSettings.model_validate(settings.model_dump(mode="json")) == settings
    sources = SourceSet.of(settings, big_log.has, threads=2).fit(big_log, matrices)
    whole = sources.pool(big_log, Arena())
    assert whole.names[-3:] == ("items", "sessions", "far")
    assert (whole.ranks[-3:].max(axis=1) > 5).all()
    sources.save(tmp_path)
    loaded = SourceSet.of(settings, big_log.has).load(tmp_path, matrices)
    np.testing.assert_array_equal(loaded.pool(big_log, Arena()).scores, whole.scores)


def test_a_shop_without_time_and_types_has_both_kinds_of_neighbours() -> None:
    log_ = SessionLog.of([[0, 1, 2], [1, 2]], n_items=3)
    given_ = {"items": {"kind": "item_knn"}, "sessions": {"kind": "session_knn"}}
    settings = CandidatesSettings.model_validate({"sources": given_ | {"far": {"kind": "walks", "matrix": "clicks"}}})
    sources = SourceSet.of(settings, log_.has)
    assert sources.left_out["far"] == "there is no matrix clicks, because the shop has no time"
    sources.fit(log_, fit_covisitation(log_, {}))
    assert {"items", "sessions"} <= set(sources.lists(log_))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"kind": "walks", "matrix": "absent"}, "no recipe makes"),
        ({"kind": "item_knn", "weighting": "tfidf"}, "weighting"),
        ({"kind": "item_knn", "session_items": 128}, "session_items"),
        ({"kind": "session_knn", "decay_days": 0}, "decay_days"),
    ],
)
def test_settings_refuse_what_makes_no_sense(source: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CandidatesSettings.model_validate({"sources": {"x": source}})
