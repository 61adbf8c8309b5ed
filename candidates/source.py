"""The contract of a candidate source."""

from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from events.lists import Lists
from events.log import SessionLog


@runtime_checkable
class Source(Protocol):
    """Proposes items for sessions.

    name    : column name, unique among the sources of a run
    targets : the targets it makes a list of its own for; empty if one list serves all
    needs   : what it asks of a log, of ``events.log.NEEDS``; a shop that lacks it runs without the source

    A source that spreads sessions over workers of its own says so by an attribute ``own_workers = True``; the others
    are called for a share of the sessions by each thread.

    A fitted source is read-only: ``recommend`` may be called from several threads at once. Unseen items and empty
    sessions give shorter or empty lists, never an error. The list of a session depends on nothing but that session
    and what was fitted, so batch and single calls agree.
    """

    name: str
    targets: tuple[str, ...]
    needs: frozenset[str]

    def fit(self, log: SessionLog) -> Self:
        """Learn from the visible events of a pass."""
        ...

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """The best ``k`` items for each of the S sessions of ``log``; ``target`` is one of ``targets``, or ``None``."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder, as arrays and JSON; never pickle."""
        ...

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote, memory-mapped."""
        ...
