"""The features once more, in Polars and without a thought of speed: the oracles of the kernels.

A function returns a frame with a column a feature, in the order of the candidates (or of the items); null is NaN.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import polars as pl

from candidates.pool import Candidates
from events.lists import Lists
from events.log import SessionLog
from features.settings import FeaturesSettings
from models.searcher import Searcher

C = pl.col
KEY = ["session", "aid"]


def events(log: SessionLog) -> pl.DataFrame:
    """A row an event: session, aid, place in the session, n events of it, ts and type where there are any."""
    columns = {"session": log.owner(), "aid": log.aids}
    if log.ts is not None:
        columns["ts"] = log.ts.astype(np.int64)
    if log.types is not None:
        columns["type"] = log.types
    frame = pl.DataFrame(columns)
    return frame.with_columns(place=pl.int_range(pl.len()).over("session"), n=pl.len().over("session").cast(pl.Int64))


def with_visits(frame: pl.DataFrame, settings: FeaturesSettings) -> pl.DataFrame:
    """Adds the gap before each event, its visit from 0, the last visit of the session and the session's last time."""
    return (
        frame.with_columns(gap=C("ts").diff().over("session"))
        .with_columns(fresh=(C("gap") > settings.visit_gap_minutes * 60).fill_null(False))
        .with_columns(visit=C("fresh").cast(pl.Int64).cum_sum().over("session"), now=C("ts").last().over("session"))
        .with_columns(last_visit=C("visit").max().over("session"))
    )


def weights(settings: FeaturesSettings, place: pl.Expr, n: pl.Expr) -> pl.Expr:
    """Recency weights."""
    low = settings.oldest_exponent
    return pl.when(n == 1).then(1.0).otherwise(2.0 ** (low + (1 - low) * place / (n - 1)) - 1.0)


def type_weight(settings: FeaturesSettings) -> pl.Expr:
    """Weight of the event's type."""
    clicks, carts, orders = settings.type_weights
    return pl.when(C("type") == 0).then(clicks).when(C("type") == 1).then(carts).otherwise(orders)


def session_twin(log: SessionLog, settings: FeaturesSettings) -> pl.DataFrame:
    """A row a session."""
    frame = events(log)
    by = frame.group_by("session")
    parts = [by.agg(session_events=pl.len(), session_items=C("aid").n_unique())]
    parts.append(by.agg(session_repeat=1 - C("aid").n_unique() / pl.len()))
    counts = frame.group_by(KEY).agg(count=pl.len(), n=C("n").first())
    parts.append(counts.group_by("session").agg(session_top_share=(C("count") / C("n")).max()))
    if log.has_types:
        last_buy = frame.filter(C("type") > 0).group_by(KEY).agg(C("type").sort_by("place").last())
        buys = last_buy.group_by("session").agg(session_open_carts=(C("type") == 1).sum())
        parts.append(by.agg().join(buys, on="session", how="left").with_columns(C("session_open_carts").fill_null(0)))
        ago = C("n").first() - 1
        parts.append(
            by.agg(
                session_carts=(C("type") == 1).mean(),
                session_orders=(C("type") == 2).mean(),
                session_last_type=C("type").last(),
                session_cart_ago=ago - C("place").filter(C("type") == 1).max(),
                session_order_ago=ago - C("place").filter(C("type") == 2).max(),
            )
        )
    if log.has_time:
        timed = with_visits(frame, settings)
        last = timed.filter(C("visit") == C("last_visit"))
        moment = pl.from_epoch(C("ts").last() + int(settings.utc_offset_hours * 3600))
        seconds = moment.dt.hour().cast(pl.Int64) * 3600 + moment.dt.minute().cast(pl.Int64) * 60 + moment.dt.second()
        angle = seconds / 86_400 * 2 * math.pi
        parts.append(
            timed.group_by("session").agg(
                session_span=(C("ts").last() - C("ts").first()).log1p(),
                session_gap=C("gap").filter(~C("fresh")).mean().log1p(),
                session_last_gap=C("gap").last().log1p(),
                session_visits=C("visit").n_unique(),
                session_away=C("gap").filter(C("fresh")).last().log1p(),
                session_hour_sin=angle.sin(),
                session_hour_cos=angle.cos(),
                session_weekday=moment.dt.weekday() - 1,
            )
        )
        span = C("ts").last() - C("ts").first()
        parts.append(
            last.group_by("session").agg(
                session_visit_events=pl.len(),
                session_visit_span=span.log1p(),
                session_tempo=(pl.len() * 3600 / pl.max_horizontal(span, 60)).log1p(),
            )
        )
        if log.has_types:
            parts.append(last.group_by("session").agg(session_visit_carts=(C("type") == 1).mean()))
    out = pl.DataFrame({"session": np.arange(len(log))})
    for part in parts:
        out = out.join(part, on="session", how="left", maintain_order="left")
    return out.with_columns(C("session_events", "session_items").fill_null(0))


