from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.columns import TARGETS
from events.errors import InputError
from events.split import (
    before,
    cut_again,
    cut_as_given,
    cut_at,
    cut_everywhere,
    cut_last,
    drop_unseen,
    every_position,
    hold_out_by_share,
    hold_out_by_time,
    hold_out_users,
    last_days,
    last_share,
    leave_one_out,
    official,
    random_cuts,
    split_moment,
    users,
    without_last,
)
from tests.events.logs import Session, raw_of, session, sessions_of


@st.composite
def logs(draw: st.DrawFn) -> list[Session]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=12))
    sessions = []
    for number, length in enumerate(lengths):
        times = sorted(draw(st.lists(st.integers(0, 20), min_size=length, max_size=length)))
        events = [(draw(st.integers(0, 8)), time, draw(st.sampled_from(TARGETS))) for time in times]
        sessions.append(session(number * 3, *events))
    return sessions


def slow_hold_out(sessions: list[Session], cut_ms: int) -> tuple[list[Session], list[Session]]:
    """The official script's split, said plainly."""
    train, held = [], []
    for one in sessions:
        if one["events"][0]["ts"] > cut_ms:
            held.append(one)
        else:
            events = [event for event in one["events"] if event["ts"] < cut_ms]
            if len(events) >= 2:
                train.append({**one, "events": events})
    known = {event["aid"] for one in train for event in one["events"]}
    held = [{**one, "events": [e for e in one["events"] if e["aid"] in known]} for one in held]
    return train, [one for one in held if len(one["events"]) >= 2]


