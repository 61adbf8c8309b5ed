import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.readers.jsonl_bytes import parse_usual_lines
from events.readers.otto import parse_block, read_otto
from events.readers.report import ReadReport
from tests.events.logs import Session, load_log, session, sessions_of, shared, write_jsonl

GOOD = [
    session(3, (0, 1000, "clicks"), (2147483647, 1000, "carts"), (5, 2147483647999, "orders")),
    session(8, (7, 0, "clicks"), (7, 1661200010000, "clicks")),
    session(9223372036854775807, (1, 5, "orders")),
]
GOOD_LINES = [json.dumps(one, separators=(",", ":")) for one in GOOD]


def read_bytes(folder: Path, content: bytes, skip: bool = False, **options: Any) -> ReadReport:
    (folder / "log.jsonl").write_bytes(content)
    return read_otto(folder / "log.jsonl", folder / "out" / "log.parquet", skip, **options)


def test_columns_and_order(tmp_path: Path) -> None:
    report = read_bytes(tmp_path, "\n".join(GOOD_LINES).encode())
    assert report == ReadReport(3, 6, 0, ())
    frame = pl.read_parquet(tmp_path / "out" / "log.parquet")
    assert frame.schema == {"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.Int8, "event": pl.Int32}
    assert frame["event"].to_list() == [0, 1, 2, 0, 1, 0]
    assert sessions_of(load_log(tmp_path / "out" / "log.parquet")) == GOOD
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.parquet"]


ODD_SPELLINGS = {
    "usual": "\n".join(GOOD_LINES) + "\n",
    "spaces": "\n".join(json.dumps(one) for one in GOOD) + "\n",
    "no last newline": "\n".join(GOOD_LINES),
    "carriage returns": "\r\n".join(GOOD_LINES) + "\r\n",
    "blank lines": "\n\n" + "\n \n".join(GOOD_LINES) + "\n\n",
    "keys in another order": "\n".join(json.dumps(one, sort_keys=True) for one in GOOD),
    "extra keys": "\n".join(json.dumps({"a": [1], **one, "z": {"b": None}}) for one in GOOD),
    "escapes": "\n".join(line.replace("clicks", r"\u0063licks") for line in GOOD_LINES),
    "wide spaces": "\n".join(json.dumps(one, separators=(" ,  ", "\t: ")) for one in GOOD),
    "descending sessions": "\n".join(reversed(GOOD_LINES)),
    "a mixture": "\n".join([GOOD_LINES[1], json.dumps(GOOD[0], sort_keys=True), "", GOOD_LINES[2]]),
}


@pytest.mark.parametrize("name", ODD_SPELLINGS)
@pytest.mark.parametrize("block_bytes", [1, 90, 1 << 20])
def test_spellings_and_block_boundaries(tmp_path: Path, name: str, block_bytes: int) -> None:
    report = read_bytes(tmp_path, ODD_SPELLINGS[name].encode(), block_bytes=block_bytes)
    assert report == ReadReport(3, 6, 0, ())
    assert sessions_of(load_log(tmp_path / "out" / "log.parquet")) == GOOD


BAD_LINES = {
    '{"session": 12, "events": [{"aid": 1, "ts"': "malformed JSON",
    "no json at all": "malformed JSON",
    "[" * 100_000: "malformed JSON",
    '{"session":12,"events":[{"aid":1,"ts":2,"type":"views"}]}': "unknown event type 'views'",
    '{"session":12,"events":[{"aid":1,"ts":2,"type":0}]}': "unknown event type 0",
    '{"session":12,"events":[{"aid":-1,"ts":2,"type":"clicks"}]}': "item id -1 is out of range",
    '{"session":12,"events":[{"aid":2147483648,"ts":2,"type":"clicks"}]}': "item id 2147483648 is out of range",
    '{"session":12,"events":[{"aid":1.0,"ts":2,"type":"clicks"}]}': "item id 1.0 is not an integer",
    '{"session":12,"events":[{"aid":true,"ts":2,"type":"clicks"}]}': "item id true is not an integer",
    '{"session":12,"events":[{"aid":"1","ts":2,"type":"clicks"}]}': 'item id "1" is not an integer',
    '{"session":12,"events":[{"aid":01,"ts":2,"type":"clicks"}]}': "malformed JSON",
    '{"session":-12,"events":[{"aid":1,"ts":2,"type":"clicks"}]}': "session id -12 is out of range",
    '{"session":9223372036854775808,"events":[{"aid":1,"ts":2,"type":"clicks"}]}': "session id 9223372036854775808",
    '{"session":' + "9" * 5000 + ',"events":[]}': "malformed JSON",
    '{"session":null,"events":[{"aid":1,"ts":2,"type":"clicks"}]}': "session id null is not an integer",
    '{"session":12,"events":[{"aid":1,"ts":3,"type":"clicks"},{"aid":1,"ts":2,"type":"clicks"}]}': "backwards",
    '{"session":12,"events":[{"aid":1,"ts":2147483648000,"type":"clicks"}]}': "out of range",
    '{"session":12,"events":[{"aid":1,"ts":-2,"type":"clicks"}]}': "time in milliseconds -2 is out of range",
    '{"session":12,"events":[]}': "a session without events",
    '{"session":12,"events":{}}': "a session without events",
    '{"session":12}': "the session has no 'events'",
    '{"events":[{"aid":1,"ts":2,"type":"clicks"}]}': "the session has no 'session'",
    '{"session":12,"events":[{"ts":2,"type":"clicks"}]}': "an event has no 'aid'",
    '{"session":12,"events":[{"aid":1,"type":"clicks"}]}': "an event has no 'ts'",
    '{"session":12,"events":[{"aid":1,"ts":2}]}': "an event has no 'type'",
    '{"session":12,"events":[7]}': "an event is not a JSON object",
    "[1]": "the session is not a JSON object",
    '{"session":8,"events":[{"aid":1,"ts":2,"type":"clicks"}]}': "session 8 is repeated",
}


@pytest.mark.parametrize("bad", BAD_LINES)
@pytest.mark.parametrize("block_bytes", [90, 1 << 20])
def test_bad_lines_are_named(tmp_path: Path, bad: str, block_bytes: int) -> None:
    content = "\n".join([GOOD_LINES[0], "", GOOD_LINES[1], bad, GOOD_LINES[2]]).encode()
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, content, block_bytes=block_bytes)
    assert caught.value.line == 4
    assert caught.value.file == str(tmp_path / "log.jsonl")
    assert BAD_LINES[bad] in caught.value.problem
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("bad", BAD_LINES)
def test_bad_lines_are_skipped_and_counted(tmp_path: Path, bad: str) -> None:
    content = "\n".join([GOOD_LINES[0], "", GOOD_LINES[1], bad, GOOD_LINES[2], bad]).encode()
    report = read_bytes(tmp_path, content, skip=True)
    assert (report.sessions, report.events, report.skipped) == (3, 6, 2)
    assert [reason.split(":")[0] for reason in report.reasons] == ["line 4", "line 6"]
    assert BAD_LINES[bad] in report.reasons[0]
    assert sessions_of(load_log(tmp_path / "out" / "log.parquet")) == GOOD


