"""A log's arrays as Parquet, in encodings chosen for speed: a quarter of the time of zstd and about its size.

Measured on 4 M events of the synthetic shop, one thread: 21 ns and 7.9 bytes an event; with dictionaries and zstd 80 ns
and 7.5 bytes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from events.columns import AID, EVENT, SESSION, TS, TYPE
from events.compiled import kernel

SCHEMA = pa.schema([(SESSION, pa.int64()), (AID, pa.int64()), (TS, pa.int64()), (TYPE, pa.int8()), (EVENT, pa.int32())])

DELTA = "DELTA_BINARY_PACKED"
OPTIONS: dict[str, Any] = {
    # Ids and times are packed to the bits they need; what repeats in runs is left to lz4.
    "use_dictionary": False,
    "column_encoding": {AID: DELTA, TS: DELTA},
    "compression": {SESSION: "lz4", AID: "none", TS: "none", TYPE: "lz4", EVENT: "lz4"},
    # Nothing here filters by them, and they would cost a fifth of the time.
    "write_statistics": False,
}


def log_writer(path: Path) -> Any:
    """A Parquet writer of logs; a context manager. Each table written becomes a row group."""
    return pq.ParquetWriter(path, SCHEMA, **OPTIONS)


def log_table(
    sessions: npt.NDArray[np.int64],
    lengths: npt.NDArray[Any],
    aids: npt.NDArray[np.int32],
    ts: npt.NDArray[np.int64],
    types: npt.NDArray[np.int8],
) -> pa.Table:
    """The columns of whole sessions.

    sessions, lengths : int[S] id and number of events of each session
    aids, ts, types   : of each event
    """
    columns = (*_repeat(sessions, lengths, aids.size), aids.astype(np.int64), ts, types)
    session, event, *rest = (pa.array(column) for column in columns)
    return pa.Table.from_arrays([session, *rest, event], schema=SCHEMA)


@kernel
def _repeat(
    sessions: npt.NDArray[np.int64], lengths: npt.NDArray[Any], n_events: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Each event's session, and its place in it."""
    session = np.empty(n_events, np.int64)
    event = np.empty(n_events, np.int32)
    place = 0
    for s in range(sessions.size):
        for i in range(lengths[s]):
            session[place] = sessions[s]
            event[place] = i
            place += 1
    return session, event
