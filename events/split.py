"""Holding sessions out, cutting them, and the labels behind the cut.

Two steps that combine freely: :func:`hold_out_by_time` or :func:`hold_out_by_share` divides a log into train sessions
and whole sessions; ``cut_*`` turns whole sessions into targets, the visible part with its labels.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import SESSION
from events.compiled import kernel
from events.errors import InputError
from events.hashing import hash_ids
from events.index import IdIndex
from events.labels import UNKNOWN, Labels, labels_after
from events.randomness import below, mix, uniform, uniforms
from events.raw import RawLog

DAY_MS = 86_400_000
CUT_STREAM = 1
"""Keeps the draws of the cuts apart from other uses of the seed."""
USERS_STREAM = 3
"""Likewise those of the users that are held out."""
MORE_CUTS_STREAM = 4
"""Likewise those of the cuts that are only trained on."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Sessions to recommend for.

    visible      : the events before each row's cut; ``session_ids`` are the names of the rows
    groups       : int64[n] original session of each row, numbered from 0
    labels       : what came after the cut, ``None`` if it is not known
    several_rows : whether an original session has several rows
    whole        : the sessions before they were cut, one a row; ``None`` if that is not known
    falsy        : the item whose next click gave no label, see ``labels_after``
    """

    visible: RawLog
    groups: npt.NDArray[np.int64]
    labels: Labels | None
    several_rows: bool
    whole: RawLog | None = None
    falsy: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class Split:
    """Train sessions and targets.

    cut_ms  : the moment that divides them, ``None`` where time does not
    overlap : whether the targets' visible events are in the train sessions already
    """

    train: RawLog
    targets: Targets
    cut_ms: int | None
    overlap: bool = False


def split_moment(log: RawLog, days: float) -> int:
    """Unix milliseconds of the moment ``days`` before the log's last event."""
    if log.ts is None:
        raise ValueError("a log without time has no split moment")
    return int(log.ts.max()) - int(days * DAY_MS)


def hold_out_by_time(log: RawLog, cut_ms: int, min_events: int = 2) -> tuple[RawLog, RawLog]:
    """Train and whole held-out sessions, as the official OTTO script divides them.

    Sessions that start after ``cut_ms`` are held out. Earlier ones keep their events before ``cut_ms`` and are dropped
    when fewer than ``min_events`` remain. Source: otto-de/recsys-dataset, the test set script.
    """
    if log.ts is None:
        raise ValueError("a log without time cannot be split by time")
    stops = _stops_before(log.offsets, log.ts, cut_ms)
    held = np.zeros(len(log), np.bool_)
    filled = np.flatnonzero(log.lengths > 0)
    held[filled] = log.ts[log.offsets[:-1][filled]] > cut_ms
    rows = np.flatnonzero(~held & (stops - log.offsets[:-1] >= min_events))
    return log.take(rows, log.offsets[rows], stops[rows]), log.take(np.flatnonzero(held))


def hold_out_by_share(log: RawLog, share: float, min_events: int = 2) -> tuple[RawLog, RawLog]:
    """Train and whole held-out sessions: the last ``share`` of them, by start where the log has time, else by id."""
    order = np.arange(len(log))
    if log.ts is not None:
        order = np.argsort(log.ts[log.offsets[:-1]], kind="stable")
    n_held = max(1, int(len(log) * share))
    held = np.zeros(len(log), np.bool_)
    held[order[len(log) - n_held :]] = True
    rows = np.flatnonzero(~held & (log.lengths >= min_events))
    return log.take(rows), log.take(np.flatnonzero(held))


def hold_out_users(log: RawLog, share: float, seed: int, min_events: int = 2) -> tuple[RawLog, RawLog]:
    """Train and whole held-out sessions: all sessions of a ``share`` of the users (of the sessions, without users).

    Who is held out is a pure function of the seed and the user's id.
    """
    held = uniforms(seed, hash_ids(log.groups, USERS_STREAM).view(np.int64)) < share
    rows = np.flatnonzero(~held & (log.lengths >= min_events))
    return log.take(rows), log.take(np.flatnonzero(held))


