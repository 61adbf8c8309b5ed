"""What one visitor of the page has put together: a session of events, changed by pure functions."""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from events.columns import TARGETS
from events.errors import InputError
from rankers.requests import STEP_SECONDS

MOST_EVENTS: Final = 500
"""Of a session on the page; the run itself knows no such bound."""
MOST_STEPS: Final = 100
"""Steps that can be undone."""


class Event(NamedTuple):
    """One event, as ``Recommender`` takes it; ``ts`` (unix milliseconds) is there for sessions of the run alone."""

    aid: Any
    ts: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session and where it is from: ``name`` is the id of a session of the run, as long as nothing was added."""

    events: tuple[Event, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser's page.

    session : what stands on it
    earlier : what stood on it before, the latest last
    asked   : item and target that the visitor wants to know the reasons of, if any
    seen    : number of the last act of this browser that has been done
    """

    session: Session = Session()
    earlier: tuple[Session, ...] = ()
    asked: tuple[Any, str] | None = None
    seen: int = 0


class Act(NamedTuple):
    """Something a browser did: ``do`` is ``add`` (an event of a ``kind`` on an ``item``), ``undo`` or ``clear``."""

    n: int
    do: str
    item: str = ""
    kind: str = ""


def unseen(sent: Any, seen: int) -> list[Act]:
    """The acts with a number above ``seen``, each once and in their order, whatever else was sent.

    >>> unseen([{"n": 3, "do": "undo"}, {"n": 2, "do": "add", "item": "12", "kind": "carts"}, {"n": 1}, {}, 7], 1)
    [Act(n=2, do='add', item='12', kind='carts'), Act(n=3, do='undo', item='', kind='')]
    """
    found: dict[int, Act] = {}
    for one in sent if isinstance(sent, list) else ():
        if isinstance(one, dict) and isinstance(one.get("n"), int) and one["n"] > seen:
            found[one["n"]] = Act(one["n"], *(str(one.get(key, "")) for key in ("do", "item", "kind")))
    return [found[n] for n in sorted(found)]


def to(visit: Visit, session: Session) -> Visit:
    """The page with another session on it; the step can be undone."""
    if session == visit.session:
        return visit
    return replace(visit, session=session, earlier=(*visit.earlier, visit.session)[-MOST_STEPS:])


def with_event(session: Session, aid: Any, kind: str) -> Session:
    """The session and one more event; in a session with times it happens ``STEP_SECONDS`` after the last one.

    >>> with_event(Session((Event(12, 60_000, "clicks"),), "7"), 55, "carts").events[-1]
    Event(aid=55, ts=90000, kind='carts')

    Raises
    ------
    InputError
        If there is no such type of event, or the session is as long as may be.
    """
    if kind not in TARGETS:
        raise InputError("events", None, f"unknown event type {kind!r}", "use clicks, carts or orders")
    if len(session.events) >= MOST_EVENTS:
        raise InputError("events", None, f"the session has {MOST_EVENTS} events", "undo some, or clear it")
    last = session.events[-1].ts if session.events else None
    return Session((*session.events, Event(aid, None if last is None else last + 1000 * STEP_SECONDS, kind)))


def undone(visit: Visit) -> Visit:
    """The page before the last step; itself where there was none."""
    if not visit.earlier:
        return visit
    return replace(visit, session=visit.earlier[-1], earlier=visit.earlier[:-1])
