"""One session, one rule: what runs in a worker process of the source ``rules``, on NumPy alone.

A worker opens log and tables memory-mapped the first time it sees their folder, and keeps them open.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog
from events.plugins import load_object

LOG = "log"
TABLES = "tables"


class Session(NamedTuple):
    """What a rule sees of a session: int32 items, int32 seconds and int8 types of its events, in time order.

    ``ts`` and ``types`` are ``None`` where the shop has none.
    """

    aids: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int32] | None
    types: npt.NDArray[np.int8] | None


Rule = Callable[[Session, Mapping[str, Lists], str], list[int]]
"""``rule(session, tables, target)``: items of the session, best first.

tables : the co-visitation matrices by name (one list an item), and ``popular_<target>`` (a single list); a matrix that
         the shop cannot serve is missing
target : clicks, carts or orders
"""


def session_of(log: SessionLog, s: int) -> Session:
    """Views of the events of session ``s``."""
    first, last = log.offsets[s], log.offsets[s + 1]
    return Session(
        log.aids[first:last],
        None if log.ts is None else log.ts[first:last],
        None if log.types is None else log.types[first:last],
    )


def apply_rule(rule: Rule, path: str, log: SessionLog, tables: Mapping[str, Lists], target: str, s: int) -> list[int]:
    """The rule's items for session ``s``: repeats dropped, all known to the item index.

    Raises
    ------
    InputError
        If the rule returns something else than items; ``path`` names it.
    """
    found = rule(session_of(log, s), tables, target)
    try:
        items = list(dict.fromkeys(map(int, found)))
    except (TypeError, ValueError):
        raise InputError(path, None, f"the rule returned {found!r}", "return a list of items") from None
    if items and not (min(items) >= 0 and max(items) < log.n_items):
        raise InputError(
            path, None, "the rule returned items that are no dense rows", "return items of the session or of the tables"
        )
    return items


@lru_cache(maxsize=4)
def open_rule(path: str) -> Rule:
    """The rule that ``package.module:function`` names."""
    rule: Rule = load_object(path)
    return rule


@lru_cache(maxsize=4)
def open_folder(folder: str) -> tuple[SessionLog, dict[str, Lists]]:
    """Log and tables below a folder, memory-mapped; kept open."""
    tables = {path.name: Lists.load(path) for path in sorted((Path(folder) / TABLES).resolve().iterdir())}
    return SessionLog.load(Path(folder) / LOG), tables


def work(s: int, path: str, folder: str, target: str) -> list[int]:
    """What a worker does for session ``s`` of the log in ``folder``."""
    log, tables = open_folder(folder)
    return apply_rule(open_rule(path), path, log, tables, target, s)
