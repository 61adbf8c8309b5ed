"""Every block against its twin in Polars, on random logs."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candidates.pool import Arena
from events.log import SessionLog
from features.assemble import FeatureBuilder
from features.items import ItemTable, fit_items
from features.settings import FeaturesSettings
from tests.features import twins
from tests.features.chunks import SETS, Chunk, random_chunk

SEEDS = st.integers(0, 2**32 - 1)
HAS = st.sampled_from(SETS)
ODD = FeaturesSettings(
    source_scores=("share", "zscore"),
    fusion=10.0,
    windows_days=(2, 5),
    conversion_prior=3.0,
    trend_prior=0.1,
    max_age_days=4.0,
    visit_gap_minutes=0.5,
    utc_offset_hours=-3.5,
    oldest_exponent=0.4,
    type_weights=(1.0, 2.0, 5.0),
    affinity_tail=3,
    affinity_unit="best",
)
CONSTANTS = st.sampled_from([FeaturesSettings(source_scores=("zscore", "share")), ODD])


def build(chunk: Chunk, has: frozenset[str], constants: FeaturesSettings, group: str) -> dict[str, np.ndarray]:
    """The columns of one group."""
    only = constants.model_copy(update={"groups": (group,)})
    items = fit_items(chunk.log, only)
    builder = FeatureBuilder(only, has, chunk.candidates.names, items, chunk.matrices, searchers=chunk.searchers)
    matrix = builder.build(chunk.log, chunk.candidates, Arena())
    return {name: matrix[:, column].copy() for column, name in enumerate(builder.names)}


def assert_same(built: dict[str, np.ndarray], twin: pl.DataFrame) -> None:
    """Every column that was built equals the twin's."""
    assert built
    for name, column in built.items():
        expected = twin[name].cast(pl.Float64).to_numpy()
        np.testing.assert_allclose(column, expected, rtol=2e-5, atol=2e-6, err_msg=name)


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS, constants=CONSTANTS)
def test_sessions(seed: int, has: frozenset[str], constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, has)
    twin = twins.session_twin(chunk.log, constants)
    rows = chunk.candidates.frame().select("session").join(twin, on="session", how="left", maintain_order="left")
    assert_same(build(chunk, has, constants, "session"), rows)


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS, constants=CONSTANTS)
def test_pairs(seed: int, has: frozenset[str], constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, has)
    twin = twins.pair_twin(chunk.log, chunk.candidates, constants)
    assert_same(build(chunk, has, constants, "pair"), twin)


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS, constants=CONSTANTS)
def test_affinity(seed: int, has: frozenset[str], constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, has)
    built = build(chunk, has, constants, "affinity")
    for name, matrix in chunk.matrices.items():
        twin = twins.affinity_twin(chunk.log, chunk.candidates, matrix, name, constants)
        assert_same({n: column for n, column in built.items() if n.startswith(f"affinity_{name}_")}, twin)


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS, constants=CONSTANTS)
def test_match(seed: int, has: frozenset[str], constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, has)
    both = constants.model_copy(update={"groups": ("item", "match")})
    items = fit_items(chunk.log, both)
    builder = FeatureBuilder(both, has, chunk.candidates.names, items, {})
    matrix = builder.build(chunk.log, chunk.candidates, Arena())
    built = {name: matrix[:, column] for column, name in enumerate(builder.names) if name.startswith("match")}
    assert len(built) == 3 * (1 + len(has))
    assert_same(built, twins.match_twin(chunk.log, chunk.candidates, items, both))


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS)
def test_similarity(seed: int, has: frozenset[str]) -> None:
    chunk = random_chunk(seed, has)
    built = build(chunk, has, FeaturesSettings(), "similarity")
    assert len(built) == 5 + 12
    for name, searcher in chunk.searchers.items():
        twin = twins.similarity_twin(chunk.log, chunk.candidates, searcher, name)
        assert_same({n: column for n, column in built.items() if n.startswith(f"similarity_{name}_")}, twin)


@settings(max_examples=40)
@given(seed=SEEDS, constants=CONSTANTS)
def test_sources_and_pool(seed: int, constants: FeaturesSettings) -> None:
    chunk = random_chunk(seed, frozenset())
    assert_same(build(chunk, frozenset(), constants, "sources"), twins.source_twin(chunk.candidates))
    popularity = fit_items(chunk.log, constants).popularity
    twin = twins.pool_twin(chunk.candidates, popularity, constants)
    assert_same(build(chunk, frozenset(), constants, "pool"), twin)


@settings(max_examples=40)
@given(seed=SEEDS, has=HAS, constants=CONSTANTS, threads=st.sampled_from([1, 2, 5]))
def test_items(seed: int, has: frozenset[str], constants: FeaturesSettings, threads: int) -> None:
    log = random_chunk(seed, has, n_items=30).log
    table = fit_items(log, constants, threads)
    twin = twins.item_twin(log, constants)
    assert_same({name: table.values[:, f] for f, name in enumerate(table.names)}, twin)
    np.testing.assert_allclose(table.popularity * max(log.n_events, 1), twin["count"].to_numpy(), rtol=1e-6)


def test_long_sessions_equal_the_twin() -> None:
    """Above ``history.SHORT`` another sort is used."""
    has = SETS[-1]
    chunk = random_chunk(3, has, longest=200, n_items=40)
    assert_same(
        build(chunk, has, FeaturesSettings(), "pair"), twins.pair_twin(chunk.log, chunk.candidates, FeaturesSettings())
    )


def test_item_rows_are_gathered() -> None:
    """A candidate carries its item's row, and NaN if the table does not know it."""
    has = SETS[-1]
    chunk = random_chunk(1, has)
    constants = FeaturesSettings(groups=("item",))
    table = fit_items(chunk.log, constants)
    short = ItemTable(table.names, table.values[:5], table.popularity[:5])
    built = FeatureBuilder(constants, has, chunk.candidates.names, short, {})
    matrix = built.build(chunk.log, chunk.candidates, Arena())
    known = chunk.candidates.aids < 5
    assert known.any()
    assert not known.all()
    np.testing.assert_array_equal(matrix[known], table.values[chunk.candidates.aids[known]])
    assert np.isnan(matrix[~known]).all()


@pytest.mark.parametrize("has", SETS)
def test_a_fit_of_nothing_is_finite_or_nan(has: frozenset[str]) -> None:
    log = random_chunk(0, has).log.slice(0, 0)
    table = fit_items(log, FeaturesSettings())
    assert not np.isinf(table.values).any()
    assert (table.popularity == 0).all()


def test_an_event_of_exactly_one_day_is_outside_the_window_of_one_day() -> None:
    """A window of w days holds what is less than w days older than the log's last event."""
    day = 86_400
    log = SessionLog.of([[0, 0, 0, 1]], ts=[[0, 10, 11, 10 + day]], n_items=2)
    table = fit_items(log, FeaturesSettings(windows_days=(1,)))
    recent = np.expm1(table.values[:, table.names.index("item_events_1d")])
    np.testing.assert_allclose(recent, [0.5e6, 0.5e6], rtol=1e-6)
