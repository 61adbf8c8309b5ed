"""Features from what a shop knows of its items and sessions: categories, brands, prices, texts, vectors, attributes.

Codes of categories and brands are compared, never features themselves. Spaces may be learned (that of texts is), so
that a cosine only counts among those of the session's other candidates, as in ``features.similarity``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from candidates.pool import Candidates
from events.arrays import F32, I32, I64, Flags
from events.columns import DAY
from events.errors import InputError
from events.files import need_array, read_json, save_arrays, write_json
from events.knowledge.fitted import Knowledge, Users
from events.knowledge.reading import NEVER
from events.log import SessionLog
from features.items import gather_rows
from features.knowledge_kernels import fill_ages, fill_codes, fill_prices, fill_users
from features.registry import TIME, Block, Feature
from features.settings import FeaturesSettings
from features.similarity import OWN, fill_similarity, vector_lengths

GROUP = "knowledge"
WORDS = {"leaf": "category", "parent": "parent category", "brand": "brand"}


@dataclass(frozen=True, slots=True)
class KnowledgeTable:
    """Features of items that need knowledge and the fitted log.

    names : F names;  values : float32[n_items, F], NaN where an item has no value
    """

    names: tuple[str, ...]
    values: F32

    def save(self, folder: Path) -> None:
        """Write ``values.npy`` and ``names.json`` into an existing folder."""
        save_arrays(folder, values=self.values)
        write_json(folder / "names.json", list(self.names))

    @classmethod
    def load(cls, folder: Path) -> "KnowledgeTable":
        """Open what :meth:`save` wrote, memory-mapped.

        Raises
        ------
        InputError
            If a file is missing, or the two disagree.
        """
        names, values = tuple(read_json(folder / "names.json")), need_array(folder, "values")
        if values.ndim != 2 or values.shape[1] != len(names):
            raise InputError(folder, None, "names and values disagree", "remove the folder and run its stage again")
        return cls(names, values)


def table_features(codes: tuple[str, ...], price: bool, days: int) -> tuple[Feature, ...]:
    """The columns of the table, for these codes and prices, if any."""
    span = f"in the last {days} days (in all where the shop has no time)"
    rows = [
        Feature(f"knowledge_{code}_rate", GROUP, f"events of its {WORDS[code]} per million of the shop's {span}, log1p")
        for code in codes
    ]
    if "leaf" in codes:
        meaning = f"share of its category's events {span} that are its own; NaN if there are none"
        rows.append(Feature("knowledge_leaf_part", GROUP, meaning))
    if price:
        among = "its category" if "leaf" in codes else "the shop"
        rows.append(Feature("knowledge_price_rank", GROUP, f"share of the fitted items of {among} that are cheaper"))
    return tuple(rows)


def code_features(code: str) -> tuple[Feature, ...]:
    """The features of one code, in the order that ``fill_codes`` writes them."""
    word, plural = WORDS[code], WORDS[code].replace("category", "categorie") + "s"
    rows = (
        ("last", f"1 if its {word} is that of the session's last item, else 0"),
        ("share", f"share of the session's items, weighted by recency, that are of its {word}"),
        ("seen", f"different {plural} of the session's items"),
        ("entropy", f"entropy of the {plural} of the session's items, weighted by recency, in nats"),
    )
    return tuple(Feature(f"knowledge_{code}_{name}", GROUP, meaning) for name, meaning in rows)


PRICE_FEATURES = (
    Feature("knowledge_price", GROUP, "its price"),
    Feature("knowledge_price_less_last", GROUP, "its price less that of the session's last item with one"),
    Feature("knowledge_price_less_mean", GROUP, "its price less the mean of the session's, weighted by recency"),
    Feature("knowledge_price_ratio", GROUP, "log of the ratio of its price to the mean of the session's"),
    Feature("knowledge_price_mean", GROUP, "mean price of the session's items, weighted by recency"),
)
AGE_FEATURES = (
    Feature("knowledge_age", GROUP, "days from its publication to the session's last event, at least 0", TIME),
)


def space_features(space: str) -> tuple[Feature, ...]:
    """The features of a space, in the order that ``fill_similarity`` writes them."""
    likewise = "less the mean of the session's candidates, in standard deviations"
    rows = (
        ("last", "cosine with the session's last item"),
        ("mean", f"mean cosine with the session's last {OWN} different items"),
        ("max", f"greatest cosine with one of the session's last {OWN} different items"),
    )
    return tuple(Feature(f"knowledge_{space}_{name}", GROUP, f"{text} in {space}, {likewise}") for name, text in rows)


def user_features(numeric: tuple[str, ...], categorical: tuple[str, ...]) -> tuple[Feature, ...]:
    """The features of sessions; names keep letters, digits and underscores, as rankers want them."""
    likewise = "; 0 is the most frequent, NaN if unknown"
    return (
        *(Feature(f"user_{_plain(name)}", GROUP, f"the session's {name}") for name in numeric),
        *(Feature(f"user_{_plain(name)}", GROUP, f"rank of the session's {name}{likewise}") for name in categorical),
    )


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)


def fit_table(log: SessionLog, knowledge: Knowledge, settings: FeaturesSettings) -> KnowledgeTable:
    """Count the fitted events of categories and brands, and rank prices.

    Shares and not totals, so that fits of any span compare.
    """
    days = settings.windows_days[-1]
    recent = slice(None) if log.ts is None else log.ts > int(log.ts.max(initial=0)) - days * DAY
    events = np.bincount(log.aids[recent], minlength=log.n_items).astype(np.float64)
    codes = knowledge.codes
    features = table_features(tuple(codes), knowledge.price is not None, days)
    columns: list[npt.NDArray[np.float64]] = []
    for each in codes.values():
        of_code = np.bincount(each[each >= 0], events[each >= 0], minlength=1)
        rate = np.log1p(of_code * 1e6 / max(events.sum(), 1.0))
        columns.append(np.where(each >= 0, rate[each], np.nan))
    if knowledge.leaf is not None:
        leaf = knowledge.leaf
        of_leaf = np.bincount(leaf[leaf >= 0], events[leaf >= 0], minlength=1)[leaf]
        columns.append(np.where((leaf >= 0) & (of_leaf > 0), events / np.maximum(of_leaf, 1.0), np.nan))
    if knowledge.price is not None:
        columns.append(_price_ranks(knowledge.price, knowledge.leaf, knowledge.fitted))
    values = np.stack(columns, axis=1) if columns else np.zeros((log.n_items, 0))
    return KnowledgeTable(tuple(f.name for f in features), np.ascontiguousarray(values, np.float32))


def _price_ranks(price: F32, leaf: I32 | None, fitted: Flags) -> npt.NDArray[np.float64]:
    """Share of the fitted items of the same category with a lower price; NaN without a price or such an item."""
    codes = np.zeros(price.size, np.int32) if leaf is None else leaf
    frame = pl.DataFrame({"leaf": codes, "price": price, "fitted": fitted}).with_row_index("aid")
    frame = frame.with_columns(pl.col("price").fill_nan(None))
    known = frame.filter((pl.col("leaf") >= 0) & pl.col("price").is_not_null())
    counted = known.group_by("leaf", "price").agg(n=pl.col("fitted").sum().cast(pl.Float64)).sort("leaf", "price")
    counted = counted.with_columns(
        below=(pl.col("n").cum_sum() - pl.col("n")).over("leaf"), all=pl.col("n").sum().over("leaf")
    )
    share = pl.when(pl.col("all") > 0).then(pl.col("below") / pl.col("all"))
    ranks = frame.join(
        counted.select("leaf", "price", rank=share), on=["leaf", "price"], how="left", maintain_order="left"
    )
    return ranks["rank"].fill_null(float("nan")).to_numpy().astype(np.float64)


Fill = Callable[[SessionLog, Candidates, int, int, F32, int], object]


@dataclass(frozen=True, slots=True)
class KnowledgeBlock:
    """Features of one kind of knowledge: the arrays are bound to the kernel that reads them."""

    features: tuple[Feature, ...]
    kernel: Fill

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`."""
        self.kernel(log, candidates, start, stop, out, at)


