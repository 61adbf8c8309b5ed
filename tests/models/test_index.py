"""The index against the obvious search; what a session's list may depend on; recall; the disk."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog
from models import index as module
from models.index import IndexSettings, ItemIndex, Kinds, share_found
from tests.candidates.random_logs import logs

N_ITEMS, WIDTH = 6_000, 18
QUICK = IndexSettings(exact_up_to=0, recall=0.9, sample=100)
EXACT = IndexSettings()


def clustered(n: int, seed: int, width: int = WIDTH) -> np.ndarray:
    """float32[n, width] around 60 centres."""
    centres = np.random.default_rng(1).standard_normal((60, width))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(0, 60, n)] + 0.4 * rng.standard_normal((n, width))).astype(np.float32)


def obvious(
    log: SessionLog, queries: np.ndarray, vectors: np.ndarray, known: np.ndarray, k: int, revisits: np.ndarray | None
) -> Lists:
    """Every score in float64."""
    scores = np.einsum("sd,id->si", queries.astype(np.float64), vectors.astype(np.float64))
    if revisits is not None:
        np.add.at(scores, (log.owner(), log.aids), revisits.astype(np.float64))
    scores = scores.astype(np.float32)
    scores[:, ~known] = np.nan
    scores[~queries.any(axis=1)] = np.nan
    return Lists.from_dense(scores, k)


def assert_equal(a: Lists, b: Lists) -> None:
    np.testing.assert_array_equal(a.offsets, b.offsets)
    np.testing.assert_array_equal(a.aids, b.aids)
    np.testing.assert_array_equal(a.scores, b.scores)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    found = clustered(N_ITEMS, 2)
    found[-50:] = 0
    return found


@pytest.fixture(scope="module")
def known() -> np.ndarray:
    return np.arange(N_ITEMS) < N_ITEMS - 50


@pytest.fixture(scope="module")
def log() -> SessionLog:
    rng = np.random.default_rng(3)
    return SessionLog.of([rng.integers(0, N_ITEMS, rng.integers(0, 6)).tolist() for _ in range(700)], n_items=N_ITEMS)


@pytest.fixture(scope="module")
def queries(log: SessionLog) -> np.ndarray:
    found = clustered(len(log), 4)
    found[::50] = 0
    return found


@pytest.fixture(scope="module", params=["scan", "inverted file"])
def index(request: pytest.FixtureRequest, vectors: np.ndarray, known: np.ndarray, queries: np.ndarray) -> ItemIndex:
    built = ItemIndex.build(vectors, known, queries, 10, EXACT if request.param == "scan" else QUICK)
    assert built.is_exact == (request.param == "scan")
    return built


@settings(max_examples=50)
@given(log=logs(n_items=8), seed=st.integers(0, 99), k=st.integers(1, 10), revisiting=st.booleans(), scan=st.booleans())
def test_the_lists_are_the_obvious_ones(log: SessionLog, seed: int, k: int, revisiting: bool, scan: bool) -> None:
    """Small whole numbers: ties, own items that fall behind, unknown ones. FAISS is asked for all of the eight."""
    rng = np.random.default_rng(seed)
    queries = rng.integers(-2, 3, (len(log), 5)).astype(np.float32)
    vectors, known = rng.integers(-2, 3, (8, 5)).astype(np.float32), rng.random(8) < 0.8
    revisits = rng.integers(-3, 4, log.n_events).astype(np.float32) if revisiting else None
    if scan:
        index = ItemIndex(vectors, known)
    else:
        every = faiss.IndexIDMap2(faiss.IndexFlatIP(5))
        every.add_with_ids(vectors[known], np.flatnonzero(known))
        index = ItemIndex(vectors, known, every)
    assert_equal(index.search(log, queries, k, revisits), obvious(log, queries, vectors, known, k, revisits))


def test_a_scan_is_exact_whatever_the_rounding() -> None:
    """Equal vectors and nearly equal ones: the blocks' rounding may not decide who is in the list."""
    rng = np.random.default_rng(6)
    vectors = np.repeat(rng.standard_normal((3, 64)), 100, axis=0)
    vectors = (vectors * (1 + 1e-7 * rng.integers(-2, 3, (300, 1)))).astype(np.float32)
    queries, known = rng.standard_normal((20, 64)).astype(np.float32), np.ones(300, bool)
    log = SessionLog.of([[]] * 20, n_items=300)
    found = ItemIndex(vectors, known).search(log, queries, 40)
    dots = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    worst = np.sort(dots, axis=1)[:, -40]
    owner = np.repeat(np.arange(20), found.lengths)
    assert (dots[owner, found.aids] >= worst[owner] - 1e-6 * np.abs(worst[owner])).all()
    for s in range(20):
        alone = ItemIndex(vectors, known).search(log.slice(s, s + 1), queries[s : s + 1], 40)
        assert_equal(alone, found.slice(s, s + 1))


def test_batches_blocks_and_threads_change_nothing(
    index: ItemIndex, log: SessionLog, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisits = np.random.default_rng(5).random(log.n_events).astype(np.float32)
    whole = index.search(log, queries, 10, revisits)

    def part(bounds: tuple[int, int]) -> Lists:
        first, last = bounds
        events = slice(log.offsets[first], log.offsets[last])
        return index.search(log.slice(first, last), queries[first:last], 10, revisits[events])

    for s in range(0, len(log), 13):
        assert_equal(part((s, s + 1)), whole.slice(s, s + 1))
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(part, [(s, min(s + 90, len(log))) for s in range(0, len(log), 90)]))
    assert_equal(Lists.concat(parts), whole)
    monkeypatch.setattr(module, "BLOCK_SESSIONS", 9)
    monkeypatch.setattr(module, "BLOCK_ITEMS", 1_001)
    assert_equal(index.search(log, queries, 10, revisits), whole)
    assert faiss.omp_get_max_threads() > 0


