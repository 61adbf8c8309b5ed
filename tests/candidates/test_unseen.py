"""Lists without the session's own items, against the plain version."""

from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.unseen import leave_out_seen
from events.lists import Lists
from tests.candidates.random_logs import logs


@settings(max_examples=60, deadline=None)
@given(logs(), st.data(), st.integers(0, 6))
def test_what_is_left_out_equals_the_plain_version(log, data, k) -> None:
    rows = data.draw(
        st.lists(st.permutations(range(8)), min_size=len(log), max_size=len(log)), label="lists of all items"
    )
    lists = Lists.of([[(aid, 8.0 - place) for place, aid in enumerate(row)] for row in rows])
    found = leave_out_seen(lists, log, k)
    for s, row in enumerate(rows):
        own = set(log.slice(s, s + 1).aids.tolist())
        expected = [(aid, 8.0 - place) for place, aid in enumerate(row) if aid not in own][:k]
        assert list(zip(*(part.tolist() for part in found.row(s)), strict=True)) == expected
