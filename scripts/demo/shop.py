"""The run behind the page: what it recommends, what its sources are, which of its sessions may be picked."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from candidates.settings import (
    PER_TARGET,
    NeighboursSettings,
    RetrieverSourceSettings,
    WalksSettings,
    with_retrievers,
)
from events.columns import AID, TARGETS, TS, TYPE
from events.errors import InputError
from events.passes import VALIDATION
from events.stages import MANIFEST
from rankers.opening import open_artifacts
from rankers.recommender import Recommender
from scripts.demo.names import Names
from scripts.demo.visit import MOST_EVENTS, Event, Session

MEANINGS: Final = {
    "history": "the session's own items",
    "popularity": "what many are after now",
    "neighbours": "seen together with the session's items",
    "item_knn": "in the same sessions as the session's items",
    "session_knn": "in the sessions most like this one",
    "item_cf": "close to the session's items by who touched both",
    "user_cf": "touched by the visitors most like this one",
    "walks": "two steps on the item graph from the session's items",
    "retriever": "near the session among the learned vectors",
    "knowledge": "like the session's items by category, brand, text or price",
    "rules": "a rule written by hand",
    "external": "candidates made elsewhere",
    "custom": "a source of the shop's own",
}
"""What a source proposes, by its kind."""


def need_finished(run: Path) -> None:
    """Raise an InputError unless there is a finished run."""
    if not (run / VALIDATION / "rank" / MANIFEST).exists():
        raise InputError(run, None, "there is no finished run", "make one first: make run")


@dataclass(slots=True)
class Shop:
    """A run that is asked by every visitor at once; nothing of a visitor is kept here.

    sources : column of the pool to what it proposes, in words
    """

    recommender: Recommender
    names: Names
    sources: Mapping[str, str]
    _ids: list[Any] = field(default_factory=list)

    @classmethod
    def open(cls, run: Path) -> Self:
        """Open a finished run.

        Raises
        ------
        InputError
            If there is none.
        """
        need_finished(run)
        asked = Recommender.load(run)
        artifacts, _ = open_artifacts(run, asked.pass_name)
        sources = with_retrievers(artifacts.candidates, artifacts.models).sources
        made = cls(asked, Names.open(run), _meanings(sources))
        made._ids = made._examples()
        return made

    def _examples(self) -> list[Any]:
        ids = self.recommender.session_ids()
        try:
            self.recommender.events_of(ids[0])
        except (IndexError, InputError):  # none, or an id stands for several rows
            return []
        return ids

    def some_sessions(self, n: int, draw: random.Random) -> list[Any]:
        """At most ``n`` sessions that the run scores, at random; none where an id does not stand for one session."""
        return draw.sample(self._ids, min(n, len(self._ids)))

    def session(self, name: Any) -> Session:
        """A session of the run, its last ``MOST_EVENTS`` visible events.

        Raises
        ------
        InputError
            If the run has no such session.
        """
        events = self.recommender.events_of(name)[-MOST_EVENTS:]
        return Session(
            tuple(Event(one[AID], one.get(TS), one.get(TYPE, TARGETS[0])) for one in events),
            str(name),
        )


def _meanings(sources: Mapping[str, Any]) -> dict[str, str]:
    """Column of the pool to its meaning."""
    said = {}
    for name, one in sources.items():
        more = ""
        if isinstance(one, NeighboursSettings | WalksSettings):
            more = f" (matrix {one.matrix})"
        elif isinstance(one, RetrieverSourceSettings):
            more = f" ({one.retriever})"
        for column in [name, *(f"{name}_{target}" for target in TARGETS if one.kind in PER_TARGET)]:
            said[column] = MEANINGS[one.kind] + more
    return said
