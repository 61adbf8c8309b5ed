"""The log in OTTO's own form: one session a line."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from events.columns import AID, SESSION, TS, TYPE
from events.compiled import kernel
from events.files import atomic_file

ROWS: Final = 500_000
"""Events written at a time."""

EVENT_BYTES: Final = 160
"""An event with all its punctuation and, at worst, a session's head and tail."""


def _text(value: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(value.encode(), np.uint8)


HEAD, MIDDLE, TAIL = _text('{"session":'), _text(',"events":['), _text("]}\n")
ITEM, TIME, KIND, CLOSE = _text('{"aid":'), _text(',"ts":'), _text(',"type":"'), _text('"}')
NAMES = (_text("clicks"), _text("carts"), _text("orders"))


def write_jsonl(parquet_path: Path, jsonl_path: Path) -> None:
    """Write a log (columns session, aid, ts, type; sorted by session and time) as OTTO's JSONL, atomically.

    A session may cross row groups. Memory is bounded by a row group.
    """
    buffer = np.empty(ROWS * EVENT_BYTES, np.uint8)
    latest = np.full(1, -1, np.int64)
    with atomic_file(jsonl_path) as beside, beside.open("wb") as out, pq.ParquetFile(parquet_path) as source:
        for batch in source.iter_batches(ROWS, columns=[SESSION, AID, TS, TYPE]):
            sessions, aids, ts, types = (batch.column(name).to_numpy() for name in (SESSION, AID, TS, TYPE))
            size = format_events(sessions, aids, ts, types, latest, buffer)
            out.write(buffer[:size].data)
        if latest[0] >= 0:
            out.write(TAIL.tobytes())


@kernel
def put(text: npt.NDArray[np.uint8], buffer: npt.NDArray[np.uint8], place: int) -> int:
    """Copy a text to ``place``; return the place after it."""
    for i in range(text.size):
        buffer[place + i] = text[i]
    return place + text.size


@kernel
def put_number(value: int, buffer: npt.NDArray[np.uint8], place: int) -> int:
    """Write a non-negative number in decimal; return the place after it."""
    digits, rest = 1, value
    while rest >= 10:
        rest //= 10
        digits += 1
    for i in range(place + digits - 1, place - 1, -1):
        buffer[i] = 48 + value % 10
        value //= 10
    return place + digits


@kernel
def format_events(
    sessions: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int64],
    ts: npt.NDArray[np.int64],
    types: npt.NDArray[np.int8],
    latest: npt.NDArray[np.int64],
    buffer: npt.NDArray[np.uint8],
) -> int:
    """Write the events; ``latest`` holds the session whose line is open (-1: none). Return the bytes written."""
    place = 0
    for e in range(sessions.size):
        if sessions[e] == latest[0]:
            buffer[place] = 44  # a comma
            place += 1
        else:
            if latest[0] >= 0:
                place = put(TAIL, buffer, place)
            latest[0] = sessions[e]
            place = put(HEAD, buffer, place)
            place = put_number(sessions[e], buffer, place)
            place = put(MIDDLE, buffer, place)
        place = put(ITEM, buffer, place)
        place = put_number(aids[e], buffer, place)
        place = put(TIME, buffer, place)
        place = put_number(ts[e], buffer, place)
        place = put(KIND, buffer, place)
        place = put(NAMES[types[e]], buffer, place)
        place = put(CLOSE, buffer, place)
    return place