def test_the_first_line_of_a_repeated_session_counts(tmp_path: Path) -> None:
    lines = [GOOD_LINES[1], GOOD_LINES[0].replace('"session":3', '"session":8'), GOOD_LINES[0]]
    report = read_bytes(tmp_path, "\n".join(lines).encode(), skip=True)
    assert report.reasons == ("line 2: session 8 is repeated",)
    assert sessions_of(load_log(tmp_path / "out" / "log.parquet")) == GOOD[:2]


def test_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r":2: malformed JSON \(not UTF-8\)"):
        read_bytes(tmp_path, GOOD_LINES[0].encode() + b'\n{"session": "\xff"}\n')


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="the file is empty"):
        read_bytes(tmp_path, content)
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_but_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no usable session .*line 1: malformed"):
        read_bytes(tmp_path, b"{\n{\n", skip=True)


@pytest.mark.parametrize("left", [1, 40, 700])
def test_cut_in_the_middle(tmp_path: Path, left: int) -> None:
    content = (shared("otto_fixture") / "train.jsonl").read_bytes().rstrip()
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, content[:-left])
    assert caught.value.line == content[:-left].count(b"\n") + 1
    assert "fetched again" in caught.value.remedy
    assert list((tmp_path / "out").iterdir()) == []


def test_gz_equals_plain(tmp_path: Path) -> None:
    content = (shared("otto_fixture") / "train.jsonl").read_bytes()
    read_bytes(tmp_path, content)
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(content))
    for block_bytes in (1000, 1 << 20):
        read_otto(tmp_path / "log.jsonl.gz", tmp_path / "gz.parquet", skip=False, block_bytes=block_bytes)
        assert pl.read_parquet(tmp_path / "gz.parquet").equals(pl.read_parquet(tmp_path / "out" / "log.parquet"))
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(content)[:-3000])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_otto(tmp_path / "log.jsonl.gz", tmp_path / "cut.parquet", skip=False)
    (tmp_path / "log.jsonl.gz").write_bytes(content)
    with pytest.raises(InputError, match="damaged or cut off"):
        read_otto(tmp_path / "log.jsonl.gz", tmp_path / "cut.parquet", skip=False)
    assert {path.name for path in tmp_path.iterdir()} == {"log.jsonl", "log.jsonl.gz", "gz.parquet", "out"}


