"""The source of knowledge keeps the contract, equals the obvious slow version, and finds items without events."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.knowledge import SEEN, KnowledgeSource, knowledge_vectors, signs
from candidates.settings import CandidatesSettings, KnowledgeSourceSettings
from candidates.source import Source
from candidates.source_set import SourceSet
from events.knowledge.fitted import Knowledge
from events.log import SessionLog
from models.index_settings import IndexSettings
from tests.candidates.contract import SourceContract

PLAIN = KnowledgeSourceSettings()


def random_knowledge(n: int, seed: int) -> Knowledge:
    rng = np.random.default_rng(seed)
    space = rng.normal(size=(n, 6))
    space[rng.random(n) < 0.1] = 0
    lengths = np.sqrt((space**2).sum(axis=1, keepdims=True))
    return Knowledge(
        fitted=np.arange(n) < n - 5,
        cold=np.arange(n) >= n - 5,
        leaf=rng.integers(-1, 12, n).astype(np.int32),
        parent=rng.integers(-1, 4, n).astype(np.int32),
        brand=rng.integers(-1, 9, n).astype(np.int32),
        age=rng.choice([np.nan, 0, 3, 400], n).astype(np.float32),
        spaces={"text": (space / np.maximum(lengths, 1e-9)).astype(np.float32)},
    )


class TestKnowledge(SourceContract):
    @pytest.fixture(params=["exact", "seen", "index"])
    def make(self, request: pytest.FixtureRequest, big_log: SessionLog) -> Callable[[], Source]:
        index = IndexSettings(exact_up_to=0) if request.param == "index" else IndexSettings()
        chosen = KnowledgeSourceSettings(exclude_seen=request.param != "seen", index=index)
        knowledge = random_knowledge(big_log.n_items, 3)
        return lambda: KnowledgeSource("knowledge", chosen, knowledge)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), seen=st.booleans(), only=st.sampled_from(["all", "cold"]))
def test_the_obvious_slow_version(seed: int, seen: bool, only: str) -> None:
    rng = np.random.default_rng(seed)
    log = SessionLog.of([rng.integers(0, 25, rng.integers(0, 9)).tolist() for _ in range(12)], n_items=30)
    knowledge = random_knowledge(30, seed)
    chosen = KnowledgeSourceSettings(exclude_seen=not seen, items=only, tail=3, half_life=1.5)
    found = KnowledgeSource("knowledge", chosen, knowledge).fit(log).recommend(log, 7)
    vectors = knowledge_vectors(knowledge, chosen).astype(np.float64)
    with_events = set(log.aids.tolist())
    for s in range(len(log)):
        own = log.aids[log.offsets[s] : log.offsets[s + 1]].tolist()
        total, weights = np.zeros(vectors.shape[1] - 1), 0.0
        for ago, aid in enumerate(reversed(own[-3:])):
            if vectors[aid, :-1].any():
                total += 2.0 ** (-ago / 1.5) * vectors[aid, :-1]
                weights += 2.0 ** (-ago / 1.5)
        wanted = {}
        for aid in range(30):
            allowed = (aid in with_events and only == "all") or knowledge.cold[aid]
            if weights and allowed and vectors[aid, :-1].any() and (seen or aid not in own):
                wanted[aid] = float(total @ vectors[aid, :-1]) / weights + vectors[aid, -1]
        best = sorted(wanted.values(), reverse=True)[:7]
        aids, scores = found.row(s)
        np.testing.assert_allclose(scores, best, atol=1e-5)
        np.testing.assert_allclose([wanted[int(aid)] for aid in aids], scores, atol=1e-5)
        assert (scores > SEEN / 2).all()


def planted(n_sorts: int = 20, each: int = 10) -> tuple[SessionLog, Knowledge]:
    """Sessions within a category; the last two items of each category have no event."""
    rng = np.random.default_rng(1)
    rows = [(int(sort) * each + rng.integers(0, each - 2, 4)).tolist() for sort in rng.integers(0, n_sorts, 200)]
    n = n_sorts * each
    leaf, cold = (np.arange(n) // each).astype(np.int32), np.arange(n) % each >= each - 2
    return SessionLog.of(rows, n_items=n), Knowledge(fitted=~cold, cold=cold, leaf=leaf)


def test_cold_items_are_found_and_noise_finds_none() -> None:
    log, knowledge = planted()
    cold_ones = KnowledgeSourceSettings(items="cold")
    sort = log.aids[log.offsets[:-1]] // 10
    shares = []
    for leaf in (knowledge.leaf, np.random.default_rng(5).permutation(knowledge.leaf)):
        source = KnowledgeSource("knowledge", cold_ones, replace(knowledge, leaf=leaf)).fit(log)
        lists = source.recommend(log, 2)
        assert (lists.aids % 10 >= 8).all()
        shares.append(float(np.mean(lists.aids.reshape(-1, 2) // 10 == sort[:, None])))
    assert shares[0] == 1.0
    assert shares[1] < 0.3
    without = replace(knowledge, cold=np.zeros_like(knowledge.cold))
    lists = KnowledgeSource("knowledge", PLAIN, without).fit(log).recommend(log, 20)
    assert (lists.aids % 10 < 8).all()


def test_the_newer_of_like_items_comes_first() -> None:
    log = SessionLog.of([[0]], n_items=4)
    leaf = np.zeros(4, np.int32)
    age = np.array([1, 400, 2, np.nan], np.float32)
    knowledge = Knowledge(fitted=np.arange(4) < 1, cold=np.arange(4) > 0, leaf=leaf, age=age)
    assert KnowledgeSource("knowledge", PLAIN, knowledge).fit(log).recommend(log, 3).aids.tolist() == [2, 1, 3]


def test_every_weight_changes_the_vectors() -> None:
    knowledge = random_knowledge(20, 1)
    knowledge = replace(knowledge, spaces={**knowledge.spaces, "image": signs(np.arange(20, dtype=np.int32), 5)})
    plain = knowledge_vectors(knowledge, PLAIN)
    for key in ("category", "brand", "text", "vectors"):
        other = knowledge_vectors(knowledge, KnowledgeSourceSettings(**{key: 3.0}))
        assert not np.array_equal(plain, other)


def test_a_set_has_it_by_one_line_and_says_when_it_cannot() -> None:
    log, knowledge = planted()
    chosen = CandidatesSettings.model_validate({"defaults": False, "sources": {"like": {"kind": "knowledge"}}})
    sources = SourceSet.of(chosen, log.has, knowledge=knowledge).fit(log, {})
    assert sources.lists(log)["like"].aids.size
    assert "like" in SourceSet.of(chosen, log.has).left_out
    nothing = Knowledge(fitted=knowledge.fitted, cold=knowledge.cold, price=np.ones(knowledge.n_items, np.float32))
    assert "no category" in SourceSet.of(chosen, log.has, knowledge=nothing).left_out["like"]
    cold = CandidatesSettings.model_validate(
        {"defaults": False, "sources": {"like": {"kind": "knowledge", "items": "cold"}}}
    )
    warm = replace(knowledge, cold=np.zeros_like(knowledge.cold))
    assert "knowledge.cold" in SourceSet.of(cold, log.has, knowledge=warm).left_out["like"]
    with pytest.raises(ValueError, match="items are known"):
        KnowledgeSource("knowledge", PLAIN, knowledge).fit(SessionLog.of([[0]]))
