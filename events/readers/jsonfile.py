"""Some keys of a JSONL file as the columns of a table, in bounded memory beside them."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from events.errors import InputError
from events.readers.blocks import line_blocks
from events.readers.csvfile import Lines, no_column
from events.readers.report import BadLines

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz")
LINE = "__line__"
"""Number of a line in the file, from 1; no name that a table would use."""


def is_json(path: Path) -> bool:
    """Whether the name says that each line is a JSON object."""
    return path.name.endswith(SUFFIXES)


def read_json_columns(
    path: Path, wanted: Mapping[str, str], bad: BadLines, setting: str = "data.columns"
) -> tuple[pl.DataFrame, Lines]:
    """The wanted keys of each line as text under our names, null where missing or ``null``; and each row's line.

    wanted : our name to the file's key; ``details.weight`` is a key inside another. A list or an object comes as JSON.

    Raises
    ------
    InputError
        If the file is missing, empty or cut off, a line is no JSON object, or no line has one of the keys.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "correct data.root and the file's name")
    parts: list[pl.DataFrame] = []
    line = 1
    first = ""
    for block in line_blocks(path):
        text = pl.Series([block.tobytes().decode("utf-8", "replace")]).str.split("\n").explode()
        frame = text.alias(LINE).to_frame().with_row_index("row", offset=line)
        line += frame.height - 1  # behind the last line break there is nothing
        frame = frame.filter(pl.col(LINE).str.strip_chars() != "")
        first = first or (frame[LINE][0] if frame.height else "")
        keys = [pl.col(LINE).str.json_path_match(json_path(key)).alias(ours) for ours, key in wanted.items()]
        is_object = pl.col(LINE).str.contains(r"^\s*\{.*\}\s*$")
        read = frame.select(pl.col("row").cast(pl.Int64).alias(LINE), is_object.alias("__object__"), *keys)
        wrong = read.filter(~pl.col("__object__") | pl.all_horizontal(pl.col(*wanted).is_null()))
        if wrong.height:
            _explain(frame, wrong, path, wanted, bad, setting)
            read = read.join(wrong.select(LINE), on=LINE, how="anti", maintain_order="left")
        parts.append(read.drop("__object__"))
    if not first:
        raise InputError(path, None, "no events: the file is empty", "check data.root and the file's name")
    whole = pl.concat(parts)
    for ours, key in wanted.items():
        if whole[ours].null_count() == whole.height:
            raise no_column(path, key, _keys(first), setting)
    lines = whole[LINE]
    return whole.drop(LINE), lambda row: int(lines[row])


def json_path(key: str) -> str:
    """The JSON path of a key.

    >>> json_path("details.Date First Available")
    "$['details']['Date First Available']"
    """
    return "$" + "".join(f"['{part}']" for part in key.split("."))


def _keys(line: str) -> list[str]:
    try:
        value = json.loads(line)
    except ValueError:
        return []
    return list(value) if isinstance(value, dict) else []


def _explain(
    frame: pl.DataFrame, wrong: pl.DataFrame, path: Path, wanted: Mapping[str, str], bad: BadLines, setting: str
) -> None:
    """Say what is wrong with lines without any of the keys: the first in words, the others counted."""
    row = int(wrong[LINE][0])
    text = frame.filter(pl.col("row") == row)[LINE][0]
    try:
        value = json.loads(text)
    except ValueError as error:
        bad.add(row, f"not JSON: {error}", "correct the line", wrong.height)
        return
    if isinstance(value, dict) and row == 1:
        raise no_column(path, next(iter(wanted.values())), list(value), setting)
    problem = "none of the keys " + ", ".join(wanted.values()) if isinstance(value, dict) else "not a JSON object"
    bad.add(row, problem, "correct the line", wrong.height)
