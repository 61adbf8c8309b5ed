"""What the page does: each act takes a visitor's page and gives the next one, and what is shown of it."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from events.errors import InputError
from rankers.answers import Recommendation
from scripts.demo import lists_view, why_view
from scripts.demo.markup import line, tag
from scripts.demo.shop import Shop
from scripts.demo.typed import mistake, read_typed, shortened, whole
from scripts.demo.visit import Act, Session, Visit, to, undone, unseen, with_event

K: Final = 20
"""Items of a list."""
POPULAR: Final = 12
"""Popular items that are offered."""
ALL: Final = 100_000
"""More features than there are."""


class View(NamedTuple):
    """HTML of the page's parts."""

    said: str
    session: str
    lists: str


class Desk:
    """Serves every visitor; keeps nothing of any."""

    def __init__(self, shop: Shop, draw: random.Random | None = None) -> None:
        self.shop = shop
        self._draw = random.Random() if draw is None else draw
        nothing = shop.recommender.recommend_all([], K)
        targets = tuple(reversed(shop.recommender.targets))  # what is bought first
        listed = [aid for places in zip(*(nothing[t].items for t in targets), strict=False) for aid in places]
        first = list(dict.fromkeys(listed))[:POPULAR]
        names = shop.names.of(first)
        self.popular = lists_view.popular(names[aid] for aid in first)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the lists."""
        return self.shop.recommender.targets

    def examples(self, n: int) -> list[Any]:
        """Sessions of the run to pick from."""
        return self.shop.some_sessions(n, self._draw)

    def show(self, visit: Visit, said: str = "") -> tuple[Visit, View]:
        """The page as it is."""
        return self._act(visit, lambda: visit, said)

    def pick(self, visit: Visit, name: Any) -> tuple[Visit, View]:
        """Put a session of the run on the page."""
        name = whole(name) if isinstance(name, str) else name
        return self._act(visit, lambda: to(visit, self.shop.session(name)))

    def pick_any(self, visit: Visit) -> tuple[Visit, View]:
        """The same, at random."""
        some = self.examples(1)
        if not some:
            return self.show(visit, "This run has no sessions to pick from: type one, or click items.")
        return self.pick(visit, some[0])

    def type(self, visit: Visit, text: str) -> tuple[Visit, View]:
        """Put on the page what was typed."""
        return self._act(visit, lambda: to(visit, Session(read_typed(text, self._id))))

    def act(self, visit: Visit, sent: Any) -> tuple[Visit, View]:
        """Do what a browser says it did and what was not done yet; see :func:`scripts.demo.visit.unseen`."""
        said, wrong = "", False
        for one in unseen(sent, visit.seen):
            try:
                said, wrong, visit = "", False, self._done(visit, one)
            except InputError as error:
                said, wrong = mistake(error), True
            visit = replace(visit, seen=one.n)
        return self._act(visit, lambda: visit, said, wrong)

    def why(self, visit: Visit, item: str = "", target: str = "") -> tuple[Visit, str]:
        """The reasons of an item; without one, of that asked for before, or of the best for the target."""
        try:
            if target:
                visit = replace(visit, asked=(self._id(item) if item else None, whole(target)))
            return visit, self._why(visit)
        except InputError as error:
            return replace(visit, asked=None), line(mistake(error), wrong=True)

    def _done(self, visit: Visit, act: Act) -> Visit:
        if act.do == "add":
            return to(visit, with_event(visit.session, self._id(act.item), act.kind))
        if act.do == "undo" and visit.earlier:
            return undone(visit)
        if act.do == "clear":
            return to(visit, Session())
        raise InputError("events", None, "there is nothing to undo", "add an event")

    def _id(self, text: str) -> Any:
        aid = self.shop.recommender.id_of(whole(text))
        if isinstance(aid, int) and not -(2**63) <= aid < 2**63:
            raise InputError("item", None, f"item {text} is out of range", "give one of 64 bits")
        return aid

    def _act(
        self, visit: Visit, change: Callable[[], Visit], said: str = "", wrong: bool = False
    ) -> tuple[Visit, View]:
        """Make a change; where it is a mistake, all stays as it is and a line says so."""
        try:
            after = change()
            found = self._ask(after.session)
        except InputError as error:
            after, said, wrong = visit, mistake(error), True
            found = self._ask(after.session)
        unknown = next(iter(found.values())).unknown
        if unknown and not said:
            n = len(unknown)
            some = shortened(", ".join(map(str, unknown[:5])), 100)
            said = f"Left out, as the run does not know {'it' if n == 1 else 'them'}: {some}"
            said += f" and {n - 5} more." if n > 5 else "."
            if {one.aid for one in after.session.events} == set(unknown):
                said += f" {lists_view.STRANGE}"
        shop = self.shop
        return after, View(
            line(said, wrong),
            lists_view.strip(after, shop.names, unknown),
            lists_view.lists(found, shop.names, shop.sources, after),
        )

    def _ask(self, session: Session) -> dict[str, Recommendation]:
        found: dict[str, Recommendation] = self.shop.recommender.recommend_all(list(session.events), K)
        return found

    def _why(self, visit: Visit) -> str:
        shop, events = self.shop, list(visit.session.events)
        aid, target = visit.asked or (None, self.targets[-1])
        listed: Recommendation = shop.recommender.recommend(events, target, K)
        if aid is None and listed.items:
            aid = listed.items[0]
        names = shop.names.of([*listed.items, aid, *(one.aid for one in events)])
        menu = why_view.choice(target, self.targets, [names[one] for one in listed.items], aid)
        try:
            found = shop.recommender.explain(events, aid, target, ALL)
            body = why_view.explained(found, names, shop.sources)
        except InputError as error:
            reasons = dict(zip(listed.items, listed.reasons, strict=True)).get(aid, ())
            if not reasons:
                raise
            body = why_view.unranked(names[aid], error.problem, reasons, shop.sources)
        return tag("div", menu, tag("div", body, kind="told"), kind="reasons")
