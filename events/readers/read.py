"""One door to all readers."""

from pathlib import Path
from typing import Literal

from events.errors import InputError
from events.readers.otto import read_otto
from events.readers.report import ReadReport
from events.readers.sequences import read_prefix_labels, read_sequences
from events.readers.table import read_table
from events.settings import DataSettings, EventsSettings


def read(
    data: DataSettings, events: EventsSettings, part: Literal["train", "test"], out: Path, threads: int = 2
) -> ReadReport:
    """Read the train or test file of a shop and write it as the canonical log ``out``, whole or not at all.

    Raises
    ------
    InputError
        If the file is missing or malformed; with the line, the problem and the remedy.
    """
    name = data.train if part == "train" else data.test
    if name is None or data.kind == "shop":
        raise InputError(data.root, None, f"there is no {part} file to read", f"set data.{part}")
    path = data.root / name
    if not path.is_file():
        raise InputError(path, None, "no such file", f"correct data.root or data.{part}")
    skip = events.on_bad_rows == "skip"
    if data.kind == "otto":
        return read_otto(path, out, skip, threads)
    if data.kind == "prefix_labels" and part == "test":
        return read_prefix_labels(path, data, out, skip)
    if data.kind in ("sequences", "prefix_labels"):
        return read_sequences(path, data, out, skip)
    return read_table(path, data, out, skip)
