"""Training batches: windows, plan, padding, positives against the obvious way."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.log import SessionLog
from models.batches import GAP_BUCKETS, PositiveRule, TrainingBatches, Windows, make_batch, plan_epoch
from tests.candidates.random_logs import logs


@settings(max_examples=60, deadline=None)
@given(log=logs(), length=st.integers(1, 5))
def test_windows_read_every_event_but_the_last_once(log: SessionLog, length: int):
    windows = Windows.of(log, length)
    read = [
        event for start, size in zip(windows.starts, windows.sizes, strict=True) for event in range(start, start + size)
    ]
    expected = [e for s in range(len(log)) for e in range(log.offsets[s], log.offsets[s + 1] - 1)]
    assert sorted(read) == expected
    assert all(1 <= size <= length for size in windows.sizes)
    owner = log.owner()
    assert all(log.offsets[owner[start] + 1] == end for start, end in zip(windows.starts, windows.ends, strict=True))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), max_size=200), tokens=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_plan_has_every_window_once_in_batches_within_their_bound(sizes: list[int], tokens: int, seed: int):
    n = len(sizes)
    windows = Windows(np.zeros(n, np.int64), np.array(sizes, np.int64), np.zeros(n, np.int64))
    order, bounds = plan_epoch(windows, tokens, seed)
    assert sorted(order.tolist()) == list(range(n))
    assert bounds[0] == 0
    assert bounds[-1] == n
    for first, last in pairwise(bounds.tolist()):
        batch = windows.sizes[order[first:last]]
        assert batch.size == 1 or batch.size * batch.max() <= tokens


@settings(max_examples=80, deadline=None)
@given(log=logs(has_time=None, has_types=None), horizon=st.integers(1, 3), seed=st.integers(0, 99))
def test_batches_hold_the_events_and_a_positive_that_comes_later(log: SessionLog, horizon: int, seed: int):
    windows = Windows.of(log, 4)
    if not len(windows):
        return
    rule = PositiveRule(horizon=horizon)
    batch = make_batch(log, windows, np.arange(len(windows)), rule, seed)
    width = batch.items.shape[1]
    types = log.type_codes()
    has_one = set(batch.places.tolist())
    for b in range(len(windows)):
        start, end = windows.starts[b], windows.ends[b]
        for t in range(batch.lengths[b]):
            event = start + t
            assert batch.items[b, t] == log.aids[event]
            assert batch.types[b, t] == types[event]
            gap = 0 if log.ts is None or t == 0 else int(log.ts[event] - log.ts[event - 1])
            assert batch.gaps[b, t] == min(max(gap, 1).bit_length() - 1, GAP_BUCKETS - 1)
            # Some event follows every read event, so there is always something to predict.
            assert b * width + t in has_one
    for place, target, positive in zip(batch.places, batch.targets, batch.positives, strict=True):
        event, end = windows.starts[place // width] + place % width, windows.ends[place // width]
        later = [int(log.aids[e]) for e in range(event + 1, end) if types[e] == target]
        assert positive in (later[:horizon] if target == 0 else later)


def test_targets_and_positives_are_drawn_as_the_rule_says():
    log = SessionLog.of([[0, 1, 2, 3, 4, 5]] * 1, types=[[0, 0, 0, 1, 1, 2]])
    rule = PositiveRule(target_weights=(1.0, 2.0, 1.0), horizon=2, decay=0.5)
    windows = Windows(np.zeros(20_000, np.int64), np.ones(20_000, np.int64), np.full(20_000, 6))
    drawn = [make_batch(log, windows, np.arange(1), rule, seed) for seed in range(4_000)]
    positives = np.bincount([batch.positives[0] for batch in drawn], minlength=6) / len(drawn)
    expected = [0.0, 0.25 * 2 / 3, 0.25 / 3, 0.25, 0.25, 0.25]
    np.testing.assert_allclose(positives, expected, atol=0.03)


def test_a_target_of_no_weight_is_never_drawn():
    log = SessionLog.of([[0, 1, 2]], types=[[0, 1, 2]])
    batch = make_batch(log, Windows.of(log, 5), np.arange(1), PositiveRule(target_weights=(1.0, 0.0, 1.0)), 3)
    assert batch.targets.tolist() == [2, 2]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_share_the_batches_and_skipping_goes_on_where_it_was(parts: int):
    log = SessionLog.of([[1, 2, 3, 4], [5, 6], [7, 8, 9], [1, 3], [2, 9, 4]] * 20)
    made = [TrainingBatches(log, 3, 12, PositiveRule(), 5, part, parts) for part in range(parts)]
    whole = [list(one.epoch(2)) for one in made]
    assert len({len(batches) for batches in whole}) == 1
    assert all(batches[-1][1] == 1.0 for batches in whole)
    rest = list(made[0].epoch(2, skip=3))
    for (a, _), (b, _) in zip(whole[0][3:], rest, strict=True):
        np.testing.assert_array_equal(a.items, b.items)
        np.testing.assert_array_equal(a.positives, b.positives)
    if parts == 1:
        assert sum(int(batch.lengths.sum()) for batch, _ in whole[0]) == sum(n - 1 for n in log.lengths)
