"""How far the ranker is from the best there can be: ``python -m benchmarks.ceiling --run runs/shop``.

For a finished run on a synthetic shop, on a random sample of the sessions that it reports: recall@20 on the labels that
came true of the rules, of the ranker, and of oracles that list the 20 items of highest probability to become a label.
An oracle continues each session ``--continuations`` times with at least one event, out of

- the generator's own state at the cut (``true``): what nobody who looks at the log can know; or
- a state drawn from the posterior given the visible events and the shop's tables (``observable``);

among all items of the train log, or among the candidates of the session (``in_pool``). Then the share of the way from
the rules to each oracle that the ranker has gone, with 95 % bootstrap intervals over groups, paired. An oracle's list
is itself estimated, by shares of futures and by chances met in them (events/shop/chances.py): more continuations raise
it a little. Otherwise the oracles err upwards, if at all: they read milliseconds, and the visible events of items that
train lacks, which no recommender is shown. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import ValidationError

from benchmarks.harness import machine
from candidates.building import Shared
from candidates.pool import Arena
from events.columns import TARGETS, WEIGHTS
from events.errors import InputError
from events.files import need_array
from events.index import IdIndex
from events.labels import take_labels
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from events.shop.settings import ShopSettings
from events.shop.truth import Observer, Question, Truth
from rankers.scoring import chunks
from scripts.artifacts import open_items, open_matrices, open_pass, open_sources
from scripts.baselines import rung_lists
from scripts.cli import guarded
from scripts.pipeline import Run, read_manifest
from scripts.settings import Settings
from submissions.metrics import Hits, hits_by_target
from submissions.report import table

TOP = 20
CEILINGS = ("observable", "observable_in_pool", "true", "true_in_pool")
RUNGS = ("rules", "ranker", *CEILINGS)
TOTAL = "total"
TRUST = 50.0
"""Found with 500 futures of another shop's sessions: any from 10 on gives the same lists."""

SAMPLE_SEED = 5
REPEATS, BATCH = 1_000, 100
WALKED = 40_000
"""Sessions of the shop that are replayed at a time."""

Rows = npt.NDArray[np.int64]
ByTarget = Mapping[str, Lists]


def finished_run(folder: Path) -> Run:
    """The run in this folder, its settings as its manifests have them.

    Raises
    ------
    InputError
        If it is not a finished run on the synthetic shop with the official split.
    """
    run = Run(Settings(runs=folder.parent), folder)
    parts: dict[str, Any] = {"runs": folder.parent}
    for stage in (run.need("", "prepare"), run.need("validation", "evaluate")):
        parts |= (read_manifest(stage) or {}).get("settings", {})
    try:
        settings = Settings.model_validate(parts)
    except ValidationError as error:
        raise InputError(
            folder, None, f"settings of another version: {error.errors()[0]['msg']}", "run it again"
        ) from None
    if settings.data.kind != "shop":
        raise InputError(folder, None, "only a synthetic shop knows its truth", "give a run with data.kind='shop'")
    if settings.split.validation != "official" or settings.split.cuts is not None:
        raise InputError(folder, None, "the sessions are not cut at random", "set split.validation='official'")
    return Run(settings, folder)


def seen_in_train(data: PassData, items: IdIndex, n_items: int) -> npt.NDArray[np.bool_]:
    """bool[n_items] by id: the items that the split left in; all others were dropped from the sessions and labels."""
    known = np.zeros(n_items, np.bool_)
    known[items.take(np.unique(data.log.slice(0, data.n_train).aids)).to_numpy()] = True
    return known


