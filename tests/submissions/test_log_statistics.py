"""Counts of a log against plain loops; the page of a log with and without time and types."""

import itertools
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.columns import DAY, HOUR, TARGETS
from events.lists import Lists
from events.log import SessionLog
from submissions.explore_page import percent, render
from submissions.exploring import explore
from submissions.item_map import busiest, covisitation_vectors, k_means, map_vectors
from submissions.log_statistics import GAP_BINS, LONGEST, OUTSIDE, STEPS_PER_OCTAVE, count_log
from tests.submissions.pages import check
from tests.submissions.test_page import EVIL

N = 6
event = st.tuples(st.integers(0, N - 1), st.integers(0, 40 * DAY), st.integers(0, 2))
sessions_of_events = st.lists(st.lists(event, max_size=8), min_size=1, max_size=6)


def log_of(sessions: list, timed: bool = True, typed: bool = True, n_items: int = N) -> SessionLog:
    sessions = [sorted(one, key=lambda event: event[1]) for one in sessions]
    flat = [event for one in sessions for event in one]
    size = len(sessions)
    return SessionLog(
        sessions=np.arange(size),
        groups=np.arange(size),
        offsets=np.cumsum([0, *map(len, sessions)]).astype(np.int64),
        aids=np.array([event[0] for event in flat], np.int32),
        ts=np.array([event[1] for event in flat], np.int32) if timed else None,
        types=np.array([event[2] for event in flat], np.int8) if typed else None,
        n_items=n_items,
    )


