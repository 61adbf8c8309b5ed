"""The fast path for OTTO's JSONL: a byte loop that knows the usual spelling of a line and stops at any other.

Usual is ``{"session":0,"events":[{"aid":1,"ts":2,"type":"clicks"},...]}``, each ``:`` and ``,`` followed by one space
or none. The loop needs no bounds: every line ends with a newline, which no part of the pattern matches, so that no
comparison runs past one. Indices are unsigned because numba checks signed ones for wrapping around.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from events.compiled import inline, kernel


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


OPEN_SESSION = _bytes('{"session":')
OPEN_EVENTS = _bytes('"events":')
OPEN_AID = _bytes('{"aid":')
OPEN_TS = _bytes('"ts":')
OPEN_TYPE = _bytes('"type":')
CLICKS_END = _bytes('"clicks"}')
CARTS_END = _bytes('"carts"}')
ORDERS_END = _bytes('"orders"}')

NEWLINE, RETURN, SPACE, COMMA, ZERO = (np.uint8(ord(c)) for c in "\n\r ,0")
OPEN_LIST, CLOSE_LIST, CLOSE_OBJECT = (np.uint8(ord(c)) for c in "[]}")

MISS = np.uint64(0)
"""Where a pattern did not match; no match ends at place 0."""

MAX_AID = 2**31 - 1
MAX_MS = 2**31 * 1000 - 1
"""Times are kept as 32-bit seconds further up: until January 2038."""
MAX_DIGITS = np.uint64(18)
"""An int64 holds any number of 18 digits; longer ones take the general path."""

MIN_EVENT_BYTES = len('{"aid":1,"ts":1,"type":"carts"}')
MIN_LINE_BYTES = len('{"session":1,"events":[]}') + MIN_EVENT_BYTES


@inline
def _match(block: Any, place: Any, literal: Any) -> Any:
    """Place behind ``literal`` and one optional space, or MISS."""
    for i in range(literal.size):
        if block[place + np.uint64(i)] != literal[i]:
            return MISS
    place += np.uint64(literal.size)
    return place + np.uint64(block[place] == SPACE)


@inline
def _number(block: Any, place: Any) -> Any:
    """(value, place behind the number and a comma with one optional space); value -1 if it is not usual."""
    start = place
    value = np.int64(0)
    digit = np.uint8(block[place] - ZERO)
    while digit < 10:
        value = value * 10 + np.int64(digit)
        place += np.uint64(1)
        digit = np.uint8(block[place] - ZERO)
    digits = place - start
    leading_zero = digits > np.uint64(1) and block[start] == ZERO
    if digits == MISS or digits > MAX_DIGITS or leading_zero or block[place] != COMMA:
        return np.int64(-1), place
    place += np.uint64(1)
    return value, place + np.uint64(block[place] == SPACE)


@inline
def _type(block: Any, place: Any) -> Any:
    """(type code, place behind the event's closing brace); code -1 if it is not usual."""
    end = _match(block, place, CLICKS_END)
    if end != MISS:
        return np.int8(0), end
    end = _match(block, place, CARTS_END)
    if end != MISS:
        return np.int8(1), end
    end = _match(block, place, ORDERS_END)
    if end != MISS:
        return np.int8(2), end
    return np.int8(-1), place


@inline
def _line(block: Any, place: Any, aids: Any, ts: Any, types: Any, size: int) -> Any:
    """(session, place behind the line, events so far); session -1 if the line is not usual or not valid."""
    bad = np.int64(-1)
    place = _match(block, place, OPEN_SESSION)
    if place == MISS:
        return bad, place, size
    session, place = _number(block, place)
    if session < 0:
        return bad, place, size
    place = _match(block, place, OPEN_EVENTS)
    if place == MISS or block[place] != OPEN_LIST:
        return bad, place, size
    place += np.uint64(1)
    before = np.int64(0)
    while True:
        place = _match(block, place, OPEN_AID)
        if place == MISS:
            return bad, place, size
        aid, place = _number(block, place)
        if aid < 0 or aid > MAX_AID:
            return bad, place, size
        place = _match(block, place, OPEN_TS)
        if place == MISS:
            return bad, place, size
        time, place = _number(block, place)
        if time < before or time > MAX_MS:
            return bad, place, size
        place = _match(block, place, OPEN_TYPE)
        if place == MISS:
            return bad, place, size
        code, place = _type(block, place)
        if code < 0:
            return bad, place, size
        aids[size] = aid
        ts[size] = time
        types[size] = code
        size += 1
        before = time
        if block[place] != COMMA:
            break
        place += np.uint64(1)
        place += np.uint64(block[place] == SPACE)
    if block[place] != CLOSE_LIST:
        return bad, place, size
    place += np.uint64(1)
    if block[place] != CLOSE_OBJECT:
        return bad, place, size
    place += np.uint64(1)
    place += np.uint64(block[place] == RETURN)
    if block[place] != NEWLINE:
        return bad, place, size
    return session, place + np.uint64(1), size


@kernel
def parse_usual_lines(
    block: npt.NDArray[np.uint8],
    place: int,
    sessions: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    aids: npt.NDArray[np.int32],
    ts: npt.NDArray[np.int64],
    types: npt.NDArray[np.int8],
    n_lines: int,
    n_events: int,
) -> tuple[Any, int, int]:
    """Parse lines from ``place`` to the end of ``block`` or to the first line that is not usual.

    block : uint8[b], ends with a newline
    sessions, lengths : room for every line; written from ``n_lines`` on
    aids, ts, types   : room for every event; written from ``n_events`` on

    Returns the place of the first line not parsed (b if all were), and the new ``n_lines`` and ``n_events``.
    """
    start = np.uint64(place)
    end = np.uint64(block.size)
    while start < end:
        session, after, size = _line(block, start, aids, ts, types, n_events)
        if session < 0:
            break
        sessions[n_lines] = session
        lengths[n_lines] = size - n_events
        n_lines += 1
        n_events = size
        start = after
    return np.int64(start), n_lines, n_events