def knowledge_blocks(knowledge: Knowledge, table: KnowledgeTable, settings: FeaturesSettings) -> list[Block]:
    """The blocks that this knowledge allows; the features of a block need the same.

    Raises
    ------
    ValueError
        If the table was fitted with other settings or on other knowledge.
    """
    codes = knowledge.codes
    described = table_features(tuple(codes), knowledge.price is not None, settings.windows_days[-1])
    if tuple(f.name for f in described) != table.names:
        raise ValueError("the table of knowledge was fitted with other settings or on other knowledge")
    blocks: list[Block] = []

    def add(features: tuple[Feature, ...], kernel: Fill) -> None:
        if features:
            blocks.append(KnowledgeBlock(features, kernel))

    add(described, _gathering(table.values))
    for name, each in codes.items():
        add(code_features(name), _comparing(fill_codes, each, settings))
    if knowledge.price is not None:
        add(PRICE_FEATURES, _comparing(fill_prices, knowledge.price, settings))
    if knowledge.published is not None:
        add(AGE_FEATURES, _ageing(knowledge.published))
    for name, space in knowledge.spaces.items():
        add(space_features(name), _near(space))
    if knowledge.users is not None:
        users = knowledge.users
        add(user_features(users.numeric_names, users.categorical_names), _of_users(users))
    return blocks


def _gathering(values: F32) -> Fill:
    return lambda _, candidates, start, stop, out, at: gather_rows(
        candidates.offsets, candidates.aids, start, stop, values, out, at
    )


def _comparing(kernel: Callable[..., None], values: F32 | I32, settings: FeaturesSettings) -> Fill:
    tail, oldest = settings.affinity_tail, settings.oldest_exponent

    def fill(log: SessionLog, candidates: Candidates, start: int, stop: int, out: F32, at: int) -> None:
        events, rows = (log.offsets, log.aids), (candidates.offsets, candidates.aids)
        kernel(events, rows, values, start, stop, tail, oldest, out, at)

    return fill


def _ageing(published: I64) -> Fill:
    def fill(log: SessionLog, candidates: Candidates, start: int, stop: int, out: F32, at: int) -> None:
        rows = candidates.offsets, candidates.aids
        fill_ages((log.offsets, log.ts_or_empty), rows, published, NEVER, start, stop, out, at)

    return fill


def _near(space: F32) -> Fill:
    lengths = np.empty(len(space), np.float32)
    vector_lengths(space, lengths)
    items = space, lengths, lengths > 0

    def fill(log: SessionLog, candidates: Candidates, start: int, stop: int, out: F32, at: int) -> None:
        asks_nothing = np.zeros((0, stop - start, space.shape[1]), np.float32)
        events, rows = (log.offsets, log.aids, np.zeros((0, 0), np.float32)), (candidates.offsets, candidates.aids)
        fill_similarity(events, rows, asks_nothing, items, start, stop, out, at)

    return fill


def _of_users(users: Users) -> Fill:
    ranks = np.where(users.categorical >= 0, users.categorical, np.nan)
    values = np.ascontiguousarray(np.hstack([users.numeric, ranks]), np.float32)
    return lambda log, candidates, start, stop, out, at: fill_users(
        log.sessions, candidates.offsets, values, start, stop, out, at
    )