def test_short_lists_begin_long_ones(index: ItemIndex, log: SessionLog, queries: np.ndarray) -> None:
    assert_equal(index.search(log, queries, 3), index.search(log, queries, 10).top(3))


def test_only_known_items_and_sessions_with_a_vector(index: ItemIndex, log: SessionLog, queries: np.ndarray) -> None:
    lists = index.search(log, queries, 12)
    assert lists.aids.max() < N_ITEMS - 50
    assert (lists.lengths == np.where(queries.any(axis=1), 12, 0)).all()
    assert len(index.search(log.slice(0, 0), queries[:0], 12)) == 0


def test_own_items_are_scored_even_if_nothing_else_would_find_them(
    index: ItemIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    worst = int(np.argmin(vectors[: N_ITEMS - 50] @ queries[1]))
    log = SessionLog.of([[worst, worst]], n_items=N_ITEMS)
    aids, scores = index.search(log, queries[1:2], 5, np.array([40, 60], np.float32)).row(0)
    assert aids[0] == worst
    assert scores[0] == pytest.approx(100 + vectors[worst] @ queries[1], rel=1e-6)


def test_the_recall_that_is_reported_is_the_recall(
    vectors: np.ndarray, known: np.ndarray, log: SessionLog, queries: np.ndarray
) -> None:
    exact = ItemIndex.build(vectors, known, queries, 10)
    assert exact.recall == 1.0
    wanted = exact.search(log, queries, 10)
    assert_equal(wanted, obvious(log, queries, vectors, known, 10, None))
    for asked in (0.5, 0.9):
        built = ItemIndex.build(vectors, known, queries, 10, QUICK.model_copy(update={"recall": asked}))
        assert built.recall >= asked
        assert share_found(wanted, built.search(log, queries, 10)) == pytest.approx(built.recall, abs=0.06)
    assert ItemIndex.build(vectors, known, queries, 10, QUICK.model_copy(update={"recall": 1.0})).is_exact


@pytest.mark.parametrize("width", [7, 131])
def test_an_index_without_sessions_to_measure_on_and_of_any_width(known: np.ndarray, width: int) -> None:
    vectors = clustered(N_ITEMS, 2, width)
    built = ItemIndex.build(vectors, known, np.zeros((0, width), np.float32), 10, QUICK)
    assert built.recall >= QUICK.recall
    log = SessionLog.of([[3]], n_items=N_ITEMS)
    assert built.search(log, vectors[3:4], 10).lengths.tolist() == [10]


def test_save_and_load_change_nothing(
    index: ItemIndex, vectors: np.ndarray, known: np.ndarray, log: SessionLog, queries: np.ndarray, tmp_path: Path
) -> None:
    index.save(tmp_path)
    loaded = ItemIndex.load(tmp_path, vectors, known)
    assert loaded.recall == index.recall
    assert_equal(loaded.search(log, queries, 10), index.search(log, queries, 10))
    with pytest.raises(InputError, match="built over vectors"):
        ItemIndex.load(tmp_path, vectors[:, :4], known)
    if not index.is_exact:
        with pytest.raises(InputError, match="holds 5950 items, not 6000"):
            ItemIndex.load(tmp_path, vectors, np.ones(N_ITEMS, bool))
        (tmp_path / module.FILE).write_bytes(b"nothing")
        with pytest.raises(InputError, match="cannot be read"):
            ItemIndex.load(tmp_path, vectors, known)


def test_the_same_build_gives_the_same_lists(
    vectors: np.ndarray, known: np.ndarray, log: SessionLog, queries: np.ndarray
) -> None:
    one, two = (ItemIndex.build(vectors, known, queries, 10, QUICK).search(log, queries, 10) for _ in range(2))
    assert_equal(one, two)


def test_gpus_are_used_if_there_are_any(
    vectors: np.ndarray,
    known: np.ndarray,
    log: SessionLog,
    queries: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wished = QUICK.model_copy(update={"gpu": True})
    assert not ItemIndex.build(vectors, known, queries, 10, wished).is_exact
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", lambda index: index, raising=False)
    built = ItemIndex.build(vectors, known, queries, 10, wished)
    assert not built.is_exact
    expected = obvious(log, queries, vectors, known, 10, None)
    assert_equal(built.search(log, queries, 10), expected)
    built.save(tmp_path)
    assert_equal(ItemIndex.load(tmp_path, vectors, known, wished).search(log, queries, 10), expected)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert ItemIndex.load(tmp_path, vectors, known, wished).is_exact


@settings(max_examples=40, deadline=None)
@given(log=logs(n_items=40), seed=st.integers(0, 2**32 - 1), n_kinds=st.integers(1, 9), common=st.integers(0, 5))
def test_parts_that_items_share_change_nothing(log: SessionLog, seed: int, n_kinds: int, common: int) -> None:
    rng = np.random.default_rng(seed)
    of = np.unique(rng.integers(0, n_kinds, log.n_items), return_inverse=True)[1].astype(np.int32)
    vectors = rng.integers(-3, 4, (log.n_items, common + 3)).astype(np.float32)
    vectors[:, :common] = vectors[of, :common]
    queries = rng.integers(-3, 4, (len(log), common + 3)).astype(np.float32)
    known = rng.random(log.n_items) < 0.8
    index = ItemIndex(vectors, known, kinds=Kinds(of, common))
    assert_equal(index.search(log, queries, 6), obvious(log, queries, vectors, known, 6, None))
