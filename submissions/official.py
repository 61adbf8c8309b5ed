"""The competition's own files, scored by their source ids as the official script scores them.

Labels are JSON lines, ``{"session": 100, "labels": {"clicks": 4, "carts": [7], "orders": []}}``. As there, a label
is tested for its truth: a next click on item 0 is no label, nor is an empty list; item 0 in a list counts. A session
or a row id that stands twice has its last value.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import AID, SESSION, TARGETS, WEIGHTS
from events.errors import InputError
from events.index import IdIndex
from events.labels import Labels, LabelSet
from events.lists import Lists
from submissions.defects import UNREADABLE, Checked, check_rows, describe
from submissions.identifiers import Known
from submissions.metrics import Hits, Scores, count_hits
from submissions.rows import HEADER, Rows, line_chunks, read_bytes, split_rows

SCHEMA = {
    "session": pl.Int64(),
    "labels": pl.Struct({"clicks": pl.Int64(), "carts": pl.List(pl.Int64()), "orders": pl.List(pl.Int64())}),
}
LABEL_REMEDY = 'write lines such as {"session": 1, "labels": {"clicks": 4, "carts": [7], "orders": [7]}}'
ROW_REMEDY = "write rows such as 42_clicks,0 1 2"


@dataclass(frozen=True, slots=True)
class OfficialLabels:
    """Labels with the ids they were given in; ``items`` holds no more than the items of the labels."""

    sessions: IdIndex
    items: IdIndex
    labels: Labels


def read_labels(path: Path) -> OfficialLabels:
    """Read a labels file; a target that no session has labels for has empty sets.

    Raises
    ------
    InputError
        If the file is missing or empty, or a line is not what it should be (the line is named).
    """
    if not path.is_file():
        raise InputError(path, None, "no such file", "check the path")
    if path.stat().st_size == 0:
        raise InputError(path, None, "the file is empty", LABEL_REMEDY)
    try:
        table = pl.scan_ndjson(path, schema=SCHEMA).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise _malformed(path, str(error).splitlines()[0]) from None
    table = table.select("session", pl.col("labels").is_null().alias("none"), pl.col("labels").struct.unnest())
    holes = pl.any_horizontal(
        pl.col("session").is_null(), "none", *(pl.col(name).list.contains(None) for name in ("carts", "orders"))
    )
    if table.select(holes.any()).item():
        raise _malformed(path, "a session, its labels or an item is missing")

    table = table.unique("session", keep="last").sort("session").with_row_index("row")
    pairs = {
        "clicks": table.select("row", pl.col("clicks").alias(AID)).filter(pl.col(AID) != 0),
        "carts": table.select("row", pl.col("carts").alias(AID)).explode(AID).drop_nulls(AID),
        "orders": table.select("row", pl.col("orders").alias(AID)).explode(AID).drop_nulls(AID),
    }
    items = IdIndex.of(pl.concat([pair[AID] for pair in pairs.values()]))
    labels = {target: _label_set(pairs[target].unique().sort("row", AID), table.height, items) for target in TARGETS}
    return OfficialLabels(IdIndex(table["session"].rename("id")), items, labels)


def _label_set(pairs: pl.DataFrame, n_sessions: int, items: IdIndex) -> LabelSet:
    offsets = np.zeros(n_sessions + 1, np.int64)
    np.cumsum(np.bincount(pairs["row"].to_numpy(), minlength=n_sessions), out=offsets[1:])
    return LabelSet(offsets, items.rows(pairs[AID]).astype(np.int32))


def _malformed(path: Path, otherwise: str) -> InputError:
    """The error of the first bad line, found by reading line by line: the fast reader does not say where it stopped."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            problem = _problem_of(line) if line.strip() else None
            if problem is not None:
                return InputError(path, number, problem, LABEL_REMEDY)
    return InputError(path, None, otherwise, LABEL_REMEDY)


