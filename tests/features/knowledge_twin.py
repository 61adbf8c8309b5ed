"""Random knowledge, and its features once more in Polars."""

import math

import numpy as np
import polars as pl

from candidates.pool import Candidates
from events.knowledge.fitted import Knowledge, Users
from events.knowledge.reading import NEVER
from events.log import SessionLog
from features.settings import FeaturesSettings
from features.similarity import OWN
from tests.features.chunks import START
from tests.features.twins import KEY, C, events, weights


def random_knowledge(seed: int, log: SessionLog) -> Knowledge:
    """Everything there is to know, much of it unknown; prices of 0, equal prices and items to come among it."""
    rng = np.random.default_rng(seed)
    n = log.n_items

    def codes(most: int) -> np.ndarray:
        return rng.integers(-1, most, n).astype(np.int32)

    space = rng.integers(-1, 2, (n, 3)).astype(np.float32)
    lengths = np.sqrt((space**2).sum(axis=1, keepdims=True))
    published = (START + rng.integers(-5, 20, n) * 86_400).astype(np.int64)
    fitted = np.zeros(n, np.bool_)
    fitted[log.aids] = True
    rows = max(len(log) - 2, 0)
    return Knowledge(
        fitted=fitted,
        cold=~fitted,
        leaf=codes(5),
        parent=codes(2),
        brand=codes(4),
        price=rng.choice([np.nan, 0.0, 1.0, 2.5, 2.5, 30.0], n).astype(np.float32),
        published=np.where(rng.random(n) < 0.3, NEVER, published),
        spaces={"text": (space / np.maximum(lengths, 1)).astype(np.float32)},
        users=Users(
            rng.choice([np.nan, 1.0, 20.5], (rows, 2)).astype(np.float32),
            rng.integers(-1, 3, (rows, 1)).astype(np.int32),
            ("age", "days since"),
            ("club",),
        ),
    )


def recent(log: SessionLog, constants: FeaturesSettings) -> pl.DataFrame:
    """The last different items of each session, with their recency weights."""
    last = events(log).group_by(KEY).agg(last=C("place").max())
    return (
        last.with_columns(newest=C("last").rank("ordinal", descending=True).over("session").cast(pl.Int64) - 1)
        .filter(C("newest") < constants.affinity_tail)
        .with_columns(count=pl.len().over("session").cast(pl.Int64))
        .with_columns(recency=weights(constants, C("count") - 1 - C("newest"), C("count")))
    )


def item_frame(log: SessionLog, knowledge: Knowledge, constants: FeaturesSettings) -> pl.DataFrame:
    """A row an item: codes (null unknown), price, and the table's features."""
    frame = pl.DataFrame({"aid": np.arange(log.n_items, dtype=np.int32)}).with_columns(
        pl.Series(name, codes).replace(-1, None).alias(name) for name, codes in knowledge.codes.items()
    )
    frame = frame.with_columns(pl.Series("price", knowledge.price).fill_nan(None), pl.Series("fit", knowledge.fitted))
    counted = events(log)
    if log.has_time:
        counted = counted.filter(C("ts") > C("ts").max() - constants.windows_days[-1] * 86_400)
    frame = frame.join(counted.group_by("aid").agg(own=pl.len()), on="aid", how="left", maintain_order="left")
    frame = frame.with_columns(C("own").fill_null(0).cast(pl.Float64))
    total = max(float(frame["own"].sum()), 1.0)
    for code in knowledge.codes:
        rate = (C("own").sum().over(code) * 1e6 / total).log1p()
        frame = frame.with_columns(pl.when(C(code).is_not_null()).then(rate).alias(f"knowledge_{code}_rate"))
    of_leaf = C("own").sum().over("leaf")
    part = pl.when(C("leaf").is_not_null() & (of_leaf > 0)).then(C("own") / of_leaf)
    frame = frame.with_columns(knowledge_leaf_part=part)
    others = frame.filter("fit", C("leaf").is_not_null(), C("price").is_not_null()).select("leaf", other="price")
    pairs = frame.join(others, on="leaf").group_by("aid")
    ranks = pairs.agg(knowledge_price_rank=(C("other") < C("price")).cast(pl.Float64).mean(), p=C("price").first())
    ranks = ranks.filter(C("p").is_not_null()).drop("p")
    return frame.join(ranks, on="aid", how="left", maintain_order="left")