def pair_twin(log: SessionLog, candidates: Candidates, settings: FeaturesSettings) -> pl.DataFrame:
    """A row a candidate."""
    frame = events(log).with_columns(weight=weights(settings, C("place"), C("n")))
    ago = C("n").first() - 1
    aggregates = {
        "pair_events": pl.len(),
        "pair_share": pl.len() / C("n").first(),
        "pair_recency": C("weight").sum(),
        "pair_is_last": C("place").max() == ago,
        "pair_ago": ago - C("place").max(),
        "pair_first_ago": ago - C("place").min(),
    }
    if log.has_types:
        last_cart = C("place").filter(C("type") == 1).max().fill_null(-1)
        last_order = C("place").filter(C("type") == 2).max().fill_null(-1)
        aggregates |= {f"pair_{kind}": (C("type") == t).sum() for t, kind in enumerate(("clicks", "carts", "orders"))}
        aggregates["pair_typed_recency"] = (C("weight") * type_weight(settings)).sum()
        aggregates["pair_last_type"] = C("type").last()
        aggregates["pair_open_cart"] = last_cart > last_order
    if log.has_time:
        frame = with_visits(frame, settings).with_columns(
            dwell=pl.when(C("fresh").shift(-1).over("session"))
            .then(0)
            .otherwise(C("gap").shift(-1).over("session"))
            .fill_null(0)
        )
        now = C("now").first()
        aggregates |= {
            "pair_since": (now - C("ts").last()).log1p(),
            "pair_since_first": (now - C("ts").first()).log1p(),
            "pair_dwell": C("dwell").sum().log1p(),
            "pair_visits": C("visit").n_unique(),
            "pair_visit_events": (C("visit") == C("last_visit")).sum(),
        }
        if log.has_types:
            aggregates["pair_since_cart"] = (now - C("ts").filter(C("type") == 1).max()).log1p()
            aggregates["pair_since_order"] = (now - C("ts").filter(C("type") == 2).max()).log1p()
    pairs = frame.group_by(KEY, maintain_order=True).agg(last=C("place").max(), **aggregates)
    pairs = pairs.with_columns(pair_items_ago=C("last").rank("ordinal", descending=True).over("session") - 1)
    out = candidates.frame().select(KEY).join(pairs, on=KEY, how="left", maintain_order="left")
    ages = ("ago", "since", "last_type")
    zero = [name for name in out.columns if name.startswith("pair_") and not any(age in name for age in ages)]
    return out.with_columns(C(name).cast(pl.Float64).fill_null(0.0) for name in zero)


def affinity_twin(
    log: SessionLog, candidates: Candidates, matrix: Lists, name: str, settings: FeaturesSettings
) -> pl.DataFrame:
    """A row a candidate."""
    neighbours = pl.DataFrame(
        {"x": np.repeat(np.arange(len(matrix)), matrix.lengths).astype(np.int32), "aid": matrix.aids}
    ).with_columns(score=pl.Series(matrix.scores).cast(pl.Float64))
    unit = C("score").sum() if settings.affinity_unit == "sum" else C("score").max()
    neighbours = neighbours.with_columns(unit=unit.over("x")).filter(C("unit") > 0)
    neighbours = neighbours.with_columns(share=C("score") / C("unit"))
    strength = type_weight(settings).max() if log.has_types else pl.lit(1.0)
    recent = events(log).group_by(KEY).agg(last=C("place").max(), strength=strength).rename({"aid": "x"})
    recent = (
        recent.with_columns(newest=C("last").rank("ordinal", descending=True).over("session").cast(pl.Int64) - 1)
        .filter(C("newest") < settings.affinity_tail)
        .with_columns(count=pl.len().over("session").cast(pl.Int64))
        .with_columns(recency=weights(settings, C("count") - 1 - C("newest"), C("count")))
    )
    of = f"affinity_{name}"
    sums = (
        recent.join(neighbours, on="x")
        .group_by("session", "aid")
        .agg(
            C("share").sum().alias(f"{of}_sum"),
            C("share").max().alias(f"{of}_max"),
            pl.len().alias(f"{of}_count"),
            C("share").filter(C("newest") == 0).sum().alias(f"{of}_last"),
            (C("share") * C("recency")).sum().alias(f"{of}_recent"),
            (C("share") * C("recency") * C("strength")).sum().alias(f"{of}_typed"),
        )
    )
    out = candidates.frame().select(KEY).join(sums, on=KEY, how="left", maintain_order="left")
    return out.with_columns(C(f"^{of}_.*$").cast(pl.Float64).fill_null(0.0))


