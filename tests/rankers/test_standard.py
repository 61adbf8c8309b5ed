import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.standard import add_standard, describe

Sessions = list[tuple[int, list[tuple[int, int]]]]
SESSION = st.tuples(st.integers(0, 1), st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=7))


def standard(scores: np.ndarray) -> np.ndarray:
    deviation = scores.std() if scores.size else 0.0
    return (scores - scores.mean()) / deviation if deviation > 0 else np.zeros(scores.size)


@settings(max_examples=50, deadline=None)
@given(st.lists(SESSION, max_size=5))
def test_scores_within_a_session(sessions: Sessions) -> None:
    offsets = np.cumsum([0, *(len(rows) for _, rows in sessions)]).astype(np.int64)
    halves = np.array([half for half, _ in sessions], np.int8)
    raw = np.array([row for _, rows in sessions for row in rows], np.float64).reshape(-1, 2).T.copy()
    out = np.zeros(raw.shape[1])
    for model in raw:
        add_standard(offsets, model, out)
    columns = np.empty((raw.shape[1], 4), np.float32)
    describe({("carts", 0): raw[0], ("carts", 1): raw[1]}, ("clicks", "carts"), offsets, halves, columns)
    assert np.isnan(columns[:, :2]).all()
    for s, (half, _) in enumerate(sessions):
        part = slice(offsets[s], offsets[s + 1])
        assert np.allclose(out[part], standard(raw[0, part]) + standard(raw[1, part]))
        other = raw[1 - half, part]
        assert np.allclose(columns[part, 2], standard(other), atol=1e-6)
        assert columns[part, 3].tolist() == np.argsort(np.argsort(-other, kind="stable")).tolist()
