"""Candidates in Polars: history, popularity, neighbours and walks as joins and groups, and their pool."""

from collections.abc import Mapping

import polars as pl

from candidates.settings import (
    CandidatesSettings,
    HistorySettings,
    NeighboursSettings,
    PopularitySettings,
    ProfileSettings,
    SourceSettings,
    WalksSettings,
)
from candidates.source_set import SourceSet
from events.columns import AID, SESSION, TYPE
from events.lists import Lists
from events.log import SessionLog

KINDS = (HistorySettings, PopularitySettings, NeighboursSettings, WalksSettings)
"""Settings of the sources that have a twin here."""

SCORE, RANK, LAST, X = "score", "rank", "last", "x"


def polars_pool(log: SessionLog, settings: CandidatesSettings, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The pool as ``candidates.pool.Candidates.frame`` gives it: session, aid, and ranks (-1 absent) and scores.

    tables : the matrices with columns x, aid, score, share (of the first of x) and chance (share of the sum), and one
             ``<source>_<target>`` for every list of popular items, with columns aid, score and rank
    """
    events = pl.DataFrame({SESSION: log.owner(), AID: log.aids, TYPE: log.type_codes()})
    events = events.with_columns((pl.len().over(SESSION) - pl.int_range(pl.len()).over(SESSION) - 1).alias(LAST))
    columns: dict[str, pl.LazyFrame] = {}
    for name, source in settings.sources.items():
        if isinstance(source, PopularitySettings):
            rows = pl.LazyFrame({SESSION: range(len(log))})
            found = {key: table for key, table in tables.items() if key.startswith(f"{name}_")}
            columns |= {key: rows.join(table.lazy().head(source.k), how="cross") for key, table in found.items()}
        else:
            columns[name] = _top(_scores(events, source, tables), source.k)
    names = list(columns)
    long = pl.concat(
        column.select(SESSION, AID, SCORE, pl.col(RANK).cast(pl.Int16), pl.lit(c).alias("column"))
        for c, column in enumerate(columns.values())
    )
    of = [(pl.col("column") == c, name) for c, name in enumerate(names)]
    pool = long.group_by(SESSION, AID).agg(
        *(pl.col(RANK).filter(here).max().fill_null(-1).alias(f"rank_{name}") for here, name in of),
        *(pl.col(SCORE).filter(here).max().alias(f"score_{name}") for here, name in of),
    )
    return pool.sort(SESSION, AID).collect()


def _scores(events: pl.DataFrame, source: SourceSettings, tables: Mapping[str, pl.DataFrame]) -> pl.LazyFrame:
    """Session, aid and summed score of what a source proposes."""
    if isinstance(source, HistorySettings):
        return _profile(events.lazy(), source, 1 << 30)
    assert isinstance(source, NeighboursSettings | WalksSettings)
    matrix = tables[source.matrix].lazy()
    start = _profile(events.lazy(), source, source.tail)
    if isinstance(source, NeighboursSettings):
        found = _step(start, matrix, "share")
    else:
        start = start.with_columns(pl.col(SCORE) / pl.col(SCORE).sum().over(SESSION))
        found = _step(_top(_step(start, matrix, "chance"), source.frontier), matrix, "chance")
    if source.exclude_seen:
        found = found.join(events.lazy().select(SESSION, AID), on=[SESSION, AID], how="anti")
    return found


def _profile(events: pl.LazyFrame, source: HistorySettings | ProfileSettings, tail: int) -> pl.LazyFrame:
    """Session, aid and weight: the sum over its events in the tail of (2^p - 1) * type weight."""
    kept = events.filter(pl.col(LAST) < tail)
    n = pl.len().over(SESSION)
    first, step = source.first_power, source.last_power - source.first_power
    power = pl.when(n > 1).then(first + step * (n - 1 - pl.col(LAST)) / (n - 1)).otherwise(first)
    weights = source.type_weights.of(has_types=True)
    by_type = pl.col(TYPE).replace_strict(dict(enumerate(weights)), return_dtype=pl.Float64)
    score = (pl.lit(2.0).pow(power) - 1) * by_type
    return kept.select(SESSION, AID, score.alias(SCORE)).group_by(SESSION, AID).agg(pl.col(SCORE).sum())


def _step(start: pl.LazyFrame, matrix: pl.LazyFrame, weight: str) -> pl.LazyFrame:
    """One step along the neighbour lists."""
    pairs = start.rename({AID: X}).join(matrix.select(X, AID, pl.col(weight).alias("to")), on=X)
    return pairs.group_by(SESSION, AID).agg((pl.col(SCORE) * pl.col("to")).sum())


def _top(scores: pl.LazyFrame, k: int) -> pl.LazyFrame:
    """The best ``k`` of each session with their rank, ties of the float32 scores by item."""
    rounded = scores.with_columns(pl.col(SCORE).cast(pl.Float32))
    ordered = rounded.sort(SESSION, SCORE, AID, descending=[False, True, False])
    return ordered.with_columns(pl.int_range(pl.len()).over(SESSION).alias(RANK)).filter(pl.col(RANK) < k)


def polars_tables(matrices: Mapping[str, Lists], sources: SourceSet, log: SessionLog) -> dict[str, pl.DataFrame]:
    """The matrices, and the fitted lists of popular items of ``sources``, as tables."""
    tables = {}
    for name, matrix in matrices.items():
        score = pl.col(SCORE).cast(pl.Float64)
        table = pl.DataFrame({X: _owner(matrix), AID: matrix.aids, SCORE: matrix.scores}).with_columns(
            (score / score.first().over(X)).alias("share"), (score / score.sum().over(X)).alias("chance")
        )
        tables[name] = table
    one = log.slice(0, 1)
    for column, lists in sources.lists(one).items():
        source = sources.columns[column][0]
        if isinstance(sources.settings.sources[source], PopularitySettings):
            aids, scores = lists.row(0)
            tables[column] = pl.DataFrame({AID: aids, SCORE: scores}).with_row_index(RANK)
    return tables


def _owner(lists: Lists) -> pl.Series:
    return pl.Series(range(len(lists)), dtype=pl.Int32).repeat_by(pl.Series(lists.lengths)).explode().drop_nulls()
