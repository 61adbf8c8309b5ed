"""A visitor's session changes step by step, and every step can be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InputError
from scripts.demo.visit import MOST_EVENTS, MOST_STEPS, Event, Session, Visit, to, undone, with_event

STEPS = st.lists(st.sampled_from(["add", "clear", "pick", "undo"]), max_size=40)


@given(STEPS)
def test_steps_are_those_of_a_stack_of_sessions(steps):
    visit, stack = Visit(), [Session()]
    for i, step in enumerate(steps):
        if step == "undo":
            visit = undone(visit)
            stack = stack[:-1] if len(stack) > 1 else stack
            assert visit.session == stack[-1]
            continue
        wanted = {
            "add": with_event(visit.session, i, "carts"),
            "clear": Session(),
            "pick": Session((Event(1, 7, "clicks"),), str(i)),
        }[step]
        visit = to(visit, wanted)
        if wanted != stack[-1]:
            stack.append(wanted)
        assert visit.session == wanted
    for session in reversed(stack[:-1]):
        visit = undone(visit)
        assert visit.session == session
    assert undone(visit) == visit


def test_the_number_of_steps_kept_is_bounded():
    visit = Visit()
    for i in range(MOST_STEPS + 20):
        visit = to(visit, Session((Event(i, None, "clicks"),)))
    assert len(visit.earlier) == MOST_STEPS
    assert visit.earlier[-1].events[0].aid == MOST_STEPS + 18


def test_what_is_added_to_a_session_with_times_gets_one_and_the_session_loses_its_name():
    session = with_event(with_event(Session((Event(3, 10**12, "clicks"),), "77"), 4, "orders"), 3, "clicks")
    assert [event.ts for event in session.events] == [10**12, 10**12 + 30_000, 10**12 + 60_000]
    assert session.name == ""
    assert with_event(Session(), 4, "orders").events == (Event(4, None, "orders"),)


def test_no_more_events_than_may_be_and_none_of_another_type():
    full = Session(tuple(Event(1, None, "clicks") for _ in range(MOST_EVENTS)))
    for session, kind in ((full, "clicks"), (Session(), "views"), (Session(), "<b>")):
        with pytest.raises(InputError):
            with_event(session, 1, kind)
