"""The sources of a run, in the order of its settings: fitted together, asked together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from candidates.building import Shared, build_source, why_left_out
from candidates.pool import Arena, Candidates, build_pool
from candidates.settings import CandidatesSettings
from candidates.source import Source
from candidates.threads import even_bounds, work_through
from events.errors import InputError
from events.files import read_json, write_json
from events.index import IdIndex
from events.lists import Lists
from events.log import SessionLog

SESSIONS_PER_PIECE = 1_000
"""Fewer sessions are not worth a thread of their own."""


@dataclass(slots=True)
class SourceSet:
    """Sources by name, with their depth; those that a shop cannot serve are left out, and said.

    left_out : name to reason
    sources  : filled by :meth:`fit` or :meth:`load`; from then on the set is read-only and may be used by several
               threads at once
    items, sessions : indices of the source ids, for candidates from files
    """

    settings: CandidatesSettings
    has: frozenset[str]
    threads: int = 1
    items: IdIndex | None = None
    sessions: IdIndex | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: CandidatesSettings,
        has: frozenset[str],
        threads: int = 1,
        items: IdIndex | None = None,
        sessions: IdIndex | None = None,
    ) -> "SourceSet":
        """The sources that a log with the columns ``has`` can serve, not yet fitted."""
        reasons = {name: why_left_out(name, settings, has) for name in settings.sources}
        left_out = {name: reason for name, reason in reasons.items() if reason is not None}
        return cls(settings, has, threads, items, sessions, left_out)

    def fit(self, log: SessionLog, matrices: Mapping[str, Lists]) -> Self:
        """Build and fit every source.

        log      : the visible events of a pass
        matrices : co-visitation matrices by the name of their recipe, all that the log can serve
        """
        for name, source in self._build(matrices).items():
            self.sources[name] = source.fit(log)
        return self

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder, one folder a source; the matrices are not written again."""
        for name, source in self.sources.items():
            (folder / name).mkdir()
            source.save(folder / name)
        write_json(folder / "sources.json", list(self.sources))

    def load(self, folder: Path, matrices: Mapping[str, Lists]) -> Self:
        """Open what :meth:`save` wrote, for the same matrices.

        Raises
        ------
        InputError
            If the folder holds other sources than the settings name.
        """
        built = self._build(matrices)
        if read_json(folder / "sources.json") != list(built):
            raise InputError(folder, None, "fitted for other sources", "run the stage candidates again")
        self.sources = {name: source.load(folder / name) for name, source in built.items()}
        return self

    def _build(self, matrices: Mapping[str, Lists]) -> dict[str, Source]:
        shared = Shared(matrices, self.items, self.sessions, self.threads)
        return {
            name: build_source(name, source, shared)
            for name, source in self.settings.sources.items()
            if name not in self.left_out
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

    def lists(self, log: SessionLog) -> dict[str, Lists]:
        """What each source proposes for the sessions of a log, by column name."""
        return {column: self._recommend(log, *where) for column, where in self.columns.items()}

    def pool(self, log: SessionLog, arena: Arena) -> Candidates:
        """The union of all proposals, in the arena's buffers."""
        return build_pool(self.lists(log), arena, self.threads)

    def _recommend(self, log: SessionLog, name: str, target: str | None) -> Lists:
        source, k = self.sources[name], self.settings.sources[name].k
        return recommend(source, log, k, target, self.threads)


def recommend(source: Source, log: SessionLog, k: int, target: str | None = None, threads: int = 1) -> Lists:
    """As ``source.recommend``, the sessions shared out to threads; the result is the same for any number of them."""
    pieces = min(threads, len(log) // SESSIONS_PER_PIECE)
    if pieces <= 1 or getattr(source, "own_workers", False):
        return source.recommend(log, k, target)
    bounds = even_bounds(len(log), pieces)
    parts: list[Lists | None] = [None] * pieces

    def work(piece: int) -> None:
        parts[piece] = source.recommend(log.slice(int(bounds[piece]), int(bounds[piece + 1])), k, target)

    work_through([partial(work, piece) for piece in range(pieces)], threads)
    return Lists.concat([part for part in parts if part is not None])
