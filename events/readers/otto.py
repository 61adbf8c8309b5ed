"""OTTO's JSONL, one session a line: parsed in blocks by several threads, in bounded memory whatever the file's size.

A file whose sessions ascend, as OTTO's do, goes straight to Parquet, a row group a block; any other is sorted on disk.
"""

import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from events.files import atomic_file
from events.readers.blocks import BLOCK_BYTES, line_blocks
from events.readers.encode import log_table, log_writer
from events.readers.jsonl_bytes import MIN_EVENT_BYTES, MIN_LINE_BYTES, parse_usual_lines
from events.readers.jsonl_line import BadLineError, parse_line
from events.readers.report import BadLines, ReadReport
from events.readers.spill import Spill

NEWLINE = ord("\n")


@dataclass(slots=True)
class Parsed:
    """One block's sessions in the order of the file; ``lines`` and those of ``bad`` count from 0 in the block."""

    sessions: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    aids: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    types: npt.NDArray[np.int8]
    n_lines: int
    bad: list[tuple[int, BadLineError]] = field(default_factory=list)


def read_otto(path: Path, out: Path, skip: bool, threads: int = 2, block_bytes: int = BLOCK_BYTES) -> ReadReport:
    """Read JSONL (also .gz) and write ``out``; sessions may come in any order.

    Raises
    ------
    InputError
        If a line is malformed or invalid, or repeats a session; if the file is empty or cut off.
    """
    try:
        return _read_ascending(path, out, skip, threads, block_bytes)
    except _NotAscendingError:
        return _read_any_order(path, out, skip, threads, block_bytes)


class _NotAscendingError(Exception):
    """A session's id is not above that of the line before."""


def _read_ascending(path: Path, out: Path, skip: bool, threads: int, block_bytes: int) -> ReadReport:
    def work(block: npt.NDArray[np.uint8]) -> tuple[Parsed, pa.Table]:
        parsed = parse_block(block, skip)
        return parsed, log_table(parsed.sessions, parsed.lengths, parsed.aids, parsed.ts, parsed.types)

    bad = BadLines(path, skip)
    line = n_sessions = n_events = 0
    latest = -1
    with atomic_file(out) as beside, log_writer(beside) as writer:
        for parsed, table in over_blocks(path, work, threads, block_bytes):
            _note(parsed, line, bad)
            line += parsed.n_lines
            if parsed.sessions.size == 0:
                continue
            if parsed.sessions[0] <= latest or (np.diff(parsed.sessions) <= 0).any():
                raise _NotAscendingError
            latest = int(parsed.sessions[-1])
            n_sessions += parsed.sessions.size
            n_events += parsed.aids.size
            writer.write_table(table, row_group_size=table.num_rows)
        return bad.report(n_sessions, n_events)


def _read_any_order(path: Path, out: Path, skip: bool, threads: int, block_bytes: int) -> ReadReport:
    bad = BadLines(path, skip)
    folder = out.with_name(out.name + ".spill.partial")
    try:
        with Spill(folder) as spill:
            line = 0
            for parsed in over_blocks(path, lambda block: parse_block(block, skip), threads, block_bytes):
                _note(parsed, line, bad)
                spill.add(parsed.sessions, parsed.lines + line, parsed.lengths, parsed.aids, parsed.ts, parsed.types)
                line += parsed.n_lines
            return spill.write(out, bad)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _note(parsed: Parsed, line: int, bad: BadLines) -> None:
    for place, problem in parsed.bad:
        bad.add(line + place + 1, problem.problem, problem.remedy)


T = TypeVar("T")


def over_blocks(
    path: Path, work: Callable[[npt.NDArray[np.uint8]], T], threads: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[T]:
    """``work`` of each block of a file, in order, done ahead by ``threads`` threads."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[T]] = deque()
        try:
            for block in line_blocks(path, block_bytes):
                ahead.append(pool.submit(work, block))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def parse_block(block: npt.NDArray[np.uint8], skip: bool) -> Parsed:
    """Parse a block of whole lines: the usual ones fast, any other by the general path.

    Stops behind the first bad line unless ``skip``.
    """
    sessions = np.empty(block.size // MIN_LINE_BYTES + 1, np.int64)
    lengths = np.empty(sessions.size, np.int32)
    lines = np.empty(sessions.size, np.int64)
    aids = np.empty(block.size // MIN_EVENT_BYTES + 1, np.int32)
    ts = np.empty(aids.size, np.int64)
    types = np.empty(aids.size, np.int8)
    n_lines = n_rows = n_events = place = 0
    bad: list[tuple[int, BadLineError]] = []
    while True:
        before = n_rows
        place, n_rows, n_events = parse_usual_lines(block, place, sessions, lengths, aids, ts, types, n_rows, n_events)
        lines[before:n_rows] = np.arange(n_lines, n_lines + n_rows - before)
        n_lines += n_rows - before
        if place == block.size:
            break
        line, place = _line_at(block, place)
        n_lines += 1
        if not line.strip():
            continue
        try:
            session, some_aids, some_ts, some_types = parse_line(line)
        except BadLineError as problem:
            bad.append((n_lines - 1, problem))
            if not skip:
                break
            continue
        end = n_events + len(some_aids)
        aids[n_events:end], ts[n_events:end], types[n_events:end] = some_aids, some_ts, some_types
        sessions[n_rows], lengths[n_rows], lines[n_rows] = session, len(some_aids), n_lines - 1
        n_rows += 1
        n_events = end
    return Parsed(
        sessions[:n_rows], lines[:n_rows], lengths[:n_rows], aids[:n_events], ts[:n_events], types[:n_events],
        n_lines, bad,
    )  # fmt: skip


def _line_at(block: npt.NDArray[np.uint8], place: int) -> tuple[bytes, int]:
    """The line that starts at ``place`` and the place behind it."""
    width = 4096
    while True:
        found = np.flatnonzero(block[place : place + width] == NEWLINE)
        if found.size:
            stop = place + int(found[0])
            return block[place:stop].tobytes(), stop + 1
        width *= 8
