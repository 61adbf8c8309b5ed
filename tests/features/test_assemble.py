"""The builder: columns, chunks, threads, what it can and cannot see."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.pool import Arena
from events.errors import InputError
from events.knowledge.fitted import Knowledge
from events.lists import Lists
from events.log import NEEDS, SessionLog
from features import assemble
from features.assemble import FeatureBuilder
from features.items import ItemTable, fit_items
from features.knowledge import fit_table
from features.registry import GROUPS
from features.settings import FeaturesSettings
from tests.features.chunks import (
    COLUMNS,
    SETS,
    Chunk,
    random_chunk,
    random_log,
    random_pool,
    searchers_of,
    take_sessions,
)
from tests.features.knowledge_twin import random_knowledge

ALL = frozenset(NEEDS)
SEEDS = st.integers(0, 2**32 - 1)


def builder_of(
    chunk: Chunk, threads: int = 1, constants: FeaturesSettings | None = None, known: Knowledge | None = None
) -> FeatureBuilder:
    """A builder fitted on the chunk itself."""
    constants = constants or FeaturesSettings()
    items = fit_items(chunk.log, constants)
    return FeatureBuilder(
        constants,
        chunk.log.has,
        chunk.candidates.names,
        items,
        chunk.matrices,
        threads,
        chunk.searchers,
        knowledge=None if known is None else (known, fit_table(chunk.log, known, constants)),
    )


def test_columns_are_unique_explained_and_in_the_order_of_groups() -> None:
    chunk = random_chunk(0, ALL)
    builder = builder_of(chunk, known=random_knowledge(0, chunk.log))
    assert len(set(builder.names)) == len(builder.names)
    assert all(feature.meaning and "\n" not in feature.meaning for feature in builder.features)
    places = [GROUPS.index(feature.group) for feature in builder.features]
    assert places == sorted(places)
    assert set(places) == set(range(len(GROUPS)))
    assert builder.left_out == ()


@pytest.mark.parametrize("has", SETS)
def test_a_lack_leaves_features_out_and_says_so(has: frozenset[str]) -> None:
    whole, part = builder_of(random_chunk(0, ALL)), builder_of(random_chunk(0, has))
    assert [f for f in whole.features if f.needs <= has] == list(part.features)
    left_out = {entry.name: entry.reason for entry in part.left_out}
    assert set(left_out) == {f.name for f in whole.features if not f.needs <= has}
    for lack in ALL - has:
        assert any(lack in reason for reason in left_out.values())


def test_an_identifier_is_never_a_feature() -> None:
    """Renaming the items in a way that keeps their order changes no feature."""
    chunk = random_chunk(5, ALL)
    log = chunk.log

    def rename(aids: np.ndarray) -> np.ndarray:
        return (aids * 3 + 1).astype(np.int32)

    def spread(lists: Lists) -> Lists:
        offsets = np.zeros(3 * len(lists) + 1, np.int64)
        lengths = np.zeros(3 * len(lists), np.int64)
        lengths[1::3] = lists.lengths
        np.cumsum(lengths, out=offsets[1:])
        return replace(lists, offsets=offsets, aids=rename(lists.aids))

    retriever = chunk.searchers["near"].retriever
    vectors, known = np.zeros((3 * log.n_items, 3)), np.zeros(3 * log.n_items, bool)
    vectors[1::3], known[1::3] = retriever.vectors, retriever.known
    renamed = Chunk(
        replace(log, aids=rename(log.aids), n_items=3 * log.n_items),
        replace(chunk.candidates, aids=rename(chunk.candidates.aids)),
        {name: spread(lists) for name, lists in chunk.matrices.items()},
        searchers_of(vectors, known),
    )
    before = builder_of(chunk).build(log, chunk.candidates, Arena())
    after = builder_of(renamed).build(renamed.log, renamed.candidates, Arena())
    np.testing.assert_array_equal(before, after)


@settings(max_examples=20)
@given(seed=SEEDS, has=st.sampled_from(SETS), cut=st.integers(0, 12), threads=st.sampled_from([1, 2, 3]))
def test_chunks_and_threads_change_nothing(seed: int, has: frozenset[str], cut: int, threads: int) -> None:
    chunk = random_chunk(seed, has)
    whole = builder_of(chunk).build(chunk.log, chunk.candidates, Arena())
    arena = Arena()
    builder = builder_of(chunk, threads)
    parts = [
        builder.build(chunk.log.slice(a, b), take_sessions(chunk.candidates, chunk.log, a, b), arena).copy()
        for a, b in ((0, cut), (cut, len(chunk.log)))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_many_ranges_and_threads_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = random_chunk(7, ALL, n_sessions=200, n_items=80)
    whole = builder_of(chunk).build(chunk.log, chunk.candidates, Arena())
    monkeypatch.setattr(assemble, "RANGE_ROWS", 16)
    for threads in (1, 2, 4):
        again = builder_of(chunk, threads).build(chunk.log, chunk.candidates, Arena())
        assert again.tobytes() == whole.tobytes()


def test_the_matrix_is_a_contiguous_view_of_the_arena() -> None:
    chunk = random_chunk(2, ALL)
    arena = Arena()
    builder = builder_of(chunk)
    matrix = builder.build(chunk.log, chunk.candidates, arena)
    assert matrix.shape == (len(chunk.candidates), len(builder.names))
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert np.shares_memory(matrix, arena.buffers["features"])
    assert not np.isinf(matrix).any()


@settings(max_examples=20)
@given(seed=SEEDS)
def test_the_hidden_changes_nothing(seed: int) -> None:
    """Events after a session's cut, and all that concerns other sessions, may be anything."""
    rng = np.random.default_rng(seed)
    train, full = random_log(rng, 20, 15, ALL), random_log(rng, 10, 15, ALL)
    keep = rng.integers(0, full.lengths + 1)
    chunk = random_chunk(seed, ALL)

    def features(full: SessionLog) -> np.ndarray:
        visible = np.concatenate([np.arange(a, a + k) for a, k in zip(full.offsets, keep, strict=False)])
        visible = visible.astype(np.int64)
        cut = replace(
            full,
            offsets=np.concatenate([[0], np.cumsum(keep)]).astype(np.int64),
            aids=full.aids[visible],
            ts=full.ts[visible],
            types=full.types[visible],
        )
        constants = FeaturesSettings()
        items = fit_items(train.concat(cut), constants)
        builder = FeatureBuilder(constants, ALL, COLUMNS, items, chunk.matrices)
        pool = random_pool(np.random.default_rng(seed), cut)
        return builder.build(cut, pool, Arena())

    events = np.arange(full.n_events) - np.repeat(full.offsets[:-1], full.lengths)
    hidden = events >= np.repeat(keep, full.lengths)
    other = replace(
        full,
        aids=np.where(hidden, rng.integers(0, 15, hidden.size), full.aids).astype(np.int32),
        types=np.where(hidden, rng.integers(0, 3, hidden.size), full.types).astype(np.int8),
        ts=np.where(hidden, full.ts + 10_000_000, full.ts).astype(np.int32),
    )
    np.testing.assert_array_equal(features(full), features(other))


