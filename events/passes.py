"""A pass: the log to fit on, the sessions to recommend for, and their labels if they are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.attributes import write_users
from events.columns import CLICKS, TARGETS
from events.errors import InputError
from events.files import atomic_folder, read_json, write_json
from events.hashing import hash_ids
from events.index import IdIndex
from events.labels import Labels, load_labels, save_labels
from events.leakage import check_split
from events.log import SessionLog
from events.raw import RawLog, item_index, load_raw
from events.readers.labels import align_labels, read_labels
from events.settings import SampleSettings, SplitSettings
from events.split import (
    DAY_MS,
    Split,
    Targets,
    before,
    cut_again,
    cut_everywhere,
    cut_known,
    cut_last,
    drop_unseen,
    every_position,
    last_days,
    last_share,
    leave_one_out,
    official,
    split_moment,
    uncut,
    users,
    without_last,
)

VALIDATION = "validation"
SUBMISSION = "submission"
EARLIER = ("earlier_1", "earlier_2", "earlier_3")
"""Passes of the weeks before validation, the latest first: rankers are trained on them, too, if that is asked for."""
MORE_CUTS = "more_cuts"
"""Folder of a pass, and of its stage ``features``: other cuts of its target sessions."""
SAMPLE_STREAM = 2
"""The sample does not depend on the run's seed: runs with different seeds compare on the same sessions."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Other cuts of the target sessions, for rankers to be trained on: neither fitted on nor scored.

    log    : visible events; ``log.sessions`` is the row in the pass of the session, ``log.groups`` is its group
    labels : what came after each cut
    """

    log: SessionLog
    labels: Labels

    def save(self, folder: Path) -> None:
        """Write into a new folder."""
        folder.mkdir()
        self.log.save(folder)
        save_labels(folder, self.labels)

    @classmethod
    def load(cls, folder: Path) -> "TrainingRows":
        """Open what :meth:`save` wrote, memory-mapped and read-only."""
        return cls(SessionLog.load(folder), load_labels(folder))


@dataclass(frozen=True, slots=True)
class PassData:
    """Everything that the floors above may see of a pass, and the labels.

    name         : ``validation``, ``submission`` or one of ``EARLIER``
    log          : train sessions first, then the visible events of the target sessions; ``log.sessions`` is the row
                   in this pass (0 to S - 1); ``log.groups`` repeats where a session has several target rows
    n_train      : number of train sessions
    labels       : of the targets, in order; ``None`` if they are not known
    target_ids   : series[n_targets], Int64 or String: the source's ids, the names of rows in a submission
    fit_until_ms : train events lie before this moment; ``None`` without time
    transductive : whether the targets' visible events join the fit
    several_rows : whether an original session has several target rows
    targets      : names of the targets that the shop has
    more_cuts    : other cuts of the target sessions, if they are asked for
    """

    name: str
    log: SessionLog
    n_train: int
    labels: Labels | None
    target_ids: pl.Series
    fit_until_ms: int | None
    transductive: bool
    several_rows: bool
    targets: tuple[str, ...]
    more_cuts: TrainingRows | None = None

    @property
    def n_targets(self) -> int:
        """Number of target sessions."""
        return len(self.log) - self.n_train

    @property
    def fit(self) -> SessionLog:
        """What may be fitted on: the train sessions, or all where the pass is transductive (views)."""
        return self.log if self.transductive else self.log.slice(0, self.n_train)

    @property
    def target_log(self) -> SessionLog:
        """The visible events of the target sessions (views)."""
        return self.log.slice(self.n_train, len(self.log))

    def save(self, folder: Path) -> None:
        """Write the pass as ``folder``, which is whole or absent."""
        with atomic_folder(folder) as beside:
            self.log.save(beside)
            if self.labels is not None:
                save_labels(beside, self.labels)
            if self.more_cuts is not None:
                self.more_cuts.save(beside / MORE_CUTS)
            self.target_ids.to_frame("id").write_parquet(beside / "target_ids.parquet")
            meta = {
                "name": self.name,
                "n_train": self.n_train,
                "fit_until_ms": self.fit_until_ms,
                "transductive": self.transductive,
                "several_rows": self.several_rows,
                "targets": list(self.targets),
                "labels": self.labels is not None,
            }
            write_json(beside / "meta.json", meta)

    @classmethod
    def load(cls, folder: Path) -> "PassData":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If a file is missing.
        """
        meta = read_json(folder / "meta.json")
        return cls(
            name=meta["name"],
            log=SessionLog.load(folder),
            n_train=meta["n_train"],
            labels=load_labels(folder) if meta["labels"] else None,
            target_ids=IdIndex.load(folder / "target_ids.parquet").ids,
            fit_until_ms=meta["fit_until_ms"],
            transductive=meta["transductive"],
            several_rows=meta["several_rows"],
            targets=tuple(meta["targets"]),
            more_cuts=TrainingRows.load(folder / MORE_CUTS) if (folder / MORE_CUTS).exists() else None,
        )


