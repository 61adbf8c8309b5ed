"""Planted leaks are found, and no split of ours has one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.leakage import check_pass, check_split
from events.log import SessionLog
from events.passes import PassData
from events.raw import RawLog
from events.split import Split, every_position, last_share, leave_one_out, official, users
from tests.events.logs import Session, raw_of, session
from tests.events.test_split import logs

PATH = Path("log.parquet")


def splits_of(log: RawLog) -> list[Split]:
    return [
        official(log, 10, 1),
        every_position(log, 10, 0.3),
        last_share(log, 0.3, 2),
        users(log, 0.4, 3),
        leave_one_out(log),
    ]


@given(sessions=logs(), typed=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_split_leaks(sessions: list[Session], typed: bool) -> None:
    log = raw_of(sessions, typed=typed)
    for split in splits_of(log):
        check_split(split, log, "validation", PATH)


@pytest.fixture
def log() -> RawLog:
    """Sessions of five different items, so that every hidden event is new."""
    names = ["clicks", "carts", "clicks", "orders", "clicks"]
    early = [session(i, *[(j, i + j, name) for j, name in enumerate(names)]) for i in range(20)]
    late = [session(100 + i, *[(j, 100 + i + j, name) for j, name in enumerate(names)]) for i in range(20)]
    return raw_of([*early, *late])


def refused(split: Split, log: RawLog, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_split(split, log, "validation", PATH)


def test_hidden_events_among_the_visible_are_found(log: RawLog) -> None:
    for split in splits_of(log):
        visible = split.targets.visible
        names = visible.session_ids.cast(str).str.replace(r":\d+$", "").cast(int)
        whole = log.take(np.searchsorted(log.session_ids.to_numpy(), names.to_numpy()))
        ending = whole.take(np.arange(len(whole)), whole.offsets[:-1], whole.offsets[:-1] + visible.lengths + 1)
        leaky = replace(ending, session_ids=visible.session_ids, group_ids=visible.group_ids)
        refused(
            replace(split, targets=replace(split.targets, visible=leaky)), log, "hidden event of session .* visible"
        )


def test_hidden_events_in_the_train_sessions_are_found(log: RawLog) -> None:
    refused(replace(leave_one_out(log), train=log), log, "among the train events")
    refused(replace(users(log, 0.4, 3), train=log), log, "trained on and a target")
    split = official(log, 60, 1)
    refused(replace(split, train=log), log, "train session 100 lies at or after the cut")


def stored(**changes: Any) -> PassData:
    log = SessionLog.of([[0, 1], [1]], [[5, 9], [12]], n_items=2)
    data = PassData(
        "validation", log, 1, None, raw_of([session(1, (1, 1, "clicks"))]).session_ids, 10_000, False, False, ()
    )
    return replace(data, **changes)


def test_a_stored_pass_with_a_train_event_after_the_cut_is_refused() -> None:
    check_pass(stored(), PATH)
    check_pass(stored(fit_until_ms=9_001), PATH)
    with pytest.raises(InputError, match=r"1970-01-01T00:00:09.* lies at or after the cut, 1970-01-01T00:00:09"):
        check_pass(stored(fit_until_ms=9_000), PATH)
    with pytest.raises(InputError, match="one shows the labels of another"):
        check_pass(stored(transductive=True, several_rows=True), PATH)
