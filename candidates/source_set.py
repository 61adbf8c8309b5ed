"""The sources of a run, in the order of its settings: fitted together, asked together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from candidates.building import Shared, build_source, why_left_out
from candidates.embedding import Embedding
from candidates.pool import Arena, Candidates, build_pool
from candidates.settings import CandidatesSettings, RetrieverSourceSettings, with_retrievers
from candidates.source import Source
from candidates.threads import even_bounds, work_through
from events.errors import InputError
from events.files import read_json, write_json
from events.index import IdIndex
from events.knowledge.fitted import Knowledge
from events.lists import Lists
from events.log import SessionLog
from models.searcher import Encoded, Searcher
from models.settings import ModelsSettings

SESSIONS_PER_PIECE = 1_000
"""Fewer sessions are not worth a thread of their own."""


@dataclass(slots=True)
class SourceSet:
    """Sources by name, with their depth; those that a shop cannot serve are left out, and said.

    left_out : name to reason
    sources  : filled by :meth:`fit` or :meth:`load`; from then on the set is read-only and may be used by several
               threads at once
    items, sessions : indices of the source ids, for candidates from files; those of sessions begin with the row
                      ``first_session`` of the log
    searchers : the fitted retrievers by name, handed to :meth:`fit` or :meth:`load`
    knowledge : what is known of the pass's items, if anything
    """

    settings: CandidatesSettings
    has: frozenset[str]
    threads: int = 1
    items: IdIndex | None = None
    sessions: IdIndex | None = None
    first_session: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    searchers: Mapping[str, Searcher] = field(default_factory=dict)
    knowledge: Knowledge | None = None

    @classmethod
    def of(
        cls,
        settings: CandidatesSettings,
        has: frozenset[str],
        threads: int = 1,
        items: IdIndex | None = None,
        sessions: IdIndex | None = None,
        first_session: int = 0,
        models: ModelsSettings | None = None,
        knowledge: Knowledge | None = None,
    ) -> "SourceSet":
        """The sources that a log with the columns ``has`` can serve, not yet fitted; with one for each retriever."""
        if models is not None:
            settings = with_retrievers(settings, models)
        reasons = {name: why_left_out(name, settings, has, models, knowledge) for name in settings.sources}
        left_out = {name: reason for name, reason in reasons.items() if reason is not None}
        return cls(settings, has, threads, items, sessions, first_session, left_out, knowledge=knowledge)

    def fit(
        self, log: SessionLog, matrices: Mapping[str, Lists], searchers: Mapping[str, Searcher] | None = None
    ) -> Self:
        """Build and fit every source.

        log       : the visible events of a pass
        matrices  : co-visitation matrices by the name of their recipe, all that the log can serve
        searchers : the retrievers, fitted on the same log; without them, their sources are not built
        """
        self.searchers = searchers or {}
        for name, source in self._build(matrices, without_retrievers=searchers is None).items():
            self.sources[name] = source.fit(log)
        return self

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder, one folder a source; not the matrices and retrievers."""
        own = {name: source for name, source in self.sources.items() if not isinstance(source, Embedding)}
        for name, source in own.items():
            (folder / name).mkdir()
            source.save(folder / name)
        write_json(folder / "sources.json", list(own))

    def load(
        self, folder: Path, matrices: Mapping[str, Lists], searchers: Mapping[str, Searcher] | None = None
    ) -> Self:
        """Open what :meth:`save` wrote, for the same matrices and with these retrievers.

        Raises
        ------
        InputError
            If the folder holds other sources than the settings name.
        """
        self.searchers = searchers or {}
        built = self._build(matrices, without_retrievers=searchers is None)
        if read_json(folder / "sources.json") != [
            n for n, source in built.items() if not isinstance(source, Embedding)
        ]:
            raise InputError(folder, None, "fitted for other sources", "run the stage candidates again")
        self.sources = {name: source.load(folder / name) for name, source in built.items()}
        return self

    def _build(self, matrices: Mapping[str, Lists], without_retrievers: bool) -> dict[str, Source]:
        shared = Shared(
            matrices, self.items, self.sessions, self.first_session, self.threads, self.searchers, self.knowledge
        )
        return {
            name: build_source(name, source, shared)
            for name, source in self.settings.sources.items()
            if name not in self.left_out and not (without_retrievers and isinstance(source, RetrieverSourceSettings))
        }

    @property
    def columns(self) -> dict[str, tuple[str, str | None]]:
        """Column name of the pool to source and target: ``<source>``, or ``<source>_<target>``; once fitted."""
        found: dict[str, tuple[str, str | None]] = {}
        for name, source in self.sources.items():
            if source.targets:
                found.update({f"{name}_{target}": (name, target) for target in source.targets})
            else:
                found[name] = (name, None)
        return found

    def encode(self, log: SessionLog) -> dict[str, Encoded]:
        """What each retriever says of the sessions of a log."""
        return {name: searcher.encode(log) for name, searcher in self.searchers.items()}

    def lists(self, log: SessionLog, encoded: Mapping[str, Encoded] | None = None) -> dict[str, Lists]:
        """What each source proposes for the sessions of a log, by column name; they may be encoded already."""
        held = self.encode(log) if encoded is None else encoded
        found: dict[tuple[str, str | None], Lists] = {}
        for name, source in self.sources.items():
            k = self.settings.sources[name].k
            if not isinstance(source, Embedding):
                for target in source.targets or (None,):
                    found[name, target] = recommend(source, log, k, target, self.threads)
                continue
            for targets, asked, encoded_so in source.searcher.stacked(log, held[source.settings.retriever]):
                lists = recommend(source, asked, k, targets[0], self.threads, encoded_so)
                for i, target in enumerate(targets):
                    found[name, target] = lists.slice(i * len(log), (i + 1) * len(log))
        return {column: found[where] for column, where in self.columns.items()}

    def pool(self, log: SessionLog, arena: Arena) -> Candidates:
        """The union of all proposals, in the arena's buffers."""
        encoded = self.encode(log)
        return build_pool(self.lists(log, encoded), arena, self.threads, encoded)


def recommend(
    source: Source,
    log: SessionLog,
    k: int,
    target: str | None = None,
    threads: int = 1,
    encoded: Encoded | None = None,
) -> Lists:
    """As ``source.recommend``, the sessions shared out to threads; the result is the same for any number of them.

    encoded : what the retriever of an embedding says of the sessions, if that is known already
    """

    def ask(first: int, last: int) -> Lists:
        part = log.slice(first, last)
        if isinstance(source, Embedding) and encoded is not None:
            return source.recommend_encoded(part, encoded.slice(log, first, last), k, target)
        return source.recommend(part, k, target)

    pieces = min(threads, len(log) // SESSIONS_PER_PIECE)
    if pieces <= 1 or getattr(source, "own_workers", False):
        return ask(0, len(log))
    bounds = even_bounds(len(log), pieces)
    parts: list[Lists | None] = [None] * pieces

    def work(piece: int) -> None:
        parts[piece] = ask(int(bounds[piece]), int(bounds[piece + 1]))

    work_through([partial(work, piece) for piece in range(pieces)], threads)
    return Lists.concat([part for part in parts if part is not None])