def build_passes(
    train_path: Path,
    test_path: Path | None,
    test_labels: Path | None,
    split: SplitSettings,
    sample: SampleSettings,
    seed: int,
    folder: Path,
    users: pl.DataFrame | None = None,
    more_items: pl.Series | None = None,
    targets: Sequence[str] = TARGETS,
    sources: Mapping[Path, Path] | None = None,
) -> list[str]:
    """Split the logs into passes and write ``items.parquet``, ``validation/`` and, with test sessions, ``submission/``.

    Weeks before validation that are asked for are written as ``earlier_1/`` and so on, each a split of what the week
    after it trains on.

    train_path, test_path : ``log.parquet`` files as the readers write them
    test_labels           : labels of test sessions that come truncated, in one of the forms of ``read_labels``
    users                 : what ``read_users`` gave; each pass gets a ``users.parquet``, a row a session of its log
    more_items            : ids that join the item index without any event
    sources               : of the logs, what they were made from: errors name it
    targets               : types of event that a log with types may have; only these are targets

    Returns the names of the passes written.

    Raises
    ------
    InputError
        If the settings do not suit the log (no time, several rows a session and transductive), or a pass would have
        no train or no target session, or its fit would see the future.
    """
    named = {path: (sources or {}).get(path, path) for path in (train_path, test_path) if path is not None}
    items = item_index([path for path in (train_path, test_path) if path is not None], more_items)
    folder.mkdir(parents=True, exist_ok=True)
    items.save(folder / "items.parquet")
    train = _sample(load_raw(train_path, items), sample, named[train_path])
    own_test = test_path is None and split.test == "leave_one_out"
    held_out = _validation(train, named[train_path], split, seed, own_test)
    check_split(held_out, train, VALIDATION, named[train_path])
    known = _target_names(train, targets)
    _write(held_out, VALIDATION, split, named[train_path], folder, users, known, seed)
    written = [VALIDATION, *EARLIER[: split.earlier_weeks]]
    for name in written[1:]:
        if held_out.cut_ms is None or split.validation not in ("official", "dates", "last_days"):
            problem = "weeks before validation need a log with time, split by it"
            raise InputError(named[train_path], None, problem, "set split.earlier_weeks=0")
        source, cut_ms = held_out.train, held_out.cut_ms - round(split.days * DAY_MS)
        whole = split.validation == "last_days"
        held_out = last_days(source, cut_ms) if whole else official(source, cut_ms, seed, split.min_events)
        check_split(held_out, source, name, named[train_path])
        _write(held_out, name, split, named[train_path], folder, users, known, seed)
    if own_test or (test_path is None and split.test == "everyone"):
        everyone = Split(train, uncut(train, None), None, overlap=True)
        own = leave_one_out(train, split.min_events) if own_test else everyone
        check_split(own, train, SUBMISSION, named[train_path])
        _write(own, SUBMISSION, split, named[train_path], folder, users, known)
        return [*written, SUBMISSION]
    if test_path is None:
        return written
    test = _sample(load_raw(test_path, items), sample, named[test_path])
    if (test.ts is None) != (train.ts is None) or (test.types is None) != (train.types is None):
        raise InputError(
            named[test_path], None, "train and test differ in having time or types", "give both the same columns"
        )
    asked = _test_targets(test, train, named[test_path], test_labels, split, seed, known)
    submission = Split(train, asked, None)
    check_split(submission, None if split.test == "as_is" else test, SUBMISSION, named[test_path], own_log=False)
    _write(submission, SUBMISSION, split, named[test_path], folder, users, known)
    return [*written, SUBMISSION]