@given(sessions=logs(), cut_ms=st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_official_hold_out_equals_the_plain_version(sessions: list[Session], cut_ms: int) -> None:
    train, whole = hold_out_by_time(raw_of(sessions), cut_ms)
    expected_train, expected_whole = slow_hold_out(sessions, cut_ms)
    assert sessions_of(train) == expected_train
    assert sessions_of(drop_unseen(whole, train)) == expected_whole


def test_the_moment_of_the_split() -> None:
    log = raw_of([session(1, (1, 0, "clicks"), (1, 86_400_000 * 3, "clicks")), session(2, (1, 5, "clicks"))])
    assert split_moment(log, 2) == 86_400_000
    assert split_moment(log, 0.5) == 86_400_000 * 2.5


def test_cuts_are_uniform_and_go_by_session_id() -> None:
    sessions = [session(i, *[(0, 0, "clicks")] * 5) for i in range(4000)]
    log = raw_of(sessions)
    cuts = random_cuts(log, seed=3)
    counts = np.bincount(cuts, minlength=5)
    assert counts[0] == 0
    assert counts.size == 5
    assert np.abs(counts[1:] - 1000).max() < 120
    assert not np.array_equal(cuts, random_cuts(log, seed=4))
    part = log.take(np.arange(3, 4000, 7))
    assert np.array_equal(random_cuts(part, seed=3), cuts[3::7])
    pairs = raw_of([session(i, (0, 0, "clicks"), (0, 0, "clicks")) for i in range(50)])
    assert random_cuts(pairs, seed=3).tolist() == [1] * 50


@given(sessions=logs(), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_hidden_does_not_reach_the_visible(sessions: list[Session], seed: int) -> None:
    """Replacing every hidden event changes labels and nothing else."""
    sessions = [one for one in sessions if len(one["events"]) >= 2]
    log = raw_of([*sessions, session(99, *[(aid, 0, "clicks") for aid in range(10)])])
    cuts = random_cuts(log, seed)
    visible = sessions_of(cut_at(log, cuts).visible)
    changed = []
    for one, cut in zip(sessions, cuts, strict=False):
        hidden = [{**event, "aid": 9, "type": "orders"} for event in one["events"][cut:]]
        changed.append({**one, "events": one["events"][:cut] + hidden})
    other = raw_of([*changed, session(99, *[(aid, 0, "clicks") for aid in range(10)])])
    assert np.array_equal(random_cuts(other, seed), cuts)
    assert sessions_of(cut_at(other, cuts).visible) == visible


@given(sessions=logs(), seed=st.integers(0, 3), n=st.integers(1, 6), only_later=st.booleans())
@settings(max_examples=100, deadline=None)
def test_other_cuts_of_the_same_sessions(sessions: list[Session], seed: int, n: int, only_later: bool) -> None:
    whole = raw_of([one for one in sessions if len(one["events"]) >= 2] + [session(99, *[(0, 0, "carts")] * 9)])
    targets = cut_at(whole, random_cuts(whole, seed))
    rows, more = cut_again(targets, n, seed, only_later)
    cuts, scored = more.visible.lengths, targets.visible.lengths
    for s, length in enumerate(whole.lengths):
        mine = cuts[rows == s].tolist()
        possible = [cut for cut in range(1, length) if (cut > scored[s] if only_later else cut != scored[s])]
        assert set(mine) <= set(possible)
        assert len(mine) == len(set(mine)) == min(n, len(possible))
    assert (np.diff(rows * 100 + cuts) > 0).all()
    assert np.array_equal(more.groups, targets.groups[rows])
    plain = cut_at(whole.take(rows), cuts)
    assert sessions_of(more.visible) == sessions_of(plain.visible)
    assert more.labels is not None
    assert plain.labels is not None
    for target, found in more.labels.items():
        assert np.array_equal(found.offsets, plain.labels[target].offsets)
        assert np.array_equal(found.aids, plain.labels[target].aids)
    alone = cut_again(cut_at(whole.take(np.array([0])), scored[:1]), n, seed, only_later)[1]
    assert np.array_equal(alone.visible.lengths, cuts[rows == 0])


def test_other_cuts_are_uniform() -> None:
    whole = raw_of([session(i, *[(0, 0, "clicks")] * 7) for i in range(6000)])
    targets = cut_at(whole, np.full(6000, 2))
    for only_later, possible in ((True, [3, 4, 5, 6]), (False, [1, 3, 4, 5, 6])):
        _, more = cut_again(targets, 2, 3, only_later)
        counts = np.bincount(more.visible.lengths, minlength=7)
        assert counts.sum() == 12_000
        assert np.abs(counts[possible] - 12_000 / len(possible)).max() < 200
    with pytest.raises(ValueError, match="whole sessions are not known"):
        cut_again(replace(targets, whole=None), 1, 0, only_later=True)


@given(sessions=logs())
@settings(max_examples=60, deadline=None)
def test_every_position(sessions: list[Session]) -> None:
    for typed in (True, False):
        targets = cut_everywhere(raw_of(sessions, typed=typed))
        names, visible, groups, clicks = [], [], [], []
        log = raw_of(sessions)
        row_of = {aid: row for row, aid in enumerate(log.items.ids.to_list())}
        number = {one["session"]: i for i, one in enumerate(one for one in sessions if len(one["events"]) > 1)}
        for one in sessions:
            for cut in range(1, len(one["events"])):
                names.append(f"{one['session']}:{cut}")
                visible.append([row_of[event["aid"]] for event in one["events"][:cut]])
                groups.append(number[one["session"]])
                later = [e for e in one["events"][cut:] if not typed or e["type"] == "clicks"]
                clicks.append([row_of[event["aid"]] for event in later[:1]])
        assert targets.several_rows
        assert targets.visible.session_ids.to_list() == names
        offsets = targets.visible.offsets
        assert [targets.visible.aids[a:b].tolist() for a, b in pairwise(offsets)] == visible
        assert targets.groups.tolist() == groups
        assert targets.labels is not None
        assert [targets.labels["clicks"].row(row).tolist() for row in range(len(names))] == clicks


def test_every_position_hides_unseen_items() -> None:
    early = session(1, (1, 0, "clicks"), (2, 0, "clicks"))
    late = session(2, (1, 50, "clicks"), (7, 51, "clicks"), (2, 52, "clicks"), (1, 53, "clicks"))
    split = every_position(raw_of([early, late]), cut_ms=10, share=0.5)
    assert split.targets.visible.session_ids.to_list() == ["2:1", "2:2"]
    assert (len(split.train), split.cut_ms) == (1, 10)


def test_leave_one_out() -> None:
    log = raw_of([session(4, (3, 1, "clicks")), session(5, (3, 1, "clicks"), (4, 2, "carts"), (3, 3, "orders"))])
    split = leave_one_out(log)
    assert sessions_of(split.targets.visible) == [session(5, (3, 1, "clicks"), (4, 2, "carts"))]
    assert sessions_of(split.train) == sessions_of(split.targets.visible)
    assert split.overlap
    assert split.targets.labels is not None
    assert {name: labels.aids.tolist() for name, labels in split.targets.labels.items()} == {
        "clicks": [],
        "carts": [],
        "orders": [0],
    }
    untyped = leave_one_out(raw_of(sessions_of(log), typed=False)).targets.labels
    assert untyped is not None
    assert {name: labels.aids.tolist() for name, labels in untyped.items()} == {"clicks": [0]}
    assert len(without_last(log)) == 1
    assert len(cut_last(log).visible) == 1


def test_last_share_goes_by_time_or_by_id() -> None:
    sessions = [session(i, (1, 1000 - i, "clicks"), (2, 1000 - i, "clicks")) for i in range(25)]
    train, held = hold_out_by_share(raw_of(sessions, timed=False), 0.12)
    assert held.session_ids.to_list() == [22, 23, 24]
    assert len(train) == 22
    assert hold_out_by_share(raw_of(sessions), 0.12)[1].session_ids.to_list() == [0, 1, 2]
    split = last_share(raw_of(sessions, timed=False), 0.12, seed=1)
    assert split.targets.visible.lengths.tolist() == [1, 1, 1]
    assert split.cut_ms is None


def test_official_drops_a_click_on_the_falsy_id_only() -> None:
    early = session(1, (0, 0, "clicks"), (2, 0, "clicks"))
    late = [session(2, (2, 50, "clicks"), (0, 51, "clicks")), session(3, (2, 50, "clicks"), (0, 51, "carts"))]
    split = official(raw_of([early, *late]), cut_ms=10, seed=1)
    assert split.targets.labels is not None
    assert [split.targets.labels["clicks"].row(s).tolist() for s in (0, 1)] == [[], []]
    assert split.targets.labels["carts"].row(1).tolist() == [0]


def test_cuts_from_a_file(tmp_path: Path) -> None:
    log = raw_of([session(i, *[(1, 0, "clicks")] * 4) for i in (5, 6)] + [session(7, (1, 0, "clicks"))])
    path = tmp_path / "cuts.parquet"
    with pytest.raises(InputError, match="no such file"):
        cut_as_given(log, path)
    pl.DataFrame({"session": [6, 5, 1], "cut": [3, 1, 9]}).write_parquet(path)
    targets = cut_as_given(log, path)
    assert targets.visible.session_ids.to_list() == [5, 6]
    assert targets.visible.lengths.tolist() == [1, 3]
    pl.DataFrame({"session": [6], "cut": [3]}).write_parquet(path)
    with pytest.raises(InputError, match="no cut for session 5"):
        cut_as_given(log, path)
    for cut in (0, 5):
        pl.DataFrame({"session": [5, 6], "cut": [1, cut]}).write_parquet(path)
        with pytest.raises(InputError, match=f"cut {cut} of session 6"):
            cut_as_given(log, path)
    pl.DataFrame({"session": [5, 6]}).write_parquet(path)
    with pytest.raises(InputError, match="columns session and cut"):
        cut_as_given(log, path)


def test_a_log_without_its_hidden_events_gives_the_same_visible_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    early = [session(i, *[(int(aid), 1, "clicks") for aid in range(i, i + 5)]) for i in range(20)]
    late = [
        session(100 + i, *[(int(rng.integers(0, 40)), 90 + j, "clicks") for j in range(rng.integers(1, 9))])
        for i in range(60)
    ]
    whole = official(raw_of([*early, *late]), cut_ms=50, seed=2).targets.visible
    pl.DataFrame({"session": whole.session_ids, "cut": whole.lengths}).write_parquet(tmp_path / "cuts.parquet")
    shown = {one["session"]: one for one in sessions_of(whole)}
    assert min(len(one["events"]) for one in shown.values()) == 1
    cut_off = official(raw_of([*early, *shown.values()]), cut_ms=50, seed=9, cuts=tmp_path / "cuts.parquet")
    assert sessions_of(cut_off.targets.visible) == sessions_of(whole)
    assert cut_off.targets.labels is not None
    assert cut_off.targets.labels["clicks"].aids.size == 0


@given(sessions=logs(), until=st.integers(0, 21))
@settings(max_examples=60, deadline=None)
def test_the_log_as_it_was_at_a_moment(sessions: list[Session], until: int) -> None:
    kept = [{**one, "events": [event for event in one["events"] if event["ts"] < until]} for one in sessions]
    assert sessions_of(before(raw_of(sessions), until)) == [one for one in kept if one["events"]]


def test_users_are_held_out_wholly_by_their_ids() -> None:
    sessions = [session(i, *[(i % 7, 0, "clicks")] * 3) for i in range(2_000)]
    log = raw_of(sessions)
    log = replace(log, group_ids=pl.Series(np.arange(2_000) // 4))
    train, whole = hold_out_users(log, 0.25, seed=5)
    assert not set(train.groups) & set(whole.groups)
    assert len(train) + len(whole) == 2_000
    assert len(whole) % 4 == 0
    assert abs(len(whole) - 500) < 90
    other = hold_out_users(log, 0.25, seed=6)[1]
    assert set(other.groups) != set(whole.groups)
    part = log.take(np.arange(1, 2_000, 3))
    assert set(hold_out_users(part, 0.25, seed=5)[1].groups) <= set(whole.groups)
    split = users(log, 0.25, seed=5)
    assert split.targets.several_rows
    assert split.cut_ms is None


@given(sessions=logs(), cut_ms=st.integers(0, 21))
@settings(max_examples=60, deadline=None)
def test_sessions_that_go_on_are_cut_where_the_last_days_begin(sessions: list[Session], cut_ms: int) -> None:
    split = last_days(raw_of(sessions), cut_ms)
    parts = [
        ([e for e in one["events"] if e["ts"] < cut_ms], [e for e in one["events"] if e["ts"] >= cut_ms])
        for one in sessions
    ]
    assert [one["events"] for one in sessions_of(split.train)] == [early for early, _ in parts if early]
    scored = [(early, late) for early, late in parts if early and late]
    assert [one["events"] for one in sessions_of(split.targets.visible)] == [early for early, _ in scored]
    assert split.overlap
    assert split.cut_ms == cut_ms
    assert split.targets.labels is not None
    items = raw_of(sessions).items.ids
    orders = split.targets.labels["orders"]
    for s, (_, late) in enumerate(scored):
        bought = {event["aid"] for event in late if event["type"] == "orders"}
        assert set(items.gather(orders.row(s)).to_list()) == bought
