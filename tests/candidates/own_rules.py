"""Rules as a user would write them."""

from collections.abc import Mapping

from candidates.rule_worker import Session
from events.lists import Lists


def last_and_popular(session: Session, tables: Mapping[str, Lists], target: str) -> list[int]:
    """The last item, twice, and what is popular."""
    last = session.aids[-1:].tolist()
    return [*last, *last, *tables[f"popular_{target}"].row(0)[0][:3]]


def not_a_list(session: Session, tables: Mapping[str, Lists], target: str) -> int:
    """Forgets to return a list."""
    return 5


def out_of_range(session: Session, tables: Mapping[str, Lists], target: str) -> list[int]:
    """Returns something else than dense rows."""
    return [10**9]


def failing(session: Session, tables: Mapping[str, Lists], target: str) -> list[int]:
    """Has a bug."""
    raise ZeroDivisionError("a bug in the rule")
