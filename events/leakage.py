"""Whether a fit sees the future: train events after the cut, or hidden events among the visible ones."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from events.compiled import kernel
from events.errors import InputError
from events.index import IdIndex
from events.labels import LabelSet
from events.raw import RawLog
from events.split import Split

if TYPE_CHECKING:
    from events.passes import PassData

REMEDY = "nothing may be fitted on this split; correct what divides the log"


def check_split(split: Split, source: RawLog | None, name: str, path: Path, own_log: bool = True) -> None:
    """Check train sessions and targets as they were divided, against the log that they come from.

    source  : whole sessions that the targets were cut from; ``None`` where the source came cut already
    own_log : whether train sessions and targets come from one log, so that their ids mean the same

    For every target its visible events are found in its whole session, one after the other; each of its labels must
    come behind them. Likewise a train session that is a target, too (``split.overlap``), must end before the labels.

    Raises
    ------
    InputError
        If a train event lies at or after the cut, a hidden event is among the visible ones, or a target session is
        trained on.
    """
    train, targets = split.train, split.targets
    if split.cut_ms is not None and train.ts is not None and train.ts.size and int(train.ts.max()) >= split.cut_ms:
        place = int(np.argmax(train.ts >= split.cut_ms))
        row = int(np.searchsorted(train.offsets, place, side="right")) - 1
        _refuse(name, path, f"an event of train session {train.session_ids[row]} lies at or after the cut")
    if source is None or targets.labels is None:
        return
    rows = _source_rows(targets.visible.session_ids, source)
    for target, label_set in targets.labels.items():
        bad = _first_leak(targets.visible, rows, source, target, label_set, np.arange(rows.size))
        if bad >= 0:
            session = targets.visible.session_ids[bad]
            _refuse(name, path, f"a hidden event of session {session} ({target}) is among its visible ones")
    if own_log:
        _check_train(split, source, rows, name, path)


def _check_train(split: Split, source: RawLog, rows: npt.NDArray[np.int64], name: str, path: Path) -> None:
    train, targets = split.train, split.targets
    trained = IdIndex(source.session_ids).rows(train.session_ids)
    place_of = np.full(len(source), -1, np.int64)  # of each whole session, its train session
    place_of[trained[trained >= 0]] = np.flatnonzero(trained >= 0)
    both = np.flatnonzero((rows >= 0) & (place_of[rows] >= 0))
    if both.size == 0:
        return
    if not split.overlap:
        _refuse(name, path, f"session {targets.visible.session_ids[int(both[0])]} is trained on and a target")
    copies = train.take(place_of[rows[both]])
    assert targets.labels is not None
    for target, label_set in targets.labels.items():
        bad = _first_leak(copies, rows[both], source, target, label_set, both)
        if bad >= 0:
            session = copies.session_ids[bad]
            _refuse(name, path, f"a hidden event of session {session} ({target}) is among the train events")


def check_pass(data: "PassData", path: Path) -> None:
    """Check a stored pass: all that it fits on lies before its cut, and no session's cuts see each other.

    Raises
    ------
    InputError
        If a train event lies at or after the cut, or target rows of one session would be fitted on.
    """
    train = data.log.slice(0, data.n_train)
    if data.fit_until_ms is not None and train.ts is not None and train.ts.size:
        latest = int(train.ts.max())
        if latest > (data.fit_until_ms - 1) // 1000:
            when, cut = (datetime.fromtimestamp(s, UTC).isoformat() for s in (latest, data.fit_until_ms / 1000))
            _refuse(data.name, path, f"a train event of {when} lies at or after the cut, {cut}")
    if data.transductive and data.several_rows:
        _refuse(data.name, path, "several rows of a session are fitted on, and one shows the labels of another")


def _refuse(name: str, path: Path, problem: str) -> None:
    raise InputError(path, None, f"the pass {name} sees the future: {problem}", REMEDY)


def _source_rows(names: pl.Series, source: RawLog) -> npt.NDArray[np.int64]:
    """int64[n] whole session of each target row, whose name is its id or ``<id>:<visible events>``; -1 if unknown."""
    index = IdIndex(source.session_ids)
    if names.dtype == source.session_ids.dtype:
        rows = index.rows(names)
        if (rows >= 0).any():
            return rows
    ids = names.cast(pl.String).str.replace(r":\d+$", "").cast(source.session_ids.dtype, strict=False)
    return index.rows(ids) if ids.null_count() == 0 else np.full(len(names), -1, np.int64)


def _first_leak(
    visible: RawLog,
    rows: npt.NDArray[np.int64],
    source: RawLog,
    target: str,
    label_set: LabelSet,
    label_rows: npt.NDArray[np.int64],
) -> int:
    """Row of the first session whose labels do not come behind its visible events in the source; -1 if there is none.

    rows, label_rows : int64[n] rows of the n visible sessions in the source and in the labels
    """
    typed = visible.types is not None and source.types is not None
    none = np.zeros(0, np.int8)
    return int(
        _find_leak(
            visible.offsets, visible.aids, visible.types if visible.types is not None and typed else none, rows,
            source.offsets, source.aids, source.types if source.types is not None and typed else none,
            TARGETS.index(target), label_set.offsets, label_set.aids, label_rows,
        )
    )  # fmt: skip


@kernel
def _find_leak(
    offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32], types: npt.NDArray[np.int8],
    rows: npt.NDArray[np.int64],
    whole_offsets: npt.NDArray[np.int64], whole_aids: npt.NDArray[np.int32], whole_types: npt.NDArray[np.int8],
    wanted: int, label_offsets: npt.NDArray[np.int64], label_aids: npt.NDArray[np.int32],
    label_rows: npt.NDArray[np.int64],
) -> int:  # fmt: skip
    # Each visible event is found at the earliest place that it can have: the true place is there or later, so what
    # is flagged is a leak for certain, though items were dropped from the session.
    for r in range(rows.size):
        if rows[r] < 0:
            continue
        place, stop = whole_offsets[rows[r]], whole_offsets[rows[r] + 1]
        for event in range(offsets[r], offsets[r + 1]):
            while place < stop and (
                whole_aids[place] != aids[event] or (types.size > 0 and whole_types[place] != types[event])
            ):
                place += 1
            if place == stop:
                return r
            place += 1
        for j in range(label_offsets[label_rows[r]], label_offsets[label_rows[r] + 1]):
            found = label_aids[j] < 0
            for later in range(place, stop):
                typed = types.size == 0 or whole_types[later] == wanted
                found = found or (typed and whole_aids[later] == label_aids[j])
            if not found:
                return r
    return -1
