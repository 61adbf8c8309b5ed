"""SessionLog: slices are views, takes and joins keep every column, wrong shapes are refused."""

import numpy as np
import pytest

from events.errors import InputError
from events.log import SessionLog


@pytest.fixture
def log() -> SessionLog:
    return SessionLog.of([[3, 1], [2], [], [0, 0, 4]], [[1, 2], [5], [], [7, 7, 9]], [[0, 1], [0], [], [0, 0, 2]])


def rows(log: SessionLog) -> list[tuple[int, list[int], list[int], list[int]]]:
    assert log.ts is not None
    assert log.types is not None
    found = []
    for s in range(len(log)):
        part = slice(log.offsets[s], log.offsets[s + 1])
        found.append((int(log.sessions[s]), log.aids[part].tolist(), log.ts[part].tolist(), log.types[part].tolist()))
    return found


def test_slice_is_a_view_of_the_same_events(log):
    part = log.slice(1, 4)
    assert rows(part) == rows(log)[1:]
    assert part.offsets[0] == 0
    assert np.shares_memory(part.aids, log.aids)


def test_take_and_concat_keep_every_column(log):
    order = np.array([3, 0])
    assert rows(log.take(order)) == [rows(log)[3], rows(log)[0]]
    assert rows(log.slice(0, 2).concat(log.slice(2, 4))) == rows(log)
    assert log.owner().tolist() == [0, 0, 1, 3, 3, 3]


def test_concat_refuses_logs_with_other_columns(log):
    with pytest.raises(ValueError, match="differ"):
        log.concat(SessionLog.of([[1]], n_items=5))


def test_saved_log_comes_back_and_absent_columns_stay_absent(log, tmp_path):
    log.save(tmp_path)
    again = SessionLog.load(tmp_path)
    assert rows(again) == rows(log)
    assert again.n_items == log.n_items == 5
    plain = tmp_path / "plain"
    plain.mkdir()
    SessionLog.of([[1, 0]]).save(plain)
    assert SessionLog.load(plain).has == frozenset()
    (plain / "offsets.npy").unlink()
    with pytest.raises(InputError, match="offsets"):
        SessionLog.load(plain)


def test_wrong_dtypes_and_sizes_are_refused(log):
    with pytest.raises(ValueError, match="aids must be int32"):
        SessionLog(log.sessions, log.groups, log.offsets, log.aids.astype(np.int64), None, None, 5)
    with pytest.raises(ValueError, match="offsets"):
        SessionLog(log.sessions, log.groups, log.offsets[:-1], log.aids, None, None, 5)
    with pytest.raises(ValueError, match="ts must be int32"):
        SessionLog(log.sessions, log.groups, log.offsets, log.aids, log.ts[:-1], None, 5)
