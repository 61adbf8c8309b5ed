"""Stage ``prepare``: raw files to the log, the indices and the two passes. Runs once a run."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow.parquet as pq

from events.attributes import ABSENT, user_index, write_absent, write_items, write_users
from events.columns import AID, TS
from events.index import IdIndex
from events.passes import SUBMISSION, PassData, build_passes
from events.readers import read, read_items, read_users
from events.shop.generate import generate
from scripts.cli import stage_main
from scripts.pipeline import Run, Stage
from scripts.settings import Settings
from submissions.kaggle_csv import refuse_separators


def _settings(settings: Settings) -> Any:
    parts = ("seed", "data", "events", "split", "sample") + (("shop",) if settings.data.kind == "shop" else ())
    return settings.model_dump(mode="json", include=set(parts))


def _inputs(run: Run, _: str) -> list[Path]:
    data = run.settings.data
    if data.kind == "shop":
        return []
    paths = [Path(data.root) / name for name in data.sources]
    cuts = run.settings.split.cuts
    return paths + ([Path(cuts)] if cuts else [])


def _read(run: Run, part: Literal["train", "test"], out: Path) -> dict[str, Any]:
    settings = run.settings
    report = read(settings.data, settings.events, part, out, settings.n_threads)
    print(f"  {part}: {report.sessions:,} sessions, {report.events:,} events{_days(out)}")
    if report.skipped:
        lines = "bad line" if report.skipped == 1 else "bad lines"
        print(f"  {part}: {report.skipped:,} {lines} skipped, such as {'; '.join(report.reasons)}")
    for note in report.notes:
        print(f"  {part}: {note}")
    return asdict(report)


def _days(log: Path) -> str:
    """First and last day of a log, where it has time."""
    if TS not in pl.read_parquet_schema(log):
        return ""
    ends = pl.scan_parquet(log).select(pl.col(TS).min().alias("first"), pl.col(TS).max().alias("last"))
    first, last = ends.cast(pl.Datetime("ms")).collect(engine="streaming").row(0)
    return f", {first:%Y-%m-%d} to {last:%Y-%m-%d} (UTC)"


def _say(what: str, known: dict[str, float]) -> dict[str, float]:
    print(f"  {what}: " + ", ".join(f"{name} of {share:.1%}" for name, share in known.items()))
    return known


def _work(run: Run, _: str, folder: Path) -> dict[str, Any]:
    settings = run.settings
    data = settings.data
    train, test, labels = folder / "train.parquet", folder / "test.parquet", folder / "test_labels.parquet"
    figures: dict[str, Any] = {}
    # What is known of items and users comes first: a wrong column there is to stop a run at once.
    skip = settings.events.on_bad_rows == "skip"
    items, users = read_items(data, skip), read_users(data, skip)
    if data.kind == "shop":
        generate(settings.shop, folder, threads=settings.n_threads)
    else:
        figures["train"] = _read(run, "train", train)
        if data.test:
            figures["test"] = _read(run, "test", test)
        labels = Path(data.root) / data.test_labels if data.test_labels else labels
    joins = items is not None and data.items is not None and data.items.join
    passes = build_passes(
        train,
        test if test.exists() else None,
        labels if labels.exists() else None,
        settings.split,
        settings.sample,
        settings.seed,
        folder,
        users,
        items[AID] if items is not None and joins else None,
        data.targets,
        _sources(run, train, test),
    )
    if items is not None:
        figures["items"] = _say("items", write_items(folder, items))
    if users is not None:
        ids = user_index([path for path in (train, test) if path.exists()]).ids
        figures["users"] = _say("users", write_users(folder, users, ids))
        figures["absent"] = write_absent(folder, users, ids)
    if SUBMISSION in passes and data.kind != "shop":
        _check_ids(folder, Path(data.root) / data.sources[0])
    rows = sum(pq.read_metadata(path).num_rows for path in (train, test) if path.exists())
    return figures | {"passes": passes, "rows": rows}


def _sources(run: Run, train: Path, test: Path) -> dict[Path, Path]:
    """The files that the logs are made of, as the user knows them; the first where there are several."""
    data = run.settings.data
    if data.kind == "shop":
        return dict.fromkeys((train, test), Path("the synthetic shop"))
    return {train: Path(data.root) / data.sources[0], test: Path(data.root) / (data.test or "")}


def _check_ids(folder: Path, source: Path) -> None:
    """Refuse ids that no submission can hold: now, and not when everything has run."""
    refuse_separators(source, "item", IdIndex.load(folder / "items.parquet").ids)
    refuse_separators(source, "session", PassData.load(folder / SUBMISSION).target_ids)
    if (folder / ABSENT).exists():
        refuse_separators(source, "session", IdIndex.load(folder / ABSENT).ids)


STAGE = Stage(
    name="prepare",
    passes=(),
    settings=_settings,
    inputs=_inputs,
    work=_work,
    floors=("events",),
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Read the raw log (or draw the synthetic shop), split it, and store both passes.", argv)


if __name__ == "__main__":
    sys.exit(main())