def cuts_in_shop(
    shop: ShopSettings, log: SessionLog, sessions: Rows, ids: npt.NDArray[np.int64], known: npt.NDArray[np.bool_]
) -> Rows:
    """int64[S] events up to each session's last visible one, those of unknown items between them included.

    log      : visible events of the S sessions
    sessions : int64[S] their ids in the shop, ascending
    ids      : int64[items] id of each item of the log

    Raises
    ------
    InputError
        If the visible events are not the beginning of the session that the shop draws.
    """
    walker = Truth(shop).shop
    cuts = np.empty(len(log), np.int64)
    for start in range(0, len(log), WALKED // 8):
        rows = np.arange(start, min(start + WALKED // 8, len(log)))
        while rows.size:
            first = int(sessions[rows[0]])
            here = rows[sessions[rows] < first + WALKED]
            chunk = walker.walk(first, int(sessions[here[-1]]) + 1)
            for row in here.tolist():
                begin, end = chunk.offsets[sessions[row] - first : sessions[row] - first + 2]
                span = slice(log.offsets[row], log.offsets[row + 1])
                kept = np.flatnonzero(known[chunk.aids[begin:end]])[: span.stop - span.start]
                places = begin + kept
                same = (
                    kept.size == span.stop - span.start
                    and np.array_equal(chunk.aids[places], ids[log.aids[span]])
                    and (log.types is None or np.array_equal(chunk.types[places], log.types[span]))
                    and (log.ts is None or np.array_equal(chunk.ts[places] // 1000, log.ts[span]))
                )
                if not same:
                    problem = f"session {sessions[row]} is not the one that the shop draws"
                    raise InputError("the run", None, problem, "run prepare again: it was made by another version")
                cuts[row] = kept[-1] + 1
            rows = rows[here.size :]
    return cuts


def rules_lists(run: Run, data: PassData, log: SessionLog) -> dict[str, Lists]:
    """The lists of the rules, as on the ladder."""
    shared = Shared(open_matrices(run, data.name), threads=run.settings.n_threads)
    return rung_lists("rules", run.settings.candidates.rules, shared, data, log, TOP)


def pool_of(run: Run, data: PassData, log: SessionLog) -> tuple[Rows, npt.NDArray[np.int32]]:
    """int64[S + 1], int32[M] the candidates of each session, rows of the item index."""
    sources, arena = open_sources(run, data), Arena()
    lengths, aids = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
    for start, stop in chunks(len(log), run.settings.rankers.chunk_sessions, "candidates"):
        pool = sources.pool(log.slice(start, stop), arena)
        lengths.append(np.diff(pool.offsets))
        aids.append(pool.aids.copy())
    return np.cumsum(np.concatenate(lengths)), np.concatenate(aids)


def to_rows(lists: ByTarget, items: IdIndex) -> dict[str, Lists]:
    """Lists of ids as lists of rows of the item index."""
    return {
        target: Lists(one.offsets, items.rows(pl.Series(one.aids)).astype(np.int32), one.scores)
        for target, one in lists.items()
    }


def oracle_lists(
    shop: ShopSettings, question: Question, items: IdIndex, threads: int
) -> tuple[dict[str, dict[str, Lists]], dict[str, float]]:
    """The oracles' lists by the names of ``CEILINGS``, and the seconds that each oracle took."""
    lists, seconds = {}, {}
    for name, kind in (("observable", Observer), ("true", Truth)):
        oracle = kind(shop)
        started = time.perf_counter()
        everywhere, in_pool = oracle.answer(question, threads, progress=True)
        seconds[name] = round(time.perf_counter() - started, 1)
        lists[name], lists[f"{name}_in_pool"] = to_rows(everywhere, items), to_rows(in_pool, items)
    return lists, seconds


def recalls(numerators: npt.NDArray[np.float64], denominators: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[..., rungs, targets + 1] recall of each target and, last, in total; targets without labels are left out.

    numerators, denominators : float64[..., rungs, targets], float64[..., 1, targets]
    """
    weights = np.array([WEIGHTS[target] for target in TARGETS]) * (denominators > 0)
    found = numerators / np.maximum(denominators, 1.0)
    total = (found * weights).sum(axis=-1, keepdims=True) / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    return np.concatenate([found, total], axis=-1)


def closed(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[..., ceilings, targets + 1] share of the gap from rules to each ceiling that the ranker has closed."""
    rules, ranker, ceilings = found[..., :1, :], found[..., 1:2, :], found[..., 2:, :]
    gap = ceilings - rules
    return np.where(gap > 0, (ranker - rules) / np.where(gap > 0, gap, 1.0), np.nan)


def bootstrap(hits: Mapping[str, Mapping[str, Hits]], groups: Rows, seed: int = 0) -> npt.NDArray[np.float64]:
    """float64[REPEATS, rungs, targets + 1] recalls on groups drawn with replacement, the same for all rungs."""
    _, group = np.unique(groups, return_inverse=True)
    n = int(group.max()) + 1

    def sums(values: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        return np.bincount(group, weights=values, minlength=n)

    numerators = np.stack([sums(hits[rung][t].hits) for rung in RUNGS for t in TARGETS], axis=1)
    denominators = np.stack([sums(hits[RUNGS[0]][t].denominators) for t in TARGETS], axis=1)
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(0, REPEATS, BATCH):
        counts = rng.multinomial(n, np.full(n, 1.0 / n), size=BATCH).astype(np.float64)
        parts.append(recalls((counts @ numerators).reshape(BATCH, len(RUNGS), -1), (counts @ denominators)[:, None, :]))
    return np.concatenate(parts)


def figures(hits: Mapping[str, Mapping[str, Hits]], groups: Rows) -> dict[str, dict[str, Any]]:
    """For each target and in total: each rung's recall, the shares closed, and their 95 % intervals (null: no gap)."""
    numerators = np.array([[float(hits[rung][t].hits.sum()) for t in TARGETS] for rung in RUNGS])
    denominators = np.array([[float(hits[RUNGS[0]][t].denominators.sum()) for t in TARGETS]])
    found = recalls(numerators, denominators)
    share = closed(found)
    drawn = closed(bootstrap(hits, groups))
    # Where there is no gap in more draws than lie beyond an end of the interval, there is no interval.
    certain = np.isnan(drawn).mean(axis=0) <= 0.025
    low, high = np.where(certain, np.nanquantile(np.where(certain, drawn, 0.0), [0.025, 0.975], axis=0), np.nan)
    made: dict[str, dict[str, Any]] = {}
    for t, target in enumerate((*TARGETS, TOTAL)):
        one: dict[str, Any] = {rung: float(found[r, t]) for r, rung in enumerate(RUNGS)}
        one |= {f"closed_{name}": _finite(share[c, t]) for c, name in enumerate(CEILINGS)}
        for c, name in enumerate(CEILINGS):
            one[f"closed_{name}_interval"] = [_finite(low[c, t]), _finite(high[c, t])]
        made[target] = one
    return made


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def report(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Two tables: recalls, and shares closed with their intervals."""
    columns = list(found)
    rows = [[rung, *(f"{found[t][rung]:.4f}" for t in columns)] for rung in RUNGS]
    shares = []
    for name in CEILINGS:
        cells = []
        for t in columns:
            value, (low, high) = found[t][f"closed_{name}"], found[t][f"closed_{name}_interval"]
            interval = "gap uncertain" if low is None else f"{low:+.0%} to {high:+.0%}"
            cells.append("no gap" if value is None else f"{value:+.0%} ({interval})")
        shares.append([name, *cells])
    return "\n\n".join(
        [table([f"recall@{TOP}", *columns], rows), table(["gap from the rules closed, to", *columns], shares)]
    )


def measure(run: Run, sessions: int, continuations: int) -> dict[str, Any]:
    """All figures of a run, on at most ``sessions`` of its reported sessions."""
    data = open_pass(run, "validation")
    assert data.labels is not None
    items, shop = open_items(run), run.settings.shop
    rank = run.need("validation", "rank")
    reported = need_array(rank, "reported")
    size = min(sessions, reported.size)
    places = np.sort(np.random.default_rng(SAMPLE_SEED).choice(reported.size, size, replace=False))
    rows = reported[places]
    log, labels = data.target_log.take(rows), take_labels(data.labels, rows)

    known = seen_in_train(data, items, shop.items)
    session_ids = data.target_ids.gather(rows).to_numpy()
    cuts = cuts_in_shop(shop, log, session_ids, items.ids.to_numpy(), known)
    offsets, pool = pool_of(run, data, log)
    question = Question(
        session_ids,
        cuts,
        continuations,
        TOP,
        trust=TRUST,
        known=known,
        pool_offsets=offsets,
        pool_aids=items.take(pool).to_numpy(),
    )
    lists: dict[str, Mapping[str, Lists]] = {
        "rules": rules_lists(run, data, log),
        "ranker": {t: Lists.load(rank / "lists" / t).take(places) for t in data.targets},
    }
    oracles, seconds = oracle_lists(shop, question, items, run.settings.n_threads)
    hits = {rung: hits_by_target(one, labels, TOP) for rung, one in (lists | oracles).items()}
    return {
        "sessions": int(size),
        "continuations": continuations,
        "candidates": float(np.diff(offsets).mean()),
        "oracle_s": seconds,
        "targets": figures(hits, log.groups),
    }


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    made = argparse.ArgumentParser(description="The best attainable recall, and how much of the way there is gone.")
    made.add_argument("--run", type=Path, required=True, help="folder of a finished run on a synthetic shop")
    made.add_argument("--sessions", type=int, default=10_000, help="reported sessions to sample, at most")
    made.add_argument("--continuations", type=int, default=500, help="futures of each session, at least")
    arguments = made.parse_args(argv)

    def work() -> None:
        found = measure(finished_run(arguments.run), arguments.sessions, arguments.continuations)
        print(f"{found['sessions']:,} sessions, {found['continuations']:,} futures each")
        print(report(found["targets"]))
        print(json.dumps({"job": "ceiling", "machine": machine(), **found}))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
