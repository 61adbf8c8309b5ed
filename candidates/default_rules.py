"""The handcrafted rules of the public OTTO notebooks: history, then common neighbours, then what is popular.

The rule to copy from when writing one of your own: set ``candidates.rules.function = "package.module:function"``.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from candidates.rule_worker import Session
from events.lists import Lists

LENGTH = 20
"""Items that the rule returns; with this many different items in a session it ranks these alone."""

TYPE_WEIGHTS = (1, 6, 3)
BUY2BUY_HIT = 0.1


def rule(session: Session, tables: Mapping[str, Lists], target: str) -> list[int]:
    """At most 20 items for the target; ties go to the item met first, from the end of the session."""
    unique = list(dict.fromkeys(session.aids[::-1].tolist()))
    buying = target != "clicks"
    bought = _bought(session) if buying else []
    if len(unique) >= LENGTH:
        return _ranked_history(session, unique, _near(tables, "buy2buy", bought), 0.5 if buying else 0.1)

    common = Counter(_near(tables, "carts_orders" if buying else "clicks", unique))
    common.update(_near(tables, "buy2buy", bought))
    for aid in unique:
        common.pop(aid, None)
    found = unique + [aid for aid, _ in common.most_common(LENGTH - len(unique))]
    popular = tables[f"popular_{target}"].row(0)[0].tolist() if len(found) < LENGTH else []
    return (found + [aid for aid in popular if aid not in found])[:LENGTH]


def _bought(session: Session) -> list[int]:
    """Different items carted or ordered, the latest first."""
    if session.types is None:
        return []
    return list(dict.fromkeys(session.aids[session.types > 0][::-1].tolist()))


def _near(tables: Mapping[str, Lists], name: str, items: list[int]) -> list[int]:
    """The neighbours of all these items, one after the other; none if the shop has no such matrix."""
    table = tables.get(name)
    return [] if table is None else [aid for item in items for aid in table.row(item)[0].tolist()]


def _ranked_history(session: Session, unique: list[int], hits: list[int], first_power: float) -> list[int]:
    """The session's items by recency times type weight; each ``buy2buy`` hit adds a little, to other items, too."""
    sums = dict.fromkeys(unique, 0.0)
    types = [0] * session.aids.size if session.types is None else session.types.tolist()
    for aid, weight, code in zip(session.aids.tolist(), _recency(len(types), first_power), types, strict=True):
        sums[aid] += weight * TYPE_WEIGHTS[code]
    for aid in hits:
        sums[aid] = sums.get(aid, 0.0) + BUY2BUY_HIT
    return sorted(sums, key=sums.__getitem__, reverse=True)[:LENGTH]


@lru_cache(maxsize=1_000)
def _recency(n: int, first_power: float) -> list[float]:
    """2^p - 1 with p rising evenly to 1."""
    weights: list[float] = (2 ** np.linspace(first_power, 1, n) - 1).tolist()
    return weights
