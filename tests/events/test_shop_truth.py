"""Replaying a session gives what happened; continuing it gives honest probabilities."""

import numpy as np
import pytest

from events.columns import TARGETS
from events.shop.generate import label_table
from events.shop.settings import ShopSettings
from events.shop.truth import Observer, Truth
from events.shop.walk import Chunk

# A small catalogue, so that the same items come up often enough to be counted.
SETTINGS = ShopSettings(train_sessions=4_000, test_sessions=1_000, n_items=300)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(SETTINGS)


@pytest.fixture(scope="module")
def chunk(truth: Truth) -> Chunk:
    return truth.shop.walk(4_000, 5_000)


def test_replayed_history_is_the_log(truth: Truth, chunk: Chunk) -> None:
    lengths = np.diff(chunk.offsets)
    for s in [*range(20), int(lengths.argmax())]:
        for cut in {1, 2, int(lengths[s]) // 2 + 1, int(lengths[s])}:
            span = slice(chunk.offsets[s] + cut, chunk.offsets[s + 1])
            aids, ts, types = truth.future(4_000 + s, cut)
            assert np.array_equal(aids, chunk.aids[span])
            assert np.array_equal(ts, chunk.ts[span])
            assert np.array_equal(types, chunk.types[span])


def test_other_streams_are_other_futures(truth: Truth, chunk: Chunk) -> None:
    s = int(np.diff(chunk.offsets).argmax())
    futures = {truth.future(4_000 + s, 3, stream)[1].tobytes() for stream in range(30)}
    assert len(futures) > 15


def test_a_cut_beyond_the_end_is_an_error(truth: Truth, chunk: Chunk) -> None:
    length = int(chunk.offsets[1])
    with pytest.raises(ValueError, match="fewer than"):
        truth.future(4_000, length + 1)
    with pytest.raises(ValueError, match="session 4000 has fewer"):
        truth.inclusion(np.array([4_000]), np.array([length + 1]), 5)


def test_same_for_any_number_of_threads(truth: Truth, chunk: Chunk) -> None:
    sessions, cuts = np.arange(4_000, 4_200), truth.shop.cuts(chunk)[:200]
    one, two = (truth.inclusion(sessions, cuts, 20, threads=threads) for threads in (1, 2))
    for target in TARGETS:
        assert np.array_equal(one[target].aids, two[target].aids)
        assert np.array_equal(one[target].scores, two[target].scores)
        assert np.array_equal(one[target].offsets, two[target].offsets)


def test_inclusion_is_the_share_of_futures(truth: Truth) -> None:
    """Against counting the futures one by one."""
    session, cut, wanted = 4_003, 1, 40
    sets: list[list[set[int]]] = []
    stream = 0
    while len(sets) < wanted:
        stream += 1
        aids, _, types = truth.future(session, cut, stream)
        if aids.size:
            sets.append([set(aids[types == 0][:1].tolist()) - {0}, *(set(aids[types == k].tolist()) for k in (1, 2))])
    found = truth.inclusion(np.array([session]), np.array([cut]), wanted, k=1_000, random_cut=False)
    for t, target in enumerate(TARGETS):
        aids, scores = found[target].row(0)
        expected = {aid: sum(aid in one[t] for one in sets) / wanted for one in sets for aid in one[t]}
        assert dict(zip(aids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected)
        assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("oracle", [Truth, Observer])
def test_probabilities_agree_with_what_happened(oracle: type[Truth], chunk: Chunk) -> None:
    """Over 1,000 sessions, expected and actual labels among the own, the best-selling and all other items.

    The groups are known at the cut: groups chosen by the estimated probability itself would select its errors.
    """
    truth = oracle(SETTINGS)
    cuts = truth.shop.cuts(chunk)
    found = truth.inclusion(np.arange(4_000, 5_000), cuts, 200, k=SETTINGS.items)
    labels = label_table(chunk, cuts)
    label_keys = (labels["session"].to_numpy() - 4_000) * 1_000 + labels["aid"].to_numpy()
    visible = np.arange(chunk.aids.size) - np.repeat(chunk.offsets[:-1], np.diff(chunk.offsets))
    visible = visible < np.repeat(cuts, np.diff(chunk.offsets))
    owner = np.repeat(np.arange(1_000), np.diff(chunk.offsets))
    own = np.unique(owner[visible] * 1_000 + chunk.aids[visible])
    sellers = np.argsort(-np.bincount(chunk.aids, minlength=SETTINGS.items))[:40]

    def group(keys: np.ndarray) -> np.ndarray:
        return np.where(np.isin(keys, own), 0, np.where(np.isin(keys % 1_000, sellers), 1, 2))

    for t, target in enumerate(TARGETS):
        lists = found[target]
        keys = np.repeat(np.arange(1_000), lists.lengths) * 1_000 + lists.aids
        actual = label_keys[labels["type"].to_numpy() == t]
        for kind in range(3):
            listed, happened = keys[group(keys) == kind], actual[group(actual) == kind]
            gap = np.bincount(listed // 1_000, weights=lists.scores[group(keys) == kind], minlength=1_000)
            gap -= np.bincount(happened // 1_000, minlength=1_000)
            # The labels of a session go together: the standard error is that of sums over sessions.
            assert abs(gap.sum()) < 3.5 * np.sqrt((gap**2).sum()), (target, kind)
            assert happened.size > 10
