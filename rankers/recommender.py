"""Asking a finished run: items for a session, with their reasons, by the same code as the batch stages."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl

from candidates.pool import Arena, Candidates
from candidates.source_set import SourceSet
from events.arrays import I64
from events.columns import AID, TARGETS, TS, TYPE
from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from features.registry import Feature
from rankers.answers import Contribution, Explanation, Recommendation
from rankers.contributions import contributions
from rankers.models import Rankers
from rankers.opening import latest_pass, open_artifacts, open_rankers, open_scorer, rerank_settings
from rankers.reasons import Chosen, Sources
from rankers.requests import Reader, Request
from rankers.rerank import ITEMS, Reranker
from rankers.scoring import Scorer, score_sessions
from rankers.standard import stacked_names
from rankers.topk import reciprocal_rank_scores, top_lists

CHUNK: Final = 1_024
"""Sessions of a batch call that are scored at a time: their features take 150 MB."""
MOST: Final = 1_000
"""Longest list that can be asked for."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """Lists of S sessions, and of each list's items int16[C, M] their places in every source's list."""

    lists: dict[str, Lists]
    ranks: dict[str, Any]


@dataclass(slots=True)
class Recommender:
    """A run, opened to be asked; threads may share it.

    Nothing is fitted and nothing is learned from the sessions that are asked for. One session keeps one thread busy;
    a batch is shared out to ``threads``, as in the batch stages. Where the run reranks its lists, so are these.

    pass_name : the pass whose tables are asked: ``submission`` if there is one, else ``validation``
    targets   : names of the targets that can be asked for
    """

    pass_name: str
    folder: Path
    _data: PassData
    _items: IdIndex
    _scorer: Scorer
    _reader: Reader
    _sources: Sources
    _reranker: Reranker | None = None
    _session_index: IdIndex | None = None
    _single: list[Arena] = field(default_factory=list)
    _batch: list[Arena] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path | str, pass_name: str | None = None, threads: int = 0) -> Self:
        """Open a run by its folder, ``runs/<name>``: memory-mapped, as it is; it is not asked whether it is up to date.

        threads : for calls with many sessions; 0 for every core

        Raises
        ------
        InputError
            If there is no such run, or a stage up to ``rank`` has not run.
        """
        run = Path(folder)
        name = latest_pass(run) if pass_name is None else pass_name
        artifacts, settings = open_artifacts(run, name, threads or len(os.sched_getaffinity(0)))
        data, items = artifacts.data(name), artifacts.items()
        scorer = open_scorer(artifacts, settings, data, open_rankers(run))
        assert isinstance(scorer.sources, SourceSet)
        items = IdIndex(items.ids.rechunk())  # of one piece, look-ups copy nothing
        reader = Reader(items, data.fit.has, data.fit_until_ms)
        reranker = Reranker.open(rerank_settings(run, name), scorer.sources.searchers, run / "prepared" / ITEMS)
        made = cls(name, run, data, items, scorer, reader, Sources.of(scorer.sources, items), reranker)
        made._warm_up()
        return made

    def _warm_up(self) -> None:
        """Load every kernel, and lay out the trees, before the first caller waits for them."""
        rows = np.flatnonzero(self._data.target_log.lengths)[:1]
        self._score(self._data.target_log.take(rows), self.targets, 20)
        self._score(self._no_session(), self.targets, 20)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return self._scorer.rankers.targets

    @property
    def n_items(self) -> int:
        """Number of items of the run."""
        return len(self._items)

    def id_of(self, text: str) -> Any:
        """The id of an item as the source has it, from its text.

        Raises
        ------
        InputError
            If the ids are numbers, and this is none.
        """
        if not self._items.is_integer:
            return text
        try:
            return int(text)
        except ValueError:
            raise InputError(f"item {text}", None, "the ids of this shop are whole numbers", "give one") from None

    def recommend(self, events: Any, target: str = "orders", k: int = 20) -> Any:
        """The best ``k`` items for a session: a :class:`Recommendation`; for several sessions a list of them.

        events : see :meth:`rankers.requests.Reader.read`: a list of ``(aid, ts, type)`` or dicts, a list of such
                 lists, or a Polars frame
        k      : 1 to 1,000; a session has about a hundred candidates

        Unknown items are left out and said. A session without any known item gets what is popular.

        Raises
        ------
        InputError
            If ``events`` are no events, there is no such target, or ``k`` is out of range.
        """
        request = self._reader.read(events)
        made = self._recommend(request, self._asked(target, k), k)
        return made[0][target] if request.single else [one[target] for one in made]

    def recommend_all(self, events: Any, k: int = 20) -> Any:
        """As :meth:`recommend` for every target at once, at little more cost: target to :class:`Recommendation`.

        Raises
        ------
        InputError
            Likewise.
        """
        request = self._reader.read(events)
        made = self._recommend(request, self._asked(None, k), k)
        return made[0] if request.single else made

    def recommend_session(self, session: Any, k: int = 20) -> dict[str, Recommendation]:
        """The lists of a session to be scored of the run itself, exactly as the batch stage makes them.

        Raises
        ------
        InputError
            If the run has no such session, or ``k`` is out of range.
        """
        row = self._row(session)
        log = self._data.target_log.slice(row, row + 1)
        return self._recommend(Request(log, [()], [session], True), self._asked(None, k), k)[0]

    def session_ids(self, first: int | None = None) -> list[Any]:
        """Ids of the sessions that the run scores, all or the first."""
        ids = self._data.target_ids
        found: list[Any] = (ids if first is None else ids.head(first)).to_list()
        return found

    def events_of(self, session: Any) -> list[dict[str, Any]]:
        """The visible events of a session to be scored of the run, as :meth:`recommend` takes them.

        Raises
        ------
        InputError
            If the run has no such session.
        """
        row = self._row(session)
        log = self._data.target_log.slice(row, row + 1)
        columns: dict[str, Any] = {AID: self._items.take(log.aids)}
        if log.ts is not None:
            columns[TS] = log.ts.astype(np.int64) * 1000
        if log.types is not None:
            columns[TYPE] = [TARGETS[code] for code in log.types]
        return pl.DataFrame(columns).to_dicts()

    def explain(self, events: Any, aid: Any, target: str = "orders", top: int = 10) -> Explanation:
        """The strongest features behind an item's place in a session's list, by LightGBM's contributions.

        A contribution is the mean over the models that score the target. Source: Lundberg et al., Consistent
        individualized feature attribution for tree ensembles, 2018.

        Raises
        ------
        InputError
            If several sessions are given, the item is none of the session's candidates, or the target has no model.
        """
        request = self._reader.read(events)
        if len(request.log) != 1:
            raise InputError("events", None, f"{len(request.log)} sessions", "explain one session at a time")
        return self._explain(request.log, aid, self._asked(target, 1)[0], top)

    def explain_session(self, session: Any, aid: Any, target: str = "orders", top: int = 10) -> Explanation:
        """The same for a session to be scored of the run itself.

        Raises
        ------
        InputError
            Likewise.
        """
        row = self._row(session)
        return self._explain(self._data.target_log.slice(row, row + 1), aid, self._asked(target, 1)[0], top)

    def _explain(self, log: SessionLog, aid: Any, target: str, top: int) -> Explanation:
        row = self._item(aid)
        fits = self._scorer.rankers.for_others(target)
        if not fits or log.n_events == 0:
            reason = f"{target} has no model" if log.n_events else "a session without known items is not ranked"
            raise InputError(target, None, reason, "ask recommend for the reasons of its list")
        with self._arena(self._single) as arena:
            scorer = self._for((target,), MOST, arena)
            pools: list[Candidates] = []
            lists = score_sessions(log, scorer, None, lambda _first, _log, pool: pools.append(pool))[target]
            candidates = pools[0]
            at = int(np.searchsorted(candidates.aids, row))
            if at == len(candidates) or candidates.aids[at] != row:
                raise InputError(f"item {aid}", None, "no source proposes it here", "explain one that recommend gives")
            place = int(np.flatnonzero(lists.aids == row)[0])
            values, parts = contributions(scorer, log, candidates, fits, at)
            ranks = candidates.ranks[:, at : at + 1].copy()
        reasons = Chosen(self._sources, np.array([row], np.int32), ranks, log.aids).reasons()[0]
        about = self._about()
        strongest = np.argsort(-np.abs(parts[:-1]), kind="stable")[:top]
        return Explanation(
            item=self._sources.ids_of(lists.aids[place : place + 1])[0],
            target=target,
            place=place,
            candidates=lists.aids.size,
            score=float(lists.scores[place]),
            base=float(parts[-1]),
            features=[
                Contribution(about[f].name, about[f].group, about[f].meaning, float(values[f]), float(parts[f]))
                for f in strongest.tolist()
            ],
            reasons=reasons,
        )

    def _about(self) -> Sequence[Feature]:
        builder: Any = self._scorer.features
        first = stacked_names(self._scorer.rankers.stacked)
        return (*builder.features, *(Feature(name, "stacked", "what a first-level model says of it") for name in first))

    def _asked(self, target: str | None, k: int) -> tuple[str, ...]:
        """The targets asked for.

        Raises
        ------
        InputError
            If there is no such target, or ``k`` is out of range.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= MOST:
            raise InputError("k", None, f"{k!r} items cannot be recommended", f"give a number from 1 to {MOST}")
        if target is None:
            return self.targets
        if target not in self.targets:
            raise InputError("target", None, f"the run has no target {target!r}", f"ask for {', '.join(self.targets)}")
        return (target,)

    def _row(self, session: Any) -> int:
        """Row of a session among those to be scored."""
        if self._data.several_rows:
            raise InputError(self.folder, None, "one session has several rows here", "give the session's events")
        if self._session_index is None:
            self._session_index = IdIndex(self._data.target_ids.rechunk())
        row = _find(self._session_index, session)
        if row < 0:
            some = self._data.target_ids.head(3).to_list()
            problem = f"the pass {self.pass_name} does not score it"
            raise InputError(f"session {session}", None, problem, f"give one of its own, such as {some[0]}")
        return row

    def _item(self, aid: Any) -> int:
        row = _find(self._items, aid)
        if row < 0:
            raise InputError(f"item {aid}", None, "the run has no such item", "give an item of the shop")
        return row

    def _no_session(self) -> SessionLog:
        return self._reader.read([]).log

    @contextmanager
    def _arena(self, free: list[Arena]) -> Iterator[Arena]:
        """An arena that nobody else uses meanwhile; there come to be as many as there are calls at once."""
        try:
            arena = free.pop()
        except IndexError:
            arena = Arena()
        try:
            yield arena
        finally:
            free.append(arena)

    def _for(self, targets: tuple[str, ...], k: int, arena: Arena) -> Scorer:
        rankers = self._scorer.rankers
        chosen: Rankers = rankers if targets == rankers.targets else replace(rankers, targets=targets)
        return replace(self._scorer, rankers=chosen, arena=arena, top=k)

    def _score(self, log: SessionLog, targets: tuple[str, ...], k: int) -> _Scored:
        """Lists of at most ``CHUNK`` sessions; without any event the sources rank, as no model knows such sessions."""
        pools: list[Candidates] = []
        with self._arena(self._single if len(log) == 1 else self._batch) as arena:
            longest = k if self._reranker is None else self._reranker.settings.list_length(k)
            scorer = self._for(targets, longest, arena)
            if log.n_events == 0:
                pools.append(scorer.sources.pool(log, arena))
                lists = {t: top_lists(pools[0], reciprocal_rank_scores(pools[0], t), longest) for t in targets}
            else:
                lists = score_sessions(log, scorer, None, lambda _first, _log, pool: pools.append(pool))
            if self._reranker is not None:
                lists = self._reranker.apply_all(lists, k)
            ranks = {target: pools[0].ranks[:, _rows(pools[0], lists[target])] for target in targets}
        return _Scored(lists, ranks)

    def _recommend(self, request: Request, targets: tuple[str, ...], k: int) -> list[dict[str, Recommendation]]:
        log = request.log
        made: list[Any] = [None] * len(log)
        asking = np.flatnonzero(log.lengths > 0)
        for start in range(0, asking.size, CHUNK):
            rows = asking[start : start + CHUNK]
            part = log if rows.size == len(log) else log.take(rows)
            self._fill(made, rows, part, self._score(part, targets, k), request)
        silent = np.flatnonzero(log.lengths == 0)
        if silent.size:
            nothing = self._score(self._no_session(), targets, k)
            for row in silent.tolist():
                self._fill(made, np.array([row]), self._no_session(), nothing, request)
        return made

    def _fill(self, made: list[Any], rows: I64, log: SessionLog, scored: _Scored, request: Request) -> None:
        """Put the lists of these sessions in their places."""
        for row in rows.tolist():
            made[row] = {}
        for target, lists in scored.lists.items():
            items = self._sources.ids_of(lists.aids)
            for s, row in enumerate(rows.tolist()):
                first, last = int(lists.offsets[s]), int(lists.offsets[s + 1])
                session = log.aids[log.offsets[s] : log.offsets[s + 1]]
                ranks = scored.ranks[target][:, first:last]
                made[row][target] = Recommendation(
                    target=target,
                    items=items[first:last],
                    scores=lists.scores[first:last],
                    unknown=request.unknown[row],
                    session=request.sessions[row],
                    chosen=Chosen(self._sources, lists.aids[first:last], ranks, session),
                )


def _rows(pool: Candidates, lists: Lists) -> I64:
    """int64[M] the row of each listed item in the pool."""
    keys = (pool.owner() << 32) | pool.aids
    owner = np.repeat(np.arange(len(lists)), lists.lengths)
    return np.searchsorted(keys, (owner << 32) | lists.aids)


def _find(index: IdIndex, given: Any) -> int:
    """Row of an id, -1 where there is none; the text of a number will do for a number."""
    try:
        return int(index.rows(pl.Series([int(given) if index.is_integer else str(given)]))[0])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):  # the last: more than 64 bits
        return -1
