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
from features.items import ItemTable
from features.match import COMPARED
from features.settings import FeaturesSettings
from features.similarity import OWN
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
    share = C("count") / C("n")
    parts.append(
        counts.group_by("session").agg(session_top_share=share.max(), session_entropy=-(share * share.log()).sum())
    )
    new = frame.with_columns(new=C("place") == C("place").min().over(KEY)).filter(C("place") >= C("n") - 5)
    parts.append(new.group_by("session").agg(session_new=C("new").mean()))
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
                session_visit_items=C("aid").n_unique(),
                session_visit_span=span.log1p(),
                session_tempo=(pl.len() * 3600 / pl.max_horizontal(span, 60)).log1p(),
            )
        )
        if log.has_types:
            parts.append(last.group_by("session").agg(session_visit_carts=(C("type") == 1).mean()))
            since = {
                f"session_since_{kind}": (C("now").first() - C("ts").filter(C("type") == t).max()).log1p()
                for t, kind in ((1, "cart"), (2, "order"))
            }
            parts.append(timed.group_by("session").agg(**since))
    out = pl.DataFrame({"session": np.arange(len(log))})
    for part in parts:
        out = out.join(part, on="session", how="left", maintain_order="left")
    return out.with_columns(C("session_events", "session_items").fill_null(0))


def pair_twin(log: SessionLog, candidates: Candidates, settings: FeaturesSettings) -> pl.DataFrame:
    """A row a candidate."""
    frame = events(log).with_columns(weight=weights(settings, C("place"), C("n")))
    breaks = (C("aid") != C("aid").shift(1)).fill_null(True).cum_sum().over("session")
    frame = frame.with_columns(run=breaks)
    ago = C("n").first() - 1
    aggregates = {
        "pair_events": pl.len(),
        "pair_share": pl.len() / C("n").first(),
        "pair_recency": C("weight").sum(),
        "pair_is_last": C("place").max() == ago,
        "pair_ago": ago - C("place").max(),
        "pair_first_ago": ago - C("place").min(),
        "pair_run": (C("run") == C("run").last()).sum(),
    }
    if log.has_types:
        last_cart = C("place").filter(C("type") == 1).max().fill_null(-1)
        last_order = C("place").filter(C("type") == 2).max().fill_null(-1)
        aggregates |= {f"pair_{kind}": (C("type") == t).sum() for t, kind in enumerate(("clicks", "carts", "orders"))}
        aggregates["pair_typed_recency"] = (C("weight") * type_weight(settings)).sum()
        aggregates["pair_last_type"] = C("type").last()
        aggregates["pair_open_cart"] = last_cart > last_order
        clicks = (C("place").filter(C("type") == 0) > last_cart).sum()
        aggregates["pair_clicks_since_cart"] = pl.when(last_cart >= 0).then(clicks)
    if log.has_time:
        frame = with_visits(frame, settings).with_columns(
            dwell=pl.when(C("fresh").shift(-1).over("session"))
            .then(0)
            .otherwise(C("gap").shift(-1).over("session"))
            .fill_null(0),
            stays=pl.when(~C("fresh").shift(-1).over("session")).then(C("gap").shift(-1).over("session")),
            opens=(C("visit") != C("visit").shift(1).over("session")).fill_null(True),
        )
        now = C("now").first()
        aggregates |= {
            "pair_since": (now - C("ts").last()).log1p(),
            "pair_since_first": (now - C("ts").first()).log1p(),
            "pair_dwell": C("dwell").sum().log1p(),
            "pair_visits": C("visit").n_unique(),
            "pair_visit_events": (C("visit") == C("last_visit")).sum(),
            "pair_hourly": (1 / (1 + (C("now") - C("ts")) / 3600)).sum(),
            "pair_daily": (1 / (1 + (C("now") - C("ts")) / 86_400)).sum(),
            "pair_gap": C("ts").diff().last().log1p(),
            "pair_last_dwell": C("stays").last().log1p(),
            "pair_opened": ((C("visit") == C("last_visit")) & C("opens")).any(),
        }
        if log.has_types:
            aggregates["pair_since_cart"] = (now - C("ts").filter(C("type") == 1).max()).log1p()
            aggregates["pair_since_order"] = (now - C("ts").filter(C("type") == 2).max()).log1p()
    pairs = frame.group_by(KEY, maintain_order=True).agg(last=C("place").max(), **aggregates)
    pairs = pairs.with_columns(pair_items_ago=C("last").rank("ordinal", descending=True).over("session") - 1)
    out = candidates.frame().select(KEY).join(pairs, on=KEY, how="left", maintain_order="left")
    ages = ("ago", "since", "last_type", "pair_gap", "last_dwell")
    zero = [name for name in out.columns if name.startswith("pair_") and not any(age in name for age in ages)]
    return out.with_columns(C(name).cast(pl.Float64).fill_null(0.0) for name in zero)


