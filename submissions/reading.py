"""Submission files read back as lists: what :mod:`submissions.kaggle_csv` writes, or anyone else."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists
from submissions.identifiers import NOT_INTEGER, Known
from submissions.rows import Rows, line_chunks, read_bytes, split_rows

Pieces = Iterator[tuple[npt.NDArray[np.uint8], Rows]]


def _pieces(path: Path, targets: Sequence[str]) -> Pieces:
    """The file's bytes and its rows, piece by piece; the header is a row of an unknown type."""
    data = read_bytes(path)
    for begin, end in line_chunks(path, data):
        yield data, split_rows(data, begin, end, targets)


def read_ids(path: Path) -> tuple[pl.Series, tuple[str, ...], IdIndex]:
    """The whole-number ids of a file: sessions in the order in which they come first, targets, and items.

    Lines that cannot be read are passed over: whether there are any is for ``submissions.validator`` to say.

    Raises
    ------
    InputError
        If the file is missing or holds no row with a whole number for its session.
    """
    anything = Known.of(None)
    sessions, items, present = [], [], np.zeros(len(TARGETS), np.bool_)
    for data, rows in _pieces(path, TARGETS):
        kinds, ids = anything.rows(data, rows.starts, rows.underscores)
        good = (rows.targets >= 0) & (kinds != NOT_INTEGER)
        sessions.append(pl.Series("id", ids[good]).unique(maintain_order=True))
        present[np.unique(rows.targets[good])] = True
        kinds, ids = anything.rows(data, rows.item_starts, rows.item_stops)
        items.append(pl.Series("id", ids[kinds != NOT_INTEGER]).unique())
    if not present.any():
        remedy = "give a submission CSV; ids that are text are read where an input is the folder of a run"
        raise InputError(path, None, "no row has the form <session>_<type>,<items> with whole numbers", remedy)
    names = tuple(name for name, there in zip(TARGETS, present, strict=True) if there)
    return pl.concat(sessions).unique(maintain_order=True), names, IdIndex.of(pl.concat(items))


def read_submission(path: Path, session_ids: pl.Series, targets: Sequence[str], items: IdIndex) -> dict[str, Lists]:
    """Lists of S sessions from a file that ``submissions.validator`` found valid for them; scores are 0.

    session_ids : S source ids, the order of the lists
    """
    index = IdIndex.of(session_ids)
    known, known_items = Known.of(index), Known.of(items)
    place = np.empty(len(index), np.int64)
    place[index.rows(session_ids)] = np.arange(len(index))
    places: dict[str, list[npt.NDArray[np.int64]]] = {target: [] for target in targets}
    parts: dict[str, list[Lists]] = {target: [] for target in targets}
    for data, rows in _pieces(path, targets):
        owner, _ = known.rows(data, rows.starts, rows.underscores)
        aids, _ = known_items.rows(data, rows.item_starts, rows.item_stops)
        lists = Lists(rows.offsets, aids, np.zeros(aids.size, np.float32))
        for code, target in enumerate(targets):
            mine = np.flatnonzero(rows.targets == code)
            places[target].append(place[owner[mine]])
            parts[target].append(lists.take(mine))
    return {target: Lists.concat(parts[target]).take(np.argsort(np.concatenate(places[target]))) for target in targets}