def before(log: RawLog, until_ms: int) -> RawLog:
    """The log as it was at a moment: no event from then on, and no session without an event before."""
    if log.ts is None:
        raise ValueError("a log without time cannot be cut by time")
    stops = _stops_before(log.offsets, log.ts, until_ms)
    rows = np.flatnonzero(stops > log.offsets[:-1])
    return log.take(rows, log.offsets[rows], stops[rows])


def drop_unseen(whole: RawLog, train: RawLog, min_events: int = 2) -> RawLog:
    """``whole`` without the items that ``train`` lacks, and without sessions then left under ``min_events``."""
    seen = np.zeros(len(whole.items), np.bool_)
    seen[train.aids] = True
    known = whole.keep_events(seen[whole.aids])
    return known.take(np.flatnonzero(known.lengths >= min_events))


def random_cuts(whole: RawLog, seed: int) -> npt.NDArray[np.int64]:
    """int64[S] number of visible events, uniform in 1 to n - 1; a pure function of seed, session id and length."""
    return _draw_cuts(hash_ids(whole.groups, CUT_STREAM), whole.lengths, seed)


def cut_as_given(whole: RawLog, path: Path, min_events: int = 2, falsy: int = UNKNOWN) -> Targets:
    """One row a session, cut as the Parquet file ``session, cut`` (number of visible events) says.

    A cut behind the last event is allowed: nothing is hidden then, and there are no labels. So a log whose hidden
    events were removed gives the same visible events. Sessions under ``min_events`` may lack a cut; they are dropped.

    Raises
    ------
    InputError
        If the file is missing, lacks a session, or a cut is not in 1 to n.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "correct split.cuts")
    frame = pl.read_parquet(path)
    if not {SESSION, "cut"} <= set(frame.columns):
        raise InputError(path, None, "columns session and cut are needed", "rename the columns")
    frame = frame.select(SESSION, pl.col("cut").cast(pl.Int64)).unique(SESSION, keep="first").sort(SESSION)
    rows = IdIndex(frame[SESSION].cast(whole.session_ids.dtype)).rows(whole.session_ids)
    missing = np.flatnonzero((rows < 0) & (whole.lengths >= min_events))
    if missing.size:
        problem = f"no cut for session {whole.session_ids[int(missing[0])]}"
        raise InputError(path, None, problem, "give one for every held-out session")
    whole, cuts = whole.take(np.flatnonzero(rows >= 0)), frame["cut"].to_numpy()[rows[rows >= 0]]
    wrong = np.flatnonzero((cuts < 1) | (cuts > whole.lengths))
    if wrong.size:
        session, cut, length = whole.session_ids[int(wrong[0])], cuts[wrong[0]], whole.lengths[wrong[0]]
        raise InputError(path, None, f"cut {cut} of session {session} with {length} events", f"give 1 to {length}")
    return cut_at(whole, cuts, falsy)


def cut_at(whole: RawLog, cuts: npt.NDArray[np.int64], falsy: int = UNKNOWN) -> Targets:
    """One row a session: its first ``cuts`` events (1 to n) are visible."""
    starts = whole.offsets[:-1]
    visible = whole.take(np.arange(len(whole)), starts, starts + cuts)
    labels = labels_after(starts + cuts, whole.offsets[1:], whole.aids, whole.types, falsy)
    groups = _group_numbers(whole.groups)
    return Targets(visible, groups, labels, several_rows=whole.group_ids is not None, whole=whole, falsy=falsy)


def cut_again(targets: Targets, n: int, seed: int, only_later: bool) -> tuple[npt.NDArray[np.int64], Targets]:
    """The same sessions cut after other events, up to ``n`` of them a session, drawn without repeats.

    targets    : what :func:`cut_at` gave
    only_later : whether all cuts lie behind the one there is. Where its visible events join the fit, an earlier cut
                 would have labels that were fitted on.

    Returns int64[m] the row of ``targets`` that each new row is another cut of, ascending, and the rows; their groups
    are those of ``targets``. The draws are a pure function of seed, session id, length and cut.
    """
    whole = targets.whole
    if whole is None:
        raise ValueError("the whole sessions are not known")
    hashes = hash_ids(whole.session_ids, MORE_CUTS_STREAM)
    rows, cuts = _draw_more_cuts(hashes, whole.lengths, targets.visible.lengths, n, seed, only_later)
    starts = whole.offsets[:-1][rows]
    labels = labels_after(starts + cuts, whole.offsets[1:][rows], whole.aids, whole.types, targets.falsy)
    visible = whole.take(rows, starts, starts + cuts)
    return rows, Targets(visible, targets.groups[rows], labels, several_rows=True)


def cut_last(whole: RawLog) -> Targets:
    """One row a session of two events or more: the last event is hidden, the label is its item."""
    whole = whole.take(np.flatnonzero(whole.lengths >= 2))
    return cut_at(whole, whole.lengths - 1)


def cut_everywhere(whole: RawLog) -> Targets:
    """One row for every cut of every session, named ``<session>:<visible events>``; its group is the session."""
    n_rows = np.maximum(whole.lengths - 1, 0)
    rows = np.repeat(np.arange(len(whole)), n_rows)
    first = np.zeros(len(whole), np.int64)
    np.cumsum(n_rows[:-1], out=first[1:])
    cuts = np.arange(rows.size) - first[rows] + 1
    starts = whole.offsets[:-1][rows]
    visible = whole.take(rows, starts, starts + cuts)
    names = visible.session_ids.cast(pl.String) + ":" + pl.Series(cuts).cast(pl.String)
    labels = labels_after(starts + cuts, whole.offsets[1:][rows], whole.aids, whole.types)
    groups = _group_numbers(visible.groups)
    group_ids = visible.groups
    return Targets(replace(visible, session_ids=names, group_ids=group_ids), groups, labels, several_rows=True)


def uncut(visible: RawLog, labels: Labels | None) -> Targets:
    """Sessions that the source has cut already, with the labels it gives."""
    return Targets(visible, _group_numbers(visible.groups), labels, several_rows=visible.group_ids is not None)


def without_last(log: RawLog, min_events: int = 1) -> RawLog:
    """Every session without its last event; those then left under ``min_events`` are dropped."""
    rows = np.flatnonzero(log.lengths - 1 >= min_events)
    return log.take(rows, log.offsets[rows], log.offsets[1:][rows] - 1)


def official(log: RawLog, cut_ms: int, seed: int, min_events: int = 2, cuts: Path | None = None) -> Split:
    """The official OTTO split: hold out by time, drop unseen items, cut each session after a random event.

    A next click on the item whose source id is 0 gives no click label, as in the official script.
    """
    train, whole = hold_out_by_time(log, cut_ms, min_events)
    return Split(train, cut_known(whole, train, seed, min_events, cuts, log.items.falsy_row), cut_ms)


def cut_known(
    whole: RawLog, train: RawLog, seed: int, min_events: int = 2, cuts: Path | None = None, falsy: int = UNKNOWN
) -> Targets:
    """Drop the items that ``train`` lacks; cut each session after a random event, or as the file ``cuts`` says."""
    if cuts is not None:
        return cut_as_given(drop_unseen(whole, train, 1), cuts, min_events, falsy)
    whole = drop_unseen(whole, train, min_events)
    return cut_at(whole, random_cuts(whole, seed), falsy)


def every_position(log: RawLog, cut_ms: int | None, share: float, min_events: int = 2) -> Split:
    """Sessions after ``cut_ms`` (the last ``share`` if ``None``) without unseen items, one row for every cut."""
    train, whole = _hold_out(log, cut_ms, share, min_events)
    return Split(train, cut_everywhere(drop_unseen(whole, train, min_events)), cut_ms)


def last_share(log: RawLog, share: float, seed: int, min_events: int = 2, cuts: Path | None = None) -> Split:
    """The last ``share`` of the sessions without unseen items, each cut after a random event."""
    train, whole = hold_out_by_share(log, share, min_events)
    return Split(train, cut_known(whole, train, seed, min_events, cuts), None)


def users(log: RawLog, share: float, seed: int, min_events: int = 2, cuts: Path | None = None) -> Split:
    """Sessions of a ``share`` of the users, none of which is trained on, without unseen items, cut at random."""
    train, whole = hold_out_users(log, share, seed, min_events)
    return Split(train, cut_known(whole, train, seed, min_events, cuts), None)


def leave_one_out(log: RawLog, min_events: int = 2) -> Split:
    """Every session without its last event, as train session and as target; the label is the last item."""
    whole = log.take(np.flatnonzero(log.lengths >= min_events))
    return Split(without_last(log), cut_last(whole), None, overlap=True)


def last_days(log: RawLog, cut_ms: int) -> Split:
    """Every session that goes on from ``cut_ms`` on, cut there: what it had before is visible, all that follows hidden.

    Train sessions are all of them as they were at that moment. A session that starts later has nothing to go by and is
    no target. Source: the Kaggle competition H&M Personalized Fashion Recommendations, whose sessions are customers.
    """
    if log.ts is None:
        raise ValueError("a log without time cannot be split by time")
    visible = _stops_before(log.offsets, log.ts, cut_ms) - log.offsets[:-1]
    rows = np.flatnonzero((visible > 0) & (visible < log.lengths))
    return Split(before(log, cut_ms), cut_at(log.take(rows), visible[rows]), cut_ms, overlap=True)


def _hold_out(log: RawLog, cut_ms: int | None, share: float, min_events: int) -> tuple[RawLog, RawLog]:
    if cut_ms is None:
        return hold_out_by_share(log, share, min_events)
    return hold_out_by_time(log, cut_ms, min_events)


def _group_numbers(groups: pl.Series) -> npt.NDArray[np.int64]:
    return IdIndex.of(groups).rows(groups)


@kernel
def _stops_before(offsets: npt.NDArray[np.int64], ts: npt.NDArray[np.int64], cut_ms: int) -> npt.NDArray[np.int64]:
    """Place behind each session's last event before ``cut_ms`` (times ascend in a session)."""
    stops = np.empty(offsets.size - 1, np.int64)
    for s in range(stops.size):
        stop = offsets[s + 1]
        while stop > offsets[s] and ts[stop - 1] >= cut_ms:
            stop -= 1
        stops[s] = stop
    return stops


@kernel
def _draw_cuts(hashes: npt.NDArray[np.uint64], lengths: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    cuts = np.empty(lengths.size, np.int64)
    for s in range(lengths.size):
        cuts[s] = 1 + below(seed, hashes[s], lengths[s] - 1)
    return cuts


@kernel
def _draw_more_cuts(
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int64],
    cuts: npt.NDArray[np.int64],
    n: int,
    seed: int,
    only_later: bool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S) of each session's cuts."""
    rows = np.empty(lengths.size * n, np.int64)
    found = np.empty(lengths.size * n, np.int64)
    size = 0
    for s in range(lengths.size):
        first = cuts[s] + 1 if only_later else 1
        left = max(lengths[s] - first - (not only_later and cuts[s] < lengths[s]), 0)
        wanted = min(n, left)
        key = int(mix(seed, hashes[s]))
        for cut in range(first, lengths[s]):
            if cut == cuts[s]:
                continue
            if uniform(key, cut) * left < wanted:
                rows[size] = s
                found[size] = cut
                size += 1
                wanted -= 1
            left -= 1
    return rows[:size].copy(), found[:size].copy()