def affinity_twin(
    log: SessionLog, candidates: Candidates, matrix: Lists, name: str, settings: FeaturesSettings
) -> pl.DataFrame:
    """A row a candidate."""
    neighbours = pl.DataFrame(
        {"x": np.repeat(np.arange(len(matrix)), matrix.lengths).astype(np.int32), "aid": matrix.aids}
    ).with_columns(score=pl.Series(matrix.scores).cast(pl.Float64), place=pl.int_range(pl.len()).over("x"))
    listed = neighbours.group_by("aid").agg(listed=pl.len().log1p())
    unit = C("score").sum() if settings.affinity_unit == "sum" else C("score").max()
    neighbours = neighbours.with_columns(unit=unit.over("x")).filter(C("unit") > 0)
    neighbours = neighbours.with_columns(share=C("score") / C("unit"))
    strength = type_weight(settings).max() if log.has_types else pl.lit(1.0)
    bought = (C("type") > 0).any().cast(pl.Float64) if log.has_types else pl.lit(0.0)
    frame = events(log)
    timed = {"visit": pl.lit(0.0), "age": pl.lit(0.0)}
    if log.has_time:
        frame = with_visits(frame, settings)
        visit = (C("visit") == C("last_visit")).any().cast(pl.Float64)
        timed = {"visit": visit, "age": C("now").first() - C("ts").last()}
    recent = frame.group_by(KEY).agg(last=C("place").max(), strength=strength, bought=bought, **timed)
    recent = (
        recent.rename({"aid": "x"})
        .with_columns(newest=C("last").rank("ordinal", descending=True).over("session").cast(pl.Int64) - 1)
        .filter(C("newest") < settings.affinity_tail)
        .with_columns(count=pl.len().over("session").cast(pl.Int64))
        .with_columns(recency=weights(settings, C("count") - 1 - C("newest"), C("count")))
    )
    of = f"affinity_{name}"
    share = C("share")
    sums = (
        recent.join(neighbours, on="x")
        .group_by("session", "aid")
        .agg(
            share.sum().alias(f"{of}_sum"),
            (share * C("recency")).sum().alias(f"{of}_recent"),
            (share * C("recency") * C("strength")).sum().alias(f"{of}_typed"),
            (share * C("bought")).sum().alias(f"{of}_bought"),
            (share * C("visit")).sum().alias(f"{of}_visit"),
            (share / (1 + C("age") / 3600)).sum().alias(f"{of}_fresh"),
            share.filter(C("newest") == 0).sum().alias(f"{of}_last"),
            share.filter(C("newest") == 1).sum().alias(f"{of}_second"),
            pl.len().alias(f"{of}_count"),
            share.max().alias(f"{of}_max"),
            (share.sum() / C("count").first()).alias(f"{of}_mean"),
            best=C("place").min(),
            nearest=C("place").filter(C("newest") == 0).min(),
        )
    )
    own = neighbours.rename({"x": "aid", "aid": "x"}).join(recent, on="x")
    back = own.group_by("session", "aid").agg(
        (share * C("recency")).sum().alias(f"{of}_back"),
        share.filter(C("newest") == 0).sum().alias(f"{of}_back_last"),
    )
    out = candidates.frame().select(KEY)
    for part in (sums, back):
        out = out.join(part, on=KEY, how="left", maintain_order="left")
    out = out.join(listed, on="aid", how="left", maintain_order="left").rename({"listed": f"{of}_listed"})
    out = out.with_columns(C(f"^{of}_.*$").cast(pl.Float64).fill_null(0.0))
    size = pl.len().over("session").cast(pl.Int64)
    standing = (size - C(f"{of}_recent").cast(pl.Float32).rank("max").over("session").cast(pl.Int64)) / size
    return out.with_columns(standing.alias(f"{of}_standing")).rename(
        {"best": f"{of}_best_place", "nearest": f"{of}_last_place"}
    )


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

    def cosines(s: int, aid: int) -> list[float]:
        own = log.aids[log.offsets[s] : log.offsets[s + 1]][::-1].tolist()
        own = [a for a in dict.fromkeys(own) if retriever.known[a] and items[a].any()][:OWN]
        length = np.linalg.norm(items[aid])
        return [float(items[a] @ items[aid] / np.linalg.norm(items[a]) / length) for a in own] if length > 0 else []

    for target in searcher.indices:
        items = retriever.item_vectors(target)
        column = f"similarity_{name}_carts" if target == "carts" else f"similarity_{name}"
        for which, chosen in (("last", lambda c: c[0]), ("mean", np.mean), ("max", max)):

            def score(s: int, aid: int, chosen=chosen) -> float | None:
                found = cosines(s, aid)
                return float(chosen(found)) if found else None

            out = out.with_columns(score=rows(score)).with_columns(zscore("score").alias(f"{column}_{which}"))
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