def test_a_change_in_the_visible_changes_features() -> None:
    """The test above could not fail if nothing were read at all."""
    chunk = random_chunk(11, ALL)
    builder = builder_of(chunk)
    before = builder.build(chunk.log, chunk.candidates, Arena())
    for change in (
        {"aids": chunk.log.aids[::-1].copy()},
        {"types": chunk.log.types[::-1].copy()},
        {"ts": (chunk.log.ts // 7 * 5).astype(np.int32)},
    ):
        after = builder.build(replace(chunk.log, **change), chunk.candidates, Arena())
        assert not np.array_equal(before, after, equal_nan=True)


def test_items_outside_the_tables_do_no_harm() -> None:
    """A matrix and an item table that know fewer items than the sessions hold."""
    chunk = random_chunk(4, ALL)
    constants = FeaturesSettings()
    items = fit_items(chunk.log, constants)
    items = ItemTable(items.names, items.values[:3], items.popularity[:3])
    short = {name: lists.slice(0, 3) for name, lists in chunk.matrices.items()}
    matrix = FeatureBuilder(constants, ALL, COLUMNS, items, short).build(chunk.log, chunk.candidates, Arena())
    assert matrix.shape[0] == len(chunk.candidates)


def test_an_empty_session_has_an_ordinary_row() -> None:
    log = SessionLog.of([[]], ts=[[]], types=[[]], n_items=3)
    pool = random_pool(np.random.default_rng(0), SessionLog.of([[0, 1, 2]]))
    chunk = Chunk(log, pool, random_chunk(0, ALL).matrices)
    builder = builder_of(chunk)
    row = dict(zip(builder.names, builder.build(log, pool, Arena())[0].tolist(), strict=True))
    assert row["session_events"] == row["pair_events"] == row["affinity_clicks_sum"] == 0
    assert np.isnan(row["session_span"])
    assert np.isnan(row["pair_ago"])


def test_no_session_gives_no_row() -> None:
    chunk = random_chunk(0, ALL)
    empty = Chunk(chunk.log.slice(0, 0), take_sessions(chunk.candidates, chunk.log, 0, 0), chunk.matrices)
    builder = builder_of(chunk)
    assert builder.build(empty.log, empty.candidates, Arena()).shape == (0, len(builder.names))


def test_a_wrong_chunk_or_table_is_refused() -> None:
    chunk = random_chunk(0, ALL)
    builder = builder_of(chunk)
    for log, pool in (
        (replace(chunk.log, ts=None), chunk.candidates),
        (chunk.log, replace(chunk.candidates, names=("other", "names"))),
        (chunk.log.slice(0, 3), chunk.candidates),
        (chunk.log, replace(chunk.candidates, encoded={})),
    ):
        with pytest.raises(ValueError, match="not what the builder was made for"):
            builder.build(log, pool, Arena())
    items = fit_items(chunk.log, FeaturesSettings(windows_days=(2,)))
    with pytest.raises(ValueError, match="other settings"):
        FeatureBuilder(FeaturesSettings(), ALL, COLUMNS, items, {})
    with pytest.raises(ValueError, match="same name"):
        FeatureBuilder(FeaturesSettings(groups=("sources",)), ALL, ("a", "a"), replace(items, names=()), {})


def test_the_item_table_survives_the_disk(tmp_path: Path) -> None:
    table = fit_items(random_chunk(0, ALL).log, FeaturesSettings())
    table.save(tmp_path)
    again = ItemTable.load(tmp_path)
    assert again.names == table.names
    np.testing.assert_array_equal(again.values, table.values)
    np.testing.assert_array_equal(again.popularity, table.popularity)
    np.save(tmp_path / "popularity.npy", table.popularity[:2])
    with pytest.raises(InputError, match="disagree"):
        ItemTable.load(tmp_path)
    (tmp_path / "names.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        ItemTable.load(tmp_path)


def test_memory_mapped_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    chunk = random_chunk(6, ALL)
    whole = builder_of(chunk).build(chunk.log, chunk.candidates, Arena())
    folders = {name: tmp_path / name for name in ("log", "items", *chunk.matrices)}
    for folder in folders.values():
        folder.mkdir()
    chunk.log.save(folders["log"])
    fit_items(chunk.log, FeaturesSettings()).save(folders["items"])
    for name, lists in chunk.matrices.items():
        lists.save(folders[name])
    log = SessionLog.load(folders["log"])
    assert fit_items(log, FeaturesSettings()).values.tobytes() == ItemTable.load(folders["items"]).values.tobytes()
    matrices = {name: Lists.load(folders[name]) for name in chunk.matrices}
    items = ItemTable.load(folders["items"])
    builder = FeatureBuilder(FeaturesSettings(), ALL, COLUMNS, items, matrices, searchers=chunk.searchers)
    assert builder.build(log, chunk.candidates, Arena()).tobytes() == whole.tobytes()


def test_item_features_do_not_depend_on_the_span_of_the_fit() -> None:
    """A shop in a steady state, fitted on three and on four weeks, has nearly the same item table."""
    rng = np.random.default_rng(0)

    def fit(weeks: int) -> ItemTable:
        n = 400_000 * weeks
        ts = np.sort(rng.integers(0, weeks * 7 * 86_400, n)).astype(np.int32)
        return fit_items(
            SessionLog(
                np.arange(n // 4),
                np.arange(n // 4),
                np.arange(0, n + 1, 4),
                (rng.random(n) ** 2 * 5).astype(np.int32),
                ts,
                rng.choice(3, n, p=[0.8, 0.15, 0.05]).astype(np.int8),
                5,
            ),
            FeaturesSettings(),
        )

    three, four = fit(3), fit(4)
    skip = three.names.index("item_since_last")  # minutes since the last event of a frequent item: noise
    difference = np.delete(np.abs(three.values - four.values), skip, axis=1)
    assert difference.max() < 0.25
