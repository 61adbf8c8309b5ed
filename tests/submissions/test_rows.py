"""Lines and ids found in bytes, against Python's own string methods."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.index import IdIndex
from submissions import rows as rows_module
from submissions.identifiers import NOT_INTEGER, UNKNOWN, IdBytes, Known
from submissions.rows import line_chunks, split_rows

TEXT = st.text(alphabet="ab1_, \n-", max_size=60)
IDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 30), unique=True, max_size=12)


def as_array(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(text.encode(), np.uint8)


@settings(max_examples=200)
@given(TEXT)
def test_split_equals_pythons_split(text: str) -> None:
    data = as_array(text)
    rows = split_rows(data, 0, data.size, ("a", "b1"))
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    assert len(rows) == len(lines)
    for i, line in enumerate(lines):
        stripped = line.rstrip(" ")
        key, comma, tail = stripped.partition(",")
        assert text[rows.starts[i] : rows.stops[i]] == stripped
        assert rows.n_commas[i] == line.count(",")
        if comma:
            assert text[rows.starts[i] : rows.commas[i]] == key
            items = [
                text[a:b]
                for a, b in zip(
                    rows.item_starts[rows.offsets[i] : rows.offsets[i + 1]],
                    rows.item_stops[rows.offsets[i] : rows.offsets[i + 1]],
                    strict=True,
                )
            ]
            assert items == (tail.split(" ") if tail else [])
            session, underscore, target = key.rpartition("_")
            assert rows.targets[i] == (["a", "b1"].index(target) if underscore and target in ("a", "b1") else -1)
            assert text[rows.starts[i] : rows.underscores[i]] == session


@given(TEXT, st.integers(1, 9))
def test_chunks_are_whole_lines(text: str, size: int) -> None:
    data = as_array(text)
    pieces = [text[begin:end] for begin, end in line_chunks(Path("x"), data, size)]
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "LONGEST_LINE", 100)
    with pytest.raises(InputError, match="longer than 64 MiB"):
        list(line_chunks(Path("x"), np.full(1_000, ord("7"), np.uint8), 10))


def look_up(index: IdIndex | None, tokens: list[str]) -> tuple[list[int], list[int]]:
    encoded = [token.encode() for token in tokens]
    stops = np.cumsum([len(token) for token in encoded]).astype(np.int64)
    starts = stops - np.array([len(token) for token in encoded], np.int64)
    rows, values = Known.of(index).rows(np.frombuffer(b"".join(encoded) + b"\n", np.uint8), starts, stops)
    return rows.tolist(), values.tolist()


@settings(max_examples=120)
@given(IDS, st.lists(st.integers(-5, 30), min_size=1, max_size=8))
def test_integers_are_found(ids: list[int], asked: list[int]) -> None:
    index = IdIndex.of(pl.Series(ids, dtype=pl.Int64))
    wanted = [*asked, *ids]
    rows, values = look_up(index, [str(one) for one in wanted])
    assert rows == index.rows(pl.Series(wanted, dtype=pl.Int64)).tolist()
    assert values == wanted


@given(st.lists(st.text(alphabet="aé_1", min_size=1, max_size=4), unique=True, max_size=30), st.data())
def test_strings_are_found(ids: list[str], data: st.DataObject) -> None:
    index = IdIndex.of(pl.Series(ids, dtype=pl.String))
    asked = data.draw(st.lists(st.text(alphabet="aé_1", max_size=4), min_size=1, max_size=8)) + ids
    rows, _ = look_up(index, asked)
    assert rows == [index.ids.to_list().index(one) if one in ids else UNKNOWN for one in asked]


def test_what_is_no_integer() -> None:
    tokens = [
        "",
        "-",
        "1.0",
        "+1",
        " 1",
        "1e3",
        "٣",
        "0x1",
        "12",
        "-12",
        "007",
        "9223372036854775808",
        "-9223372036854775809",
    ]
    rows, values = look_up(None, tokens)
    assert rows == [NOT_INTEGER] * 8 + [UNKNOWN] * 5
    assert values[8:] == [12, -12, 7, 2**63 - 1, -(2**63)]


def test_bytes_of_a_slice_of_ids() -> None:
    names = IdBytes.of(pl.Series(["aa", "é", "", "dddd"]).slice(1, 3))
    assert names.longest == 4
    assert [names.text[a:b].tobytes().decode() for a, b in zip(names.offsets, names.offsets[1:], strict=False)] == [
        "é", "", "dddd",
    ]  # fmt: skip
