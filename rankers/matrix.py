"""The training matrix: candidates, features and labels of the sampled sessions, as one Parquet file.

Rows come in the order (session, item), which knows no label: LambdaRank breaks ties by the order of rows, so that an
order with the positives first would leak them.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from candidates.pool import Candidates
from events.errors import InputError
from events.files import atomic_file
from events.labels import Labels
from rankers.labelling import first_unsorted_row, mark_labels

KEYS = ("session", "group", "aid")
LABEL = "label_"
METADATA = b"cartograph"


class MatrixWriter:
    """Writes the matrix chunk by chunk; the file appears when the ``with`` block ends well, and not before.

    path     : the Parquet file
    features : names of the F features
    targets  : targets to label, a subset of the labels' targets
    """

    def __init__(self, path: Path, features: Sequence[str], targets: Sequence[str]) -> None:
        self.path, self.features, self.targets = path, tuple(features), tuple(targets)
        fields = [("session", pa.int64()), ("group", pa.int64()), ("aid", pa.int32())]
        fields += [(name, pa.float32()) for name in self.features]
        fields += [(LABEL + target, pa.int8()) for target in self.targets]
        names = [name for name, _ in fields]
        if len(set(names)) != len(names):
            raise ValueError("two columns of the matrix have the same name")
        self._schema = pa.schema(fields)
        self._digests = {name: hashlib.blake2b(digest_size=16) for name in names}
        self._last_session = -1
        self._rows = self._sessions = 0
        self._inside = dict.fromkeys(self.targets, 0)
        self._outside = dict.fromkeys(self.targets, 0)
        self._stack = ExitStack()
        self._writer: Any = None
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def __enter__(self) -> Self:
        beside = self._stack.enter_context(atomic_file(self.path))
        self._writer = pq.ParquetWriter(beside, self._schema, compression="lz4", use_dictionary=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait()
                self._writer.add_key_value_metadata({METADATA: json.dumps(self._summary())})
        except BaseException as failed:
            kind, error, trace = type(failed), failed, failed.__traceback__
            raise
        finally:
            self._thread.shutdown()
            self._writer.close()
            self._stack.__exit__(kind, error, trace)

    def _wait(self) -> None:
        """Until the last chunk is written; what failed then is raised here."""
        if self._written is not None:
            self._written.result()

    def _write(self, columns: list[npt.NDArray[Any]]) -> None:
        for digest, column in zip(self._digests.values(), columns, strict=True):
            digest.update(column.data)
        table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=self._schema)
        self._writer.write_table(table, row_group_size=len(table))

    def _summary(self) -> dict[str, Any]:
        digest = hashlib.blake2b(digest_size=16)
        for name, part in self._digests.items():
            digest.update(name.encode() + part.digest())
        return {
            "features": self.features,
            "targets": self.targets,
            "rows": self._rows,
            "sessions": self._sessions,
            "positives": self._inside,
            "positives_outside": self._outside,
            "digest": digest.hexdigest(),
        }

    def add(
        self,
        sessions: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64],
        candidates: Candidates,
        features: npt.NDArray[np.float32],
        labels: Labels,
    ) -> None:
        """Append one chunk; it is written by a thread of its own while the next one is made.

        sessions, groups : int64[S], sessions strictly ascending, over all chunks
        candidates       : of these S sessions, R rows
        features         : float32[R, F]
        labels           : of these S sessions

        Raises
        ------
        ValueError
            If the rows are not in the order (session, item), or sizes do not agree.
        """
        rows = len(candidates)
        if features.shape != (rows, len(self.features)) or features.dtype != np.float32:
            raise ValueError(f"features must be float32[{rows}, {len(self.features)}]")
        if sessions.size != candidates.n_sessions or groups.size != sessions.size:
            raise ValueError("sessions, groups and candidates must be of the same sessions")
        ascending = np.diff(sessions, prepend=self._last_session)
        if (ascending <= 0).any() or first_unsorted_row(candidates.offsets, candidates.aids) >= 0:
            raise ValueError("rows must ascend by session, then by item, without repeats")
        if sessions.size:
            self._last_session = int(sessions[-1])
        lengths = np.diff(candidates.offsets)
        # Copies: the caller's buffers are filled anew while these are written.
        columns: list[npt.NDArray[Any]] = [np.repeat(sessions, lengths), np.repeat(groups, lengths)]
        columns += [candidates.aids.copy(), *np.array(features.T, order="C")]
        for target in self.targets:
            marks, outside = mark_labels(candidates, labels[target])
            self._inside[target] += int(marks.sum(dtype=np.int64))
            self._outside[target] += outside
            columns.append(marks)
        self._rows += rows
        self._sessions += sessions.size
        if rows:
            self._wait()
            self._written = self._thread.submit(self._write, columns)


@dataclass(frozen=True, slots=True)
class TrainingMatrix:
    """R candidates of S sessions; the features stay on disk until they are asked for.

    paths      : the Parquet files, one behind the other
    sessions   : int64[S] dense row in the session index; sessions without candidates are left out
    groups     : int64[S]
    offsets    : int64[S+1] rows of session s are ``offsets[s]:offsets[s+1]``
    aids       : int32[R] ascending in a session
    labels     : target to int8[R]
    names      : the F features
    row_groups : int64[G+1] first row of each row group of the file
    outside    : target to the number of labels that no candidate holds
    digest     : digest of every value of the matrix, however it was cut into chunks
    n_reported : sessions that folds report; those behind them are only trained on
    n_folded   : sessions whose group a fold reports: those reported, and other cuts of them
    """

    paths: tuple[Path, ...]
    sessions: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    labels: dict[str, npt.NDArray[np.int8]]
    names: tuple[str, ...]
    row_groups: npt.NDArray[np.int64]
    outside: dict[str, int]
    digest: str
    n_reported: int
    n_folded: int

    def __len__(self) -> int:
        """Number of rows R."""
        return self.aids.size

    @property
    def n_sessions(self) -> int:
        """Number of sessions S."""
        return self.sessions.size

    def features(
        self, wanted: npt.NDArray[np.bool_] | None = None, more: Sequence[npt.NDArray[np.float32]] = ()
    ) -> npt.NDArray[np.float32]:
        """float32[n, F] features of the rows where bool[R] ``wanted`` is set (all by default), column by column.

        more : float32[R] each, which become further columns

        The file is read one row group at a time: what is not wanted is never in memory at once.
        """
        keep = np.ones(len(self), np.bool_) if wanted is None else wanted
        out = np.empty((len(self.names) + len(more), int(keep.sum())), np.float32)
        for f, column in enumerate(more, len(self.names)):
            out[f] = column[keep]
        filled = 0
        bounds = itertools.pairwise(self.row_groups)
        for path in self.paths:
            with pq.ParquetFile(path, memory_map=True) as file:
                for g, (start, stop) in zip(range(file.num_row_groups), bounds, strict=False):
                    places = np.flatnonzero(keep[start:stop])
                    if places.size == 0:
                        continue
                    table = file.read_row_group(g, columns=list(self.names))
                    for f, name in enumerate(self.names):
                        np.take(_values(table[name]), places, out=out[f, filled : filled + places.size], mode="clip")
                    filled += places.size
        return out.T


def read_matrix(path: Path) -> TrainingMatrix:
    """Open a matrix: keys and labels in memory, features on disk.

    Raises
    ------
    InputError
        If the file is missing, is no training matrix, or its rows are not in the order (session, item).
    """
    if not path.exists():
        raise InputError(path, None, "no such file", "run the stage features first")
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            summary = json.loads(file.metadata.metadata[METADATA])
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            targets = tuple(summary["targets"])
            table = file.read(columns=[*KEYS, *(LABEL + target for target in targets)])
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError, OSError) as error:
        problem = f"not a training matrix ({type(error).__name__})"
        raise InputError(path, None, problem, "remove it and run the stage features again") from None
    session, group, aid = (_values(table[name]) for name in KEYS)
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    offsets = np.append(starts, session.size).astype(np.int64)
    if (np.diff(session[starts]) <= 0).any() or first_unsorted_row(offsets, aid) >= 0:
        raise InputError(
            path, None, "rows are not in the order (session, item)", "remove it and run the stage features again"
        )
    return TrainingMatrix(
        paths=(path,),
        sessions=session[starts],
        groups=group[starts],
        offsets=offsets,
        aids=aid,
        labels={target: _values(table[LABEL + target]) for target in targets},
        names=tuple(summary["features"]),
        row_groups=np.cumsum([0, *sizes]).astype(np.int64),
        outside=dict(summary["positives_outside"]),
        digest=str(summary["digest"]),
        n_reported=starts.size,
        n_folded=starts.size,
    )


def with_more(matrix: TrainingMatrix, more: Sequence[TrainingMatrix], same_groups: bool = False) -> TrainingMatrix:
    """A matrix with others behind it, whose sessions are only trained on: no fold reports them.

    same_groups : whether they hold other cuts of sessions of the same groups, which a fold that reports the group is
                  not trained on; otherwise they hold other weeks, and their groups get numbers of their own

    Their sessions get numbers of their own.

    Raises
    ------
    InputError
        If they are not of the same features and targets.
    """
    for one in more:
        if one.names != matrix.names or list(one.labels) != list(matrix.labels):
            setting = "more_cuts" if same_groups else "earlier_weeks"
            remedy = f"remove it and run the stage features again, or set split.{setting}=0"
            raise InputError(one.paths[0], None, "other features or targets than in validation", remedy)
    parts = (matrix, *more)
    groups = [part.groups for part in parts]
    digests = "\0".join(part.digest for part in parts)
    return TrainingMatrix(
        paths=tuple(path for part in parts for path in part.paths),
        sessions=_renumbered([part.sessions for part in parts]),
        groups=np.concatenate(groups) if same_groups else _renumbered(groups),
        offsets=_behind([part.offsets for part in parts]),
        aids=np.concatenate([part.aids for part in parts]),
        labels={target: np.concatenate([part.labels[target] for part in parts]) for target in matrix.labels},
        names=matrix.names,
        row_groups=_behind([part.row_groups for part in parts]),
        outside=matrix.outside,
        digest=hashlib.blake2b(digests.encode(), digest_size=16).hexdigest() if more else matrix.digest,
        n_reported=matrix.n_reported,
        n_folded=sum(part.n_sessions for part in parts) if same_groups else matrix.n_folded,
    )


def _renumbered(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The numbers of each part behind the greatest of the one before."""
    firsts = np.cumsum([0, *(int(part.max(initial=-1)) + 1 for part in parts)])
    return np.concatenate([part + first for part, first in zip(parts, firsts, strict=False)])


def _behind(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Offsets of parts that lie one behind the other."""
    return np.cumsum([0, *np.concatenate([np.diff(part) for part in parts])]).astype(np.int64)


def _values(column: Any) -> npt.NDArray[Any]:
    """A column without nulls as one array; no copy where it is in one piece."""
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return np.asarray(array.to_numpy(zero_copy_only=False))