def _validation(train: RawLog, path: Path, split: SplitSettings, seed: int, own_test: bool) -> Split:
    """The validation split of the train log; without its last events where the submission hides those."""
    log = without_last(train) if own_test else train
    cut_ms = split.cut
    by_time = split.validation in ("official", "dates", "last_days") or cut_ms is not None or split.until is not None
    if log.ts is None and by_time:
        raise InputError(path, None, "this log has no time to split by", "set split.validation='last_share'")
    if split.until is not None:
        log = before(log, split.until)
        if len(log) == 0:
            raise InputError(path, None, "no event lies before split.until", "give a later moment")
    if log.ts is not None and cut_ms is None:
        cut_ms = split_moment(log, split.days) if split.until is None else split.until - int(split.days * DAY_MS)
        if split.validation == "last_days" and split.until is None:
            cut_ms += 1  # where stamps are days, seven of them are held out, not eight
    if split.validation == "leave_one_out":
        return leave_one_out(log, split.min_events)
    if split.validation == "users":
        return users(log, split.share, seed, split.min_events, split.cuts)
    if split.validation == "every_position":
        return every_position(log, cut_ms, split.share, split.min_events)
    if split.validation == "last_days" and cut_ms is not None:
        return last_days(log, cut_ms)
    if split.validation == "last_share" or cut_ms is None:
        return last_share(log, split.share, seed, split.min_events, split.cuts)
    return official(log, cut_ms, seed, split.min_events, split.cuts)


def _test_targets(
    test: RawLog,
    train: RawLog,
    path: Path,
    labels_path: Path | None,
    split: SplitSettings,
    seed: int,
    known: tuple[str, ...],
) -> Targets:
    if split.test == "everyone":
        remedy = "leave data.test out, or choose another split.test"
        raise InputError(path, None, "split.test='everyone' asks for the train sessions' own lists", remedy)
    if test.group_ids is not None and split.test != "leave_one_out":
        problem = "prefix/label pairs hold their labels as last events"
        raise InputError(path, None, problem, "set split.test='leave_one_out'")
    if split.test == "leave_one_out":
        return cut_last(test)
    if split.test == "every_position":
        return cut_everywhere(drop_unseen(test, train, split.min_events))
    if split.test == "official":
        return cut_known(test, train, seed, split.min_events, falsy=test.items.falsy_row)
    labels = None
    if labels_path is not None:
        frame = read_labels(labels_path)
        labels = align_labels(frame, test.session_ids, test.items, known, labels_path)
    return uncut(test, labels)


def _write(
    split: Split,
    name: str,
    settings: SplitSettings,
    path: Path,
    folder: Path,
    users: pl.DataFrame | None,
    known: tuple[str, ...],
    seed: int | None = None,
) -> None:
    """Write a pass; with a ``seed``, other cuts of its sessions, too, if the settings ask for them."""
    data = _pass_data(split, name, settings, path, known)
    if seed is not None and settings.more_cuts:
        more = _more_cuts(split.targets, settings, seed, data.n_train, known)
        data = replace(data, more_cuts=more)
    data.save(folder / name)
    if users is not None:
        ids = pl.concat([split.train.groups, split.targets.visible.groups.rename(split.train.groups.name)])
        write_users(folder / name, users, ids)


