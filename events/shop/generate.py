"""The shop's log on disk, chunk after chunk: train, truncated test sessions, and what the test sessions did next."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from events.columns import AID, EVENT, SESSION, TS, TYPE
from events.compiled import kernel
from events.files import atomic_file
from events.shop.settings import ShopSettings
from events.shop.walk import Chunk, Shop

CHUNK_SESSIONS: Final = 40_000
"""Sessions walked at a time: a row group. Part of the files' form, not of their content."""

T = TypeVar("T")

LOG_SCHEMA: Final = pa.schema(
    {SESSION: pa.int64(), AID: pa.int64(), TS: pa.int64(), TYPE: pa.int8(), EVENT: pa.int32()}
)
LABEL_SCHEMA: Final = pa.schema({SESSION: pa.int64(), TYPE: pa.int8(), AID: pa.int64()})


def generate(settings: ShopSettings, folder: Path, threads: int = 0, progress: bool = True) -> None:
    """Write ``train.parquet``, ``test.parquet`` and ``test_labels.parquet`` into ``folder``, each atomically.

    The logs have columns session, aid, ts (unix milliseconds), type and event (index in the session), sorted by
    session and event; ids of test sessions follow those of train; test sessions are cut at a random event. The labels
    are in long form (session, type, aid), sorted, by the official rules. Memory is bounded by a few chunks whatever
    the size, and the content does not depend on ``threads`` (0: all cores).
    """
    shop = Shop.of(settings)
    workers = threads or cpu_count() or 1
    train, everyone = settings.train_sessions, settings.train_sessions + settings.tests
    with tqdm(total=everyone, desc="shop", unit=" sessions", disable=None if progress else True) as bar:
        with atomic_file(folder / "train.parquet") as log, _writer(log, LOG_SCHEMA) as writer:
            for table in _in_order(lambda a, b: log_table(shop.walk(a, b)), 0, train, workers):
                writer.write_table(table, row_group_size=table.num_rows)
                bar.update(min(CHUNK_SESSIONS, everyone - bar.n))
        with (
            atomic_file(folder / "test.parquet") as log,
            atomic_file(folder / "test_labels.parquet") as labels,
            _writer(log, LOG_SCHEMA) as writer,
            _writer(labels, LABEL_SCHEMA) as label_writer,
        ):
            for visible, hidden in _in_order(lambda a, b: cut_tables(shop, shop.walk(a, b)), train, everyone, workers):
                writer.write_table(visible, row_group_size=max(1, visible.num_rows))
                label_writer.write_table(hidden, row_group_size=max(1, hidden.num_rows))
                bar.update(min(CHUNK_SESSIONS, everyone - bar.n))
        bar.update(everyone - bar.n)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=[TYPE])


def _in_order(make: Callable[[int, int], T], first: int, last: int, workers: int) -> Iterator[T]:
    """Make the chunks of sessions ``first:last`` in threads, yield them in order, keep few waiting."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Future[T]] = []
        for start in range(first, last, CHUNK_SESSIONS):
            waiting.append(pool.submit(make, start, min(last, start + CHUNK_SESSIONS)))
            if len(waiting) > workers + 1:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def log_table(chunk: Chunk) -> pa.Table:
    """The events of a chunk as they stand in a file."""
    sizes = np.diff(chunk.offsets)
    sessions = np.repeat(np.arange(chunk.first, chunk.first + sizes.size), sizes)
    event = (np.arange(chunk.aids.size) - np.repeat(chunk.offsets[:-1], sizes)).astype(np.int32)
    return pa.table([sessions, chunk.aids.astype(np.int64), chunk.ts, chunk.types, event], schema=LOG_SCHEMA)


def cut_tables(shop: Shop, chunk: Chunk) -> tuple[pa.Table, pa.Table]:
    """The visible events of a chunk, and the labels of the hidden ones."""
    cuts = shop.cuts(chunk)
    sizes = np.diff(chunk.offsets)
    event = np.arange(chunk.aids.size) - np.repeat(chunk.offsets[:-1], sizes)
    visible = log_table(chunk).filter(pa.array(event < np.repeat(cuts, sizes)))
    return visible, label_table(chunk, cuts)


def label_table(chunk: Chunk, cuts: npt.NDArray[np.int64]) -> pa.Table:
    """Long form (session, type, aid), sorted: the next click; the sets of items carted and ordered later."""
    marked = np.zeros(chunk.aids.size, np.bool_)
    mark_labels(chunk.offsets, chunk.aids, chunk.types, cuts, marked)
    places = np.flatnonzero(marked)
    sessions = np.searchsorted(chunk.offsets, places, side="right") - 1 + chunk.first
    aids, types = chunk.aids[places].astype(np.int64), chunk.types[places]
    order = np.lexsort((aids, types, sessions))
    return pa.table([sessions[order], types[order], aids[order]], schema=LABEL_SCHEMA)


@kernel
def mark_labels(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    types: npt.NDArray[np.int8],
    cuts: npt.NDArray[np.int64],
    marked: npt.NDArray[np.bool_],
) -> None:
    """Mark the hidden events that are labels: the next click (never item 0), each item's first later cart and order."""
    for s in range(cuts.size):
        start = offsets[s] + cuts[s]
        clicked = False
        for e in range(start, offsets[s + 1]):
            if types[e] == 0:
                marked[e] = not clicked and aids[e] != 0
                clicked = True
                continue
            marked[e] = True
            for before in range(start, e):
                if types[before] == types[e] and aids[before] == aids[e]:
                    marked[e] = False
                    break
