"""The lists of a session, the session itself and the popular items, as HTML."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rankers.answers import Recommendation
from rankers.reasons import Reason
from scripts.demo.markup import safe, tag
from scripts.demo.names import Item, Names
from scripts.demo.visit import Session, Visit

SHOWN_EVENTS: Final = 40
"""Latest events of a session that are shown."""
SHOWN_REASONS: Final = 3
TITLES: Final = {"clicks": "looked at next", "carts": "put into the cart", "orders": "bought"}
ONE: Final = {"clicks": "click", "carts": "cart", "orders": "order"}
COLD: Final = (
    "Every list holds what is popular. Pick one of the run's sessions, type one, or click items: the lists follow."
)
LEGEND: Final = (
    "Under each item stand the sources that proposed it, each with its place in that source's own list "
    "and with those of the session's items that it is often seen with."
)
STRANGE: Final = "So every list holds what is popular."


def reason(one: Reason, items: Mapping[Any, Item], meaning: str) -> str:
    """One source: its name, place, and the session's items that it goes by."""
    near = ", ".join(items[aid].label for aid in one.items)
    said = [tag("b", safe(one.source)), safe(f" {one.place + 1}")]
    if near:
        said.append(tag("i", safe(" with "), safe(near)))
    return tag("span", *said, kind="source", title=f"{meaning}, place {one.place + 1}" if meaning else None)


def _row(place: int, item: Item, score: float, why: tuple[Reason, ...], target: str, shown: "Shown") -> str:
    own = item.aid in shown.own
    face = tag(
        "button",
        tag("span", safe(place), kind="place"),
        tag("span", safe(item.name or item.aid), kind="name"),
        tag("span", safe(f"{score:.3f}"), kind="score"),
        tag("span", safe(", ".join(x for x in (str(item.aid) if item.name else "", item.more) if x)), kind="more"),
        tag("span", safe("in the session"), kind="own") if own else "",
        kind="item",
        type="button",
        data_add=item.aid,
        title="Add it to the session",
    )
    because = [reason(one, shown.items, shown.sources.get(one.source, "")) for one in why[:SHOWN_REASONS]]
    if len(why) > SHOWN_REASONS:
        because.append(tag("span", safe(f"{len(why) - SHOWN_REASONS} more"), kind="rest"))
    ask = tag(
        "button",
        safe("why?"),
        kind="why",
        type="button",
        data_why=item.aid,
        data_target=target,
        aria_label=f"Why is {item.label} on place {place} for {target}?",
    )
    return tag("li", face, tag("div", tag("div", *because), ask, kind="because"), kind="entry")


class Shown:
    """What rows need to know: the items' names, the session's items, what the sources mean."""

    def __init__(self, names: Names, sources: Mapping[str, str], session: Session, aids: Iterable[Any]) -> None:
        self.own = {one.aid for one in session.events}
        self.items = names.of([*self.own, *aids])
        self.sources = sources


def lists(found: Mapping[str, Recommendation], names: Names, sources: Mapping[str, str], visit: Visit) -> str:
    """A list a target, each with scores and reasons."""
    session = visit.session
    shown = Shown(names, sources, session, (aid for one in found.values() for aid in one.items))
    columns = []
    for target, one in found.items():
        rows = [
            _row(place, shown.items[aid], score, why, target, shown)
            for place, (aid, score, why) in enumerate(zip(one.items, one.scores.tolist(), one.reasons, strict=True), 1)
        ]
        head = tag("h3", safe(target), tag("small", safe(TITLES.get(target, ""))), id=f"list-{target}")
        columns.append(tag("section", head, tag("ol", *rows), kind=f"list {target}"))
    jump = tag("nav", *(tag("a", safe(target), href=f"#list-{target}") for target in found), kind="jump")
    return jump + tag("div", *columns, kind="lists", data_seen=visit.seen) + tag("p", safe(LEGEND), kind="note")


def strip(visit: Visit, names: Names, unknown: Iterable[Any]) -> str:
    """The session's events, the latest first, of long ones the latest; where there are none, what to do."""
    session = visit.session
    items, strange = names.of(one.aid for one in session.events), set(unknown)
    chips = []
    for one in reversed(session.events[-SHOWN_EVENTS:]):
        said = [tag("b", safe(ONE[one.kind])), safe(f" {items[one.aid].label}")]
        if one.aid in strange:
            said.append(tag("i", safe(" unknown")))
        chips.append(tag("li", *said, kind=f"event {one.kind}", data_event=one.aid))
    n = len(session.events)
    if n > SHOWN_EVENTS:
        chips.append(tag("li", safe(f"{n - SHOWN_EVENTS} earlier"), kind="rest"))
    name = f"session {session.name} of the run" if session.name else "your session"
    title = f"{name}: {n} event{'s' * (n != 1)}{', the latest first' * (n > 1)}" if n else "no session yet"
    back = [tag("button", safe(one), kind="do", type="button", data_do=one, id=one) for one in ("undo", "clear")]
    body = tag("ol", *chips) if n else tag("p", safe(COLD), kind="hint")
    head = tag("div", tag("h3", safe(title)), *back, kind="head")
    return head + tag("div", body, kind="strip", data_events=n, data_seen=visit.seen)


def popular(items: Iterable[Item]) -> str:
    """Popular items to begin with."""
    buttons = [
        tag(
            "button",
            safe(one.name or one.aid),
            tag("small", safe(one.aid)) if one.name else "",
            kind="chip",
            type="button",
            data_add=one.aid,
        )
        for one in items
    ]
    return tag("h3", safe("popular items")) + tag("div", *buttons, kind="popular")
