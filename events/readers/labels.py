"""Labels of test sessions: the official JSONL, or Parquet in long form."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from events.columns import AID, SESSION, TARGETS, TYPE
from events.errors import InputError
from events.index import IdIndex
from events.labels import Labels, LabelSet

REMEDY = 'write {"session": 1, "labels": {"clicks": 2, "carts": [3], "orders": [4]}}'


def read_labels(path: Path) -> pl.DataFrame:
    """Labels in long form: ``session``, ``type`` (Int8), ``aid``; no repeats, sorted.

    Two forms: JSONL, optionally .gz, with lines ``{"session": 1, "labels": {"clicks": 2, "carts": [3]}}``, and
    Parquet with the three columns.

    Raises
    ------
    InputError
        If the file is missing or malformed, with the line.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "correct data.test_labels and data.root")
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_jsonl(path)
    return frame.unique().sort(SESSION, TYPE, AID)


def align_labels(
    frame: pl.DataFrame, session_ids: pl.Series, items: IdIndex, targets: tuple[str, ...], path: Path
) -> Labels:
    """The labels of these sessions, in this order; sessions that ``frame`` lacks have none, others are ignored.

    Raises
    ------
    InputError
        If ids are text on one side and integers on the other.
    """
    if frame.height and (frame[SESSION].dtype != session_ids.dtype or frame[AID].dtype != items.ids.dtype):
        remedy = "give ids of the same kind in the log and in the labels"
        raise InputError(path, None, "ids are text on one side and integers on the other", remedy)
    order = session_ids.arg_sort()
    asked = IdIndex(session_ids.gather(order))
    rows = asked.rows(frame[SESSION])
    place = order.to_numpy()[rows]
    known = items.rows(frame[AID])
    types = frame[TYPE].to_numpy()
    labels: Labels = {}
    for code, target in enumerate(TARGETS):
        if target not in targets:
            continue
        chosen = np.flatnonzero((rows >= 0) & (types == code))
        chosen = chosen[np.lexsort((known[chosen], place[chosen]))]
        offsets = np.zeros(len(session_ids) + 1, np.int64)
        np.cumsum(np.bincount(place[chosen], minlength=len(session_ids)), out=offsets[1:])
        labels[target] = LabelSet(offsets, known[chosen].astype(np.int32))
    return labels


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(path, None, f"not a Parquet file: {str(error).splitlines()[0]}", "write it again") from None
    if not {SESSION, TYPE, AID} <= set(frame.columns):
        raise InputError(path, None, "columns session, type and aid are needed", "rename the columns")
    ids = [pl.col(name).cast(pl.Int64 if frame[name].dtype.is_integer() else pl.String) for name in (SESSION, AID)]
    return frame.select(ids[0], pl.col(TYPE).cast(pl.Int8), ids[1])


def _read_jsonl(path: Path) -> pl.DataFrame:
    sessions: list[int] = []
    types: list[int] = []
    aids: list[int] = []
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(_whole_lines(file, path), 1):
            try:
                if line.strip():
                    _add_line(json.loads(line), sessions, types, aids)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise InputError(path, number, f"not a line of labels: {error!r}", REMEDY) from None
    columns = {SESSION: sessions, TYPE: types, AID: aids}
    return pl.DataFrame(columns, schema={SESSION: pl.Int64, TYPE: pl.Int8, AID: pl.Int64})


def _whole_lines(file: Iterable[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problem = f"the compressed file is damaged or cut off ({error})"
        raise InputError(path, None, problem, "fetch it again") from None


def _add_line(value: Any, sessions: list[int], types: list[int], aids: list[int]) -> None:
    session = _whole_number(value["session"])
    for target, items in value["labels"].items():
        code = TARGETS.index(target)
        for aid in items if isinstance(items, list) else [items]:
            sessions.append(session)
            types.append(code)
            aids.append(_whole_number(aid))


def _whole_number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not an id")
    return value
