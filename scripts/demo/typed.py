"""What visitors type, by the same parser as ``scripts.recommend``, and mistakes as one line of the page."""

from collections.abc import Callable
from typing import Any, Final

from events.errors import InputError
from scripts.demo.visit import MOST_EVENTS, Event
from scripts.recommend import read_session

MOST_SAID: Final = 160
"""Characters of a line about a mistake; what was typed may be of any length."""
OURS: Final = ("--session", "events", "item", "target")
"""What mistakes are said to lie in by those who know nothing of the page."""


def whole(text: str) -> str:
    """The text with halves of characters, which no answer can hold, as question marks.

    >>> whole("12\\ud800")
    '12?'
    """
    return text.encode("utf-8", "replace").decode()


def read_typed(text: str, id_of: Callable[[str], Any]) -> tuple[Event, ...]:
    """Events of ``ITEM`` or ``ITEM:TYPE``; ``id_of`` makes an item's id of its text.

    >>> read_typed("12 55:carts", int)
    (Event(aid=12, ts=None, kind='clicks'), Event(aid=55, ts=None, kind='carts'))

    Raises
    ------
    InputError
        If there are too many, or one is no event.
    """
    words = whole(text).split(maxsplit=MOST_EVENTS)
    if len(words) > MOST_EVENTS:
        raise InputError("events", None, f"this page takes no more than {MOST_EVENTS} events", "type fewer")
    return tuple(Event(id_of(item), ts, kind) for item, ts, kind in read_session(" ".join(words)))


def shortened(text: str, most: int) -> str:
    """Text of at most ``most`` characters, in one line, the middle left out.

    >>> shortened("abcdefghij", 7)
    'abc … hij'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-(most // 2) :]}"


def mistake(error: InputError) -> str:
    """A mistake as a line of the page.

    >>> mistake(InputError("--session", None, "unknown event type in '5:x'", "write ITEM:clicks, carts or orders"))
    "Unknown event type in '5:x'; write ITEM:clicks, carts or orders."
    """
    problem = error.problem if error.file in OURS else f"{error.file}: {error.problem}"
    said = f"{shortened(problem, MOST_SAID)}; {shortened(error.remedy, MOST_SAID)}."
    return said[:1].upper() + said[1:]