@given(sessions_of_events, st.sampled_from([0, -5 * HOUR, 2 * HOUR]))
def test_counts_equal_plain_loops(sessions: list, offset: int) -> None:
    log = log_of(sessions)
    found = count_log(log, offset)
    moves, pairs, held, hours, starts, gaps = (Counter() for _ in range(6))
    revisits = returning = 0
    for s in range(len(log)):
        events = range(log.offsets[s], log.offsets[s + 1])
        aids, types, ts = (
            array[log.offsets[s] : log.offsets[s + 1]].tolist() for array in (log.aids, log.types, log.ts)
        )
        revisits += len(aids) - len(set(aids))
        returning += len(aids) > len(set(aids))
        for aid in set(aids):
            pairs[sum(1 << t for t in {t for a, t in zip(aids, types, strict=True) if a == aid})] += 1
        if len(events):
            held[sum(1 << t for t in set(types))] += 1
            moves.update(zip([OUTSIDE, *types], [*types, OUTSIDE], strict=True))
            starts[(ts[0] + offset) // DAY] += 1
        hours.update(((t + offset) // DAY, (t + offset) % DAY // HOUR) for t in ts)
        for a, b in itertools.pairwise(ts):
            places = [i for i in range(1, GAP_BINS) if (b - a) ** STEPS_PER_OCTAVE >= 2 ** (i - 1)]
            gaps[places[-1] if places else 0] += 1
    assert (found.revisits, found.returning) == (revisits, returning)
    assert found.lengths.tolist() == [Counter(map(len, sessions))[n] for n in range(LONGEST + 1)]
    assert found.items.tolist() == [log.aids.tolist().count(aid) for aid in range(N)]
    assert found.transitions is not None
    assert found.transitions.tolist() == [[moves[a, b] for b in range(4)] for a in range(4)]
    assert found.pairs is not None
    assert found.pairs.tolist() == [pairs[bits] for bits in range(8)]
    assert found.with_types is not None
    assert found.with_types.tolist() == [held[bits] for bits in range(8)]
    if log.n_events == 0:
        assert found.hours is None
        return
    first = found.first_day
    assert first is not None
    assert found.hours is not None
    assert found.starts is not None
    assert found.gaps is not None
    size = found.hours.shape[0]
    assert found.hours.tolist() == [[hours[first + d, h] for h in range(24)] for d in range(size)]
    assert found.starts.tolist() == [starts[first + d] for d in range(size)]
    assert found.gaps.tolist() == [gaps[i] for i in range(GAP_BINS)]


def random_log(seed: int, timed: bool, typed: bool, n: int = 40) -> SessionLog:
    rng = np.random.default_rng(seed)
    sessions = [
        [(int(a), int(t), int(k)) for a, t, k in zip(rng.integers(0, n, 9), rng.integers(0, 9 * DAY, 9),
                                                      rng.integers(0, 3, 9), strict=True)]
        for _ in range(30)
    ]  # fmt: skip
    return log_of(sessions, timed, typed, n)


@pytest.mark.parametrize(("timed", "typed"), [(True, True), (False, True), (True, False), (False, False)])
def test_the_page_says_what_the_log_says_and_what_it_lacks(timed: bool, typed: bool) -> None:
    train, target = random_log(1, timed, typed), random_log(2, timed, typed)
    counts = count_log(train), count_log(target)
    rows = busiest(counts[0].items)
    vectors = np.random.default_rng(0).normal(size=(rows.size, 5)).astype(np.float32)
    names = pl.Series([f"{EVIL}{i}" for i in range(train.n_items)])
    found = explore(*counts, names, map_vectors(vectors, rows))
    text = render(found, EVIL, "vectors", no_map="")
    page = check(text)
    assert "<script" not in text
    assert f"The log of {EVIL}" in page.text
    assert f"{train.n_events:,}" in page.text
    assert ("has no time" in page.text) != timed
    assert ("has no event types" in page.text) != typed
    assert bool(list(page.table("from, %"))) == typed
    assert bool(list(page.table("day"))) == timed
    (drift,) = page.table("", "train", "test")
    again = (
        sum(a.size - np.unique(a).size for a in (train.slice(s, s + 1).aids for s in range(len(train))))
        / train.n_events
    )
    assert {name: ours for name, ours, _ in drift}["events on an item already seen"] == percent(again)
    if typed:
        assert train.types is not None
        shares = {name: float((train.types == code).mean()) for code, name in enumerate(TARGETS)}
        (table,) = page.table("", "% of events")
        assert dict(table) == {name: f"{100 * share:.2f}" for name, share in shares.items()}
    clusters = next(page.table("cluster"))
    assert sum(int(row[1]) for row in clusters) == rows.size
    assert clusters[0][3].startswith(EVIL)


def test_without_a_map_the_page_says_why() -> None:
    counts = count_log(random_log(1, True, True))
    page = check(render(explore(counts, counts, pl.Series(range(40)), None), "x", "", no_map="nothing was fitted"))
    assert "There is no map of the items: nothing was fitted." in page.text
    assert "100 % of the popularity is common" in page.text


def test_an_empty_session_and_a_lone_event_can_be_shown() -> None:
    counts = count_log(log_of([[(1, 5, 0)], []]))
    check(render(explore(counts, counts, pl.Series(range(N)), None), "x", ""))


def test_clusters_are_found_and_named_by_size() -> None:
    rng = np.random.default_rng(0)
    middles = np.eye(3).repeat([50, 30, 10], axis=0)
    found = k_means(middles + 0.05 * rng.normal(size=middles.shape), 3)
    assert found.tolist() == [0] * 50 + [1] * 30 + [2] * 10


def test_the_map_keeps_two_dimensions_apart() -> None:
    vectors = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0]], np.float32)
    found = map_vectors(vectors, np.arange(5))
    assert found is not None
    assert found.rows.tolist() == [0, 1, 2, 3]  # an item without a vector is not on it
    assert found.explained == pytest.approx(1.0)
    distances = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    assert distances[0, 1] == pytest.approx(2.0)
    assert distances[0, 2] == pytest.approx(np.sqrt(2))
    assert map_vectors(vectors[:2], np.arange(2)) is None


def test_items_visited_together_lie_together() -> None:
    """Two groups of items that never meet."""
    rows = [
        [(other, 1.0) for other in range(base, base + 4) if other != aid]
        for base in (0, 4)
        for aid in range(base, base + 4)
    ]
    vectors = covisitation_vectors(Lists.of(rows), np.arange(8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = k_means(unit.astype(np.float64), 2)
    assert len(set(found[:4].tolist())) == len(set(found[4:].tolist())) == 1
    assert found[0] != found[4]
