"""Small random logs for property tests, and the random log of the benchmarks of this floor."""

import numpy as np
from hypothesis import strategies as st

from events.log import SessionLog


@st.composite
def logs(
    draw: st.DrawFn,
    n_items: int = 8,
    has_time: bool | None = True,
    has_types: bool | None = True,
    max_sessions: int = 6,
) -> SessionLog:
    """Sessions of 0 to 12 events on few items, with many equal time stamps and repeats."""
    n = draw(st.integers(0, max_sessions))
    lengths = [draw(st.integers(0, 12)) for _ in range(n)]
    aids = [draw(st.lists(st.integers(0, n_items - 1), min_size=m, max_size=m)) for m in lengths]
    timed = draw(st.booleans()) if has_time is None else has_time
    typed = draw(st.booleans()) if has_types is None else has_types
    gaps = [draw(st.lists(st.sampled_from([0, 0, 1, 3, 7, 40]), min_size=m, max_size=m)) for m in lengths]
    starts = [draw(st.integers(1_000, 1_050)) for _ in lengths]
    types = [draw(st.lists(st.integers(0, 2), min_size=m, max_size=m)) for m in lengths]
    ts = [(start + np.cumsum(np.array(row, int))).tolist() for start, row in zip(starts, gaps, strict=True)]
    return SessionLog.of(aids, ts if timed else None, types if typed else None, n_items)