def similarity_twin(log: SessionLog, candidates: Candidates, searcher: Searcher, name: str) -> pl.DataFrame:
    """A row a candidate: the scores one by one, then Polars."""
    retriever = searcher.retriever
    out = candidates.frame().select(KEY)

    def rows(score: Callable[[int, int], float | None]) -> pl.Series:
        pairs = out.select(KEY).iter_rows()
        return pl.Series([score(s, aid) if retriever.known[aid] else None for s, aid in pairs], dtype=pl.Float64)

    def zscore(column: str) -> pl.Expr:
        mean, deviation = C(column).mean().over("session"), C(column).std(ddof=0).over("session")
        return pl.when(deviation > 1e-6 * mean.abs()).then((C(column) - mean) / deviation).otherwise(C(column) * 0)

    for target in searcher.indices:
        column = f"similarity_{name}" if target is None else f"similarity_{name}_{target}"
        items, sessions = retriever.item_vectors(target), retriever.session_vectors(log, target)
        added = retriever.revisits(log, target)

        def score(s: int, aid: int, items=items, sessions=sessions, added=added) -> float | None:
            if not sessions[s].any():
                return None
            own = np.flatnonzero((log.owner() == s) & (log.aids == aid))
            return float(sessions[s] @ items[aid]) + (0.0 if added is None else float(added[own].sum()))

        count, rank = C("score").count().over("session"), C("score").rank("max").over("session")
        out = out.with_columns(score=rows(score)).with_columns(
            zscore("score").alias(f"{column}_zscore"), ((count - rank) / count).alias(f"{column}_place")
        )

    def cosine(s: int, aid: int) -> float | None:
        own = [a for a in log.aids[log.offsets[s] : log.offsets[s + 1]].tolist() if retriever.known[a]]
        lengths = np.linalg.norm(items[own[-1]]) * np.linalg.norm(items[aid]) if own else 0.0
        return float(items[own[-1]] @ items[aid] / lengths) if lengths > 0 else None

    for target in searcher.indices:
        items = retriever.item_vectors(target)
        column = f"similarity_{name}_carts_last" if target == "carts" else f"similarity_{name}_last"
        out = out.with_columns(score=rows(cosine)).with_columns(zscore("score").alias(column))
    return out


def source_twin(candidates: Candidates) -> pl.DataFrame:
    """A row a candidate: rank, z-score and share of every column."""
    frame = candidates.frame()
    for name in candidates.names:
        here = pl.when(C(f"rank_{name}") >= 0)
        score = here.then(C(f"score_{name}").cast(pl.Float64))
        deviation = score.std(ddof=0).over("session")
        best = score.max().over("session")
        frame = frame.with_columns(
            here.then(C(f"rank_{name}")).alias(f"rank_{name}"),
            pl.when(deviation > 1e-6)
            .then((score - score.mean().over("session")) / deviation)
            .otherwise(score * 0.0)
            .alias(f"zscore_{name}"),
            pl.when(best > 0).then(score / best).alias(f"share_{name}"),
        )
    return frame


