"""The handcrafted rules, rules of the user's own, and the worker processes."""

import contextlib
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from candidates.default_rules import rule
from candidates.rule_worker import Session
from candidates.rules import Rules
from candidates.settings import RulesSettings
from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog

ROOT = Path(__file__).resolve().parent.parent.parent
N = 60


def matrix(rows: dict[int, list[int]]) -> Lists:
    """A matrix of N items with these neighbours."""
    return Lists.of([[(aid, 1.0) for aid in rows.get(x, [])] for x in range(N)])


TABLES = {
    "clicks": matrix({1: [10, 11, 12], 2: [11, 1, 12], 3: [12]}),
    "carts_orders": matrix({1: [20, 21], 2: [21]}),
    "buy2buy": matrix({2: [30, 21], 40: [50, 50]}),
    "popular_clicks": Lists.of([[(aid, 1.0) for aid in [11, 55, 3, 56]]]),
    "popular_carts": Lists.of([[(57, 1.0)]]),
    "popular_orders": Lists.of([[(58, 1.0)]]),
}


def session(aids: list[int], types: list[int] | None = None) -> Session:
    return Session(
        np.array(aids, np.int32), None, np.zeros(len(aids), np.int8) if types is None else np.array(types, np.int8)
    )


def test_short_sessions_own_items_then_common_neighbours_then_popular() -> None:
    # Neighbours of 3, 2, 1: 12 | 11 1 12 | 10 11 12, that is 12 thrice, 11 twice, 10 once; 1 is in the session.
    assert rule(session([1, 2, 1, 2, 3]), TABLES, "clicks") == [3, 2, 1, 12, 11, 10, 55, 56]


def test_buys_look_up_what_was_bought() -> None:
    # carts_orders: 21 (of 2), 20, 21 (of 1); buy2buy of the bought 2: 30, 21.
    visited = session([1, 2], [0, 1])
    assert rule(visited, TABLES, "carts") == [2, 1, 21, 20, 30, 57]
    assert rule(visited, TABLES, "orders") == [2, 1, 21, 20, 30, 58]


def test_long_sessions_rank_their_history() -> None:
    aids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 40, 41]
    carted = [1 if aid == 0 else 0 for aid in aids]
    weights = 2 ** np.linspace(0.1, 1, len(aids)) - 1
    order = sorted(range(len(aids)), key=lambda i: -weights[i] * (6 if carted[i] else 1))
    found = rule(session(aids, carted), TABLES, "clicks")
    assert found == [aids[i] for i in order[:20]]
    assert found.index(0) > found.index(18)  # one early cart does not beat the last clicks

    weights = 2 ** np.linspace(0.5, 1, len(aids)) - 1
    bought = [1 if aid in (0, 40) else 0 for aid in aids]
    scores = dict(zip(aids, weights * np.where(np.array(bought) == 1, 6, 1), strict=True))
    scores[50] = 0.2  # two hits in the list of the bought item 40, not enough to enter
    assert rule(session(aids, bought), TABLES, "orders") == sorted(scores, key=lambda aid: -scores[aid])[:20]


def test_a_buy2buy_hit_lifts_an_item() -> None:
    aids = [*range(0, 19), 40]
    bought = [1 if aid in (0, 40) else 0 for aid in aids]
    tables = {**TABLES, "buy2buy": matrix({40: [5], 0: [5]})}
    before, after = (rule(session(aids, bought), t, "orders") for t in (TABLES, tables))
    assert after.index(5) < before.index(5)


def test_a_shop_without_types_has_no_buys() -> None:
    tables = {name: TABLES[name] for name in ("clicks", "popular_clicks")}
    assert rule(Session(np.array([3], np.int32), None, None), tables, "clicks") == [3, 12, 11, 55, 56]


def make(function: str, **settings: int) -> Rules:
    log = SessionLog.of([[1, 2], [2]], types=[[0, 1], [2]], n_items=N)
    own = RulesSettings.model_validate({"function": f"tests.candidates.own_rules:{function}", **settings})
    return Rules("own", own, {}).fit(log)


def test_a_rule_of_the_users_own_repeats_dropped() -> None:
    lists = make("last_and_popular").recommend(SessionLog.of([[1, 5], []], n_items=N), 3, "orders")
    assert [lists.row(s)[0].tolist() for s in range(2)] == [[5, 2], [2]]
    np.testing.assert_allclose(lists.row(0)[1], [1, 1 / 2])


@pytest.mark.parametrize(
    ("function", "problem"),
    [("not_a_list", "returned 5"), ("out_of_range", "no dense rows"), ("absent", "cannot be found")],
)
def test_a_wrong_rule_is_named(function: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as error:
        make(function).recommend(SessionLog.of([[1]], n_items=N), 3, "clicks")
    assert error.value.file == f"tests.candidates.own_rules:{function}"


def test_workers_give_the_lists_of_a_plain_loop_and_pass_on_errors() -> None:
    command = [sys.executable, "-m", "tests.candidates.parallel_rules"]
    terminal, its_end = pty.openpty()  # a terminal, so that the progress bars show
    process = subprocess.Popen(command, cwd=ROOT, stdout=its_end, stderr=subprocess.DEVNULL)
    os.close(its_end)
    limit = threading.Timer(120, process.kill)
    limit.start()
    out = b""
    with contextlib.suppress(OSError):  # a terminal whose other end was closed says so by an error
        while part := os.read(terminal, 1 << 16):
            out += part
    os.close(terminal)
    status = process.wait()
    limit.cancel()
    assert status == 0, out[-2000:]
    assert b"equal: candidates.default_rules:rule" in out
    assert b"equal: tests.candidates.own_rules:last_and_popular" in out
    assert b"100.00%" in out
    assert b"raised: a bug in the rule" in out