def _pass_data(split: Split, name: str, settings: SplitSettings, path: Path, known: tuple[str, ...]) -> PassData:
    train, targets = split.train, split.targets
    if len(train) == 0 or len(targets.visible) == 0:
        which = "train" if len(train) == 0 else "target"
        remedy = "change split.days, split.start or split.cut_ms, or give more sessions"
        if settings.validation in ("last_share", "leave_one_out", "users"):
            remedy = "change split.share, or give more and longer sessions"
        raise InputError(path, None, f"the pass {name} has no {which} sessions", remedy)
    if settings.transductive and targets.several_rows:
        problem = f"the pass {name} has several rows a session: fitting on one would show the labels of another"
        raise InputError(path, None, problem, "set split.transductive=false")
    if settings.transductive and split.overlap:
        problem = f"the pass {name} trains on its target sessions already"
        raise InputError(path, None, problem, "set split.transductive=false")
    until = split.cut_ms
    if until is None and train.ts is not None:
        until = int(train.ts.max()) + 1
    return PassData(
        name=name,
        log=_session_log(train, targets),
        n_train=len(train),
        labels=None if targets.labels is None else {t: one for t, one in targets.labels.items() if t in known},
        target_ids=targets.visible.session_ids,
        fit_until_ms=until,
        transductive=settings.transductive,
        several_rows=targets.several_rows,
        targets=known,
    )


def _more_cuts(
    targets: Targets, settings: SplitSettings, seed: int, n_train: int, known: tuple[str, ...]
) -> TrainingRows | None:
    """Other cuts of the targets; ``None`` where no session is long enough for one."""
    rows, more = cut_again(targets, settings.more_cuts, seed, only_later=settings.transductive)
    if rows.size == 0 or more.labels is None:
        return None
    nobody = more.visible.take(np.zeros(0, np.int64))
    log = replace(_session_log(nobody, more), sessions=n_train + rows, groups=n_train + more.groups)
    return TrainingRows(log, {t: one for t, one in more.labels.items() if t in known})


def _target_names(log: RawLog, targets: Sequence[str]) -> tuple[str, ...]:
    return (TARGETS[CLICKS],) if log.types is None else tuple(name for name in TARGETS if name in targets)


def _session_log(train: RawLog, targets: Targets) -> SessionLog:
    """Both parts as one log in seconds; groups of targets are numbered behind the train sessions."""
    visible = targets.visible
    size, n_events = len(train) + len(visible), train.aids.size
    ts: npt.NDArray[np.int32] | None = None
    if train.ts is not None and visible.ts is not None:
        ts = np.empty(n_events + visible.aids.size, np.int32)
        np.floor_divide(train.ts, 1000, out=ts[:n_events], casting="unsafe")
        np.floor_divide(visible.ts, 1000, out=ts[n_events:], casting="unsafe")
    types = None
    if train.types is not None and visible.types is not None:
        types = np.concatenate([train.types, visible.types])
    return SessionLog(
        sessions=np.arange(size, dtype=np.int64),
        groups=np.concatenate([np.arange(len(train)), targets.groups + len(train)]).astype(np.int64),
        offsets=np.concatenate([train.offsets, visible.offsets[1:] + n_events]),
        aids=np.concatenate([train.aids, visible.aids]),
        ts=ts,
        types=types,
        n_items=len(train.items),
    )


def _sample(log: RawLog, sample: SampleSettings, path: Path) -> RawLog:
    """The sessions whose group hash falls into the share."""
    if sample.sessions >= 1:
        return log
    bound = np.uint64(int(sample.sessions * 2.0**64))
    rows = np.flatnonzero(hash_ids(log.groups, SAMPLE_STREAM) < bound)
    if rows.size == 0:
        raise InputError(path, None, "the sample holds no session", "raise sample.sessions")
    return log.take(rows)
