"""Small logs for the tests of this floor, and the obvious ways to read and write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from events.columns import TARGETS
from events.index import IdIndex
from events.raw import RawLog, item_index, load_raw

Session = dict[str, Any]

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared(folder: str) -> Path:
    """A folder of sample data; the test is skipped where it is absent."""
    path = SHARED / folder
    if not path.exists():
        pytest.skip(f"sample data {folder} is not at hand")
    return path


def read_jsonl(path: Path) -> list[Session]:
    """All lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_jsonl(path: Path, sessions: list[Session]) -> Path:
    """Sessions as OTTO spells them."""
    path.write_text("".join(json.dumps(session, separators=(",", ":")) + "\n" for session in sessions))
    return path


def session(number: int, *events: tuple[int, int, str]) -> Session:
    """A session of (item, time, type) events."""
    return {"session": number, "events": [{"aid": aid, "ts": ts, "type": kind} for aid, ts, kind in events]}


def raw_of(sessions: list[Session], typed: bool = True, timed: bool = True) -> RawLog:
    """The raw log of these sessions, built the plain way."""
    sessions = sorted(sessions, key=lambda one: one["session"])
    events = [event for one in sessions for event in one["events"]]
    items = IdIndex.of(pl.Series([event["aid"] for event in events], dtype=pl.Int64))
    return RawLog(
        session_ids=pl.Series([one["session"] for one in sessions], dtype=pl.Int64),
        offsets=np.cumsum([0] + [len(one["events"]) for one in sessions]).astype(np.int64),
        aids=items.rows(pl.Series([event["aid"] for event in events], dtype=pl.Int64)).astype(np.int32),
        ts=np.array([event["ts"] for event in events], np.int64) if timed else None,
        types=np.array([TARGETS.index(event["type"]) for event in events], np.int8) if typed else None,
        items=items,
    )


def sessions_of(log: RawLog) -> list[Session]:
    """The sessions of a raw log, as in the JSONL."""
    assert log.ts is not None
    assert log.types is not None
    ids = log.items.take(log.aids).to_list()
    out = []
    for s, name in enumerate(log.session_ids.to_list()):
        places = range(log.offsets[s], log.offsets[s + 1])
        events = [(ids[i], int(log.ts[i]), TARGETS[log.types[i]]) for i in places]
        out.append(session(name, *events))
    return out


def load_log(path: Path) -> RawLog:
    """A ``log.parquet`` with an item index of its own."""
    return load_raw(path, item_index([path]))
