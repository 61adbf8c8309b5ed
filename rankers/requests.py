"""From what a caller says of sessions, in the source's own ids, to a log of dense rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index as whole
from typing import Any, Final

import numpy as np
import polars as pl

from events.arrays import I8, I64
from events.columns import AID, SESSION, TARGETS, TS, TYPE
from events.errors import InputError
from events.index import IdIndex
from events.log import SessionLog

GIVEN: Final = "events"
"""Where errors lie."""
STEP_SECONDS: Final = 30
"""Between events that come without a time."""
NOBODY: Final = -1
"""Session and group of a session that no pass knows."""
FIRST_MS: Final = 10**11
"""What lies before (March 1973) was given in seconds, if the log lies behind."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked.

    log      : the S sessions with their known items
    unknown  : of each session the items that the run does not know, as given
    sessions : of each session its id, ``None`` unless a frame names it
    single   : whether one session was given, and not a list of sessions
    """

    log: SessionLog
    unknown: list[tuple[Any, ...]]
    sessions: list[Any]
    single: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads requests for a run.

    items    : its item index, of one chunk
    has      : what of ``events.log.NEEDS`` its logs have
    until_ms : end of the fit in unix milliseconds; ``None`` without time
    """

    items: IdIndex
    has: frozenset[str]
    until_ms: int | None

    def read(self, events: Any) -> Request:
        """Read one session or several.

        events : a list of events ``(aid, ts, type)``, of which ``ts`` (unix milliseconds) and ``type`` (clicks, carts,
                 orders, or its code 0, 1, 2) may be missing; or of dicts with these keys; or of bare ids. A list of
                 such lists is several sessions. Or a Polars frame with the columns ``aid, ts, type`` (the latter two
                 may be missing) and, for several sessions, ``session``.

        Events without a type are clicks. They are put into the order of their times. A session without times keeps
        its order; its events are taken to be ``STEP_SECONDS`` apart, the last one at the end of the fit.

        Raises
        ------
        InputError
            If it is something else.
        """
        if isinstance(events, pl.DataFrame):
            return self._read_frame(events)
        if isinstance(events, str | bytes | Mapping) or not isinstance(events, Sequence):
            raise _wrong(f"a {type(events).__name__} is no session", "give a list of events (aid, ts, type)")
        single = not (len(events) > 0 and isinstance(events[0], list))
        sessions = [events] if single else events
        for s, one in enumerate(sessions):
            if not isinstance(one, Sequence) or isinstance(one, str | tuple):
                raise _wrong(f"session {s + 1} is a {type(one).__name__}", "give a list of lists of events")
        # Python objects: the only loop over events outside of kernels.
        fields = [_fields(event, place) for place, event in enumerate(e for one in sessions for e in one)]
        offsets = np.cumsum([0, *(len(one) for one in sessions)]).astype(np.int64)
        ids = [aid for aid, _, _ in fields]
        ts = self._times([moment for _, moment, _ in fields], offsets)
        types = np.fromiter((_code(kind, place) for place, (_, _, kind) in enumerate(fields)), np.int8, len(fields))
        return self._request(self._series(ids), ids, offsets, ts, types, [None] * len(sessions), single)

    def _series(self, ids: list[Any]) -> pl.Series:
        """The ids of items as a series of the index's type."""
        if not self.items.is_integer:
            for place, one in enumerate(ids):
                if not isinstance(one, str):
                    raise _wrong(f"item {one!r} is no text, as the ids of this shop are", "give it in quotes", place)
            return pl.Series(ids, dtype=pl.String)
        numbers = np.empty(len(ids), np.int64)
        for place, one in enumerate(ids):
            numbers[place] = _whole(one, "item", "the ids of this shop are whole numbers", place)
        return pl.Series(numbers)

    def _read_frame(self, frame: pl.DataFrame) -> Request:
        if AID not in frame.columns:
            raise _wrong(f"no column {AID!r}", "give the columns aid, ts, type, and session for several sessions")
        for name in (AID, TS, TYPE, SESSION):
            if name in frame.columns and frame[name].null_count():
                raise _wrong(f"column {name!r} has nulls", "fill them or leave the column out")
        ids = frame[AID]
        if not (ids.dtype.is_integer() if self.items.is_integer else ids.dtype == pl.String):
            wanted = "whole numbers" if self.items.is_integer else "text"
            raise _wrong(f"column {AID!r} is {ids.dtype}", f"the ids of this shop are {wanted}")
        if TS in frame.columns and not frame[TS].dtype.is_integer():
            raise _wrong(f"column {TS!r} is {frame[TS].dtype}", "give unix milliseconds as whole numbers")
        codes = _codes(frame[TYPE]) if TYPE in frame.columns else np.zeros(frame.height, np.int8)
        single = SESSION not in frame.columns
        if single:
            offsets, order, sessions = np.array([0, frame.height], np.int64), None, [None]
        else:
            names = frame[SESSION].unique(maintain_order=True)
            places = pl.DataFrame({SESSION: names, "place": np.arange(len(names))})
            owner = (
                frame.select(SESSION).join(places, on=SESSION, how="left", maintain_order="left")["place"].to_numpy()
            )
            order = np.argsort(owner, kind="stable")
            offsets = np.append(0, np.cumsum(np.bincount(owner, minlength=len(names)))).astype(np.int64)
            sessions = names.to_list()
            ids, codes = ids.gather(order), codes[order]
        ts = self._made_up(offsets)
        if TS in frame.columns:
            ts = _int64(frame[TS] if order is None else frame[TS].gather(order), "a time")
            self._check_times(ts)
        if self.items.is_integer:
            ids = pl.Series(_int64(ids, "an item"))
        return self._request(ids, ids, offsets, ts, codes, sessions, single)

    def _request(
        self, ids: pl.Series, given: Any, offsets: I64, ts: I64, types: I8, sessions: list[Any], single: bool
    ) -> Request:
        """Put events in order, and drop those of unknown items."""
        lengths = np.diff(offsets)
        if (np.diff(ts) < 0).any():
            order = np.lexsort((ts, np.repeat(np.arange(lengths.size), lengths)))
            ids, ts, types = ids.gather(order), ts[order], types[order]
            given = ids
        rows = self.items.rows(ids)
        known = rows >= 0
        unknown: list[tuple[Any, ...]] = [()] * lengths.size
        if not known.all():
            owner = np.repeat(np.arange(lengths.size), lengths)
            strange: dict[int, dict[Any, None]] = {}
            for place in np.flatnonzero(~known).tolist():
                strange.setdefault(int(owner[place]), {})[given[place]] = None
            for s, of_session in strange.items():
                unknown[s] = tuple(of_session)
            offsets = np.append(0, np.cumsum(np.bincount(owner[known], minlength=lengths.size))).astype(np.int64)
            rows, types, ts = rows[known], types[known], ts[known]
        nobody = np.full(lengths.size, NOBODY, np.int64)
        log = SessionLog(
            sessions=nobody,
            groups=nobody,
            offsets=offsets,
            aids=rows.astype(np.int32),
            ts=(ts // 1000).astype(np.int32) if "time" in self.has else None,
            types=types if "types" in self.has else None,
            n_items=len(self.items),
        )
        return Request(log, unknown, sessions, single)

    def _times(self, given: list[Any], offsets: I64) -> I64:
        """int64[N] milliseconds, made up for sessions without times."""
        there = np.fromiter((one is not None for one in given), np.bool_, len(given))
        timed = np.diff(np.append(0, np.cumsum(there))[offsets])
        mixed = (timed > 0) & (timed < np.diff(offsets))
        if mixed.any():
            s = int(np.argmax(mixed))
            place = int(offsets[s] + np.argmin(there[offsets[s] : offsets[s + 1]]))
            raise _wrong("an event without a time among others with one", "give each a time, or none", place)
        ts = self._made_up(offsets)
        for place in np.flatnonzero(there).tolist():
            ts[place] = _whole(given[place], "time", "give unix milliseconds", place)
        self._check_times(ts[there])
        return ts

    def _made_up(self, offsets: I64) -> I64:
        """Milliseconds of events that come without: evenly apart, the last of each session at the end of the fit."""
        to_come = np.repeat(offsets[1:], np.diff(offsets)) - 1 - np.arange(offsets[-1])
        return np.maximum((self.until_ms or 1) - 1 - 1000 * STEP_SECONDS * to_come, 0).astype(np.int64)

    def _check_times(self, ts: I64) -> None:
        low, high = (int(ts.min()), int(ts.max())) if ts.size else (0, 0)
        if low < 0 or high // 1000 > np.iinfo(np.int32).max:
            raise _wrong(f"time {low if low < 0 else high} is out of range", "give unix milliseconds")
        if 0 < high < FIRST_MS < (self.until_ms or 0):
            raise _wrong(f"time {high} lies before 1974", "give unix milliseconds, not seconds")


def _wrong(problem: str, remedy: str, place: int | None = None) -> InputError:
    """``place`` counts all events of the request from 0."""
    return InputError(GIVEN, None if place is None else place + 1, problem, remedy)


def _fields(event: Any, place: int) -> tuple[Any, Any, Any]:
    """Item, time and type of an event as given; ``None`` where it says nothing of them."""
    if isinstance(event, Mapping):
        if AID not in event or not event.keys() <= {AID, TS, TYPE}:
            raise _wrong(
                f"an event with the keys {', '.join(map(str, event))}", "give aid, and perhaps ts, type", place
            )
        return event[AID], event.get(TS), event.get(TYPE)
    if isinstance(event, tuple):
        if not 1 <= len(event) <= 3:
            raise _wrong(f"an event of {len(event)} parts", "give (aid, ts, type)", place)
        return (*event, *(None,) * (3 - len(event)))
    if isinstance(event, list):
        raise _wrong("a list among events", "give events as tuples (aid, ts, type) or dicts", place)
    return event, None, None


def _whole(value: Any, what: str, remedy: str, place: int) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = whole(value)
    except TypeError:
        raise _wrong(f"{what} {value!r} is no whole number", remedy, place) from None
    if not -(2**63) <= number < 2**63:
        raise _wrong(f"{what} {number} is out of range", remedy, place)
    return number


def _code(kind: Any, place: int) -> int:
    """Code of a type."""
    if kind is None:
        return 0
    if isinstance(kind, str) and kind in TARGETS:
        return TARGETS.index(kind)
    if isinstance(kind, int | np.integer) and not isinstance(kind, bool) and 0 <= kind < len(TARGETS):
        return int(kind)
    raise _wrong(f"unknown event type {kind!r}", "use clicks, carts or orders", place)


def _codes(kinds: pl.Series) -> I8:
    if kinds.dtype == pl.String or kinds.dtype.is_integer():
        kinds_of = dict(enumerate(TARGETS)) if kinds.dtype.is_integer() else dict.fromkeys(TARGETS)
        strange = kinds.filter(~kinds.is_in(list(kinds_of)))
        if strange.is_empty():
            codes = (
                kinds if kinds.dtype.is_integer() else kinds.replace_strict(list(TARGETS), list(range(len(TARGETS))))
            )
            return codes.cast(pl.Int8).to_numpy()
        raise _wrong(f"unknown event type {strange[0]!r}", "use clicks, carts or orders")
    raise _wrong(f"column {TYPE!r} is {kinds.dtype}", "use clicks, carts or orders")


def _int64(numbers: pl.Series, what: str) -> I64:
    try:
        return numbers.cast(pl.Int64).to_numpy()
    except pl.exceptions.PolarsError:
        raise _wrong(f"{what} is out of range", "give numbers of 64 bits") from None