def _problem_of(line: bytes) -> str | None:
    def whole(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63

    try:
        record = json.loads(line)
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(record, dict) or not whole(record.get(SESSION)):
        return 'there is no whole number under "session"'
    labels = record.get("labels")
    if not isinstance(labels, dict):
        return 'there is no object under "labels"'
    if not (labels.get("clicks") is None or whole(labels["clicks"])):
        return "the label clicks is not an item id"
    for target in ("carts", "orders"):
        value = labels.get(target)
        if not (value is None or (isinstance(value, list) and all(map(whole, value)))):
            return f"the label {target} is not a list of item ids"
    return None


def read_hits(path: Path, truth: OfficialLabels, k: int) -> dict[str, Hits]:
    """Meet a predictions file (``session_type,labels``) with labels, piece by piece: memory holds no list for long.

    A missing row counts no hit; rows of sessions without labels are ignored.

    Raises
    ------
    InputError
        If the file is missing, or its header or a row cannot be read (the line is named).
    """
    n_sessions = len(truth.sessions)
    hits = {target: count_hits(Lists.empty(n_sessions), label_set, k) for target, label_set in truth.labels.items()}
    sessions, items = Known.of(truth.sessions), Known.of(truth.items)
    seen = np.zeros(n_sessions * len(TARGETS), np.int64)
    data = read_bytes(path)
    first_line = 1
    for begin, end in line_chunks(path, data):
        rows = split_rows(data, begin, end, TARGETS)
        checked = check_rows(
            data, rows, sessions, items, any_integer=True, k=k, n_targets=len(TARGETS), first_line=first_line, seen=seen
        )
        _refuse_unreadable(path, data, rows, checked, first_line)
        _meet(rows, checked, truth, hits, k, skip=1 if first_line == 1 else 0)
        first_line += len(rows)
    if first_line == 1:
        raise InputError(path, None, "the file is empty", ROW_REMEDY)
    return hits


def _refuse_unreadable(path: Path, data: npt.NDArray[np.uint8], rows: Rows, checked: Checked, first_line: int) -> None:
    start = 0
    if first_line == 1:
        start = 1
        header = data[rows.starts[0] : rows.stops[0]].tobytes()
        if header != HEADER.encode():
            raise InputError(path, 1, f"the header is not {HEADER}", f"let the first line be {HEADER}")
    bad = np.flatnonzero(checked.flags[start:] & UNREADABLE)
    if bad.size:
        line = start + int(bad[0])
        flags = int(checked.flags[line]) & UNREADABLE
        problem = describe(data, rows, checked, line, flags & -flags, 0)
        raise InputError(path, first_line + line, problem, ROW_REMEDY)


def _meet(rows: Rows, checked: Checked, truth: OfficialLabels, hits: Mapping[str, Hits], k: int, skip: int) -> None:
    """Score the rows of a piece and write their hits over those of earlier rows with the same id."""
    lists = Lists(rows.offsets, checked.items, np.zeros(0, np.float32))
    for code, target in enumerate(TARGETS):
        mine = skip + np.flatnonzero((rows.targets[skip:] == code) & (checked.sessions[skip:] >= 0))
        # Of equal row ids the last: assignment by repeated indices would not promise an order.
        chosen, from_end = np.unique(checked.sessions[mine][::-1].astype(np.int64), return_index=True)
        mine = mine[mine.size - 1 - from_end]
        found = count_hits(_take(lists, mine), truth.labels[target].take(chosen), k)
        hits[target].hits[chosen] = found.hits
        hits[target].ranks[chosen] = found.ranks


def _take(lists: Lists, rows: npt.NDArray[np.int64]) -> Lists:
    """These lists; unlike :meth:`Lists.take` it asks for no scores, which a file does not hold."""
    offsets = np.zeros(rows.size + 1, np.int64)
    lengths = lists.lengths[rows]
    np.cumsum(lengths, out=offsets[1:])
    places = np.repeat(lists.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Lists(offsets, lists.aids[places], lists.scores)


def score_files(labels: Path, predictions: Path, k: int = 20, weights: Mapping[str, float] = WEIGHTS) -> Scores:
    """Scores of a predictions file against a labels file, equal to the official script's in every digit.

    Raises
    ------
    InputError
        If a file is missing or malformed.
    """
    return Scores.of(read_hits(predictions, read_labels(labels), k), weights)
