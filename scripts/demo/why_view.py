"""How one item's score came about, as HTML: its sources, its features, the ranker's sum."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rankers.answers import Contribution, Explanation
from rankers.reasons import Reason
from scripts.demo.lists_view import reason
from scripts.demo.markup import safe, tag
from scripts.demo.names import Item

STRONGEST: Final = 12
"""Features that have a bar of their own."""
SAME: Final = 1e-3
"""A sum of contributions that is as near to the score is the score."""


def choice(target: str, targets: Sequence[str], listed: Sequence[Item], asked: Any) -> str:
    """Buttons: the targets, and the items of the target's list."""
    first = listed[0].aid if listed else ""
    kinds = [
        tag(
            "button",
            safe(one),
            kind="kind",
            type="button",
            data_why="",
            data_target=one,
            aria_pressed=str(one == target).lower(),
        )
        for one in targets
    ]
    places = [
        tag(
            "button",
            tag("span", safe(place), kind="place"),
            tag("span", safe(one.name or one.aid), kind="name"),
            kind="pick",
            type="button",
            data_why=one.aid,
            data_target=target,
            aria_pressed=str(one.aid == (first if asked is None else asked)).lower(),
            title=one.label,
        )
        for place, one in enumerate(listed, 1)
    ]
    return tag("div", tag("div", *kinds, kind="kinds"), tag("div", *places, kind="picks"), kind="choice")


def explained(found: Explanation, items: Mapping[Any, Item], meanings: Mapping[str, str]) -> str:
    """The path of an item, from its sources to its place."""
    item = items[found.item]
    head = tag(
        "h3",
        safe(item.label),
        tag("small", safe(f"place {found.place + 1} of {found.candidates} candidates for {found.target}")),
    )
    return head + tag("ol", _sources(found.reasons, items, meanings), _features(found), _ranker(found), kind="path")


def unranked(item: Item, problem: str, reasons: Sequence[Reason], meanings: Mapping[str, str]) -> str:
    """An item that no model has ranked: its sources alone."""
    why = f"{problem[:1].upper()}{problem[1:]}: the sources' own places make the list."
    return tag("h3", safe(item.label)) + tag(
        "ol", _sources(reasons, {}, meanings), tag("li", tag("p", safe(why), kind="hint")), kind="path"
    )


def _sources(reasons: Sequence[Reason], items: Mapping[Any, Item], meanings: Mapping[str, str]) -> str:
    alike: dict[str, list[str]] = {}
    for one in reasons:
        alike.setdefault(meanings.get(one.source, ""), []).append(reason(one, items, ""))
    rows = [tag("li", *said, tag("span", safe(meaning), kind="meaning")) for meaning, said in alike.items()]
    n = len(reasons)
    head = tag("h4", safe(f"1. {n} source{'s' * (n != 1)} proposed it"))
    note = tag("p", safe("The number is its place in that source's own list."), kind="note")
    return tag("li", head, note, tag("ul", *rows, kind="proposed"))


def _number(value: float) -> str:
    """A feature's value.

    >>> _number(0.25), _number(3.0), _number(math.nan)
    ('0.25', '3', 'none')
    """
    return "none" if math.isnan(value) else f"{value:.4g}"


def _bar(said: Sequence[str], value: float, widest: float) -> str:
    """A row with a bar to the right for what adds, to the left for what takes away."""
    width = 0.0 if widest == 0 else 50 * abs(value) / widest
    start = 50.0 if value >= 0 else 50 - width
    bar = tag(
        "span",
        tag("span", kind="up" if value >= 0 else "down", style=f"left:{start:.2f}%;width:{width:.2f}%"),
        kind="bar",
        aria_hidden="true",
    )
    return tag("li", *said, bar, tag("b", safe(f"{value:+.3f}"), kind="adds"))


def _features(found: Explanation) -> str:
    strongest, rest = found.features[:STRONGEST], found.features[STRONGEST:]
    other = sum(one.contribution for one in rest)
    widest = max([abs(one.contribution) for one in strongest] + [abs(other)] * bool(rest), default=0.0)
    rows = [_bar(_said(one), one.contribution, widest) for one in strongest]
    if rest:
        name = [tag("span", safe(f"{len(rest)} other features"), kind="feature"), tag("span", kind="meaning")]
        rows.append(_bar(name, other, widest))
    head = tag("h4", safe("2. Its features add to the score, or take away"))
    return tag("li", head, tag("ol", *rows, kind="bars"))


def _said(one: Contribution) -> list[str]:
    name = tag("span", tag("b", safe(one.feature)), safe(f" = {_number(one.value)}"), kind="feature")
    return [name, tag("span", safe(one.meaning), kind="meaning")]


def _ranker(found: Explanation) -> str:
    added = sum(one.contribution for one in found.features)
    total = found.base + added
    parts = [f"{found.base:.3f} that every item has", f"{added:+.3f} from its features", f"= {total:.3f}"]
    rows = [tag("li", safe(one)) for one in parts]
    if abs(total - found.score) > SAME:
        rows.append(tag("li", safe(f"blended with the other models: {found.score:.3f}")))
    head = tag("h4", safe("3. The ranker sums up and sorts"))
    end = f"Sorted by this score among {found.candidates} candidates, it takes place {found.place + 1}."
    return tag("li", head, tag("ul", *rows, kind="sum"), tag("p", safe(end)))