def knowledge_twin(
    log: SessionLog, candidates: Candidates, knowledge: Knowledge, constants: FeaturesSettings
) -> pl.DataFrame:
    """A row a candidate."""
    items = item_frame(log, knowledge, constants)
    out = candidates.frame().select(KEY).join(items, on="aid", how="left", maintain_order="left")
    looked = recent(log, constants).join(items.select("aid", "price", *knowledge.codes), on="aid")
    for code in knowledge.codes:
        known = looked.filter(C(code).is_not_null())
        by_code = known.group_by("session", code).agg(mass=C("recency").sum())
        by_code = by_code.with_columns(part=C("mass") / C("mass").sum().over("session"))
        spread = -(C("part") * C("part").log()).filter(C("part") > 0).sum()
        of_session = by_code.group_by("session").agg(
            spread.alias(f"knowledge_{code}_entropy"), pl.len().cast(pl.Float64).alias(f"knowledge_{code}_seen")
        )
        newest = looked.filter(C("newest") == 0).select("session", pl.col(code).alias("newest_code"))
        out = out.join(of_session, on="session", how="left", maintain_order="left")
        out = out.join(newest, on="session", how="left", maintain_order="left")
        parts = by_code.select("session", code, "part")
        out = out.join(parts, on=["session", code], how="left", maintain_order="left")
        share = pl.when(C(code).is_not_null() & C(f"knowledge_{code}_seen").is_not_null()).then(
            C("part").fill_null(0.0)
        )
        out = out.with_columns(
            share.alias(f"knowledge_{code}_share"),
            (C(code) == C("newest_code")).cast(pl.Float64).alias(f"knowledge_{code}_last"),
            C(f"knowledge_{code}_seen").fill_null(0.0),
        ).drop("part", "newest_code")
    priced = looked.filter(C("price").is_not_null()).sort("session", "newest")
    mean = (C("price") * C("recency")).sum() / C("recency").sum()
    prices = priced.group_by("session").agg(mean=mean, latest=C("price").first())
    out = out.join(prices, on="session", how="left", maintain_order="left")
    out = out.with_columns(
        knowledge_price=C("price"),
        knowledge_price_less_last=C("price") - C("latest"),
        knowledge_price_less_mean=C("price") - C("mean"),
        knowledge_price_ratio=pl.when((C("price") > 0) & (C("mean") > 0)).then((C("price") / C("mean")).log()),
        knowledge_price_mean=C("mean"),
    )
    if log.has_time:
        stamps = pl.Series("published", knowledge.published).replace(NEVER, None)
        stamps = pl.DataFrame({"aid": items["aid"], "published": stamps})
        now = events(log).group_by("session").agg(now=C("ts").last())
        out = out.join(stamps, on="aid", how="left", maintain_order="left")
        out = out.join(now, on="session", how="left", maintain_order="left")
        out = out.with_columns(knowledge_age=((C("now") - C("published")) / 86_400).clip(0))
    users = knowledge.users
    assert users is not None
    columns = {"user_age": users.numeric[:, 0], "user_days_since": users.numeric[:, 1]}
    ranks = pl.Series("user_club", users.categorical[:, 0]).replace(-1, None)
    table = pl.DataFrame({**columns, "user_club": ranks}).fill_nan(None)
    table = table.with_columns(session=pl.int_range(pl.len(), dtype=out["session"].dtype))
    out = out.join(table, on="session", how="left", maintain_order="left")
    return out.with_columns(_cosines(log, candidates, knowledge.spaces["text"], out))


def _cosines(log: SessionLog, candidates: Candidates, space: np.ndarray, rows: pl.DataFrame) -> list[pl.Series]:
    found: list[list[float]] = []
    for s in range(len(log)):
        own: list[int] = []
        for aid in log.aids[log.offsets[s] : log.offsets[s + 1]][::-1].tolist():
            if space[aid].any() and aid not in own:
                own.append(aid)
        own = own[:OWN]
        for aid in candidates.aids[candidates.offsets[s] : candidates.offsets[s + 1]]:
            near = [float(space[aid] @ space[mine]) for mine in own] if space[aid].any() else []
            found.append([near[0], sum(near) / len(near), max(near)] if near else [math.nan] * 3)
    columns = []
    for place, name in enumerate(("last", "mean", "max")):
        raw = pl.Series("raw", [row[place] for row in found], pl.Float64).fill_nan(None)
        frame = pl.DataFrame({"session": rows["session"], "raw": raw})
        mean, deviation = C("raw").mean().over("session"), C("raw").std(ddof=0).over("session")
        scaled = pl.when(deviation > 1e-6 * mean.abs()).then((C("raw") - mean) / deviation).otherwise(0.0)
        scaled = pl.when(C("raw").is_not_null()).then(scaled)
        columns.append(frame.select(scaled.alias(f"knowledge_text_{name}")).to_series())
    return columns
