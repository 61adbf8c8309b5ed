"""Ranked lists as a table with the source's own ids: out-of-fold predictions, kept for stacking and inspection."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from events.columns import AID, SESSION
from events.errors import InputError
from events.files import atomic_file
from events.index import IdIndex
from events.lists import Lists

TARGET = "target"
RANK = "rank"
SCORE = "score"


def write_predictions(
    path: Path, session_ids: pl.Series, items: IdIndex, lists: Mapping[str, Lists], top: int | None = None
) -> None:
    """Write one row a (target, session, item): ``target, session, aid, rank, score``, best first; rank 0 is best.

    session_ids : series[S] the source's ids of the sessions
    lists       : target to the lists of these S sessions
    top         : entries of each list to keep, all by default
    """
    frames = []
    for target, full in lists.items():
        if len(full) != len(session_ids):
            raise ValueError(f"{len(full)} lists of {target}, {len(session_ids)} sessions")
        kept = full if top is None else full.top(top)
        owner = np.repeat(np.arange(len(kept)), kept.lengths)
        columns = {
            TARGET: pl.repeat(target, owner.size, dtype=pl.String, eager=True),
            SESSION: session_ids.gather(owner),
            AID: items.take(kept.aids),
            RANK: (np.arange(owner.size) - kept.offsets[owner]).astype(np.int16),
            SCORE: kept.scores,
        }
        frames.append(pl.DataFrame(columns))
    table = pl.concat(frames) if frames else pl.DataFrame(schema=[TARGET, SESSION, AID, RANK, SCORE])
    with atomic_file(path) as beside:
        table.write_parquet(beside)


def read_predictions(path: Path, session_ids: pl.Series, items: IdIndex) -> dict[str, Lists]:
    """Read what :func:`write_predictions` wrote, for these sessions in this order.

    A session that is missing has an empty list; a target of which no session has a list is left out.

    Raises
    ------
    InputError
        If the file is missing or names an item that the index does not hold.
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "run the stage rank first")
    table = pl.read_parquet(path)
    places = pl.DataFrame({SESSION: session_ids, "place": np.arange(len(session_ids))})
    result: dict[str, Lists] = {}
    for target in table[TARGET].unique(maintain_order=True):
        part = table.filter(pl.col(TARGET) == target).join(places, on=SESSION).sort("place", RANK)
        aids = items.rows(part[AID])
        if (aids < 0).any():
            raise InputError(path, None, "names an unknown item", "use the item index that it was written with")
        offsets = np.searchsorted(part["place"].to_numpy(), np.arange(len(session_ids) + 1)).astype(np.int64)
        result[target] = Lists(offsets, aids.astype(np.int32), part[SCORE].to_numpy())
    return result
