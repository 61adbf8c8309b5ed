"""What is known of items and users, beside the log: ``prepared/items.parquet`` and ``prepared/users.parquet``.

``items.parquet`` holds the item index (``id``) and, one row a dense item row in order, null where unknown, those of
``category`` (list of text, from the root to the leaf), ``brand`` (text), ``price`` (float32), ``text``, ``published``
(int64 unix milliseconds) that the shop has. Items that only the files about items know join the index where
``data.items.join`` says so.

``users.parquet`` holds one row a user of the log, by ascending id (a session's row, unless sessions are parts of a
user's events): float32 numbers, text labels, null where unknown. ``PassData.users`` says which row is whose.
"""

from pathlib import Path

import polars as pl

from events.columns import AID, SESSION
from events.files import atomic_file
from events.index import IdIndex
from events.passes import PassData
from events.raw import GROUP

ITEMS, USERS = "items.parquet", "users.parquet"


def user_index(paths: list[Path]) -> IdIndex:
    """Index of the users of these logs: of the groups, where sessions have one, else of the sessions."""
    ids = []
    for path in paths:
        names = pl.read_parquet_schema(path)
        user = GROUP if GROUP in names else SESSION
        ids.append(pl.scan_parquet(path).select(user).unique().collect(engine="streaming")[user].rename(SESSION))
    return IdIndex.of(pl.concat(ids))


def write_items(folder: Path, known: pl.DataFrame) -> dict[str, float]:
    """Add what ``read_items`` gave to the ``items.parquet`` of a folder; return the share of items known, by column."""
    return _write(folder / ITEMS, IdIndex.load(folder / ITEMS), known, AID, keep_id=True)


def write_users(folder: Path, users: IdIndex, known: pl.DataFrame) -> dict[str, float]:
    """Write ``users.parquet`` of what ``read_users`` gave; return the share of users known, by column."""
    return _write(folder / USERS, users, known, SESSION, keep_id=False)


def load_items(folder: Path) -> pl.DataFrame | None:
    """The table of items of a ``prepared`` folder, a row a dense item row; ``None`` where nothing is known of items."""
    frame = pl.read_parquet(folder / ITEMS).drop("id")
    return frame if frame.width else None


def load_users(folder: Path, data: PassData) -> pl.DataFrame | None:
    """The table of users, a row a session of the pass's log; ``None`` where nothing is known of users."""
    if data.users is None or not (folder / USERS).exists():
        return None
    return pl.read_parquet(folder / USERS)[data.users]


def _write(path: Path, index: IdIndex, known: pl.DataFrame, key: str, keep_id: bool) -> dict[str, float]:
    ids = index.ids.to_frame("id")
    table = ids.join(known.rename({key: "id"}), on="id", how="left", maintain_order="left")
    with atomic_file(path) as beside:
        (table if keep_id else table.drop("id")).write_parquet(beside)
    return {name: 1 - table[name].null_count() / max(1, table.height) for name in table.columns if name != "id"}
