"""Replaying a session gives what happened; continuing it gives honest probabilities."""

import numpy as np
import pytest

from events.columns import TARGETS
from events.shop.generate import label_table
from events.shop.settings import ShopSettings
from events.shop.truth import Truth
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


def test_probabilities_agree_with_what_happened(truth: Truth, chunk: Chunk) -> None:
    """Calibration over 1,000 sessions: where items are given p, about a share p of them are labels."""
    cuts = truth.shop.cuts(chunk)
    found = truth.inclusion(np.arange(4_000, 5_000), cuts, 200, k=300)
    labels = label_table(chunk, cuts).to_pandas()
    for t, target in enumerate(TARGETS):
        lists = found[target]
        owner = np.repeat(np.arange(4_000, 5_000), lists.lengths)
        actual = labels[labels["type"] == t]
        hit = np.isin(owner * 1_000 + lists.aids, actual["session"].to_numpy() * 1_000 + actual["aid"].to_numpy())
        p = lists.scores.astype(float)
        for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 1.01)):
            inside = (p >= low) & (p < high)
            # Labels of a session go together: four standard errors, with sessions' sums as the unit.
            sums = np.bincount(owner[inside] - 4_000, weights=hit[inside] - p[inside], minlength=1_000)
            assert abs(sums.sum()) < 4 * np.sqrt((sums**2).sum()) + 1, (target, low)
        assert p.sum() > 50
