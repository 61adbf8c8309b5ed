"""The general path for OTTO's JSONL: any JSON that says the same, one line at a time, and what is wrong with it."""

import json
from typing import Any

from events.columns import TARGETS
from events.readers.jsonl_bytes import MAX_AID, MAX_MS

MAX_SESSION = 2**63 - 1
SHAPE = '{"session": 1, "events": [{"aid": 2, "ts": 1661200010000, "type": "clicks"}]}'


class BadLineError(Exception):
    """What is wrong with a line, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


def parse_line(line: bytes) -> tuple[int, list[int], list[int], list[int]]:
    """Session, and item, time and type code of each event.

    Raises
    ------
    BadLineError
        If the line is not a session.

    >>> parse_line(b'{"events": [{"type": "carts", "ts": 5, "aid": 7}], "session": 1}')
    (1, [7], [5], [1])
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(
            f"malformed JSON ({_reason(error)})", f"write {SHAPE}; a file cut off must be fetched again"
        ) from None
    session = _whole(_member(value, "session", "the session"), "session id", MAX_SESSION)
    events = _member(value, "events", "the session")
    if not isinstance(events, list) or not events:
        raise BadLineError("a session without events", "remove the line, or give it events")
    aids: list[int] = []
    ts: list[int] = []
    types: list[int] = []
    for event in events:
        aids.append(_whole(_member(event, "aid", "an event"), "item id", MAX_AID))
        ts.append(_whole(_member(event, "ts", "an event"), "time in milliseconds", MAX_MS))
        if len(ts) > 1 and ts[-1] < ts[-2]:
            raise BadLineError(f"time goes backwards, from {ts[-2]} to {ts[-1]}", "sort the session's events by ts")
        kind = _member(event, "type", "an event")
        if kind not in TARGETS:
            raise BadLineError(f"unknown event type {kind!r}", f"use {', '.join(TARGETS)}")
        types.append(TARGETS.index(kind))
    return session, aids, ts, types


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number that is too long"


def _member(value: Any, key: str, what: str) -> Any:
    if not isinstance(value, dict):
        raise BadLineError(f"{what} is not a JSON object", f"write {SHAPE}")
    if key not in value:
        raise BadLineError(f"{what} has no {key!r}", f"write {SHAPE}")
    return value[key]


def _whole(value: Any, what: str, most: int) -> int:
    if type(value) is not int:
        raise BadLineError(f"the {what} {_short(value)} is not an integer", f"give an integer from 0 to {most}")
    if not 0 <= value <= most:
        raise BadLineError(f"the {what} {_short(value)} is out of range", f"give an integer from 0 to {most}")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