@pytest.mark.parametrize("step", [1, 7])
def test_threads_make_no_difference(tmp_path: Path, step: int) -> None:
    sessions = [session(i * step % 1000, (i, i, "clicks"), (i + 1, i, "carts")) for i in range(1000)]
    write_jsonl(tmp_path / "log.jsonl", sessions)
    for threads in (1, 2, 3):
        read_otto(tmp_path / "log.jsonl", tmp_path / f"{threads}.parquet", False, threads, block_bytes=4000)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()
    assert sessions_of(load_log(tmp_path / "1.parquet")) == sorted(sessions, key=lambda one: one["session"])


@pytest.mark.parametrize("block_bytes", [1, 90, 1 << 20])
def test_a_late_session_sends_the_whole_file_through_the_sort(tmp_path: Path, block_bytes: int) -> None:
    sessions = [session(10 * i, (i, i, "clicks")) for i in range(50)] + [session(7, (1, 5, "orders"))]
    lines = [json.dumps(one, separators=(",", ":")) for one in sessions]
    report = read_bytes(tmp_path, "\n".join([lines[0], "{", *lines[1:]]).encode(), True, block_bytes=block_bytes)
    assert (report.sessions, report.events, report.skipped, len(report.reasons)) == (51, 51, 1, 1)
    assert sessions_of(load_log(tmp_path / "out" / "log.parquet")) == sorted(sessions, key=lambda one: one["session"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.parquet"]


def test_usual_lines_take_the_fast_path() -> None:
    content = "".join(line + "\n" for line in GOOD_LINES[:2]) + "".join(json.dumps(one) + "\n" for one in GOOD[:2])
    block = np.frombuffer(content.encode(), np.uint8)
    arrays = [np.empty(20, dtype) for dtype in (np.int64, np.int32, np.int32, np.int64, np.int8)]
    assert parse_usual_lines(block, 0, *arrays, 0, 0) == (block.size, 4, 10)
    unusual = np.frombuffer((json.dumps(GOOD[0], sort_keys=True) + "\n").encode(), np.uint8)
    assert parse_usual_lines(unusual, 0, *arrays, 0, 0) == (0, 0, 0)


@given(content=st.binary(max_size=60), cut=st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_the_fast_path_never_leaves_its_block(content: bytes, cut: int) -> None:
    whole = GOOD_LINES[0].encode()
    for start in (content, whole[:cut], whole[:cut] + content):
        block = np.frombuffer(start + b"\n" + GOOD_LINES[1].encode() + b"\n", np.uint8)
        parsed = parse_block(block, skip=True)
        assert parsed.sessions[-1] == 8
        assert parsed.lengths.sum() == parsed.aids.size == parsed.ts.size
        assert parsed.n_lines == np.count_nonzero(block == ord("\n"))


events_of = st.lists(
    st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 10**12), st.sampled_from(["clicks", "carts", "orders"])),
    min_size=1,
    max_size=6,
).map(lambda events: sorted(events, key=lambda event: event[1]))


@st.composite
def odd_lines(draw: st.DrawFn) -> tuple[list[Session], bytes]:
    numbers = draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8, unique=True))
    if draw(st.booleans()):
        numbers.sort()
    sessions = [session(number, *draw(events_of)) for number in numbers]
    lines = []
    for one in sessions:
        events = [dict(draw(st.permutations(list(event.items())))) for event in one["events"]]
        line = dict(draw(st.permutations([("session", one["session"]), ("events", events)])))
        if draw(st.booleans()):
            line["note"] = draw(st.text(max_size=5))
        separators = (draw(st.sampled_from([",", ", ", " ,"])), draw(st.sampled_from([":", ": ", "\t:"])))
        text = json.dumps(line, separators=separators, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()):
            text = text.replace('"c', r'"\u0063')
        lines.append(draw(st.sampled_from(["", "", "\n"])) + text)
    return sessions, "\n".join(lines).encode() + draw(st.sampled_from([b"", b"\n", b"\r\n"]))


@given(drawn=odd_lines(), block_bytes=st.sampled_from([1, 50, 200, 1 << 16]))
@settings(max_examples=60, deadline=None)
def test_any_json_that_says_the_same_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[Session], bytes], block_bytes: int
) -> None:
    sessions, content = drawn
    folder = tmp_path_factory.mktemp("odd")
    read_bytes(folder, content, block_bytes=block_bytes)
    expected = sorted(sessions, key=lambda one: one["session"])
    assert sessions_of(load_log(folder / "out" / "log.parquet")) == expected