def match_twin(log: SessionLog, candidates: Candidates, items: ItemTable, settings: FeaturesSettings) -> pl.DataFrame:
    """A row a candidate."""
    table = pl.DataFrame(dict(zip(items.names, items.values.T.astype(np.float64), strict=True))).fill_nan(None)
    table = table.with_columns(aid=pl.int_range(pl.len(), dtype=pl.Int32))
    recent = events(log).group_by(KEY).agg(last=C("place").max())
    recent = (
        recent.with_columns(newest=C("last").rank("ordinal", descending=True).over("session").cast(pl.Int64) - 1)
        .filter(C("newest") < settings.affinity_tail)
        .with_columns(count=pl.len().over("session").cast(pl.Int64))
        .with_columns(recency=weights(settings, C("count") - 1 - C("newest"), C("count")))
        .join(table, on="aid")
    )
    names = [name for name in COMPARED if name in items.names]
    means = recent.group_by("session").agg(
        ((C(name) * C("recency")).sum() / C("recency").filter(C(name).is_not_null()).sum()).alias(f"mean_{name}")
        for name in names
    )
    out = candidates.frame().select(KEY)
    out = out.join(table, on="aid", how="left", maintain_order="left")
    out = out.join(means, on="session", how="left", maintain_order="left").fill_nan(None)
    out = out.with_columns((C(name) - C(f"mean_{name}")).alias(name.replace("item", "match", 1)) for name in names)
    if log.has_time:
        quarter = (C("ts").last() + int(settings.utc_offset_hours * 3600)) % 86_400 // 21_600
        last = events(log).group_by("session").agg(quarter=quarter)
        out = out.join(last, on="session", how="left", maintain_order="left")
        hours = pl.coalesce(pl.when(C("quarter") == q).then(C(f"item_hours_{q}")) for q in range(4))
        out = out.with_columns(match_hours=hours)
    return out


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

    def conversion(name: str, part: str, whole: str) -> None:
        nonlocal out
        counted = out[part].sum() and out[whole].sum()
        mean = out[part].sum() / out[whole].sum() if counted else None
        prior = settings.conversion_prior
        share = (C(part) + prior * mean) / (C(whole) + prior) if mean else pl.lit(1.0)
        out = out.with_columns((share / (mean or 1.0)).log().alias(name))

    n = C("n").first()
    by_session = frame.group_by(KEY).agg(
        opening=(C("place") == 0).any(), closing=(C("place").max() == n - 1), again=pl.len() > 1
    )
    join(by_session.group_by("aid").agg(C("opening", "closing", "again").sum().cast(pl.Int64)))
    follows = (C("aid").shift(-1).over("session") == C("aid")).fill_null(False)
    join(frame.with_columns(same=follows).group_by("aid").agg(next_same=C("same").sum().cast(pl.Int64)))
    out = out.with_columns(C("opening", "closing", "again", "next_same").fill_null(0))
    for name in ("opening", "closing", "again"):
        conversion(f"item_{name}", name, "sessions")
    conversion("item_next_same", "next_same", "count")
    if log.has_types:
        for t, kind in ((1, "carting"), (2, "ordering")):
            join(frame.filter(C("type") == t).group_by("aid").agg(C("session").n_unique().cast(pl.Int64).alias(kind)))
        out = out.with_columns(C("carting", "ordering").fill_null(0))
        for name, part, whole in (
            ("item_carted", "carting", "sessions"),
            ("item_ordered", "ordering", "sessions"),
            ("item_ordered_if_carted", "ordering", "carting"),
        ):
            conversion(name, part, whole)
        join(frame.filter(C("type") == 2).group_by("aid").agg(bought=pl.len().cast(pl.Int64)))
        out = out.with_columns(C("bought").fill_null(0))
        conversion("item_reordered", "bought", "ordering")
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

    timed = with_visits(frame, settings)
    stays = timed.with_columns(
        stays=pl.when(~C("fresh").shift(-1).over("session")).then(C("gap").shift(-1).over("session")),
        quarter=(C("ts") + int(settings.utc_offset_hours * 3600)) % 86_400 // 21_600,
    )
    bits = (C("stays") + 0.5).log(2).floor().clip(-1) + 1  # .5 is for 0
    quarters = {f"quarter_{q}": (C("quarter") == q).sum().cast(pl.Int64) for q in range(4)}
    join(stays.group_by("aid").agg(dwell=bits.sum(), dwelled=C("stays").count().cast(pl.Int64), **quarters))
    out = out.with_columns(C("dwell", "dwelled", *quarters).fill_null(0))
    out = out.with_columns(timed=pl.sum_horizontal(*quarters))
    for q in range(4):
        conversion(f"item_hours_{q}", f"quarter_{q}", "timed")
    mean = C("dwell").sum() / C("dwelled").sum()
    weight = settings.conversion_prior
    out = out.with_columns(item_dwell=(C("dwell") + weight * mean) / (C("dwelled") + weight))
    join(frame.group_by("aid").agg(first=C("ts").min(), last=C("ts").max()))
    bound = settings.max_age_days
    return out.with_columns(
        rank(f"events_{long}").alias(f"item_rank_{long}"),
        *(trend(a, b).alias(f"item_trend_{a}") for a, b in itertools.pairwise(spans)),
        item_since_last=((until - C("last")) / 3600).clip(0, bound * 24).log1p(),
        item_since_first=((until - C("first")) / 86_400).clip(0, bound),
    )
