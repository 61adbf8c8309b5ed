"""Ranked lists as a table with the source's own ids: out-of-fold predictions, kept for stacking and inspection."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import AID, SESSION
from events.errors import InputError
from events.files import atomic_file
from events.index import IdIndex
from events.lists import Lists

TARGET = "target"
RANK = "rank"
SCORE = "score"


def write_lists(
    path: Path,
    lists: Mapping[str, Lists],
    sessions: npt.NDArray[np.int64],
    session_index: IdIndex,
    item_index: IdIndex,
    top: int | None = None,
) -> None:
    """Write one row a (target, session, item): ``session, target, aid, rank, score``, best first; rank 0 is best.

    lists    : target to the lists of S sessions
    sessions : int64[S] dense rows in the session index
    top      : entries of each list to keep, all by default
    """
    frames = []
    for target, full in lists.items():
        if len(full) != sessions.size:
            raise ValueError(f"{len(full)} lists of {target}, {sessions.size} sessions")
        kept = full if top is None else full.top(top)
        owner = np.repeat(np.arange(sessions.size), kept.lengths)
        columns = {
            SESSION: session_index.take(sessions[owner]),
            TARGET: pl.repeat(target, owner.size, dtype=pl.Enum(list(lists)), eager=True),
            AID: item_index.take(kept.aids),
            RANK: (np.arange(owner.size) - kept.offsets[owner]).astype(np.int16),
            SCORE: kept.scores,
        }
        frames.append(pl.DataFrame(columns))
    table = pl.concat(frames) if frames else pl.DataFrame()
    with atomic_file(path) as beside:
        table.write_parquet(beside)


def read_lists(
    path: Path, sessions: npt.NDArray[np.int64], session_index: IdIndex, item_index: IdIndex
) -> dict[str, Lists]:
    """Read what :func:`write_lists` wrote, for these sessions in this order; one that is missing has an empty list.

    Raises
    ------
    InputError
        If the file is missing or names an item that the index does not hold.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "run the stage rank first")
    table = pl.read_parquet(path)
    place_of = np.full(len(session_index), -1, np.int64)
    place_of[sessions] = np.arange(sessions.size)
    result: dict[str, Lists] = {}
    for target in table[TARGET].unique(maintain_order=True).to_list() if table.width else []:
        part = table.filter(pl.col(TARGET) == target)
        rows = session_index.rows(part[SESSION])
        aids = item_index.rows(part[AID])
        if (aids < 0).any():
            raise InputError(path, None, "names an unknown item", "use the item index that it was written with")
        places = np.where(rows >= 0, place_of[rows], -1)
        order = np.lexsort((part[RANK].to_numpy(), places))
        order = order[places[order] >= 0]
        offsets = np.searchsorted(places[order], np.arange(sessions.size + 1)).astype(np.int64)
        scores = part[SCORE].to_numpy()[order]
        result[target] = Lists(offsets, aids[order].astype(np.int32), scores.astype(np.float32))
    return result
