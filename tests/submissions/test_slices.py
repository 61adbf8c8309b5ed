"""Scores by length of the session."""

import numpy as np

from events.labels import LabelSet
from events.lists import Lists
from submissions.metrics import hits_by_target
from submissions.slices import LENGTHS, length_buckets, slice_scores


def test_buckets_hold_the_lengths_they_name() -> None:
    codes, names = length_buckets(np.array([0, 1, 2, 3, 4, 5, 9, 10, 49, 50, 1_000]))
    assert [names[code] if code >= 0 else None for code in codes] == [
        None, "1", "2", "3-4", "3-4", "5-9", "5-9", "10-19", "20-49", "50+", "50+",
    ]  # fmt: skip
    assert len(names) == len(LENGTHS)


def test_slices_are_scored_on_their_own() -> None:
    lists = Lists.of([[(1, 0.0)], [(2, 0.0)], [(3, 0.0)]])
    hits = hits_by_target({"clicks": lists}, {"clicks": LabelSet.of([[1], [9], [3]])})
    scores = slice_scores(hits, np.array([0, 0, 2]), ("short", "middle", "long"))
    assert {name: found.total for name, found in scores.items()} == {"short": 0.5, "long": 1.0}
