from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from candidates.pool import Arena
from events.errors import InputError
from events.labels import take_labels
from rankers.matrix import MatrixWriter, TrainingMatrix, read_matrix, with_more
from rankers.selection import ALL, select
from rankers.settings import RankersSettings
from tests.rankers.world import POOL, World, log_of, write_world

WORLD = World.plain(empty=frozenset({0, 7, 29}))


def small(path: Path, chunk: int = 100) -> TrainingMatrix:
    labels = {"clicks": WORLD.planted(30, "clicks"), "carts": WORLD.planted(30, "carts")}
    return write_world(path, WORLD, log_of(30, per_group=3), labels, chunk)


def test_the_matrix_reads_back(tmp_path: Path) -> None:
    matrix = small(tmp_path / "m.parquet", chunk=4)
    there = [s for s in range(30) if s not in WORLD.empty]
    assert matrix.sessions.tolist() == there
    assert matrix.groups.tolist() == [s // 3 for s in there]
    assert np.diff(matrix.offsets).tolist() == [POOL] * len(there)
    log = log_of(30)
    candidates = WORLD.pool(log, Arena())
    features = WORLD.build(log, candidates, Arena())
    assert (matrix.aids == candidates.aids).all()
    assert (matrix.features() == features).all()
    wanted = np.random.default_rng(0).random(len(matrix)) < 0.3
    wanted[matrix.row_groups[1] : matrix.row_groups[3]] = False
    assert (matrix.features(wanted) == features[wanted]).all()
    assert matrix.labels["clicks"].sum() == len(there)
    assert matrix.labels["carts"].dtype == np.int8
    assert matrix.outside == {"clicks": 0, "carts": 0}


def test_buffers_may_be_filled_anew_while_a_chunk_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, write = Event(), MatrixWriter._write
    monkeypatch.setattr(MatrixWriter, "_write", lambda self, columns: (go.wait(10), write(self, columns))[1])
    log = log_of(8)
    candidates = WORLD.pool(log, Arena())
    features, aids = WORLD.build(log, candidates, Arena()).copy(), candidates.aids.copy()
    expected = features.copy()
    labels = take_labels({"clicks": World.plain().planted(30, "clicks")}, np.arange(8))
    with MatrixWriter(tmp_path / "m.parquet", WORLD.names, ("clicks",)) as writer:
        writer.add(np.arange(8), log.groups, candidates, features, labels)
        features[:] = -1.0
        candidates.aids[:] = 0
        go.set()
    matrix = read_matrix(tmp_path / "m.parquet")
    assert (matrix.features() == expected).all()
    assert (matrix.aids == aids).all()


def test_a_chunk_that_cannot_be_written_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: MatrixWriter, _columns: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(MatrixWriter, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        small(tmp_path / "m.parquet")
    assert not list(tmp_path.iterdir())


def test_labels_outside_the_pool_are_counted(tmp_path: Path) -> None:
    unreachable = {"clicks": World.plain().planted(30, "clicks")}
    matrix = write_world(tmp_path / "m.parquet", WORLD, log_of(30), unreachable)
    assert matrix.outside == {"clicks": 3}


def test_sessions_of_other_weeks_are_trained_on_and_never_reported_or_watched(tmp_path: Path) -> None:
    matrix, week = small(tmp_path / "m.parquet", chunk=4), small(tmp_path / "week.parquet", chunk=7)
    both, settings = with_more(matrix, [week]), RankersSettings(inner_share=0.5)
    assert with_more(matrix, []).digest == matrix.digest != both.digest
    n, rows = matrix.n_sessions, len(matrix)
    assert (both.n_sessions, both.n_reported, len(both)) == (2 * n, n, 2 * rows)
    assert np.unique(both.sessions).size == 2 * n
    assert set(both.groups[:n]).isdisjoint(both.groups[n:])
    wanted = np.random.default_rng(0).random(2 * rows) < 0.3
    expected = np.concatenate([matrix.features(wanted[:rows]), week.features(wanted[rows:])])
    assert (both.features(wanted) == expected).all()
    alone, found = select(matrix, "clicks", settings), select(both, "clicks", settings)
    assert (found.fold[:n] == alone.fold).all()
    assert (found.inner[:n] == alone.inner).all()
    assert not found.inner[n:].any()
    for fold in (*range(settings.folds), ALL):
        assert found.training_sessions(fold)[n:].all()
        assert (found.training_sessions(fold)[:n] == alone.training_sessions(fold)).all()


def test_other_cuts_are_trained_on_by_folds_that_neither_report_nor_watch_the_session(tmp_path: Path) -> None:
    matrix, cuts = small(tmp_path / "m.parquet", chunk=4), small(tmp_path / "cuts.parquet", chunk=7)
    week = small(tmp_path / "week.parquet")
    every, settings = with_more(with_more(matrix, [cuts], same_groups=True), [week]), RankersSettings(inner_share=0.5)
    n = matrix.n_sessions
    assert (every.n_sessions, every.n_reported, every.n_folded) == (3 * n, n, 2 * n)
    assert np.unique(every.sessions).size == 3 * n
    assert (every.groups[n : 2 * n] == matrix.groups).all()
    alone, found = select(matrix, "clicks", settings), select(every, "clicks", settings)
    assert (found.fold[:n] == alone.fold).all()
    assert (found.fold[n : 2 * n] == alone.fold).all()
    assert (found.inner[:n] == alone.inner).all()
    assert not found.inner[n:].any()
    for fold in (*range(settings.folds), ALL):
        trained, expected = found.training_sessions(fold), alone.training_sessions(fold)
        assert (trained[:n] == expected).all()
        assert (trained[n : 2 * n] == expected).all()
        assert trained[2 * n :].all()
        assert (found.inner_sessions(fold)[:n] == alone.inner_sessions(fold)).all()


@pytest.mark.parametrize(("same_groups", "remedy"), [(False, "earlier_weeks=0"), (True, "more_cuts=0")])
def test_more_of_other_features_is_refused(tmp_path: Path, same_groups: bool, remedy: str) -> None:
    matrix = small(tmp_path / "m.parquet")
    with pytest.raises(InputError, match=remedy):
        with_more(matrix, [replace(matrix, names=("other", *matrix.names[1:]))], same_groups)


def test_the_digest_knows_every_value_and_no_chunk(tmp_path: Path) -> None:
    digest = small(tmp_path / "a.parquet", chunk=4).digest
    assert small(tmp_path / "b.parquet", chunk=30).digest == digest
    labels = {"clicks": WORLD.planted(30, "carts")}
    assert write_world(tmp_path / "c.parquet", WORLD, log_of(30, 3), labels).digest != digest


@pytest.mark.parametrize("disorder", ["positives first", "sessions", "repeated item"])
def test_rows_in_another_order_are_refused(tmp_path: Path, disorder: str) -> None:
    log, world = log_of(2), World.plain()
    pool = world.pool(log, Arena())
    features = world.build(log, pool, Arena())
    labels = {"clicks": world.planted(2, "clicks")}
    sessions = log.sessions
    if disorder == "positives first":
        first = int(np.flatnonzero(pool.aids[:POOL] == labels["clicks"].row(0)[0])[0])
        order = np.array([first, *(i for i in range(2 * POOL) if i != first)])
        assert first > 0
        pool = replace(pool, aids=pool.aids[order])
    elif disorder == "sessions":
        sessions = sessions[::-1].copy()
    else:
        pool.aids[5] = pool.aids[4]
    with (
        pytest.raises(ValueError, match="ascend by session, then by item"),
        MatrixWriter(tmp_path / "m.parquet", world.names, ["clicks"]) as writer,
    ):
        writer.add(sessions, log.groups, pool, features, labels)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_another_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    small(path)
    metadata = pq.read_schema(path)
    table = pq.read_table(path)
    order = np.lexsort((-table["label_clicks"].to_numpy(), table["session"].to_numpy()))
    key_values = pq.read_metadata(path).metadata
    shuffled = table.take(order).replace_schema_metadata(key_values)
    assert metadata.names == shuffled.schema.names
    pq.write_table(shuffled, path)
    with pytest.raises(InputError, match="not in the order"):
        read_matrix(path)


def test_wrong_sizes_are_refused(tmp_path: Path) -> None:
    log, world = log_of(2), World.plain()
    pool = world.pool(log, Arena())
    features = world.build(log, pool, Arena())
    labels = {"clicks": world.planted(2, "clicks")}
    with MatrixWriter(tmp_path / "m.parquet", world.names, ["clicks"]) as writer:
        with pytest.raises(ValueError, match="features must be"):
            writer.add(log.sessions, log.groups, pool, features[:, :2], labels)
        with pytest.raises(ValueError, match="same sessions"):
            writer.add(log.sessions[:1], log.groups[:1], pool, features, labels)
    with pytest.raises(ValueError, match="same name"):
        MatrixWriter(tmp_path / "n.parquet", ["aid"], ["clicks"])


def test_what_is_no_matrix_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_matrix(tmp_path / "missing.parquet")
    path = tmp_path / "other.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(InputError, match="not a training matrix"):
        read_matrix(path)
    whole = tmp_path / "m.parquet"
    small(whole)
    path.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a training matrix"):
        read_matrix(path)


def test_a_matrix_without_rows(tmp_path: Path) -> None:
    with MatrixWriter(tmp_path / "m.parquet", ["x"], ["clicks"]):
        pass
    matrix = read_matrix(tmp_path / "m.parquet")
    assert len(matrix) == matrix.n_sessions == 0
    assert matrix.features().shape == (0, 1)
