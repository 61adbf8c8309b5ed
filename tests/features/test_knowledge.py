"""Features from knowledge: the twin, chunks and threads, what is lacking, and whether they help where they should."""

import itertools
from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.pool import Arena, Candidates
from events.errors import InputError
from events.knowledge.fitted import Knowledge
from events.log import NEEDS, SessionLog
from features import assemble
from features.assemble import FeatureBuilder
from features.items import fit_items
from features.knowledge import KnowledgeTable, fit_table, knowledge_blocks
from features.settings import FeaturesSettings, Group
from tests.features.chunks import SETS, Chunk, random_chunk, take_sessions
from tests.features.knowledge_twin import knowledge_twin, random_knowledge

SEEDS = st.integers(0, 2**32 - 1)
ONLY = FeaturesSettings(groups=("knowledge",))
ODD = FeaturesSettings(groups=("knowledge",), windows_days=(2, 5), oldest_exponent=0.4, affinity_tail=3)


def builder_of(chunk: Chunk, known: Knowledge, constants: FeaturesSettings = ONLY, threads: int = 1) -> FeatureBuilder:
    """A builder of this group alone, fitted on the chunk."""
    items, table = fit_items(chunk.log, constants), fit_table(chunk.log, known, constants)
    return FeatureBuilder(
        constants, chunk.log.has, chunk.candidates.names, items, {}, threads, knowledge=(known, table)
    )


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, has=st.sampled_from(SETS), constants=st.sampled_from([ONLY, ODD]))
def test_the_twin_in_polars(seed: int, has: frozenset[str], constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, has)
    known = random_knowledge(seed, chunk.log)
    builder = builder_of(chunk, known, constants)
    matrix = builder.build(chunk.log, chunk.candidates, Arena())
    twin = knowledge_twin(chunk.log, chunk.candidates, known, constants)
    assert len(builder.names) == 29 - ("time" not in has)
    for column, name in enumerate(builder.names):
        expected = twin[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        np.testing.assert_allclose(matrix[:, column], expected, rtol=2e-5, atol=1e-5, err_msg=name)


def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = random_chunk(7, frozenset(NEEDS), n_sessions=60, n_items=40)
    known = random_knowledge(7, chunk.log)
    whole = builder_of(chunk, known).build(chunk.log, chunk.candidates, Arena()).copy()
    monkeypatch.setattr(assemble, "RANGE_ROWS", 16)
    again = builder_of(chunk, known, threads=3).build(chunk.log, chunk.candidates, Arena())
    assert again.tobytes() == whole.tobytes()
    builder = builder_of(chunk, known)
    parts = [
        builder.build(chunk.log.slice(a, b), take_sessions(chunk.candidates, chunk.log, a, b), Arena()).copy()
        for a, b in ((0, 11), (11, 60))
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_what_a_shop_lacks_is_left_out() -> None:
    chunk = random_chunk(1, frozenset(NEEDS))
    known = random_knowledge(1, chunk.log)
    every = builder_of(chunk, known).names
    for lack, prefix in (
        ({"brand": None}, ("knowledge_brand",)),
        ({"parent": None}, ("knowledge_parent",)),
        ({"price": None}, ("knowledge_price",)),
        ({"published": None}, ("knowledge_age",)),
        ({"spaces": {}}, ("knowledge_text",)),
        ({"users": None}, ("user_",)),
        ({"leaf": None}, ("knowledge_leaf",)),
    ):
        names = builder_of(chunk, replace(known, **lack)).names
        assert names == tuple(name for name in every if not name.startswith(prefix))
    # Without any knowledge, and with the group switched off, nothing changes.
    items = fit_items(chunk.log, FeaturesSettings())
    plain = FeatureBuilder(FeaturesSettings(), chunk.log.has, chunk.candidates.names, items, chunk.matrices)
    groups = tuple(group for group in FeaturesSettings().groups if group != "knowledge")
    off = FeaturesSettings(groups=groups)
    table = fit_table(chunk.log, known, off)
    without = FeatureBuilder(
        off, chunk.log.has, chunk.candidates.names, items, chunk.matrices, knowledge=(known, table)
    )
    assert without.names == plain.names
    assert not any(name.startswith(("knowledge", "user_")) for name in plain.names)
    built = [one.build(chunk.log, chunk.candidates, Arena()).tobytes() for one in (plain, without)]
    assert built[0] == built[1]


def test_the_names_of_codes_mean_nothing() -> None:
    """Another numbering of categories and brands changes no feature."""
    chunk = random_chunk(3, frozenset(NEEDS))
    known = random_knowledge(3, chunk.log)
    other = {name: np.where(codes < 0, -1, 40 - 7 * codes).astype(np.int32) for name, codes in known.codes.items()}
    before, after = (
        builder_of(chunk, one).build(chunk.log, chunk.candidates, Arena()) for one in (known, replace(known, **other))
    )
    np.testing.assert_allclose(before, after, rtol=1e-6)


def test_an_item_to_come_is_of_age_zero() -> None:
    chunk = random_chunk(2, frozenset(NEEDS))
    known = random_knowledge(2, chunk.log)
    known = replace(known, published=np.full(chunk.log.n_items, 2**40))
    builder = builder_of(chunk, known)
    ages = builder.build(chunk.log, chunk.candidates, Arena())[:, builder.names.index("knowledge_age")]
    assert (ages[~np.isnan(ages)] == 0).all()
    assert not np.isnan(ages).all()


def test_the_table_is_saved_and_checked(tmp_path: Path) -> None:
    chunk = random_chunk(2, frozenset(NEEDS))
    known = random_knowledge(2, chunk.log)
    table = fit_table(chunk.log, known, ONLY)
    table.save(tmp_path)
    loaded = KnowledgeTable.load(tmp_path)
    assert loaded.names == table.names
    np.testing.assert_array_equal(loaded.values, table.values)
    with pytest.raises(ValueError, match="other knowledge"):
        knowledge_blocks(replace(known, brand=None), table, ONLY)
    (tmp_path / "names.json").write_text("[]")
    with pytest.raises(InputError, match="disagree"):
        KnowledgeTable.load(tmp_path)


def planted(seed: int, n: int = 700, sorts: int = 20, each: int = 10) -> tuple[Chunk, np.ndarray, np.ndarray]:
    """Sessions of random items whose next item is of the last one's category; 12 candidates each, one of them that.

    Returns the chunk, the categories, and bool[rows] of the next items.
    """
    rng = np.random.default_rng(seed)
    leaf = rng.permutation(np.arange(sorts * each) // each).astype(np.int32)
    rows, pools, labels = [], [], []
    for _ in range(n):
        seen = rng.integers(0, leaf.size, 4)
        following = rng.choice(np.flatnonzero(leaf == leaf[seen[-1]]))
        pool = np.unique(np.append(rng.choice(np.flatnonzero(leaf != leaf[seen[-1]]), 11, replace=False), following))
        rows.append(seen.tolist())
        pools.append(pool)
        labels.append(pool == following)
    log = SessionLog.of(rows, n_items=leaf.size)
    offsets = np.concatenate([[0], np.cumsum([len(pool) for pool in pools])]).astype(np.int64)
    aids = np.concatenate(pools).astype(np.int32)
    nothing = np.full((1, aids.size), -1, np.int16), np.full((1, aids.size), np.nan, np.float32)
    return Chunk(log, Candidates(offsets, aids, ("any",), *nothing), {}), leaf, np.concatenate(labels)


def hit_rate(groups: tuple[Group, ...], leaf: np.ndarray, chunk: Chunk, labels: np.ndarray) -> float:
    """Share of the last 200 sessions whose next item a LambdaRank model of the others puts first."""
    constants = FeaturesSettings(groups=groups)
    log, offsets = chunk.log, chunk.candidates.offsets
    known = Knowledge(np.ones(log.n_items, np.bool_), np.zeros(log.n_items, np.bool_), leaf=leaf)
    builder = FeatureBuilder(
        constants,
        log.has,
        chunk.candidates.names,
        fit_items(log, constants),
        {},
        knowledge=(known, fit_table(log, known, constants)),
    )
    matrix = builder.build(log, chunk.candidates, Arena())
    split = len(log) - 200
    rows = int(offsets[split])
    data = lgb.Dataset(matrix[:rows], labels[:rows], group=np.diff(offsets)[:split])
    settings = {"objective": "lambdarank", "num_threads": 1, "verbose": -1, "min_data_in_leaf": 5, "seed": 1}
    scores = np.asarray(lgb.train(settings, data, 15).predict(matrix[rows:]))
    hits = [
        labels[begin:end][np.argmax(scores[begin - rows : end - rows])]
        for begin, end in itertools.pairwise(offsets[split:].tolist())
    ]
    return float(np.mean(hits))


def test_the_category_decides_and_the_features_find_it() -> None:
    chunk, leaf, labels = planted(1)
    others: tuple[Group, ...] = ("item", "session", "match", "pair")
    noise = np.random.default_rng(9).permutation(leaf).astype(np.int32)
    assert hit_rate((*others, "knowledge"), leaf, chunk, labels) > 0.95  # a guess has .08
    # The last item itself is a candidate only if it is the next one, too: that much the others can learn.
    assert hit_rate(others, leaf, chunk, labels) < 0.35
    assert hit_rate((*others, "knowledge"), noise, chunk, labels) < 0.35
