"""What is known of items and users, in the order of the log's indices.

``prepared/items.parquet`` holds the item index (``id``) and, one row a dense item row in order, null where unknown,
those of ``category`` (list of text, from the root to the leaf), ``brand`` (text), ``price`` (float32), ``text`` and
``published`` (int64 unix milliseconds) that the shop has. Items that only the files about items know join the index
where ``data.items.join`` says so; else they are left out.

``prepared/users.parquet`` holds one row a user of the log, by ascending id (a session's row, unless sessions are parts
of a user's events): float32 numbers and text labels under the shop's names, null where unknown. ``users.parquet`` in
the folder of a pass holds the same columns, one row a session of the pass's log. ``absent_users.parquet`` holds the ids
of users whom the log does not know: a submission may ask for their lists, too.
"""

from pathlib import Path

import polars as pl

from events.columns import AID, SESSION
from events.files import atomic_file
from events.index import IdIndex
from events.raw import GROUP

ITEMS, USERS, ABSENT = "items.parquet", "users.parquet", "absent_users.parquet"


def user_index(paths: list[Path]) -> IdIndex:
    """Index of the users of these logs: of the groups, where sessions have one, else of the sessions."""
    ids = []
    for path in paths:
        user = GROUP if GROUP in pl.read_parquet_schema(path) else SESSION
        ids.append(pl.scan_parquet(path).select(user).unique().collect(engine="streaming")[user].rename(SESSION))
    return IdIndex.of(pl.concat(ids))


def aligned(known: pl.DataFrame, key: str, ids: pl.Series) -> pl.DataFrame:
    """The rows of ``known`` (unique by ``key``) for these ids, in their order, without the key; null where unknown."""
    return ids.alias(key).to_frame().join(known, on=key, how="left", maintain_order="left").drop(key)


def write_items(folder: Path, known: pl.DataFrame) -> dict[str, float]:
    """Add what ``read_items`` gave to the ``items.parquet`` of a folder; return the share of items known, by column."""
    ids = IdIndex.load(folder / ITEMS).ids
    table = aligned(known, AID, ids)
    _write(folder / ITEMS, table.insert_column(0, ids.alias("id")))
    return _known(table.drop("id"))


def write_users(folder: Path, known: pl.DataFrame, ids: pl.Series) -> dict[str, float]:
    """Write the ``users.parquet`` of a folder, a row an id, of what ``read_users`` gave; return the share known."""
    table = aligned(known, SESSION, ids)
    _write(folder / USERS, table)
    return _known(table)


def write_absent(folder: Path, known: pl.DataFrame, ids: pl.Series) -> int:
    """Write the ids of the users of ``read_users`` that are not among ``ids``, ascending; return their number."""
    absent = known.select(pl.col(SESSION).alias("id")).filter(~pl.col("id").is_in(ids.implode())).sort("id")
    _write(folder / ABSENT, absent)
    return absent.height


def _write(path: Path, table: pl.DataFrame) -> None:
    with atomic_file(path) as beside:
        table.write_parquet(beside)


def _known(table: pl.DataFrame) -> dict[str, float]:
    return {name: 1 - table[name].null_count() / max(1, table.height) for name in table.columns}
