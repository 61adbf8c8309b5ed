"""The item table: what the fitted log says of an item, as shares and bounded ages, so that fits of any span compare."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from candidates.pool import Candidates
from events.arrays import F32, I32, I64, read_only
from events.columns import DAY, HOUR
from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, read_json, save_arrays, write_json
from events.log import SessionLog
from features.counts import NEVER_FIRST, QUARTERS, ItemCounts, count_items
from features.registry import BOTH, TIME, TYPES, Feature, choose, pick
from features.settings import FeaturesSettings

HABITS = ("opening", "closing", "again", "next_same", *(f"hours_{q}" for q in range(QUARTERS)), "dwell", "dwelled")
"""The columns of ``ItemCounts.habits``."""


@dataclass(frozen=True, slots=True)
class ItemTable:
    """Features of items.

    names      : F names
    values     : float32[n_items, F]; NaN where an item has no value
    popularity : float32[n_items], rises with the item's share of the fitted events
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    popularity: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("values", "popularity"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def save(self, folder: Path) -> None:
        """Write ``values.npy``, ``popularity.npy`` and ``names.json`` into an existing folder."""
        save_arrays(folder, values=self.values, popularity=self.popularity)
        write_json(folder / "names.json", list(self.names))

    @classmethod
    def load(cls, folder: Path) -> "ItemTable":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If a file is missing, or the two disagree.
        """
        names = tuple(read_json(folder / "names.json"))
        values, popularity = need_array(folder, "values"), need_array(folder, "popularity")
        if values.ndim != 2 or values.shape != (popularity.size, len(names)):
            raise InputError(folder, None, "names and values disagree", "remove the folder and run its stage again")
        return cls(names, values, popularity)


def item_features(settings: FeaturesSettings) -> tuple[Feature, ...]:
    """All the item features that these settings describe, whatever a log has."""
    spans = [(f"{days}d", f"in the last {days} days") for days in settings.windows_days]
    long = settings.windows_days[-1]
    rows = [
        Feature("item_sessions", "item", "fitted sessions that hold it, per 1,000, log1p"),
        Feature("item_repeat", "item", "its events per session that holds it"),
        Feature("item_rank", "item", "share of the fitted items with more events"),
        Feature(
            "item_carted", "item", "share of its sessions that cart it, smoothed; log of its ratio to the mean", TYPES
        ),
        Feature("item_ordered", "item", "share of its sessions that order it, likewise", TYPES),
        Feature("item_ordered_if_carted", "item", "sessions that order it per session that carts it, likewise", TYPES),
    ]
    for kind, needs in (("events", TIME), ("carts", BOTH), ("orders", BOTH)):
        rows += [
            Feature(f"item_{kind}_{span}", "item", f"its {kind} per million of the shop's, {words}, log1p", needs)
            for span, words in spans
        ]
    rows += [
        Feature("item_opening", "item", "share of its sessions that begin with it, likewise"),
        Feature("item_closing", "item", "share of its sessions that end with it, likewise"),
        Feature("item_again", "item", "share of its sessions with two events on it or more, likewise"),
        Feature("item_next_same", "item", "share of its events that are followed by one on it, likewise"),
        Feature("item_reordered", "item", "orders per session that orders it, likewise", TYPES),
        Feature("item_dwell", "item", "mean log2 of the seconds until the visit's next event, drawn to the mean", TIME),
    ]
    rows += [
        Feature(f"item_hours_{q}", "item", f"share of its events in quarter {q} of the day, likewise", TIME)
        for q in range(QUARTERS)
    ]
    rows += [
        Feature(f"item_trend_{span}", "item", f"log of its events {words} over what its share {longer} predicts", TIME)
        for (span, words), (_, longer) in pairwise(spans)
    ]
    rows += [
        Feature(
            f"item_rank_{long}d", "item", f"share of the fitted items with more events in the last {long} days", TIME
        ),
        Feature("item_since_last", "item", "hours from its last event to the end of the fit, bounded, log1p", TIME),
        Feature("item_since_first", "item", "days from its first event to the end of the fit, bounded", TIME),
    ]
    return tuple(rows)


def _per_million(count: pl.Expr) -> pl.Expr:
    """An item's part of all counted events, log1p of parts per million.

    A share and not a rate a day: of the days of the target sessions a transductive fit sees but few events.
    """
    return (count * (1e6 / pl.max_horizontal(count.sum(), 1))).log1p()


def _conversion(successes: pl.Expr, trials: pl.Expr, prior: float) -> pl.Expr:
    """Log ratio of an item's share of successes to the mean of all items, drawn toward it by ``prior`` trials.

    An item without a trial has 0 in every pass, where the share itself would sit at a mean that moves.
    """
    mean = successes.sum() / trials.sum()
    ratio = (successes / mean + prior) / (trials + prior)
    return pl.when(successes.sum() > 0).then(ratio.log()).otherwise(0.0)


def _rank(count: pl.Expr) -> pl.Expr:
    """Share of the seen items with more events; 1 for an unseen item."""
    seen = pl.max_horizontal((pl.col("events_all") > 0).sum(), 1)
    more = count.rank("min", descending=True) - 1
    return pl.when(pl.col("events_all") > 0).then(more / seen).otherwise(1.0)


def _frame(counts: ItemCounts) -> pl.DataFrame:
    """Counts as columns: ``events_<w>``, ``carts_<w>``, ``orders_<w>`` cumulated over windows, ``…_all``, the rest."""
    cumulated = np.cumsum(counts.events, axis=1, dtype=np.int32)
    columns = {}
    last = cumulated.shape[1] - 1
    for w in range(last + 1):
        label = "all" if w == last else str(w)
        columns[f"events_{label}"] = cumulated[:, w].sum(axis=1, dtype=np.int64)
        columns[f"carts_{label}"] = np.ascontiguousarray(cumulated[:, w, 1])
        columns[f"orders_{label}"] = np.ascontiguousarray(cumulated[:, w, 2])
    for c, name in enumerate(("sessions", "sessions_carting", "sessions_ordering")):
        columns[name] = counts.sessions[:, c].astype(np.int64)
    for c, name in enumerate(HABITS):
        columns[name] = counts.habits[:, c].astype(np.int64)
    columns["first"] = counts.first.astype(np.int64)
    columns["last"] = counts.last.astype(np.int64)
    return pl.DataFrame(columns)


def _expressions(counts: ItemCounts, settings: FeaturesSettings) -> dict[str, pl.Expr]:
    """Every item feature as an expression over :func:`_frame`."""
    c = pl.col
    label = {str(w): f"{d}d" for w, d in enumerate(settings.windows_days)}
    longest = str(len(settings.windows_days) - 1)
    seen = c("first") != NEVER_FIRST
    prior = settings.conversion_prior
    bound = settings.max_age_days

    def trend(of: str, to: str) -> pl.Expr:
        """Events seen in a window over those expected of the item's share of a longer one."""
        seen, longer = c(f"events_{of}"), c(f"events_{to}")
        expected = longer * (seen.sum() / pl.max_horizontal(longer.sum(), 1))
        return ((seen + settings.trend_prior) / (expected + settings.trend_prior)).log()

    expressions = {
        "item_sessions": (c("sessions") * (1000.0 / max(counts.n_sessions, 1))).log1p(),
        "item_repeat": pl.when(c("sessions") > 0).then(c("events_all") / c("sessions")).otherwise(float("nan")),
        "item_rank": _rank(c("events_all")),
        "item_carted": _conversion(c("sessions_carting"), c("sessions"), prior),
        "item_ordered": _conversion(c("sessions_ordering"), c("sessions"), prior),
        "item_ordered_if_carted": _conversion(c("sessions_ordering"), c("sessions_carting"), prior),
        "item_opening": _conversion(c("opening"), c("sessions"), prior),
        "item_closing": _conversion(c("closing"), c("sessions"), prior),
        "item_again": _conversion(c("again"), c("sessions"), prior),
        "item_next_same": _conversion(c("next_same"), c("events_all"), prior),
        "item_reordered": _conversion(c("orders_all").cast(pl.Int64), c("sessions_ordering"), prior),
        "item_dwell": (c("dwell") + prior * (c("dwell").sum() / c("dwelled").sum())) / (c("dwelled") + prior),
        f"item_rank_{label[longest]}": _rank(c(f"events_{longest}")),
        "item_since_last": pl.when(seen)
        .then(((counts.until - c("last")) / HOUR).clip(0, 24 * bound).log1p())
        .otherwise(float("nan")),
        "item_since_first": pl.when(seen)
        .then(((counts.until - c("first")) / DAY).clip(0, bound))
        .otherwise(float("nan")),
    }
    quarters = [c(f"hours_{q}") for q in range(QUARTERS)]
    for q, quarter in enumerate(quarters):
        expressions[f"item_hours_{q}"] = _conversion(quarter, pl.sum_horizontal(quarters), prior)
    for window, longer in pairwise(label):
        expressions[f"item_trend_{label[window]}"] = trend(window, longer)
    for kind in ("events", "carts", "orders"):
        for window, name in label.items():
            expressions[f"item_{kind}_{name}"] = _per_million(c(f"{kind}_{window}"))
    return expressions


def fit_items(log: SessionLog, settings: FeaturesSettings, threads: int = 1) -> ItemTable:
    """The item table of a fitted log: counted in one pass, then a few Polars expressions over the counts.

    What the log lacks (time, types) is left out of the table. Ages are measured from the log's last event.
    """
    features = item_features(settings)
    chosen = pick(features, choose(features, log.has, settings.groups)[0])
    values = np.empty((log.n_items, len(chosen)), np.float32)
    visit_gap, utc_offset = int(settings.visit_gap_minutes * 60), int(settings.utc_offset_hours * HOUR)
    counts = count_items(log, settings.windows_days, threads, visit_gap, utc_offset)
    frame = _frame(counts).lazy()
    expressions = _expressions(counts, settings)
    columns = frame.select(expressions[f.name].cast(pl.Float32).alias(f.name) for f in chosen)
    if chosen:
        for place, series in enumerate(columns.collect(engine="streaming").iter_columns()):
            values[:, place] = series.to_numpy()
    popularity = counts.events.sum(axis=(1, 2), dtype=np.int64) / max(log.n_events, 1)
    return ItemTable(tuple(f.name for f in chosen), values, popularity.astype(np.float32))


@kernel
def gather_rows(offsets: I64, aids: I32, start: int, stop: int, values: F32, out: F32, at: int) -> None:
    """Copy each candidate's row of ``values`` into its row of ``out``; NaN for an item that the table lacks."""
    width = values.shape[1]
    for row in range(offsets[start], offsets[stop]):
        aid = aids[row]
        if 0 <= aid < values.shape[0]:
            for j in range(width):
                out[row, at + j] = values[aid, j]
        else:
            for j in range(width):
                out[row, at + j] = np.nan


@dataclass(frozen=True, slots=True)
class ItemBlock:
    """The candidate's row of the item table."""

    features: tuple[Feature, ...]
    values: npt.NDArray[np.float32]

    def fill(
        self,
        log: SessionLog,  # noqa: ARG002  (the contract of a block)
        candidates: Candidates,
        start: int,
        stop: int,
        out: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """See :class:`features.registry.Block`."""
        gather_rows(candidates.offsets, candidates.aids, start, stop, self.values, out, at)