def pool_twin(candidates: Candidates, popularity: np.ndarray, settings: FeaturesSettings) -> pl.DataFrame:
    """A row a candidate."""
    ranks = [pl.when(C(f"rank_{name}") >= 0).then(C(f"rank_{name}").cast(pl.Int64)) for name in candidates.names]
    frame = candidates.frame().with_columns(popularity=popularity[candidates.aids])
    frame = frame.with_columns(
        pool_size=pl.len().over("session"),
        pool_sources=pl.sum_horizontal(rank.is_not_null() for rank in ranks),
        pool_best_rank=pl.min_horizontal(ranks),
        pool_fusion=pl.sum_horizontal((1.0 / (settings.fusion + rank)).fill_null(0.0) for rank in ranks).cast(
            pl.Float32
        ),
    )

    def greater_share(name: str) -> pl.Expr:
        size = pl.len().over("session").cast(pl.Int64)
        return (size - C(name).rank("max").over("session").cast(pl.Int64)) / size

    return frame.with_columns(
        pool_fusion_place=greater_share("pool_fusion"), pool_popularity_place=greater_share("popularity")
    )


def item_twin(log: SessionLog, settings: FeaturesSettings) -> pl.DataFrame:
    """A row an item."""
    frame = events(log)
    out = pl.DataFrame({"aid": np.arange(log.n_items, dtype=np.int32)})

    def join(part: pl.DataFrame) -> None:
        nonlocal out
        out = out.join(part, on="aid", how="left", maintain_order="left")

    def rank(count: str) -> pl.Expr:
        seen = C("count") > 0
        size = pl.max_horizontal(seen.sum(), 1)
        return pl.when(seen).then((C(count).rank("min", descending=True) - 1) / size).otherwise(1.0)

    join(frame.group_by("aid").agg(count=pl.len().cast(pl.Int64), sessions=C("session").n_unique().cast(pl.Int64)))
    out = out.with_columns(C("count", "sessions").fill_null(0)).with_columns(
        item_sessions=(C("sessions") * 1000 / max(len(log), 1)).log1p(),
        item_repeat=pl.when(C("sessions") > 0).then(C("count") / C("sessions")),
        item_rank=rank("count"),
    )
    if log.has_types:
        for t, kind in ((1, "carting"), (2, "ordering")):
            join(frame.filter(C("type") == t).group_by("aid").agg(C("session").n_unique().cast(pl.Int64).alias(kind)))
        out = out.with_columns(C("carting", "ordering").fill_null(0))
        for name, part, whole in (
            ("item_carted", "carting", "sessions"),
            ("item_ordered", "ordering", "sessions"),
            ("item_ordered_if_carted", "ordering", "carting"),
        ):
            counted = out[part].sum() and out[whole].sum()
            mean = out[part].sum() / out[whole].sum() if counted else None
            prior = settings.conversion_prior
            share = (C(part) + prior * mean) / (C(whole) + prior) if mean else pl.lit(1.0)
            out = out.with_columns((share / (mean or 1.0)).log().alias(name))
    if log.ts is None:
        return out
    until = int(frame["ts"].max() or 0)
    spans = {f"{days}d": days for days in settings.windows_days}
    totals = {}
    for label, days in spans.items():
        window = frame.filter(until - C("ts") < days * 86_400)
        kinds = {"events": window}
        if log.has_types:
            kinds |= {"carts": window.filter(C("type") == 1), "orders": window.filter(C("type") == 2)}
        for kind, rows in kinds.items():
            join(rows.group_by("aid").agg(pl.len().cast(pl.Int64).alias(f"{kind}_{label}")))
            out = out.with_columns(C(f"{kind}_{label}").fill_null(0))
            totals[f"{kind}_{label}"] = max(rows.height, 1)
            share = C(f"{kind}_{label}") / totals[f"{kind}_{label}"]
            out = out.with_columns((share * 1e6).log1p().alias(f"item_{kind}_{label}"))
    long = f"{settings.windows_days[-1]}d"
    prior = settings.trend_prior

    def trend(of: str, to: str) -> pl.Expr:
        expected = C(f"events_{to}") / totals[f"events_{to}"] * C(f"events_{of}").sum()
        return ((C(f"events_{of}") + prior) / (expected + prior)).log()

    join(frame.group_by("aid").agg(first=C("ts").min(), last=C("ts").max()))
    bound = settings.max_age_days
    return out.with_columns(
        rank(f"events_{long}").alias(f"item_rank_{long}"),
        *(trend(a, b).alias(f"item_trend_{a}") for a, b in itertools.pairwise(spans)),
        item_since_last=((until - C("last")) / 3600).clip(0, bound * 24).log1p(),
        item_since_first=((until - C("first")) / 86_400).clip(0, bound),
    )
