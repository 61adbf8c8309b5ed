"""Overlap of sources against its definition written out in Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from candidates.pool import Arena, build_pool
from events.columns import WEIGHTS
from events.labels import LabelSet
from events.lists import Lists
from submissions.proposals import Proposals

N = 12
COLUMNS = {"history": "history", "near_clicks": "near", "near_orders": "near", "far": "far"}
SOURCES = ("history", "near", "far")

lists = st.lists(st.integers(0, N), unique=True, max_size=6)
truth = st.lists(st.integers(-1, N), unique=True, max_size=4)
session = st.tuples(st.tuples(lists, lists, lists, lists), truth, truth)


@given(st.lists(session, min_size=1, max_size=6), st.integers(0, 6))
def test_equals_the_definition_for_any_chunks(sessions: list, cut: int) -> None:
    columns = {name: Lists.of([[(a, 0.0) for a in one[0][c]] for one in sessions]) for c, name in enumerate(COLUMNS)}
    labels = {"clicks": LabelSet.of([one[1] for one in sessions]), "orders": LabelSet.of([one[2] for one in sessions])}
    found, cut = Proposals(COLUMNS, k=3), min(cut, len(sessions))
    for start, stop in ((0, cut), (cut, len(sessions))):
        part = {name: one.slice(start, stop) for name, one in columns.items()}
        of_labels = {target: one.slice(start, stop) for target, one in labels.items()}
        found.add("history", part["history"], of_labels)
        pool = build_pool(part, Arena())
        found.add_pool(pool.offsets, pool.aids, pool.ranks, of_labels)
    result = found.result()

    held = [
        {"history": set(h), "near": set(clicks) | set(orders), "far": set(f)}
        for (h, clicks, orders, f), _, _ in sessions
    ]
    proposed = [[sum(len(one[a] & one[b]) for one in held) for b in SOURCES] for a in SOURCES]
    assert result["overlap"]["sources"] == list(SOURCES)
    assert result["overlap"]["proposed"] == proposed

    def share(both) -> float:
        """Weighted share, over the targets with labels, of the true items that ``both`` keeps of a session."""
        parts = {}
        for target, place in (("clicks", 1), ("orders", 2)):
            true = sum(len(one[place]) for one in sessions)
            if true:
                hits = sum(len(both(one) & (set(s[place]) - {-1})) for one, s in zip(held, sessions, strict=True))
                parts[target] = hits / true
        whole = sum(WEIGHTS[target] for target in parts)
        return sum(WEIGHTS[target] * value for target, value in parts.items()) / whole if parts else 0.0

    for i, a in enumerate(SOURCES):
        for j, b in enumerate(SOURCES):
            assert np.isclose(result["overlap"]["found"][i][j], share(lambda one, a=a, b=b: one[a] & one[b]))
        others = [other for other in SOURCES if other != a]
        alone = share(lambda one, a=a, others=others: one[a] - set.union(*(one[other] for other in others)))
        assert np.isclose(result["overlap"]["alone"][i], alone)
    depths = result["recall"]["history"]["targets"]["clicks"]
    true = sum(min(5, len(one[1])) for one in sessions)
    hits = sum(len(set(one[0][0][:5]) & (set(one[1]) - {-1})) for one in sessions)
    assert depths["5"] == (hits / true if true else None)
